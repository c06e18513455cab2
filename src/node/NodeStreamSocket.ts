/**
 * TCP, Unix sockets and TLS on Node as carriers of messages: `NodeSocket` and `NodeSocketServer` of `@effect/platform-node`
 * with a framing, the handshake facts, the limits of this package, and a close that does not lose what was written
 * before it.
 *
 * @since 0.1.0
 */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as ConnectionGroup from "../socket/ConnectionGroup.ts"
import * as Framing from "../socket/Framing.ts"
import * as Handshake from "../socket/Handshake.ts"
import { named } from "../socket/internal/describe.ts"
import { plainAddress } from "../socket/internal/plainAddress.ts"
import { openError } from "../socket/internal/socketErrors.ts"
import { tlsOptions } from "./internal/tls.ts"
import { countRefused, makeKeeper, type Written } from "./internal/wsKeeper.ts"
import type { Limits, TlsOptions } from "./NodeWebSocketServer.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface ServerOptions
  extends ConnectionGroup.Options, Pick<Limits, "maxWaiting" | "slowReaderTimeout" | "closeTimeout">
{
  /** Default: a free port. */
  readonly port?: number | undefined
  /** Default `127.0.0.1`, which only programs on the same machine can reach. */
  readonly host?: string | undefined
  /** A Unix socket instead of a port. */
  readonly path?: string | undefined
  readonly tls?: TlsOptions | undefined
  /**
   * How messages are kept apart: `Framing.lines()`, `Framing.contentLength()`, or `Framing.none` where the protocol itself
   * reads a stream of bytes. There is no default: without one, messages that are written together arrive as one.
   */
  readonly framing: Framing.Framing
}

/**
 * @category models
 * @since 0.1.0
 */
export interface ClientOptions {
  readonly port?: number | undefined
  /** Default `127.0.0.1`. */
  readonly host?: string | undefined
  /** A Unix socket instead of a port. */
  readonly path?: string | undefined
  /** Dials TLS with these options; `{}` for the defaults. */
  readonly tls?: Tls.ConnectionOptions | undefined
  /** As the server's: {@link ServerOptions.framing}. */
  readonly framing: Framing.Framing
  /** For the connection and its TLS handshake. Default 10 seconds; then `SocketOpenError` of kind `Timeout`. */
  readonly openTimeout?: Duration.Input | undefined
}

/** Ends a connection after everything that was written. */
const closing = (socket: Socket.Socket, connection: () => Net.Socket | undefined): Socket.Socket =>
  Socket.make({
    reader: socket.reader,
    writer: Effect.map(socket.writer, (writer): Socket.Writer => ({
      write: (chunk) => {
        if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) {
          return Effect.sync(() => connection()?.destroySoon())
        }
        return writer.write(chunk)
      },
      writeAll: writer.writeAll
    }))
  })

/** Closes after everything that was written, or when the peer has not taken it in time. */
const closeSoon = (net: Net.Socket, millis: number): void => {
  if (net.destroyed) return
  net.destroySoon()
  const timer = setTimeout(() => net.destroy(), millis)
  net.once("close", () => clearTimeout(timer))
}

/** Seconds after which the operating system looks whether a silent peer is still there. */
const keepAlive = 25

