/**
 * Containers that are changed in place, and back again. Whoever asks for a part gets it frozen: the next write into it
 * copies the containers on its path, once.
 *
 * A container that is not frozen is the tree's alone; one that is frozen is shared with somebody, and so is everything below
 * it. There is no other mark, hence none that can be wrong.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { shallowCopy } from "./json.ts"
import { type Container, isContainer, type JsonRecord } from "./model.ts"
import { remember, tableOf } from "./tables.ts"

/** One thing to put back; the newest is undone first. */
interface Undo {
  readonly target: Container | undefined
  readonly kind: "set" | "delete" | "splice-out" | "splice-in"
  readonly key: string | number
  readonly old: Json | undefined
}

/** How many parts of a container that are not frozen are remembered one by one. */
const maxLoose = 64

export class OwnedTree {
  root: Json
  private undo: Array<Undo> = []
  /** The parts that are not frozen of containers that were copied: an absent container may have any. */
  private readonly loose = new WeakMap<Container, Array<Container>>()
  /** The keys of copies of wide objects, until one is added or removed. */
  private readonly keys = new WeakMap<Container, ReadonlyArray<string>>()

  constructor(root: Json) {
    this.root = root
  }

  /** The live value at a place: for a look, not to be kept. */
  peek(tokens: Pointer): Json | undefined {
    return JsonPointer.get(this.root, tokens)
  }

  /** The value at a place, immutable. */
  snapshot(tokens: Pointer): Json | undefined {
    const value = this.peek(tokens)
    if (value !== undefined) this.freeze(value)
    return value
  }

  /** What was done so far stays. */
  settle(): void {
    this.undo = []
  }

  /** Counts what was done since {@link settle}. */
  get done(): number {
    return this.undo.length
  }

  /** Takes back what was done, but for so much of it. */
  back(count: number): void {
    while (this.undo.length > count) {
      const { key, kind, old, target } = this.undo.pop()!
      if (kind === "splice-out") (target as Array<Json>).splice(key as number, 1)
      else if (kind === "splice-in") (target as Array<Json>).splice(key as number, 0, old!)
      else if (kind === "delete") delete (target as JsonRecord)[key as string]
      else if (target === undefined) this.root = old!
      else (target as JsonRecord)[key as string] = old!
    }
  }

  /** Makes the containers along the first `count` tokens changeable and gives the last one, if they are there. */
  enter(tokens: Pointer, count: number): Container | undefined {
    let parent: Container | undefined = undefined
    let key: string | number = ""
    let node: Json | undefined = this.root
    for (let i = 0;; i++) {
      if (!isContainer(node)) return undefined
      let current: Container = node
      if (!this.owns(current)) {
        const copy = shallowCopy(current)
        const table = tableOf(current)
        if (table !== undefined) this.keys.set(copy, table.keys)
        this.own(copy)
        this.undo.push({ target: parent, kind: "set", key, old: current })
        if (parent === undefined) this.root = copy
        else {
          ;(parent as JsonRecord)[key] = copy
          this.know(parent, copy)
        }
        current = copy
      }
      if (i === count) return current
      const token: string | number = tokens[i]!
      parent = current
      if (Array.isArray(current)) {
        const index = JsonPointer.indexOf(token)
        key = index
        node = index >= 0 ? current[index] : undefined
      } else {
        key = token
        node = Object.hasOwn(current, token) ? current[token] : undefined
      }
    }
  }

  /** Gives the root another value, and gives the one that it had. */
  become(value: Json): Json {
    const old = this.root
    this.undo.push({ target: undefined, kind: "set", key: "", old })
    this.root = value
    return old
  }

  /** Gives a member of a container that was entered another value, and gives the one that it had. */
  exchange(parent: Container, key: string | number, value: Json): Json {
    const old = (parent as JsonRecord)[key]!
    this.undo.push({ target: parent, kind: "set", key, old })
    ;(parent as JsonRecord)[key] = value
    this.know(parent, value)
    return old
  }

  /** Adds a member to an object that was entered and has none of that name. */
  add(parent: JsonRecord, key: string | number, value: Json): void {
    this.undo.push({ target: parent, kind: "delete", key, old: undefined })
    this.keys.delete(parent)
    parent[key] = value
    this.know(parent, value)
  }

  /** Takes a member out of an object that was entered. */
  delete(parent: JsonRecord, key: string | number): Json {
    const old = parent[key]!
    this.keys.delete(parent)
    delete parent[key]
    this.undo.push({ target: parent, kind: "set", key, old })
    return old
  }

  /** Inserts an element into an array that was entered. */
  insert(parent: Array<Json>, index: number, value: Json): void {
    if (index === parent.length) parent.push(value)
    else parent.splice(index, 0, value)
    this.undo.push({ target: parent, kind: "splice-out", key: index, old: undefined })
    this.know(parent, value)
  }

  /** Takes an element out of an array that was entered. */
  cut(parent: Array<Json>, index: number): Json {
    const old = parent.splice(index, 1)[0]!
    this.undo.push({ target: parent, kind: "splice-in", key: index, old })
    return old
  }

  /** Whether a container may be changed in place. */
  protected owns(container: Container): boolean {
    return !Object.isFrozen(container)
  }

  /** A copy was made, of a container all of whose parts are frozen. */
  protected own(copy: Container): void {
    this.loose.set(copy, [])
  }

  /** A value has become a member of a container. */
  private know(parent: Container, value: Json): void {
    if (!isContainer(value) || Object.isFrozen(value)) return
    const parts = this.loose.get(parent)
    if (parts === undefined) return
    if (parts.length === maxLoose) this.loose.delete(parent)
    else parts.push(value)
  }

  /** From now on nobody changes this value, nor what is in it. */
  private freeze(value: Json): void {
    if (!isContainer(value) || Object.isFrozen(value)) return
    const parts = this.loose.get(value)
    const keys = this.keys.get(value)
    this.loose.delete(value)
    Object.freeze(value)
    if (keys !== undefined) remember(value, { keys, values: undefined })
    const members: ReadonlyArray<Json> = parts ?? (Array.isArray(value) ? value : Object.values(value))
    for (let i = 0; i < members.length; i++) this.freeze(members[i]!)
  }
}

/** A tree that belongs to somebody else and stays as it is: what is changed is copied first, and nothing is frozen. */
export class BorrowedTree extends OwnedTree {
  private readonly mine = new Set<Container>()

  protected override owns(container: Container): boolean {
    return this.mine.has(container)
  }
  protected override own(copy: Container): void {
    this.mine.add(copy)
  }
}
