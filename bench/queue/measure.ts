// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Calls per second of `workers` loops side by side, of each of several: in short slices, by turns, so that what else the
 * machine does disturbs all of them alike. The median of the slices. `f` says how many it did.
 */
export const rates = async (
  workers: number,
  all: ReadonlyArray<(() => Promise<number>) | undefined>,
  seconds = 1,
  slices = 7
): Promise<ReadonlyArray<number | undefined>> => {
  const loop = async (f: () => Promise<number>, end: number): Promise<number> => {
    let count = 0
    while (performance.now() < end) count += await f()
    return count
  }
  const slice = async (f: () => Promise<number>): Promise<number> => {
    const start = performance.now()
    const end = start + seconds * 1000 / slices
    const counts = await Promise.all(Array.from({ length: workers }, () => loop(f, end)))
    return counts.reduce((sum, count) => sum + count, 0) / ((performance.now() - start) / 1000)
  }
  const found = all.map((): Array<number> => [])
  for (let round = -1; round < slices; round++) {
    for (const [index, f] of all.entries()) {
      if (f === undefined) continue
      const perSecond = await slice(f)
      // The first is for warming up.
      if (round >= 0) found[index]!.push(perSecond)
    }
  }
  return found.map((some) => some.sort((a, b) => a - b)[Math.floor(some.length / 2)])
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

/** Microseconds of processor time of this process for one of what `f` counts: what a busy machine disturbs least. */
export const cpuOf = async (f: () => Promise<number>, count = 3000): Promise<number> => {
  // Warm, where a disk does not make that long.
  const warm = performance.now() + 1000
  for (let done = 0; done < count * 3 && performance.now() < warm;) done += await f()
  const some: Array<number> = []
  for (let round = 0; round < 7; round++) {
    const start = process.cpuUsage()
    let done = 0
    while (done < count / 7) done += await f()
    const { system, user } = process.cpuUsage(start)
    some.push((system + user) / done)
  }
  return some.sort((a, b) => a - b)[3]!
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
