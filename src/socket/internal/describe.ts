/**
 * What happened to a connection, in words for people.
 */
import type * as Socket from "effect/socket/Socket"

const closeCodes: ReadonlyMap<number, string> = new Map([
  [1001, "going away"],
  [1002, "protocol error"],
  [1003, "unsupported data"],
  [1006, "without a close frame"],
  [1007, "invalid data"],
  [1008, "refused by policy"],
  [1009, "a message was too large"],
  [1011, "an error of the other end"],
  [1012, "restarting"],
  [1013, "overloaded, try again later"]
])

const failures: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "connection reset"],
  ["ENOTFOUND", "no such host (DNS)"],
  ["EAI_AGAIN", "no such host (DNS does not answer)"],
  ["ETIMEDOUT", "no answer in time"],
  ["EHOSTUNREACH", "host unreachable"],
  ["ENETUNREACH", "network unreachable"],
  ["ENOENT", "no such path"],
  ["EACCES", "permission denied"],
  ["EPIPE", "connection reset"]
])

const certificate = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/

// The errors are those of foreign carriers, several causes deep: what says most is a code, then a refused handshake.
const inner = (error: unknown, depth = 0): string | undefined => {
  if (typeof error === "string") return error === "" ? undefined : error
  if (typeof error !== "object" || error === null || depth > 8) return undefined
  const { cause, code, errors, kind, message, reason } = error as Record<string, unknown>
  if (typeof code === "string" && code !== "") {
    const known = failures.get(code)
    if (known !== undefined) return `${known} (${code})`
    if (certificate.test(code)) return `certificate refused (${code})`
  }
  const deeper = inner(cause, depth + 1) ?? inner(reason, depth + 1) ??
    (Array.isArray(errors) ? inner(errors[0], depth + 1) : undefined)
  if (deeper !== undefined) return deeper
  if (typeof message !== "string" || message === "") return typeof kind === "string" ? kind : undefined
  const status = /^Unexpected server response: (\d+)$/.exec(message)
  return status === null ? message : `HTTP ${status[1]}`
}

/**
 * Any error in words, the most telling of its causes.
 *
 * @internal
 */
export const inWords = (error: unknown): string => inner(error) ?? String(error)

/**
 * `connection refused (ECONNREFUSED)`, `HTTP 404`, `closed with 1009 (a message was too large)`, and so on.
 *
 * @internal
 */
export const describe = (error: Socket.SocketError): string => {
  const { reason } = error
  switch (reason._tag) {
    case "SocketCloseError": {
      const known = closeCodes.get(reason.code)
      const said = reason.closeReason === undefined || reason.closeReason === "" ? known : reason.closeReason
      return said === undefined ? `closed with ${reason.code}` : `closed with ${reason.code} (${said})`
    }
    case "SocketOpenError":
      return inner(reason.cause) ?? (reason.kind === "Timeout" ? "no answer in time" : "cannot be opened")
    default:
      return inner(reason.cause) ?? reason.message
  }
}

const addresses = new WeakMap<Socket.Socket, string>()

/**
 * Remembers where a socket leads, for messages: without user, password and query.
 *
 * @internal
 */
export const named = (socket: Socket.Socket, address: string): Socket.Socket => {
  addresses.set(socket, address)
  return socket
}

/**
 * Where a socket leads, where its carrier said so.
 *
 * @internal
 */
export const addressOf = (socket: Socket.Socket): string | undefined => addresses.get(socket)
