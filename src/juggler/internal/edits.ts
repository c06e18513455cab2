/**
 * The shortest way from one array to another by insertions and removals.
 */
import type { Json } from "../JsonPointer.ts"
import { isContainer } from "./model.ts"

/** Edit scripts are searched up to this many insertions and removals; beyond, arrays are compared index by index. */
const maxEdits = 128

/**
 * Numbers that are equal exactly for elements that are equal (objects with keys in another order count as different), in
 * both arrays; `undefined` where an object is not `valid`.
 */
const numbered = (
  arrays: readonly [ReadonlyArray<Json>, ReadonlyArray<Json>],
  valid: (value: Json) => boolean
): ReadonlyArray<Int32Array> | undefined => {
  const known = new Map<Json, number>()
  const texts = new Map<string, number>()
  const numbers = arrays.map(({ length }) => new Int32Array(length))
  let next = 0
  for (const [which, array] of arrays.entries()) {
    for (let i = 0; i < array.length; i++) {
      const value = array[i]!
      let id = known.get(value)
      if (id === undefined) {
        if (isContainer(value)) {
          if (!valid(value)) return undefined
          const text = JSON.stringify(value)
          id = texts.get(text) ?? next++
          texts.set(text, id)
        } else id = next++
        known.set(value, id)
      }
      numbers[which]![i] = id
    }
  }
  return numbers
}

/**
 * An edit script, in triples "this many equal, this many removed, this many added": the shortest, and for long arrays that
 * share most of their elements the shortest by reference, for which nothing is looked at. `undefined` if it is longer than
 * {@link maxEdits}, or if an object that has to be looked at is not `valid`.
 */
export const edits = (
  from: ReadonlyArray<Json>,
  to: ReadonlyArray<Json>,
  valid: (value: Json) => boolean
): Array<number> | undefined => {
  if (Math.abs(from.length - to.length) > maxEdits) return undefined
  const shared = from.length + to.length > maxEdits * 2 ? search(from, to) : undefined
  if (shared !== undefined) return shared
  const numbers = numbered([from, to], valid)
  return numbers && search(numbers[0]!, numbers[1]!)
}

/** The search of Myers (1986), for elements that are equal where they are identical. */
const search = <A>(a: ArrayLike<A>, b: ArrayLike<A>): Array<number> | undefined => {
  const { length: n } = a
  const { length: m } = b
  const most = Math.min(maxEdits, n + m)
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
