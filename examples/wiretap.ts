/**
 * What went over a wire, recorded by a proxy that neither end knows of, and played again against two versions of the
 * server: what the new one says differently is told place by place. Secrets never reach the recording.
 *
 * Run: npx tsx examples/wiretap.ts
 * Prints: client {"jsonrpc":"2.0","id":1,"method":"login","params":"***"}
 * Prints: server {"jsonrpc":"2.0","result":"welcome anna","id":1}
 * Prints: client {"jsonrpc":"2.0","id":2,"method":"total","params":{"prices":[19.99,5]}}
 * Prints: server {"jsonrpc":"2.0","result":24.99,"id":2}
 * Prints: this version: 0 differences
 * Prints: the next version: answer 2: /result: expected 24.99, got 25
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Ref, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Recording, Replay, Wiretap } from "effect-wire/wiretap"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"

class Till extends RpcGroup.make(
  Rpc.make("login", { payload: { user: Schema.String, pin: Schema.String }, success: Schema.String }),
  Rpc.make("total", { payload: { prices: Schema.Array(Schema.Finite) }, success: Schema.Finite })
) {}

const urlOf = ({ address }: SocketServer.SocketServer["Service"]) =>
  address._tag === "UnixPathAddress" ? "" : `ws://127.0.0.1:${address.port}`

/** One version of the server; gives its URL. */
const serve = (sum: (prices: ReadonlyArray<number>) => number) =>
  Layer.build(
    JsonRpcServer.layerSocketServer(Till).pipe(
      Layer.provide(Till.toLayer({
        login: ({ user }) => Effect.succeed(`welcome ${user}`),
        total: ({ prices }) => Effect.succeed(sum(prices))
      })),
      Layer.provideMerge(Layer.fresh(NodeWebSocketServer.layer()))
    )
  ).pipe(Effect.map((context) => urlOf(Context.get(context, SocketServer.SocketServer))))

const plus = (prices: ReadonlyArray<number>) => prices.reduce((a, b) => a + b, 0)

/** A client that knows nothing of the proxy. */
const customer = Effect.gen(function*() {
  const till = yield* JsonRpcClient.make(Till)
  yield* till.login({ user: "anna", pin: "1234" })
  yield* till.total({ prices: [19.99, 5] })
})

const program = Effect.gen(function*() {
  const [old, next] = [yield* serve(plus), yield* serve((prices) => Math.round(plus(prices)))]

  const lines = yield* Ref.make("")
  const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
  const front = yield* NodeWebSocketServer.make()
  yield* Effect.forkScoped(
    Wiretap.proxy(front, () => NodeWebSocket.make(old)).pipe(Effect.provideService(Wiretap.Wiretap, tap))
  )
  yield* Effect.scoped(Effect.provide(
    customer,
    JsonRpcClient.layerSocket().pipe(Layer.provide(NodeWebSocket.layer(urlOf(front))))
  ))
  yield* tap.flush
  const recording = yield* Effect.flatMap(Ref.get(lines), Recording.parse)
  for (const event of recording.events) {
    if (event.type === "frame" && "text" in event) yield* Console.log(event.from, event.text)
  }

  const dial = { old: yield* NodeWebSocket.make(old), next: yield* NodeWebSocket.make(next) }
  // the login was hidden, so somebody has to put it back
  const prepare = (frame: string) => frame.replace("\"***\"", "{\"user\":\"anna\",\"pin\":\"1234\"}")
  const same = yield* Replay.client(recording, () => dial.old, { prepare })
  yield* Console.log(`this version: ${same.differences.length} differences`)
  const changed = yield* Replay.client(recording, () => dial.next, { prepare })
  for (const { deviations, message } of changed.differences) {
    for (const { actual, expected, path } of deviations) {
      yield* Console.log(`the next version: ${message}: ${path}: expected ${expected}, got ${actual}`)
    }
  }
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
