/**
 * A schema compiled so that decoding and encoding follow what changed: containers that were decoded before are not entered
 * again, and give the very value that they gave then. So two decoded states share whatever their JSON shares.
 *
 * Plain structs, records and arrays are walked here; everything else (classes, unions, transformations, checks) is left to
 * the schema's own parser.
 *
 * What is remembered cannot be wrong: decoding starts from JSON that is frozen, and what was decoded stands for that JSON
 * only where it is frozen too, with all that is in it. Instances of classes are encoded each time, and compared.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { equals, freezeAll, Meter } from "./json.ts"
import { isContainer } from "./model.ts"

type Parser = (value: unknown) => Exit.Exit<unknown, unknown>

/** Stands for "does not fit"; the whole is then parsed once more for the error. */
const misfit = Symbol("misfit")

abstract class Node {
  private readonly decoded = new WeakMap<object, unknown>()
  private readonly encoded = new WeakMap<object, Json>()
  /** What was decoded and cannot have changed since. */
  private readonly sealed = new WeakSet<object>()

  /** `remember`: the value is frozen, with all that is in it. */
  decode(value: unknown, remember: boolean): unknown {
    if (!remember || !isContainer(value)) return this.decodeNew(value, remember)
    const known = this.decoded.get(value)
    if (known !== undefined) return known
    const result = this.decodeNew(value, true)
    if (result === misfit || result === undefined) return result
    this.decoded.set(value, result)
    if (isContainer(result)) {
      this.encoded.set(result, value)
      if (this.seal(value, result)) this.sealed.add(result)
    }
    return result
  }

  encode(value: unknown): unknown {
    const known = isContainer(value) ? this.encoded.get(value) : undefined
    if (known !== undefined && this.sealed.has(value as object)) return known
    const result = this.encodeNew(value)
    return known !== undefined && result !== misfit && equals(known, result) ? known : result
  }

  /** Whether the value was decoded here, and cannot have changed since. */
  isSealed(value: object): boolean {
    return this.sealed.has(value)
  }

  protected abstract decodeNew(value: unknown, remember: boolean): unknown
  protected abstract encodeNew(value: unknown): unknown
  /** Freezes what a container was decoded to, one level; whether nothing in it can change any more. */
  protected abstract seal(value: object, result: object): boolean
  /** The node of a member; `undefined` where the schema does not say in a way that is walked here. */
  abstract child(_token: string | number): Node | undefined
  /** Whether the member may be absent. */
  abstract mayLack(_token: string | number): boolean
}

class Opaque extends Node {
  private readonly parse: Parser
  private readonly unparse: Parser
  constructor(ast: SchemaAST.AST) {
    super()
    const schema = Schema.make<Schema.Codec<unknown, unknown>>(ast)
    this.parse = Schema.decodeUnknownExit(schema) as Parser
    this.unparse = Schema.encodeUnknownExit(schema) as Parser
  }
  protected decodeNew(value: unknown): unknown {
    const exit = this.parse(value)
    return exit._tag === "Success" ? exit.value : misfit
  }
  protected encodeNew(value: unknown): unknown {
    const exit = this.unparse(value)
    return exit._tag === "Success" ? exit.value : misfit
  }
  protected seal(value: object, result: object): boolean {
    if (value === result) return true
    // instances of classes may have to change, as those that compute their parts late
    if (!new Meter(1_000, Infinity).add(result, 0)) return false
    freezeAll(result as Json)
    return true
  }
  child(): undefined {
    return undefined
  }
  mayLack(): boolean {
    return true
  }
}

/** Values that are JSON as they are. */
class Identity extends Node {
  override decode(value: unknown): unknown {
    return value
  }
  override encode(value: unknown): unknown {
    return value
  }
  protected decodeNew(value: unknown): unknown {
    return value
  }
  protected encodeNew(value: unknown): unknown {
    return value
  }
  protected seal(): boolean {
    return true
  }
  child(): Node {
    return this
  }
  mayLack(): boolean {
    return true
  }
}

type Each = (node: Node, member: unknown) => unknown

/** A value of members, each with a node of its own: decoded and encoded are the same walk. */
abstract class Compound extends Node {
  abstract override child(token: string | number): Node | undefined
  protected abstract each(value: unknown, f: Each): unknown
  protected decodeNew(value: unknown, remember: boolean): unknown {
    return this.each(value, (node, member) => node.decode(member, remember))
  }
  protected encodeNew(value: unknown): unknown {
    return this.each(value, (node, member) => node.encode(member))
  }
  protected seal(value: object, result: object): boolean {
    if (value === result) return true
    Object.freeze(result)
    for (const key of Object.keys(result)) {
      const member = (result as Record<string, unknown>)[key]
      // what is the same in JSON is frozen
      if (!isContainer(member) || member === (value as Record<string, unknown>)[key]) continue
      if (!this.child(key)!.isSealed(member)) return false
    }
    return true
  }
}

class Struct extends Compound {
  private readonly fields: Map<string, { readonly node: Node; readonly optional: boolean }>
  constructor(fields: Map<string, { readonly node: Node; readonly optional: boolean }>) {
    super()
    this.fields = fields
  }
  protected each(value: unknown, f: Each): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return misfit
    const source = value as Record<string, unknown>
    const result: Record<string, unknown> = {}
    let same = true
    let count = 0
    for (const [name, { node, optional }] of this.fields) {
      if (!Object.hasOwn(source, name)) {
        if (!optional) return misfit
        continue
      }
      const member = f(node, source[name])
      if (member === misfit) return misfit
      if (member !== source[name]) same = false
      if (name === "__proto__") return misfit
      result[name] = member
      count++
    }
    return same && Object.keys(source).length === count ? value : result
  }
  child(token: string | number): Node | undefined {
    return this.fields.get(String(token))?.node
  }
  mayLack(token: string | number): boolean {
    return this.fields.get(String(token))?.optional ?? true
  }
}

