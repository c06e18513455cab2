/**
 * Recipes on a document that is owned: a draft looks like a mutable value; what is written to it changes the document in
 * place at once and is noted as an operation. Drafts follow their element when the array around it shifts; what was
 * removed lives on by itself and can be written to and put back.
 */
import type { Operation } from "../JsonPatch.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { Json } from "../JsonPointer.ts"
import { diffInto } from "./diff.ts"
import { type Limits, OwnedDocument } from "./document.ts"
import { type Fault, fault } from "./json.ts"

/** Thrown through a recipe when what it does is refused. */
export class Refused {
  readonly fault: Fault
  constructor(fault: Fault) {
    this.fault = fault
  }
}

interface Tree {
  /** Set when the recipe is over: a draft that was kept is not to change the document behind everybody's back. */
  over: boolean
  readonly document: OwnedDocument
  readonly operations: Array<Operation> | undefined
  readonly limits: Limits
}

const nodes = new WeakMap<object, DraftNode>()

/** Runs a recipe on a draft of the whole document. What it writes is appended to `operations`. */
export const runRecipe = (
  recipe: (draft: any) => unknown,
  document: OwnedDocument,
  operations: Array<Operation>,
  limits: Limits
): void => {
  const root = document.root
  const tree: Tree = { over: false, document, operations, limits }
  try {
    recipe(
      typeof root === "object" && root !== null
        ? new DraftNode(tree, undefined, "", Array.isArray(root)).proxy
        : root
    )
  } finally {
    tree.over = true
  }
}

class DraftNode {
  readonly proxy: any
  private tree: Tree | undefined
  private parent: DraftNode | undefined
  private key: string | number
  private children: Map<string | number, DraftNode> | undefined = undefined

  constructor(tree: Tree | undefined, parent: DraftNode | undefined, key: string | number, isArray: boolean) {
    this.tree = tree
    this.parent = parent
    this.key = key
    this.proxy = new Proxy(
      (isArray ? [] : {}) as object,
      (isArray ? new ArrayTraps(this) : new RecordTraps(this)) as ProxyHandler<object>
    )
    nodes.set(this.proxy, this)
  }

  private get root(): DraftNode {
    return this.parent === undefined ? this : this.parent.root
  }

  private writable(): Tree {
    const tree = this.root.tree!
    if (tree.over) throw new TypeError("the recipe of this draft is over")
    return tree
  }

  tokens(): Array<string> {
    if (this.parent === undefined) return []
    const tokens = this.parent.tokens()
    tokens.push(String(this.key))
    return tokens
  }

  live(): Json {
    if (this.parent === undefined) return this.tree!.document.root
    return (this.parent.live() as { readonly [key: string]: Json })[this.key]!
  }

  snapshot(): Json {
    return this.root.tree!.document.snapshot(this.tokens())!
  }

  child(key: string | number, value: Json): unknown {
    if (typeof value !== "object" || value === null) return value
    const known = this.children?.get(key)
    if (known !== undefined) return known.proxy
    const node = new DraftNode(undefined, this, key, Array.isArray(value))
    ;(this.children ??= new Map()).set(key, node)
    return node.proxy
  }

  /** Forgets the draft of a member that is overwritten or removed: it goes on with a document of its own. */
  detach(key: string | number): void {
    const node = this.children?.get(key)
    if (node === undefined) return
    const { limits } = this.root.tree!
    const value = node.snapshot()
    this.children!.delete(key)
    node.parent = undefined
    node.key = ""
    node.tree = { over: false, document: new OwnedDocument(value, limits), operations: undefined, limits }
  }

  /** Elements from `from` on have moved by `by` places. */
  shift(from: number, by: number): void {
    if (this.children === undefined) return
    const moved = new Map<string | number, DraftNode>()
    for (const [key, node] of this.children) {
      if ((key as number) >= from) node.key = (key as number) + by
      moved.set(node.key, node)
    }
    this.children = moved
  }

  write(op: "add" | "replace", key: string | number, value: unknown): void {
    const { document, operations } = this.writable()
    const plain = unwrap(value, 0)
    if (op === "replace") this.detach(key)
    const tokens = [...this.tokens(), String(key)]
    if (!document.write(op, tokens, plain, false)) throw new Refused(document.fault!)
    operations?.push({ op, path: JsonPointer.format(tokens), value: plain })
  }

