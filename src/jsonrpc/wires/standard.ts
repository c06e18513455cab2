import type { Encode, Wire } from "../internal/wireModel.ts"
import * as Codec from "../JsonRpcCodec.ts"

/**
 * How JSON-RPC 2.0 writes its messages.
 *
 * @category encoding
 * @since 0.2.0
 */
export const version2: Encode = {
  request: Codec.encodeRequest,
  notification: Codec.encodeNotification,
  result: Codec.encodeResult,
  error: Codec.encodeError,
  batch: Codec.encodeBatch
}

/**
 * JSON-RPC 2.0 and nothing else: no cancellation, no progress.
 *
 * @category wires
 * @since 0.1.0
 */
export const standard: Wire = {
  name: "standard",
  encode: version2,
  subprotocol: undefined,
  cancellation: undefined,
  progress: undefined,
  scalarParams: false,
  nullIdIsNotification: false,
  isReserved: () => false,
  metaKeys: [],
  trace: undefined,
  withTrace: undefined
}
