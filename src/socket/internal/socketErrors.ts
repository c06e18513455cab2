/**
 * Short constructors for the errors of `effect/socket`.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Socket from "effect/socket/Socket"

/** @internal */
export const closeError = (code: number, closeReason?: string | undefined): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketCloseError(
      closeReason === undefined || closeReason === "" ? { code } : { code, closeReason }
    )
  })

/** @internal */
export const openError = (cause: unknown, kind: "Unknown" | "Timeout" = "Unknown"): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind, cause }) })

/** @internal */
export const readError = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketReadError({ cause }) })

/** @internal */
export const writeError = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

/**
 * The close code that tells the peer how the handler of a connection ended: 1000 for success, 1001 for an interruption,
 * 1011 for a failure that is no end of the connection itself.
 *
 * @internal
 */
export const exitCode = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) ? 1000 : Cause.hasInterruptsOnly(exit.cause) ? 1001 : isSocketEnd(exit.cause) ? 1000 : 1011

const isSocketEnd = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.every((reason) => Cause.isFailReason(reason) && Socket.isSocketError(reason.error))
