import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Redacted, Scope } from "effect"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { ConnectionGroup, Handshake, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import { WebSocketServer } from "ws"
import { codeOf, eventually, peer, portOf, seconds, turns } from "./webSocketHelpers.ts"

const certFile = fileURLToPath(new URL("tls/cert.pem", import.meta.url))
const keyFile = fileURLToPath(new URL("tls/key.pem", import.meta.url))

/** A server that hands out the handshake of each connection. */
const handshakes = (options?: NodeWebSocketServer.Options) =>
  Effect.gen(function*() {
    const seen = yield* Queue.unbounded<Handshake.Handshake>()
    const server = yield* NodeWebSocketServer.make(options)
    yield* Effect.forkScoped(server.run((socket) =>
      Effect.scoped(Effect.gen(function*() {
        yield* Queue.offer(seen, yield* Handshake.CurrentHandshake)
        const { pull } = yield* socket.reader
        const writer = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
      }))
    ))
    return { seen, port: portOf(server.address) }
  })

it.effect("headers, cookies, Basic authentication and subprotocols reach the server", () =>
  Effect.gen(function*() {
    const { port, seen } = yield* handshakes({ protocols: ["two", "one"] })
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}/a?b=1`, {
      headers: { "X-Token": Redacted.make("t0ken"), "X-Plain": "plain" },
      cookies: { a: "1", session: Redacted.make("s3cret") },
      basicAuth: { username: "bob", password: Redacted.make("builder") },
      protocols: ["one", "two"],
      origin: `http://127.0.0.1:${port}`
    })
    yield* socket.reader
    const { carrier, headers, protocol, remoteAddress, url } = yield* Queue.take(seen)
    assert.strictEqual(carrier, "websocket")
    assert.strictEqual(headers["x-token"], "t0ken")
    assert.strictEqual(headers["x-plain"], "plain")
    assert.strictEqual(headers["cookie"], "a=1; session=s3cret")
    assert.strictEqual(headers["authorization"], `Basic ${btoa("bob:builder")}`)
    assert.strictEqual(headers["origin"], `http://127.0.0.1:${port}`)
    assert.strictEqual(protocol, "two")
    assert.strictEqual(remoteAddress, "127.0.0.1")
    assert.strictEqual(url, "/a?b=1")
  }))

it.effect("credentials of the address are sent as Basic authentication and show in no error", () =>
  Effect.gen(function*() {
    const { port, seen } = yield* handshakes()
    yield* (yield* NodeWebSocket.make(`ws://bob:builder@127.0.0.1:${port}`)).reader
    assert.strictEqual((yield* Queue.take(seen)).headers["authorization"], `Basic ${btoa("bob:builder")}`)
    const refused = yield* NodeWebSocket.make("ws://bob:builder@127.0.0.1:1", {
      headers: { "X-Token": Redacted.make("t0ken") }
    })
    const text = inspect(yield* Effect.flip(refused.reader), { depth: 20, showHidden: true })
    assert.include(text, "ECONNREFUSED")
    assert.notInclude(text, "builder")
    assert.notInclude(text, "t0ken")
  }))

it.effect("a refused handshake is an open error that says the status", () =>
  Effect.gen(function*() {
    const { port } = yield* handshakes({ path: "/here" })
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}/elsewhere`)
    const error = yield* Effect.flip(socket.reader)
    assert.strictEqual(error.reason._tag, "SocketOpenError")
    assert.include(String((error.reason as Socket.SocketOpenError).cause), "404")
  }))

it.effect("a server that never answers is a timeout after 10 seconds", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => socket.on("error", () => {}).resume())
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${(server.address() as Net.AddressInfo).port}`)
    const dialling = yield* Effect.forkChild(Effect.flip(Effect.scoped(socket.reader)), { startImmediately: true })
    yield* turns(20)
    yield* TestClock.adjust("9 seconds")
    assert.isUndefined(dialling.pollUnsafe())
    yield* TestClock.adjust("1 second")
    const error = yield* Fiber.join(dialling)
    assert.strictEqual((error.reason as Socket.SocketOpenError).kind, "Timeout")
  }))

