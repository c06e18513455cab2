import { assert, describe, it } from "@effect/vitest"
import { Clock as EffectClock, Effect, Fiber, Layer, Metric, Option, References } from "effect"
import { MessageQueue, MessageQueueError, QueueMetrics } from "effect-wire/queue"
import { TestClock } from "effect/testing"
import { recurringSuite } from "./recurringSuite.ts"
import { layerTestClock, suite } from "./suite.ts"
import { typedSuite } from "./typedSuite.ts"

describe("MessageQueue", () => {
  suite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
  typedSuite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
  recurringSuite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
})

describe("consume", () => {
  it.effect("waits briefly after each failure, however many came before, once it has succeeded between", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const down = MessageQueueError.fail(
        new MessageQueueError.QueueUnavailable({ operation: "pull", uncertain: true, cause: "down" })
      )
      const waits: Array<number> = []
      let failedAt: number | undefined
      const flaky = MessageQueue.MessageQueue.of({
        ...queue,
        pullMany: () =>
          Effect.flatMap(EffectClock.currentTimeMillis, (now) => {
            if (failedAt === undefined) {
              failedAt = now
              return down
            }
            waits.push(now - failedAt)
            failedAt = undefined
            return Effect.succeed([])
          })
      })
      const worker = yield* MessageQueue.consume("jobs", () => Effect.void).pipe(
        Effect.provideService(MessageQueue.MessageQueue, flaky),
        Effect.provideService(References.MinimumLogLevel, "None"),
        Effect.forkChild
      )
      while (waits.length < 12) yield* TestClock.adjust("10 millis")
      yield* Fiber.interrupt(worker)
      assert.isTrue(waits.every((millis) => millis > 0 && millis <= 100), `${waits}`)
    }).pipe(Effect.provide(MessageQueue.layerMemory())))
})

describe("QueueMetrics", () => {
  it.effect("count what is pushed, pulled, settled, lost, refused", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      yield* queue.push("bb", "x")
      const delivery = Option.getOrThrow(yield* queue.pull("bb"))
      yield* queue.ack(delivery)
      yield* Effect.exit(queue.ack(delivery))
      yield* Effect.exit(queue.push("bb", "x".repeat(11)))
      const count = (metric: typeof QueueMetrics.pushed) =>
        Effect.map(Metric.value(metric), ({ count }) => Number(count))
      assert.strictEqual(yield* count(QueueMetrics.pushed), 1)
      assert.strictEqual(yield* count(QueueMetrics.pulled), 1)
      assert.strictEqual(yield* count(Metric.withAttributes(QueueMetrics.settled, { word: "ack" })), 1)
      assert.strictEqual(yield* count(Metric.withAttributes(QueueMetrics.settled, { word: "lost" })), 1)
      assert.strictEqual(yield* count(QueueMetrics.tooLarge), 1)
    }).pipe(
      Effect.provide(MessageQueue.layerMemory({ maxPayload: 10 })),
      Effect.provideService(Metric.MetricRegistry, new Map())
    ))
})
