import type { Dialect } from "../internal/dialectModel.ts"
import { standard } from "./standard.ts"

/**
 * aiohttp-json-rpc: parameters may be a bare value, and an id of `null` makes a notification.
 *
 * Source: PROTOCOLS.md, "aiohttp-json-rpc".
 *
 * @category dialects
 * @since 0.1.0
 */
export const aiohttp: Dialect = {
  ...standard,
  name: "aiohttp",
  scalarParams: true,
  nullIdIsNotification: true
}
