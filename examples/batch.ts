/**
 * Many calls in one frame: their results by position, a `Result` for each where some may fail, and their common progress.
 *
 * Run: npx tsx examples/batch.ts
 * Prints: 3 and HELLO came in 1 frame
 * Prints: 1 / 2 = 0.5; 1 / 0: division by zero
 * Prints: 100 sums, the last is 100, in 1 frame
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Ref, Result, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"

class DivisionByZero extends Schema.TaggedError<DivisionByZero>()(
  "DivisionByZero",
  {},
  JsonRpcError.wire({ code: -32010, message: "division by zero" })
) {}

class Calculator extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("upper", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("divide", {
    payload: { a: Schema.Finite, b: Schema.Finite },
    success: Schema.Finite,
    error: DivisionByZero
  })
) {}

const Handlers = Calculator.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  upper: ({ text }) => Effect.succeed(text.toUpperCase()),
  divide: ({ a, b }) => b === 0 ? Effect.fail(new DivisionByZero()) : Effect.succeed(a / b)
})

const App = Layer.merge(
  JsonRpcServer.layerSocketServer(Calculator).pipe(Layer.provide(Handlers)),
  JsonRpcClient.layerSocket()
).pipe(Layer.provide(MemorySocket.layer))

const program = Effect.gen(function*() {
  const client = yield* JsonRpcClient.make(Calculator)
  const frames = yield* Ref.make(0)
  const connection = yield* JsonRpcClient.JsonRpcClient
  yield* connection.frames.pipe(
    Stream.runForEach(() => Ref.update(frames, (n) => n + 1)),
    Effect.forkScoped({ startImmediately: true })
  )
  const received = Effect.map(Effect.delay(Ref.getAndSet(frames, 0), "10 millis"), (n) => `in ${n} frame`)

  // typed by position: a number and a text
  const [sum, shout] = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.upper({ text: "hello" })])
  yield* Console.log(`${sum} and ${shout} came ${yield* received}`)

  // one failure does not fail the rest
  const [half, none] = yield* JsonRpcClient.batch([client.divide({ a: 1, b: 2 }), client.divide({ a: 1, b: 0 })], {
    mode: "result"
  })
  yield* received
  if (Result.isSuccess(half) && Result.isFailure(none)) {
    yield* Console.log(`1 / 2 = ${half.success}; 1 / 0: division by zero`)
  }

  const sums = yield* JsonRpcClient.batch(Array.from({ length: 100 }, (_, i) => client.add({ a: i, b: 1 })))
  yield* Console.log(`${sums.length} sums, the last is ${sums[99]}, ${yield* received}`)
})

program.pipe(Effect.scoped, Effect.provide(App), NodeRuntime.runMain)
