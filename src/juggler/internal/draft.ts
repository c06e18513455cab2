/**
 * Recipes: a draft looks like a mutable value; what is written to it is kept beside the document until the recipe is over,
 * and then becomes changes. A draft is the same wherever it is put: moved, put back or put at two places, all that is
 * written to it counts at each of them (as in Immer and Mutative). So a recipe that throws has changed nothing.
 *
 * What is written costs what it is long, not what it is written to: objects keep the members that were written, arrays
 * what was written by index or appended; only other changes of an array's order copy it, one level.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { diffInto } from "./diff.ts"
import { isPlain, shallowCopy } from "./json.ts"
import { type Change, type Container, type Fault, fault, isContainer, type JsonRecord, type Limits } from "./model.ts"

/** Thrown through a recipe when what it does is refused. */
export class Refused {
  readonly fault: Fault
  constructor(fault: Fault) {
    this.fault = fault
  }
}

/**
 * Runs a recipe on a draft of a value; gives what it came to. The value stays as it is. `onRead` is told the places whose
 * values the recipe has looked at.
 */
export const runRecipe = (
  recipe: (draft: any) => unknown,
  root: Json,
  limits: Limits,
  onRead?: (place: Pointer) => void
): Array<Change> => {
  const tree = new Tree(limits, onRead)
  const changes: Array<Change> = []
  try {
    const node = isContainer(root) ? tree.draft(root, []) : undefined
    const result = recipe(node === undefined ? root : node.proxy)
    if (isThenable(result)) throw new TypeError("a recipe is synchronous, and this one gave a promise")
    node?.finish([], changes)
  } finally {
    tree.over = true
  }
  return changes
}

const isThenable = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !nodes.has(value) &&
  typeof (value as { readonly then?: unknown }).then === "function"

/** Whether a value is frozen with all that is in it. */
const isFrozen = (value: unknown, depth: number): boolean =>
  !isContainer(value) ||
  (Object.isFrozen(value) && !nodes.has(value) && depth < 1_000 && isPlain(value) &&
    Object.values(value).every((member) => isFrozen(member, depth + 1)))

const nodes = new WeakMap<object, DraftNode>()

/** A member that was removed. */
const removed = Symbol("removed")

/** What one recipe has in hand. */
class Tree {
  /** A draft that was kept is of no use any more. */
  over = false
  readonly limits: Limits
  /** Objects that the recipe has put into drafts: they are its own, and are changed as it likes. */
  private readonly given = new WeakSet<object>()
  /** Values that were looked at for the outcome: aliases could make it exponentially large. */
  private visited = 0

  readonly onRead: ((place: Pointer) => void) | undefined

  constructor(limits: Limits, onRead: ((place: Pointer) => void) | undefined) {
    this.limits = limits
    this.onRead = onRead
  }

  /** `place`: where the base lies in the document, as far as that is known. */
  draft(base: Container, place: Pointer | undefined): DraftNode {
    return Array.isArray(base) ? new ArrayDraft(this, base, place) : new RecordDraft(this, base, place)
  }

  give(value: unknown): void {
    // what can never change is as good as a part of the document
    if (isContainer(value) && !nodes.has(value) && !isFrozen(value, 0)) this.given.add(value)
  }

  /** Whether a member is to be read as a draft of it. */
  isBase(value: unknown): value is Container {
    return isContainer(value) && !nodes.has(value) && !this.given.has(value)
  }

  /** The plain value of a member. */
  member(slot: unknown, depth: number): Json {
    return this.isBase(slot) ? slot : this.plain(slot, depth)
  }

  /** The plain value of something that may be, or hold, drafts; nothing in it is the recipe's. */
  plain(value: unknown, depth: number): Json {
    if (!isContainer(value)) return value as Json
    if (depth > this.limits.maxDepth) {
      throw new Refused(fault("TooDeep", `nested deeper than ${this.limits.maxDepth} levels, or in itself`))
    }
    if (++this.visited > this.limits.maxSize >> 6) throw new Refused(fault("TooLarge", "too many values"))
    const node = nodes.get(value)
    if (node !== undefined) return node.value(depth)
    if (Array.isArray(value)) return Array.from(value, (member) => this.plain(member, depth + 1))
    if (!isPlain(value)) return value
    const copy: JsonRecord = {}
    for (const key of Object.keys(value)) {
      const member = this.plain(value[key], depth + 1)
      if (key === "__proto__") throw new Refused(fault("ForbiddenKey", `the key ${key} is refused`))
      copy[key] = member
    }
    return copy
  }

