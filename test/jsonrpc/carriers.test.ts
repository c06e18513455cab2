import { Effect, Layer } from "effect"
import { NodeStreamSocket, NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { BrowserWebSocket, Framing, MemorySocket } from "effect-wire/socket"
import { Wiretap } from "effect-wire/wiretap"
import { type Socket, SocketServer } from "effect/socket"
import { emitters, messagePorts, pipes, workerPorts } from "../socket/carriers.ts"
import { Dial, suite } from "./suite.ts"

const dial = <E>(make: (port: number) => Effect.Effect<Socket.Socket, E>) =>
  Layer.effect(Dial)(Effect.gen(function*() {
    const { address } = yield* SocketServer.SocketServer
    if (address._tag === "UnixPathAddress") return yield* Effect.die("a port is expected")
    return Effect.orDie(make(address.port))
  }))

const memory = Layer.effect(Dial)(Effect.map(
  MemorySocket.MemoryServer,
  (server) => Effect.sync(() => server.connect())
)).pipe(Layer.provideMerge(MemorySocket.layer))

const tcp = (framing: Framing.Framing) =>
  Layer.provideMerge(
    dial((port) => NodeStreamSocket.make({ port, framing })),
    NodeStreamSocket.layerServer({ framing })
  )

suite("memory", memory)
suite(
  "WebSocket",
  Layer.provideMerge(dial((port) => NodeWebSocket.make(`127.0.0.1:${port}`)), NodeWebSocketServer.layer())
)
suite("TCP with lines", tcp(Framing.lines()))
suite("TCP with Content-Length", tcp(Framing.contentLength()))
suite("message ports", messagePorts)
suite("message ports of two threads", workerPorts)
suite(
  "the WebSocket of the runtime, as browsers have it",
  Layer.provideMerge(dial((port) => BrowserWebSocket.make(`127.0.0.1:${port}`)), NodeWebSocketServer.layer())
)
suite("pipes with lines", pipes(Framing.lines()))
suite("a carrier of the test", emitters)
suite(
  "WebSocket, both ends recorded",
  Layer.effect(Dial)(Effect.gen(function*() {
    const tap = yield* Wiretap.make({ write: () => Effect.void })
    return Effect.map(yield* Dial, (socket) => tap.socket(socket))
  })).pipe(
    Layer.merge(
      Layer.effect(SocketServer.SocketServer)(Effect.gen(function*() {
        const tap = yield* Wiretap.make({ write: () => Effect.void })
        return tap.server(yield* SocketServer.SocketServer)
      }))
    ),
    Layer.provide(dial((port) => NodeWebSocket.make(`127.0.0.1:${port}`))),
    Layer.provide(NodeWebSocketServer.layer())
  )
)
