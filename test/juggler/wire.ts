/** A peer that is nothing but frames, and both ends of a connection in memory. */
import { Effect, Exit, Scope } from "effect"
import { JsonPointer } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import type { Socket } from "effect/socket"

type Json = JsonPointer.Json

/** Lets every fiber that can go on go on. */
export const settle: Effect.Effect<void> = Effect.forEach(
  Array.from({ length: 40 }),
  () => Effect.andThen(Effect.yieldNow, Effect.promise(() => Promise.resolve())),
  { discard: true }
)

export interface RawPeer {
  /** Frames that came, oldest first. */
  readonly frames: Array<string>
  /** The code with which the connection was closed. */
  readonly closed: () => number | undefined
  /** What was said of it. */
  readonly reason: () => string | undefined
  readonly send: (...frames: ReadonlyArray<string | Uint8Array>) => Effect.Effect<void>
  /** Sends values as JSON. */
  readonly json: (...values: ReadonlyArray<unknown>) => Effect.Effect<void>
  /** What came, parsed, and forgets it. */
  readonly take: Effect.Effect<ReadonlyArray<any>>
  readonly close: Effect.Effect<void>
}

export const raw = (socket: Socket.Socket, options?: { readonly reads?: boolean }) =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const frames: Array<string> = []
    let code: number | undefined
    let reason: string | undefined
    const { pull } = yield* Scope.provide(socket.reader, scope)
    const writer = yield* Scope.provide(socket.writer, scope)
    if (options?.reads !== false) {
      yield* Effect.forkIn(
        Effect.forever(Effect.map(pull, (batch) => {
          for (const frame of batch) frames.push(String(frame))
        })).pipe(Effect.catch((error) =>
          Effect.sync(() => {
            code = error.reason._tag === "SocketCloseError" ? error.reason.code : -1
            reason = error.reason._tag === "SocketCloseError" ? error.reason.closeReason : error.message
          })
        )),
        scope
      )
    }
    const send: RawPeer["send"] = (...frames) =>
      Effect.andThen(Effect.forEach(frames, (frame) => Effect.ignore(writer.write(frame)), { discard: true }), settle)
    const peer: RawPeer = {
      frames,
      closed: () => code,
      reason: () => reason,
      send,
      json: (...values) => send(...values.map((value) => JSON.stringify(value))),
      take: Effect.andThen(settle, Effect.sync(() => frames.splice(0).map((frame) => JSON.parse(frame)))),
      close: Scope.close(scope, Exit.void)
    }
    return peer
  })

/** Serves one end of a pair in the scope; gives the other end, raw. */
export const serveRaw = (serve: (socket: Socket.Socket) => Effect.Effect<void>, options?: MemorySocket.Options) =>
  Effect.gen(function*() {
    const [server, client] = yield* MemorySocket.makePair(options)
    yield* Effect.forkScoped(serve(server))
    const peer = yield* raw(client)
    yield* settle
    return peer
  })

export const stateOf = (patches: ReadonlyArray<any>): ReadonlyArray<Json> =>
  patches.filter((message) => message.type === "DATA" || message.type === "state").map((m) => m.payload ?? m.diff)
