/**
 * A JSON document that is owned: changes are made in place, so a change costs what the change is long, whatever the size
 * of the document. Whoever asks for a part gets it frozen: the next write into it copies the containers on its path, once.
 *
 * A container that is not frozen is the document's alone; one that is frozen is shared with somebody, and so is everything
 * below it. There is no other mark, hence none that can be wrong.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { deepCopy, equals, forbiddenKey, keySize, Meter, scalarSize, shallowCopy, sizeOf } from "./json.ts"
import { type Change, type Container, type Fault, fault, isContainer, type JsonRecord, type Limits } from "./model.ts"
import { moved, startsWith } from "./places.ts"
import { remember, tableOf } from "./tables.ts"

/** The fields of an operation, none of them checked yet. */
interface Raw {
  readonly op?: unknown
  readonly path?: unknown
  readonly from?: unknown
  readonly value?: unknown
}

/**
 * Where operations come from:
 *
 * - `"wire"`: parsed just now, so that the values in them are nobody else's; their places are text
 * - `"found"`: by a comparison with what was parsed just now; their places are tokens
 * - `"program"`: somebody wrote them, and may go on changing the values in them
 */
export type Source = "wire" | "found" | "program"

/** One thing to put back; the newest is undone first. */
interface Undo {
  readonly target: Container | undefined
  readonly kind: "set" | "delete" | "splice-out" | "splice-in"
  readonly key: string | number
  readonly old: Json | undefined
}

interface Mark {
  readonly undone: number
  readonly changes: number
  readonly size: number
}

/** How many parts of a container that are not frozen are remembered one by one. */
const maxLoose = 64

export class OwnedDocument {
  root: Json
  /** Bytes of memory; counted since the beginning, or since an unmeasured one. */
  size = 0
  /** What the last operation failed with. */
  fault: Fault | undefined = undefined
  /** Index of the operation that failed; -1 if none did. */
  faultAt = -1
  /** What was changed since {@link begin}, as places: no `test`, no `-`. */
  changes: Array<Change> = []
  /** What takes the changes back, the last one first; `undefined` where nobody wants to know. */
  inverse: Array<Change> | undefined = undefined
  /** Somebody keeps the changes: their values may not be changed in place. */
  retained = false
  limits: Limits
  private copied = 0
  /** Bytes that `move` had to walk in this patch, to find out how deep they go. */
  private walked = 0
  private undo: Array<Undo> = []
  private sizeBefore = 0
  /** The parts that are not frozen of containers that were copied: an absent container may have any. */
  private readonly loose = new WeakMap<Container, Array<Container>>()
  /** The keys of copies of wide objects, until one is added or removed. */
  private readonly keys = new WeakMap<Container, ReadonlyArray<string>>()

