import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Logger, Queue, Scope } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { Budget, ConnectionGroup, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import {
  closedCount,
  codeOf,
  eventually,
  type Mode,
  ownMetrics,
  peer,
  portOf,
  raw,
  rawUpgraded,
  refusedCount,
  seconds,
  serve,
  turns
} from "./webSocketHelpers.ts"

const both = (
  title: string,
  body: (mode: Mode) => Effect.Effect<void, unknown, Scope.Scope>
): void => {
  for (const mode of ["alone", "on a route"] as const) {
    it.effect(`${title} (${mode})`, () => ownMetrics(Effect.scoped(body(mode))))
  }
}

both("a frame over the limit closes with 1009 at both ends, and is counted", (mode) =>
  Effect.gen(function*() {
    const { ends, port } = yield* serve(mode, { maxFrameSize: 1000 })
    const client = yield* peer(port)
    client.ws.send("x".repeat(1000))
    yield* eventually(() => client.messages.length === 1)
    client.ws.send("x".repeat(1001))
    assert.strictEqual(codeOf(yield* Queue.take(ends)), 1009)
    yield* eventually(() => client.closed !== undefined)
    assert.strictEqual(client.closed, 1009)
    assert.strictEqual(yield* closedCount("frame_size"), 1)
  }))

it.effect("a route says how large its messages may be, else the server, else the protocol", () =>
  ownMetrics(Effect.scoped(Effect.gen(function*() {
    const echo = (socket: Socket.Socket) =>
      Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const writer = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
      }))
    const start = (maxFrameSize?: number) =>
      Effect.gen(function*() {
        const route = (path: HttpRouter.PathInput, options: WebSocketRoute.Options, orElse?: number) =>
          HttpRouter.use((router) =>
            Effect.flatMap(WebSocketRoute.make(echo, options, orElse), (handle) => router.add("GET", path, handle))
          )
        const listening = yield* Deferred.make<number>()
        const Routes = Layer.mergeAll(
          route("/own", { maxFrameSize: 100 }),
          route("/default", {}),
          route("/protocol", {}, 5000),
          Layer.effectDiscard(
            Effect.flatMap(HttpServer.HttpServer, ({ address }) => Deferred.succeed(listening, portOf(address)))
          )
        )
        yield* Layer.build(
          HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
            Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 0, maxFrameSize }))
          )
        )
        return yield* Deferred.await(listening)
      })
    const fits = (port: number, path: string, size: number) =>
      Effect.scoped(Effect.gen(function*() {
        const client = yield* peer(port, { path })
        client.ws.send("x".repeat(size))
        yield* eventually(() => client.messages.length === 1 || client.closed !== undefined)
        return client.closed ?? "fits"
      }))
    const mega = 1024 * 1024
    const port = yield* start()
    // one after the other on one server, in any order
    for (const round of [1, 2]) {
      assert.deepStrictEqual([round, yield* fits(port, "/own", 100), yield* fits(port, "/own", 101)], [
        round,
        "fits",
        1009
      ])
      assert.deepStrictEqual([yield* fits(port, "/protocol", 5000), yield* fits(port, "/protocol", 5001)], [
        "fits",
        1009
      ])
    }
    assert.deepStrictEqual([yield* fits(port, "/default", mega), yield* fits(port, "/default", mega + 1)], [
      "fits",
      1009
    ])
    const other = yield* start(1000)
    assert.deepStrictEqual([yield* fits(other, "/protocol", 1000), yield* fits(other, "/protocol", 1001)], [
      "fits",
      1009
    ])
    assert.deepStrictEqual([yield* fits(other, "/own", 101)], [1009])
  }))))

both(
  "messages that have not arrived whole count against the budget, whatever pings come between",
  (mode) =>
    Effect.gen(function*() {
      const { open, port } = yield* serve(mode, { closeTimeout: "100 millis" })
      const half = yield* rawUpgraded(port)
      const other = yield* rawUpgraded(port)
      const head = (length: number) => {
        const frame = Buffer.alloc(14)
        frame.set([0x01, 0xff])
        frame.writeUInt32BE(length, 6)
        return frame
      }
      const ping = Buffer.from([0x89, 0x80, 0, 0, 0, 0])
      const quarter = Buffer.alloc(262_144)
      other.write(Buffer.concat([head(900_000), quarter]))
      half.write(Buffer.concat([head(262_144), quarter, ping]))
      const budget = yield* Budget.Budget
      yield* eventually(() => budget.taken() > 400_000)
      half.write(Buffer.concat([Buffer.from([0x00]), head(262_144).subarray(1), quarter, ping]))
      yield* eventually(() => half.closed)
      yield* eventually(() => open() === 1)
      assert.strictEqual(yield* closedCount("budget"), 1)
      // what it held is free again, and the other one goes on
      yield* eventually(() => budget.taken() < 400_000)
      other.destroy()
      yield* eventually(() => budget.taken() === 0)
    }).pipe(Effect.provide(Budget.layer(700_000)))
)

