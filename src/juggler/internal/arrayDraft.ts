/**
 * A draft of an array: it keeps what was written by index, appended or popped; any other change of the order copies it, one
 * level.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { DraftNode, nodes, Refused, type Tree } from "./draftNode.ts"
import { type Change, fault } from "./model.ts"

export class ArrayDraft extends DraftNode implements ProxyHandler<object> {
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
