import { isRecord } from "../internal/record.ts"
import type { Wire } from "../internal/wireModel.ts"
import { standard } from "./standard.ts"

const isEmptyCall = (params: unknown): boolean => {
  if (!isRecord(params)) return false
  const { args, kwargs, ...rest } = params
  return Array.isArray(args) && args.length === 0 && isRecord(kwargs) && Object.keys(kwargs).length === 0 &&
    Object.keys(rest).length === 0
}

/**
 * aiohttp-json-rpc: parameters may be a bare value, those of notifications and publications are; surplus ones are ignored;
 * an id of `null` makes a notification; topics are subscribed by name; who has logged in is told of no `login`; messages may
 * have 4 MiB.
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
  nullIdIsNotification: true,
  // what the original's client context sends for a call without arguments
  params: (params) => isEmptyCall(params) ? undefined : params,
  ignoresSurplus: true,
  bareNotifications: true,
  topicsByName: true,
  lists: (method, isLoggedIn) => !(isLoggedIn && method === "login"),
  maxFrameSize: 4 * 1024 * 1024
}
