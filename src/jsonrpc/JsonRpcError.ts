/**
 * What a JSON-RPC call may fail with besides the errors of its contract, the codes of the specification, and the
 * annotation that gives an error of a contract its code on the wire.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as ErrorCode from "../rpc/ErrorCode.ts"
import type { Failure } from "../rpc/internal/callModel.ts"
import type { ErrorObject } from "./JsonRpcMessage.ts"

/**
 * Codes of the specification (section 5.1) and the first of the server-defined range.
 *
 * @category models
 * @since 0.1.0
 */
export const code = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
  serverError: -32000
} as const

/**
 * The peer answered with an error that the contract of the method does not declare.
 *
 * @category errors
 * @since 0.1.0
 */
export class RemoteError
  extends Schema.TaggedError<RemoteError>("effect-wire/jsonrpc/JsonRpcError/RemoteError")("RemoteError", {
    code: Schema.Int,
    message: Schema.String,
    data: Schema.optionalKey(Schema.Json),
    /** Over HTTP: how long the server asks to be left alone (`Retry-After`), in milliseconds. */
    retryAfter: Schema.optionalKey(Schema.Finite)
  })
{}

/**
 * The transport failed, or kept the call from being sent. `message` says which method, which address and what happened.
 * `maybeExecuted` says whether the request may have reached the peer: `false` means that it was not sent, so trying again
 * is safe. `kind`: the connection was lost with it; there is none (`Offline`); the client was closed or gave up (`Ended`);
 * too much waits already (`Full`); no answer came in time (`Timeout`).
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionError
  extends Schema.TaggedError<ConnectionError>("effect-wire/jsonrpc/JsonRpcError/ConnectionError")("ConnectionError", {
    message: Schema.String,
    maybeExecuted: Schema.Boolean,
    kind: Schema.optionalKey(Schema.Literals(["Lost", "Offline", "Ended", "Full", "Timeout"])),
    /** Over HTTP: how long the server asks to be left alone (`Retry-After`), in milliseconds. */
    retryAfter: Schema.optionalKey(Schema.Finite),
    cause: Schema.optionalKey(Schema.Defect())
  })
{}

/**
 * The cause of a `ConnectionError` over HTTP: the server answered with a status other than 2xx and without a JSON-RPC answer in the
 * body.
 *
 * @category errors
 * @since 0.1.0
 */
export class HttpStatusError
  extends Schema.TaggedError<HttpStatusError>("effect-wire/jsonrpc/JsonRpcError/HttpStatusError")(
    "HttpStatusError",
    { status: Schema.Int }
  )
{}

/**
 * The peer sent what is no JSON-RPC, or an answer that does not fit the contract.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolError
  extends Schema.TaggedError<ProtocolError>("effect-wire/jsonrpc/JsonRpcError/ProtocolError")("ProtocolError", {
    message: Schema.String,
    cause: Schema.optionalKey(Schema.Defect())
  })
{}

/**
 * A JSON-RPC call failed. Handle one kind by `Effect.catchReason("JsonRpcError", "RemoteError", …)`.
 *
 * @category errors
 * @since 0.1.0
 */
export class JsonRpcError extends Schema.TaggedError<JsonRpcError>("effect-wire/jsonrpc/JsonRpcError")("JsonRpcError", {
  reason: Schema.Union([RemoteError, ConnectionError, ProtocolError])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Annotations that give an error of a contract its code on the wire, and, where its own `message` shall not travel,
 * another message. An error without them has code -32000. The specification reserves -32768 to -32000; of these
 * -32099 to -32000 are for servers; every other integer is the application's.
 *
 * **Example** (An error with a code)
 *
 * ```ts
 * class NotReady extends Schema.TaggedError<NotReady>()("NotReady", { since: Schema.Int }, JsonRpcError.wire({ code: -32010 })) {}
 * ```
 *
 * @category annotations
 * @since 0.1.0
 */
export const wire: (options: { readonly code: number; readonly message?: string | undefined }) => {} =
  ErrorCode.annotation

/** @internal */
export const remote = (error: ErrorObject): JsonRpcError =>
  new JsonRpcError({
    reason: new RemoteError({
      code: error.code,
      message: error.message,
      ...(error.data === undefined ? undefined : { data: error.data }),
      ...("retryAfter" in error ? { retryAfter: error.retryAfter as number } : undefined)
    })
  })

/** @internal */
export const connection = (message: string, maybeExecuted: boolean, cause?: unknown): JsonRpcError =>
  new JsonRpcError({
    reason: new ConnectionError({ message, maybeExecuted, ...(cause === undefined ? undefined : { cause }) })
  })

/** @internal */
export const lost = (method: string | undefined, failure: Failure): JsonRpcError =>
  new JsonRpcError({
    reason: new ConnectionError({
      message: method === undefined ? failure.detail : `${method}: ${failure.detail}`,
      maybeExecuted: failure.maybeExecuted,
      kind: failure.kind,
      ...(failure.cause === undefined ? undefined : { cause: failure.cause })
    })
  })

/**
 * Whether a call that failed so may be made at another server: it was not sent, or it does no harm to run it twice.
 *
 * @internal
 */
export const mayTryElsewhere = ({ reason }: JsonRpcError, isIdempotent: boolean): boolean =>
  reason._tag === "ConnectionError" && (!reason.maybeExecuted || isIdempotent)

/** @internal */
export const protocol = (message: string, cause?: unknown): JsonRpcError =>
  new JsonRpcError({ reason: new ProtocolError({ message, ...(cause === undefined ? undefined : { cause }) }) })
