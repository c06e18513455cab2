/**
 * A JSON-RPC server and a client of it, typed by one contract.
 *
 * Run: npx tsx examples/hello.ts
 * Prints: hello, world
 * Prints: 1 + 2 = 3
 * Prints: refused: nobody is called ""
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { createServer } from "node:http"

// The contract: an ordinary RpcGroup. Ours is only the code that the error has on the wire.
class NoSuchPerson extends Schema.TaggedError<NoSuchPerson>()(
  "NoSuchPerson",
  { name: Schema.String },
  JsonRpcError.wire({ code: -32010 })
) {}

class Greeter extends RpcGroup.make(
  Rpc.make("greet", { payload: { name: Schema.String }, success: Schema.String, error: NoSuchPerson }),
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}

// The server: handlers, on a route that speaks WebSocket and POST.
const Handlers = Greeter.toLayer({
  greet: ({ name }) => name === "" ? Effect.fail(new NoSuchPerson({ name })) : Effect.succeed(`hello, ${name}`),
  add: ({ a, b }) => Effect.succeed(a + b)
})
const Routes = JsonRpcServer.layerHttp(Greeter, { path: "/rpc", wire: Wire.rockets }).pipe(
  Layer.provide(Handlers)
)
const Server = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0 }))
)

// The client: one method for each procedure, with its payload, result and errors.
const Client = JsonRpcClient.layerSocket({ wire: Wire.rockets }).pipe(
  Layer.provide(NodeWebSocket.layerFromHttpServer("/rpc"))
)

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.make(Greeter)
  yield* Console.log(yield* client.greet({ name: "world" }))
  yield* Console.log(`1 + 2 = ${yield* client.add({ a: 1, b: 2 })}`)
  // the error of the contract comes back as itself
  yield* client.greet({ name: "" }).pipe(
    Effect.catchTag("NoSuchPerson", (error) => Console.log(`refused: nobody is called "${error.name}"`))
  )
})

program.pipe(Effect.scoped, Effect.provide(Client.pipe(Layer.provideMerge(Server))), NodeRuntime.runMain)
