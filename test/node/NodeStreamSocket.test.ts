import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Scope } from "effect"
import { NodeStreamSocket, NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Framing, Handshake, MemorySocket } from "effect-wire/socket"
import { Socket, SocketServer } from "effect/socket"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { suite } from "../socket/carrierSuite.ts"
import { eventually, ownMetrics, portOf, raw, refusedCount, seconds, turns } from "./webSocketHelpers.ts"

const certFile = fileURLToPath(new URL("tls/cert.pem", import.meta.url))
const keyFile = fileURLToPath(new URL("tls/key.pem", import.meta.url))
const ca = readFileSync(certFile)
const trusting = { ca, servername: "localhost" }

const contentLength = Framing.contentLength({ output: "bytes" })
const lines = Framing.lines({ output: "bytes" })

const client = (options: NodeStreamSocket.ClientOptions) =>
  Layer.effect(Socket.Socket)(Effect.gen(function*() {
    const { address } = yield* SocketServer.SocketServer
    return yield* NodeStreamSocket.make(
      address._tag === "UnixPathAddress"
        ? { ...options, path: address.path }
        : { ...options, port: address.port }
    )
  }))

let paths = 0
const unixPath = () => `/tmp/effect-wire-test-${process.pid}-${paths++}.sock`

const traits = { text: false, closeCodes: false }

suite(
  "TCP with Content-Length",
  Layer.provideMerge(
    client({ framing: contentLength }),
    NodeStreamSocket.layerServer({ framing: contentLength })
  ),
  traits
)
suite(
  "TCP with lines",
  Layer.provideMerge(client({ framing: lines }), NodeStreamSocket.layerServer({ framing: lines })),
  traits
)
suite(
  "Unix socket",
  Layer.unwrap(Effect.sync(() =>
    Layer.provideMerge(
      client({ framing: contentLength }),
      NodeStreamSocket.layerServer({ framing: contentLength, path: unixPath() })
    )
  )),
  traits
)
suite(
  "TLS",
  Layer.provideMerge(
    client({ framing: contentLength, tls: trusting }),
    NodeStreamSocket.layerServer({ framing: contentLength, tls: { certFile, keyFile } })
  ),
  traits
)
suite(
  "secure WebSocket",
  Layer.provideMerge(
    Layer.effect(Socket.Socket)(Effect.gen(function*() {
      const { address } = yield* SocketServer.SocketServer
      return yield* NodeWebSocket.make(`wss://127.0.0.1:${portOf(address)}`, { tls: trusting })
    })),
    NodeWebSocketServer.layer({ tls: { certFile, keyFile } })
  ),
  { text: true, closeCodes: true }
)
suite(
  "memory as a stream of bytes, with Content-Length",
  Layer.unwrap(Effect.gen(function*() {
    const { connect, server } = yield* MemorySocket.makeServer({ chunkSize: 65_536, capacity: 64 })
    return Layer.succeed(SocketServer.SocketServer)(Framing.wrapServer(server, contentLength)).pipe(
      Layer.merge(Layer.succeed(Socket.Socket)(Framing.wrap(connect(), contentLength)))
    )
  })),
  traits
)

