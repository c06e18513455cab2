// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Calls per second of `workers` loops side by side, of each of several: in short slices, by turns, so that what else the
 * machine does disturbs all of them alike. The median of the slices. `f` says how many it did, and 0 ends its slice;
 * `refill` puts back, after each slice, what it took.
 */
export const rates = async (
  workers: number,
  all: ReadonlyArray<(() => Promise<number>) | undefined>,
  seconds = 1,
  slices = 7,
  refill?: ReadonlyArray<(count: number) => Promise<void>>
): Promise<ReadonlyArray<number | undefined>> => {
  const loop = async (f: () => Promise<number>, end: number): Promise<number> => {
    let count = 0
    let done = 1
    while (done > 0 && performance.now() < end) count += done = await f()
    return count
  }
  const slice = async (f: () => Promise<number>): Promise<readonly [count: number, perSecond: number]> => {
    const start = performance.now()
    const end = start + seconds * 1000 / slices
    const counts = await Promise.all(Array.from({ length: workers }, () => loop(f, end)))
    const count = counts.reduce((sum, count) => sum + count, 0)
    return [count, count / ((performance.now() - start) / 1000)]
  }
  const found = all.map((): Array<number> => [])
  for (let round = -1; round < slices; round++) {
    for (const [index, f] of all.entries()) {
      if (f === undefined) continue
      const [count, perSecond] = await slice(f)
      if (refill !== undefined && count > 0) await refill[index]!(count)
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

/**
 * Microseconds of processor time of this process for one of what `f` counts: what a busy machine disturbs least. Says
 * besides how many it did.
 */
export const cpuOf = async (
  f: () => Promise<number>,
  count = 3000
): Promise<readonly [micros: number, all: number]> => {
  let all = 0
  /** As many as are asked for, or as there are, or as come in half a second. */
  const some = async (most: number): Promise<number> => {
    const end = performance.now() + 500
    let done = 0
    for (let last = 1; last > 0 && done < most && performance.now() < end;) done += last = await f()
    all += done
    return done
  }
  // Warm, where a disk does not make that long.
  await some(count * 3)
  const found: Array<number> = []
  for (let round = 0; round < 7; round++) {
    const start = process.cpuUsage()
    const done = await some(count / 7)
    const { system, user } = process.cpuUsage(start)
    if (done > 0) found.push((system + user) / done)
  }
  return [found.sort((a, b) => a - b)[found.length >> 1] ?? Number.NaN, all]
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
