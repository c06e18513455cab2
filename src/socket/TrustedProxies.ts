/**
 * Who the peer is when proxies stand in between: the address that the last proxy which is not ours saw, from `Forwarded`
 * (RFC 7239) or `X-Forwarded-For`. Only proxies that are trusted are believed, from the nearest on, so a client that sends
 * such a header itself gains nothing.
 *
 * @since 0.1.0
 */
import type * as Headers from "effect/http/Headers"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/**
 * Decides whether an address is that of a proxy of ours.
 *
 * @category models
 * @since 0.1.0
 */
export type Trusted = (address: string) => boolean

/** An address without its zone; an IPv4 address inside IPv6 counts as IPv4. */
const addressOf = (text: string): NetAddress.IpAddress | undefined => {
  const parsed = NetAddress.ipFromString(text.split("%", 1)[0]!)
  return Result.isSuccess(parsed) ? NetAddress.toCanonical(parsed.success) : undefined
}

const networkOf = (entry: string): IpNetwork.IpNetwork | undefined => {
  const slash = entry.indexOf("/")
  const address = addressOf(slash < 0 ? entry : entry.slice(0, slash))
  if (address === undefined) return undefined
  const length = slash < 0 ? NetAddress.width(address) : Number(entry.slice(slash + 1))
  return Result.getOrUndefined(IpNetwork.fromAddress(address, length))
}

/**
 * Trusts addresses and networks: `"10.0.0.7"`, `"10.0.0.0/8"`, `"fd00::/8"`, or `"loopback"`. An entry that is none of
 * these trusts nobody.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromList = (entries: ReadonlyArray<string>): Trusted => {
  const networks: Array<IpNetwork.IpNetwork> = []
  for (const entry of entries) {
    for (const text of entry === "loopback" ? ["127.0.0.0/8", "::1"] : [entry]) {
      const network = networkOf(text)
      if (network !== undefined) networks.push(network)
    }
  }
  return (text) => {
    const address = addressOf(text)
    return address !== undefined && networks.some((network) => IpNetwork.contains(network, address))
  }
}

/**
 * Addresses that proxies noted, the nearest first, since only what the nearest have said can be believed; `undefined`
 * stands for one that they did not tell.
 */
function* noted(headers: Headers.Headers): Generator<string | undefined> {
  const forwarded = headers["forwarded"]
  const list = forwarded ?? headers["x-forwarded-for"]
  if (list === undefined) return
  let end = list.length
  while (end >= 0) {
    const comma = end === 0 ? -1 : list.lastIndexOf(",", end - 1)
    const element = list.slice(comma + 1, end)
    yield forwarded === undefined ? clean(element) : forOf(element)
    end = comma
  }
}

/** The `for` of an element of `Forwarded`. */
const forOf = (element: string): string | undefined => {
  for (const pair of element.split(";")) {
    const equals = pair.indexOf("=")
    if (pair.slice(0, equals).trim().toLowerCase() === "for") return clean(pair.slice(equals + 1))
  }
  return undefined
}

/** Without quotes, brackets and port; `undefined` if it is no address (`unknown`, `_hidden`). */
const clean = (value: string): string | undefined => {
  const text = value.trim().replace(/^"(.*)"$/, "$1")
  const bracket = /^\[([^\]]*)\](?::\d+)?$/.exec(text)
  const address = bracket !== null ? bracket[1]! : /^[^:]*:\d+$/.test(text) ? text.slice(0, text.indexOf(":")) : text
  return addressOf(address) === undefined ? undefined : address
}

/**
 * The address of the peer behind the trusted proxies. `undefined` if a trusted proxy does not tell it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remoteAddress = (
  peer: { readonly remoteAddress: string | undefined; readonly headers: Headers.Headers },
  trusted: Trusted
): string | undefined => {
  let address = peer.remoteAddress
  if (address === undefined || !trusted(address)) return address
  for (address of noted(peer.headers)) {
    if (address === undefined || !trusted(address)) return address
  }
  return address
}
