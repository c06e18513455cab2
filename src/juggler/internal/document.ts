/**
 * A JSON document that is owned: changes are made in place, so a change costs what the change is long, whatever the size
 * of the document. It applies operations within its limits, whole or not at all, and says what they came to.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { deepCopy, equals, forbiddenKey, keySize, Meter, scalarSize, sizeOf } from "./json.ts"
import { type Change, type Container, type Fault, fault, type Limits } from "./model.ts"
import { isFault, readOperation, type Source } from "./operations.ts"
import { BorrowedTree, OwnedTree } from "./ownedTree.ts"
import { moved, startsWith } from "./places.ts"

interface Mark {
  readonly done: number
  readonly changes: number
  readonly size: number
}

export class OwnedDocument {
  private readonly tree: OwnedTree
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
  private sizeBefore = 0

  constructor(root: Json, limits: Limits, tree = new OwnedTree(root)) {
    this.tree = tree
    this.limits = limits
  }

  get root(): Json {
    return this.tree.root
  }

  /** The live value at a place: for a look, not to be kept. */
  peek(tokens: Pointer): Json | undefined {
    return this.tree.peek(tokens)
  }

  /** The value at a place, immutable. */
  snapshot(tokens: Pointer): Json | undefined {
    return this.tree.snapshot(tokens)
  }

  /** Takes a value that is frozen for the whole document. */
  become(root: Json, size: number): void {
    this.tree.root = root
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
    return { done: this.tree.done, changes: this.changes.length, size: this.size }
  }

  /** Takes back what was done since the mark. */
  back(mark: Mark): void {
    this.takeBack(mark.done, mark.size)
    this.changes.length = mark.changes
  }

  /** What follows until {@link commit} can be taken back by {@link rollback}. */
  begin(): void {
    this.tree.settle()
    this.changes = []
    if (this.inverse !== undefined) this.inverse = []
    this.sizeBefore = this.size
    this.copied = 0
    this.walked = 0
  }

  commit(): void {
    this.tree.settle()
  }

  rollback(): void {
    this.takeBack(0, this.sizeBefore)
    this.changes = []
    if (this.inverse !== undefined) this.inverse = []
  }

  private takeBack(done: number, size: number): void {
    this.tree.back(done)
    this.size = size
  }

  /** Applies one operation of whatever shape. */
  operation(operation: unknown, source: Source): boolean {
    const change = readOperation(operation, source, this.limits.maxDepth)
    if (isFault(change)) return this.fail(change)
    switch (change.op) {
      case "add":
      case "replace":
        return this.write(change.op, change.path, change.value, source)
      case "remove":
        return this.remove(change.path)
      case "test":
        return this.test(change.path, change.value)
      case "move":
        return this.move(change.from, change.path)
      case "copy":
        return this.copy(change.from, change.path)
    }
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
    const parent = this.tree.enter(tokens, last)
    if (parent === undefined) return this.nothing(tokens)
    const token = tokens[last]!
    let old: Json
    if (Array.isArray(parent)) {
      const index = JsonPointer.indexOf(token)
      if (index < 0 || index >= parent.length) return this.nothing(tokens)
      old = this.tree.cut(parent, index)
    } else {
      if (!Object.hasOwn(parent, token)) return this.nothing(tokens)
      old = this.tree.delete(parent, token)
      this.size -= keySize(token)
    }
    this.size -= size ?? sizeOf(old)
    if (size === undefined) this.inverse?.push({ op: "add", path: tokens, value: old })
    return tokens
  }

  /** Puts a value at a place and gives that place, with an index for `-`. `undefined`: there is a fault. */
  private put(op: "add" | "replace", tokens: Pointer, value: Json, size: number): Pointer | undefined {
    const last = tokens.length - 1
    if (last < 0) {
      if (size > this.limits.maxSize) return this.tooLarge()
      this.inverse?.push({ op: "replace", path: tokens, value: this.root })
      this.tree.become(value)
      this.size = size
      return tokens
    }
    const token = tokens[last]!
    const parent = this.tree.enter(tokens, last)
    if (parent === undefined) return this.nothing(tokens)
    if (Array.isArray(parent)) {
      const { length } = parent
      const index = op === "add" && token === "-" ? length : JsonPointer.indexOf(token)
      if (index < 0 || index > length || (op === "replace" && index === length)) return this.nothing(tokens)
      const place = token === "-" ? [...tokens.slice(0, last), index] : tokens
      if (op === "replace") return this.exchange(parent, place, index, value, size)
      if (!this.grow(size)) return undefined
      this.tree.insert(parent, index, value)
      this.inverse?.push({ op: "remove", path: place })
      return place
    }
    if (token === forbiddenKey) {
      this.fail(fault("ForbiddenKey", `the key ${forbiddenKey} is refused`))
      return undefined
    }
    if (Object.hasOwn(parent, token)) return this.exchange(parent, tokens, token, value, size)
    if (op === "replace") return this.nothing(tokens)
    if (!this.grow(size + keySize(token))) return undefined
    this.tree.add(parent, token, value)
    this.inverse?.push({ op: "remove", path: tokens })
    return tokens
  }

  private exchange(
    parent: Container,
    place: Pointer,
    key: string | number,
    value: Json,
    size: number
  ): Pointer | undefined {
    const old = (parent as { readonly [key: string]: Json })[key]!
    if (!this.grow(size - sizeOf(old))) return undefined
    this.tree.exchange(parent, key, value)
    this.inverse?.push({ op: "replace", path: place, value: old })
    return place
  }

  /** Makes room for so many bytes. */
  private grow(bytes: number): boolean {
    if (this.size + bytes > this.limits.maxSize) {
      this.tooLarge()
      return false
    }
    this.size += bytes
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
    const { inverse, size: before, tree: { done } } = this
    this.inverse = inverse && []
    const place = this.cut(source, 0) && this.put("add", target, value, size)
    const put = this.inverse?.[0]
    this.inverse = inverse
    if (place === undefined) {
      this.takeBack(done, before)
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

/** A document that belongs to somebody else and stays as it is: see {@link BorrowedTree}. */
export class BorrowedDocument extends OwnedDocument {
  constructor(root: Json, limits: Limits) {
    super(root, limits, new BorrowedTree(root))
  }

  protected override take(value: Json): Json {
    return value
  }
}
