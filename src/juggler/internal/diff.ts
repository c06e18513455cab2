/**
 * The difference of two JSON values as changes.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { edits } from "./edits.ts"
import { equals, forbiddenKey, freezeAll, isPlain, keySize, Meter, scalarSize, sizeOf, textUpTo } from "./json.ts"
import { type Change, type Fault, fault, isContainer, type Limits } from "./model.ts"
import { agree, alike, alikeUntil, manyKeys, remember, type Table, tableOf } from "./tables.ts"

type JsonRecord = { readonly [key: string]: Json }

/** Characters that an operation costs beyond its path and value. */
const overhead = 32

/**
 * How many keys wide objects have, so that the next comparison does not count them again. Only frozen objects are in here,
 * whose keys stay what they are.
 */
const widths = new WeakMap<object, number>()
const wide = 64

type DiffLimits = Pick<Limits, "maxOperations" | "maxDepth" | "maxSize">

/** Appends the changes that lead from one value, at the place, to the other; gives by how many bytes they make it larger, or a fault. */
export const diffInto = (
  changes: Array<Change>,
  from: Json,
  to: Json,
  limits: DiffLimits,
  path: Pointer = []
): Fault | number => {
  const differ = new Differ(changes, limits, false)
  differ.value(from, to, path, path.length)
  return differ.fault ?? differ.growth
}

/**
 * Like {@link diffInto}; where something differs `to` is frozen, as far as it is not what `from` has. What takes the changes
 * back is appended too, the last one last, where it is wanted.
 */
export const diffAndFreeze = (
  changes: Array<Change>,
  from: Json,
  to: Json,
  limits: DiffLimits,
  inverse?: Array<Change>
): Fault | number => {
  const differ = new Differ(changes, limits, true, inverse)
  differ.value(from, to, [], 0)
  if (differ.fault !== undefined) return differ.fault
  if (changes.length === 0) return 0
  for (const [container, keys] of differ.entered) {
    Object.freeze(container)
    if (typeof keys !== "number") remember(container, keys)
    else if (keys >= wide) widths.set(container, keys)
  }
  for (const value of differ.added) freezeAll(value)
  return differ.growth
}

class Differ {
  fault: Fault | undefined = undefined
  growth = 0
  /** Containers of `to` whose members were compared one by one, with their keys, or the number of these; -1 for arrays. */
  readonly entered = new Map<object, number | Table>()
  /** Containers of `to` that are not those of `from`, with all that is in them. */
  readonly added: Array<Json> = []
  private bytes = 0
  private visited = 0
  private readonly changes: Array<Change>
  /** As many as the changes. */
  private readonly inverse: Array<Change> | undefined
  private readonly limits: DiffLimits
  /** What is compared is going to be frozen. */
  private readonly freezes: boolean

  constructor(changes: Array<Change>, limits: DiffLimits, freezes: boolean, inverse?: Array<Change>) {
    this.changes = changes
    this.freezes = freezes
    this.inverse = inverse
    this.limits = limits
  }

  value(from: Json, to: Json, path: Pointer, depth: number): void {
    if (from === to || this.fault !== undefined) return
    if (!isContainer(from) || !isContainer(to)) return this.replace(path, from, to, depth)
    const isArray = Array.isArray(to)
    if (Array.isArray(from) !== isArray || !isPlain(to)) return this.replace(path, from, to, depth)
    if (depth >= this.limits.maxDepth) {
      // says whether it is a cycle
      return this.replace(path, from, to, 0)
    }
    if (++this.visited > this.limits.maxSize) {
      this.fault = fault("TooLarge", `more than ${this.limits.maxSize} containers`)
      return
    }
    const count = this.changes.length
    const { bytes, growth } = this
    const members = isArray
      ? this.array(from as ReadonlyArray<Json>, to, path, depth)
      : this.record(from as JsonRecord, to as JsonRecord, path, depth)
    const added = this.changes.length - count
    if (added === 0 || this.fault !== undefined) return
    // a patch tells the other end what stayed the same, so the value has to be much shorter to be sent instead
    const limit = (this.bytes - bytes - length(path) - overhead) / 2
    if (added > this.limits.maxOperations || (members * 2 < limit && textUpTo(to, limit) <= limit)) {
      this.changes.length = count
      if (this.inverse !== undefined) this.inverse.length = count
      this.bytes = bytes
      this.growth = growth
      this.replace(path, from, to, depth)
    }
  }