  remove(key: string | number): void {
    const { document, operations } = this.writable()
    this.detach(key)
    const tokens = [...this.tokens(), String(key)]
    if (!document.remove(tokens)) throw new Refused(document.fault!)
    operations?.push({ op: "remove", path: JsonPointer.format(tokens) })
  }

  /** Makes the container equal to a plain value. */
  become(value: Json): void {
    for (const key of Array.from(this.children?.keys() ?? [])) this.detach(key)
    const { document, limits, operations } = this.writable()
    const found: Array<Operation> = []
    const result = diffInto(found, this.live(), value, { ...limits, maxOperations: Infinity })
    if (typeof result !== "number") throw new Refused(result)
    const path = JsonPointer.format(this.tokens())
    for (const operation of found) {
      const moved = { ...operation, path: path + operation.path }
      if (!document.operation(moved, false)) throw new Refused(document.fault!)
      operations?.push(moved)
    }
  }

  /** `splice` as arrays have it; gives drafts or scalars of what was removed. */
  splice(start: number, removed: number, added: ReadonlyArray<unknown>): Array<unknown> {
    const live = this.live() as ReadonlyArray<Json>
    const out: Array<unknown> = []
    for (let i = 0; i < removed; i++) out.push(this.child(start + i, live[start + i]!))
    const values = added.map((value) => unwrap(value, 0))
    for (let i = removed - 1; i >= 0; i--) this.remove(start + i)
    if (removed !== values.length) this.shift(start + removed, values.length - removed)
    for (let i = 0; i < values.length; i++) this.write("add", start + i, values[i])
    return out
  }
}

/** The plain value of something that may be, or hold, drafts. */
const unwrap = (value: unknown, depth: number): Json => {
  if (typeof value !== "object" || value === null || depth > 1_000) return value as Json
  const node = nodes.get(value)
  if (node !== undefined) return node.snapshot()
  if (Array.isArray(value)) {
    let copy: Array<Json> | undefined
    for (let i = 0; i < value.length; i++) {
      const member = unwrap(value[i], depth + 1)
      if (copy === undefined && member !== value[i]) copy = value.slice(0, i) as Array<Json>
      copy?.push(member)
    }
    return (copy ?? value) as Json
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value as unknown as Json
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(value)) {
    const before = (value as Record<string, unknown>)[key]
    const member = unwrap(before, depth + 1)
    if (member !== before) (copy ??= { ...value })[key] = member
  }
  return (copy ?? value) as Json
}

class RecordTraps implements ProxyHandler<object> {
  private readonly node: DraftNode
  constructor(node: DraftNode) {
    this.node = node
  }
  private own(key: string | symbol): Json | undefined {
    const live = this.node.live() as { readonly [key: string]: Json }
    return typeof key === "string" && Object.hasOwn(live, key) ? live[key] : undefined
  }
  get(_target: object, key: string | symbol): unknown {
    const value = this.own(key)
    if (value !== undefined) return this.node.child(key as string, value)
    return key === "__proto__" ? undefined : (Object.prototype as any)[key]
  }
  has(_target: object, key: string | symbol): boolean {
    return this.own(key) !== undefined
  }
  set(_target: object, key: string | symbol, value: unknown): boolean {
    if (typeof key !== "string") throw new Refused(fault("NotJson", "keys are text"))
    const before = this.own(key)
    if (value === undefined) {
      if (before !== undefined) this.node.remove(key)
    } else if (before === undefined) this.node.write("add", key, value)
    else if (value !== this.node.child(key, before)) this.node.write("replace", key, value)
    return true
  }
  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return "value" in descriptor && this.set(target, key, descriptor.value)
  }
  deleteProperty(_target: object, key: string | symbol): boolean {
    if (this.own(key) !== undefined) this.node.remove(key as string)
    return true
  }
  ownKeys(): Array<string> {
    return Object.keys(this.node.live() as object)
  }
  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    const value = this.own(key)
    return value === undefined
      ? undefined
      : { value: this.node.child(key as string, value), writable: true, enumerable: true, configurable: true }
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

