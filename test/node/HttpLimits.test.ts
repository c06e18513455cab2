import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import type * as Net from "node:net"
import {
  closedCount,
  eventually,
  ownMetrics,
  portOf,
  raw,
  rawUpgraded,
  refusedCount,
  seconds,
  serve
} from "./webSocketHelpers.ts"

/** Node closes connections that are kept alive after 5 s by its own clock, which is not the test's. */
const lasting = () => {
  const server = createServer()
  server.keepAliveTimeout = 120_000
  return server
}

/** A server whose route `/` answers a POST with the length of its body. */
const http = (options?: Partial<NodeWebSocketServer.HttpOptions>) =>
  Effect.gen(function*() {
    const Route = HttpRouter.add(
      "*",
      "/",
      HttpServerRequest.HttpServerRequest.use((request) =>
        Effect.map(request.text, (text) => HttpServerResponse.text(String(text.length)))
      )
    )
    const context = yield* Layer.build(
      HttpRouter.serve(Route, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeWebSocketServer.layerHttp(lasting, { port: 0, ...options }))
      )
    )
    const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
    return portOf(address)
  })

const head = (port: number, more = "") => `POST / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${more}`

/** Sends something every second for as long as the connection is open. */
const drip = (socket: Net.Socket, bytes: string | Buffer, count: number) =>
  Effect.gen(function*() {
    for (let i = 0; i < count && !socket.destroyed; i++) {
      socket.write(bytes)
      yield* seconds(1)
    }
  })

const received = (socket: Net.Socket) => {
  const answer = { text: "" }
  socket.on("data", (data) => {
    answer.text += data.toString("latin1")
  })
  return answer
}

const test = (name: string, effect: Effect.Effect<void, unknown, any>) =>
  it.effect(name, () => ownMetrics(Effect.scoped(effect as Effect.Effect<void>)))

test(
  "the headers of a second request are cut like those of a first",
  Effect.gen(function*() {
    const port = yield* http()
    const socket = yield* raw(port)
    const answer = received(socket)
    socket.write(head(port, "Content-Length: 0\r\n\r\n"))
    yield* eventually(() => answer.text.endsWith("\r\n\r\n0"))
    socket.write(head(port))
    yield* drip(socket, "X-a: b\r\n", 20)
    yield* eventually(() => socket.destroyed)
    assert.match(answer.text, /HTTP\/1\.1 200 .*HTTP\/1\.1 408 /s)
    assert.strictEqual(yield* closedCount("slow_sender"), 1)
  })
)

test(
  "a body that trickles in is answered 408; one that is slow but goes on is taken",
  Effect.gen(function*() {
    const port = yield* http()
    const slow = yield* raw(port)
    const refused = received(slow)
    slow.write(head(port, "Content-Length: 100000\r\n\r\n"))
    yield* drip(slow, "x", 20)
    yield* eventually(() => slow.destroyed)
    assert.include(refused.text, "HTTP/1.1 408 ")

    const steady = yield* raw(port)
    const taken = received(steady)
    steady.write(head(port, `Content-Length: ${20 * 20_000}\r\n\r\n`))
    yield* drip(steady, "x".repeat(20_000), 20)
    yield* eventually(() => taken.text.endsWith("400000"))
    assert.strictEqual(yield* closedCount("slow_sender"), 1)
  })
)

for (const mode of ["alone", "on a route"] as const) {
  test(
    `a WebSocket message that trickles in is closed with 1008; silence between messages is none of that (${mode})`,
    Effect.gen(function*() {
      const { ends, port } = yield* serve(mode, { pingAfter: "1 hour" })
      const quiet = yield* rawUpgraded(port)
      const slow = yield* rawUpgraded(port)
      slow.write(Buffer.from([0x81, 0xfe, 0, 200, 1, 2, 3, 4]))
      yield* drip(slow, "!", 20)
      const closed = yield* eventually(() => slow.destroyed || slow.readableEnded).pipe(Effect.as(true))
      assert.isTrue(closed)
      assert.isFalse(quiet.destroyed)
      assert.strictEqual(yield* closedCount("slow_sender"), 1)
      void ends
    })
  )

  test(
    `a request with two hosts is answered 400 (${mode})`,
    Effect.gen(function*() {
      const { port } = yield* serve(mode)
      const socket = yield* raw(port)
      const answer = received(socket)
      socket.write(
        "GET / HTTP/1.1\r\nHost: a.example\r\nhost: b.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      )
      yield* eventually(() => answer.text !== "")
      assert.match(answer.text, /^HTTP\/1\.1 400 /)
      assert.strictEqual(yield* refusedCount("host"), 1)
    })
  )

  test(
    `connections that ask for nothing count: beyond the limit they are closed at once (${mode})`,
    Effect.gen(function*() {
      const { port } = yield* serve(mode, { maxTcpConnections: 3 })
      const sockets = yield* Effect.forEach([1, 2, 3, 4, 5], () => raw(port))
      yield* eventually(() => sockets.filter((socket) => socket.destroyed).length === 2)
      assert.strictEqual(yield* refusedCount("connections"), 2)
    })
  )
}
