/**
 * What carriers count. The counters of refusals and closes have the limit that was reached as their `reason`.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * Connections that exist now, of all servers.
 *
 * @category metrics
 * @since 0.1.0
 */
export const connections: Metric.Gauge<number> = Metric.gauge("effect_wire_socket_connections", {
  description: "Connections that servers hold now"
})

/**
 * Connections refused before they were upgraded; `reason` is `origin`, `connections`, `handshake` or `host`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const refused: Metric.Counter<number> = Metric.counter("effect_wire_socket_refused_total", {
  description: "Connections refused before the upgrade",
  incremental: true
})

/**
 * Connections closed by a limit; `reason` is `frame_size`, `fragments`, `invalid_frame`, `idle`,
 * `slow_reader`, `slow_sender`, `connection_budget` or `budget` (of the process).
 *
 * @category metrics
 * @since 0.1.0
 */
export const closed: Metric.Counter<number> = Metric.counter("effect_wire_socket_closed_total", {
  description: "Connections closed because a limit was reached",
  incremental: true
})

/**
 * @category models
 * @since 0.1.0
 */
export type RefusedReason = "origin" | "connections" | "handshake" | "host"

/**
 * @category models
 * @since 0.1.0
 */
export type ClosedReason =
  | "frame_size"
  | "fragments"
  | "invalid_frame"
  | "idle"
  | "slow_reader"
  | "slow_sender"
  | "connection_budget"
  | "budget"

/**
 * {@link refused} for one reason.
 *
 * @category metrics
 * @since 0.1.0
 */
export const refusedFor = (reason: RefusedReason): Metric.Metric<number, Metric.CounterState<number>> =>
  Metric.withAttributes(refused, { reason })

/**
 * {@link closed} for one reason.
 *
 * @category metrics
 * @since 0.1.0
 */
export const closedFor = (reason: ClosedReason): Metric.Metric<number, Metric.CounterState<number>> =>
  Metric.withAttributes(closed, { reason })
