/**
 * A client that other people wrote, npm's `rockets-client`, against our server: requests, progress, cancellation and
 * notifications, none of which it had to be told.
 *
 * Run: npx tsx examples/rockets-client.ts
 * Prints: 1 + 2 = 3
 * Prints: progress: step 2 of 3
 * Prints: rendered 3 steps
 * Prints: cancelled: -31002 Request aborted
 * Prints: notified: hello
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Effect, Layer, Schema } from "effect"
import { JsonRpcClients, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocketServer } from "effect-wire/node"
import { Progress } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { createRequire } from "node:module"
import { WebSocket } from "ws"

// It is made for browsers and wants their global `WebSocket`, which Node has since version 22.
globalThis.WebSocket ??= WebSocket as never
const Rockets = createRequire(import.meta.url)("rockets-client") as typeof import("rockets-client")

class Methods extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("render", { payload: { steps: Schema.Int }, success: Schema.Int })
) {}

const Handlers = Methods.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  render: Effect.fnUntraced(function*({ steps }) {
    for (let i = 1; i <= steps; i++) {
      yield* Effect.sleep("20 millis")
      yield* Progress.report({ operation: `step ${i} of ${steps}`, amount: i / steps })
    }
    return steps
  })
})

const Server = JsonRpcServer.layerSocketServer(Methods, { wire: Wire.rockets }).pipe(
  Layer.provide(Handlers),
  Layer.provideMerge(JsonRpcClients.layer),
  Layer.provideMerge(NodeWebSocketServer.layer({ protocols: ["rockets"] }))
)

const settled = <A>(task: PromiseLike<A>) =>
  Effect.tryPromise({
    try: () => task as Promise<A>,
    catch: (error) => error as { readonly code: number; readonly message: string }
  })

const program = Effect.gen(function*() {
  const { address } = yield* SocketServer.SocketServer
  const clients = yield* JsonRpcClients.JsonRpcClients
  const context = yield* Effect.context<never>()
  const print = (line: string) => Effect.runSyncWith(context)(Console.log(line))

  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new Rockets.Client({ url: String(address), protocol: "rockets" })),
    (client) => Effect.sync(() => client.disconnect())
  )
  print(`1 + 2 = ${yield* settled(client.request("add", { a: 1, b: 2 }))}`)

  const render = client.request("render", { steps: 3 })
  render.on("progress").subscribe(({ operation }) => print(`progress: ${operation}`))
  print(`rendered ${yield* settled(render)} steps`)

  const long = client.request("render", { steps: 1000 })
  yield* Effect.sleep("50 millis")
  long.cancel()
  const { code, message } = yield* Effect.flip(settled(long))
  print(`cancelled: ${code} ${message}`)

  const notified = yield* Deferred.make<string>()
  client.subscribe(({ method }) => Deferred.doneUnsafe(notified, Effect.succeed(method)))
  yield* clients.broadcast("hello", {})
  print(`notified: ${yield* Deferred.await(notified)}`)
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