both(
  "pings cost a peer no connection: each is answered, and the newest where it takes nothing",
  (mode) =>
    Effect.gen(function*() {
      const { ends, port } = yield* serve(mode)
      const net = yield* rawUpgraded(port)
      let received = 0
      net.on("data", (bytes: Buffer) => {
        received += bytes.length
      })
      const ping = Buffer.from([0x89, 0x81, 1, 2, 3, 4, 0x79])
      net.write(Buffer.concat(Array.from({ length: 500 }, () => ping)))
      yield* eventually(() => received === 500 * 3)
      // a peer that reads nothing: what waits for it does not grow with its pings
      net.pause()
      const flood = Buffer.concat(Array.from({ length: 20_000 }, () => ping))
      for (let i = 0; i < 50; i++) net.write(flood)
      yield* eventually(() => net.writableLength === 0)
      net.resume()
      yield* eventually(() => received > 500 * 3)
      net.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
      assert.strictEqual(codeOf(yield* Queue.take(ends)), 1000)
    })
)

both(
  "too many fragments close with 1008, are counted, and said in the log once a second",
  (mode) =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      const { ends, port } = yield* serve(mode).pipe(Effect.provide(Logger.layer([logger])))
      const client = yield* rawUpgraded(port)
      const fragment = Buffer.from([0x00, 0x80, 0, 0, 0, 0])
      client.write(Buffer.concat([
        Buffer.from([0x01, 0x80, 0, 0, 0, 0]),
        ...Array.from({ length: 17_000 }, () => fragment)
      ]))
      assert.strictEqual(codeOf(yield* Queue.take(ends)), 1008)
      assert.strictEqual(yield* closedCount("fragments"), 1)
      yield* seconds(1)
      assert.lengthOf(lines.filter((line) => line.includes("1008")), 1)
    })
)

both("a message in fragments over the limit closes with 1009", (mode) =>
  Effect.gen(function*() {
    const { ends, port } = yield* serve(mode, { maxFrameSize: 1000 })
    const client = yield* peer(port)
    for (let i = 0; i < 3; i++) client.ws.send("x".repeat(400), { fin: false })
    assert.strictEqual(codeOf(yield* Queue.take(ends)), 1009)
  }))

both("text that is no UTF-8 closes with 1007, an unmasked frame with 1002", (mode) =>
  Effect.gen(function*() {
    const { ends, port } = yield* serve(mode)
    const invalid = yield* rawUpgraded(port)
    invalid.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]))
    assert.strictEqual(codeOf(yield* Queue.take(ends)), 1007)
    const unmasked = yield* rawUpgraded(port)
    unmasked.write(Buffer.from([0x81, 0x01, 0x41]))
    assert.strictEqual(codeOf(yield* Queue.take(ends)), 1002)
    assert.strictEqual(yield* closedCount("invalid_frame"), 2)
  }))

both(
  "a connection that breaks off in the middle of a frame ends with 1006, after the frames before it",
  (mode) =>
    Effect.gen(function*() {
      const { ends, port } = yield* serve(mode)
      const socket = yield* rawUpgraded(port)
      socket.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x41, 0x81, 0xff]))
      yield* turns(20)
      socket.resetAndDestroy()
      assert.strictEqual(codeOf(yield* Queue.take(ends)), 1006)
    })
)

both(
  "connections over the limit are refused with 503 before the upgrade, until one has ended",
  (mode) =>
    Effect.gen(function*() {
      const { open, port } = yield* serve(mode, { maxConnections: 2 })
      const first = yield* peer(port)
      yield* peer(port)
      const third = yield* peer(port)
      assert.strictEqual(third.refused, "Unexpected server response: 503")
      assert.strictEqual(yield* refusedCount("connections"), 1)
      first.ws.close()
      yield* eventually(() => open() === 1)
      const fourth = yield* peer(port)
      assert.isUndefined(fourth.refused)
    })
)

