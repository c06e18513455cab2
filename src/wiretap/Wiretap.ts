/**
 * Records what goes over sockets, both directions, without being noticed by either end: put around a client's socket
 * ({@link Wiretap.socket}), a server ({@link Wiretap.server}), the WebSockets on the routes of an HTTP server
 * ({@link layerRoutes}), or between the two ends of somebody else ({@link proxy}). Secrets are hidden before anything is
 * kept (`Redaction`), times are the `Clock`'s, so a recording under `TestClock` or in a simulation has virtual ones.
 *
 * **Details**
 *
 * While a frame passes it is only noted, in memory; a fiber redacts, formats and writes later, in slices. While nobody
 * records and nobody watches (`events` of {@link Wiretap}) a frame costs a look at one flag. Where the carrier is a stream of
 * bytes, tap the socket above its framing (`Framing.wrap`): a frame of a recording is one message.
 *
 * **Example** (A server that keeps what was said)
 *
 * ```ts
 * const Recorded = Layer.effect(SocketServer.SocketServer)(
 *   Effect.gen(function*() {
 *     const tap = yield* Wiretap.Wiretap
 *     return tap.server(yield* SocketServer.SocketServer)
 *   })
 * ).pipe(Layer.provide([Wiretap.layerFile("traffic.ndjson"), NodeWebSocketServer.layer({ port: 8080 })]))
 * ```
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Stream from "effect/Stream"
import * as Handshake from "../socket/Handshake.ts"
import { CurrentHost } from "../socket/internal/routeHost.ts"
import * as WebSocketRoute from "../socket/WebSocketRoute.ts"
import { codeOf } from "./internal/posts.ts"
import { Recorder } from "./internal/recorder.ts"
import { tapSocket } from "./internal/tapSocket.ts"
import * as Recording from "./Recording.ts"
import * as Redaction from "./Redaction.ts"

/**
 * A tap, and what it has seen.
 *
 * @category services
 * @since 0.2.0
 */
export class Wiretap extends Context.Service<Wiretap, {
  /**
   * The same socket, recorded: each acquisition of its reader is a connection. `side` is whose end this is; default
   * `"client"`. `handshake` is what the recording says of the connection; default what the fiber knows
   * (`Handshake.CurrentHandshake`), for a server, and nothing for a client.
   */
  readonly socket: (
    socket: Socket.Socket,
    options?: { readonly side?: Recording.Side | undefined; readonly handshake?: Handshake.Handshake | undefined }
  ) => Socket.Socket
  /** The same server, whose connections are recorded. */
  readonly server: (server: SocketServer.SocketServer["Service"]) => SocketServer.SocketServer["Service"]
  /**
   * Records a request over HTTP and its answer: a connection with one frame each way. What it gives is called with the status
   * and the answer, or with nothing where the client did not wait for it. The close code is 4000 and the status.
   */
  readonly exchange: (
    handshake: Handshake.Handshake,
    body: string
  ) => (status: number | undefined, answer: string | undefined) => void
  /**
   * What happens from now on, as it happens; to a subscriber that is slow the oldest of more than 4,096 events that wait
   * are lost. Nothing is kept for it while there is no subscriber.
   */
  readonly events: Stream.Stream<Recording.Event>
  /** When the recording began, ISO 8601. */
  readonly started: string
  /** Completes when everything seen until now is with the writer. */
  readonly flush: Effect.Effect<void>
  /** Frames that were not recorded since the writer was too slow. */
  readonly lost: Effect.Effect<number>
}>()("effect-wire/wiretap/Wiretap") {}

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** What is hidden beyond `Redaction.defaults`; `"none"` hides nothing. */
  readonly redact?: Redaction.Rules | "none" | undefined
  /**
   * Characters and bytes that may wait for the writer. Default 16 MiB. Frames beyond it are not recorded; an event `lost`
   * says how many.
   */
  readonly maxWaiting?: number | undefined
  /** How long what was seen may wait before it is written. Default 10 ms. */
  readonly every?: Duration.Input | undefined
}