class ArrayTraps implements ProxyHandler<object> {
  private readonly node: DraftNode
  private readonly methods: { readonly [name: string]: (...args: Array<any>) => unknown }

  constructor(node: DraftNode) {
    this.node = node
    const length = () => (node.live() as ReadonlyArray<Json>).length
    const clamp = (index: number, size: number) => {
      const whole = Math.trunc(Number(index)) || 0
      return whole < 0 ? Math.max(0, size + whole) : Math.min(whole, size)
    }
    /** What changes many places is done on a copy and compared. */
    const onCopy = (method: "sort" | "reverse" | "fill" | "copyWithin") => (...args: Array<any>) => {
      const copy = Array.from(node.proxy as Array<unknown>)
      ;(copy[method] as (...args: Array<any>) => unknown)(...args)
      node.become(copy.map((value) => unwrap(value, 0)))
      return node.proxy
    }
    this.methods = {
      push: (...values) => {
        node.splice(length(), 0, values)
        return length()
      },
      unshift: (...values) => {
        node.splice(0, 0, values)
        return length()
      },
      pop: () => length() === 0 ? undefined : node.splice(length() - 1, 1, [])[0],
      shift: () => length() === 0 ? undefined : node.splice(0, 1, [])[0],
      splice: (...args: Array<any>) => {
        const size = length()
        const start = clamp(args[0], size)
        const removed = args.length === 0 ? 0 : args.length === 1 ? size - start : Math.min(
          Math.max(Math.trunc(Number(args[1])) || 0, 0),
          size - start
        )
        return node.splice(start, removed, args.slice(2))
      },
      sort: onCopy("sort"),
      reverse: onCopy("reverse"),
      fill: onCopy("fill"),
      copyWithin: onCopy("copyWithin")
    }
  }
  private get live(): ReadonlyArray<Json> {
    return this.node.live() as ReadonlyArray<Json>
  }
  get(_target: object, key: string | symbol): unknown {
    if (key === "length") return this.live.length
    if (typeof key === "symbol") return (Array.prototype as any)[key]
    const index = JsonPointer.indexOf(key)
    if (index >= 0) return index < this.live.length ? this.node.child(index, this.live[index]!) : undefined
    if (Object.hasOwn(this.methods, key)) return this.methods[key]
    return key === "__proto__" ? undefined : (Array.prototype as any)[key]
  }
  has(_target: object, key: string | symbol): boolean {
    if (typeof key === "symbol") return key in Array.prototype
    const index = JsonPointer.indexOf(key)
    return index >= 0 ? index < this.live.length : key in Array.prototype
  }
  set(_target: object, key: string | symbol, value: unknown): boolean {
    const size = this.live.length
    if (key === "length") {
      const length = Number(value)
      if (!(length <= size && length >= 0)) throw new Refused(fault("NotJson", "an array without holes cannot grow so"))
      this.node.splice(length, size - length, [])
      return true
    }
    const index = typeof key === "string" ? JsonPointer.indexOf(key) : -1
    if (index < 0 || index > size || value === undefined) {
      throw new Refused(fault("NotJson", "arrays have their elements in a row, none of them undefined"))
    }
    if (index === size) this.node.write("add", index, value)
    else if (value !== this.node.child(index, this.live[index]!)) this.node.write("replace", index, value)
    return true
  }
  defineProperty(target: object, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    return "value" in descriptor && this.set(target, key, descriptor.value)
  }
  deleteProperty(): boolean {
    throw new Refused(fault("NotJson", "an element is removed by splice: JSON arrays have no holes"))
  }
  ownKeys(): Array<string> {
    return [...Object.keys(this.live), "length"]
  }
  getOwnPropertyDescriptor(_target: object, key: string | symbol): PropertyDescriptor | undefined {
    if (key === "length") return { value: this.live.length, writable: true, enumerable: false, configurable: false }
    const index = typeof key === "string" ? JsonPointer.indexOf(key) : -1
    return index < 0 || index >= this.live.length
      ? undefined
      : { value: this.node.child(index, this.live[index]!), writable: true, enumerable: true, configurable: true }
  }
  setPrototypeOf(): boolean {
    return false
  }
  preventExtensions(): boolean {
    return false
  }
}
