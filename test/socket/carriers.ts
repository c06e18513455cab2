/**
 * Servers and clients of carriers that tests run the suites over: message ports, pipes of two processes, and one that is
 * defined here, to show what a carrier takes.
 */
import { Effect, Layer } from "effect"
import { NodeStdio } from "effect-wire/node"
import { Carrier, type Framing, Handshake, MessagePortSocket } from "effect-wire/socket"
import { NetAddress } from "effect/net"
import { Socket, SocketServer } from "effect/socket"
import { EventEmitter } from "node:events"
import { PassThrough } from "node:stream"
import { MessageChannel, Worker } from "node:worker_threads"
import { Dial } from "../jsonrpc/suite.ts"

type Accept = (socket: Effect.Effect<Socket.Socket>) => Effect.Effect<void>

/** A server to which `dial` gives a connection's far end; the client dials for each acquisition of its reader. */
const layer = (
  dial: (accept: Accept) => Effect.Effect<Socket.Socket>
): Layer.Layer<SocketServer.SocketServer | Socket.Socket | Dial> =>
  Layer.unwrap(Effect.gen(function*() {
    const { accept, server } = yield* Carrier.makeListener(NetAddress.unixPathAddress("test"))
    const connect = dial(Effect.map((socket) =>
      accept({ socket, handshake: { ...Handshake.empty, carrier: "test" }, isOpen: () => true, release: () => {} })
    ))
    return Layer.mergeAll(
      Layer.succeed(SocketServer.SocketServer)(server),
      Layer.effect(Socket.Socket)(connect),
      Layer.succeed(Dial)(connect)
    )
  }))

export const messagePorts = layer((accept) =>
  MessagePortSocket.make(Effect.gen(function*() {
    const { port1, port2 } = new MessageChannel()
    yield* accept(MessagePortSocket.make(port2))
    return port1
  }))
)

/** The same with a thread between the ends: what is posted crosses into it and comes out again. */
export const workerPorts = Layer.unwrap(Effect.gen(function*() {
  const relay = yield* Effect.acquireRelease(
    Effect.sync(() =>
      new Worker(
        `
          require("node:worker_threads").parentPort.on("message", ([near, far]) => {
            for (const [from, to] of [[near, far], [far, near]]) {
              from.on("message", (message) => to.postMessage(message))
              from.on("close", () => to.close())
            }
          })
        `,
        { eval: true }
      )
    ),
    (worker) => Effect.promise(() => worker.terminate())
  )
  return layer((accept) =>
    MessagePortSocket.make(Effect.gen(function*() {
      const [up, down] = [new MessageChannel(), new MessageChannel()]
      relay.postMessage([up.port2, down.port1], [up.port2, down.port1])
      yield* accept(MessagePortSocket.make(down.port2))
      return up.port1
    }))
  )
}))

export const pipes = (framing: Framing.Framing) =>
  layer((accept) =>
    NodeStdio.make({
      framing,
      streams: Effect.gen(function*() {
        const up = new PassThrough()
        const down = new PassThrough()
        yield* accept(NodeStdio.make({ framing, streams: Effect.succeed({ input: up, output: down }) }))
        return { input: down, output: up }
      })
    })
  )

/** A carrier that nobody has: two event emitters. */
const emitter = (dial: Effect.Effect<{ readonly line: EventEmitter; readonly far: EventEmitter }>) =>
  Carrier.make((inbox) =>
    Effect.gen(function*() {
      const { far, line } = yield* dial
      line.on("frame", inbox.receive)
      line.on("end", (code: number) => inbox.end(Carrier.closeError(code)))
      yield* Effect.addFinalizer(() => Effect.sync(() => line.removeAllListeners()))
      return { send: (frame) => far.emit("frame", frame), close: (code) => far.emit("end", code) }
    })
  )

export const emitters = layer((accept) =>
  emitter(Effect.gen(function*() {
    const [line, far] = [new EventEmitter(), new EventEmitter()]
    yield* accept(emitter(Effect.succeed({ line: far, far: line })))
    return { line, far }
  }))
)
