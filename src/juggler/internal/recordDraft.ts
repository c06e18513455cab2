/**
 * A draft of an object: it keeps the members that were read, as drafts, or written.
 */
import type { Json, Pointer } from "../JsonPointer.ts"
import { DraftNode, nodes, Refused, removed, type Tree } from "./draftNode.ts"
import { shallowCopy } from "./json.ts"
import { type Change, fault, type JsonRecord } from "./model.ts"

export class RecordDraft extends DraftNode implements ProxyHandler<object> {
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
