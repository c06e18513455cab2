/**
 * JSON Schemas in the few words that fit into a line: `number`, `"a" | "b"`, `{ id: integer, name?: string }`.
 */

/** @internal */
export type Json = Readonly<Record<string, unknown>>

/** @internal */
export const isObject = (u: unknown): u is Json => typeof u === "object" && u !== null && !Array.isArray(u)

/**
 * Follows references inside a document, by JSON pointer; what leads nowhere is `undefined`.
 *
 * @internal
 */
export const resolve = (root: unknown, value: unknown): Json | undefined => {
  let found = value
  for (let depth = 0; depth < 16; depth++) {
    if (!isObject(found)) return undefined
    if (typeof found.$ref !== "string") return found
    if (!found.$ref.startsWith("#/")) return undefined
    found = found.$ref.slice(2).split("/").reduce<unknown>((at, part) => {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")
      return isObject(at) && Object.hasOwn(at, key) ? at[key] : Array.isArray(at) ? at[Number(key)] : undefined
    }, root)
  }
  return undefined
}

const refName = (schema: Json): string | undefined =>
  typeof schema.$ref === "string" ? schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1) : undefined

/**
 * A schema in words. Below the second level what has a name is called by it, the rest is `object` or `array`.
 *
 * @internal
 */
export const typeOf = (root: unknown, schema: unknown, depth = 0): string => {
  if (schema === false) return "never"
  if (!isObject(schema)) return "any"
  const name = refName(schema)
  if (depth > 1 && name !== undefined) return name
  const { anyOf, const: constant, enum: values, items, oneOf, type } = resolve(root, schema) ?? {}
  if (constant !== undefined) return JSON.stringify(constant)
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(" | ")
  const union = Array.isArray(anyOf) ? anyOf : Array.isArray(oneOf) ? oneOf : undefined
  if (union !== undefined) return Array.from(new Set(union.map((one) => typeOf(root, one, depth + 1)))).join(" | ")
  if (Array.isArray(type)) return type.join(" | ")
  if (type === "array") {
    if (Array.isArray(items)) return `[${items.map((item) => typeOf(root, item, depth + 1)).join(", ")}]`
    const item = items === undefined ? "any" : typeOf(root, items, depth + 1)
    return item.includes(" | ") ? `(${item})[]` : `${item}[]`
  }
  if (type === "object") return depth > 1 ? "object" : objectOf(root, resolve(root, schema)!, depth)
  return typeof type === "string" ? type : name ?? "any"
}

const objectOf = (root: unknown, schema: Json, depth: number): string => {
  const properties = isObject(schema.properties) ? Object.entries(schema.properties) : []
  if (properties.length === 0) return "object"
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const fields = properties.map(([key, value]) =>
    `${key}${required.has(key) ? "" : "?"}: ${typeOf(root, value, depth + 1)}`
  )
  return `{ ${fields.join(", ")} }`
}

/**
 * The words that a value of a schema may be, where they can be listed: for completion.
 *
 * @internal
 */
export const wordsOf = (root: unknown, schema: unknown): ReadonlyArray<string> => {
  const found = resolve(root, schema)
  if (found === undefined) return []
  if (found.type === "boolean") return ["true", "false"]
  if (found.const !== undefined) return [String(found.const)]
  if (Array.isArray(found.enum)) return found.enum.map(String)
  const union = Array.isArray(found.anyOf) ? found.anyOf : Array.isArray(found.oneOf) ? found.oneOf : []
  return union.flatMap((one) => wordsOf(root, one))
}
