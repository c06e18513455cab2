/**
 * Turns an OpenRPC document into the source of a TypeScript contract: schemas, errors, topics and an `RpcGroup`, as a
 * person would have written them. What it makes is compiled against `effect` and `effect-wire` only.
 *
 * Constraints of JSON Schema that Effect's schemas have not (`not`, `if`, `contains`) are left out, and a comment says which;
 * what else cannot be imported is a `CodegenError` that says where.
 * Regular expressions of the document are compiled, so documents must be trusted as code is.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import { layout } from "./internal/codegenLayout.ts"
import { pascal, SourceSchemas } from "./internal/codegenSchemas.ts"

// where what is used of this package is imported from
const rooms = { JsonRpcError: "jsonrpc", OpenRpc: "openrpc", Topic: "topics" } as const

/**
 * The document is none, or has what cannot be turned into a contract.
 *
 * @category errors
 * @since 0.1.0
 */
export class CodegenError extends Schema.TaggedError<CodegenError>("effect-wire/openrpc/OpenRpcCodegen/CodegenError")(
  "CodegenError",
  { message: Schema.String, cause: Schema.optionalKey(Schema.Defect()) }
) {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Name of the group. Default: the title of the document. */
  readonly name?: string | undefined
}

type Json = JsonSchema.JsonSchema
type Obj = Readonly<Record<string, any>>

const isObject = (u: unknown): u is Obj => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Makes the source of a contract.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generate = (document: unknown, options?: Options): Effect.Effect<string, CodegenError> =>
  Effect.try({
    try: () => new Generator(document, options).source(),
    catch: (cause) =>
      cause instanceof CodegenError
        ? cause
        : new CodegenError({ message: cause instanceof Error ? cause.message : String(cause), cause })
  })

const fail = (message: string): never => {
  throw new CodegenError({ message })
}

const literal = (value: unknown): string =>
  Array.isArray(value)
    ? `[${value.map(literal).join(", ")}]`
    : JSON.stringify(value).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")

const comment = (lines: ReadonlyArray<string | undefined>, indent = ""): string => {
  const text = lines.flatMap((line) => line === undefined ? [] : line.split(/\r?\n/)).map((line) =>
    line.replaceAll("*/", "* /").trimEnd()
  )
  if (text.length === 0) return ""
  return text.length === 1
    ? `${indent}/** ${text[0]} */\n`
    : `${indent}/**\n${text.map((line) => `${indent} *${line === "" ? "" : ` ${line}`}\n`).join("")}${indent} */\n`
}

const scalars = new Set(["string", "number", "integer", "boolean"])

class Generator {
  private readonly document: Obj
  private readonly schemas: SourceSchemas
  private readonly options: Options | undefined
  private readonly errors = new Map<string, { readonly key: string; readonly source: () => string }>()
  private readonly uses = new Set<keyof typeof rooms>()

  constructor(document: unknown, options: Options | undefined) {
    if (!isObject(document) || typeof document.openrpc !== "string" || !Array.isArray(document.methods)) {
      fail("this is no OpenRPC document: it has no \"openrpc\" or no \"methods\"")
    }
    this.document = document as Obj
    this.options = options
    this.schemas = new SourceSchemas(this.document.components?.schemas ?? {})
  }

  /** Follows a reference of the document itself, to a component that is no schema. */
  private deref(u: unknown): Obj {
    let current: unknown = u
    for (let depth = 0; depth < 16; depth++) {
      if (!isObject(current)) return fail("an object is expected where there is none")
      if (typeof current.$ref !== "string") return current
      const path: string = current.$ref
      if (!path.startsWith("#/")) return fail(`the reference ${literal(path)} leads out of the document`)
      current = path.slice(2).split("/").reduce<unknown>((at, segment) => {
        const key = decodeURIComponent(segment).replaceAll("~1", "/").replaceAll("~0", "~")
        return isObject(at) && Object.hasOwn(at, key) ? at[key] : fail(`the reference ${literal(path)} leads nowhere`)
      }, this.document)
    }
    return fail("references in a circle")
  }

