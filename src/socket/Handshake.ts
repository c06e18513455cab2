/**
 * What a carrier knows about the peer of one connection: its address, the headers of its handshake, the path and the
 * subprotocol. Servers provide it to the fiber that handles the connection; where nobody does (a client, a bare pair of
 * sockets) it is empty.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Headers from "effect/http/Headers"

/**
 * The facts of one handshake. `headers` are those of the HTTP upgrade request, lower-cased, and empty for carriers that
 * have none (TCP, Unix sockets, memory). They may hold credentials: never log them whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handshake {
  /** What carries the connection, for logs and for people: `"websocket"`, `"tcp"`, `"unix"`, `"tls"`, `"memory"`. */
  readonly carrier: string
  /** Address of the peer as text, without port; `undefined` where the carrier has none. */
  readonly remoteAddress: string | undefined
  /** Headers of the upgrade request, lower-case names. */
  readonly headers: Headers.Headers
  /** Path and query of the upgrade request, e.g. `/rpc?x=1`; empty where there is none. */
  readonly url: string
  /** The subprotocol that was selected, if any. */
  readonly protocol: string | undefined
}

/**
 * An empty handshake, for carriers that have none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty: Handshake = {
  carrier: "unknown",
  remoteAddress: undefined,
  headers: Headers.empty,
  url: "",
  protocol: undefined
}

/**
 * The handshake of the connection that the current fiber handles; {@link empty} by default.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentHandshake: Context.Reference<Handshake> = Context.Reference<Handshake>(
  "effect-wire/socket/Handshake/CurrentHandshake",
  { defaultValue: () => empty }
)
