/**
 * WebSocket servers on Node, made on `ws`: alone, as a `SocketServer` ({@link layer}), and mounted on the routes of an
 * HTTP server ({@link layerHttp} with `WebSocketRoute`). Both gather what is written in one turn of the event loop into
 * one write, make a writer wait for a slow reader, and keep every limit below from the start.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Etag from "effect/http/Etag"
import * as Headers from "effect/http/Headers"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as SocketServer from "effect/socket/SocketServer"
import type { Buffer } from "node:buffer"
import * as Http from "node:http"
import * as Https from "node:https"
import type * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Carrier from "../socket/Carrier.ts"
import { plainAddress } from "../socket/internal/plainAddress.ts"
import { CurrentHost } from "../socket/internal/routeHost.ts"
import { CurrentTurn } from "../socket/internal/turn.ts"
import * as WebSocketRoute from "../socket/WebSocketRoute.ts"
import { tlsOptions } from "./internal/tls.ts"
import type { Turns } from "./internal/turns.ts"
import { Acceptor, wsOptions } from "./internal/wsAcceptor.ts"
import { hostOf, Upgrades } from "./internal/wsHost.ts"
import { countRefused, type Keeper, makeKeeper } from "./internal/wsKeeper.ts"
import type { Limits, TlsOptions } from "./internal/wsModel.ts"

export type { CompressionOptions, Limits, TlsOptions } from "./internal/wsModel.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options extends Limits, Omit<WebSocketRoute.Options, "maxFrameSize"> {
  /** Default: a free port. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`, which only programs on the same machine can reach. */
  readonly host?: string | undefined
  /** Only requests for this path are upgraded; others are answered 404. Default: every path. */
  readonly path?: string | undefined
  /** Serves `wss:`. */
  readonly tls?: TlsOptions | undefined
  /** Connections of any kind, also those without a handshake; further ones are closed at once. Default: `maxConnections` and 1,024. */
  readonly maxTcpConnections?: number | undefined
}

const serverError = (cause: unknown): SocketServer.SocketServerError =>
  new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })

const listen = (server: Net.Server, options: Net.ListenOptions) =>
  Effect.callback<NetAddress.SocketAddress, SocketServer.SocketServerError>((resume) => {
    server.once("error", (cause) => resume(Effect.fail(serverError(cause))))
    server.listen(options, () => {
      const address = server.address() as Net.AddressInfo
      resume(Effect.mapError(
        Effect.fromResult(NetAddress.inetAddressFromIpString(address.address, address.port)),
        serverError
      ))
    })
  })

const refuse = (socket: Duplex, status: number, headers: ReadonlyArray<string> = []): void => {
  socket.on("error", () => {})
  socket.once("finish", () => socket.destroy())
  socket.end(
    [`HTTP/1.1 ${status} ${Http.STATUS_CODES[status]}`, "Connection: close", "Content-Length: 0", ...headers, "", ""]
      .join("\r\n")
  )
}

/** Connections that have asked for nothing yet, or are not upgraded, hold memory too. */
const limitConnections = (
  server: Http.Server,
  options: { readonly maxConnections?: number | undefined; readonly maxTcpConnections?: number | undefined }
): void => {
  server.maxConnections = options.maxTcpConnections ?? (options.maxConnections ?? 1024) + 1024
}

/** RFC 9112, section 3.2: a request with more than one `Host` is answered 400. Node takes the first one. */
const hasTwoHosts = ({ rawHeaders }: Http.IncomingMessage): boolean => {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 4 && name.toLowerCase() === "host") hosts++
  }
  return hosts > 1
}

const badRequest = HttpServerResponse.empty({ status: 400 })

/**
 * Starts a WebSocket server. It listens at once; connections made before `run` wait for it. When the scope closes it stops
 * accepting, lets handlers drain (`ConnectionGroup.onShutdown`), closes every connection with 1001 and cuts what is
 * left after `closeTimeout`.
 *
 * Fails with `SocketServerError` when the port is taken or a PEM file cannot be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const keeper = yield* makeKeeper(options)
    const server = yield* Effect.try({
      try: (): Http.Server =>
        options.tls === undefined ? Http.createServer() : Https.createServer(tlsOptions(options.tls)),
      catch: serverError
    })
    limitConnections(server, options)
    keeper.watch(server)
    yield* Effect.addFinalizer(() => closeServer(server, keeper))
    const address = yield* listen(server, { port: options.port ?? 0, host: options.host ?? "127.0.0.1" })

    const listener = yield* Carrier.makeListener(address, options)
    const context = yield* Effect.context<never>()
    const count = (reason: "origin" | "connections" | "host") => Effect.runSyncWith(context)(countRefused(reason))
    const acceptor = new Acceptor(keeper, options)
    server.on("request", (_request, response) => {
      response.writeHead(426, { upgrade: "websocket", connection: "Upgrade" }).end("This is a WebSocket server.\n")
    })
    server.on("upgrade", (request: Http.IncomingMessage, socket: Net.Socket, head: Buffer) => {
      const { headers } = request
      const url = request.url ?? ""
      if (hasTwoHosts(request)) {
        count("host")
        return refuse(socket, 400)
      }
      if (options.path !== undefined && url.split("?", 1)[0] !== options.path) return refuse(socket, 404)
      if (!WebSocketRoute.mayUpgrade(headers, options.allowedOrigins)) {
        count("origin")
        return refuse(socket, 403)
      }
      if (listener.isFull()) {
        count("connections")
        return refuse(socket, 503, ["Retry-After: 5"])
      }
      const protocol = WebSocketRoute.selectProtocol(headers["sec-websocket-protocol"], options.protocols)
      acceptor.accept(request, socket, head, protocol, undefined, (connection) => {
        listener.accept({
          socket: connection,
          handshake: {
            carrier: "websocket",
            remoteAddress: plainAddress(socket.remoteAddress),
            headers: Headers.fromInput(headers as Headers.Input),
            url,
            protocol
          },
          isOpen: () => connection.error === undefined,
          release: (code) => connection.release(code)
        })
      })
    })

    return listener.server
  })

/** Stops listening; completes when no connection is left. */
const closeHttp = (server: Http.Server) =>
  Effect.callback<void>((resume) => {
    if (!server.listening) return resume(Effect.void)
    server.close(() => resume(Effect.void))
    server.closeIdleConnections()
  })

