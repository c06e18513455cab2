/**
 * What the engine counts, for every wire. The counts are plain numbers that the metric registry reads when somebody asks
 * for them, so that counting costs a request next to nothing; names of methods are those of contracts, never those that a
 * peer chose.
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * How a request ended. `failure` is an error that the contract declares, `invalid` are parameters that do not fit,
 * `interrupted` a cancel or a connection that closed, `defect` everything unexpected, `refused` a request for which its
 * connection had no room.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "success" | "failure" | "invalid" | "interrupted" | "defect" | "refused"

/**
 * Requests and notifications that ended, by `method` and `outcome` (see {@link Outcome}).
 *
 * @category metrics
 * @since 0.1.0
 */
export const requests: Metric.Counter<number> = Metric.counter("effect_wire_rpc_requests_total", {
  description: "Requests that ended, by method and outcome",
  incremental: true
})

/**
 * Requests and notifications that run or wait their turn now, of all connections.
 *
 * @category metrics
 * @since 0.1.0
 */
export const inFlight: Metric.Gauge<number> = Metric.gauge("effect_wire_rpc_in_flight", {
  description: "Requests that run or wait their turn now"
})

/** @internal */
export const boundaries = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]

/**
 * Seconds from the arrival of a request to its end, waiting included, by `method`. What ends in the turn of the
 * event loop in which it arrived counts as 0.
 *
 * @category metrics
 * @since 0.1.0
 */
export const duration: Metric.Histogram<number> = Metric.histogram("effect_wire_rpc_duration_seconds", {
  description: "Seconds from the arrival of a request to its end, by method",
  attributes: { unit: "s" },
  boundaries
})
