import { compareLeaves } from "./compareLeaves.ts"
import type { Comparison, Difference, Json, Leaf, Rule } from "./compareModel.ts"

/**
 * Follows a reference of one document; `undefined` where it leads nowhere.
 *
 * @internal
 */
export type Resolve = (ref: string) => Json | undefined

const isObject = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null && !Array.isArray(u)

const typeOf = (value: unknown): Leaf["type"] =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value as Leaf["type"]

/** Nested deeper than this, schemas are taken as equal. */
const maxDepth = 64

/**
 * Compares schemas of two documents.
 *
 * @internal
 */
export class SchemaComparison implements Comparison {
  readonly differences: Array<Difference> = []
  private readonly before: Resolve
  private readonly after: Resolve
  /** References that are being compared: a recursive schema is equal where the rest of it is. */
  private readonly open = new Set<string>()
  private depth = 0

  constructor(before: Resolve, after: Resolve) {
    this.before = before
    this.after = after
  }

  report(
    rule: Rule,
    path: string,
    what: string,
    effect: { readonly widens?: boolean; readonly narrows?: boolean }
  ): void {
    this.differences.push({ rule, path, what, widens: effect.widens === true, narrows: effect.narrows === true })
  }

  /** Reports every difference of `after` from `before`. */
  compare(before: unknown, after: unknown, path: string): void {
    const key = `${JSON.stringify(before)}\n${JSON.stringify(after)}`
    if (this.open.has(key) || this.depth >= maxDepth) return
    this.open.add(key)
    this.depth++
    this.pair(this.leaves(before, this.before), this.leaves(after, this.after), path)
    this.depth--
    this.open.delete(key)
  }

  /** The forms that a schema allows; none for `false`. */
  private leaves(schema: unknown, resolve: Resolve, depth = 0): ReadonlyArray<Leaf> {
    if (schema === false) return []
    if (!isObject(schema) || depth > maxDepth) return [{ type: "any", schema: {} }]
    if (typeof schema.$ref === "string") return this.leaves(resolve(schema.$ref) ?? {}, resolve, depth + 1)
    if (Array.isArray(schema.allOf)) {
      const { allOf, ...rest } = schema
      const parts = allOf.map((part) =>
        isObject(part) && typeof part.$ref === "string" ? resolve(part.$ref) ?? {} : part
      )
      return this.leaves(Object.assign({}, rest, ...parts.filter(isObject)), resolve, depth + 1)
    }
    const union = schema.anyOf ?? schema.oneOf
    if (Array.isArray(union)) return merged(union.flatMap((member) => this.leaves(member, resolve, depth + 1)))
    if (Object.hasOwn(schema, "const")) {
      return [{ type: typeOf(schema.const), schema: { ...schema, enum: [schema.const] } }]
    }
    const { type } = schema
    if (Array.isArray(type)) return type.flatMap((type) => this.leaves({ ...schema, type }, resolve, depth + 1))
    if (type === "integer") return [{ type: "number", schema }]
    if (typeof type === "string") return [{ type: type as Leaf["type"], schema }]
    if (Array.isArray(schema.enum)) {
      const byType = new Map<Leaf["type"], Array<unknown>>()
      for (const value of schema.enum) {
        const values = byType.get(typeOf(value))
        if (values === undefined) byType.set(typeOf(value), [value])
        else values.push(value)
      }
      return Array.from(byType, ([type, values]) => ({ type, schema: { ...schema, enum: values } }))
    }
    if (isObject(schema.properties) || Array.isArray(schema.required)) return [{ type: "object", schema }]
    if (schema.items !== undefined || schema.prefixItems !== undefined) return [{ type: "array", schema }]
    return [{ type: "any", schema }]
  }

  private pair(before: ReadonlyArray<Leaf>, after: ReadonlyArray<Leaf>, path: string): void {
    const anyBefore = before.some((leaf) => leaf.type === "any")
    const anyAfter = after.some((leaf) => leaf.type === "any")
    if (anyBefore && anyAfter) return
    if (anyBefore) return this.report("type-changed", path, `anything → ${names(after)}`, { narrows: true })
    if (anyAfter) return this.report("type-changed", path, `${names(before)} → anything`, { widens: true })

    const gone = new Set(before)
    const come = new Set(after)
    const match = (same: (a: Leaf, b: Leaf) => boolean) => {
      for (const a of gone) {
        for (const b of come) {
          if (!same(a, b)) continue
          gone.delete(a)
          come.delete(b)
          compareLeaves(this, a, b, path)
          break
        }
      }
    }
    match((a, b) => a.type === b.type && JSON.stringify(a.schema) === JSON.stringify(b.schema))
    // a form that is told apart by a tag is the one with the same tag; one without is the first of its type
    match((a, b) => a.type === b.type && tag(a) !== undefined && tag(a) === tag(b))
    match((a, b) =>
      a.type === b.type && (tag(a) === undefined || tag(b) === undefined || (gone.size === 1 && come.size === 1))
    )
    if (gone.size > 0 && come.size > 0 && gone.size === before.length) {
      const what = `${names([...gone])} → ${names([...come])}`
      return this.report("type-changed", path, what, { widens: true, narrows: true })
    }
    for (const leaf of gone) this.report("alternative-removed", path, `no longer ${name(leaf)}`, { narrows: true })
    for (const leaf of come) this.report("alternative-added", path, `also ${name(leaf)}`, { widens: true })
  }
}

/** Values of one type that stand beside each other are one form. */
const merged = (leaves: ReadonlyArray<Leaf>): ReadonlyArray<Leaf> => {
  const scalars = new Map<Leaf["type"], Array<Leaf>>()
  const rest: Array<Leaf> = []
  for (const leaf of leaves) {
    if (leaf.type === "object" || leaf.type === "array" || leaf.type === "any") rest.push(leaf)
    else scalars.set(leaf.type, [...scalars.get(leaf.type) ?? [], leaf])
  }
  for (const [type, group] of scalars) {
    const free = group.find(({ schema }) => schema.enum === undefined)
    if (group.length === 1 || free !== undefined) rest.push(free ?? group[0]!)
    else {rest.push({
        type,
        schema: { type, enum: group.flatMap(({ schema }) => schema.enum as ReadonlyArray<unknown>) }
      })}
  }
  return rest
}

/** What tells a form of object apart: its properties with a single value. */
const tag = ({ schema, type }: Leaf): string | undefined => {
  if (type !== "object" || !isObject(schema.properties)) return undefined
  const tags = Object.entries(schema.properties).flatMap(([key, property]) => {
    if (!isObject(property)) return []
    const value = Object.hasOwn(property, "const")
      ? property.const
      : Array.isArray(property.enum) && property.enum.length === 1
      ? property.enum[0]
      : undefined
    return value === undefined ? [] : [`${key} ${JSON.stringify(value)}`]
  })
  return tags.length === 0 ? undefined : tags.sort().join(", ")
}

const name = (leaf: Leaf): string => {
  const tagged = tag(leaf)
  if (tagged !== undefined) return `object with ${tagged}`
  if (Array.isArray(leaf.schema.enum)) return leaf.schema.enum.map((value) => JSON.stringify(value)).join(" | ")
  return leaf.schema.type === "integer" ? "integer" : leaf.type
}

const names = (leaves: ReadonlyArray<Leaf>): string => leaves.length === 0 ? "nothing" : leaves.map(name).join(" | ")