/** Any number of members of one kind. */
abstract class Repeated extends Compound {
  protected readonly node: Node
  constructor(node: Node) {
    super()
    this.node = node
  }
  child(): Node {
    return this.node
  }
  mayLack(): boolean {
    return true
  }
}

class Dictionary extends Repeated {
  protected each(value: unknown, f: Each): unknown {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return misfit
    const source = value as Record<string, unknown>
    let result: Record<string, unknown> | undefined
    for (const name of Object.keys(source)) {
      const member = f(this.node, source[name])
      if (member === misfit || name === "__proto__") return misfit
      if (member === source[name]) {
        if (result !== undefined) result[name] = member
        continue
      }
      if (result === undefined) {
        result = {}
        for (const before of Object.keys(source)) {
          if (before === name) break
          result[before] = source[before]
        }
      }
      result[name] = member
    }
    return result ?? value
  }
}

class List extends Repeated {
  protected each(value: unknown, f: Each): unknown {
    if (!Array.isArray(value)) return misfit
    let result: Array<unknown> | undefined
    for (let i = 0; i < value.length; i++) {
      const member = f(this.node, value[i])
      if (member === misfit) return misfit
      if (result !== undefined) result.push(member)
      else if (member !== value[i]) {
        result = value.slice(0, i)
        result.push(member)
      }
    }
    return result ?? value
  }
}

const isPlain = (ast: SchemaAST.AST): boolean => ast.encoding === undefined && ast.checks === undefined

const compile = (ast: SchemaAST.AST): Node => {
  if (ast === Schema.Json.ast || ast === Schema.MutableJson.ast || ast === Schema.toCodecJson(Schema.Json).ast) {
    return new Identity()
  }
  if (!isPlain(ast)) return new Opaque(ast)
  if (SchemaAST.isArrays(ast) && ast.elements.length === 0 && ast.rest.length === 1) {
    return new List(compile(ast.rest[0]!))
  }
  if (SchemaAST.isObjects(ast)) {
    if (ast.propertySignatures.length === 0 && ast.indexSignatures.length === 1) {
      const signature = ast.indexSignatures[0]!
      if (SchemaAST.isString(signature.parameter) && isPlain(signature.parameter)) {
        return new Dictionary(compile(signature.type))
      }
    }
    if (
      ast.indexSignatures.length === 0 &&
      ast.propertySignatures.every((signature) =>
        typeof signature.name === "string" && signature.type.context?.constructorDefault === undefined
      )
    ) {
      return new Struct(
        new Map(ast.propertySignatures.map((signature) => [
          signature.name as string,
          { node: compile(signature.type), optional: signature.type.context?.isOptional === true }
        ]))
      )
    }
  }
  return new Opaque(ast)
}

/** What {@link make} gives. */
export interface Sharing<A> {
  readonly decode: (json: Json) => Exit.Exit<A, Schema.SchemaError>
  readonly encode: (value: A) => Exit.Exit<Json, Schema.SchemaError>
  /** Looks at what is written, operation by operation. */
  readonly inspect: () => Inspection
}

/**
 * Whether a document still fits after a number of operations, each of which is shown right after it was applied, with the
 * places of that moment. What each of them wrote is parsed; what was in doubt between two of them is parsed as a whole.
 */
export interface Inspection {
  /** Something was written at the place, or removed from there (`undefined`). */
  readonly wrote: (root: Json, place: Pointer, value: Json | undefined) => void
  readonly fits: (root: Json) => boolean
}

const inspect = (node: Node): Inspection => {
  /** Containers that only their schema as a whole can judge. */
  const opaque = new Map<object, Node>()
  let doubt = false
  return {
    wrote: (root, place, value) => {
      let at: Json | undefined = root
      let here = node
      for (let i = 0; i < place.length; i++) {
        if (here instanceof Opaque) {
          if (isContainer(at)) opaque.set(at, here)
          return
        }
        const token = place[i]!
        if (i === place.length - 1 && value === undefined) {
          if (!here.mayLack(token)) doubt = true
          return
        }
        const next = here.child(token)
        // members that a struct does not know are ignored when it is decoded
        if (next === undefined) return
        here = next
        at = JsonPointer.child(at, token)
      }
      if (here.decode(value, false) === misfit) doubt = true
    },
    fits: (root) => {
      for (const [container, here] of opaque) if (here.decode(container, false) === misfit) doubt = true
      return !doubt || node.decode(root, false) !== misfit
    }
  }
}

/** Compiles a schema. */
export const make = <A, I>(schema: Schema.Codec<A, I>): Sharing<A> => {
  const codec = Schema.toCodecJson(schema) as unknown as Schema.Codec<A, Json>
  const node = compile(codec.ast)
  const parse = Schema.decodeUnknownExit(codec)
  const unparse = Schema.encodeUnknownExit(codec)
  return {
    decode: (json) => {
      const value = node.decode(json, true)
      return value === misfit ? parse(json) : Exit.succeed(value as A)
    },
    encode: (value) => {
      const json = node.encode(value)
      return json === misfit ? unparse(value) : Exit.succeed(json as Json)
    },
    inspect: () => inspect(node)
  }
}
