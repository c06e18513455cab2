/**
 * What the tests of WebSocket servers share: peers that misbehave on purpose, and waiting for real events while the clock
 * stands still.
 */
import { Deferred, Effect, Layer, Metric, Queue } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { SocketMetrics, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { Socket, SocketServer } from "effect/socket"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import * as Net from "node:net"
import { type ClientOptions, WebSocket } from "ws"

/** Waits, in real time, until something is true. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setInterval(() => {
      if (!condition()) return
      clearInterval(timer)
      resume(Effect.void)
    }, 1)
    return Effect.sync(() => clearInterval(timer))
  })

/** A few real turns of the event loop, so that bytes can travel. */
export const turns = (millis = 5): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })

/** Lets the test clock run second by second, with real time in between. */
export const seconds = (count: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: count }), () => Effect.andThen(TestClock.adjust("1 second"), turns()), {
    discard: true
  })

export interface Peer {
  readonly ws: WebSocket
  readonly messages: Array<string>
  closed: number | undefined
  refused: string | undefined
  pings: number
}

/** A client that is not ours. */
export const peer = (port: number, options?: ClientOptions & { readonly path?: string; readonly tls?: boolean }) =>
  Effect.acquireRelease(
    Effect.callback<Peer>((resume) => {
      const ws = new WebSocket(`${options?.tls === true ? "wss" : "ws"}://127.0.0.1:${port}${options?.path ?? "/"}`, {
        perMessageDeflate: false,
        // as every browser does
        headers: options?.origin === undefined ? {} : { "user-agent": "Mozilla/5.0" },
        ...options
      })
      const result: Peer = { ws, messages: [], closed: undefined, refused: undefined, pings: 0 }
      ws.on("message", (data) => result.messages.push(String(data)))
      ws.on("ping", () => result.pings++)
      ws.on("open", () => resume(Effect.succeed(result)))
      ws.on("close", (code) => {
        result.closed = code
        resume(Effect.succeed(result))
      })
      ws.on("error", (error) => {
        result.refused = error.message
      })
    }),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

/** A connection of bytes only. */
export const raw = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

/** A raw connection whose handshake is done. */
export const rawUpgraded = (port: number, path = "/") =>
  Effect.gen(function*() {
    const socket = yield* raw(port)
    let head = ""
    const onData = (data: Buffer) => {
      head += data.toString("latin1")
    }
    socket.on("data", onData)
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    yield* eventually(() => head.includes("\r\n\r\n"))
    socket.off("data", onData)
    return socket
  })

export interface Served {
  readonly port: number
  /** How each connection ended, in order. */
  readonly ends: Queue.Dequeue<Socket.SocketError>
  readonly open: () => number
}

/** Serves an echo and records how its connections end. */
const recording = (ends: Queue.Queue<Socket.SocketError>, count: { open: number }) => (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    count.open++
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
  })).pipe(
    Effect.catchTag("SocketError", (error) => Queue.offer(ends, error)),
    Effect.ensuring(Effect.sync(() => count.open--))
  )

export const portOf = (address: SocketServer.SocketServer["Service"]["address"]): number =>
  address._tag === "UnixPathAddress" ? 0 : address.port

export type Mode = "alone" | "on a route"

/** The two servers of the package, with one face. */
export const serve = (
  mode: Mode,
  options: NodeWebSocketServer.Options = {},
  handler?: (socket: Socket.Socket) => Effect.Effect<unknown, unknown>
) =>
  Effect.gen(function*() {
    const ends = yield* Queue.unbounded<Socket.SocketError>()
    const count = { open: 0 }
    const handle = handler ?? recording(ends, count)
    const port = yield* mode === "alone"
      ? Effect.gen(function*() {
        const server = yield* NodeWebSocketServer.make(options)
        yield* server.run(handle).pipe(Effect.forkScoped({ startImmediately: true }))
        return portOf(server.address)
      })
      : Effect.gen(function*() {
        const listening = yield* Deferred.make<number>()
        const Routes = Layer.mergeAll(
          WebSocketRoute.layer("/", handle, options),
          Layer.effectDiscard(
            Effect.flatMap(HttpServer.HttpServer, ({ address }) => Deferred.succeed(listening, portOf(address)))
          )
        )
        yield* Layer.build(
          HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
            Layer.provide(NodeWebSocketServer.layerHttp(createServer, { ...options, port: 0 } as never))
          )
        )
        return yield* Deferred.await(listening)
      })
    return { port, ends, open: () => count.open } satisfies Served
  })

/** Metrics of one test only. */
export const ownMetrics = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

export const closedCount = (reason: SocketMetrics.ClosedReason) =>
  Effect.map(Metric.value(SocketMetrics.closedFor(reason)), ({ count }) => count)

export const refusedCount = (reason: SocketMetrics.RefusedReason) =>
  Effect.map(Metric.value(SocketMetrics.refusedFor(reason)), ({ count }) => count)

export const codeOf = (error: Socket.SocketError): number | undefined =>
  error.reason._tag === "SocketCloseError" ? error.reason.code : undefined