it.effect("interrupting the dial leaves nothing behind", () =>
  Effect.gen(function*() {
    let open = 0
    const server = yield* Effect.acquireRelease(
      Effect.callback<Net.Server>((resume) => {
        const server = Net.createServer((socket) => {
          open++
          socket.on("error", () => {}).on("close", () => open--).resume()
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${(server.address() as Net.AddressInfo).port}`)
    const dialling = yield* Effect.forkChild(Effect.scoped(socket.reader), { startImmediately: true })
    yield* eventually(() => open === 1)
    yield* Fiber.interrupt(dialling)
    yield* eventually(() => open === 0)
  }))

it.effect("a certificate that nobody vouches for is refused, with its cause", () =>
  Effect.gen(function*() {
    const { port } = yield* handshakes({ tls: { certFile, keyFile } })
    const error = yield* Effect.flip((yield* NodeWebSocket.make(`https://127.0.0.1:${port}`)).reader)
    assert.include(String((error.reason as Socket.SocketOpenError).cause), "self-signed")
    const trusting = yield* NodeWebSocket.make(`https://127.0.0.1:${port}`, { tls: { rejectUnauthorized: false } })
    yield* trusting.reader
  }))

it.effect("an agent carries the connection", () =>
  Effect.gen(function*() {
    const { port } = yield* handshakes()
    let used = 0
    class Agent extends Http.Agent {
      override createConnection(...args: Parameters<Http.Agent["createConnection"]>) {
        used++
        return super.createConnection(...args)
      }
    }
    yield* (yield* NodeWebSocket.make(`127.0.0.1:${port}`, { agent: new Agent() })).reader
    assert.strictEqual(used, 1)
  }))

it.effect("a frame over the client's limit closes with 1009", () =>
  Effect.gen(function*() {
    const { port } = yield* handshakes()
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}`, { maxFrameSize: 100 })
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    yield* writer.write("x".repeat(101))
    assert.strictEqual(codeOf(yield* Effect.flip(pull)), 1009)
  }))

it.effect("a server that falls silent is given up after a ping without answer", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<WebSocketServer>((resume) => {
        const server = new WebSocketServer({ port: 0, host: "127.0.0.1", autoPong: false }, () => {
          resume(Effect.succeed(server))
        })
      }),
      (server) => Effect.sync(() => server.close())
    )
    let pings = 0
    server.on("connection", (ws) => ws.on("ping", () => pings++))
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${(server.address() as Net.AddressInfo).port}`)
    const { pull } = yield* socket.reader
    const ended = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
    yield* seconds(28)
    yield* eventually(() => pings === 1)
    yield* seconds(20)
    assert.strictEqual(codeOf(yield* Fiber.join(ended)), 1006)
  }))

it.effect("compression works where both sides ask for it", () =>
  Effect.gen(function*() {
    const { port } = yield* handshakes({ compression: true })
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}`, { compression: { threshold: 0 } })
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    const text = "again and again ".repeat(1000)
    yield* writer.writeAll([text, "short"])
    const back: Array<string | Uint8Array> = []
    while (back.length < 2) back.push(...(yield* pull))
    assert.deepStrictEqual(back, [text, "short"])
    // Much more than the pipe holds, in both directions.
    const noise = Array.from({ length: 60 }, (_, i) => `${i} `.repeat(20_000))
    const sending = yield* Effect.forkChild(Effect.forEach(noise, writer.write, { discard: true }))
    const all: Array<string | Uint8Array> = []
    while (all.length < noise.length) all.push(...(yield* pull))
    yield* Fiber.join(sending)
    assert.deepStrictEqual(all, noise)
  }))

it.effect("Effect's own WebSocket client works on the constructor", () =>
  Effect.gen(function*() {
    const { port, seen } = yield* handshakes({ protocols: ["one"] })
    const socket = yield* Socket.makeWebSocket(`ws://127.0.0.1:${port}`, {
      headers: { "x-call": "1" },
      protocols: "one"
    }).pipe(Effect.provide(NodeWebSocket.layerWebSocketConstructor({ headers: { "x-all": Redacted.make("2") } })))
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    const { headers } = yield* Queue.take(seen)
    assert.deepStrictEqual([headers["x-call"], headers["x-all"]], ["1", "2"])
    yield* writer.write("hello")
    assert.deepStrictEqual(yield* pull, ["hello"])
  }))

