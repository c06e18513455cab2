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

/** Keywords that came after draft 07, in which OpenRPC writes schemas: there they mean nothing. */
const later = [
  "unevaluatedProperties",
  "unevaluatedItems",
  "dependentRequired",
  "dependentSchemas",
  "minContains",
  "maxContains",
  "prefixItems"
]
/** Constraints that Effect's schemas have not: what fits the rest is accepted. */
const unsaid = ["if", "then", "else", "not", "contains"]

/** Keywords whose values are schemas by name. */
const named = new Set(["properties", "patternProperties", "definitions", "$defs"])

/** An identifier in Pascal case. @internal */
export const pascal = (text: string): string => {
  const name = text.split(/[^A-Za-z0-9_$]+/).map((part) => part.slice(0, 1).toUpperCase() + part.slice(1)).join("")
  const safe = /^[A-Za-z_$]/.test(name) ? name : `_${name}`
  return taken.has(safe) ? `${safe}_` : safe
}

/**
 * What a schema of a document becomes before it is imported: references to where the importer looks for them, objects
 * closed (a `Schema.Struct` passes over what it does not know anyway), bounds that `Schema.Int` has by itself left out, and
 * constraints that have no counterpart, which are gathered in `omitted`.
 */
const prepare = (schema: unknown, omitted: Set<string>): unknown => {
  if (Array.isArray(schema)) return schema.map((one) => prepare(one, omitted))
  if (!isObject(schema)) return schema
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    const prepared = data.has(key) ? value : named.has(key) ? properties(value, omitted) : prepare(value, omitted)
    Object.defineProperty(out, key, { value: prepared, enumerable: true, configurable: true, writable: true })
  }
  if (typeof out.$ref === "string" && out.$ref.startsWith(componentPrefix)) {
    out.$ref = `#/definitions/${keyOf(decodeURIComponent(out.$ref.slice(componentPrefix.length)))}`
  }
  for (const keyword of later) delete out[keyword]
  for (const keyword of unsaid) {
    if (!Object.hasOwn(out, keyword)) continue
    if (keyword !== "then" && keyword !== "else") omitted.add(keyword)
    delete out[keyword]
  }
  if (isObject(out.patternProperties)) {
    // unknown names are passed over, as a struct does; several patterns, or names beside them, are a record as below
    const patterns = Object.values(out.patternProperties)
    const isAlone = patterns.length === 1 && !isObject(out.properties) && !isObject(out.additionalProperties)
    if (isAlone) out.additionalProperties = false
    else {
      const rest = isObject(out.additionalProperties) ? [out.additionalProperties] : []
      out.additionalProperties = { anyOf: [...patterns, ...rest] }
      delete out.patternProperties
    }
  }
  if (isObject(out.properties) && Object.keys(out.properties).length > 0) {
    if (out.additionalProperties === undefined || out.additionalProperties === true) out.additionalProperties = false
    // names that are known beside others that are not: a record, of what any of them may be, since a struct would lose the others
    if (isObject(out.additionalProperties)) {
      const values = new Map(
        [out.additionalProperties, ...Object.values(out.properties)].map((one) => [JSON.stringify(one), one])
      )
      out.additionalProperties = { anyOf: Array.from(values.values()) }
      delete out.properties
      delete out.required
    }
  }
  if (out.type === "integer") {
    if (out.minimum === Number.MIN_SAFE_INTEGER) delete out.minimum
    if (out.maximum === Number.MAX_SAFE_INTEGER) delete out.maximum
  }
  return out
}

/** Names are no keywords. */
const properties = (schemas: unknown, omitted: Set<string>): unknown =>
  isObject(schemas)
    ? Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, prepare(schema, omitted)]))
    : schemas

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
  /** Keywords of constraints that are not checked. */
  readonly omitted = new Set<string>()
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
      properties: Object.fromEntries(this.roots.map((schema, index) => [`_${index}`, prepare(schema, this.omitted)])),
      definitions: Object.fromEntries(
        Object.entries(this.components).map(([name, schema]) => [keyOf(name), prepare(schema, this.omitted)])
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
