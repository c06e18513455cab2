import type * as JsonSchema from "effect/JsonSchema"
import { fromSchemaDraft07 } from "effect/JsonSchema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"

type Json = JsonSchema.JsonSchema

const isObject = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const componentPrefix = "#/components/schemas/"
/** Names that the generated file imports. */
const taken = new Set(["Schema", "Rpc", "RpcGroup", "JsonRpcError", "OpenRpc", "Topic", "globalThis"])
/** Keywords whose values are data, not schemas. */
const data = new Set(["const", "enum", "default", "examples", "example"])

/** An identifier in Pascal case. @internal */
export const pascal = (text: string): string => {
  const name = text.split(/[^A-Za-z0-9_$]+/).map((part) => part.slice(0, 1).toUpperCase() + part.slice(1)).join("")
  const safe = /^[A-Za-z_$]/.test(name) ? name : `_${name}`
  return taken.has(safe) ? `${safe}_` : safe
}

/**
 * What a schema of a document becomes before it is imported: references to where the importer looks for them, objects
 * closed (a `Schema.Struct` passes over what it does not know anyway), and bounds that `Schema.Int` has by itself left out.
 */
const prepare = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(prepare)
  if (!isObject(schema)) return schema
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    const prepared = data.has(key) ? value : prepare(value)
    Object.defineProperty(out, key, { value: prepared, enumerable: true, configurable: true, writable: true })
  }
  if (typeof out.$ref === "string" && out.$ref.startsWith(componentPrefix)) {
    out.$ref = `#/definitions/${keyOf(decodeURIComponent(out.$ref.slice(componentPrefix.length)))}`
  }
  if (isObject(out.properties) && Object.keys(out.properties).length > 0) {
    if (out.additionalProperties === undefined || out.additionalProperties === true) out.additionalProperties = false
  }
  if (out.type === "integer") {
    if (out.minimum === Number.MIN_SAFE_INTEGER) delete out.minimum
    if (out.maximum === Number.MAX_SAFE_INTEGER) delete out.maximum
  }
  return out
}

const keyOf = (name: string): string => taken.has(name) ? `${name}_` : name

const tidy = (code: string): string =>
  code
    .replace(/\.annotate\(\{ "expected": "(?:[^"\\]|\\.)*" \}\)/g, "")
    .replace(/([{,] (?:readonly )?)"([A-Za-z_$][\w$]*)"(\??: )/g, "$1$2$3")
    .replaceAll("globalThis.RegExp", "RegExp")

/**
 * Gathers JSON Schemas and turns them into the source of Effect Schemas, all at once, so that definitions are shared.
 *
 * @internal
 */
export class SourceSchemas {
  private readonly roots: Array<Json> = []
  private codes: ReadonlyArray<SchemaRepresentation.Code> = []
  /** Declarations to come before what uses them. */
  declarations: ReadonlyArray<string> = []
  private readonly components: Readonly<Record<string, Json>>

  constructor(components: Readonly<Record<string, Json>>) {
    this.components = components
  }

  add(schema: Json): () => string {
    const index = this.roots.push(schema) - 1
    return () => tidy(this.codes[index]!.runtime)
  }

  /** Follows references to a definition. */
  resolve(schema: Json): Json {
    let current = schema
    for (let depth = 0; depth < 16; depth++) {
      if (typeof current.$ref !== "string" || !current.$ref.startsWith(componentPrefix)) break
      const name = current.$ref.slice(componentPrefix.length)
      if (!Object.hasOwn(this.components, name)) break
      current = this.components[name]!
    }
    return current
  }

  convert(): void {
    const document = fromSchemaDraft07({
      properties: Object.fromEntries(this.roots.map((schema, index) => [`_${index}`, prepare(schema)])),
      definitions: Object.fromEntries(
        Object.entries(this.components).map(([name, schema]) => [keyOf(name), prepare(schema)])
      )
    })
    const properties = document.schema.properties as Record<string, Json>
    const [first, ...rest] = SchemaRepresentation.fromJsonSchemaMultiDocument({
      dialect: "draft-2020-12",
      // the first only keeps the list from being empty
      schemas: [{}, ...this.roots.map((_, index) => properties[`_${index}`]!)],
      definitions: document.definitions
    }, { patterns: "apply" })
    const code = SchemaRepresentation.toCodeDocument(
      SchemaRepresentation.toRepresentations([first.ast, ...rest.map((schema) => schema.ast)])
    )
    this.codes = code.codes.slice(1)
    this.declarations = [
      ...Object.entries(code.references.recursives).map(([name, { runtime, Type }]) =>
        `export type ${name} = ${tidy(Type)}\nexport const ${name}: Schema.Codec<${name}> = ${tidy(runtime)}`
      ),
      ...code.references.nonRecursives.map(({ $ref: name, code }) =>
        `export const ${name} = ${tidy(code.runtime)}\nexport type ${name} = typeof ${name}.Type`
      )
    ]
  }
}
