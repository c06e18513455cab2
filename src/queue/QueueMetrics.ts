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
export const pushed: Metric.Counter<number> = Metric.counter("effect_wire_queue_pushed", {
  description: "Messages pushed by this process",
  incremental: true
})

/**
 * Messages pulled.
 *
 * @category metrics
 * @since 0.1.0
 */
export const pulled: Metric.Counter<number> = Metric.counter("effect_wire_queue_pulled", {
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
export const settled: Metric.Counter<number> = Metric.counter("effect_wire_queue_settled", {
  description: "What holders said about their messages",
  incremental: true
})

/**
 * Pushes refused because their payload was over the limit.
 *
 * @category metrics
 * @since 0.1.0
 */
export const tooLarge: Metric.Counter<number> = Metric.counter("effect_wire_queue_too_large", {
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
export const rounds: Metric.Counter<number> = Metric.counter("effect_wire_queue_rounds", {
  description: "Rounds of grouped operations",
  incremental: true
})
