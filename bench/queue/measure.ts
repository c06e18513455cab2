// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** Runs something for a while and counts. */
export interface Rate {
  readonly perSecond: number
}

/** Calls per second of `workers` loops side by side; `f` says how many it did. */
export const rate = async (workers: number, f: () => Promise<number>, seconds = 1): Promise<number> => {
  const loop = async (end: number): Promise<number> => {
    let count = 0
    while (performance.now() < end) count += await f()
    return count
  }
  await loop(performance.now() + seconds * 200)
  const start = performance.now()
  const counts = await Promise.all(Array.from({ length: workers }, () => loop(start + seconds * 1000)))
  return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - start) / 1000)
}

/** Microseconds of single calls: the median and the 99th percentile. */
export const latency = async (f: () => Promise<unknown>, count = 400): Promise<readonly [p50: number, p99: number]> => {
  for (let index = 0; index < 30; index++) await f()
  const times: Array<number> = []
  for (let index = 0; index < count; index++) {
    const start = performance.now()
    await f()
    times.push((performance.now() - start) * 1000)
  }
  times.sort((a, b) => a - b)
  return [times[Math.floor(count * 0.5)]!, times[Math.floor(count * 0.99)]!]
}

/** Microseconds of processor time of this process for one call: what a busy machine disturbs least. */
export const cpuOf = async (f: () => Promise<unknown>, count = 500): Promise<number> => {
  for (let index = 0; index < 100; index++) await f()
  const start = process.cpuUsage()
  for (let index = 0; index < count; index++) await f()
  const { system, user } = process.cpuUsage(start)
  return (system + user) / count
}

export const k = (perSecond: number | undefined): string =>
  perSecond === undefined
    ? "-"
    : perSecond >= 10_000
    ? `${(perSecond / 1000).toFixed(1)} k`
    : perSecond >= 1000
    ? `${(perSecond / 1000).toFixed(2)} k`
    : perSecond.toFixed(0)

/** Prints rows under a head, in columns. */
export const table = (title: string, head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)))
  console.log(`\n${title}`)
  for (const row of all) {
    console.log(
      "  " +
        row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)).join("  ")
    )
  }
}
