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
  const copied = copy(value, 0)
  if (copied !== other) return copied
  const json = jsonOf(value)
  return json === undefined ? Object.prototype.toString.call(value) : JSON.parse(json)
}

/** What is more than plain objects and arrays of JSON's values, or is nested deeper than this goes. */
const other = Symbol()

const deepest = 16

const copy = (value: unknown, depth: number): unknown => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value
  if (typeof value === "number") return Number.isFinite(value) ? value + 0 : null
  if (typeof value !== "object" || depth > deepest) return other
  if (Array.isArray(value)) {
    const out: Array<unknown> = []
    for (const item of value) {
      const copied = copy(item, depth + 1)
      if (copied === other) return other
      out.push(copied)
    }
    return out
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return other
  const out: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const inner: unknown = (value as Record<string, unknown>)[key]
    if (inner === undefined) continue
    const copied = key === "toJSON" || key === "__proto__" ? other : copy(inner, depth + 1)
    if (copied === other) return other
    out[key] = copied
  }
  return out
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
