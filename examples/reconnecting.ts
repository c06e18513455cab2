/**
 * A connection that is lost and comes back: what was under way fails at once and says whether it may have been executed,
 * what is idempotent is sent again by itself, what comes later waits for the new connection.
 *
 * Run: npx tsx examples/reconnecting.ts
 * Prints: connection: Open, Lost, Dialling, Open
 * Prints: pay failed: it may have been executed: true
 * Prints: balance, sent again by itself: 100
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Fiber, Layer, Ref, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { RpcConnection } from "effect-wire/rpc"
import { MemorySocket, Reconnect } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"

class Bank extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Finite } }),
  Rpc.make("balance", { success: Schema.Finite }).annotate(JsonRpcClient.Idempotent, true)
) {}

/** How often the server was asked: the first connection answers nothing and is cut. */
class Asked extends Context.Service<Asked, Ref.Ref<number>>()("effect-wire/examples/reconnecting/Asked") {}

const firstTimeNever = Effect.gen(function*() {
  const asked = yield* Ref.updateAndGet(yield* Asked, (n) => n + 1)
  if (asked > 2) return
  const connection = yield* RpcConnection.current
  // the second request of the first connection pulls the plug
  if (asked === 2) yield* connection.outbox!.close(1012)
  return yield* Effect.never
})

const Handlers = Bank.toLayer(Effect.map(Asked, (asked) => ({
  pay: () => Effect.provideService(firstTimeNever, Asked, asked),
  balance: () => Effect.as(Effect.provideService(firstTimeNever, Asked, asked), 100)
})))

const App = Layer.merge(
  JsonRpcServer.layerSocketServer(Bank).pipe(Layer.provide(Handlers)),
  JsonRpcClient.layerSocket({ reconnect: Reconnect.schedule, whileDisconnected: "wait" })
).pipe(
  Layer.provide(MemorySocket.layer),
  Layer.provide(Layer.effect(Asked, Ref.make(0)))
)

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.make(Bank)
  const connection = yield* JsonRpcClient.JsonRpcClient
  yield* connection.connect

  const story = yield* connection.status.pipe(
    Stream.take(4),
    Stream.map((status) => status._tag),
    Stream.runCollect,
    Effect.forkChild({ startImmediately: true })
  )
  const payment = client.pay({ amount: 20 }).pipe(
    Effect.catchReason(
      "JsonRpcError",
      "ConnectionError",
      ({ maybeExecuted }) => Console.log(`pay failed: it may have been executed: ${maybeExecuted}`)
    )
  )
  const [, balance] = yield* Effect.all([payment, client.balance()], { concurrency: "unbounded" })
  yield* Console.log(`balance, sent again by itself: ${balance}`)
  yield* Console.log(`connection: ${(yield* Fiber.join(story)).join(", ")}`)
})

program.pipe(Effect.scoped, Effect.provide(App), NodeRuntime.runMain)
