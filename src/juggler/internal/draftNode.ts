/**
 * What the drafts of one recipe have in common: a draft is known by what it stands for, and its outcome is found when the
 * recipe is over.
 */
import type { Json, Pointer } from "../JsonPointer.ts"
import { diffInto } from "./diff.ts"
import { isPlain } from "./json.ts"
import { type Change, type Container, type Fault, fault, isContainer, type JsonRecord, type Limits } from "./model.ts"

/** Thrown through a recipe when what it does is refused. */
export class Refused {
  readonly fault: Fault
  constructor(fault: Fault) {
    this.fault = fault
  }
}

/** Whether a value is frozen with all that is in it. */
const isFrozen = (value: unknown, depth: number): boolean =>
  !isContainer(value) ||
  (Object.isFrozen(value) && !nodes.has(value) && depth < 1_000 && isPlain(value) &&
    Object.values(value).every((member) => isFrozen(member, depth + 1)))

/** The drafts behind what recipes have in hand. */
export const nodes = new WeakMap<object, DraftNode>()

/** A member that was removed. */
export const removed = Symbol("removed")

/** Makes a draft of an array or an object; `place`: where it lies in the document, as far as that is known. */
export type MakeDraft = (tree: Tree, base: Container, place: Pointer | undefined) => DraftNode

/** What one recipe has in hand. */
export class Tree {
  /** A draft that was kept is of no use any more. */
  over = false
  readonly limits: Limits
  /** Objects that the recipe has put into drafts: they are its own, and are changed as it likes. */
  private readonly given = new WeakSet<object>()
  /** Values that were looked at for the outcome: aliases could make it exponentially large. */
  private visited = 0

  readonly onRead: ((place: Pointer) => void) | undefined

  private readonly make: MakeDraft

  constructor(limits: Limits, make: MakeDraft, onRead: ((place: Pointer) => void) | undefined) {
    this.limits = limits
    this.make = make
    this.onRead = onRead
  }

  draft(base: Container, place: Pointer | undefined): DraftNode {
    return this.make(this, base, place)
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

/** A draft: what was written to one value, until it is known what it came to. */
export abstract class DraftNode {
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