describe("NodeStreamSocket", () => {
  it.effect("handlers learn the carrier and the address of the peer", () =>
    Effect.gen(function*() {
      for (
        const [options, carrier, remote] of [
          [{}, "tcp", "127.0.0.1"],
          [{ path: unixPath() }, "unix", undefined],
          [{ tls: { certFile, keyFile } }, "tls", "127.0.0.1"]
        ] as const
      ) {
        const server = yield* NodeStreamSocket.makeServer({ framing: Framing.none, ...options })
        const seen = yield* Deferred.make<Handshake.Handshake>()
        yield* Effect.forkScoped(
          server.run(() => Effect.flatMap(Handshake.CurrentHandshake, (handshake) => Deferred.succeed(seen, handshake)))
        )
        const socket = yield* NodeStreamSocket.make({
          framing: Framing.none,
          ...(server.address._tag === "UnixPathAddress"
            ? { path: server.address.path }
            : { port: server.address.port }),
          tls: carrier === "tls" ? trusting : undefined
        })
        yield* Effect.forkScoped(socket.reader)
        const handshake = yield* Deferred.await(seen)
        assert.strictEqual(handshake.carrier, carrier)
        assert.strictEqual(handshake.remoteAddress, remote)
      }
    }))

  it.effect("a close event ends the connection after everything that was written", () =>
    Effect.gen(function*() {
      const server = yield* NodeStreamSocket.makeServer({ framing: lines })
      const size = 4 * 1024 * 1024
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          for (let i = 0; i < 8; i++) {
            yield* Effect.forkChild(writer.write("x".repeat(size / 8 - 1)), { startImmediately: true })
          }
          yield* writer.write(new Socket.CloseEvent(1000))
          return yield* Effect.forever(pull)
        }))
      ))
      const socket = yield* NodeStreamSocket.make({ framing: Framing.none, port: portOf(server.address) })
      const { pull } = yield* socket.reader
      let bytes = 0
      const error = yield* Effect.flip(Effect.forever(Effect.map(pull, (chunks) => {
        for (const chunk of chunks) bytes += chunk.length
      })))
      assert.strictEqual(bytes, size)
      assert.strictEqual(error.message, "1000")
    }))

  it.effect("connections over the limit are closed at once", () =>
    ownMetrics(Effect.gen(function*() {
      const server = yield* NodeStreamSocket.makeServer({ framing: Framing.none, maxConnections: 1 })
      yield* Effect.forkScoped(
        server.run((socket) => Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.forever(pull))))
      )
      const first = yield* raw(portOf(server.address))
      const second = yield* raw(portOf(server.address))
      second.resume()
      yield* eventually(() => second.destroyed)
      assert.isFalse(first.destroyed)
      assert.strictEqual(yield* refusedCount("connections"), 1)
    })))

  it.effect("a reader that takes nothing for 30 seconds is cut", () =>
    Effect.gen(function*() {
      const end = yield* Deferred.make<Socket.SocketError>()
      const server = yield* NodeStreamSocket.makeServer({ framing: Framing.none })
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          yield* Effect.forkScoped(writer.write(new Uint8Array(64 * 1024 * 1024)))
          return yield* Effect.forever(pull)
        })).pipe(Effect.catch((error) => Deferred.succeed(end, error as Socket.SocketError)))
      ))
      const peer = yield* raw(portOf(server.address))
      peer.pause()
      yield* seconds(34)
      const error = yield* Deferred.await(end)
      assert.strictEqual(error.reason._tag, "SocketReadError")
    }))

  it.effect("a server stops although a peer takes nothing", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const writing = yield* Deferred.make<void>()
      const server = yield* Scope.provide(
        NodeStreamSocket.makeServer({ framing: Framing.none, closeTimeout: "50 millis" }),
        scope
      )
      yield* Effect.forkIn(
        server.run((socket) =>
          Effect.scoped(Effect.gen(function*() {
            yield* socket.reader
            const writer = yield* socket.writer
            yield* Deferred.succeed(writing, undefined)
            return yield* writer.write(new Uint8Array(64 * 1024 * 1024))
          }))
        ),
        scope
      )
      const peer = yield* raw(portOf(server.address))
      peer.pause()
      yield* Deferred.await(writing)
      yield* turns(20)
      yield* Scope.close(scope, Exit.void)
    }))

  it.effect("a server that nobody serves, or that is not trusted, is an open error with its cause", () =>
    Effect.gen(function*() {
      const gone = yield* Effect.scoped(
        Effect.map(NodeStreamSocket.makeServer({ framing: Framing.none }), ({ address }) => portOf(address))
      )
      const refused = yield* Effect.flip((yield* NodeStreamSocket.make({ framing: Framing.none, port: gone })).reader)
      assert.strictEqual(refused.reason._tag, "SocketOpenError")
      assert.include(String((refused.reason as Socket.SocketOpenError).cause), "ECONNREFUSED")
      const server = yield* NodeStreamSocket.makeServer({ framing: Framing.none, tls: { certFile, keyFile } })
      const socket = yield* NodeStreamSocket.make({ framing: Framing.none, port: portOf(server.address), tls: {} })
      const untrusted = yield* Effect.flip(socket.reader)
      assert.include(String((untrusted.reason as Socket.SocketOpenError).cause), "self-signed")
      const missing = yield* Effect.flip(
        NodeStreamSocket.makeServer({
          framing: Framing.none,
          tls: { certFile: "/nowhere.pem", keyFile: "/nowhere.pem" }
        })
      )
      assert.include(String(missing.reason.cause), "ENOENT")
    }))
})
