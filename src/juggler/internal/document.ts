/**
 * A JSON document that is owned: patches change it in place, so a change costs what the change is long, whatever the size
 * of the document. Whoever asks for a part gets it as an immutable value: from then on that part is *shared*, and the next
 * write into it copies the containers on its path, once, level by level.
 *
 * How a container is known to be ours: `epoch` counts up with everything that is shared or created. A container may be
 * changed in place when it became ours (`own`) after the last time that it or any of its ancestors was shared (`floor`).
 * Only containers that were written to, shared or inserted have an entry; `base` says since when all below is ours.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json } from "../JsonPointer.ts"
import { equals, type Fault, fault, forbiddenKey, Meter, scalarSize, shallowCopy, sizeUpTo } from "./json.ts"

type JsonRecord = { [key: string]: Json }
type Container = JsonRecord | Array<Json>

interface Mark {
  /** Epoch in which the container became ours; -1 when it is shared. */
  own: number
  /** What became ours up to this epoch, below this container, is shared. */
  floor: number
  /** Epoch in which everything below became ours; -1: as said further up. */
  base: number
}

export interface Limits {
  readonly maxOperations: number
  readonly maxDepth: number
  readonly maxSize: number
  readonly maxCopied: number
}

/** The fields of an operation, none of them checked yet. */
interface Raw {
  readonly op?: unknown
  readonly path?: unknown
  readonly from?: unknown
  readonly value?: unknown
}

const isContainer = (value: Json | undefined): value is Container => typeof value === "object" && value !== null

/** One thing to put back; the newest is undone first. */
interface Undo {
  readonly target: Container | undefined
  readonly kind: "set" | "delete" | "splice-out" | "splice-in"
  readonly key: string | number
  readonly old: Json | undefined
}

export class OwnedDocument {
  root: Json
  /** Characters of the JSON text, roughly; counted since the beginning, or since an unmeasured one. */
  size = 0
  /** What the last operation failed with. */
  fault: Fault | undefined = undefined
  /** Index of the operation that failed; -1 if none did. */
  faultAt = -1
  private readonly limits: Limits
  private readonly marks = new WeakMap<object, Mark>()
  private epoch = 1
  private copied = 0
  /** Characters that `move` had to walk in this patch, to find out how deep they go. */
  private walked = 0
  private undo: Array<Undo> | undefined = undefined
  private sizeBefore = 0

  constructor(root: Json, limits: Limits) {
    this.root = root
    this.limits = limits
    this.share(root)
  }

  /** Counts the document and checks that it is JSON within the limits. */
  measure(): boolean {
    const size = this.sizeOf(this.root, 0)
    if (size < 0) return false
    this.size = size
    return true
  }

  /** The live value at the tokens: for a look, not to be kept. */
  peek(tokens: ReadonlyArray<string>): Json | undefined {
    return JsonPointer.get(this.root, tokens)
  }

  /** The value at the tokens, immutable from now on. */
  snapshot(tokens: ReadonlyArray<string>): Json | undefined {
    const value = this.peek(tokens)
    if (value !== undefined) this.share(value)
    return value
  }

  /** Takes a value that somebody else holds for the whole document. */
  become(root: Json, size: number): void {
    this.root = root
    this.size = size
    this.share(root)
  }

  /**
   * Applies a patch whole or not at all. `adopt`: the values in it belong to nobody else, so they may be changed in place
   * later. On `false` the fault is in `fault`, the index of the operation in `faultAt`.
   */
  apply(patch: unknown, adopt: boolean): boolean {
    this.faultAt = -1
    if (!Array.isArray(patch)) return this.fail(fault("InvalidOperation", "a patch is an array of operations"))
    if (patch.length > this.limits.maxOperations) {
      return this.fail(
        fault("TooManyOperations", `${patch.length} operations, the limit is ${this.limits.maxOperations}`)
      )
    }
    if (patch.length === 1) {
      this.copied = 0
      this.walked = 0
      if (this.operation(patch[0], adopt)) return true
      this.faultAt = 0
      return false
    }
    this.begin()
    for (let i = 0; i < patch.length; i++) {
      if (!this.operation(patch[i], adopt)) {
        this.rollback()
        this.faultAt = i
        return false
      }
    }
    this.commit()
    return true
  }

