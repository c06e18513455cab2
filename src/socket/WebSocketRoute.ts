/**
 * A WebSocket mounted on a route of an `HttpRouter`: the checks that come before the upgrade, the upgrade, and the fiber
 * that serves the connection. Protocols mount themselves with {@link make}; nothing here depends on the platform, which
 * brings a faster socket (`NodeWebSocketServer.layerHttp`).
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as ConnectionGroup from "./ConnectionGroup.ts"
import * as Handshake from "./Handshake.ts"
import { plainAddress } from "./internal/plainAddress.ts"
import { CurrentHost, type FrameLimit } from "./internal/routeHost.ts"
import * as SocketMetrics from "./SocketMetrics.ts"
import * as TrustedProxies from "./TrustedProxies.ts"

/**
 * Which browser origins may open a WebSocket: only the server's own (`"same"`, the default: the host of `Origin` equals
 * the `Host` of the request), also those of a list such as `["https://app.example.com"]`, or every one (`"any"`). A
 * request without `Origin` does not come from a browser and passes, and so does a WebSocket handshake without
 * `User-Agent`, which no page can leave out (the original Rockets client sends an `Origin` and none).
 *
 * **Gotchas**
 *
 * `"same"` believes the `Host` of the request. A server that only its own machine should reach must refuse foreign hosts as
 * well, since a page of the web may give its name the address 127.0.0.1 (DNS rebinding); `examples/gateway/hosts.ts` does.
 *
 * @category models
 * @since 0.1.0
 */
export type AllowedOrigins = "same" | "any" | ReadonlyArray<string>

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends ConnectionGroup.Options {
  readonly allowedOrigins?: AllowedOrigins | undefined
  /**
   * Subprotocols the server speaks, the one it likes best first. The first of them that the client offers is selected.
   * Default: the first that the client offers, whatever it is, because browsers refuse an answer without one. A client
   * that offers only others than these is served without a subprotocol.
   */
  readonly protocols?: ReadonlyArray<string> | undefined
  /**
   * Bytes of one message on this route; a larger one closes the connection with 1009 before it is read. Default: what the
   * server says (`NodeWebSocketServer.Limits`), else what peers of the protocol expect (4 MiB for Juggler and aiohttp),
   * else 1 MiB. The default host (`HttpServerRequest.upgrade`) has no limit of one route.
   */
  readonly maxFrameSize?: number | undefined
  /**
   * Proxies of ours, by address or network (`"loopback"`, `"10.0.0.0/8"`): what they say in `Forwarded` or
   * `X-Forwarded-For` is the address of the peer, for limits and logs. Default: nobody is believed.
   */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
}

/**
 * Whether a request with these `Origin` and `Host` headers may open a connection.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isAllowedOrigin = (
  origin: string | undefined,
  host: string | undefined,
  allowed: AllowedOrigins | undefined
): boolean => {
  if (origin === undefined || allowed === "any") return true
  const url = parseOrigin(origin)
  if (url === undefined) return false
  if (host !== undefined) {
    const own = parseOrigin(`${url.protocol}//${host}`)
    if (own !== undefined && own.host === url.host) return true
  }
  return Array.isArray(allowed) && allowed.some((other) => parseOrigin(other)?.origin === url.origin)
}

/**
 * Whether a request with these headers may become a WebSocket: {@link isAllowedOrigin}, or it comes from no browser.
 *
 * @category predicates
 * @since 0.2.0
 */
export const mayUpgrade = (
  headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined },
  allowed: AllowedOrigins | undefined
): boolean =>
  headers["user-agent"] === undefined ||
  isAllowedOrigin(headers.origin as string | undefined, headers.host as string | undefined, allowed)

const parseOrigin = (text: string): URL | undefined => URL.canParse(text) ? new URL(text) : undefined

/**
 * The subprotocol to select: the first of `spoken` that the client offered in `Sec-WebSocket-Protocol`; the client's first
 * where `spoken` is undefined.
 *
 * @category combinators
 * @since 0.1.0
 */
export const selectProtocol = (
  offered: string | undefined,
  spoken: ReadonlyArray<string> | undefined
): string | undefined => {
  if (offered === undefined) return undefined
  const names = offered.split(",").map((name) => name.trim())
  if (spoken === undefined) return names[0]
  return spoken.find((name) => names.includes(name))
}

const methodNotAllowed = HttpServerResponse.empty({ status: 405, headers: { allow: "GET" } })
const upgradeRequired = HttpServerResponse.text("This route is a WebSocket.\n", {
  status: 426,
  headers: { connection: "Upgrade", upgrade: "websocket" }
})
const forbidden = HttpServerResponse.text("This origin may not open a connection.\n", { status: 403 })
const unavailable = HttpServerResponse.text("Too many connections.\n", {
  status: 503,
  headers: { "retry-after": "5" }
})
const badRequest = HttpServerResponse.empty({ status: 400 })
const upgraded = HttpServerResponse.empty({ status: 204 })