it.effect("a client that offers only subprotocols the server does not speak is served without one", () =>
  Effect.gen(function*() {
    const { port, seen } = yield* handshakes({ protocols: ["ours"] })
    const socket = yield* Effect.acquireRelease(
      Effect.callback<Net.Socket>((resume) => {
        const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let head = ""
    socket.on("data", (data) => {
      head += String(data)
    })
    socket.write(
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: theirs, others\r\n\r\n"
    )
    assert.isUndefined((yield* Queue.take(seen)).protocol)
    yield* eventually(() => head.includes("\r\n\r\n"))
    assert.notInclude(head.toLowerCase(), "sec-websocket-protocol")
  }))

const routes = (
  handler: (socket: Socket.Socket) => Effect.Effect<unknown, unknown>,
  options?: WebSocketRoute.Options
) =>
  Effect.gen(function*() {
    const listening = yield* Deferred.make<number>()
    return {
      port: Deferred.await(listening),
      app: HttpRouter.serve(
        Layer.mergeAll(
          WebSocketRoute.layer("/ws", handler, options),
          Layer.effectDiscard(
            Effect.flatMap(HttpServer.HttpServer, ({ address }) => Deferred.succeed(listening, portOf(address)))
          )
        ),
        { disableLogger: true, disableListenLog: true }
      )
    }
  })

const request = (port: number, path: string, method = "GET") =>
  Effect.callback<Http.IncomingMessage>((resume) => {
    Http.request({ port, host: "127.0.0.1", path, method, agent: false }, (response) => {
      response.resume()
      resume(Effect.succeed(response))
    }).end()
  })

it.effect("a route answers 426 to a plain GET, 405 to other methods, 404 elsewhere", () =>
  Effect.gen(function*() {
    const { app, port } = yield* routes(() => Effect.void)
    yield* Layer.build(Layer.provide(app, NodeWebSocketServer.layerHttp(Http.createServer, { port: 0 })))
    const at = yield* port
    const plain = yield* request(at, "/ws")
    assert.strictEqual(plain.statusCode, 426)
    assert.strictEqual(plain.headers.upgrade, "websocket")
    const post = yield* request(at, "/ws", "POST")
    assert.strictEqual(post.statusCode, 405)
    assert.strictEqual(post.headers.allow, "GET")
    assert.strictEqual((yield* request(at, "/")).statusCode, 404)
  }))

it.effect("a route works on Effect's plain HTTP server too", () =>
  Effect.gen(function*() {
    const ends = yield* Queue.unbounded<Socket.SocketError>()
    const { app, port } = yield* routes((socket) =>
      Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const writer = yield* socket.writer
        return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
      })).pipe(Effect.catch((error) => Queue.offer(ends, error as Socket.SocketError)))
    )
    yield* Layer.build(Layer.provide(app, NodeHttpServer.layer(Http.createServer, { port: 0, host: "127.0.0.1" })))
    const client = yield* peer(yield* port, { path: "/ws" })
    client.ws.send("hello")
    yield* eventually(() => client.messages.length === 1)
    assert.deepStrictEqual(client.messages, ["hello"])
    client.ws.close(4000)
    assert.strictEqual(codeOf(yield* Queue.take(ends)), 4000)
    const foreign = yield* peer(yield* port, { path: "/ws", origin: "http://evil.example" })
    assert.include(foreign.refused ?? "", "403")
  }))