  /** What follows until {@link commit} can be taken back by {@link rollback}. */
  begin(): void {
    this.undo = []
    this.sizeBefore = this.size
    this.copied = 0
    this.walked = 0
  }

  commit(): void {
    this.undo = undefined
  }

  rollback(): void {
    const undo = this.undo ?? []
    this.undo = undefined
    for (let i = undo.length - 1; i >= 0; i--) {
      const { key, kind, old, target } = undo[i]!
      if (kind === "splice-out") (target as Array<Json>).splice(key as number, 1)
      else if (kind === "splice-in") (target as Array<Json>).splice(key as number, 0, old!)
      else if (kind === "delete") delete (target as JsonRecord)[key as string]
      else if (target === undefined) {
        this.root = old!
      } else (target as JsonRecord)[key as string] = old!
    }
    this.size = this.sizeBefore
  }

  /** Applies one operation of whatever shape. */
  operation(operation: unknown, adopt: boolean): boolean {
    if (typeof operation !== "object" || operation === null) {
      return this.fail(fault("InvalidOperation", "an operation is an object"))
    }
    const raw = operation as Raw
    const path = Object.hasOwn(raw, "path") ? raw.path : undefined
    if (typeof path !== "string") return this.fail(fault("InvalidOperation", "an operation has a \"path\""))
    const op = Object.hasOwn(raw, "op") ? raw.op : undefined
    switch (op) {
      case "add":
      case "replace":
      case "test": {
        const value = Object.hasOwn(raw, "value") ? raw.value : undefined
        if (value === undefined) return this.fail(fault("InvalidOperation", `"${op}" needs a "value"`))
        const tokens = this.tokens(path)
        if (tokens === undefined) return false
        return op === "test" ? this.test(tokens, value as Json) : this.write(op, tokens, value as Json, adopt)
      }
      case "remove": {
        const tokens = this.tokens(path)
        return tokens !== undefined && this.remove(tokens)
      }
      case "move":
      case "copy": {
        const from = Object.hasOwn(raw, "from") ? raw.from : undefined
        if (typeof from !== "string") return this.fail(fault("InvalidOperation", `"${op}" needs a "from"`))
        const source = this.tokens(from)
        if (source === undefined) return false
        const target = this.tokens(path)
        if (target === undefined) return false
        return op === "move" ? this.move(source, target) : this.copy(source, target)
      }
      default:
        return this.fail(fault("InvalidOperation", "\"op\" is none of add, remove, replace, move, copy, test"))
    }
  }

  /** `add` and `replace`. */
  write(op: "add" | "replace", tokens: ReadonlyArray<string>, value: Json, adopt: boolean): boolean {
    let size = scalarSize(value)
    if (size < 0) {
      size = this.sizeOf(value, tokens.length)
      if (size < 0) return false
      const epoch = ++this.epoch
      if (isContainer(value)) {
        if (adopt) this.marks.set(value, { own: epoch, floor: 0, base: epoch })
        else this.share(value)
      }
    }
    return this.put(op, tokens, value, size)
  }

  /** `size` of what is removed, where it need not be counted. */
  remove(tokens: ReadonlyArray<string>, size?: number): boolean {
    const last = tokens.length - 1
    if (last < 0) return this.put("replace", tokens, null, 4)
    const parent = this.enter(tokens, last)
    if (parent === undefined) return false
    const token = tokens[last]!
    if (Array.isArray(parent)) {
      const index = JsonPointer.indexOf(token)
      if (index < 0 || index >= parent.length) return this.missing(tokens)
      const [old] = parent.splice(index, 1)
      this.undo?.push({ target: parent, kind: "splice-in", key: index, old })
      this.size -= (size ?? sizeUpTo(old!, Infinity)) + 1
      return true
    }
    if (!Object.hasOwn(parent, token)) return this.missing(tokens)
    const old = parent[token]!
    delete parent[token]
    this.undo?.push({ target: parent, kind: "set", key: token, old })
    this.size -= (size ?? sizeUpTo(old, Infinity)) + token.length + 4
    return true
  }

