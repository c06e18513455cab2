/**
 * Walks over JSON values that are bounded in depth and size, copies of them, and what they cost.
 *
 * Sizes are bytes of memory, by an estimate that was compared with what V8 takes for what `JSON.parse` gives (64-bit, no
 * pointer compression): 0.7 to 2.5 times the true figure. The slot that holds a value counts as part of it.
 */
import type { Json } from "../JsonPointer.ts"
import { type Container, type Fault, fault, isContainer, type JsonRecord, type Reason } from "./model.ts"
import { manyKeys, remember, tableOf } from "./tables.ts"

/** The one key that no document may hold: peers that write `target[key] = value` would reach their prototype by it. */
export const forbiddenKey = "__proto__"

/** Bytes of an empty array and an empty object. */
const arraySize = 56
const recordSize = 64

/** Bytes of a key with its place in the object. */
export const keySize = (key: string | number): number => 40 + String(key).length

const isWide = /[\u0100-\uffff]/

/** Strings take a byte for each character, or two where one of them is beyond Latin-1; short ones are not looked at. */
const stringSize = (value: string): number =>
  32 + (value.length > 64 && isWide.test(value) ? value.length * 2 : value.length)

/** Size of a scalar, or -1 for containers and for what is no JSON. */
export const scalarSize = (value: unknown): number => {
  switch (typeof value) {
    case "string":
      return stringSize(value)
    case "number":
      return Number.isFinite(value) ? 16 : -1
    case "boolean":
      return 8
    default:
      return value === null ? 8 : -1
  }
}

/** What a walk found of a value that is frozen with all that is in it, and so stays true. */
interface Measure {
  readonly size: number
  /** Levels of arrays and objects; 1 where there are scalars in it only. */
  readonly height: number
}

/** Of values that are large enough for it to be cheaper to look here. */
const measures = new WeakMap<object, Measure>()
const measuredFrom = 4_096

/** Limits of one walk and what it found so far. */
export class Meter {
  /** Bytes. */
  size = 0
  fault: Fault | undefined = undefined
  /** Something on the way is not frozen. */
  loose = false
  private readonly path: Array<object> = []
  private readonly maxDepth: number
  private readonly maxSize: number
  private readonly freezes: boolean
  /** Levels down to the deepest container of the one that is walked. */
  private deepest = 0

  /** `freezes`: what is walked is frozen, so that the next walk costs nothing. */
  constructor(maxDepth: number, maxSize: number, freezes = false) {
    this.maxDepth = maxDepth
    this.maxSize = maxSize
    this.freezes = freezes
  }

  /** Adds the size of a value that lies `depth` levels deep; `false` once there is a fault. */
  add(value: unknown, depth: number): boolean {
    if (isContainer(value)) return this.container(value, depth)
    const size = scalarSize(value)
    if (size < 0) {
      return this.fail(
        "NotJson",
        typeof value === "number" ? `${value} is no JSON number` : `a ${typeof value} is no JSON value`
      )
    }
    this.size += size
    return this.size <= this.maxSize || this.tooLarge()
  }

  private container(value: object, depth: number): boolean {
    if (depth >= this.maxDepth) {
      return new Set(this.path).size < this.path.length || this.path.includes(value)
        ? this.fail("Cyclic", "the value contains itself")
        : this.fail("TooDeep", `nested deeper than ${this.maxDepth} levels`)
    }
    const frozen = Object.isFrozen(value)
    const known = frozen ? measures.get(value) : undefined
    if (known !== undefined && depth + known.height <= this.maxDepth) {
      this.size += known.size
      this.deepest = Math.max(this.deepest, depth + known.height)
      return this.size <= this.maxSize || this.tooLarge()
    }
    const isArray = Array.isArray(value)
    const { deepest, size } = this
    this.deepest = depth + 1
    this.size += isArray ? arraySize : recordSize
    if (this.size > this.maxSize) return this.tooLarge()
    if (!frozen && !this.freezes) this.loose = true
    this.path.push(value)
    if (!(isArray ? this.elements(value, depth) : this.members(value, depth))) return false
    this.path.pop()
    if (this.freezes) {
      Object.freeze(value)
      if (this.size - size >= measuredFrom) {
        measures.set(value, { size: this.size - size, height: this.deepest - depth })
      }
    }
    if (deepest > this.deepest) this.deepest = deepest
    return true
  }