  /** Notes that a member, if there was one, gives way to something else, if there is something. */
  replace(changes: Array<Change>, path: Pointer, before: Json | undefined, slot: unknown): void {
    if (slot === removed) {
      if (before !== undefined) changes.push({ op: "remove", path })
      return
    }
    const node = isContainer(slot) ? nodes.get(slot) : undefined
    if (node !== undefined && node.base === before) return node.finish(path, changes)
    const value = this.member(slot, path.length)
    if (before === undefined) changes.push({ op: "add", path, value })
    else this.compare(changes, path, before, value)
  }

  compare(changes: Array<Change>, path: Pointer, before: Json, value: Json): void {
    const result = diffInto(changes, before, value, { ...this.limits, maxOperations: Infinity }, path)
    if (typeof result !== "number") throw new Refused(result)
  }
}

abstract class DraftNode {
  readonly tree: Tree
  /** Where the base lies in the document; `undefined` where nobody wants to know, or it was read with all around it. */
  protected readonly place: Pointer | undefined
  abstract readonly base: Container
  abstract readonly proxy: any

  constructor(tree: Tree, place: Pointer | undefined) {
    this.tree = tree
    this.place = tree.onRead === undefined ? undefined : place
  }

  /** A member was looked at; without a key all of them. Members that are drafts tell for themselves. */
  protected told(key?: string | number, value?: unknown): void {
    if (this.place === undefined || isContainer(value)) return
    this.tree.onRead!(key === undefined ? this.place : [...this.place, key])
  }

  protected below(key: string | number): Pointer | undefined {
    return this.place && [...this.place, key]
  }

  /** To be called before anything is done. */
  use(): void {
    if (this.tree.over) throw new TypeError("the recipe of this draft is over")
  }

  /** Appends what was written, as changes of the value at a place that is still the base. */
  abstract finish(path: Pointer, changes: Array<Change>): void
  /** What the draft came to; shares with the base what was not written. */
  abstract value(depth: number): Json
}

class RecordDraft extends DraftNode implements ProxyHandler<object> {
  readonly base: JsonRecord
  readonly proxy: any
  /** Members that were read, as drafts, or written. */
  private readonly slots = new Map<string, unknown>()

  constructor(tree: Tree, base: JsonRecord, place: Pointer | undefined) {
    super(tree, place)
    this.base = base
    this.proxy = new Proxy({}, this)
    nodes.set(this.proxy, this)
  }

  private peek(key: string | symbol): unknown {
    this.use()
    if (typeof key !== "string") return undefined
    const slot = this.slots.get(key)
    if (slot !== undefined) return slot === removed ? undefined : slot
    const value = Object.hasOwn(this.base, key) ? this.base[key] : undefined
    this.told(key, value)
    return value
  }

  private read(key: string | symbol): unknown {
    const value = this.peek(key)
    if (!this.tree.isBase(value)) return value
    const { proxy } = this.tree.draft(value, this.below(key as string))
    this.slots.set(key as string, proxy)
    return proxy
  }

  private write(key: string | symbol, value: unknown): boolean {
    if (typeof key !== "string") throw new Refused(fault("NotJson", "keys are text"))
    if (value === undefined) return this.deleteProperty({}, key)
    if (Object.is(this.peek(key), value)) return true
    this.tree.give(value)
    this.slots.set(key, value)
    return true
  }

  finish(path: Pointer, changes: Array<Change>): void {
    for (const [key, slot] of this.slots) {
      this.tree.replace(changes, [...path, key], Object.hasOwn(this.base, key) ? this.base[key] : undefined, slot)
    }
  }

  value(depth: number): Json {
    this.told()
    let copy: JsonRecord | undefined
    for (const [key, slot] of this.slots) {
      const before = Object.hasOwn(this.base, key) ? this.base[key] : undefined
      const value = slot === removed ? undefined : this.tree.member(slot, depth + 1)
      if (value === before) continue
      copy ??= shallowCopy(this.base) as JsonRecord
      if (value === undefined) delete copy[key]
      else if (key === "__proto__") throw new Refused(fault("ForbiddenKey", `the key ${key} is refused`))
      else copy[key] = value
    }
    return copy ?? this.base
  }

