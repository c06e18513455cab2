import type { Wire } from "../internal/wireModel.ts"

/**
 * JSON-RPC 2.0 and nothing else: no cancellation, no progress.
 *
 * @category wires
 * @since 0.1.0
 */
export const standard: Wire = {
  name: "standard",
  subprotocol: undefined,
  cancellation: undefined,
  progress: undefined,
  scalarParams: false,
  nullIdIsNotification: false,
  isReserved: () => false,
  metaKeys: [],
  traceparent: undefined,
  withTraceparent: undefined
}
