import type { Wire } from "../internal/wireModel.ts"
import { standard } from "./standard.ts"

/**
 * aiohttp-json-rpc: parameters may be a bare value, and an id of `null` makes a notification.
 *
 * Source: PROTOCOLS.md, "aiohttp-json-rpc".
 *
 * @category wires
 * @since 0.1.0
 */
export const aiohttp: Wire = {
  ...standard,
  name: "aiohttp",
  scalarParams: true,
  nullIdIsNotification: true
}