  private put(op: "add" | "replace", tokens: ReadonlyArray<string>, value: Json, size: number): boolean {
    const last = tokens.length - 1
    if (last < 0) {
      if (size > this.limits.maxSize) return this.tooLarge()
      this.undo?.push({ target: undefined, kind: "set", key: "", old: this.root })
      this.root = value
      this.size = size
      return true
    }
    const token = tokens[last]!
    const parent = this.enter(tokens, last)
    if (parent === undefined) return false
    if (Array.isArray(parent)) {
      const index = op === "add" && token === "-" ? parent.length : JsonPointer.indexOf(token)
      if (index < 0 || index > parent.length || (op === "replace" && index === parent.length)) {
        return this.missing(tokens)
      }
      if (op === "replace") {
        const old = parent[index]!
        const growth = size - sizeUpTo(old, Infinity)
        if (this.size + growth > this.limits.maxSize) return this.tooLarge()
        this.undo?.push({ target: parent, kind: "set", key: index, old })
        parent[index] = value
        this.size += growth
        return true
      }
      if (this.size + size + 1 > this.limits.maxSize) return this.tooLarge()
      if (index === parent.length) parent.push(value)
      else parent.splice(index, 0, value)
      this.undo?.push({ target: parent, kind: "splice-out", key: index, old: undefined })
      this.size += size + 1
      return true
    }
    if (token === forbiddenKey) return this.fail(fault("ForbiddenKey", `the key ${forbiddenKey} is refused`))
    if (Object.hasOwn(parent, token)) {
      const old = parent[token]!
      const growth = size - sizeUpTo(old, Infinity)
      if (this.size + growth > this.limits.maxSize) return this.tooLarge()
      this.undo?.push({ target: parent, kind: "set", key: token, old })
      parent[token] = value
      this.size += growth
      return true
    }
    if (op === "replace") return this.missing(tokens)
    const growth = size + token.length + 4
    if (this.size + growth > this.limits.maxSize) return this.tooLarge()
    this.undo?.push({ target: parent, kind: "delete", key: token, old: undefined })
    parent[token] = value
    this.size += growth
    return true
  }

  private test(tokens: ReadonlyArray<string>, value: Json): boolean {
    const actual = this.peek(tokens)
    if (actual === undefined) return this.missing(tokens)
    // a value that is too deep to be walked cannot equal one that is not
    if (scalarSize(value) < 0 && this.sizeOf(value, 0) < 0) return false
    return equals(actual, value) || this.fail(fault("TestFailed", "the value is another one"))
  }

  private copy(source: ReadonlyArray<string>, target: ReadonlyArray<string>): boolean {
    const value = this.peek(source)
    if (value === undefined) return this.missing(source)
    const meter = new Meter(this.limits.maxDepth - target.length, this.limits.maxCopied - this.copied)
    if (!meter.add(value, 0)) return this.fail(meter.fault!)
    this.copied += meter.size
    this.share(value)
    return this.put("add", target, value, meter.size)
  }

  private move(source: ReadonlyArray<string>, target: ReadonlyArray<string>): boolean {
    const value = this.peek(source)
    if (value === undefined) return this.missing(source)
    if (source.length <= target.length && source.every((token, i) => token === target[i])) {
      return source.length === target.length ||
        this.fail(fault("InvalidOperation", "a value cannot be moved into itself"))
    }
    if (target.length > source.length) {
      const meter = new Meter(this.limits.maxDepth - target.length, this.limits.maxSize - this.walked)
      if (!meter.add(value, 0)) return this.fail(meter.fault!)
      this.walked += meter.size
    }
    this.keepMarks(source, value)
    const single = this.undo === undefined
    if (single) this.begin()
    // what is moved makes the document no larger, unless it becomes the document
    const size = target.length === 0 ? sizeUpTo(value, Infinity) : 0
    if (this.remove(source, 0) && this.put("add", target, value, size)) {
      if (single) this.commit()
      return true
    }
    if (single) this.rollback()
    return false
  }

