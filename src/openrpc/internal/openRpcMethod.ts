import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as JsonSchema from "effect/JsonSchema"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcSchema from "effect/rpc/RpcSchema"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import * as WireError from "../../jsonrpc/internal/wireError.ts"
import * as ErrorCode from "../../rpc/ErrorCode.ts"
import * as RpcMethods from "../../rpc/RpcMethods.ts"
import type * as Topic from "../../topics/Topic.ts"
import {
  type ContentDescriptor,
  type Description,
  Descriptions,
  type Method,
  type TopicObject
} from "./openRpcModel.ts"

type Json = JsonSchema.JsonSchema

/**
 * Gathers schemas, turns all of them into JSON Schema at once (so that definitions are shared), and gives each back.
 *
 * @internal
 */
export class Schemas {
  private readonly asts: Array<SchemaAST.AST> = []
  private converted: ReadonlyArray<Json> = []
  definitions: Readonly<Record<string, Json>> = {}

  /** The JSON Schema of what travels; to be called after {@link convert}. */
  add(schema: Schema.Top): () => Json {
    const index = this.asts.push(Schema.toCodecJson(schema).ast) - 1
    return () => this.converted[index]!
  }

  /** OpenRPC speaks draft 7, with definitions under `components`. */
  convert(): void {
    const [first, ...rest] = this.asts
    if (first === undefined) return
    const multi = JsonSchema.toMultiDocumentOpenApi3_1(
      SchemaRepresentation.toJsonSchemaMultiDocument(SchemaRepresentation.toRepresentations([first, ...rest]))
    )
    const { definitions, schema } = JsonSchema.toDocumentDraft07({
      dialect: "draft-2020-12",
      schema: { properties: Object.fromEntries(multi.schemas.map((schema, index) => [`_${index}`, schema])) },
      definitions: multi.definitions
    })
    const names = plainNames(Object.keys(definitions))
    const rename = renamer(names)
    this.definitions = Object.fromEntries(
      Object.entries(definitions).map(([name, definition]) => [names.get(name)!, rename(definition) as Json])
    )
    this.converted = this.asts.map((_, index) =>
      rename((schema.properties as Record<string, Json>)[`_${index}`]) as Json
    )
  }

  /** Follows a reference to its definition. */
  resolve(schema: Json): Json {
    let current = schema
    for (let depth = 0; depth < 16 && typeof current.$ref === "string"; depth++) {
      const name = current.$ref.slice(prefix.length)
      if (!Object.hasOwn(this.definitions, name)) break
      current = this.definitions[name]!
    }
    return current
  }
}

/**
 * Names of definitions as people would choose them: what travels is always the encoded side, so `PrinterEncoded` is
 * `Printer`, unless there is another one of that name.
 */
const plainNames = (names: ReadonlyArray<string>): ReadonlyMap<string, string> => {
  const taken = new Set(names)
  return new Map(names.map((name) => {
    const plain = name.replace(/Encoded$/, "")
    if (plain === name || plain === "" || taken.has(plain)) return [name, name]
    taken.add(plain)
    return [name, plain]
  }))
}

const prefix = "#/components/schemas/"

const renamer = (names: ReadonlyMap<string, string>) => {
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => {
        const name = key === "$ref" && typeof inner === "string" && inner.startsWith(prefix)
          ? names.get(inner.slice(prefix.length))
          : undefined
        return [key, name === undefined ? rename(inner) : prefix + name]
      })
    )
  }
  return rename
}

/** @internal */
export const describe = (description: Description): Partial<Method> => ({
  ...(description.summary === undefined ? undefined : { summary: description.summary }),
  ...(description.description === undefined ? undefined : { description: description.description }),
  ...(description.tags === undefined ? undefined : { tags: description.tags.map((name) => ({ name })) }),
  ...(description.deprecated === true ? { deprecated: true } : undefined)
})

const descriptor = (name: string, schema: Json, required?: boolean): ContentDescriptor => ({
  name,
  ...(typeof schema.description === "string" ? { description: schema.description } : undefined),
  ...(required === undefined ? undefined : { required }),
  schema
})

type Params = Pick<Method, "paramStructure" | "params" | "x-params" | "x-rest-params">

