/**
 * Operations of whatever shape, read before anything is done: JSON Patch from a peer, or what a program wrote.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import { type Change, type Fault, fault } from "./model.ts"

/**
 * Where operations come from:
 *
 * - `"wire"`: parsed just now, so that the values in them are nobody else's; their places are text
 * - `"found"`: by a comparison with what was parsed just now; their places are tokens
 * - `"program"`: somebody wrote them, and may go on changing the values in them
 */
export type Source = "wire" | "found" | "program"

export const isFault = (value: object): value is Fault => "reason" in value

/** The operation with its places as tokens, of at most so many levels; its value is not looked at. */
export const readOperation = (operation: unknown, source: Source, maxDepth: number): Change | Fault => {
  if (typeof operation !== "object" || operation === null) {
    return fault("InvalidOperation", "an operation is an object")
  }
  const op = member(operation, "op")
  const path = readPlace(operation, "path", op, source, maxDepth)
  if (isFault(path)) return path
  switch (op) {
    case "add":
    case "replace":
    case "test": {
      const value = member(operation, "value")
      return value === undefined
        ? fault("InvalidOperation", `"${op}" needs a "value"`)
        : { op, path, value: value as Json }
    }
    case "remove":
      return { op, path }
    case "move":
    case "copy": {
      const from = readPlace(operation, "from", op, source, maxDepth)
      return isFault(from) ? from : { op, from, path }
    }
    default:
      return fault("InvalidOperation", "\"op\" is none of add, remove, replace, move, copy, test")
  }
}

const member = (operation: object, name: string): unknown =>
  Object.hasOwn(operation, name) ? (operation as { readonly [name: string]: unknown })[name] : undefined

/** The place in a field of an operation: text that came over the wire, or the tokens of a program. */
const readPlace = (
  operation: object,
  field: "path" | "from",
  op: unknown,
  source: Source,
  maxDepth: number
): Pointer | Fault => {
  const written = member(operation, field)
  let tokens: Pointer | undefined
  if (typeof written === "string") tokens = JsonPointer.parse(written)
  else if (source === "wire" || !Array.isArray(written)) {
    return fault(
      "InvalidOperation",
      field === "path" ? "an operation has a \"path\"" : `"${String(op)}" needs a "from"`
    )
  } else if (written.every((token) => typeof token === "string" || typeof token === "number")) {
    tokens = written.slice()
  }
  if (tokens === undefined) return fault("InvalidPointer", `the ${field} is no JSON Pointer`)
  return tokens.length > maxDepth ? fault("TooDeep", `the ${field} is longer than ${maxDepth} levels`) : tokens
}
