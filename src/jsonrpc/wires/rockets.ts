import * as Predicate from "effect/Predicate"
import { own } from "../internal/record.ts"
import type { Wire } from "../internal/wireModel.ts"
import type { JsonRpcError } from "../JsonRpcError.ts"
import { standard } from "./standard.ts"

const amountOf = (u: unknown): number => typeof u === "number" && Number.isFinite(u) ? u : 0
const textOf = (u: unknown): string => typeof u === "string" ? u : ""

/**
 * Rockets (BlueBrain): `cancel` and `progress` notifications that name the request by its id.
 *
 * Source: PROTOCOLS.md, "Rockets".
 *
 * @category wires
 * @since 0.1.0
 */
export const rockets: Wire = {
  ...standard,
  name: "rockets",
  subprotocol: "rockets",
  cancellation: {
    method: "cancel",
    encode: (id) => ({ id }),
    decode: (params) => own(params, "id"),
    answer: { code: -31002, message: "Request aborted" }
  },
  progress: {
    method: "progress",
    request: (params) => params,
    token: (_params, id) => id,
    encode: (id, { amount, operation, value }) => ({ id, operation, amount, value }),
    decode: (params) => {
      const token = own(params, "id")
      if (token === undefined) return undefined
      const value = own(params, "value")
      return {
        token,
        report: {
          operation: textOf(own(params, "operation")),
          amount: amountOf(own(params, "amount")),
          ...(value === undefined ? undefined : { value })
        }
      }
    }
  },
  isReserved: (method) => method.startsWith("cancel") || method.startsWith("progress")
}

/**
 * The code that the Rockets clients give to a failed call: the peer's own where it answered, -31001 for an answer that is
 * none, -31003 for HTTP, -30100 for a socket that was closed and -30101 for one that broke. An interrupted call (-31002
 * there) is an interruption here, no failure.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rocketsCode = (error: JsonRpcError): number => {
  const { reason } = error
  if (reason._tag === "RemoteError") return reason.code
  if (reason._tag === "ProtocolError") return -31001
  const { cause } = reason
  if (Predicate.isTagged(cause, "HttpClientError") || Predicate.isTagged(cause, "HttpStatusError")) return -31003
  const broken = Predicate.isTagged(cause, "SocketError") && Predicate.hasProperty(cause, "reason") &&
    (Predicate.isTagged(cause.reason, "SocketWriteError") || Predicate.isTagged(cause.reason, "SocketReadError"))
  return broken ? -30101 : -30100
}
