/** When to come back, in the reason of a close frame with 1012: `retry-after: 2.5`, in seconds, after HTTP's header. */
import type * as Socket from "effect/socket/Socket"

const form = /^retry-after: (\d{1,6}(?:\.\d{1,3})?)$/

/** Milliseconds beyond which nobody is believed. */
const longest = 10 * 60_000

/** @internal */
export const encode = (seconds: number): string => `retry-after: ${seconds.toFixed(3)}`

/** Milliseconds until the peer wants to be dialled again; `undefined` where it did not say. @internal */
export const decode = ({ reason }: Socket.SocketError): number | undefined => {
  if (reason._tag !== "SocketCloseError" || reason.code !== 1012) return undefined
  const match = form.exec(reason.closeReason ?? "")
  return match === null ? undefined : Math.min(longest, Math.ceil(Number(match[1]) * 1000))
}
