import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import * as RpcMetrics from "../RpcMetrics.ts"

/** What is counted of one method. */
class MethodCounts {
  private readonly name: string
  private readonly context: Context.Context<never>
  private readonly outcomes = new Map<RpcMetrics.Outcome, { count: number }>()
  private readonly buckets = RpcMetrics.boundaries.map(() => 0)
  private succeeded: { count: number } | undefined
  private count = 0
  private sum = 0
  private min = Number.MAX_VALUE
  private max = -Number.MAX_VALUE

  constructor(name: string, context: Context.Context<never>) {
    this.name = name
    this.context = context
    Metric.registerUnsafe(Metric.withAttributes(RpcMetrics.duration, { method: name }), context, {
      get: () => ({ buckets: this.cumulated(), count: this.count, sum: this.sum, min: this.min, max: this.max }),
      update: () => {},
      modify: () => {}
    })
  }

  add(outcome: RpcMetrics.Outcome, seconds: number): void {
    this.count++
    if (seconds < this.min) this.min = seconds
    if (seconds > this.max) this.max = seconds
    if (seconds <= RpcMetrics.boundaries[0]!) {
      this.buckets[0]!++
    } else {
      const bucket = RpcMetrics.boundaries.findIndex((boundary) => seconds <= boundary)
      if (bucket >= 0) this.buckets[bucket]!++
    }
    this.sum += seconds
    if (outcome === "success") (this.succeeded ??= this.series(outcome)).count++
    else this.series(outcome).count++
  }

  private cumulated(): ReadonlyArray<[number, number]> {
    let total = 0
    return RpcMetrics.boundaries.map((boundary, i) => [boundary, total += this.buckets[i]!])
  }

  private series(outcome: RpcMetrics.Outcome): { count: number } {
    const existing = this.outcomes.get(outcome)
    if (existing !== undefined) return existing
    const series = { count: 0 }
    this.outcomes.set(outcome, series)
    Metric.registerUnsafe(Metric.withAttributes(RpcMetrics.requests, { method: this.name, outcome }), this.context, {
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
    Metric.registerUnsafe(RpcMetrics.inFlight, context, {
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
