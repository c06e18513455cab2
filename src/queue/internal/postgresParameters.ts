/**
 * @internal How statements of PostgreSQL are run, and what is given to them.
 */
import type * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Values } from "./sqlRows.ts"

export type Parameter = string | number | Uint8Array | null

/** Runs a statement and gives its rows. */
export type Run = (text: string, parameters: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Values>, SqlError>

/** Numbers go as text, so that a small and a large one are the same statement. */
export const scalar = (value: Parameter): string | Uint8Array | null =>
  typeof value === "number" ? String(value) : value

/** An array parameter. Text and bytes are sent as they are; numbers, and arrays of nothing, as PostgreSQL's notation. */
export const array = (type: string, values: ReadonlyArray<Parameter>): unknown =>
  (type === "text" || type === "bytea") && values.some((value) => value !== null)
    ? values
    : `{${values.map((value) => value === null ? "NULL" : String(value)).join(",")}}`

export const optional = (value: unknown): number | null => value === null || value === undefined ? null : Number(value)