both("a foreign origin is refused with 403; the own one, a listed one and none pass", (mode) =>
  Effect.gen(function*() {
    const { port } = yield* serve(mode, { allowedOrigins: ["https://app.example.com"] })
    const refused = ["http://evil.example.com", "https://app.example.com.evil.org", "null", "http://app.example.com"]
    for (const origin of refused) {
      assert.strictEqual((yield* peer(port, { origin })).refused, "Unexpected server response: 403", origin)
    }
    for (const origin of [`http://127.0.0.1:${port}`, "https://app.example.com", "https://APP.example.com:443"]) {
      assert.isUndefined((yield* peer(port, { origin })).refused, origin)
    }
    assert.isUndefined((yield* peer(port)).refused)
    // the original Rockets client: no browser leaves out the User-Agent
    assert.isUndefined((yield* peer(port, { origin: "http://evil.example.com", headers: {} })).refused)
    assert.strictEqual(yield* refusedCount("origin"), refused.length)
  }))

both("a connection without a complete handshake is cut after 10 seconds", (mode) =>
  Effect.gen(function*() {
    const { port } = yield* serve(mode)
    const silent = yield* raw(port)
    const half = yield* raw(port)
    half.write("GET / HTTP/1.1\r\nHost: x\r\n")
    const done = yield* rawUpgraded(port)
    yield* turns(20)
    yield* TestClock.adjust("9 seconds")
    yield* turns(20)
    assert.isFalse(silent.destroyed || half.destroyed)
    yield* TestClock.adjust("2 seconds")
    yield* eventually(() => silent.destroyed && half.destroyed)
    assert.isFalse(done.destroyed)
    assert.strictEqual(yield* refusedCount("handshake"), 2)
  }))

it.effect("a secure connection whose handshake is done is not cut", () =>
  Effect.gen(function*() {
    const tls = {
      certFile: fileURLToPath(new URL("tls/cert.pem", import.meta.url)),
      keyFile: fileURLToPath(new URL("tls/key.pem", import.meta.url))
    }
    const { open, port } = yield* serve("alone", { tls })
    const client = yield* peer(port, { tls: true, rejectUnauthorized: false })
    const silent = yield* raw(port)
    yield* eventually(() => open() === 1)
    yield* seconds(12)
    yield* eventually(() => silent.destroyed)
    assert.strictEqual(open(), 1)
    client.ws.send("still here")
    yield* eventually(() => client.messages.length === 1)
  }))

both("a server stops although somebody connected and never shook hands", (mode) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { port } = yield* Scope.provide(serve(mode), scope)
    const silent = yield* raw(port)
    yield* turns(20)
    yield* Scope.close(scope, Exit.void)
    yield* eventually(() => silent.destroyed)
  }))

both(
  "a silent peer is pinged after 25 seconds, and closed 20 seconds later when it stays silent",
  (mode) =>
    Effect.gen(function*() {
      const { ends, open, port } = yield* serve(mode)
      const dead = yield* peer(port, { autoPong: false })
      const alive = yield* peer(port)
      yield* eventually(() => open() === 2)
      yield* seconds(24)
      assert.deepStrictEqual([dead.pings, alive.pings], [0, 0])
      yield* seconds(3)
      yield* eventually(() => dead.pings === 1 && alive.pings === 1)
      yield* seconds(17)
      assert.strictEqual(open(), 2)
      yield* seconds(3)
      assert.strictEqual(codeOf(yield* Queue.take(ends)), 1006)
      yield* eventually(() => dead.closed === 1001)
      assert.strictEqual(yield* closedCount("idle"), 1)
      yield* seconds(60)
      assert.strictEqual(open(), 1)
      assert.isUndefined(alive.closed)
    })
)

both("any frame is a sign of life: a peer that sends is not pinged", (mode) =>
  Effect.gen(function*() {
    const { port } = yield* serve(mode)
    const client = yield* peer(port)
    for (let i = 0; i < 5; i++) {
      yield* seconds(20)
      client.ws.send("still here")
      yield* eventually(() => client.messages.length === i + 1)
    }
    assert.strictEqual(client.pings, 0)
  }))

both("a peer is not judged silent while the server itself does not read", (mode) =>
  Effect.gen(function*() {
    const goOn = yield* Deferred.make<void>()
    const received = yield* Deferred.make<number>()
    const { port } = yield* serve(mode, {}, (socket) =>
      Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        yield* Deferred.await(goOn)
        let bytes = 0
        while (bytes < 32 * 1024 * 1024) for (const frame of yield* pull) bytes += frame.length
        yield* Deferred.succeed(received, bytes)
      })))
    const client = yield* peer(port)
    for (let i = 0; i < 64; i++) client.ws.send("x".repeat(512 * 1024))
    yield* turns(50)
    yield* seconds(60)
    assert.isUndefined(client.closed)
    yield* Deferred.succeed(goOn, undefined)
    assert.strictEqual(yield* Deferred.await(received), 32 * 1024 * 1024)
  }))

