import type { Handshake } from "../../socket/Handshake.ts"
import { fromList } from "../../socket/TrustedProxies.ts"

const isLoopback = fromList(["loopback"])

/** Headers by which proxies say that somebody else is behind them. */
const forwarding = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via", "cf-connecting-ip"]

const hostName = (host: string): string => {
  const url = `http://${host}`
  return URL.canParse(url) ? new URL(url).hostname.replace(/^\[(.*)\]$/, "$1") : ""
}

/**
 * Whether a connection comes from this machine, as far as can be told: by its address, by the name that was asked for (a page
 * of the web may give its own name the address 127.0.0.1), and by what proxies add.
 */
export const isLocal = ({ headers, remoteAddress }: Handshake): boolean => {
  if (remoteAddress === undefined || !isLoopback(remoteAddress)) return false
  if (forwarding.some((name) => headers[name] !== undefined)) return false
  const name = hostName(headers["host"] ?? "")
  return name === "localhost" || isLoopback(name)
}
