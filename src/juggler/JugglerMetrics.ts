/**
 * What Juggler counts, by Effect's own metrics.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * Connections that this end closed because of the peer; `reason` is `protocol` (1002, 1003, 1007), `size` (1009),
 * `silence` (1001) or `slow_reader` (1013).
 *
 * @category metrics
 * @since 0.1.0
 */
export const closed: Metric.Counter<number> = Metric.counter("effect_wire_juggler_closed_total", {
  description: "Juggler connections closed because of the peer",
  incremental: true
})

/**
 * @category models
 * @since 0.1.0
 */
export type ClosedReason = "protocol" | "size" | "silence" | "slow_reader"

const reasons = new Map<number, ClosedReason>([[1009, "size"], [1001, "silence"], [1013, "slow_reader"]])

/**
 * {@link closed} for the reason that a close code stands for.
 *
 * @category metrics
 * @since 0.1.0
 */
export const closedFor = (code: number): Metric.Metric<number, Metric.CounterState<number>> =>
  Metric.withAttributes(closed, { reason: reasons.get(code) ?? "protocol" })