  /** Gives the number of members of `to`, as {@link array} does. */
  private record(from: JsonRecord, to: JsonRecord, path: Pointer, depth: number): number {
    const keys = Object.keys(to)
    const { length } = keys
    if (length > manyKeys) {
      this.table(from, to, keys, path, depth)
      return length
    }
    const limit = this.changes.length + this.limits.maxOperations
    let common = 0
    // `for in` finds own keys first; an inherited one could only come from a prototype that somebody polluted
    for (const key in to) {
      if (alike(from[key], to[key])) {
        common++
        continue
      }
      common += this.member(from, to, key, path, depth)
      if (this.fault !== undefined || this.changes.length > limit) return length
    }
    this.entered.set(to, length)
    if (widths.get(from) !== common) this.dropped(from, to, common, path, limit)
    return length
  }

  /** Like {@link record}, for objects of many keys. */
  private table(from: JsonRecord, to: JsonRecord, keys: ReadonlyArray<string>, path: Pointer, depth: number): void {
    const limit = this.changes.length + this.limits.maxOperations
    const known = tableOf(from)
    const values = known?.values
    const seen: Array<Json> = []
    let common = 0
    let at = 0
    /** Where in the keys of `from` it is, as long as both have the same order. */
    let before = 0
    while (at < keys.length) {
      const same = values === undefined
        ? alikeUntil(from, to, keys, at, seen)
        : agree(to, keys, at, known!.keys, values, before, seen)
      common += same - at
      before += same - at
      at = same
      if (at === keys.length) break
      const key = keys[at++]!
      if (known !== undefined) {
        // one was removed, or one was added
        if (known.keys[before + 1] === key) before += 2
        else if (known.keys[before] === key) before++
      }
      if (alike(from[key], to[key])) {
        common++
        continue
      }
      common += this.member(from, to, key, path, depth)
      if (this.fault !== undefined || this.changes.length > limit) return
    }
    if (this.freezes) this.entered.set(to, { keys, values: seen })
    if (known?.keys.length !== common) this.dropped(from, to, common, path, limit)
  }

  /** What only `from` has. */
  private dropped(from: JsonRecord, to: JsonRecord, common: number, path: Pointer, limit: number): void {
    const before = tableOf(from)?.keys ?? Object.keys(from)
    if (before.length === common) return
    for (const key of before) {
      if (Object.hasOwn(to, key)) continue
      this.drop([...path, key], from[key]!, keySize(key))
      if (this.changes.length > limit) return
    }
  }

  /** One member; 1 if both have it, else 0. */
  private member(from: JsonRecord, to: JsonRecord, key: string, path: Pointer, depth: number): number {
    const next = to[key]!
    const place = [...path, key]
    if (Object.hasOwn(from, key)) {
      this.value(from[key]!, next, place, depth + 1)
      return 1
    }
    this.add(place, next, depth + 1, key)
    return 0
  }

  private array(from: ReadonlyArray<Json>, to: ReadonlyArray<Json>, path: Pointer, depth: number): number {
    const { length } = to
    this.entered.set(to, -1)
    let start = 0
    const shorter = Math.min(from.length, to.length)
    while (start < shorter && this.same(from[start]!, to[start]!, depth)) start++
    let fromEnd = from.length
    let toEnd = to.length
    while (fromEnd > start && toEnd > start && this.same(from[fromEnd - 1]!, to[toEnd - 1]!, depth)) {
      fromEnd--
      toEnd--
    }
    if (this.fault !== undefined) return length
    const removed = fromEnd - start
    const added = toEnd - start
    if (removed === 0 || added === 0 || (removed === 1 && added === 1)) {
      this.run(from, to, start, removed, start, added, path, depth, start)
      return length
    }
    const script = edits(from.slice(start, fromEnd), to.slice(start, toEnd), (value) => this.valid(value, depth))
    if (this.fault !== undefined) return length
    // one by one where nothing moved: an element that changed is entered
    if (script === undefined || (removed === added && script.length / 3 > removed / 2)) {
      this.run(from, to, start, removed, start, added, path, depth, start)
      return length
    }
    let at = start
    let a = start
    const limit = this.changes.length + this.limits.maxOperations
    for (let i = 0; i < script.length; i += 3) {
      const equal = script[i]!
      const out = script[i + 1]!
      const into = script[i + 2]!
      for (let j = 0; j < equal; j++) if (from[a + j] !== to[at + j]) this.added.push(to[at + j]!)
      at += equal
      a += equal
      this.run(from, to, a, out, at, into, path, depth, at)
      if (this.fault !== undefined || this.changes.length > limit) return length
      a += out
      at += into
    }
    return length
  }

