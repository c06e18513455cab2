/**
 * WebSocket clients on Node, made on `ws`: a `Socket` that dials each time its reader is acquired ({@link make},
 * {@link layer}), and the `WebSocketConstructor` for Effect's own `Socket.makeWebSocket`.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { Buffer } from "node:buffer"
import type * as Http from "node:http"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import * as Ws from "ws"
import * as Address from "../socket/Address.ts"
import { named } from "../socket/internal/describe.ts"
import type { Frame } from "../socket/internal/inbox.ts"
import { exitCode, openError } from "../socket/internal/socketErrors.ts"
import { type SyncWriter, SyncWriterId } from "../socket/internal/syncWriter.ts"
import { deflateOptions } from "./internal/wsAcceptor.ts"
import { NoPipe, WireWebSocket, WsConnection } from "./internal/wsConnection.ts"
import { makeKeeper } from "./internal/wsKeeper.ts"
import type { CompressionOptions } from "./NodeWebSocketServer.ts"

/**
 * Names with values that may be secret.
 *
 * @category models
 * @since 0.2.0
 */
export type Secrets = Readonly<Record<string, string | Redacted.Redacted<string>>>

/**
 * User and password.
 *
 * @category models
 * @since 0.2.0
 */
export interface BasicAuth {
  readonly username: string
  readonly password: Redacted.Redacted<string>
}

/**
 * A value, or an effect that makes it anew for each dial; its failure is that of the dial (`SocketOpenError`).
 *
 * @category models
 * @since 0.2.0
 */
export type ForEachDial<A> = A | Effect.Effect<A, unknown>

/**
 * How a client dials. What is secret is `Redacted` and is never logged nor part of an error.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Subprotocols to offer. The server must select one of them. */
  readonly protocols?: string | ReadonlyArray<string> | undefined
  /** Headers of the handshake, or an effect that makes them for each dial, e.g. a token that expires. */
  readonly headers?: ForEachDial<Secrets> | undefined
  /** Sent as one `Cookie` header; values are sent as they are. */
  readonly cookies?: ForEachDial<Secrets> | undefined
  /** Sent as Basic authentication; overrides user and password of the address. */
  readonly basicAuth?: ForEachDial<BasicAuth> | undefined
  /** The `Origin` header; absent by default. */
  readonly origin?: string | undefined
  /** Certificates and checks of a `wss:` connection, as `node:tls` takes them. */
  readonly tls?: Tls.ConnectionOptions | undefined
  /** An agent of `node:http` or `node:https`, e.g. for a proxy. */
  readonly agent?: Http.Agent | undefined
  /** Bytes of one message from the server; a larger one closes the connection with 1009. Default 16 MiB. */
  readonly maxFrameSize?: number | undefined
  /** Offer `permessage-deflate`. Default off. */
  readonly compression?: boolean | CompressionOptions | undefined
  /** Redirects (3xx) to follow. Default 0. */
  readonly maxRedirects?: number | undefined
  /** For the whole handshake, DNS and TLS included. Default 10 seconds; then `SocketOpenError` of kind `Timeout`. */
  readonly openTimeout?: Duration.Input | undefined
  /** Silence after which the server is pinged. Default 25 seconds. */
  readonly pingAfter?: Duration.Input | undefined
  /** Further silence after which the connection is given up (1006). Default 20 seconds. */
  readonly pongTimeout?: Duration.Input | undefined
  /** How long the server has to answer a close frame. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
}

const reveal = (value: string | Redacted.Redacted<string>): string =>
  Redacted.isRedacted(value) ? Redacted.value(value) : value

/** The options of one dial. */
interface Made extends Omit<Options, "headers" | "cookies" | "basicAuth"> {
  readonly headers?: Secrets | undefined
  readonly cookies?: Secrets | undefined
  readonly basicAuth?: BasicAuth | undefined
}

