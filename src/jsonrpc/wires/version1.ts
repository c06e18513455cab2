import type { Wire } from "../internal/wireModel.ts"
import { encodeBatch } from "../JsonRpcCodec.ts"
import { standard } from "./standard.ts"

const array = (params: unknown): unknown => params === undefined ? [] : Array.isArray(params) ? params : [params]

/**
 * JSON-RPC 1.0, as bitcoind, older Ethereum nodes and many embedded devices speak it: no member `jsonrpc`, parameters by
 * position, an id of `null` for notifications, `result` and `error` both in each answer. Batches, which came later, are
 * answered (Bitcoin Core's clients send them), and not sent.
 *
 * Source: JSON-RPC 1.0 Specification (2005), "JSON-RPC 1.0"; PROTOCOLS.md, "JSON-RPC 1.0".
 *
 * @category wires
 * @since 0.2.0
 */
export const version1: Wire = {
  ...standard,
  name: "version1",
  encode: {
    request: (id, method, params, extra) =>
      JSON.stringify({ method, params: array(params), ...extra }).slice(0, -1) + `,"id":${id}}`,
    notification: (method, params, extra) => JSON.stringify({ method, params: array(params), id: null, ...extra }),
    result: (id, result) => `{"result":${JSON.stringify(result) ?? "null"},"error":null,"id":${id}}`,
    error: (id, error) => `{"result":null,"error":${JSON.stringify(error)},"id":${id}}`,
    batch: encodeBatch
  },
  anyVersion: true,
  nullIdIsNotification: true,
  positional: true,
  sendsBatches: false
}
