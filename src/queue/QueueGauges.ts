/**
 * Gauges of queues, for the process that watches them: how deep they are, what is in flight, how old the oldest is. What
 * workers measure is in `QueueMetrics`.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { MessageQueue } from "./MessageQueue.ts"

/**
 * Messages of a `queue` by `status`, as {@link layer} looks at them.
 *
 * @category metrics
 * @since 0.2.0
 */
export const depth: Metric.Gauge<number> = Metric.gauge("effect_wire_queue_messages", {
  description: "Messages by queue and status: pending is the depth, processing what is in flight"
})

/**
 * Seconds since the oldest pending message of a `queue` was pushed; 0 where none waits. By this process's clock.
 *
 * @category metrics
 * @since 0.2.0
 */
export const age: Metric.Gauge<number> = Metric.gauge("effect_wire_queue_oldest_seconds", {
  description: "Age of the oldest pending message"
})

/**
 * Looks at these queues every `interval` (default 15 seconds) and sets {@link depth} and {@link age}. Counting costs what
 * `MessageQueue.counts` costs: one process of a cluster is enough.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: {
  readonly queues: ReadonlyArray<string>
  readonly interval?: Duration.Input | undefined
}): Layer.Layer<never, never, MessageQueue> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const queue = yield* MessageQueue
    const look = Effect.fnUntraced(function*(name: string) {
      const counts = yield* queue.counts({ node: name })
      for (const [status, count] of Object.entries(counts)) {
        yield* Metric.update(Metric.withAttributes(depth, { queue: name, status }), count)
      }
      const { messages } = yield* queue.list({ node: name, status: "pending", limit: 1 })
      const now = yield* Clock.currentTimeMillis
      const oldest = messages[0]?.createdAt.epochMilliseconds ?? now
      yield* Metric.update(Metric.withAttributes(age, { queue: name }), Math.max(0, now - oldest) / 1000)
    })
    const all = Effect.catch(
      Effect.forEach(options.queues, look, { discard: true }),
      (error) => Effect.logWarning("QueueMetrics: the queues could not be looked at", error.message)
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(all, Effect.sleep(options.interval ?? "15 seconds"))))
  }))
