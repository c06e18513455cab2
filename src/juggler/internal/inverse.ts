/**
 * What takes an operation back.
 */
import type { Operation } from "../JsonPatch.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"

/** The operation that undoes one which is about to be applied, and applies; `undefined` where there is nothing to undo. */
export const inverse = (document: OwnedDocument, operation: Operation): Operation | undefined => {
  switch (operation.op) {
    case "test":
      return undefined
    case "move":
      // a move may shift what is beside both ends: what holds both is put back
      return restore(document, shared(JsonPointer.parse(operation.from)!, JsonPointer.parse(operation.path)!))
    case "remove":
    case "replace": {
      const tokens = JsonPointer.parse(operation.path)!
      if (operation.op === "replace" || tokens.length === 0) return restore(document, tokens)
      return { op: "add", path: operation.path, value: document.snapshot(tokens)! }
    }
    case "add":
    case "copy": {
      const tokens = JsonPointer.parse(operation.path)!
      const last = tokens.length - 1
      if (last < 0) return restore(document, tokens)
      const parent = document.peek(tokens.slice(0, last))
      if (Array.isArray(parent)) {
        if (tokens[last] !== "-") return { op: "remove", path: operation.path }
        return { op: "remove", path: JsonPointer.format([...tokens.slice(0, last), String(parent.length)]) }
      }
      return document.peek(tokens) === undefined ? { op: "remove", path: operation.path } : restore(document, tokens)
    }
  }
}

const restore = (document: OwnedDocument, tokens: ReadonlyArray<string>): Operation => ({
  op: "replace",
  path: JsonPointer.format(tokens),
  value: document.snapshot(tokens)!
})

/** The closest container that holds both places. */
const shared = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): ReadonlyArray<string> => {
  let length = 0
  while (length < a.length - 1 && length < b.length - 1 && a[length] === b[length]) length++
  return a.slice(0, length)
}
