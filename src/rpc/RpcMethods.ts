/**
 * An `RpcGroup` compiled for a wire: each procedure with its codecs built once, its parameters mapped between the
 * positional and the named form, and its handler looked up. What a wire needs to serve or to call a method, and nothing
 * about any particular wire.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import * as JIT from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"

/**
 * How parameters map to the payload of a method.
 *
 * - `none`: no payload; absent, `[]` and `{}` are the same.
 * - `struct`: by name, or by position in the order in which the fields are declared.
 * - `tuple`: by position only.
 * - `record`: by name only, any keys.
 * - `scalar`: one value, by position.
 * - `raw`: the payload is whatever the parameters are; an array of one that does not fit stands for its element.
 *
 * @category models
 * @since 0.1.0
 */
export type Shape = "none" | "struct" | "tuple" | "record" | "scalar" | "raw"

/**
 * Decodes or encodes one value; an `Exit` when it is done at once, which every schema without services or asynchronous
 * steps is.
 *
 * @category models
 * @since 0.1.0
 */
export type Codec = (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>

/**
 * One typed error that a method may fail with.
 *
 * @category models
 * @since 0.1.0
 */
export interface MethodError {
  readonly schema: Schema.Top
  /** Whether a failure is this error. */
  readonly is: (u: unknown) => boolean
  readonly encode: Codec
  readonly decode: Codec
}

/**
 * A procedure of a group, compiled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Method {
  readonly name: string
  readonly rpc: Rpc.AnyWithProps
  readonly shape: Shape
  /** Names of the payload's fields in declared order; empty unless `shape` is `struct`. */
  readonly fields: ReadonlyArray<string>
  /** How many elements a tuple has; `undefined` where it may have any number, and unless `shape` is `tuple`. */
  readonly arity: number | undefined
  readonly isStream: boolean
  readonly decodePayload: Codec
  /** {@link Method.decodePayload}, which stops at the first issue, going on to the last: to say what is wrong. */
  readonly explainPayload: Codec
  readonly encodePayload: Codec
  /** Of the result, or of one element where `isStream`. */
  readonly decodeSuccess: Codec
  readonly encodeSuccess: Codec
  readonly errors: ReadonlyArray<MethodError>
}

/**
 * A method with its handler and the services that the handler was built with.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServedMethod extends Method {
  /** What `toLayer` was given for it. */
  readonly handler: Rpc.Handler<string>["handler"]
  readonly context: Context.Context<never>
}

/**
 * Parameters without those that the method does not have, for peers that send more than they are asked for.
 *
 * @category combinators
 * @since 0.2.0
 */
export const withoutSurplus = (method: Method, params: unknown): unknown => {
  switch (method.shape) {
    case "none":
      return undefined
    case "struct":
      return Array.isArray(params) && params.length > method.fields.length
        ? params.slice(0, method.fields.length)
        : params
    case "tuple":
      return Array.isArray(params) && method.arity !== undefined ? params.slice(0, method.arity) : params
    case "scalar":
    case "record":
      return Array.isArray(params) && params.length > 1 ? params.slice(0, 1) : params
    default:
      return params
  }
}

const compiled = new WeakMap<Rpc.Any, Method>()

/**
 * Compiles one procedure; the result is cached for the procedure.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRpc = (self: Rpc.Any): Method => {
  const cached = compiled.get(self)
  if (cached !== undefined) return cached
  const rpc = self as unknown as Rpc.AnyWithProps
  const parse = Context.get(rpc.annotations, Rpc.ParseOptions)
  const stream = RpcSchema.isStreamSchema(rpc.successSchema) ? rpc.successSchema : undefined
  // who sent wrong parameters is told of all that is wrong with them
  const payload = codecs(rpc.payloadSchema, parse)
  const success = codecs(stream?.success ?? rpc.successSchema, parse)
  const failures = new Set<Schema.Top>([rpc.errorSchema])
  if (stream !== undefined) failures.add(stream.error)
  for (const middleware of rpc.middlewares) failures.add(middleware.error)
  const { arity, fields, shape } = shapeOf(rpc.payloadSchema)
  const method: Method = {
    name: rpc._tag,
    rpc,
    shape,
    fields,
    arity,
    isStream: stream !== undefined,
    decodePayload: shape === "raw" ? orOnly(payload.decode) : payload.decode,
    explainPayload: Schema.decodeUnknownEffect(Schema.toCodecJson(rpc.payloadSchema), {
      ...parse,
      errors: "all"
    }) as Codec,
    encodePayload: payload.encode,
    decodeSuccess: success.decode,
    encodeSuccess: success.encode,
    errors: Array.from(failures).flatMap(members).map((schema) => ({
      schema,
      is: Schema.is(schema as Schema.Schema<unknown>),
      ...codecs(schema, parse)
    }))
  }
  compiled.set(self, method)
  return method
}

/**
 * The methods of a group by name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromGroup = <Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>): ReadonlyMap<string, Method> => {
  const methods = new Map<string, Method>()
  for (const [name, rpc] of group.requests) methods.set(name, fromRpc(rpc))
  return methods
}

/**
 * The methods of a group with their handlers, taken from the environment. Handlers run with the services they were built
 * with, on top of those of the caller of this function.
 *
 * @category constructors
 * @since 0.1.0
 */
export const serve = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>
): Effect.Effect<
  ReadonlyMap<string, ServedMethod>,
  never,
  Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>