  constructor(root: Json, limits: Limits) {
    this.root = root
    this.limits = limits
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

  /** Takes a value that is frozen for the whole document. */
  become(root: Json, size: number): void {
    this.root = root
    this.size = size
  }

  /** Applies a patch whole or not at all. On `false` the fault is in `fault`, the index of the operation in `faultAt`. */
  apply(patch: unknown, source: Source): boolean {
    this.faultAt = -1
    if (!Array.isArray(patch)) return this.fail(fault("InvalidOperation", "a patch is an array of operations"))
    if (patch.length > this.limits.maxOperations) {
      return this.fail(
        fault("TooManyOperations", `${patch.length} operations, the limit is ${this.limits.maxOperations}`)
      )
    }
    this.begin()
    for (let i = 0; i < patch.length; i++) {
      if (!this.operation(patch[i], source)) {
        this.rollback()
        this.faultAt = i
        return false
      }
    }
    this.commit()
    return true
  }

  /** Where {@link back} leads to, within what was begun. */
  mark(): Mark {
    return { undone: this.undo.length, changes: this.changes.length, size: this.size }
  }

  /** Takes back what was done since the mark. */
  back(mark: Mark): void {
    this.rollbackTo(mark.undone, mark.size)
    this.changes.length = mark.changes
  }

  /** What follows until {@link commit} can be taken back by {@link rollback}. */
  begin(): void {
    this.undo = []
    this.changes = []
    if (this.inverse !== undefined) this.inverse = []
    this.sizeBefore = this.size
    this.copied = 0
    this.walked = 0
  }

  commit(): void {
    this.undo = []
  }

  rollback(): void {
    this.rollbackTo(0, this.sizeBefore)
    this.changes = []
    if (this.inverse !== undefined) this.inverse = []
  }

  private rollbackTo(count: number, size: number): void {
    while (this.undo.length > count) {
      const { key, kind, old, target } = this.undo.pop()!
      if (kind === "splice-out") (target as Array<Json>).splice(key as number, 1)
      else if (kind === "splice-in") (target as Array<Json>).splice(key as number, 0, old!)
      else if (kind === "delete") delete (target as JsonRecord)[key as string]
      else if (target === undefined) this.root = old!
      else (target as JsonRecord)[key as string] = old!
    }
    this.size = size
  }

  /** Applies one operation of whatever shape. */
  operation(operation: unknown, source: Source): boolean {
    if (typeof operation !== "object" || operation === null) {
      return this.fail(fault("InvalidOperation", "an operation is an object"))
    }
    const raw = operation as Raw
    const op = Object.hasOwn(raw, "op") ? raw.op : undefined
    const path = this.place(raw, "path", op, source)
    if (path === undefined) return false
    switch (op) {
      case "add":
      case "replace":
      case "test": {
        const value = Object.hasOwn(raw, "value") ? raw.value : undefined
        if (value === undefined) return this.fail(fault("InvalidOperation", `"${op}" needs a "value"`))
        return op === "test" ? this.test(path, value as Json) : this.write(op, path, value as Json, source)
      }
      case "remove":
        return this.remove(path)
      case "move":
      case "copy": {
        const from = this.place(raw, "from", op, source)
        if (from === undefined) return false
        return op === "move" ? this.move(from, path) : this.copy(from, path)
      }
      default:
        return this.fail(fault("InvalidOperation", "\"op\" is none of add, remove, replace, move, copy, test"))
    }
  }

  /** The place in a field of an operation: text that came over the wire, or the tokens of a program. */
  private place(raw: Raw, field: "path" | "from", op: unknown, source: Source): Pointer | undefined {
    const written = Object.hasOwn(raw, field) ? raw[field] : undefined
    let tokens: Pointer | undefined
    if (typeof written === "string") tokens = JsonPointer.parse(written)
    else if (source === "wire" || !Array.isArray(written)) {
      this.fail(
        fault("InvalidOperation", field === "path" ? "an operation has a \"path\"" : `"${String(op)}" needs a "from"`)
      )
      return undefined
    } else if (written.every((token) => typeof token === "string" || typeof token === "number")) {
      tokens = written.slice()
    }
    if (tokens === undefined) this.fail(fault("InvalidPointer", `the ${field} is no JSON Pointer`))
    else if (tokens.length > this.limits.maxDepth) {
      this.fail(fault("TooDeep", `the ${field} is longer than ${this.limits.maxDepth} levels`))
      return undefined
    }
    return tokens
  }

  private write(op: "add" | "replace", tokens: Pointer, value: Json, source: Source): boolean {
    let size = scalarSize(value)
    if (size < 0) {
      const meter = this.meter(tokens.length, source)
      if (!meter.add(value, 0)) return this.fail(meter.fault!)
      size = meter.size
      if (meter.loose) value = this.take(value, source)
    }
    const place = this.put(op, tokens, value, size)
    if (place === undefined) return false
    this.changes.push({ op, path: place, value })
    return true
  }

  /** Looks at a value; one that is nobody else's is frozen on the way, where the changes are kept. */
  private meter(depth: number, source: Source): Meter {
    const { maxDepth, maxSize } = this.limits
    return new Meter(maxDepth - depth, maxSize, this.retained && source !== "program")
  }

  /** Makes a value that is not frozen fit to be a part of the document, and of the changes. */
  protected take(value: Json, source: Source): Json {
    return source === "program" ? deepCopy(value, true) : value
  }

  private remove(tokens: Pointer): boolean {
    if (tokens.length === 0) {
      if (this.put("replace", tokens, null, scalarSize(null)) === undefined) return false
      this.changes.push({ op: "replace", path: tokens, value: null })
      return true
    }
    const place = this.cut(tokens, undefined)
    if (place === undefined) return false
    this.changes.push({ op: "remove", path: place })
    return true
  }

  /** Takes a member out; `size` of it where it need not be counted. Gives the place that it had. */
  private cut(tokens: Pointer, size: number | undefined): Pointer | undefined {
    const last = tokens.length - 1
    const parent = this.enter(tokens, last)
    if (parent === undefined) return undefined
    const token = tokens[last]!
    if (Array.isArray(parent)) {
      const index = JsonPointer.indexOf(token)
      if (index < 0 || index >= parent.length) return this.nothing(tokens)
      const [old] = parent.splice(index, 1)
      this.undo.push({ target: parent, kind: "splice-in", key: index, old })
      this.size -= size ?? sizeOf(old!)
      if (size === undefined) this.inverse?.push({ op: "add", path: tokens, value: old! })
      return tokens
    }
    if (!Object.hasOwn(parent, token)) return this.nothing(tokens)
    const old = parent[token]!
    this.keys.delete(parent)
    delete parent[token]
    this.undo.push({ target: parent, kind: "set", key: token, old })
    this.size -= (size ?? sizeOf(old)) + keySize(token)
    if (size === undefined) this.inverse?.push({ op: "add", path: tokens, value: old })
    return tokens
  }

  /** Puts a value at a place and gives that place, with an index for `-`. `undefined`: there is a fault. */
  private put(op: "add" | "replace", tokens: Pointer, value: Json, size: number): Pointer | undefined {
    const last = tokens.length - 1
    if (last < 0) {
      if (size > this.limits.maxSize) return this.tooLarge()
      const old = this.root
      this.undo.push({ target: undefined, kind: "set", key: "", old })
      this.root = value
      this.size = size
      this.inverse?.push({ op: "replace", path: tokens, value: old })
      return tokens
    }
    const token = tokens[last]!
    const parent = this.enter(tokens, last)
    if (parent === undefined) return undefined
    if (Array.isArray(parent)) {
      const { length } = parent
      const index = op === "add" && token === "-" ? length : JsonPointer.indexOf(token)
      if (index < 0 || index > length || (op === "replace" && index === length)) return this.nothing(tokens)
      const place = token === "-" ? [...tokens.slice(0, last), index] : tokens
      if (op === "replace") return this.exchange(parent, place, index, value, size) ? place : undefined
      if (this.size + size > this.limits.maxSize) return this.tooLarge()
      if (index === length) parent.push(value)
      else parent.splice(index, 0, value)
      this.undo.push({ target: parent, kind: "splice-out", key: index, old: undefined })
      this.inverse?.push({ op: "remove", path: place })
      this.size += size
      this.know(parent, value)
      return place
    }
    if (token === forbiddenKey) {
      this.fail(fault("ForbiddenKey", `the key ${forbiddenKey} is refused`))
      return undefined
    }
    if (Object.hasOwn(parent, token)) {
      return this.exchange(parent as JsonRecord, tokens, token, value, size) ? tokens : undefined
    }
    if (op === "replace") return this.nothing(tokens)
    const growth = size + keySize(token)
    if (this.size + growth > this.limits.maxSize) return this.tooLarge()
    this.undo.push({ target: parent, kind: "delete", key: token, old: undefined })
    this.inverse?.push({ op: "remove", path: tokens })
    this.keys.delete(parent)
    parent[token] = value
    this.size += growth
    this.know(parent, value)
    return tokens
  }

  private exchange(parent: Container, place: Pointer, key: string | number, value: Json, size: number): boolean {
    const old = (parent as JsonRecord)[key]!
    const growth = size - sizeOf(old)
    if (this.size + growth > this.limits.maxSize) {
      this.tooLarge()
      return false
    }
    this.undo.push({ target: parent, kind: "set", key, old })
    this.inverse?.push({ op: "replace", path: place, value: old })
    ;(parent as JsonRecord)[key] = value
    this.size += growth
    this.know(parent, value)
    return true
  }

  private test(tokens: Pointer, value: Json): boolean {
    const actual = this.peek(tokens)
    if (actual === undefined) return this.missing(tokens)
    // a value that is too deep to be walked cannot equal one that is not
    if (scalarSize(value) < 0) {
      const meter = new Meter(this.limits.maxDepth, this.limits.maxSize)
      if (!meter.add(value, 0)) return this.fail(meter.fault!)
    }
    return equals(actual, value) || this.fail(fault("TestFailed", "the value is another one"))
  }

  private copy(source: Pointer, target: Pointer): boolean {
    const value = this.peek(source)
    if (value === undefined) return this.missing(source)
    const meter = new Meter(this.limits.maxDepth - target.length, this.limits.maxCopied - this.copied)
    if (!meter.add(value, 0)) return this.fail(meter.fault!)
    this.copied += meter.size
    const place = this.put("add", target, meter.loose ? deepCopy(value, false) : value, meter.size)
    if (place === undefined) return false
    this.changes.push({ op: "copy", from: source, path: place })
    return true
  }

  private move(source: Pointer, target: Pointer): boolean {
    const value = this.peek(source)
    if (value === undefined) return this.missing(source)
    if (source.length <= target.length && startsWith(target, source)) {
      return source.length === target.length ||
        this.fail(fault("InvalidOperation", "a value cannot be moved into itself"))
    }
    if (target.length > source.length) {
      const meter = new Meter(this.limits.maxDepth - target.length, this.limits.maxSize - this.walked)
      if (!meter.add(value, 0)) return this.fail(meter.fault!)
      this.walked += meter.size
    }
    // what is moved makes the document no larger, unless it becomes the document
    const size = target.length === 0 ? sizeOf(value) : 0
    const { inverse, size: before, undo: { length: begun } } = this
    this.inverse = inverse && []
    const place = this.cut(source, 0) && this.put("add", target, value, size)
    const put = this.inverse?.[0]
    this.inverse = inverse
    if (place === undefined) {
      this.rollbackTo(begun, before)
      return false
    }
    if (target.length < source.length && startsWith(source, target)) {
      // it has taken the place of what it was in, which goes on without it
      inverse?.push({ op: "add", path: source, value: deepCopy(value, true) }, put!)
    } else {
      // once it is back, what it gave way to may be one place further on
      if (put?.op === "replace") inverse!.push({ op: "add", path: moved(place, source, this.root), value: put.value })
      inverse?.push({ op: "move", from: place, path: source })
    }
    this.changes.push({ op: "move", from: source, path: place })
    return true
  }

  /** Makes the containers along the first `count` tokens changeable and gives the last one. */
  private enter(tokens: Pointer, count: number): Container | undefined {
    let parent: Container | undefined = undefined
    let key: string | number = ""
    let node: Json | undefined = this.root
    for (let i = 0;; i++) {
      if (!isContainer(node)) {
        this.missing(tokens)
        return undefined
      }
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

  private nothing(tokens: Pointer): undefined {
    this.missing(tokens)
    return undefined
  }

  private missing(tokens: Pointer): false {
    return this.fail(fault("NotFound", `nothing at "${JsonPointer.format(tokens).slice(0, 200)}"`))
  }

  private tooLarge(): undefined {
    this.fail(fault("TooLarge", `the document would be larger than ${this.limits.maxSize} bytes`))
    return undefined
  }

  private fail(fault: Fault): false {
    this.fault = fault
    return false
  }
}

/** A document that belongs to somebody else and stays as it is: what is changed is copied first, and nothing is frozen. */
export class BorrowedDocument extends OwnedDocument {
  private readonly mine = new Set<Container>()

  protected override owns(container: Container): boolean {
    return this.mine.has(container)
  }
  protected override own(copy: Container): void {
    this.mine.add(copy)
  }
  protected override take(value: Json): Json {
    return value
  }
}