const made = <A>(value: ForEachDial<A> | undefined): Effect.Effect<A | undefined, Socket.SocketError> =>
  Effect.isEffect(value)
    ? Effect.catchCause(value, (cause) => Effect.fail(openError(Cause.squash(cause))))
    : Effect.succeed(value)

const forThisDial = (options: Options): Effect.Effect<Made, Socket.SocketError> =>
  Effect.map(
    Effect.all([made(options.headers), made(options.cookies), made(options.basicAuth)]),
    ([headers, cookies, basicAuth]) => ({ ...options, headers, cookies, basicAuth })
  )

const clientOptions = (
  options: Made,
  credentials: Address.Address["credentials"]
): Ws.ClientOptions & { readonly closeTimeout: number } => {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = reveal(value)
  const cookies = Object.entries(options.cookies ?? {})
  if (cookies.length > 0) headers["Cookie"] = cookies.map(([name, value]) => `${name}=${reveal(value)}`).join("; ")
  const basic = options.basicAuth ?? credentials
  if (basic !== undefined) {
    headers["Authorization"] = `Basic ${
      Buffer.from(`${basic.username}:${Redacted.value(basic.password)}`).toString("base64")
    }`
  }
  return {
    ...options.tls as object,
    ...(options.agent === undefined ? {} : { agent: options.agent }),
    ...(options.origin === undefined ? {} : { origin: options.origin }),
    headers,
    maxPayload: options.maxFrameSize ?? 16 * 1024 * 1024,
    autoPong: false,
    perMessageDeflate: deflateOptions(options.compression),
    followRedirects: (options.maxRedirects ?? 0) > 0,
    maxRedirects: options.maxRedirects ?? 0,
    closeTimeout: Duration.toMillis(Duration.fromInputUnsafe(options.closeTimeout ?? "5 seconds"))
  }
}

const dial = (url: string, protocols: Array<string>, options: Ws.ClientOptions, limits: Options) =>
  Effect.gen(function*() {
    const keeper = yield* makeKeeper(limits)
    const ws = yield* Effect.acquireRelease(
      Effect.try({
        try: () => new WireWebSocket(url, protocols, options),
        catch: openError
      }),
      (ws, exit) =>
        Effect.sync(() => {
          if (ws.connection !== undefined) return ws.connection.release(exitCode(exit))
          ws.removeAllListeners()
          ws.on("error", () => {})
          ws.terminate()
        })
    )
    return yield* Effect.callback<WsConnection, Socket.SocketError>((resume) => {
      let net: Net.Socket | undefined
      ws.once("upgrade", (response) => {
        net = response.socket ?? undefined
      })
      ws.once("open", () => resume(Effect.succeed(new WsConnection(ws, net ?? new NoPipe(ws), false, keeper))))
      ws.once("error", (cause) => resume(Effect.fail(openError(cause))))
      ws.once("close", () => resume(Effect.fail(openError(new Error("closed during the handshake")))))
    }).pipe(Effect.timeoutOrElse({
      duration: limits.openTimeout ?? "10 seconds",
      orElse: () => Effect.fail(openError(new Error("no answer to the handshake in time"), "Timeout"))
    }))
  })

