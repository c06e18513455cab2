/** What samples of counters say: rates and percentiles of a span, not since the beginning. */
import type { Result } from "../contract.ts"

type Snapshot = Result<"dashboard.snapshot">
type Counts = Snapshot["methods"][number]

/** The figures of one method within a span. */
export interface Figures {
  readonly name: string
  /** Requests that ended, and errors among them, since the process started. */
  readonly total: number
  readonly totalErrors: number
  /** By second. */
  readonly rate: number
  readonly errorRate: number
  /** Milliseconds; `undefined` where nothing ended. */
  readonly p50: number | undefined
  readonly p99: number | undefined
}

const sum = (outcomes: Counts["outcomes"], which: (outcome: string) => boolean): number =>
  Object.entries(outcomes).reduce((total, [outcome, count]) => which(outcome) ? total + count : total, 0)

/** A cancelled request is none. */
const isError = (outcome: string): boolean => outcome !== "success" && outcome !== "interrupted"

const all = (): boolean => true

/**
 * The value below which a part of what was counted lies, between the bounds of its bucket in proportion. `buckets` are
 * pairs of an upper bound and how many there were up to it; what is above the last bound counts as that bound.
 */
export const percentile = (
  buckets: ReadonlyArray<readonly [number, number]>,
  count: number,
  part: number
): number | undefined => {
  if (count <= 0) return undefined
  const wanted = part * count
  let [lowerBound, lowerCount] = [0, 0]
  for (const [bound, upTo] of buckets) {
    if (upTo >= wanted) {
      const inside = upTo - lowerCount
      return inside <= 0 ? bound : lowerBound + (bound - lowerBound) * ((wanted - lowerCount) / inside)
    }
    lowerBound = bound
    lowerCount = upTo
  }
  return lowerBound
}

const none: Counts = { name: "", outcomes: {}, count: 0, buckets: [] }

const between = (before: Counts, after: Counts, seconds: number): Figures => {
  const buckets = after.buckets.map(([bound, count], i) => [bound, count - (before.buckets[i]?.[1] ?? 0)] as const)
  const count = after.count - before.count
  const total = sum(after.outcomes, all)
  const totalErrors = sum(after.outcomes, isError)
  return {
    name: after.name,
    total,
    totalErrors,
    rate: (total - sum(before.outcomes, all)) / seconds,
    errorRate: (totalErrors - sum(before.outcomes, isError)) / seconds,
    p50: percentile(buckets, count, 0.5),
    p99: percentile(buckets, count, 0.99)
  }
}

/** What each method did between two samples. */
export const byMethod = (before: Snapshot, after: Snapshot): ReadonlyArray<Figures> => {
  const seconds = Math.max(0.001, (after.now - before.now) / 1000)
  const earlier = new Map(before.methods.map((method) => [method.name, method]))
  return after.methods.map((method) => between(earlier.get(method.name) ?? none, method, seconds))
}

/** What all methods together did between two samples. */
export const together = (before: Snapshot, after: Snapshot): Figures =>
  between(added(before.methods), added(after.methods), Math.max(0.001, (after.now - before.now) / 1000))

const added = (methods: ReadonlyArray<Counts>): Counts => {
  const outcomes: Record<string, number> = {}
  const buckets: Array<[number, number]> = []
  let count = 0
  for (const method of methods) {
    count += method.count
    for (const [outcome, n] of Object.entries(method.outcomes)) outcomes[outcome] = (outcomes[outcome] ?? 0) + n
    method.buckets.forEach(([bound, n], i) => {
      if (buckets[i] === undefined) buckets[i] = [bound, n]
      else buckets[i][1] += n
    })
  }
  return { name: "", outcomes, count, buckets }
}