const paramsOf = (method: RpcMethods.Method, schema: Json, schemas: Schemas, names: ReadonlyArray<string>): Params => {
  const resolved = schemas.resolve(schema)
  switch (method.shape) {
    case "none":
      return { params: [] }
    case "struct": {
      const properties = (resolved.properties ?? {}) as Record<string, Json>
      const required = new Set(resolved.required as ReadonlyArray<string> | undefined)
      const params = method.fields.map((field) => descriptor(field, properties[field] ?? {}, required.has(field)))
      const sorted = [...params.filter((param) => param.required), ...params.filter((param) => !param.required)]
      // OpenRPC wants the optional ones last; where they are not, positions would not be those of the document
      const inOrder = sorted.every((param, index) => param === params[index])
      return { paramStructure: inOrder ? "either" : "by-name", params: sorted }
    }
    case "tuple": {
      const items = Array.isArray(resolved.items) ? resolved.items as ReadonlyArray<Json> : []
      const rest = Array.isArray(resolved.items) ? resolved.additionalItems : resolved.items
      const minItems = typeof resolved.minItems === "number" ? resolved.minItems : 0
      return {
        paramStructure: "by-position",
        params: items.map((item, index) => descriptor(names[index] ?? `arg${index}`, item, index < minItems)),
        ...(typeof rest === "object" ? { "x-rest-params": rest as Json } : undefined)
      }
    }
    case "scalar":
      return { paramStructure: "by-position", params: [descriptor(names[0] ?? "value", schema, true)] }
    case "record":
      return { paramStructure: "by-name", params: [], "x-params": schema }
    case "raw":
      return { params: [], "x-params": schema }
  }
}

const encode = (codec: RpcMethods.Codec, value: unknown): unknown => {
  const encoded = codec(value)
  if (Exit.isExit(encoded) && encoded._tag === "Success") return encoded.value
  throw new Error("an example does not fit its schema")
}

const examplesOf = (method: RpcMethods.Method, description: Description, params: ReadonlyArray<ContentDescriptor>) =>
  description.examples?.map((example) => {
    const payload = method.shape === "none" ? undefined : encode(method.encodePayload, example.params)
    const values: ReadonlyArray<{ readonly name: string; readonly value: unknown }> = method.shape === "struct"
      ? params.flatMap(({ name }) =>
        Object.hasOwn(payload as object, name) ? [{ name, value: (payload as Record<string, unknown>)[name] }] : []
      )
      : Array.isArray(payload)
      ? payload.map((value, index) => ({ name: params[index]?.name ?? `arg${index}`, value }))
      : payload === undefined
      ? []
      : [{ name: params[0]?.name ?? "params", value: payload }]
    return {
      name: example.name,
      ...(example.description === undefined ? undefined : { description: example.description }),
      params: values,
      result: { name: "result", value: encode(method.encodeSuccess, example.result) ?? null }
    }
  })

const identifierOf = (schema: Schema.Top): string | undefined => {
  const annotations = schema.ast.annotations
  const identifier = annotations?.identifier ?? annotations?.title
  return typeof identifier === "string" ? identifier.slice(identifier.lastIndexOf("/") + 1) : undefined
}

/** The tag that values of an error have, which names it to people. */
const tagOf = (schema: Json): string | undefined => {
  const tag = (schema.properties as Record<string, Json> | undefined)?._tag
  const value = tag?.const ?? (Array.isArray(tag?.enum) ? tag.enum[0] : undefined)
  return typeof value === "string" ? value : undefined
}

/**
 * The method object of a procedure: first its schemas, then, when all are converted, the rest.
 *
 * @internal
 */
export const methodOf = (rpc: Rpc.AnyWithProps, schemas: Schemas): () => Method => {
  const method = RpcMethods.fromRpc(rpc)
  const stream = RpcSchema.isStreamSchema(rpc.successSchema) ? rpc.successSchema : undefined
  const payload = schemas.add(rpc.payloadSchema)
  const success = schemas.add(stream === undefined ? rpc.successSchema : Schema.Array(stream.success))
  const errors = method.errors.map((error) => ({ schema: error.schema, json: schemas.add(error.schema) }))
  return () => {
    const description = Context.get(rpc.annotations, Descriptions)
    const params = paramsOf(method, payload(), schemas, description.params ?? [])
    const examples = examplesOf(method, description, params.params)
    const typed = errors.map(({ json, schema }) => {
      const name = tagOf(schemas.resolve(json())) ?? identifierOf(schema)
      return {
        code: WireError.codeOf(schema),
        message: ErrorCode.messageOf(schema) ?? name ?? "Server error",
        ...(name === undefined ? undefined : { name }),
        schema: json()
      }
    })
    const codes = new Map(typed.map((error) => [error.code, error]))
    return {
      name: method.name,
      ...describe(description),
      ...params,
      result: descriptor("result", success()),
      ...(stream === undefined ? undefined : { "x-stream": true }),
      ...(typed.length === 0
        ? undefined
        : { errors: [...codes.values()].map(({ code, message }) => ({ code, message })), "x-errors": typed }),
      ...(examples === undefined ? undefined : { examples })
    }
  }
}

/** @internal */
export const topicOf = (topic: Topic.Any, schemas: Schemas): () => TopicObject => {
  const payload = schemas.add(topic.payload)
  const parameters = topic.matches === undefined ? undefined : schemas.add(topic.parameters)
  return () => {
    const { deprecated, description, summary, tags } = Context.get(topic.annotations, Descriptions)
    return {
      name: topic.name,
      ...describe({ deprecated, description, summary, tags }),
      state: topic.kind === "state",
      schema: payload(),
      ...(parameters === undefined ? undefined : { parameters: parameters() })
    } as TopicObject
  }
}
