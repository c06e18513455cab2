import type { Comparison, Json, Leaf } from "./compareModel.ts"

const words = (value: unknown): string => JSON.stringify(value) ?? "absent"

/** Limits of which a larger number allows more, and those of which a smaller one does. */
const upper = ["maxLength", "maxItems", "maxProperties"]
const lower = ["minLength", "minItems", "minProperties"]

// the limits of what a JSON number holds exactly are those of every integer
const numberOf = (u: unknown): number | undefined =>
  typeof u === "number" && Math.abs(u) !== Number.MAX_SAFE_INTEGER ? u : undefined

interface End {
  readonly at: number
  readonly excluded: boolean
}

/** Where the range of a number ends: above (1) or below (-1). */
const endOf = (schema: Json, direction: 1 | -1): End | undefined => {
  const at = numberOf(direction === 1 ? schema.maximum : schema.minimum)
  const excluded = numberOf(direction === 1 ? schema.exclusiveMaximum : schema.exclusiveMinimum)
  if (excluded !== undefined && (at === undefined || (at - excluded) * direction >= 0)) {
    return { at: excluded, excluded: true }
  }
  return at === undefined ? undefined : { at, excluded: false }
}

const range = (comparison: Comparison, before: Json, after: Json, path: string, direction: 1 | -1): void => {
  const [a, b] = [endOf(before, direction), endOf(after, direction)]
  if (a?.at === b?.at && a?.excluded === b?.excluded) return
  const text = (end: End | undefined) => end === undefined ? "absent" : `${end.at}${end.excluded ? " excluded" : ""}`
  const further = (x: End | undefined, y: End | undefined) =>
    y !== undefined &&
    (x === undefined || (x.at - y.at) * direction > 0 || (x.at === y.at && y.excluded && !x.excluded))
  const allowsMore = further(b, a)
  comparison.report(
    allowsMore ? "bound-loosened" : "bound-tightened",
    path,
    `${direction === 1 ? "maximum" : "minimum"} ${text(a)} → ${text(b)}`,
    allowsMore ? { widens: true } : { narrows: true }
  )
}

const bounds = (comparison: Comparison, before: Json, after: Json, path: string): void => {
  const bound = (key: string, direction: 1 | -1) => {
    const a = numberOf(before[key])
    const b = numberOf(after[key])
    if (a === b) return
    const what = `${key} ${words(a)} → ${words(b)}`
    const allowsMore = b === undefined || (a !== undefined && (b - a) * direction > 0)
    comparison.report(
      allowsMore ? "bound-loosened" : "bound-tightened",
      path,
      what,
      allowsMore ? { widens: true } : { narrows: true }
    )
  }
  for (const key of upper) bound(key, 1)
  for (const key of lower) bound(key, -1)
  range(comparison, before, after, path, 1)
  range(comparison, before, after, path, -1)
  if (before.multipleOf !== after.multipleOf) {
    const [a, b] = [numberOf(before.multipleOf), numberOf(after.multipleOf)]
    comparison.report("bound-tightened", path, `multipleOf ${words(a)} → ${words(b)}`, {
      widens: a !== undefined && (b === undefined || a % b !== 0),
      narrows: b !== undefined && (a === undefined || b % a !== 0 || a % b !== 0)
    })
  }
  if ((before.uniqueItems === true) !== (after.uniqueItems === true)) {
    const tightened = after.uniqueItems === true
    comparison.report(
      tightened ? "bound-tightened" : "bound-loosened",
      path,
      tightened ? "items are different from one another now" : "items may be equal now",
      tightened ? { narrows: true } : { widens: true }
    )
  }
  for (const key of ["pattern", "format", "contentEncoding"]) {
    if (before[key] === after[key]) continue
    comparison.report("format-changed", path, `${key} ${words(before[key])} → ${words(after[key])}`, {
      widens: before[key] !== undefined,
      narrows: after[key] !== undefined
    })
  }
}

const values = (comparison: Comparison, before: Json, after: Json, path: string): boolean => {
  const [a, b] = [before.enum, after.enum]
  if (!Array.isArray(a) && !Array.isArray(b)) return false
  if (!Array.isArray(a) || !Array.isArray(b)) {
    const widens = Array.isArray(a)
    comparison.report(
      widens ? "value-added" : "value-removed",
      path,
      widens
        ? `any value, not only ${a.map(words).join(", ")}`
        : `only ${(b as ReadonlyArray<unknown>).map(words).join(", ")}`,
      widens ? { widens } : { narrows: true }
    )
    return true
  }
  const [old, now] = [new Set(a.map(words)), new Set(b.map(words))]
  for (const value of now) {
    if (!old.has(value)) comparison.report("value-added", path, `also ${value}`, { widens: true })
  }
  for (const value of old) {
    if (!now.has(value)) comparison.report("value-removed", path, `no longer ${value}`, { narrows: true })
  }
  return true
}