/**
 * Makes a tap. `write` gets lines of the recording, several at a time, in order; what it fails with ends the recording,
 * is logged once, and touches nobody else. Without it there are only the live `events` of {@link Wiretap}. When the scope
 * closes what waits is written.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <E = never, R = never>(
  options?: Options & { readonly write?: ((lines: string) => Effect.Effect<void, E, R>) | undefined }
): Effect.Effect<Wiretap["Service"], never, Scope.Scope | R> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const context = yield* Effect.context<R>()
    const live = yield* PubSub.sliding<Recording.Event>(4096)
    const latch = Latch.makeUnsafe(false)
    const recorder = new Recorder(
      clock,
      Redaction.make(options?.redact),
      options?.maxWaiting ?? 16 * 1024 * 1024,
      () => latch.openUnsafe()
    )
    let write = options?.write
    let watchers = 0
    const refresh = () => {
      recorder.active = write !== undefined || watchers > 0
    }
    refresh()

    const failed = (cause: unknown) =>
      Effect.suspend(() => {
        write = undefined
        refresh()
        return Effect.logError("the recording has ended: it could not be written", cause)
      })
    const drain: Effect.Effect<void> = Effect.gen(function*() {
      const entries = recorder.take()
      for (let at = 0; at < entries.length; at += slice) {
        const events = recorder.events(entries.slice(at, at + slice))
        if (watchers > 0) yield* PubSub.publishAll(live, events)
        if (write !== undefined) {
          yield* Effect.catchCause(
            Effect.provideContext(write(events.map(Recording.formatEvent).join("")), context),
            failed
          )
        }
        yield* Effect.yieldNow
      }
    })
    if (write !== undefined) {
      const header = Effect.provideContext(write(Recording.formatHeader(recorder.startedAt)), context)
      yield* Effect.catchCause(header, failed)
    }
    const lock = Semaphore.makeUnsafe(1).withPermits(1)
    // what was taken is written, also where the one who asked goes away
    const flush = lock(Effect.uninterruptible(drain))
    yield* Effect.addFinalizer(() => flush)
    yield* Effect.gen(function*() {
      yield* latch.await
      yield* Effect.sleep(options?.every ?? "10 millis")
      latch.closeUnsafe()
      yield* flush
    }).pipe(Effect.forever, Effect.forkScoped)

    const socket: Wiretap["Service"]["socket"] = (socket, options) =>
      tapSocket(recorder, socket, options?.side ?? "client", options?.handshake ?? Handshake.empty)
    const exchange: Wiretap["Service"]["exchange"] = (handshake, body) => {
      if (!recorder.active) return () => {}
      const connection = recorder.nextConnection()
      recorder.opened(connection, handshake)
      recorder.frames(connection, "client", [body])
      return (status, answer) => {
        if (!recorder.active) return
        if (answer !== undefined) recorder.frames(connection, "server", [answer])
        if (status === undefined) recorder.closed(connection, "client", 1006, "")
        else recorder.closed(connection, "server", codeOf(status), "")
      }
    }
    return Wiretap.of({
      socket,
      exchange,
      server: (server) => ({
        address: server.address,
        run: (handler) =>
          server.run((connection) =>
            Effect.flatMap(
              Handshake.CurrentHandshake,
              (handshake) => handler(socket(connection, { side: "server", handshake }))
            )
          )
      }),
      events: Stream.unwrap(Effect.gen(function*() {
        const subscription = yield* PubSub.subscribe(live)
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            watchers++
            refresh()
          }),
          () =>
            Effect.sync(() => {
              watchers--
              refresh()
            })
        )
        return Stream.fromSubscription(subscription)
      })),
      started: recorder.startedAt,
      flush,
      lost: Effect.sync(() => recorder.lost)
    })
  })

/** Events that are formatted before others get their turn. */
const slice = 1024

