/**
 * A producer and workers in one process: eight handlers at once, a message that fails twice before it succeeds, and one that
 * never does and is put aside with its cause.
 *
 * Run: npx tsx examples/queue-workers.ts
 * Prints: rendered unsteady, try 3
 * Prints: put aside: broken after 3 tries (RenderFailed: this tile cannot be rendered)
 * Prints: redriven: 1
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Schedule, Schema } from "effect"
import { MessageQueue } from "effect-wire/queue"

const renderer = "aa01"

class RenderFailed extends Schema.TaggedError<RenderFailed>()("RenderFailed", { message: Schema.String }) {}

const program = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue

  const workers = yield* MessageQueue.consume(renderer, (message) =>
    Effect.gen(function*() {
      const tile = message.payload.value
      yield* Effect.sleep("20 millis")
      if (tile === "unsteady" && message.tries < 3) {
        return yield* new RenderFailed({ message: `try ${message.tries} failed` })
      }
      if (tile === "broken") return yield* new RenderFailed({ message: "this tile cannot be rendered" })
      yield* Console.log(`rendered ${tile}, try ${message.tries}`)
    }), { concurrency: 8, maxTries: 3, backoff: Schedule.exponential("50 millis") }).pipe(Effect.forkChild)

  for (const tile of ["sky", "sea", "unsteady", "sand", "broken", "sun"]) yield* queue.push(renderer, tile)

  const settled = Effect.map(queue.counts(), ({ dead, processed }) => dead + processed === 6)
  yield* Effect.repeat(Effect.delay(settled, "50 millis"), { until: (done) => done })
  yield* Fiber.interrupt(workers)

  const { messages } = yield* queue.list({ status: "dead" })
  for (const { error, payload, tries } of messages) {
    yield* Console.log(`put aside: ${payload.value} after ${tries} tries (${error})`)
  }
  yield* Console.log(`redriven: ${yield* queue.redrive({ node: renderer })}`)
})

program.pipe(Effect.provide(MessageQueue.layerMemory()), NodeRuntime.runMain)