/**
 * Makes the handler of a route that serves a WebSocket: each connection runs `handler` in a fiber of its own with
 * `Handshake.CurrentHandshake`, until it ends; the fiber belongs to the scope in which the route was made and does not
 * hold the request. A connection whose handler ends is closed.
 *
 * **Details**
 *
 * Before the upgrade it answers 405 to a method other than GET, 426 to a request that does not ask for a WebSocket, 403
 * to a foreign `Origin`, 503 when {@link Options.maxConnections} exist or the server shuts down. `defaultFrameSize` is what
 * peers of the protocol expect, in bytes.
 *
 * **Example** (An echo)
 *
 * ```ts
 * const Routes = HttpRouter.use((router) =>
 *   Effect.flatMap(
 *     WebSocketRoute.make((socket) =>
 *       Effect.scoped(Effect.gen(function*() {
 *         const { pull } = yield* socket.reader
 *         const writer = yield* socket.writer
 *         return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
 *       }))
 *     ),
 *     (handler) => router.add("GET", "/echo", handler)
 *   )
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(
  handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>,
  options?: Options,
  defaultFrameSize = 1024 * 1024
): Effect.Effect<
  Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    HttpServerError.HttpServerError,
    HttpServerRequest.HttpServerRequest
  >,
  never,
  R | Scope.Scope
> =>
  Effect.gen(function*() {
    const host = yield* CurrentHost
    const group = yield* ConnectionGroup.make(options)
    yield* Effect.acquireRelease(
      Effect.sync(() => host.groups.add(group)),
      () => Effect.sync(() => host.groups.delete(group))
    )
    const context = yield* Effect.context<R>()
    const trusted = TrustedProxies.fromList(options?.trustedProxies ?? [])
    const frames: FrameLimit = { max: options?.maxFrameSize, orElse: defaultFrameSize }
    const refusedOrigin = Metric.update(SocketMetrics.refusedFor("origin"), 1)
    const refusedConnections = Metric.update(SocketMetrics.refusedFor("connections"), 1)
    const total = () => {
      let sum = 0
      for (const other of host.groups) sum += other.size()
      return sum
    }

    const handle = Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      if (request.method !== "GET") return methodNotAllowed
      const headers: Headers.Headers = request.headers
      if (headers.upgrade?.toLowerCase() !== "websocket") return upgradeRequired
      if (!mayUpgrade(headers, options?.allowedOrigins)) {
        yield* refusedOrigin
        return forbidden
      }
      if (group.isFull() || total() >= host.maxConnections) {
        yield* refusedConnections
        return unavailable
      }
      const protocol = selectProtocol(headers["sec-websocket-protocol"], options?.protocols)
      const seen = handshakeOf(request, protocol)
      const handshake = { ...seen, remoteAddress: TrustedProxies.remoteAddress(seen, trusted) }
      const socket = yield* host.upgrade(request, protocol, frames)
      group.fork(
        handler(socket),
        Context.add(context, Handshake.CurrentHandshake, handshake),
        () => Effect.runFork(closed(socket))
      )
      return upgraded
    }).pipe(
      Effect.catchTag("SocketError", () => Effect.succeed(badRequest))
    )
    return handle
  })

/**
 * What a request to upgrade says about its connection.
 *
 * @category constructors
 * @since 0.2.0
 */
export const handshakeOf = (
  request: HttpServerRequest.HttpServerRequest,
  protocol: string | undefined
): Handshake.Handshake => ({
  carrier: "websocket",
  remoteAddress: plainAddress(Option.getOrUndefined(request.remoteAddress)),
  headers: request.headers,
  url: pathOf(request.originalUrl),
  protocol
})

/** Closes a connection whose handler never read it; on one that was read this does nothing. */
const closed = (socket: Socket.Socket): Effect.Effect<void> => Effect.ignore(Effect.scoped(socket.reader))

const pathOf = (url: string): string => {
  if (url.startsWith("/")) return url
  const parsed = parseOrigin(url)
  return parsed === undefined ? url : parsed.pathname + parsed.search
}

/**
 * A WebSocket on `path` of the router; other methods on it are answered 405.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(
  path: HttpRouter.PathInput,
  handler: (socket: Socket.Socket) => Effect.Effect<A, E, R>,
  options?: Options
): Layer.Layer<
  never,
  never,
  | HttpRouter.HttpRouter
  | Exclude<R, Scope.Scope>
  | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
> => HttpRouter.use((router) => Effect.flatMap(make(handler, options), (handle) => router.add("*", path, handle)))