  get(_target: object, key: string | symbol): unknown {
    const value = this.read(key)
    if (value !== undefined) return value
    return key === "__proto__" ? undefined : (Object.prototype as any)[key]
  }
  has(_target: object, key: string | symbol): boolean {
    return this.peek(key) !== undefined
  }
  set(_target: object, key: string | symbol, value: unknown): boolean {
    return this.write(key, value)
  }
  defineProperty(_target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return "value" in descriptor && this.write(key, descriptor.value)
  }
  deleteProperty(_target: object, key: string | symbol): boolean {
    if (this.peek(key) === undefined) return true
    if (Object.hasOwn(this.base, key)) this.slots.set(key as string, removed)
    else this.slots.delete(key as string)
    return true
  }
  ownKeys(): Array<string> {
    this.use()
    this.told()
    const keys = Object.keys(this.base)
    if (this.slots.size === 0) return keys
    const kept = keys.filter((key) => this.slots.get(key) !== removed)
    for (const key of this.slots.keys()) if (!Object.hasOwn(this.base, key)) kept.push(key)
    return kept
  }
  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    const value = this.read(key)
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  }
  getPrototypeOf(): object {
    return Object.prototype
  }
  setPrototypeOf(): boolean {
    return false
  }
  preventExtensions(): boolean {
    return false
  }
}

class ArrayDraft extends DraftNode implements ProxyHandler<object> {
  readonly base: Array<Json>
  readonly proxy: any
  /** How many elements of the base are still there, all in their places. */
  private kept: number
  /** Elements among these that were read, as drafts, or written. */
  private readonly slots = new Map<number, unknown>()
  /** Elements behind these. */
  private readonly tail: Array<unknown> = []
  /** All elements, once their order was changed: then the three above say nothing. */
  private items: Array<unknown> | undefined

  constructor(tree: Tree, base: Array<Json>, place: Pointer | undefined) {
    super(tree, place)
    this.base = base
    this.kept = base.length
    this.proxy = new Proxy([], this)
    nodes.set(this.proxy, this)
  }

  private get length(): number {
    this.use()
    return this.items?.length ?? this.kept + this.tail.length
  }

  private peek(index: number): unknown {
    if (this.items !== undefined) return this.items[index]
    if (index >= this.kept) return this.tail[index - this.kept]
    const slot = this.slots.get(index)
    if (slot !== undefined) return slot
    this.told(index, this.base[index])
    return this.base[index]
  }

  private put(index: number, value: unknown): void {
    if (this.items !== undefined) this.items[index] = value
    else if (index >= this.kept) this.tail[index - this.kept] = value
    else this.slots.set(index, value)
  }

  private read(index: number): unknown {
    const value = index < this.length ? this.peek(index) : undefined
    if (!this.tree.isBase(value)) return value
    const { proxy } = this.tree.draft(value, this.items === undefined ? this.below(index) : undefined)
    this.put(index, proxy)
    return proxy
  }

  /** An element that was taken out. */
  private taken(value: unknown): unknown {
    return this.tree.isBase(value) ? this.tree.draft(value, undefined).proxy : value
  }

  /** All elements in an array that may be changed. */
  private all(): Array<unknown> {
    if (this.items === undefined) {
      this.told()
      this.items = this.base.slice(0, this.kept)
      for (const [index, value] of this.slots) this.items[index] = value
      for (const value of this.tail) this.items.push(value)
    }
    return this.items
  }

  /** What is put into an array. */
  private accept(values: ReadonlyArray<unknown>): void {
    for (const value of values) {
      if (value === undefined) throw new Refused(fault("NotJson", "an array has no undefined element"))
      this.tree.give(value)
    }
  }

  private append(values: ReadonlyArray<unknown>): number {
    this.accept(values)
    const to = this.items ?? this.tail
    for (const value of values) to.push(value)
    return this.length
  }

  private pop(): unknown {
    if (this.length === 0) return undefined
    if (this.items !== undefined) return this.taken(this.items.pop())
    if (this.tail.length > 0) return this.taken(this.tail.pop())
    const value = this.read(this.kept - 1)
    this.slots.delete(--this.kept)
    return value
  }

  /** What changes the order or many places is done by the array's own method. */
  private order(method: "sort" | "reverse" | "fill" | "copyWithin", args: Array<any>): unknown {
    this.use()
    if (method === "fill") this.accept([args[0]])
    // those who compare are shown drafts
    if (method === "sort") { for (let i = 0; i < this.length; i++) this.read(i) }
    ;(this.all()[method] as (...args: Array<any>) => unknown)(...args)
    return this.proxy
  }