/**
 * A tap that is only watched live (`events` of {@link Wiretap}).
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options?: Options): Layer.Layer<Wiretap> => Layer.effect(Wiretap)(make(options))

/**
 * @category models
 * @since 0.2.0
 */
export interface FileOptions extends Options {
  /** Characters at which the recording ends, so that it never fills a disk. Default 1 GiB. */
  readonly maxSize?: number | undefined
}

/**
 * A tap that writes to a new file; one that exists is replaced.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerFile = (
  path: string,
  options?: FileOptions
): Layer.Layer<Wiretap, PlatformError.PlatformError, FileSystem.FileSystem> =>
  Layer.effect(Wiretap)(Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const file = yield* fileSystem.open(path, { flag: "w" })
    const encoder = new TextEncoder()
    const maxSize = options?.maxSize ?? 1024 * 1024 * 1024
    let size = 0
    return yield* make({
      ...options,
      write: (lines) => {
        size += lines.length
        return size > maxSize
          ? Effect.die(`it has ${maxSize} characters, the most that was allowed`)
          : file.writeAll(encoder.encode(lines))
      }
    })
  }))

/**
 * Records every WebSocket that is mounted on a route (`WebSocketRoute`), whatever protocol it speaks, and what JSON-RPC over
 * POST asks and answers there. Provide it to the routes, above the layer of the HTTP server.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerRoutes: Layer.Layer<never, never, Wiretap> = Layer.effect(CurrentHost)(
  Effect.gen(function*() {
    const host = yield* CurrentHost
    const tap = yield* Wiretap
    return {
      ...host,
      exchange: tap.exchange,
      upgrade: (request, protocol, frames) =>
        Effect.map(
          host.upgrade(request, protocol, frames),
          (socket) => tap.socket(socket, { side: "server", handshake: WebSocketRoute.handshakeOf(request, protocol) })
        )
    }
  })
)

/**
 * Stands between clients and a server that know nothing of it: each connection that arrives dials `upstream` and passes
 * everything on, as it came, close codes too, until either end is over. Recorded is the side of the clients.
 *
 * @category combinators
 * @since 0.2.0
 */
export const proxy = <E, R>(
  server: SocketServer.SocketServer["Service"],
  upstream: (handshake: Handshake.Handshake) => Effect.Effect<Socket.Socket, E, R>
): Effect.Effect<never, SocketServer.SocketServerError, Wiretap | R> =>
  Effect.gen(function*() {
    const tap = yield* Wiretap
    return yield* tap.server(server).run((near) =>
      Effect.scoped(Effect.gen(function*() {
        const from = yield* near.reader
        const toNear = yield* near.writer
        const gone = Effect.ignore(toNear.write(new Socket.CloseEvent(1014, "the server cannot be reached")))
        const far = yield* Effect.tapError(upstream(yield* Handshake.CurrentHandshake), () => gone)
        const back = yield* Effect.tapError(far.reader, () => gone)
        const toFar = yield* far.writer
        yield* Effect.raceFirst(pump(from, toFar), pump(back, toNear))
      }))
    )
  })

/** Passes everything on, and the end of the connection behind it. */
const pump = (from: Socket.Reader, to: Socket.Writer): Effect.Effect<void> =>
  Effect.forever(Effect.flatMap(from.pull, to.writeAll)).pipe(
    Effect.catch((error) => Effect.ignore(to.write(closeEventOf(error))))
  )

/** What a peer may say (RFC 6455, section 7.4.1: 1005, 1006 and 1015 are never sent). */
const closeEventOf = (error: Socket.SocketError): Socket.CloseEvent => {
  if (error.reason._tag !== "SocketCloseError") return new Socket.CloseEvent(1011)
  const { closeReason, code } = error.reason
  if (code === 1005) return new Socket.CloseEvent(1000)
  return code === 1006 || code === 1015 ? new Socket.CloseEvent(1011, "lost") : new Socket.CloseEvent(code, closeReason)
}