  source(): string {
    const info = isObject(this.document.info) ? this.document.info : {}
    const title = typeof info.title === "string" ? info.title : "Contract"
    const wanted = pascal(this.options?.name ?? title)
    const methods = this.document.methods.map((method: unknown) => this.method(this.deref(method)))
    const topics = (Array.isArray(this.document["x-topics"]) ? this.document["x-topics"] : []).map((topic: unknown) =>
      this.topic(this.deref(topic))
    ) as ReadonlyArray<{ readonly name: string; readonly source: () => string }>
    this.schemas.convert()
    const rpcs = methods.map((method: () => string) => method()).join(",\n")
    const errors = [...this.errors.values()].map((error) => error.source())
    const declared = new Set([
      ...this.schemas.declarations.map((declaration) => /^export (?:type|const) ([\w$]+)/.exec(declaration)?.[1]),
      ...this.errors.keys(),
      ...topics.map((topic) => topic.name)
    ])
    const name = declared.has(wanted) ? `${wanted}Rpcs` : wanted
    const group = [
      comment([`${title} ${info.version ?? ""}`.trim(), info.description]),
      `export class ${name} extends RpcGroup.make(\n${rpcs}\n)`,
      topics.length === 0 ? "" : ".annotate(Topic.Published, topics)",
      " {}"
    ].join("")
    const own = [...this.uses].sort().map((name) => `import { ${name} } from "effect-wire/${rooms[name]}"`)
    const omitted = [...this.schemas.omitted].sort().map((keyword) => `"${keyword}"`)
    return layout([
      ...(omitted.length === 0
        ? []
        : [`// What the document says by ${omitted.join(", ")} is not checked: Effect's schemas cannot.`]),
      [
        `import { Schema } from "effect"`,
        ...own,
        `import { Rpc, RpcGroup } from "effect/rpc"`
      ].join("\n"),
      ...this.schemas.declarations,
      ...errors,
      ...topics.map((topic) => topic.source()),
      ...(topics.length === 0
        ? []
        : [`export const topics = Topic.group(${topics.map(({ name }) => name).join(", ")})`]),
      group
    ].join("\n\n")) + "\n"
  }

  private method(method: Obj): () => string {
    if (typeof method.name !== "string") return fail("a method has no name")
    const payload = this.payload(method)
    const result = method.result === undefined ? undefined : this.deref(method.result)
    const schema: Json | undefined = result?.schema
    const stream = method["x-stream"] === true && isObject(schema) && isObject(schema.items)
    const isVoid = schema === undefined || (isObject(schema) && schema.type === "null")
    const success = isVoid ? undefined : this.schemas.add(stream ? schema!.items as Json : schema!)
    const errors = this.errorsOf(method)
    const described = this.description(method, payload.names)
    return () => {
      const members = [
        payload.source === undefined ? undefined : `payload: ${payload.source()}`,
        success === undefined ? undefined : `success: ${success()}`,
        errors.names.length === 0
          ? undefined
          : `error: ${errors.names.length === 1 ? errors.names[0] : `Schema.Union([${errors.names.join(", ")}])`}`,
        stream ? "stream: true" : undefined
      ].filter((member) => member !== undefined)
      return comment([
        method.summary,
        method.description,
        ...errors.untyped.map((error) => `Fails with ${error.code} ${error.message} (a \`RemoteError\`).`),
        method.deprecated === true ? "@deprecated" : undefined
      ], "  ") +
        `  Rpc.make(${literal(method.name)}${
          members.length === 0 ? "" : `, {\n    ${members.join(",\n    ")}\n  }`
        })${described}`
    }
  }

  private payload(method: Obj): { readonly source?: () => string; readonly names?: ReadonlyArray<string> } {
    if (method["x-params"] !== undefined) return { source: this.schemas.add(method["x-params"]) }
    const params: ReadonlyArray<Obj> = (Array.isArray(method.params) ? method.params : []).map((param: unknown) =>
      this.deref(param)
    )
    const rest = method["x-rest-params"]
    const schemas = params.map((param) => this.schemas.add(isObject(param.schema) ? param.schema : {}))
    const optional = (index: number) => {
      const code = schemas[index]!()
      return params[index]!.required === true ? code : `Schema.optionalKey(${code})`
    }
    if (method.paramStructure === "by-position" || rest !== undefined) {
      const names = params.map((param) => String(param.name))
      const [only] = params
      const type = only === undefined ? undefined : this.schemas.resolve(only.schema).type
      if (rest === undefined && params.length === 1 && only!.required === true && scalars.has(type as string)) {
        return { source: schemas[0]!, names }
      }
      if (rest === undefined && params.length === 0) return {}
      const more = rest === undefined ? undefined : this.schemas.add(rest)
      const tuple = () => `Schema.Tuple([${params.map((_, index) => optional(index)).join(", ")}])`
      return {
        names,
        source: more === undefined
          ? tuple
          : () => params.length === 0 ? `Schema.Array(${more()})` : `Schema.TupleWithRest(${tuple()}, [${more()}])`
      }
    }
    if (params.length === 0) return {}
    if (new Set(params.map((param) => param.name)).size < params.length) {
      return fail(`method ${literal(method.name)} has two parameters of one name`)
    }
    return {
      source: () => `{ ${params.map((param, index) => `${key(param.name)}: ${optional(index)}`).join(", ")} }`
    }
  }

