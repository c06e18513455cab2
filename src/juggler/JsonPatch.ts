/**
 * JSON Patch (RFC 6902): what changed between two JSON values, as a list of operations.
 *
 * `apply` is immutable: it gives a new document that shares with the old one whatever the patch does not touch, or an
 * error and the old document as it was. `diff` finds a patch between two values. Both are synchronous and bounded.
 *
 * **Details**
 *
 * Both halves are code of our own, since no library does what a peer on a network needs. `fast-json-patch` and `rfc6902`
 * copy or change the whole document, the former compares arrays by index (20,001 operations for one insertion at the head
 * of 10,000 items), the latter overflows its stack there; `mutative` has no comparison, and its patches need 10,001;
 * `effect/JsonPatch` knows three of the six operations. `npm run bench -- juggler patch` prints the figures.
 *
 * **Gotchas**
 *
 * The key `__proto__` is refused wherever it appears, in a pointer, in a value or in a document that is compared, since
 * peers that write `target[key] = value` would reach their prototype by it. `constructor`, `prototype` and all other keys
 * are ordinary data: they are looked up as own properties only.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { diffInto } from "./internal/diff.ts"
import { BorrowedDocument, type OwnedDocument } from "./internal/document.ts"
import type { Change, Limits, Operation } from "./internal/model.ts"
import type { Json, Pointer } from "./JsonPointer.ts"
import * as JsonPointer from "./JsonPointer.ts"

export type { Change, Limits, Operation } from "./internal/model.ts"

/**
 * A patch: operations in order, applied whole or not at all.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonPatch = ReadonlyArray<Operation>

/**
 * Why a patch was not applied or a value not accepted:
 *
 * - `InvalidOperation`: no operation of RFC 6902 (a member is missing, the `op` is unknown, a value is moved into itself)
 * - `InvalidPointer`: a path that is no JSON Pointer
 * - `NotFound`: a path that leads nowhere, an index that is out of range or has a leading zero, `-` where nothing is added
 * - `TestFailed`: a `test` found another value
 * - `NotJson`: `NaN`, an infinity, `undefined`, a function, a class instance
 * - `Cyclic`: a value that contains itself
 * - `ForbiddenKey`: the key `__proto__`
 * - `TooManyOperations`, `TooDeep`, `TooLarge`: over a limit of {@link Limits}
 *
 * @category errors
 * @since 0.1.0
 */
export const Reason = Schema.Literals([
  "InvalidOperation",
  "InvalidPointer",
  "NotFound",
  "TestFailed",
  "NotJson",
  "Cyclic",
  "ForbiddenKey",
  "TooManyOperations",
  "TooDeep",
  "TooLarge"
])

/**
 * A patch that does not apply, or a value that is no acceptable JSON. Nothing was changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class JsonPatchError
  extends Schema.TaggedError<JsonPatchError>("effect-wire/juggler/JsonPatch/JsonPatchError")("JsonPatchError", {
    reason: Reason,
    /** What exactly, for people. */
    detail: Schema.String,
    /** Index of the operation in the patch; -1 where no single operation is to blame. */
    operation: Schema.Int
  })
{
  override get message(): string {
    return this.operation < 0
      ? `${this.reason}: ${this.detail}`
      : `${this.reason} at operation ${this.operation}: ${this.detail}`
  }
}

/**
 * The default {@link Limits}.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultLimits: Limits = {
  maxOperations: 1_000,
  maxDepth: 128,
  maxSize: 33_554_432,
  maxCopied: 1_048_576
}

/**
 * Writes changes as the patch that travels: places become the text of pointers.
 *
 * @category conversions
 * @since 0.2.0
 */
export const encode = (changes: ReadonlyArray<Change>): Array<Operation> =>
  changes.map((change) => {
    const path = JsonPointer.format(change.path)
    switch (change.op) {
      case "remove":
        return { op: change.op, path }
      case "move":
      case "copy":
        return { op: change.op, from: JsonPointer.format(change.from), path }
      default:
        return { op: change.op, path, value: change.value }
    }
  })