  /** Makes the containers along the first `count` tokens changeable and gives the last one. */
  private enter(tokens: ReadonlyArray<string>, count: number): Container | undefined {
    let parent: Container | undefined = undefined
    let key: string | number = ""
    let node: Json | undefined = this.root
    let floor = 0
    let base = 0
    for (let i = 0;; i++) {
      if (!isContainer(node)) {
        this.missing(tokens)
        return undefined
      }
      let current: Container = node
      const mark: Mark | undefined = this.marks.get(current)
      if (mark !== undefined && mark.base >= 0) base = mark.base
      if ((mark === undefined ? base : mark.own) <= floor) {
        floor = mark === undefined ? floor : Math.max(floor, mark.floor)
        const copy = shallowCopy(current) as Container
        this.marks.set(copy, { own: ++this.epoch, floor, base: 0 })
        base = 0
        this.undo?.push({ target: parent, kind: "set", key, old: current })
        if (parent === undefined) this.root = copy
        else (parent as JsonRecord)[key] = copy
        current = copy
      } else if (mark !== undefined && mark.floor > floor) floor = mark.floor
      if (i === count) return current
      const token: string = tokens[i]!
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

  /** Notes at a value what its place says about it, so that it can be moved: what is ours stays ours, what is shared shared. */
  private keepMarks(tokens: ReadonlyArray<string>, value: Json): void {
    if (!isContainer(value)) return
    let node: Json | undefined = this.root
    let floor = 0
    let base = 0
    for (let i = 0; i < tokens.length; i++) {
      const mark = this.marks.get(node as object)
      if (mark !== undefined) {
        if (mark.base >= 0) base = mark.base
        if (mark.floor > floor) floor = mark.floor
      }
      node = JsonPointer.child(node, tokens[i]!)
    }
    const mark = this.marks.get(value)
    if (mark !== undefined && mark.base >= 0) base = mark.base
    const own = mark === undefined ? base : mark.own
    this.marks.set(value, {
      own: own > floor ? ++this.epoch : -1,
      floor: Math.max(floor, mark === undefined ? 0 : mark.floor),
      base
    })
  }

  /** What is at or below a value is not ours any more. */
  private share(value: Json): void {
    if (!isContainer(value)) return
    const mark = this.marks.get(value)
    if (mark === undefined) this.marks.set(value, { own: -1, floor: ++this.epoch, base: 0 })
    else if (mark.own !== -1) {
      mark.own = -1
      mark.floor = ++this.epoch
      mark.base = 0
    }
  }

  private tokens(pointer: string): Array<string> | undefined {
    const tokens = JsonPointer.parse(pointer)
    if (tokens === undefined) this.fail(fault("InvalidPointer", "the path is no JSON Pointer"))
    else if (tokens.length > this.limits.maxDepth) {
      this.fail(fault("TooDeep", `the path is longer than ${this.limits.maxDepth} levels`))
      return undefined
    }
    return tokens
  }

  private sizeOf(value: Json, depth: number): number {
    const meter = new Meter(this.limits.maxDepth - depth, this.limits.maxSize)
    if (meter.add(value, 0)) return meter.size
    this.fail(meter.fault!)
    return -1
  }

  private missing(tokens: ReadonlyArray<string>): false {
    return this.fail(fault("NotFound", `nothing at "${JsonPointer.format(tokens).slice(0, 200)}"`))
  }

  private tooLarge(): false {
    return this.fail(fault("TooLarge", `the document would be larger than ${this.limits.maxSize} characters`))
  }

  private fail(fault: Fault): false {
    this.fault = fault
    return false
  }
}