  private errorsOf(method: Obj) {
    const typed: ReadonlyArray<Obj> = Array.isArray(method["x-errors"]) ? method["x-errors"] : []
    const codes = new Set(typed.map((error) => error.code))
    const all: ReadonlyArray<Obj> = (Array.isArray(method.errors) ? method.errors : []).map((error: unknown) =>
      this.deref(error)
    )
    return {
      names: typed.map((error) => this.error(error)),
      untyped: all.filter((error) => !codes.has(error.code))
    }
  }

  /** The class of an error that says its name by `_tag`, or an annotated schema; made once for all methods. */
  private error(error: Obj): string {
    const schema = this.schemas.resolve(isObject(error.schema) ? error.schema : {})
    const properties = isObject(schema.properties) ? schema.properties : {}
    const tag = isObject(properties._tag) ? properties._tag.const ?? properties._tag.enum?.[0] : undefined
    const identity = JSON.stringify([error.code, error.message, tag, error.schema])
    let name = pascal(typeof tag === "string" ? tag : error.name ?? `Error${String(error.code).replace("-", "_")}`)
    while (this.errors.has(name) && this.errors.get(name)!.key !== identity) name += "_"
    if (this.errors.has(name)) return name
    this.uses.add("JsonRpcError")
    const wire = `JsonRpcError.wire({ code: ${Number(error.code)}${
      error.message === undefined || error.message === tag ? "" : `, message: ${literal(error.message)}`
    } })`
    if (typeof tag !== "string") {
      const whole = this.schemas.add(error.schema)
      this.errors.set(name, { key: identity, source: () => `export const ${name} = ${whole()}.annotate(${wire})` })
      return name
    }
    const required = new Set(schema.required as ReadonlyArray<string> | undefined)
    const fields = Object.entries(properties).filter(([field]) => field !== "_tag").map(([field, value]) => {
      const code = this.schemas.add(value as Json)
      return () => `${key(field)}: ${required.has(field) ? code() : `Schema.optionalKey(${code()})`}`
    })
    this.errors.set(name, {
      key: identity,
      source: () =>
        `export class ${name} extends Schema.TaggedError<${name}>()(\n  ${literal(tag)},\n  {${
          fields.length === 0 ? "" : ` ${fields.map((field) => field()).join(", ")} `
        }},\n  ${wire}\n) {}`
    })
    return name
  }

  private topic(topic: Obj) {
    if (typeof topic.name !== "string") return fail("a topic has no name")
    this.uses.add("Topic")
    const name = `${pascal(topic.name)}Topic`
    const payload = this.schemas.add(isObject(topic.schema) ? topic.schema : {})
    const parameters = isObject(topic.parameters) ? this.schemas.add(topic.parameters) : undefined
    const described = this.description(topic)
    return {
      name,
      source: () =>
        comment([topic.summary, topic.description]) +
        `export const ${name} = Topic.${topic.state === true ? "state" : "make"}(${
          literal(topic.name)
        }, {\n  payload: ${payload()}${
          parameters === undefined
            ? ""
            : `,\n  parameters: ${parameters()},\n  // the server chooses what matches\n  matches: () => true`
        }\n})${described}`
    }
  }

  private description(target: Obj, names?: ReadonlyArray<string>): string {
    const tags = Array.isArray(target.tags) ? target.tags.map((tag: unknown) => this.deref(tag).name) : undefined
    const own = names?.some((name, index) => name !== (names.length === 1 ? "value" : `arg${index}`))
    const members = Object.entries({
      summary: target.summary,
      description: target.description,
      tags,
      deprecated: target.deprecated === true ? true : undefined,
      params: own === true ? names : undefined
    }).filter(([, value]) => value !== undefined)
    if (members.length === 0) return ""
    this.uses.add("OpenRpc")
    return `.pipe(OpenRpc.describe({ ${members.map(([name, value]) => `${name}: ${literal(value)}`).join(", ")} }))`
  }
}

const key = (name: unknown): string => {
  const text = String(name)
  return /^[A-Za-z_$][\w$]*$/.test(text) && text !== "__proto__" ? text : `[${literal(text)}]`
}