/**
 * The same changes, done to the value at a place: what happens in one document can be repeated in a part of another.
 *
 * @category combinators
 * @since 0.2.0
 */
export const below = (changes: ReadonlyArray<Change>, place: Pointer): Array<Change> =>
  changes.map((change) => {
    const path = [...place, ...change.path]
    return "from" in change ? { ...change, from: [...place, ...change.from], path } : { ...change, path }
  })

/**
 * Reads a patch that travelled as changes, for a state: the text of pointers becomes places. Fails as `InvalidOperation` or
 * `InvalidPointer` for what is no patch; values are looked at when it is applied.
 *
 * @category conversions
 * @since 0.2.0
 */
export const decode = (patch: unknown): Result.Result<Array<Change>, JsonPatchError> => {
  if (!Array.isArray(patch)) return refuse("InvalidOperation", "a patch is an array of operations", -1)
  const changes: Array<Change> = []
  for (let i = 0; i < patch.length; i++) {
    const operation: unknown = patch[i]
    if (typeof operation !== "object" || operation === null) {
      return refuse("InvalidOperation", "an operation is an object", i)
    }
    const change: Record<string, unknown> = { ...operation }
    for (const field of ["path", "from"]) {
      const text = change[field]
      if (text === undefined) continue
      if (typeof text !== "string") return refuse("InvalidOperation", `the ${field} is no text`, i)
      change[field] = JsonPointer.parse(text)
      if (change[field] === undefined) return refuse("InvalidPointer", `the ${field} is no JSON Pointer`, i)
    }
    changes.push(change as unknown as Change)
  }
  return Result.succeed(changes)
}

const refuse = (reason: typeof Reason.Type, detail: string, operation: number) =>
  Result.fail(new JsonPatchError({ reason, detail, operation }))

/** @internal */
export const errorOf = (document: OwnedDocument): JsonPatchError =>
  new JsonPatchError({
    reason: document.fault!.reason,
    detail: document.fault!.detail,
    operation: document.faultAt
  })

/**
 * Applies a patch. The patch may be anything that was parsed from JSON: what is no patch fails as `InvalidOperation`.
 *
 * **Details**
 *
 * The result shares all containers off the changed paths with the document, and values with the patch; neither is changed
 * or frozen. `maxSize` bounds by how much the patch makes
 * the document larger, since counting the whole would cost more than the change; the states of this package count theirs.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply = (
  document: Json,
  patch: unknown,
  limits?: Partial<Limits>
): Result.Result<Json, JsonPatchError> => {
  const borrowed = new BorrowedDocument(
    document,
    limits === undefined ? defaultLimits : { ...defaultLimits, ...limits }
  )
  return borrowed.apply(patch, "wire") ? Result.succeed(borrowed.root) : Result.fail(errorOf(borrowed))
}

/**
 * Finds a patch that makes `from` equal to `to`.
 *
 * **Details**
 *
 * Containers that are the same reference are not entered, so the cost follows what differs. An array is compared by the
 * shortest edit script as long as that is short: an insertion at its head is one operation. Where the operations would be
 * longer than the value, or more than `maxOperations`, the value is replaced. Only `add`, `remove` and `replace` are used.
 *
 * Fails if something in `to` is no acceptable JSON; what is shared with `from` is taken as acceptable.
 *
 * @category combinators
 * @since 0.1.0
 */
export const diff = (
  from: Json,
  to: Json,
  limits?: Partial<Limits>
): Result.Result<Array<Operation>, JsonPatchError> => {
  const changes: Array<Change> = []
  const fault = diffInto(changes, from, to, limits === undefined ? defaultLimits : { ...defaultLimits, ...limits })
  return typeof fault === "number"
    ? Result.succeed(encode(changes))
    : Result.fail(new JsonPatchError({ reason: fault.reason, detail: fault.detail, operation: -1 }))
}
