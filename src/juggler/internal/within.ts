/**
 * What a commit means for a part of the document: the same operations, seen from there.
 */
import type { Operation } from "../JsonPatch.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"

type Tokens = ReadonlyArray<string>

/** An operation with its places taken apart. */
export interface Placed {
  readonly operation: Operation
  readonly path: Tokens
  readonly from: Tokens | undefined
}

/** Takes the places of operations apart, once for all who look at them. */
export const place = (operations: ReadonlyArray<Operation>): ReadonlyArray<Placed> =>
  operations.map((operation) => ({
    operation,
    path: JsonPointer.parse(operation.path)!,
    from: "from" in operation ? JsonPointer.parse(operation.from)! : undefined
  }))

/** Whether something written at, or removed from, a place moves its neighbours: they are in an array. */
export const shifts = (document: OwnedDocument, { operation }: Placed, at: Tokens): boolean =>
  operation.op !== "replace" && operation.op !== "test" && at.length > 0 &&
  Array.isArray(document.peek(at.slice(0, -1)))

const startsWith = (tokens: Tokens, prefix: Tokens): boolean => {
  if (tokens.length < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (tokens[i] !== prefix[i]) return false
  return true
}

/** How a place lies to a part: strictly inside, outside, or so that the part may be another now. */
const relation = (document: OwnedDocument, placed: Placed, at: Tokens, part: Tokens): "inside" | "outside" | "over" => {
  if (at.length > part.length) return startsWith(at, part) ? "inside" : "outside"
  if (startsWith(part, at)) return "over"
  return at.length > 0 && startsWith(part, at.slice(0, -1)) && shifts(document, placed, at) ? "over" : "outside"
}

/**
 * The operations of a commit, which was applied already, as they are seen from a part: `"whole"` where the part as such may
 * be another, `undefined` where nothing there has changed.
 */
export const within = (
  document: OwnedDocument,
  placed: ReadonlyArray<Placed>,
  part: Tokens
): ReadonlyArray<Operation> | "whole" | undefined => {
  const found: Array<Operation> = []
  const inner = (tokens: Tokens) => JsonPointer.format(tokens.slice(part.length))
  for (const one of placed) {
    const { from, operation, path } = one
    if (operation.op === "test") continue
    const target = relation(document, one, path, part)
    const source = from === undefined ? "outside" : relation(document, one, from, part)
    if (target === "over" || (source === "over" && operation.op === "move")) return "whole"
    if (target === "inside") {
      if (from === undefined) found.push({ ...operation, path: inner(path) })
      // what comes from elsewhere may have changed since
      else if (source === "inside") found.push({ ...operation, path: inner(path), from: inner(from) } as Operation)
      else return "whole"
    } else if (source === "inside" && operation.op === "move") found.push({ op: "remove", path: inner(from!) })
  }
  return found.length === 0 ? undefined : found
}
