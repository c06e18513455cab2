import type * as Schema from "effect/Schema"
import * as ErrorCode from "../../rpc/ErrorCode.ts"

const serverError = -32000

/**
 * The code that `JsonRpcError.wire` gave to a schema; -32000 by default.
 *
 * @internal
 */
export const codeOf = (schema: Schema.Top): number => ErrorCode.codeOf(schema) ?? serverError

/**
 * The message on the wire of an error with this schema: as annotated, else the error's own, else its tag.
 *
 * @internal
 */
export const messageOf = (schema: Schema.Top, error: unknown): string => {
  const annotated = ErrorCode.messageOf(schema)
  if (annotated !== undefined) return annotated
  if (typeof error === "string") return error
  if (typeof error === "object" && error !== null) {
    const { _tag, message } = error as { readonly _tag?: unknown; readonly message?: unknown }
    if (typeof message === "string" && message.length > 0) return message
    if (typeof _tag === "string") return _tag
  }
  return "Server error"
}
