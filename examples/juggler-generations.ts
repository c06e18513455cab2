/**
 * The same state and the same actions on all three generations of the protocol at once, on one HTTP server, for real
 * WebSockets. What a client of one generation does, those of the others see.
 *
 * Run: npx tsx examples/juggler-generations.ts
 * Prints: 0.5 sees 0
 * Prints: 0.6 sees 0
 * Prints: 0.7 sees 0
 * Prints: 0.5 made it 1
 * Prints: 0.6 made it 11
 * Prints: 0.7 made it 111
 * Prints: 0.5, 0.6 and 0.7 see 111
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema, Stream } from "effect"
import { JugglerClient, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { createServer } from "node:http"

const Counter = Schema.Struct({ counter: Schema.Finite })
class Actions extends RpcGroup.make(
  Rpc.make("increment", { payload: { by: Schema.Finite }, success: Schema.Finite })
) {}

const generations = Object.values(JugglerGeneration.all)
const pathOf = (generation: JugglerGeneration.Generation) => `/${generation.name}` as const

const Routes = Layer.unwrap(Effect.gen(function*() {
  const state = yield* JugglerState.make({ schema: Counter, initial: { counter: 0 } })
  const Handlers = Actions.toLayer({
    increment: ({ by }) =>
      Effect.orDie(Effect.gen(function*() {
        yield* state.update((draft) => {
          draft.counter += by
        })
        return (yield* state.get).counter
      }))
  })
  const [first, ...rest] = generations.map((generation) =>
    JugglerServer.layerHttp(Actions, { path: pathOf(generation), generation, state, autoflush: "10 millis" })
  )
  return Layer.provide(Layer.mergeAll(first!, ...rest), Handlers)
}))

const program = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const port = address._tag === "UnixPathAddress" ? 0 : address.port
  const clients = yield* Effect.forEach(generations, (generation) =>
    Effect.gen(function*() {
      const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}${pathOf(generation)}`)
      const client = yield* JugglerClient.fromSocket(socket, { generation, state: Counter, requests: Actions })
      yield* Console.log(`${generation.name} sees ${(yield* client.state.get).counter}`)
      return client
    }))
  for (const [i, client] of clients.entries()) {
    const counter = yield* client.requests.increment({ by: 10 ** i })
    yield* Console.log(`${generations[i]!.name} made it ${counter}`)
  }
  for (const client of clients) {
    yield* Stream.runDrain(client.state.changes.pipe(Stream.takeUntil(({ counter }) => counter === 111)))
  }
  yield* Console.log("0.5, 0.6 and 0.7 see 111")
})

program.pipe(
  Effect.scoped,
  Effect.provide(
    HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0 }))
    )
  ),
  NodeRuntime.runMain
)