/** Stops listening, then waits for the closing handshakes, which `ws` itself cuts after `closeTimeout`. */
const closeServer = (server: Http.Server, keeper: Keeper) =>
  Effect.suspend(() => {
    keeper.dropUnshaken()
    for (const connection of keeper.connections) connection.release(1001)
    return closeHttp(server)
  })

/**
 * A WebSocket server as a `SocketServer`; see {@link make}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError> =>
  Layer.effect(SocketServer.SocketServer)(make(options))

/**
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions extends Omit<NodeHttpServer.Options, "websocket">, Limits {
  /** WebSockets of all routes together. Default 1,024; each route has its own limit as well. */
  readonly maxConnections?: number | undefined
  /** Connections of any kind; further ones are closed at once. Default: `maxConnections` and 1,024. */
  readonly maxTcpConnections?: number | undefined
}

const bodyOf = ({ headers }: Http.IncomingMessage): number =>
  headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : Infinity

/** A request is looked at when its turn comes; its body is not read before. */
const inTurn = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, turns: Turns) => {
  const served = Effect.provideService(app, CurrentTurn, turns.request)
  return Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
      const incoming = NodeHttpServerRequest.toIncomingMessage(request) as Http.IncomingMessage
      return Effect.andThen(
        turns.request(bodyOf(incoming)),
        hasTwoHosts(incoming) ? Effect.as(countRefused("host"), badRequest) : served
      )
    }
  )
}

/**
 * `NodeHttpServer.layer` whose mounted WebSockets (`WebSocketRoute`, and every protocol that mounts itself with it) are
 * the fast ones of this module, with its limits. It listens on `127.0.0.1` unless `host` says otherwise.
 *
 * When the server stops it accepts nothing more; the WebSockets drain and close while requests that are under way are
 * waited for, `gracefulShutdownTimeout` (20 seconds) at most.
 *
 * **Example**
 *
 * ```ts
 * HttpRouter.serve(Routes).pipe(
 *   Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 8080 })),
 *   Layer.launch,
 *   NodeRuntime.runMain
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = (
  evaluate: () => Http.Server,
  options: HttpOptions
): Layer.Layer<
  HttpServer.HttpServer | NodeServices.NodeServices | HttpPlatform.HttpPlatform | Etag.Generator,
  HttpServerError.ServeError
> =>
  Layer.mergeAll(
    Layer.effectContext(Effect.gen(function*() {
      const keeper = yield* makeKeeper(options)
      const server = evaluate()
      const upgrades = new Upgrades(server, new Acceptor(keeper, options))
      const host = hostOf(upgrades, options.maxConnections ?? 1024)
      limitConnections(server, options)
      keeper.watch(server)
      const http = yield* NodeHttpServer.make(() => server, {
        ...options,
        ...(options.path === undefined ? { host: options.host ?? "127.0.0.1" } : {}),
        websocket: wsOptions(options) as object
      })
      // Effect's own shutdown, which comes after it, waits for connections before it touches those that are upgraded.
      const stop = Effect.suspend(() => {
        keeper.dropUnshaken()
        const effects: Array<Effect.Effect<unknown>> = Array.from(host.groups, (group) => group.shutdown)
        if (options.disablePreemptiveShutdown !== true) {
          effects.push(Effect.timeoutOption(closeHttp(server), options.gracefulShutdownTimeout ?? "20 seconds"))
        }
        return Effect.all(effects, { concurrency: "unbounded", discard: true })
      })
      return Context.make(
        HttpServer.HttpServer,
        HttpServer.make({
          address: http.address,
          serve: (app, middleware) =>
            Effect.andThen(
              upgrades.around(http.serve(inTurn(app, keeper.turns), middleware as never)),
              Effect.addFinalizer(() => stop)
            )
        })
      ).pipe(Context.add(CurrentHost, host))
    })),
    NodeHttpServer.layerHttpServices
  )