> =>
  Effect.contextWith((context: Context.Context<any>) => {
    const methods = new Map<string, ServedMethod>()
    for (const [name, rpc] of group.requests) {
      const entry = context.mapUnsafe.get(rpc.key) as Rpc.Handler<string> | undefined
      if (entry === undefined) {
        return Effect.die(
          new Error(
            `no handler for method "${name}": provide the layer of handlers that \`toLayer\` of its group makes`
          )
        )
      }
      methods.set(name, {
        ...fromRpc(rpc),
        handler: entry.handler,
        context: Context.merge(context, entry.context) as Context.Context<never>
      })
    }
    return Effect.succeed(methods)
  })

/**
 * Arguments by position do not fit the method.
 *
 * @category errors
 * @since 0.1.0
 */
export class PositionalError {
  readonly message: string
  constructor(message: string) {
    this.message = message
  }
}

/**
 * Maps parameters as they came (an array, an object, or `undefined` when absent) to the encoded payload.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toPayload = (method: Method, params: unknown): unknown => {
  if (Array.isArray(params)) {
    switch (method.shape) {
      case "none":
        return params.length === 0 ? null : new PositionalError(`takes no parameters, got ${params.length}`)
      case "struct": {
        if (params.length > method.fields.length) {
          return new PositionalError(`takes at most ${method.fields.length} parameters, got ${params.length}`)
        }
        const named: Record<string, unknown> = {}
        for (let i = 0; i < params.length; i++) define(named, method.fields[i]!, params[i])
        return named
      }
      case "scalar":
      case "record":
        return params.length === 1
          ? params[0]
          : new PositionalError(`takes exactly 1 parameter, got ${params.length}`)
      default:
        return params
    }
  }
  if (params === undefined) {
    switch (method.shape) {
      case "none":
      case "raw":
        return null
      case "tuple":
        return []
      case "scalar":
        return new PositionalError("takes exactly 1 parameter, got 0")
      default:
        return {}
    }
  }
  if (method.shape === "none") {
    for (const _ in params as object) return new PositionalError("takes no parameters")
    return null
  }
  return params
}

/**
 * Maps an encoded payload to parameters for the wire; `undefined` means that none are sent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toParams = (method: Method, encoded: unknown, positional: boolean): unknown => {
  switch (method.shape) {
    case "none":
      return undefined
    case "struct": {
      if (method.fields.length === 0) return undefined
      if (!positional) return encoded
      const values = encoded as Record<string, unknown>
      let length = method.fields.length
      while (length > 0 && values[method.fields[length - 1]!] === undefined) length--
      const fields = method.fields.slice(0, length)
      // what is left out in the middle cannot be left out by position
      return fields.some((field) => values[field] === undefined) ? encoded : fields.map((field) => values[field])
    }
    case "scalar":
      return [encoded]
    default:
      return typeof encoded === "object" && encoded !== null ? encoded : encoded === null ? undefined : [encoded]
  }
}

// A payload that is no object travels as an array of one, which may be the payload itself.
const orOnly = (decode: Codec): Codec => (value) => {
  const decoded = decode(value)
  if (!Array.isArray(value) || value.length !== 1 || !Exit.isExit(decoded) || decoded._tag === "Success") return decoded
  const only = decode(value[0])
  return Exit.isExit(only) && only._tag === "Failure" ? decoded : only
}

const define = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

const codecs = (schema: Schema.Top, options: SchemaAST.ParseOptions): { decode: Codec; encode: Codec } => {
  const codec = Schema.toCodecJson(schema)
  JIT.enable(codec.ast)
  const flipped = Schema.flip(codec)
  JIT.enable(flipped.ast)
  return {
    decode: Schema.decodeUnknownEffect(codec, options) as Codec,
    encode: Schema.decodeUnknownEffect(flipped, options) as Codec
  }
}

const members = (schema: Schema.Top): ReadonlyArray<Schema.Top> => {
  if (SchemaAST.isNever(schema.ast)) return []
  if (schema.ast.encoding === undefined && SchemaAST.isUnion(schema.ast)) {
    return (schema as unknown as { readonly members: ReadonlyArray<Schema.Top> }).members.flatMap(members)
  }
  return [schema]
}

const shapeOf = (schema: Schema.Top): {
  readonly shape: Shape
  readonly fields: ReadonlyArray<string>
  readonly arity?: number | undefined
} => {
  const ast = SchemaAST.toEncoded(Schema.toCodecJson(schema).ast)
  if (SchemaAST.isVoid(SchemaAST.toType(schema.ast)) || SchemaAST.isUndefined(SchemaAST.toType(schema.ast))) {
    return { shape: "none", fields: [] }
  }
  if (SchemaAST.isArrays(ast)) {
    return { shape: "tuple", fields: [], arity: ast.rest.length === 0 ? ast.elements.length : undefined }
  }
  if (SchemaAST.isObjects(ast)) {
    if (ast.indexSignatures.length > 0) return { shape: "record", fields: [] }
    return { shape: "struct", fields: ast.propertySignatures.map((property) => String(property.name)) }
  }
  if (
    SchemaAST.isString(ast) || SchemaAST.isNumber(ast) || SchemaAST.isBoolean(ast) || SchemaAST.isLiteral(ast) ||
    SchemaAST.isNull(ast) || SchemaAST.isTemplateLiteral(ast) || SchemaAST.isEnum(ast)
  ) return { shape: "scalar", fields: [] }
  if (SchemaAST.isUnion(ast) && ast.types.every((type) => !SchemaAST.isObjects(type) && !SchemaAST.isArrays(type))) {
    const wide = ast.types.some((type) =>
      SchemaAST.isSuspend(type) || SchemaAST.isAny(type) || SchemaAST.isUnknown(type) || SchemaAST.isDeclaration(type)
    )
    if (!wide) return { shape: "scalar", fields: [] }
  }
  return { shape: "raw", fields: [] }
}
