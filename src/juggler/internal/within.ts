/**
 * What a commit means for a part of the document: the same changes, seen from there.
 */
import type { Pointer } from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"
import type { Change } from "./model.ts"
import { startsWith } from "./places.ts"

/** Whether something written at, or removed from, a place moves its neighbours: they are in an array. */
export const shifts = (document: OwnedDocument, { op }: Change, at: Pointer): boolean =>
  op !== "replace" && op !== "test" && at.length > 0 && Array.isArray(document.peek(at.slice(0, -1)))

/** How a place lies to a part: strictly inside, outside, or so that the part may be another now. */
const relation = (
  document: OwnedDocument,
  change: Change,
  at: Pointer,
  part: Pointer
): "inside" | "outside" | "over" => {
  if (at.length > part.length) return startsWith(at, part) ? "inside" : "outside"
  if (startsWith(part, at)) return "over"
  return at.length > 0 && startsWith(part, at.slice(0, -1)) && shifts(document, change, at) ? "over" : "outside"
}

/**
 * The changes of a commit, which was applied already, as they are seen from a part: `"whole"` where the part as such may
 * be another, `undefined` where nothing there has changed.
 */
export const within = (
  document: OwnedDocument,
  changes: ReadonlyArray<Change>,
  part: Pointer
): ReadonlyArray<Change> | "whole" | undefined => {
  const found: Array<Change> = []
  for (const change of changes) {
    const from = "from" in change ? change.from : undefined
    const target = relation(document, change, change.path, part)
    const source = from === undefined ? "outside" : relation(document, change, from, part)
    if (target === "over" || (source === "over" && change.op === "move")) return "whole"
    if (target === "inside") {
      const path = change.path.slice(part.length)
      if (!("from" in change)) found.push({ ...change, path })
      // what comes from elsewhere may have changed since
      else if (source === "inside") found.push({ ...change, path, from: change.from.slice(part.length) })
      else return "whole"
    } else if (source === "inside" && change.op === "move") {
      found.push({ op: "remove", path: change.from.slice(part.length) })
    }
  }
  return found.length === 0 ? undefined : found
}
