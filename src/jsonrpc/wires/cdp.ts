import { isRecord } from "../internal/record.ts"
import type { Wire } from "../internal/wireModel.ts"
import { standard } from "./standard.ts"

/** The parameter that stands for the member `sessionId` of a message. */
const key = "$sessionId"

const members = (params: unknown): Record<string, unknown> => {
  if (!isRecord(params) || !Object.hasOwn(params, key)) return params === undefined ? {} : { params }
  const { [key]: sessionId, ...rest } = params
  return { params: rest, sessionId }
}

/**
 * The Chrome DevTools Protocol: messages without `jsonrpc`, and sessions of several targets on one connection. The
 * parameter `$sessionId` of a call says to which target it goes (`Target.attachToTarget` with `flatten: true` gives it);
 * that of a notification says from which it comes. There are no batches.
 *
 * Source: https://chromedevtools.github.io/devtools-protocol/, "HTTP Endpoints" and "Target"; PROTOCOLS.md, "CDP".
 *
 * @category wires
 * @since 0.2.0
 */
export const cdp: Wire = {
  ...standard,
  name: "cdp",
  encode: {
    request: (id, method, params, extra) =>
      `{"id":${id},` + JSON.stringify({ method, ...members(params), ...extra }).slice(1),
    notification: (method, params, extra) => JSON.stringify({ method, ...members(params), ...extra }),
    result: (id, result) => `{"id":${id},"result":${JSON.stringify(result) ?? "{}"}}`,
    error: (id, error) => `{"id":${id},"error":${JSON.stringify(error)}}`,
    batch: undefined
  },
  anyVersion: true,
  params: (params, message) =>
    typeof message["sessionId"] === "string" && (params === undefined || isRecord(params))
      ? { ...params, [key]: message["sessionId"] }
      : params,
  metaKeys: [key]
}