type Properties = Readonly<Record<string, unknown>>

const propertiesOf = (schema: Json): Properties => (schema.properties ?? {}) as Properties

/** What properties that are not named are: `undefined` for anything. */
const others = (schema: Json): unknown =>
  typeof schema.additionalProperties === "object" && schema.additionalProperties !== null &&
    Object.keys(schema.additionalProperties).length > 0
    ? schema.additionalProperties
    : undefined

const objects = (comparison: Comparison, before: Json, after: Json, path: string): void => {
  const [a, b] = [propertiesOf(before), propertiesOf(after)]
  const requiredOf = (schema: Json) => new Set(Array.isArray(schema.required) ? schema.required as Array<string> : [])
  const [wasRequired, isRequired] = [requiredOf(before), requiredOf(after)]
  for (const key of new Set([...Object.keys(a), ...wasRequired, ...Object.keys(b), ...isRequired])) {
    const at = `${path}.${key}`
    const was = Object.hasOwn(a, key) || wasRequired.has(key)
    const is = Object.hasOwn(b, key) || isRequired.has(key)
    if (was && is) {
      comparison.compare(Object.hasOwn(a, key) ? a[key] : {}, Object.hasOwn(b, key) ? b[key] : {}, at)
      if (isRequired.has(key) && !wasRequired.has(key)) {
        comparison.report("property-required", at, "it is always there now", { narrows: true })
      }
      if (!isRequired.has(key) && wasRequired.has(key)) {
        comparison.report("property-optional", at, "it may be absent now", { widens: true })
      }
    } else if (is) {
      const required = isRequired.has(key)
      comparison.report("property-added", at, required ? "a required property" : "an optional property", {
        narrows: required
      })
      if (others(before) !== undefined) comparison.compare(others(before), b[key], at)
    } else {
      const required = wasRequired.has(key)
      comparison.report("property-removed", at, required ? "a required property" : "an optional property", {
        widens: required
      })
      if (others(after) !== undefined) comparison.compare(a[key], others(after), at)
    }
  }
  if (others(before) !== undefined || others(after) !== undefined) {
    comparison.compare(others(before) ?? {}, others(after) ?? {}, `${path}.*`)
  }
}

/** Items by position, and those that follow; draft 7 and 2020-12. */
const itemsOf = (schema: Json): { readonly first: ReadonlyArray<unknown>; readonly rest: unknown } => {
  if (Array.isArray(schema.prefixItems)) return { first: schema.prefixItems, rest: schema.items }
  if (Array.isArray(schema.items)) return { first: schema.items, rest: schema.additionalItems }
  return { first: [], rest: schema.items }
}

const arrays = (comparison: Comparison, before: Json, after: Json, path: string): void => {
  const [a, b] = [itemsOf(before), itemsOf(after)]
  for (let i = 0; i < Math.max(a.first.length, b.first.length); i++) {
    const [was, is] = [i < a.first.length ? a.first[i] : a.rest, i < b.first.length ? b.first[i] : b.rest]
    // an item that only one of them has is a matter of `minItems` and `maxItems`
    if (was !== undefined && is !== undefined) comparison.compare(was, is, `${path}[${i}]`)
  }
  if (a.rest !== undefined && b.rest !== undefined) comparison.compare(a.rest, b.rest, `${path}[]`)
  else if (a.rest === undefined && b.rest !== undefined && a.first.length === 0) {
    comparison.compare({}, b.rest, `${path}[]`)
  } else if (b.rest === undefined && a.rest !== undefined && b.first.length === 0) {
    comparison.compare(a.rest, {}, `${path}[]`)
  }
}

/**
 * Compares two schemas of one type.
 *
 * @internal
 */
export const compareLeaves = (comparison: Comparison, before: Leaf, after: Leaf, path: string): void => {
  const [a, b] = [before.schema, after.schema]
  if (values(comparison, a, b, path)) return
  if (before.type === "number" && (a.type === "integer") !== (b.type === "integer")) {
    const widens = a.type === "integer"
    comparison.report(
      "type-changed",
      path,
      `${String(a.type)} → ${String(b.type)}`,
      widens ? { widens } : { narrows: true }
    )
  }
  bounds(comparison, a, b, path)
  if (before.type === "object") objects(comparison, a, b, path)
  if (before.type === "array") arrays(comparison, a, b, path)
}
