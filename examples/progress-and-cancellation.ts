/**
 * A long request: its progress while it runs, and its end when the caller no longer wants it. Interrupting the call, here
 * by a timeout, interrupts the handler at the other end.
 *
 * Run: npx tsx examples/progress-and-cancellation.ts
 * Prints:   75% tile 3 of 4
 * Prints: the image is teapot.png
 * Prints: the server stopped at tile 2
 * Prints: nobody waits for the image any more
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Progress } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"

class Renderer extends RpcGroup.make(
  Rpc.make("render", {
    payload: { scene: Schema.String, tiles: Schema.Int, delay: Schema.Finite },
    success: Schema.String
  })
) {}

const Handlers = Renderer.toLayer({
  render: Effect.fnUntraced(function*({ delay, scene, tiles }) {
    for (let tile = 1; tile <= tiles; tile++) {
      yield* Effect.sleep(delay).pipe(Effect.onInterrupt(() => Console.log(`the server stopped at tile ${tile}`)))
      yield* Progress.report({ operation: `tile ${tile} of ${tiles}`, amount: tile / tiles })
    }
    return `${scene}.png`
  })
})

const Server = JsonRpcServer.layerSocketServer(Renderer, { wire: Wire.rockets }).pipe(
  Layer.provide(Handlers),
  Layer.provideMerge(NodeWebSocketServer.layer())
)

const Client = JsonRpcClient.layerSocket({ wire: Wire.rockets }).pipe(
  Layer.provide(NodeWebSocket.layerFromServer())
)

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.make(Renderer)

  const image = yield* client.render({ scene: "teapot", tiles: 4, delay: 20 }).pipe(
    Progress.tap(({ amount, operation }) => Console.log(`${`${amount * 100}%`.padStart(5)} ${operation}`))
  )
  yield* Console.log(`the image is ${image}`)

  yield* client.render({ scene: "city", tiles: 100, delay: 200 }).pipe(
    Effect.timeout("300 millis"),
    Effect.catchTag("TimeoutError", () => Console.log("nobody waits for the image any more"))
  )
  yield* Effect.sleep("100 millis")
})

program.pipe(Effect.scoped, Effect.provide(Client.pipe(Layer.provideMerge(Server))), NodeRuntime.runMain)
