import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Option } from "effect"
import { MessageQueue, QueueMetrics } from "effect-wire/queue"
import { recurringSuite } from "./recurringSuite.ts"
import { layerTestClock, suite } from "./suite.ts"
import { typedSuite } from "./typedSuite.ts"

describe("MessageQueue", () => {
  suite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
  typedSuite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
  recurringSuite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
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