  /** `removed` elements from `a` on give way to `added` elements from `b` on; `at` is where they are. */
  private run(
    from: ReadonlyArray<Json>,
    to: ReadonlyArray<Json>,
    a: number,
    removed: number,
    b: number,
    added: number,
    path: Pointer,
    depth: number,
    at: number
  ): void {
    const limit = this.changes.length + this.limits.maxOperations
    const pairs = Math.min(removed, added)
    for (let i = 0; i < pairs; i++) {
      this.value(from[a + i]!, to[b + i]!, [...path, at + i], depth + 1)
      if (this.fault !== undefined || this.changes.length > limit) return
    }
    for (let i = removed - 1; i >= pairs; i--) {
      this.drop([...path, at + i], from[a + i]!, 0)
      if (this.changes.length > limit) return
    }
    for (let i = pairs; i < added; i++) {
      this.add([...path, at + i], to[b + i]!, depth + 1)
      if (this.fault !== undefined || this.changes.length > limit) return
    }
  }

  private same(from: Json, to: Json, depth: number): boolean {
    if (from === to) return true
    if (typeof from !== "object" || typeof to !== "object" || from === null || to === null) return false
    // equality walks both: what it walks has to end
    if (!this.valid(to, depth) || !equals(from, to)) return false
    this.added.push(to)
    return true
  }

  private valid(value: unknown, depth: number): boolean {
    const meter = new Meter(this.limits.maxDepth - depth - 1, this.limits.maxSize)
    if (meter.add(value, 0)) return true
    this.fault = meter.fault
    return false
  }

  private replace(path: Pointer, from: Json, to: Json, depth: number): void {
    const size = this.sizeOf(path, to, depth)
    if (size < 0) return
    this.growth += size - sizeOf(from)
    this.changes.push({ op: "replace", path, value: to })
    this.inverse?.push({ op: "replace", path, value: from })
  }

  private add(path: Pointer, value: Json, depth: number, key?: string): void {
    if (key === forbiddenKey) {
      this.fault = fault("ForbiddenKey", `the key ${forbiddenKey} is refused, at ${where(path)}`)
      return
    }
    const size = this.sizeOf(path, value, depth)
    if (size < 0) return
    this.growth += size + (key === undefined ? 0 : keySize(key))
    this.changes.push({ op: "add", path, value })
    this.inverse?.push({ op: "remove", path })
  }

  private drop(path: Pointer, value: Json, around: number): void {
    this.growth -= sizeOf(value) + around
    this.bytes += overhead + length(path)
    this.changes.push({ op: "remove", path })
    this.inverse?.push({ op: "add", path, value })
  }

  /** Bytes of memory of a value that is to be written; counts its text too. */
  private sizeOf(path: Pointer, value: Json, depth: number): number {
    let size = scalarSize(value)
    if (size < 0) {
      const meter = new Meter(this.limits.maxDepth - depth, this.limits.maxSize)
      if (!meter.add(value, 0)) {
        this.fault = fault(meter.fault!.reason, `${meter.fault!.detail}, at ${where(path)}`)
        return -1
      }
      size = meter.size
      this.added.push(value)
    }
    this.bytes += overhead + length(path) + textUpTo(value, Infinity)
    return size
  }
}

const where = (path: Pointer): string => `"${JsonPointer.format(path).slice(0, 200)}"`

/** Characters of a pointer, roughly. */
const length = (path: Pointer): number => {
  let characters = 0
  for (const token of path) characters += typeof token === "string" ? token.length + 1 : 4
  return characters
}