it.effect("a handler that ends without reading closes its connection", () =>
  Effect.gen(function*() {
    for (
      const server of [
        NodeWebSocketServer.layerHttp(Http.createServer, { port: 0 }),
        NodeHttpServer.layer(Http.createServer, { port: 0, host: "127.0.0.1" })
      ]
    ) {
      const { app, port } = yield* routes(() => Effect.void)
      yield* Layer.build(Layer.provide(app, server))
      const client = yield* peer(yield* port, { path: "/ws" })
      yield* eventually(() => client.closed !== undefined)
      assert.strictEqual(client.closed, 1000)
    }
  }))

it.effect("a server lives on after broken handshakes", () =>
  Effect.gen(function*() {
    const { app, port } = yield* routes(() => Effect.void)
    yield* Layer.build(Layer.provide(app, NodeWebSocketServer.layerHttp(Http.createServer, { port: 0 })))
    const at = yield* port
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    for (
      const [text, status] of [
        [`GET /ws HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`, "400"],
        [
          `GET /ws HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
          "400"
        ],
        [`GET /ws HTTP/1.1\r\nHost: x\r\n${upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: no\r\n\r\n`, "400"],
        [`POST /ws HTTP/1.1\r\nHost: x\r\n${upgrade}Content-Length: 0\r\n\r\n`, "405"]
      ] as const
    ) {
      const socket = Net.connect(at, "127.0.0.1")
      let answer = ""
      socket.on("data", (data) => {
        answer += String(data)
      })
      socket.write(text)
      yield* eventually(() => socket.destroyed || answer.includes("\r\n\r\n"))
      assert.strictEqual(answer.slice(9, 12), status, text)
      socket.destroy()
    }
    assert.isUndefined((yield* peer(at, { path: "/ws" })).refused)
  }))

it.effect("while WebSockets drain, nobody new is let in and requests under way are finished", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const listening = yield* Deferred.make<number>()
    const goOn = yield* Deferred.make<void>()
    const requested = yield* Deferred.make<void>()
    const registered = yield* Deferred.make<void>()
    const app = HttpRouter.serve(
      Layer.mergeAll(
        WebSocketRoute.layer("/ws", (socket) =>
          Effect.scoped(Effect.gen(function*() {
            const { pull } = yield* socket.reader
            yield* ConnectionGroup.onShutdown(Deferred.await(goOn))
            yield* Deferred.succeed(registered, undefined)
            return yield* Effect.forever(pull)
          }))),
        HttpRouter.add(
          "GET",
          "/slow",
          Deferred.succeed(requested, undefined).pipe(
            Effect.andThen(Deferred.await(goOn)),
            Effect.as(HttpServerResponse.text("done"))
          )
        ),
        Layer.effectDiscard(
          Effect.flatMap(HttpServer.HttpServer, ({ address }) => Deferred.succeed(listening, portOf(address)))
        )
      ),
      { disableLogger: true, disableListenLog: true }
    )
    yield* Scope.provide(
      Layer.build(Layer.provide(app, NodeWebSocketServer.layerHttp(Http.createServer, { port: 0 }))),
      scope
    )
    const port = yield* Deferred.await(listening)
    const client = yield* peer(port, { path: "/ws" })
    yield* Deferred.await(registered)
    const slow = yield* Effect.forkChild(request(port, "/slow"), { startImmediately: true })
    yield* Deferred.await(requested)
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* turns(20)
    assert.include((yield* peer(port, { path: "/ws" })).refused ?? "", "ECONNREFUSED")
    assert.isUndefined(client.closed)
    yield* Deferred.succeed(goOn, undefined)
    assert.strictEqual((yield* Fiber.join(slow)).statusCode, 200)
    yield* eventually(() => client.closed === 1001)
    yield* Fiber.join(closing)
  }))
