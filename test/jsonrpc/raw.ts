/** The far end of a server as a peer without any client of ours sees it: text out, text in. */
import { Effect, type Layer, Queue, type Scope } from "effect"
import { JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import type { Rpc, RpcGroup } from "effect/rpc"
import type { Socket } from "effect/socket"

const decoder = new TextDecoder()

/** A request that every group of these tests answers at once. */
export const fence = `{"jsonrpc":"2.0","method":"fence","id":"fence"}`

export interface Raw {
  readonly send: (...frames: ReadonlyArray<string | Uint8Array>) => Effect.Effect<void, Socket.SocketError>
  readonly take: Effect.Effect<string, Socket.SocketError>
  readonly takeJson: Effect.Effect<any, Socket.SocketError>
  /** Sends a frame and gives everything that came in before the answer to a request sent after it. */
  readonly exchange: (frame: string | Uint8Array) => Effect.Effect<ReadonlyArray<any>, Socket.SocketError>
  /** What came in and was not taken. */
  readonly pending: Effect.Effect<ReadonlyArray<string>, Socket.SocketError>
}

/** Reads a socket in the background. */
export const fromSocket = (socket: Socket.Socket): Effect.Effect<Raw, Socket.SocketError, Scope.Scope> =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    const queue = yield* Queue.unbounded<string, Socket.SocketError>()
    yield* pull.pipe(
      Effect.tap((frames) =>
        Queue.offerAll(queue, frames.map((frame) => typeof frame === "string" ? frame : decoder.decode(frame)))
      ),
      Effect.forever,
      Effect.catch((error) => Queue.fail(queue, error)),
      Effect.forkScoped({ startImmediately: true })
    )
    const send: Raw["send"] = (...frames) => Effect.forEach(frames, writer.write, { discard: true })
    const take = Queue.take(queue)
    const takeJson = Effect.map(take, (text) => JSON.parse(text))
    return {
      send,
      take,
      takeJson,
      exchange: (frame) =>
        Effect.gen(function*() {
          yield* send(frame, fence)
          const before: Array<any> = []
          for (;;) {
            const answer = yield* takeJson
            if (answer.id === "fence") return before
            before.push(answer)
          }
        }),
      pending: Queue.clear(queue)
    }
  })

/** A server on one end of a pair in memory, and the other end. */
export const connect = <Rpcs extends Rpc.Any, E, R>(
  group: RpcGroup.RpcGroup<Rpcs>,
  handlers: Layer.Layer<NoInfer<JsonRpcServer.Requirements<Rpcs>>, E, R>,
  options?: JsonRpcServer.Options & { readonly capacity?: number }
) =>
  Effect.gen(function*() {
    const run = yield* JsonRpcServer.make(group, options)
    const [near, far] = yield* MemorySocket.makePair({ capacity: options?.capacity })
    const server = yield* Effect.forkScoped(run(far), { startImmediately: true })
    return { ...(yield* fromSocket(near)), server, near }
  }).pipe(Effect.provide(handlers))