  private elements(value: ReadonlyArray<unknown>, depth: number): boolean {
    // by index, so that a hole is met as `undefined` and refused
    for (let i = 0; i < value.length; i++) if (!this.add(value[i], depth + 1)) return false
    return true
  }

  private members(value: object, depth: number): boolean {
    if (!isPlain(value)) return this.fail("NotJson", "only plain objects and arrays are JSON")
    const keys = Object.keys(value)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      if (key === forbiddenKey) return this.fail("ForbiddenKey", `the key ${forbiddenKey} is refused`)
      this.size += keySize(key)
      if (!this.add((value as Record<string, unknown>)[key], depth + 1)) return false
    }
    // once it is frozen, which is next
    if (this.freezes && keys.length > manyKeys) remember(value, { keys, values: undefined })
    return true
  }

  private tooLarge(): false {
    return this.fail("TooLarge", `larger than ${this.maxSize} bytes`)
  }

  private fail(reason: Reason, detail: string): false {
    this.fault = fault(reason, detail)
    return false
  }
}

/** Whether an object is an array or a plain object, of this realm or another. */
export const isPlain = (value: object): boolean => {
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Size of a valid value. */
export const sizeOf = (value: Json): number => {
  const scalar = scalarSize(value)
  if (scalar >= 0) return scalar
  const meter = new Meter(1_000, Infinity)
  meter.add(value, 0)
  return meter.size
}

/** Characters of the JSON text of a valid value, roughly, counted no further than `limit`. */
export const textUpTo = (value: Json, limit: number): number => {
  if (typeof value === "string") return value.length + 2
  if (!isContainer(value)) return typeof value === "number" ? 8 : 5
  let characters = 2
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length && characters <= limit; i++) {
      characters += 1 + textUpTo(value[i]!, limit - characters)
    }
    return characters
  }
  for (const key of tableOf(value)?.keys ?? Object.keys(value)) {
    characters += key.length + 4
    if (characters > limit) break
    characters += textUpTo(value[key]!, limit - characters)
  }
  return characters
}

/** Equality of JSON values: objects by key whatever the order, arrays in order, numbers by value. */
export const equals = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false
    for (let i = 0; i < a.length; i++) if (!equals(a[i], b[i])) return false
    return true
  }
  if (Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  for (const key of keys) {
    if (!Object.hasOwn(b, key)) return false
    if (!equals((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false
  }
  return true
}

/** A copy of one level. */
export const shallowCopy = (value: Container): Container => {
  if (Array.isArray(value)) return value.slice()
  const known = tableOf(value)
  const keys = known?.keys ?? Object.keys(value)
  if (keys.length <= manyKeys) return { ...value }
  // key by key into what is a hash table from the start
  const copy = emptyTable()
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key === forbiddenKey) return { ...value }
    copy[key] = value[key]!
  }
  if (known === undefined && Object.isFrozen(value)) remember(value, { keys, values: undefined })
  return copy
}

/** An empty object that V8 keeps as a hash table, since a key was removed from it that was not the last one. */
const emptyTable = (): JsonRecord => {
  const table: JsonRecord = { a: 0, b: 0 }
  delete table["a"]
  delete table["b"]
  return table
}

/** A deep copy of a valid value; frozen, or nobody else's. */
export const deepCopy = (value: Json, frozen: boolean): Json => {
  if (!isContainer(value)) return value
  let copy: Container
  if (Array.isArray(value)) copy = value.map((member) => deepCopy(member, frozen))
  else {
    const keys = Object.keys(value)
    copy = keys.length <= manyKeys ? {} : emptyTable()
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      copy[key] = deepCopy(value[key]!, frozen)
    }
  }
  return frozen ? Object.freeze(copy) as Container : copy
}

/** Freezes a value with all that is in it, whatever is frozen already. */
export const freezeAll = (value: Json): void => {
  if (!isContainer(value)) return
  Object.freeze(value)
  const members = Array.isArray(value) ? value : Object.values(value)
  for (let i = 0; i < members.length; i++) freezeAll(members[i]!)
}
