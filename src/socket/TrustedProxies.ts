/**
 * Who the peer is when proxies stand in between: the address that the last proxy which is not ours saw, from `Forwarded`
 * (RFC 7239) or `X-Forwarded-For`. Only proxies that are trusted are believed, from the nearest on, so a client that sends
 * such a header itself gains nothing.
 *
 * @since 0.1.0
 */
import type * as Headers from "effect/http/Headers"

/**
 * Decides whether an address is that of a proxy of ours.
 *
 * @category models
 * @since 0.1.0
 */
export type Trusted = (address: string) => boolean

/** The bytes of an address: 4 or 16; an IPv4 address inside IPv6 counts as IPv4. */
const bytesOf = (address: string): ReadonlyArray<number> | undefined => {
  const text = address.split("%")[0]!
  if (!text.includes(":")) {
    const parts = text.split(".")
    if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return undefined
    return parts.map(Number)
  }
  const tail = text.slice(text.lastIndexOf(":") + 1)
  if (tail.includes(".")) {
    const last = bytesOf(tail)
    if (last === undefined) return undefined
    const [a, b, c, d] = last as [number, number, number, number]
    return bytesOf(
      text.slice(0, text.length - tail.length) + ((a << 8) | b).toString(16) + ":" + ((c << 8) | d).toString(16)
    )
  }
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const groups = (half: string) => half === "" ? [] : half.split(":")
  const head = groups(halves[0]!)
  const end = halves.length === 2 ? groups(halves[1]!) : []
  const missing = 8 - head.length - end.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  const all = [...head, ...Array.from({ length: missing }, () => "0"), ...end]
  if (!all.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined
  const bytes = all.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 255])
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
  return mapped ? bytes.slice(12) : bytes
}

/**
 * Trusts addresses and networks: `"10.0.0.7"`, `"10.0.0.0/8"`, `"fd00::/8"`, or `"loopback"`. An entry that is none of
 * these trusts nobody.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromList = (entries: ReadonlyArray<string>): Trusted => {
  const networks = entries.flatMap((entry) => entry === "loopback" ? ["127.0.0.0/8", "::1"] : [entry]).flatMap(
    (entry) => {
      const slash = entry.indexOf("/")
      const bytes = bytesOf(slash < 0 ? entry : entry.slice(0, slash))
      if (bytes === undefined) return []
      const bits = slash < 0 ? bytes.length * 8 : Number(entry.slice(slash + 1))
      return Number.isInteger(bits) && bits >= 0 && bits <= bytes.length * 8 ? [{ bytes, bits }] : []
    }
  )
  return (address) => {
    const bytes = bytesOf(address)
    return bytes !== undefined &&
      networks.some((network) =>
        network.bytes.length === bytes.length && bytes.every((byte, i) => {
          const shift = 8 - Math.min(Math.max(network.bits - i * 8, 0), 8)
          return byte >> shift === network.bytes[i]! >> shift
        })
      )
  }
}

/** Addresses that proxies noted, the farthest first; `undefined` stands for one that they did not tell. */
const noted = (headers: Headers.Headers): ReadonlyArray<string | undefined> => {
  const forwarded = headers["forwarded"]
  if (forwarded !== undefined) {
    return forwarded.slice(0, 8_192).split(",").map((element) => {
      for (const pair of element.split(";")) {
        const equals = pair.indexOf("=")
        if (pair.slice(0, equals).trim().toLowerCase() === "for") return clean(pair.slice(equals + 1))
      }
      return undefined
    })
  }
  const list = headers["x-forwarded-for"]
  return list === undefined ? [] : list.slice(0, 8_192).split(",").map(clean)
}

/** Without quotes, brackets and port; `undefined` if it is no address (`unknown`, `_hidden`). */
const clean = (value: string): string | undefined => {
  const text = value.trim().replace(/^"(.*)"$/, "$1")
  const bracket = /^\[([^\]]*)\](?::\d+)?$/.exec(text)
  const address = bracket !== null ? bracket[1]! : /^[^:]*:\d+$/.test(text) ? text.slice(0, text.indexOf(":")) : text
  return bytesOf(address) === undefined ? undefined : address
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
  const notes = noted(peer.headers)
  for (let i = notes.length - 1; i >= 0; i--) {
    address = notes[i]
    if (address === undefined || !trusted(address)) return address
  }
  return address
}