/** A handler that writes without end and says how far it came. */
const flooding =
  (progress: { written: number }, end: Deferred.Deferred<Socket.SocketError>) => (socket: Socket.Socket) =>
    Effect.scoped(Effect.gen(function*() {
      const { pull } = yield* socket.reader
      const writer = yield* socket.writer
      yield* Effect.forever(pull).pipe(
        Effect.catch((error) => Deferred.succeed(end, error)),
        Effect.forkScoped
      )
      const block = "x".repeat(2 * 1024 * 1024)
      while (true) {
        yield* writer.write(block)
        progress.written += block.length
      }
    }))

both(
  "a reader that takes nothing for 30 seconds, with more than 1 MiB before it, is closed with 1013",
  (mode) =>
    Effect.gen(function*() {
      const progress = { written: 0 }
      const end = yield* Deferred.make<Socket.SocketError>()
      const { port } = yield* serve(mode, { pongTimeout: "1 hour" }, flooding(progress, end))
      const socket = yield* rawUpgraded(port)
      socket.pause()
      yield* settled(progress)
      // the system may take some more in its own time: what counts are the seconds since it last did
      let last = progress.written
      let since = 0
      while (end.effect === undefined) {
        yield* seconds(1)
        since = progress.written === last ? since + 1 : 0
        last = progress.written
        assert.isBelow(since, 120)
      }
      assert.strictEqual(codeOf(yield* Deferred.await(end)), 1013)
      assert.isAtLeast(since, 29)
      assert.strictEqual(yield* closedCount("slow_reader"), 1)
    })
)

both("a slow reader that takes something now and then is not closed", (mode) =>
  Effect.gen(function*() {
    const progress = { written: 0 }
    const end = yield* Deferred.make<Socket.SocketError>()
    const { port } = yield* serve(mode, { pongTimeout: "1 hour" }, flooding(progress, end))
    const socket = yield* rawUpgraded(port)
    socket.pause()
    yield* settled(progress)
    let read = 0
    socket.on("data", (data) => {
      read += data.length
      if (read > 3 * 1024 * 1024) {
        read = 0
        socket.pause()
      }
    })
    socket.pause()
    for (let i = 0; i < 5; i++) {
      yield* seconds(20)
      socket.resume()
      yield* eventually(() => socket.isPaused())
    }
    assert.isUndefined(end.effect)
    assert.strictEqual(yield* closedCount("slow_reader"), 0)
  }))

/** Waits until a writer has stopped by itself. */
const settled = (progress: { readonly written: number }) =>
  Effect.gen(function*() {
    let last = -1
    for (let still = 0; still < 50;) {
      yield* turns(1)
      still = progress.written === last ? still + 1 : 0
      last = progress.written
    }
  })

both(
  "when the server stops, what handlers registered runs first, then peers are closed with 1001",
  (mode) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const registered = yield* Deferred.make<void>()
      const { port } = yield* serve(mode, {}, (socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          yield* ConnectionGroup.onShutdown(Effect.orDie(writer.write("last words")))
          yield* Deferred.succeed(registered, undefined)
          return yield* Effect.forever(pull)
        }))).pipe(Scope.provide(scope))
      const client = yield* peer(port)
      yield* Deferred.await(registered)
      yield* Scope.close(scope, Exit.void)
      yield* eventually(() => client.closed !== undefined)
      assert.deepStrictEqual(client.messages, ["last words"])
      assert.strictEqual(client.closed, 1001)
      const late = yield* peer(port)
      assert.isDefined(late.refused)
    })
)

both("a restart is announced by 1012, and a peer that ignores the close is cut", (mode) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { open, port } = yield* serve(mode, { shutdownCode: 1012, closeTimeout: "50 millis" }).pipe(
      Scope.provide(scope)
    )
    const client = yield* peer(port)
    const deaf = yield* rawUpgraded(port)
    yield* eventually(() => open() === 2)
    yield* Scope.close(scope, Exit.void)
    yield* eventually(() => client.closed !== undefined && deaf.destroyed)
    assert.strictEqual(client.closed, 1012)
  }))

both("a drain that takes too long is interrupted", (mode) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const registered = yield* Deferred.make<void>()
    const { port } = yield* serve(mode, { drainTimeout: "3 seconds" }, (socket) =>
      Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        yield* ConnectionGroup.onShutdown(Effect.never)
        yield* Deferred.succeed(registered, undefined)
        return yield* Effect.forever(pull)
      }))).pipe(Scope.provide(scope))
    const client = yield* peer(port)
    yield* Deferred.await(registered)
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* TestClock.adjust("2 seconds")
    yield* turns(20)
    assert.isUndefined(client.closed)
    yield* TestClock.adjust("1 second")
    yield* eventually(() => client.closed === 1001)
    yield* eventually(() => closing.pollUnsafe() !== undefined)
  }))
