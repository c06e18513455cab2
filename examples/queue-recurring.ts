/**
 * A message that comes every second, pushed once although two processes fire it; and what comes when nobody ran for a while.
 *
 * Run: npx tsx examples/queue-recurring.ts
 * Prints: three firings, each once: true
 * Prints: after a pause of 3 seconds: the latest of those that were missed, and the next 1 s after it
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Effect, Fiber, Schema } from "effect"
import { MessageQueue, Queue, Recurring } from "effect-wire/queue"

const Reports = Queue.make("reports", {
  payload: Schema.Struct({ at: Schema.DateTimeUtcFromString })
})

/** The layer of each process; here the effect, so that it can be stopped. */
const everySecond = Recurring.run("heartbeat report", {
  cron: "* * * * * *",
  timeZone: "Europe/Berlin",
  missed: "latest",
  queue: Reports,
  payload: ({ at }) => ({ at })
})

const program = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  const next = Effect.gen(function*() {
    const [delivery] = yield* Reports.pullMany({ max: 1, wait: "5 seconds" })
    yield* queue.ack(delivery!.message)
    return delivery!.payload
  })

  const processes = [yield* Effect.forkChild(everySecond), yield* Effect.forkChild(everySecond)]
  const three = [yield* next, yield* next, yield* next].map(({ at }) => DateTime.toEpochMillis(at))
  yield* Console.log(`three firings, each once: ${three.every((at, n) => at === three[0]! + n * 1000)}`)

  yield* Fiber.interruptAll(processes)
  yield* Effect.sleep("3 seconds")
  const again = yield* Effect.forkChild(everySecond)
  const missed = yield* next
  const gap = DateTime.toEpochMillis((yield* next).at) - DateTime.toEpochMillis(missed.at)
  yield* Console.log(
    `after a pause of 3 seconds: the latest of those that were missed, and the next ${gap / 1000} s after it`
  )
  yield* Fiber.interrupt(again)
})

program.pipe(Effect.provide(MessageQueue.layerMemory()), NodeRuntime.runMain)