/**
 * Starts a server on TCP, on a Unix socket (`path`) or with TLS (`tls`). Its handlers have `Handshake.CurrentHandshake`
 * with the carrier (`tcp`, `unix`, `tls`) and the address of the peer.
 *
 * **Details**
 *
 * Over {@link ServerOptions.maxConnections} (1,024) a connection is closed at once. A reader that takes nothing for 30
 * seconds with more than 1 MiB before it is cut: the handler's reader fails with `SocketReadError`. A peer that vanished is
 * found by TCP keep-alive. When a connection is over, the peer has `closeTimeout` (5 seconds) to take what was written.
 * `Socket.CloseEvent` ends the connection after what was written; its code cannot travel.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeServer = (
  options: ServerOptions
): Effect.Effect<SocketServer.SocketServer["Service"], SocketServer.SocketServerError, Scope.Scope> =>
  Effect.gen(function*() {
    const listen: Net.ListenOptions = options.path === undefined
      ? { port: options.port ?? 0, host: options.host ?? "127.0.0.1" }
      : { path: options.path }
    const keeper = yield* makeKeeper(options)
    const server = options.tls === undefined
      ? yield* NodeSocketServer.make({ ...listen, noDelay: true })
      : yield* NodeSocketServer.makeTls(
        {
          ...yield* Effect.try({
            try: () => tlsOptions(options.tls!),
            catch: (cause) =>
              new SocketServer.SocketServerError({ reason: new SocketServer.SocketServerOpenError({ cause }) })
          }),
          ...listen,
          noDelay: true
        } as Tls.TlsOptions & Net.ListenOptions
      )
    const carrier = options.path !== undefined ? "unix" : options.tls !== undefined ? "tls" : "tcp"
    const closeTimeout = Duration.toMillis(Duration.fromInputUnsafe(options.closeTimeout ?? "5 seconds"))

    const serveOne = <R, E, _>(
      group: ConnectionGroup.ConnectionGroup,
      handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
    ) =>
    (socket: Socket.Socket) =>
      Effect.contextWith((context: Context.Context<R>) => {
        const net = Context.getUnsafe(context as Context.Context<unknown>, NodeSocket.NetSocket)
        if (group.isFull()) {
          net.destroy()
          return countRefused("connections")
        }
        net.setKeepAlive(true, keepAlive * 1000)
        const handshake: Handshake.Handshake = {
          ...Handshake.empty,
          carrier,
          remoteAddress: plainAddress(net.remoteAddress)
        }
        const watched: Written = {
          net,
          backlog: undefined,
          lastTaken: 0,
          takenTick: keeper.tick,
          cut: () => net.destroy(new Error("slow reader"))
        }
        keeper.streams.add(watched)
        const ended = Deferred.makeUnsafe<void>()
        group.fork(
          handler(Framing.wrap(closing(socket, () => net), options.framing)),
          Context.add(context, Handshake.CurrentHandshake, handshake),
          () => {
            keeper.streams.delete(watched)
            closeSoon(net, closeTimeout)
            Deferred.doneUnsafe(ended, Effect.void)
          }
        )
        return Deferred.await(ended)
      })

    return SocketServer.SocketServer.of({
      address: server.address,
      run: <R, E, _>(handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>) =>
        Effect.scoped(Effect.flatMap(
          ConnectionGroup.make(options),
          (group) => Effect.onExit(server.run(serveOne(group, handler)), () => group.shutdown)
        )) as Effect.Effect<never, SocketServer.SocketServerError, R>
    })
  })

/**
 * {@link makeServer} as a `SocketServer`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServer = (
  options: ServerOptions
): Layer.Layer<SocketServer.SocketServer, SocketServer.SocketServerError> =>
  Layer.effect(SocketServer.SocketServer)(makeServer(options))

const connect = (options: ClientOptions): Effect.Effect<Net.Socket, Socket.SocketError, Scope.Scope> => {
  let open = false
  return Effect.acquireRelease(
    Effect.sync(() => {
      const target = options.path === undefined
        ? { port: options.port ?? 0, host: options.host ?? "127.0.0.1" }
        : { path: options.path }
      const net = options.tls === undefined ? Net.connect(target) : Tls.connect({ ...options.tls, ...target })
      net.setNoDelay()
      net.setKeepAlive(true, keepAlive * 1000)
      return net
    }),
    (net) => Effect.sync(() => open ? net.destroySoon() : net.destroy())
  ).pipe(
    Effect.tap((net) =>
      Effect.callback<void, Socket.SocketError>((resume) => {
        net.once(options.tls === undefined ? "connect" : "secureConnect", () => {
          open = true
          resume(Effect.void)
        })
        net.on("error", (cause) => resume(Effect.fail(openError(cause))))
      })
    ),
    Effect.timeoutOrElse({
      duration: options.openTimeout ?? "10 seconds",
      orElse: () => Effect.fail(openError(new Error("the connection was not made in time"), "Timeout"))
    })
  )
}

/**
 * Makes a client socket on TCP, on a Unix socket (`path`) or with TLS (`tls`); each acquisition of its reader dials.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: ClientOptions): Effect.Effect<Socket.Socket> =>
  Effect.suspend(() => {
    let current: Net.Socket | undefined
    const open = Effect.tap(connect(options), (net) =>
      Effect.sync(() => {
        current = net
      }))
    return Effect.map(
      NodeSocket.fromDuplex(open),
      (socket) =>
        named(
          Framing.wrap(closing(socket, () => current), options.framing),
          options.path !== undefined
            ? `unix:${options.path}`
            : `${options.tls === undefined ? "tcp" : "tls"}://${options.host ?? "127.0.0.1"}:${options.port ?? 0}`
        )
    )
  })

/**
 * {@link make} as the `Socket` service.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: ClientOptions): Layer.Layer<Socket.Socket> => Layer.effect(Socket.Socket)(make(options))
