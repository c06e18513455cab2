/**
 * Talking to a server whose contract one does not have: methods by name, by nested names, notifications, and everything
 * the server sends.
 *
 * Run: npx tsx examples/without-a-contract.ts
 * Prints: users: ada, grace
 * Prints: 42 - 23 = 19, by position and by name
 * Prints: error -32601: Method not found
 * Prints: the server says: {"method":"saved","params":{"count":1}}
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Rpc, RpcGroup } from "effect/rpc"

// A server that somebody else wrote, for this example.
class Theirs extends RpcGroup.make(
  Rpc.make("app.users.getUsers", { success: Schema.Array(Schema.String) }),
  Rpc.make("subtract", { payload: { minuend: Schema.Finite, subtrahend: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("save")
) {}
const Server = JsonRpcServer.layerSocketServer(Theirs).pipe(
  Layer.provide(Theirs.toLayer(Effect.map(JsonRpcClients.JsonRpcClients, ({ broadcast }) => ({
    "app.users.getUsers": () => Effect.succeed(["ada", "grace"]),
    subtract: ({ minuend, subtrahend }) => Effect.succeed(minuend - subtrahend),
    save: () => Effect.asVoid(broadcast("saved", { count: 1 }))
  })))),
  Layer.provide(JsonRpcClients.layer),
  Layer.provideMerge(NodeWebSocketServer.layer())
)

const Client = JsonRpcClient.layerSocket().pipe(
  Layer.provide(NodeWebSocket.layerFromServer())
)

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.JsonRpcClient
  const server = JsonRpcClient.namespace(client)

  const users = yield* server.app!.users!.getUsers!()
  yield* Console.log(`users: ${users.join(", ")}`)

  const byPosition = yield* server.subtract!(42, 23)
  const byName = yield* client.call("subtract", { minuend: 42, subtrahend: 23 })
  if (byPosition === byName) yield* Console.log(`42 - 23 = ${byPosition}, by position and by name`)

  yield* client.call("no.such.method").pipe(
    Effect.catchReason("JsonRpcError", "RemoteError", ({ code, message }) => Console.log(`error ${code}: ${message}`))
  )

  const next = yield* Effect.forkChild(Stream.runHead(client.notifications), { startImmediately: true })
  yield* client.notify("save")
  const { method, params } = Option.getOrThrow(yield* Fiber.join(next))
  yield* Console.log(`the server says: ${JSON.stringify({ method, params })}`)
})

program.pipe(Effect.scoped, Effect.provide(Client.pipe(Layer.provideMerge(Server))), NodeRuntime.runMain)
