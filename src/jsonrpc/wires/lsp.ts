import { isRecord, own } from "../internal/record.ts"
import type { Wire } from "../internal/wireModel.ts"
import { standard } from "./standard.ts"

/**
 * The base protocol of the Language Server Protocol, as vscode-jsonrpc speaks it: `$/cancelRequest`, and `$/progress` for
 * requests that carry a `workDoneToken` (reports) or a `partialResultToken` (elements of a stream; the answer is then
 * empty). Over byte streams it wants the `Content-Length` framing.
 *
 * Source: LSP 3.17, "Base Protocol", "Cancellation Support", "Progress Support"; PROTOCOLS.md, "LSP".
 *
 * @category wires
 * @since 0.1.0
 */
export const lsp: Wire = {
  ...standard,
  name: "lsp",
  cancellation: {
    method: "$/cancelRequest",
    encode: (id) => ({ id }),
    decode: (params) => own(params, "id"),
    answer: { code: -32800, message: "Request cancelled" }
  },
  progress: {
    method: "$/progress",
    request: (params, id, isStream) =>
      params === undefined || isRecord(params)
        ? { ...params, [isStream ? "partialResultToken" : "workDoneToken"]: id }
        : params,
    token: (params) => own(params, "workDoneToken"),
    elementsToken: (params) => own(params, "partialResultToken"),
    encode: (token, { amount, operation, value }, count) => ({
      token,
      value: value !== undefined
        ? value
        : count === 0
        ? { kind: "begin", title: operation, percentage: Math.round(amount * 100) }
        : { kind: "report", message: operation, percentage: Math.round(amount * 100) }
    }),
    encodeElements: (token, value) => ({ token, value }),
    finish: (token) => ({ token, value: { kind: "end" } }),
    decode: (params) => {
      const token = own(params, "token")
      if (token === undefined) return undefined
      const value = own(params, "value")
      const kind = own(value, "kind")
      if (kind !== "begin" && kind !== "report" && kind !== "end") {
        return { token, report: { operation: "", amount: 0, value } }
      }
      const percentage = own(value, "percentage")
      const text = own(value, "message") ?? own(value, "title")
      return {
        token,
        report: {
          operation: typeof text === "string" ? text : "",
          amount: kind === "end" ? 1 : typeof percentage === "number" ? percentage / 100 : 0
        }
      }
    }
  },
  metaKeys: ["workDoneToken", "partialResultToken"],
  isReserved: (method) => method === "$/cancelRequest" || method === "$/progress"
}
