/**
 * A flow: a film is put together when its parts are rendered, whoever renders them and whenever.
 *
 * Run: npx tsx examples/queue-flow.ts
 * Prints: part 1 is rendered
 * Prints: part 2 is rendered
 * Prints: part 3 is rendered
 * Prints: the film of 3 parts is put together
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Option, Schema } from "effect"
import { MessageQueue, Queue, QueueFlow } from "effect-wire/queue"

const Parts = Queue.make("parts", { payload: Schema.Int })
const Films = Queue.make("films", { payload: Schema.Struct({ parts: Schema.Int }) })

const program = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  const parts = yield* Parts.pushMany([1, 2, 3])
  yield* QueueFlow.push(Films, { parts: parts.length }, { after: parts })

  const renderer = yield* Parts.consume((part) => Console.log(`part ${part} is rendered`)).pipe(Effect.forkChild)
  const film = Option.getOrThrow(yield* Films.pull({ wait: "30 seconds" }))
  yield* Console.log(`the film of ${film.payload.parts} parts is put together`)
  yield* queue.ack(film.message)
  yield* Fiber.interrupt(renderer)
})

program.pipe(
  Effect.provide(QueueFlow.layer.pipe(Layer.provideMerge(MessageQueue.layerMemory()))),
  NodeRuntime.runMain
)
