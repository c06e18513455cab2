/**
 * `Socket` and `SocketServer` of a node, on the network of its world.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Headers from "effect/http/Headers"
import * as Latch from "effect/Latch"
import * as NetAddress from "effect/net/NetAddress"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as ConnectionGroup from "../../socket/ConnectionGroup.ts"
import * as Handshake from "../../socket/Handshake.ts"
import { exitCode } from "../../socket/internal/socketErrors.ts"
import { SyncWriterId } from "../../socket/internal/syncWriter.ts"
import type { DialOptions } from "../World.ts"
import type { End } from "./connection.ts"
import type { Life } from "./loop.ts"
import type { Network } from "./network.ts"

const release = (end: End, exit: Exit.Exit<unknown, unknown>) => Effect.sync(() => end.abandon(exitCode(exit)))

/** A socket whose every acquisition of the reader dials, and whose writer waits while nothing is connected. */
export const dialling = (network: Network, life: Life, to: string, options: DialOptions = {}): Socket.Socket => {
  let current: End | undefined
  const latch = Latch.makeUnsafe(false)
  const openTimeout = Duration.toMillis(Duration.fromInputUnsafe(options.openTimeout ?? "10 seconds"))
  const reader: Socket.Socket["reader"] = Effect.gen(function*() {
    const end = yield* network.dial(life, to, { ...options, openTimeout })
    yield* Effect.addFinalizer((exit) => {
      if (current === end) {
        current = undefined
        latch.closeUnsafe()
      }
      return release(end, exit)
    })
    current = end
    latch.openUnsafe()
    return { pull: end.pull, upgrade: Socket.SocketUpgradeError.unsupported }
  })
  const write: Socket.Writer["write"] = (chunk) =>
    Effect.suspend(() => current === undefined ? latch.whenOpen(write(chunk)) : current.write(chunk))
  const writeAll: Socket.Writer["writeAll"] = (chunks) =>
    Effect.suspend(() => current === undefined ? latch.whenOpen(writeAll(chunks)) : current.writeAll(chunks))
  return Socket.make({
    reader,
    writer: Effect.sync(() =>
      network.options.syncWriters ? { write, writeAll, [SyncWriterId]: () => current } : { write, writeAll }
    )
  })
}

const accepted = (network: Network, end: End): Socket.Socket =>
  Socket.make({
    reader: Effect.suspend(() =>
      end.error !== undefined && end.length === 0
        ? Effect.fail(end.error)
        : Effect.as(
          Effect.addFinalizer((exit) => release(end, exit)),
          { pull: end.pull, upgrade: Socket.SocketUpgradeError.unsupported }
        )
    ),
    writer: Effect.sync(() =>
      network.options.syncWriters
        ? { write: end.write, writeAll: end.writeAll, [SyncWriterId]: () => end }
        : { write: end.write, writeAll: end.writeAll }
    )
  })

/** The server of a node. It accepts while it runs; then its connections drain and are closed with 1001. */
export const serving = (network: Network, life: Life): SocketServer.SocketServer["Service"] => {
  const run = <R, E, _>(
    handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
  ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
    Effect.scoped(Effect.gen(function*() {
      const group = yield* ConnectionGroup.make()
      const context = yield* Effect.context<R>()
      const stop = network.listen(life, (end, options) => {
        if (group.isFull()) return end.abandon(1013)
        const handshake: Handshake.Handshake = {
          carrier: "simulation",
          remoteAddress: end.peer.life.node,
          headers: Headers.fromInput(options.headers),
          url: options.url ?? "",
          protocol: options.protocol
        }
        group.fork(
          handler(accepted(network, end)),
          Context.add(context, Handshake.CurrentHandshake, handshake),
          () => {
            if (end.error === undefined) end.abandon(1000)
          }
        )
      })
      return yield* Effect.onExit(Effect.never, () => Effect.andThen(Effect.sync(stop), group.shutdown))
    }))
  return SocketServer.SocketServer.of({ address: NetAddress.unixPathAddress(life.node), run })
}
