/** Steps (a character more, less or another, two swapped) that lead from one name to another; at most `limit` + 1. */
const distance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let steps = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) steps = Math.min(steps, before[j - 2]! + 1)
      row.push(steps)
    }
    before = last
    last = row
  }
  return last[b.length]!
}

/**
 * The names that somebody may have meant, the nearest first, three at most: a third of the characters may differ (at least
 * two), a name may be part of another, and case does not count.
 *
 * @internal
 */
export const nearest = (name: string, names: Iterable<string>): ReadonlyArray<string> => {
  const wanted = name.toLowerCase()
  const limit = Math.max(2, Math.floor(name.length / 3))
  const found: Array<readonly [number, string]> = []
  for (const candidate of names) {
    const other = candidate.toLowerCase()
    const steps = distance(wanted, other, limit)
    if (steps <= limit) found.push([steps, candidate])
    else if (wanted.length > 2 && (other.includes(wanted) || wanted.endsWith(other))) found.push([limit + 1, candidate])
  }
  return found.sort(([a], [b]) => a - b).slice(0, 3).map(([, candidate]) => candidate)
}
