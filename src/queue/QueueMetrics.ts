/**
 * What queues in this process count.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * Messages pushed.
 *
 * @category metrics
 * @since 0.1.0
 */
export const pushed: Metric.Counter<number> = Metric.counter("effect_wire_queue_pushed_total", {
  description: "Messages pushed by this process",
  incremental: true
})

/**
 * Messages pulled.
 *
 * @category metrics
 * @since 0.1.0
 */
export const pulled: Metric.Counter<number> = Metric.counter("effect_wire_queue_pulled_total", {
  description: "Messages pulled by this process",
  incremental: true
})

/**
 * Words of holders about their messages; `word` is `ack`, `nack`, `reject`, `extend`, `release`, or `lost` for those whose
 * lease was lost.
 *
 * @category metrics
 * @since 0.1.0
 */
export const settled: Metric.Counter<number> = Metric.counter("effect_wire_queue_settled_total", {
  description: "What holders said about their messages",
  incremental: true
})

/**
 * Pushes refused because their payload was over the limit.
 *
 * @category metrics
 * @since 0.1.0
 */
export const tooLarge: Metric.Counter<number> = Metric.counter("effect_wire_queue_too_large_total", {
  description: "Pushes refused because of the size of their payload",
  incremental: true
})

/**
 * Transactions, or rounds of statements, that several operations shared; beside the operations they say how much is
 * grouped.
 *
 * @category metrics
 * @since 0.1.0
 */
export const rounds: Metric.Counter<number> = Metric.counter("effect_wire_queue_rounds_total", {
  description: "Rounds of grouped operations",
  incremental: true
})

const durations = Metric.boundariesFromIterable([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 3600])

/**
 * Seconds from when a message could be pulled to its first pull, by `queue`; workers of typed queues measure it.
 *
 * @category metrics
 * @since 0.2.0
 */
export const waited: Metric.Histogram<number> = Metric.histogram("effect_wire_queue_wait_seconds", {
  description: "Time from the push, or the time it was scheduled for, to the first pull",
  boundaries: durations
})

/**
 * Seconds that handlers took, by `queue`; workers of typed queues measure it.
 *
 * @category metrics
 * @since 0.2.0
 */
export const handled: Metric.Histogram<number> = Metric.histogram("effect_wire_queue_handler_seconds", {
  description: "Time that a handler took for one try",
  boundaries: durations
})

/**
 * The number of the try of each run of a handler, by `queue`; workers of typed queues count it.
 *
 * @category metrics
 * @since 0.2.0
 */
export const tries: Metric.Histogram<number> = Metric.histogram("effect_wire_queue_tries", {
  description: "The number of the try",
  boundaries: [1, 2, 3, 5, 8, 13, 20]
})

/** @internal The metrics of the workers of one queue. */
export const of = (queue: string) => ({
  waited: Metric.withAttributes(waited, { queue }),
  duration: Metric.withAttributes(handled, { queue }),
  tries: Metric.withAttributes(tries, { queue })
})
