/**
 * What can go wrong between Juggler peers: the connection was lost, the peer said something that is no Juggler, the peer
 * refused a request.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Socket from "effect/socket/Socket"
import type { Failure } from "../rpc/internal/callModel.ts"
import type { Json } from "./JsonPointer.ts"

/**
 * The connection is closed, was never open, or went away during what was asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionError
  extends Schema.TaggedError<ConnectionError>("effect-wire/juggler/JugglerError/ConnectionError")("ConnectionError", {
    detail: Schema.String,
    /** Close code of the connection, where one is known. */
    code: Schema.optionalKey(Schema.Int),
    /** `true` for a request that had been sent: the peer may have executed it. */
    uncertain: Schema.Boolean,
    /**
     * Why a call failed: the connection was lost with it, there is none, the client gave up for good, too many calls wait
     * already, no answer came in time.
     */
    kind: Schema.optionalKey(Schema.Literals(["Lost", "Offline", "Ended", "Full", "Timeout"])),
    cause: Schema.optionalKey(Schema.Defect())
  })
{
  override get message(): string {
    return this.code === undefined ? this.detail : `${this.detail} (${this.code})`
  }
}

/**
 * The peer broke the protocol, or was asked for something that its generation of the protocol does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolError
  extends Schema.TaggedError<ProtocolError>("effect-wire/juggler/JugglerError/ProtocolError")("ProtocolError", {
    detail: Schema.String
  })
{
  override get message(): string {
    return this.detail
  }
}

/**
 * The peer answered with `success: false`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RemoteError
  extends Schema.TaggedError<RemoteError>("effect-wire/juggler/JugglerError/RemoteError")("RemoteError", {
    /** What came with it: text, as a rule. */
    data: Schema.Json
  })
{
  override get message(): string {
    return typeof this.data === "string" ? this.data : JSON.stringify(this.data)
  }
}

/**
 * The error of this protocol; catch one reason of it by `Effect.catchReason("JugglerError", "RemoteError", f)`.
 *
 * @category errors
 * @since 0.1.0
 */
export class JugglerError extends Schema.TaggedError<JugglerError>("effect-wire/juggler/JugglerError")("JugglerError", {
  reason: Schema.Union([ConnectionError, ProtocolError, RemoteError])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** @internal */
export const closed = (detail: string, options?: {
  readonly code?: number | undefined
  readonly uncertain?: boolean | undefined
  readonly kind?: "Lost" | "Offline" | "Ended" | "Full" | "Timeout" | undefined
  readonly cause?: unknown
}): JugglerError =>
  new JugglerError({
    reason: new ConnectionError({
      detail,
      uncertain: options?.uncertain ?? false,
      ...(options?.kind === undefined ? {} : { kind: options.kind }),
      ...(options?.code === undefined ? {} : { code: options.code }),
      ...(options?.cause === undefined ? {} : { cause: options.cause })
    })
  })

/** @internal */
export const protocol = (detail: string): JugglerError => new JugglerError({ reason: new ProtocolError({ detail }) })

/** @internal */
export const remote = (data: Json): JugglerError => new JugglerError({ reason: new RemoteError({ data }) })

/** @internal */
export const fromFailure = ({ cause, detail, kind, maybeExecuted }: Failure, name?: string): JugglerError => {
  const reason = Socket.isSocketError(cause) ? cause.reason : undefined
  return closed(name === undefined || name === "" ? detail : `${name}: ${detail}`, {
    kind,
    uncertain: maybeExecuted,
    ...(reason?._tag === "SocketCloseError" ? { code: reason.code } : {}),
    ...(cause === undefined ? {} : { cause })
  })
}
