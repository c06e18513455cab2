/**
 * A schema compiled so that decoding and encoding follow what changed: containers that were decoded before are not entered
 * again, and give the very value that they gave then. So two decoded states share whatever their JSON shares.
 *
 * Plain structs, records and arrays are walked here; everything else (classes, unions, transformations, checks) is left to
 * the schema's own parser and remembered as a whole.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as JsonPointer from "../JsonPointer.ts"
import type { Json } from "../JsonPointer.ts"

type Parser = (value: unknown) => Exit.Exit<unknown, unknown>

/** Stands for "does not fit"; the whole is then parsed once more for the error. */
const misfit = Symbol("misfit")

abstract class Node {
  protected readonly decoded = new WeakMap<object, unknown>()
  protected readonly encoded = new WeakMap<object, unknown>()

  decode(value: unknown, remember: boolean): unknown {
    if (!remember || typeof value !== "object" || value === null) return this.decodeNew(value, remember)
    const known = this.decoded.get(value)
    if (known !== undefined) return known
    const result = this.decodeNew(value, true)
    if (result !== misfit && result !== undefined) {
      this.decoded.set(value, result)
      if (typeof result === "object" && result !== null) this.encoded.set(result, value)
    }
    return result
  }

  encode(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return this.encodeNew(value)
    const known = this.encoded.get(value)
    if (known !== undefined) return known
    const result = this.encodeNew(value)
    if (result !== misfit && result !== undefined) {
      this.encoded.set(value, result)
      if (typeof result === "object" && result !== null) this.decoded.set(result, value)
    }
    return result
  }

  protected abstract decodeNew(value: unknown, remember: boolean): unknown
  protected abstract encodeNew(value: unknown): unknown
  /** The node of a member; `undefined` where the schema does not say in a way that is walked here. */
  abstract child(_token: string): Node | undefined
  /** Whether the member may be absent. */
  abstract mayLack(_token: string): boolean
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
  protected abstract each(value: unknown, f: Each): unknown
  protected decodeNew(value: unknown, remember: boolean): unknown {
    return this.each(value, (node, member) => node.decode(member, remember))
  }
  protected encodeNew(value: unknown): unknown {
    return this.each(value, (node, member) => node.encode(member))
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
  child(token: string): Node | undefined {
    return this.fields.get(token)?.node
  }
  mayLack(token: string): boolean {
    return this.fields.get(token)?.optional ?? true
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
  /**
   * Whether the document still fits after something was written at (`value`), or removed from (`undefined`), the tokens:
   * walks to the place, and parses what is there, or the closest container above whose schema is opaque.
   */
  readonly fits: (root: Json, tokens: ReadonlyArray<string>, value: Json | undefined) => boolean
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
    fits: (root, tokens, value) => {
      let at: Json | undefined = root
      let here: Node = node
      for (let i = 0; i < tokens.length; i++) {
        const token = tokens[i]!
        const last = i === tokens.length - 1
        if (last && value === undefined && !(here instanceof Opaque)) return here.mayLack(token)
        const next = here.child(token)
        if (next === undefined) {
          // members that a struct does not know are ignored when it is decoded
          return here instanceof Opaque && at !== undefined ? here.decode(at, false) !== misfit : true
        }
        here = next
        at = JsonPointer.child(at, Array.isArray(at) && token === "-" ? String(at.length - 1) : token)
      }
      const there = value ?? at
      return there === undefined || here.decode(there, false) !== misfit
    }
  }
}
