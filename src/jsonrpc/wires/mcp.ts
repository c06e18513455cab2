import { isRecord, own } from "../internal/record.ts"
import type { Wire } from "../internal/wireModel.ts"
import { standard } from "./standard.ts"

const meta = (params: unknown, key: string): unknown => own(own(params, "_meta"), key)

const withMeta = (params: unknown, key: string, value: unknown): unknown => {
  if (params !== undefined && !isRecord(params)) return params
  const existing = own(params, "_meta")
  return { ...params, _meta: { ...(isRecord(existing) ? existing : undefined), [key]: value } }
}

/**
 * The messages of the Model Context Protocol: a cancelled request is not answered; progress goes to requests that carry a
 * `_meta.progressToken`; trace context travels in `_meta`.
 *
 * Source: MCP 2025-06-18, "Cancellation", "Progress"; PROTOCOLS.md, "MCP".
 *
 * @category wires
 * @since 0.1.0
 */
export const mcp: Wire = {
  ...standard,
  name: "mcp",
  subprotocol: "mcp",
  cancellation: {
    method: "notifications/cancelled",
    encode: (requestId) => ({ requestId, reason: "the caller was interrupted" }),
    decode: (params) => own(params, "requestId"),
    answer: undefined
  },
  progress: {
    method: "notifications/progress",
    request: (params, id) => withMeta(params, "progressToken", id),
    token: (params) => meta(params, "progressToken"),
    encode: (progressToken, { amount, operation }) => ({
      progressToken,
      progress: amount,
      total: 1,
      ...(operation === "" ? undefined : { message: operation })
    }),
    decode: (params) => {
      const token = own(params, "progressToken")
      if (token === undefined) return undefined
      const progress = own(params, "progress")
      const total = own(params, "total")
      const message = own(params, "message")
      return {
        token,
        report: {
          operation: typeof message === "string" ? message : "",
          amount: typeof progress !== "number"
            ? 0
            : typeof total === "number" && total > 0
            ? progress / total
            : progress
        }
      }
    }
  },
  metaKeys: ["_meta"],
  isReserved: (method) => method === "notifications/cancelled" || method === "notifications/progress",
  trace: (params) => own(params, "_meta"),
  withTrace: (params, trace) => Object.keys(trace).reduce((params, key) => withMeta(params, key, trace[key]), params),
  // its peers refuse members of a message that they do not know
  stream: (params) => meta(params, "effect-wire/stream"),
  withStream: (params, ask) => withMeta(params, "effect-wire/stream", ask),
  once: (params) => meta(params, "effect-wire/once"),
  withOnce: (params, once) => withMeta(params, "effect-wire/once", once)
}
