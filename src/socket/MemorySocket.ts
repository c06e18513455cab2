/**
 * Sockets without a network: connected pairs, and a `SocketServer` to which clients dial in the same process. They keep
 * every promise of `effect/socket` (order, backpressure, an end that is always an error), and show on request the
 * behaviours that a network has and tests need: latency, a cut in the middle, a reader that stops, frames that arrive
 * split or merged. Time is the `Clock`'s, so `TestClock` rules it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as Carrier from "./Carrier.ts"
import type * as ConnectionGroup from "./ConnectionGroup.ts"
import type * as Handshake from "./Handshake.ts"
import { type End, Line, type Options } from "./internal/memoryLine.ts"
import { exitCode, openError } from "./internal/socketErrors.ts"

export type { Options } from "./internal/memoryLine.ts"

/**
 * What the handler of a server learns about one client, as its `Handshake.CurrentHandshake`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends Options {
  readonly headers?: Headers.Input | undefined
  readonly remoteAddress?: string | undefined
  readonly url?: string | undefined
  readonly protocol?: string | undefined
}

/**
 * A server in memory, with the way to dial it.
 *
 * @category services
 * @since 0.1.0
 */
export class MemoryServer extends Context.Service<MemoryServer, {
  readonly server: SocketServer.SocketServer["Service"]
  /**
   * A client socket: each acquisition of its reader dials a new connection. Its own options override those of the
   * server. Dialling fails with `SocketOpenError` once the server's scope is closed; connections that were dialled before
   * the server runs wait for it.
   */
  readonly connect: (options?: ConnectOptions) => Socket.Socket
}>()("effect-wire/socket/MemorySocket/MemoryServer") {}

/**
 * A socket whose every acquisition of the reader dials, and whose writer waits while nothing is connected.
 */
const dialling = (
  dial: Effect.Effect<End, Socket.SocketError>,
  closeCode: (exit: Exit.Exit<unknown, unknown>) => number
): Socket.Socket => {
  let current: End | undefined
  const latch = Latch.makeUnsafe(false)
  const reader: Socket.Socket["reader"] = Effect.gen(function*() {
    const end = yield* dial
    yield* Effect.addFinalizer((exit) => {
      if (current === end) {
        current = undefined
        latch.closeUnsafe()
      }
      return end.release(closeCode(exit))
    })
    current = end
    latch.openUnsafe()
    return { pull: end.pull, upgrade: Socket.SocketUpgradeError.unsupported }
  })
  const write: Socket.Writer["write"] = (chunk) =>
    Effect.suspend(() => current === undefined ? latch.whenOpen(write(chunk)) : current.write(chunk))
  const writeAll: Socket.Writer["writeAll"] = (chunks) =>
    Effect.suspend(() => current === undefined ? latch.whenOpen(writeAll(chunks)) : current.writeAll(chunks))
  return Socket.make({ reader, writer: Effect.succeed({ write, writeAll }) })
}

/** A socket of one end that is connected already and cannot be dialled again. */
const accepted = (end: End): Socket.Socket =>
  Socket.make({
    reader: Effect.suspend(() =>
      end.error !== undefined && end.length === 0
        ? Effect.fail(end.error)
        : Effect.as(
          Effect.addFinalizer((exit) => end.release(exitCode(exit))),
          { pull: end.pull, upgrade: Socket.SocketUpgradeError.unsupported }
        )
    ),
    writer: Effect.succeed({ write: end.write, writeAll: end.writeAll })
  })

/**
 * Makes two sockets that are connected to each other: what one writes the other pulls. It is one connection: when either
 * reader's scope closes (1000, or 1001 after an interruption, 1011 after a failure) or a `CloseEvent` is written, both
 * ends are over for good, and a later `reader` or `write` fails.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makePair = (options?: Options): Effect.Effect<readonly [Socket.Socket, Socket.Socket]> =>
  Effect.sync(() => {
    const [left, right] = new Line(options ?? {}).ends
    return [accepted(left), accepted(right)] as const
  })

/**
 * Makes a server in memory. It accepts until the scope closes; connections that still exist then are closed with 1001.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeServer = (
  options?: Options & ConnectionGroup.Options
): Effect.Effect<MemoryServer["Service"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    const listener = yield* Carrier.makeListener(NetAddress.unixPathAddress("memory"), options)
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
      })
    )

    const connect = (connectOptions: ConnectOptions = {}): Socket.Socket => {
      const handshake: Handshake.Handshake = {
        carrier: "memory",
        remoteAddress: connectOptions.remoteAddress,
        headers: Headers.fromInput(connectOptions.headers),
        url: connectOptions.url ?? "",
        protocol: connectOptions.protocol
      }
      const lineOptions = { ...options, ...connectOptions }
      return dialling(
        Effect.suspend(() => {
          if (closed) return Effect.fail(openError(new Error("the server is closed")))
          const [client, server] = new Line(lineOptions).ends
          if (listener.isFull()) server.refuse()
          else {
            listener.accept({
              socket: accepted(server),
              handshake,
              isOpen: () => server.error === undefined,
              release: (code) => Effect.runForkWith(context)(server.release(code))
            })
          }
          return Effect.succeed(client)
        }),
        () => 1000
      )
    }

    return MemoryServer.of({ connect, server: listener.server })
  })

/**
 * Like {@link layer}, with options for every connection.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (
  options?: Options
): Layer.Layer<SocketServer.SocketServer | Socket.Socket | MemoryServer> =>
  Layer.effectContext(Effect.map(makeServer(options), (memory) =>
    Context.make(MemoryServer, memory).pipe(
      Context.add(SocketServer.SocketServer, memory.server),
      Context.add(Socket.Socket, memory.connect())
    )))

/**
 * A server in memory and a client socket that dials it, for a program that asks for `SocketServer` and `Socket`. Further
 * clients come from `MemoryServer.connect`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SocketServer.SocketServer | Socket.Socket | MemoryServer> = layerWith()
