/**
 * What the engine counts, for every wire. The counts are plain numbers that the metric registry reads when somebody asks
 * for them, so that counting costs a request next to nothing; names of methods are those of contracts, never those that a
 * peer chose.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
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
export const requests: Metric.Counter<number> = Metric.counter("effect_wire_rpc_requests", {
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

const boundaries = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]

/**
 * Milliseconds from the arrival of a request to its end, waiting included, by `method`. What ends in the turn of the
 * event loop in which it arrived counts as 0.
 *
 * @category metrics
 * @since 0.1.0
 */
export const duration: Metric.Histogram<number> = Metric.histogram("effect_wire_rpc_duration_ms", {
  description: "Milliseconds from the arrival of a request to its end, by method",
  boundaries
})

/** What is counted of one method. */
class MethodCounts {
  private readonly name: string
  private readonly context: Context.Context<never>
  private readonly outcomes = new Map<Outcome, { count: number }>()
  private readonly buckets = boundaries.map(() => 0)
  private succeeded: { count: number } | undefined
  private count = 0
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  constructor(name: string, context: Context.Context<never>) {
    this.name = name
    this.context = context
    Metric.registerUnsafe(Metric.withAttributes(duration, { method: name }), context, {
      get: () => ({ buckets: this.cumulated(), count: this.count, sum: this.sum, min: this.min, max: this.max }),
      update: () => {},
      modify: () => {}
    })
  }

  add(outcome: Outcome, ms: number): void {
    this.count++
    if (ms < this.min) this.min = ms
    if (ms > this.max) this.max = ms
    if (ms <= 1) {
      this.buckets[0]!++
    } else {
      const bucket = boundaries.findIndex((boundary) => ms <= boundary)
      if (bucket >= 0) this.buckets[bucket]!++
    }
    this.sum += ms
    if (outcome === "success") (this.succeeded ??= this.series(outcome)).count++
    else this.series(outcome).count++
  }

  private cumulated(): ReadonlyArray<[number, number]> {
    let total = 0
    return boundaries.map((boundary, i) => [boundary, total += this.buckets[i]!])
  }

  private series(outcome: Outcome): { count: number } {
    const existing = this.outcomes.get(outcome)
    if (existing !== undefined) return existing
    const series = { count: 0 }
    this.outcomes.set(outcome, series)
    Metric.registerUnsafe(Metric.withAttributes(requests, { method: this.name, outcome }), this.context, {
      get: () => ({ count: series.count, incremental: true }),
      update: () => {},
      modify: () => {}
    })
    return series
  }
}

/**
 * What is counted in one registry.
 *
 * @internal
 */
export class Counts {
  inFlight = 0
  private readonly context: Context.Context<never>
  private readonly methods = new Map<string, MethodCounts>()

  constructor(context: Context.Context<never>) {
    this.context = context
    Metric.registerUnsafe(inFlight, context, {
      get: () => ({ value: this.inFlight }),
      update: () => {},
      modify: () => {}
    })
  }

  of(method: string): MethodCounts {
    let counts = this.methods.get(method)
    if (counts === undefined) {
      counts = new MethodCounts(method, this.context)
      this.methods.set(method, counts)
    }
    return counts
  }
}

const all = new WeakMap<object, Counts>()

/**
 * The counts of the metric registry of a context.
 *
 * @internal
 */
export const countsOf = (context: Context.Context<never>): Counts => {
  const registry = Context.get(context, Metric.MetricRegistry)
  let counts = all.get(registry)
  if (counts === undefined) {
    counts = new Counts(Context.make(Metric.MetricRegistry, registry) as Context.Context<never>)
    all.set(registry, counts)
  }
  return counts
}
