/**
 * Objects of many keys. V8 keeps them as hash tables: to ask for their keys costs more than to look up each of them, and more
 * than to copy them. So the keys are remembered, but only of objects that are frozen, whose keys stay what they are.
 */
import type { Json } from "../JsonPointer.ts"

/** The keys of an object in order, and its values, where they were looked at. */
export interface Table {
  readonly keys: ReadonlyArray<string>
  readonly values: ReadonlyArray<Json> | undefined
}

/** Objects of more keys than this are hash tables, as a rule. */
export const manyKeys = 1_020

const tables = new WeakMap<object, Table>()

/** What is remembered of an object. */
export const tableOf = (value: object): Table | undefined => tables.get(value)

/** Remembers the keys of an object that is frozen. */
export const remember = (value: object, table: Table): void => {
  tables.set(value, table)
}

/**
 * From where on the members of an object are not those of a table, at the same places in order. The values that were looked
 * at are put into `seen`.
 */
export const agree = (
  to: { readonly [key: string]: Json },
  keys: ReadonlyArray<string>,
  at: number,
  before: ReadonlyArray<string>,
  values: ReadonlyArray<Json>,
  from: number,
  seen: Array<Json>
): number => {
  const { length } = keys
  while (at < length) {
    const key = keys[at]!
    const value = to[key]!
    seen[at] = value
    if (before[from] !== key || values[from] !== value) return at
    at++
    from++
  }
  return at
}

/** The same value, and not one that both have from their prototype: that holds functions and objects only. */
export const alike = (a: unknown, b: unknown): boolean => a === b && typeof b !== "function" && b !== undefined

/** From where on two objects differ, in the order of keys. */
export const alikeUntil = (
  from: { readonly [key: string]: Json },
  to: { readonly [key: string]: Json },
  keys: ReadonlyArray<string>,
  at: number,
  seen: Array<Json>
): number => {
  const { length } = keys
  while (at < length) {
    const key = keys[at]!
    const value = to[key]!
    seen[at] = value
    if (from[key] !== value || value === undefined || typeof value === "function") return at
    at++
  }
  return at
}