  private method(name: string): ((...args: Array<any>) => unknown) | undefined {
    switch (name) {
      case "push":
        return (...values) => this.append(values)
      case "pop":
        return () => this.pop()
      case "shift":
        return () => this.length === 0 ? undefined : this.taken(this.all().shift())
      case "unshift":
        return (...values) => {
          this.use()
          this.accept(values)
          return this.all().unshift(...values)
        }
      case "splice":
        return (...args) => {
          this.use()
          this.accept(args.slice(2))
          return (this.all().splice as (...args: Array<any>) => Array<unknown>)(...args).map((value) =>
            this.taken(value)
          )
        }
      case "sort":
      case "reverse":
      case "fill":
      case "copyWithin":
        return (...args) => this.order(name, args)
      default:
        return undefined
    }
  }

  finish(path: Pointer, changes: Array<Change>): void {
    const { base, items, kept, slots, tail, tree } = this
    if (items !== undefined) return tree.compare(changes, path, base, this.value(path.length))
    for (const [index, slot] of slots) tree.replace(changes, [...path, index], base[index], slot)
    for (let i = base.length - 1; i >= kept + tail.length; i--) changes.push({ op: "remove", path: [...path, i] })
    for (let i = 0; i < tail.length; i++) {
      tree.replace(changes, [...path, kept + i], base[kept + i], tail[i])
    }
  }

  value(depth: number): Json {
    const { base, tree } = this
    this.told()
    const length = this.items?.length ?? this.kept + this.tail.length
    let copy: Array<Json> | undefined
    if (this.items === undefined && this.kept === base.length) {
      if (this.slots.size === 0 && this.tail.length === 0) return base
      copy = base.slice()
      let same = this.tail.length === 0
      for (const [index, slot] of this.slots) {
        const value = tree.member(slot, depth + 1)
        if (value === base[index]) continue
        copy[index] = value
        same = false
      }
      if (same) return base
      for (const slot of this.tail) copy.push(tree.member(slot, depth + 1))
      return copy
    }
    copy = []
    let same = length === base.length
    for (let i = 0; i < length; i++) {
      const slot = this.peek(i)
      const value = tree.member(slot, depth + 1)
      if (value !== base[i]) same = false
      copy.push(value)
    }
    return same ? base : copy
  }

  get(_target: object, key: string | symbol): unknown {
    if (key === "length") {
      this.told()
      return this.length
    }
    if (typeof key === "symbol") return (Array.prototype as any)[key]
    const index = JsonPointer.indexOf(key)
    if (index >= 0) return this.read(index)
    return this.method(key) ?? (key === "__proto__" ? undefined : (Array.prototype as any)[key])
  }
  has(_target: object, key: string | symbol): boolean {
    if (typeof key === "symbol") return key in Array.prototype
    const index = JsonPointer.indexOf(key)
    return index >= 0 ? index < this.length : key in Array.prototype
  }
  set(_target: object, key: string | symbol, value: unknown): boolean {
    const size = this.length
    if (key === "length") {
      const length = Number(value)
      if (!(length <= size && length >= 0)) throw new Refused(fault("NotJson", "an array without holes cannot grow so"))
      for (let i = size; i > length; i--) this.pop()
      return true
    }
    const index = typeof key === "string" ? JsonPointer.indexOf(key) : -1
    if (index < 0 || index > size || value === undefined) {
      throw new Refused(fault("NotJson", "arrays have their elements in a row, none of them undefined"))
    }
    if (index === size) this.append([value])
    else if (!Object.is(this.peek(index), value)) {
      this.tree.give(value)
      this.put(index, value)
    }
    return true
  }
  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return "value" in descriptor && this.set(target, key, descriptor.value)
  }
  deleteProperty(): boolean {
    throw new Refused(fault("NotJson", "an element is removed by splice: JSON arrays have no holes"))
  }
  ownKeys(): Array<string> {
    return [...Array.from({ length: this.length }, (_, index) => String(index)), "length"]
  }
  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    if (key === "length") return { value: this.length, writable: true, enumerable: false, configurable: false }
    const index = typeof key === "string" ? JsonPointer.indexOf(key) : -1
    const value = index < 0 ? undefined : this.read(index)
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  }
  setPrototypeOf(): boolean {
    return false
  }
  preventExtensions(): boolean {
    return false
  }
}
