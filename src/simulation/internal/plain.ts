/**
 * Values as the history keeps them: JSON, at this moment; errors by their tags, messages and plain fields.
 */

const isPrimitive = (value: unknown): boolean =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"

const errorOf = (error: Error): unknown => {
  const out: Record<string, unknown> = {}
  const tag = (error as { readonly _tag?: unknown })._tag
  out._tag = typeof tag === "string" ? tag : error.name
  for (const [key, value] of Object.entries(error)) {
    if (key !== "name" && key !== "stack" && isPrimitive(value)) out[key] = value
    else if (key !== "cause" && value instanceof Error) out[key] = errorOf(value)
    else if (key === "data") out[key] = plain(value)
  }
  out.message = error.message
  return out
}

export const plain = (value: unknown): unknown => {
  if (value === undefined || isPrimitive(value)) return value
  if (value instanceof Error) return errorOf(value)
  const json = jsonOf(value)
  return json === undefined ? Object.prototype.toString.call(value) : JSON.parse(json)
}

/** `undefined` for what is no JSON: cycles, functions. */
const jsonOf = (value: unknown): string | undefined => {
  try {
    return jsonText(value)
  } catch {
    return undefined
  }
}

const jsonText = (value: unknown): string | undefined =>
  JSON.stringify(value, (_key, inner: unknown) => {
    if (inner instanceof Error) return errorOf(inner)
    if (inner instanceof Map) return [...inner]
    if (inner instanceof Set) return [...inner]
    if (inner instanceof Uint8Array) return Array.from(inner)
    if (typeof inner === "bigint") return String(inner)
    return inner
  })

export const textOf = (value: unknown): string => {
  if (typeof value === "string") return value
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return JSON.stringify(plain(value)) ?? String(value)
}
