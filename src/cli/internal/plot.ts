/**
 * Latencies as numbers and as a picture that fits a terminal.
 */

/** Each bucket is so much wider than the one before: what is told is right to half of that. */
const growth = 1.01
const step = Math.log(growth)
/** Milliseconds below which nothing is told apart. */
const least = 0.001

/**
 * Counts latencies in buckets that grow with them, so that a load of any length costs the same few kilobytes.
 *
 * @internal
 */
export class Histogram {
  private readonly buckets: Array<number> = []
  count = 0
  sum = 0
  min = Infinity
  max = 0

  add(millis: number): void {
    const index = Math.max(0, Math.floor(Math.log(Math.max(millis, least) / least) / step))
    this.buckets[index] = (this.buckets[index] ?? 0) + 1
    this.count++
    this.sum += millis
    if (millis < this.min) this.min = millis
    if (millis > this.max) this.max = millis
  }

  /** The latency that so much (0 to 1) of the calls did not exceed, in milliseconds. */
  percentile(part: number): number {
    if (this.count === 0) return 0
    const rank = Math.max(1, Math.ceil(part * this.count))
    let seen = 0
    for (const [index, n] of this.buckets.entries()) {
      seen += n ?? 0
      if (seen >= rank) return Math.min(this.max, Math.max(this.min, least * Math.exp((index + 0.5) * step)))
    }
    return this.max
  }

  /** How many calls took from one latency to another, in as many columns, each so much wider than the one before. */
  columns(from: number, to: number, count: number): ReadonlyArray<number> {
    const columns = Array.from({ length: count }, () => 0)
    const [low, high] = [Math.log(from), Math.log(to)]
    for (const [index, n] of this.buckets.entries()) {
      if (n === undefined) continue
      const at = Math.log(least) + (index + 0.5) * step
      const column = Math.floor((at - low) / (high - low) * count)
      columns[Math.min(count - 1, Math.max(0, column))]! += n
    }
    return columns
  }
}

/**
 * A latency with its unit, in three digits.
 *
 * @internal
 */
export const latency = (millis: number): string => {
  const [value, unit] = millis >= 1000 ? [millis / 1000, "s"] : millis >= 1 ? [millis, "ms"] : [millis * 1000, "µs"]
  return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`
}

const eighths = " ▁▂▃▄▅▆▇█"

/**
 * Values as one line of bars, from nothing to the largest.
 *
 * @internal
 */
export const spark = (values: ReadonlyArray<number>): string => {
  const most = Math.max(1, ...values)
  return values.map((value) => eighths[Math.round(value / most * 8)]!).join("")
}

/**
 * The distribution of latencies: how many calls took how long. The axis is logarithmic, as latencies are.
 *
 * @internal
 */
export const plot = (histogram: Histogram, options: { readonly width: number; readonly height: number }): string => {
  if (histogram.count === 0) return ""
  const { height, width } = options
  const from = Math.max(least, histogram.min) * 0.9
  const to = Math.max(histogram.max, from * 2) * 1.1
  const columns = histogram.columns(from, to, width)
  const most = Math.max(...columns)
  const label = String(most)
  const lines: Array<string> = []
  for (let row = height - 1; row >= 0; row--) {
    const cells = columns.map((n) => {
      const filled = Math.round(n / most * height * 8) - row * 8
      // a column that is not empty is seen
      return eighths[Math.min(8, Math.max(row === 0 && n > 0 ? 1 : 0, filled))]!
    })
    lines.push(
      `${(row === height - 1 ? label : row === 0 ? "0" : "").padStart(label.length)} ┤${cells.join("").trimEnd()}`
    )
  }
  const marks = [0, 0.5, 1].map((part) => latency(Math.exp(Math.log(from) + part * (Math.log(to) - Math.log(from)))))
  const gap = (text: string, length: number) => " ".repeat(Math.max(1, length - text.length))
  const [first, middle, last] = marks as [string, string, string]
  const half = Math.floor(width / 2)
  lines.push(`${" ".repeat(label.length)} └${"─".repeat(width)}`)
  lines.push(
    `${" ".repeat(label.length + 2)}${first}${gap(first, half - middle.length / 2)}${middle}${
      gap(middle, half + middle.length / 2 - last.length)
    }${last}`
  )
  return lines.join("\n")
}
