/**
 * The shortest way from one array to another by insertions and removals.
 */
import type { Json } from "../JsonPointer.ts"

/** Edit scripts are searched up to this many insertions and removals; beyond, arrays are compared index by index. */
const maxEdits = 128

/** Numbers that are equal exactly for elements that are equal (objects with keys in another order count as different). */
const identities = () => {
  const known = new Map<unknown, number>()
  const texts = new Map<string, number>()
  let next = 0
  return (value: Json): number => {
    let id = known.get(value)
    if (id !== undefined) return id
    if (typeof value === "object" && value !== null) {
      const text = JSON.stringify(value)
      id = texts.get(text) ?? next++
      texts.set(text, id)
    } else id = next++
    known.set(value, id)
    return id
  }
}

/**
 * Myers' shortest edit script, in triples "this many equal, this many removed, this many added"; `undefined` if it is
 * longer than {@link maxEdits}.
 */
export const edits = (
  from: ReadonlyArray<Json>,
  fromStart: number,
  fromEnd: number,
  to: ReadonlyArray<Json>,
  toStart: number,
  toEnd: number
): Array<number> | undefined => {
  const n = fromEnd - fromStart
  const m = toEnd - toStart
  const most = Math.min(maxEdits, n + m)
  if (Math.abs(n - m) > most) return undefined
  const identity = identities()
  const a = new Int32Array(n)
  const b = new Int32Array(m)
  for (let i = 0; i < n; i++) a[i] = identity(from[fromStart + i]!)
  for (let i = 0; i < m; i++) b[i] = identity(to[toStart + i]!)
  const furthest = new Int32Array(2 * most + 3)
  const trace: Array<Int32Array> = []
  const middle = most + 1
  for (let d = 0; d <= most; d++) {
    trace.push(furthest.slice())
    for (let k = -d; k <= d; k += 2) {
      let x = k === -d || (k !== d && furthest[middle + k - 1]! < furthest[middle + k + 1]!)
        ? furthest[middle + k + 1]!
        : furthest[middle + k - 1]! + 1
      let y = x - k
      while (x < n && y < m && a[x] === b[y]) {
        x++
        y++
      }
      furthest[middle + k] = x
      if (x >= n && y >= m) return script(trace, middle, d, n, m)
    }
  }
  return undefined
}

/** Walks the trace back and writes the runs in order. */
const script = (
  trace: ReadonlyArray<Int32Array>,
  middle: number,
  length: number,
  n: number,
  m: number
): Array<number> => {
  const steps: Array<{ readonly x: number; readonly y: number; readonly added: boolean }> = []
  let x = n
  let y = m
  for (let d = length; d > 0; d--) {
    const furthest = trace[d]!
    const k = x - y
    const added = k === -d || (k !== d && furthest[middle + k - 1]! < furthest[middle + k + 1]!)
    const before = added ? k + 1 : k - 1
    x = furthest[middle + before]!
    y = x - before
    steps.push({ x, y, added })
  }
  steps.reverse()
  const runs: Array<number> = []
  let atX = 0
  let removed = 0
  let added = 0
  let equal = 0
  for (const step of steps) {
    const gap = step.x - atX
    if (gap > 0) {
      if (removed + added > 0) {
        runs.push(equal, removed, added)
        removed = 0
        added = 0
        equal = 0
      }
      equal += gap
      atX += gap
    }
    if (step.added) added++
    else {
      removed++
      atX++
    }
  }
  if (removed + added > 0) runs.push(equal, removed, added)
  return runs
}