/**
 * Makes a client socket: each acquisition of its reader dials `address` ({@link Address.parse}), the scope of the
 * acquisition owns the connection, and writes made while there is none wait for the next.
 *
 * **Details**
 *
 * The reader fails with `SocketOpenError` (with its cause: the refused handshake, the DNS or TLS error, a timeout) when the
 * connection cannot be made, and with `SocketCloseError` when it ends. `Address.AddressError` when the address is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (address: string, options: Options = {}): Effect.Effect<Socket.Socket, Address.AddressError> =>
  Effect.gen(function*() {
    const { credentials, url } = yield* Effect.fromResult(Address.parse(address))
    const protocols = typeof options.protocols === "string" ? [options.protocols] : [...options.protocols ?? []]
    let current: WsConnection | undefined
    const latch = Latch.makeUnsafe(false)
    const reader: Socket.Socket["reader"] = Effect.gen(function*() {
      const scope = yield* Effect.scope
      const connection = yield* dial(url, protocols, clientOptions(yield* forThisDial(options), credentials), options)
      yield* Scope.addFinalizer(
        scope,
        Effect.sync(() => {
          if (current !== connection) return
          current = undefined
          latch.closeUnsafe()
        })
      )
      current = connection
      latch.openUnsafe()
      return { pull: connection.pull, upgrade: Socket.SocketUpgradeError.unsupported }
    })
    const write = (chunk: Frame | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? latch.whenOpen(write(chunk)) : current.write(chunk))
    const writeAll = (chunks: NonEmptyReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? latch.whenOpen(writeAll(chunks)) : current.writeAll(chunks))
    const writer: SyncWriter = { write, writeAll, [SyncWriterId]: () => current }
    return named(Socket.make({ reader, writer: Effect.succeed(writer) }), url.split("?", 1)[0]!)
  })

/**
 * A client socket as the `Socket` service; see {@link make}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (address: string, options?: Options): Layer.Layer<Socket.Socket, Address.AddressError> =>
  Layer.effect(Socket.Socket)(make(address, options))

const dialServer = (
  server: NetAddress.SocketAddress,
  path: string,
  options: Options
): Effect.Effect<Socket.Socket, Address.AddressError> => {
  if (NetAddress.isUnixPathAddress(server)) {
    return Effect.fail(
      new Address.AddressError({ message: "the server listens on a path, which no WebSocket can dial" })
    )
  }
  const ip = NetAddress.isUnspecified(server.address)
    ? (NetAddress.isIpv4Address(server.address) ? NetAddress.ipv4Loopback : NetAddress.ipv6Loopback)
    : server.address
  const host = `${NetAddress.formatUrlHost(ip)}:${server.port}`
  return make(`${options.tls === undefined ? "ws" : "wss"}://${host}${path}`, options)
}

/**
 * {@link layer} that dials the program's own `SocketServer`, for examples, tests and workers of one process: at its
 * address, on the loopback interface where it listens on all; by TLS where `options.tls` is given. `path` is `/` by default.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerFromServer = (
  options: Options & { readonly path?: string | undefined } = {}
): Layer.Layer<Socket.Socket, Address.AddressError, SocketServer.SocketServer> =>
  Layer.effect(Socket.Socket)(
    Effect.flatMap(SocketServer.SocketServer, ({ address }) => dialServer(address, options.path ?? "/", options))
  )

/**
 * {@link layerFromServer} for a route of the program's own `HttpServer`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerFromHttpServer = (
  path: string,
  options: Options = {}
): Layer.Layer<Socket.Socket, Address.AddressError, HttpServer.HttpServer> =>
  Layer.effect(Socket.Socket)(
    Effect.flatMap(HttpServer.HttpServer, ({ address }) => dialServer(address, path, options))
  )

/**
 * {@link Options} without effects: a constructor cannot wait for them.
 *
 * @category models
 * @since 0.2.0
 */
export interface ConstructorOptions extends Made {}

/**
 * The constructor of Effect's `Socket.makeWebSocket`, on `ws`, with the options of this module. Headers and protocols of
 * the single call are added.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocketConstructor = (options: ConstructorOptions = {}): Layer.Layer<Socket.WebSocketConstructor> =>
  Layer.succeed(Socket.WebSocketConstructor)((url, given) => {
    const call = given === undefined || typeof given === "string" || Array.isArray(given) ? { protocols: given } : given
    const base = clientOptions(options, undefined)
    const protocols = call.protocols ?? options.protocols ?? []
    return new Ws.WebSocket(url, typeof protocols === "string" ? [protocols] : [...protocols], {
      ...base,
      headers: { ...base.headers, ...("headers" in call ? call.headers : {}) }
    }) as unknown as Socket.WebSocketLike
  })
