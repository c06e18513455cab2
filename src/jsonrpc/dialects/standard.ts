import type { Dialect } from "../internal/dialectModel.ts"

/**
 * JSON-RPC 2.0 and nothing else: no cancellation, no progress.
 *
 * @category dialects
 * @since 0.1.0
 */
export const standard: Dialect = {
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
