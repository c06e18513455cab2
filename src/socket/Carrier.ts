/**
 * What a carrier of messages is made of, so that a new one is a file of some thirty lines: {@link make} turns callbacks
 * into a `Socket` that dials each time its reader is acquired, {@link makeListener} turns connections that arrive into a
 * `SocketServer`. It knows no protocol and no framing (`Framing.wrap`), and drops nothing: what comes in waits until it is
 * pulled.
 *
 * **Example** (A carrier on an event emitter)
 *
 * ```ts
 * const make = (line: EventEmitter) =>
 *   Carrier.make((inbox) =>
 *     Effect.gen(function*() {
 *       const onData = (frame: string) => inbox.receive(frame)
 *       line.on("data", onData)
 *       yield* Effect.addFinalizer(() => Effect.sync(() => line.off("data", onData)))
 *       return { send: (frame) => line.emit("send", frame), close: () => line.emit("end") }
 *     })
 *   )
 * ```
 *
 * @since 0.2.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as NetAddress from "effect/net/NetAddress"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as ConnectionGroup from "./ConnectionGroup.ts"
import * as Handshake from "./Handshake.ts"
import { type Frame, Inbox as InternalInbox } from "./internal/inbox.ts"
import { closeError, exitCode, writeError } from "./internal/socketErrors.ts"

export {
  /**
   * The error of a connection that has ended, with its close code (RFC 6455, section 7.4; 1006 where there was none).
   *
   * @category errors
   * @since 0.2.0
   */
  closeError,
  /**
   * The error of a connection that could not be made.
   *
   * @category errors
   * @since 0.2.0
   */
  openError
} from "./internal/socketErrors.ts"

/**
 * The receiving side of one connection.
 *
 * @category models
 * @since 0.2.0
 */
export interface Inbox {
  /** A frame has come in. */
  readonly receive: (frame: string | Uint8Array) => void
  /** The connection has ended: the reader gets the error after the frames that wait; writes fail at once. */
  readonly end: (error: Socket.SocketError) => void
  /** Characters and bytes received and not yet pulled, for carriers that can make the peer wait. */
  readonly waiting: () => number
  /** Called when everything that waited was pulled. */
  onTaken: (() => void) | undefined
}

/**
 * The sending side of one connection.
 *
 * @category models
 * @since 0.2.0
 */
export interface Connection {
  /** Sends one frame at once, in order. What it throws fails the write with `SocketWriteError`. */
  readonly send: (frame: string | Uint8Array) => unknown
  /** Completes when more may be sent; waited for after each write. Default: at once, always. */
  readonly room?: Effect.Effect<void, Socket.SocketError> | undefined
  /** Ends the connection; `code` and `reason` (RFC 6455) may have no place on the carrier. Called once. */
  readonly close: (code: number, reason: string | undefined) => void
}

class CarrierInbox extends InternalInbox implements Inbox {
  private queued = 0
  onTaken: (() => void) | undefined = undefined

  readonly waiting = () => this.queued
  readonly receive = (frame: Frame) => {
    if (this.error !== undefined) return
    this.queued += frame.length
    this.add(frame)
    this.deliver()
  }
  readonly end = (error: Socket.SocketError) => this.fail(error)

  protected override onTake(): void {
    this.queued = 0
    this.onTaken?.()
  }
}

/**
 * Makes a socket: each acquisition of its reader runs `open` in the scope of the acquisition, which owns the connection.
 * Writes made while there is none wait for the next. When the scope closes the connection is closed with 1000 after a
 * success, 1001 after an interruption, 1011 after a failure; `Socket.CloseEvent` closes it too.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  open: (inbox: Inbox) => Effect.Effect<Connection, Socket.SocketError, Scope.Scope>
): Effect.Effect<Socket.Socket> =>
  Effect.sync(() => {
    let current: Link | undefined
    const latch = Latch.makeUnsafe(false)
    const reader: Socket.Socket["reader"] = Effect.gen(function*() {
      const inbox = new CarrierInbox()
      const link = new Link(inbox, yield* open(inbox))
      yield* Effect.addFinalizer((exit) =>
        Effect.sync(() => {
          if (current === link) {
            current = undefined
            latch.closeUnsafe()
          }
          link.close(exitCode(exit), undefined)
          inbox.abort(closeError(1006))
        })
      )
      current = link
      latch.openUnsafe()
      return { pull: inbox.pull, upgrade: Socket.SocketUpgradeError.unsupported }
    })
    const write: Socket.Writer["write"] = (chunk) =>
      Effect.suspend(() => {
        if (current === undefined) return latch.whenOpen(write(chunk))
        if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) {
          const link = current
          return Effect.sync(() => link.close(chunk.code, chunk.reason))
        }
        return current.send([chunk])
      })
    const writeAll = (chunks: NonEmptyReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> =>
      Effect.suspend(() => current === undefined ? latch.whenOpen(writeAll(chunks)) : current.send(chunks))
    return Socket.make({ reader, writer: Effect.succeed({ write, writeAll }) })
  })

/** One connection: it is closed once, and sends nothing after that. */
class Link {
  private isClosed = false
  private readonly inbox: CarrierInbox
  private readonly connection: Connection

  constructor(inbox: CarrierInbox, connection: Connection) {
    this.inbox = inbox
    this.connection = connection
  }

  send(frames: ReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> {
    if (this.isClosed || this.inbox.error !== undefined) {
      return Effect.fail(writeError(this.inbox.error ?? new Error("the connection is closed")))
    }
    const sent = Effect.try({
      try: () => {
        for (const frame of frames) this.connection.send(frame)
      },
      catch: writeError
    })
    return this.connection.room === undefined ? sent : Effect.andThen(sent, this.connection.room)
  }

  close(code: number, reason: string | undefined): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.inbox.error === undefined) this.connection.close(code, reason)
    this.inbox.end(closeError(code, reason))
  }
}

/**
 * A connection that has arrived at a server.
 *
 * @category models
 * @since 0.2.0
 */
export interface Arrival {
  readonly socket: Socket.Socket
  readonly handshake: Handshake.Handshake
  /** Whether the peer is still there: who leaves before anybody serves counts no more. */
  readonly isOpen: () => boolean
  /** Called when the handler has ended (1000), or the server has (1001) before any handler was there. */
  readonly release: (code: number) => void
}

/**
 * The arriving connections of one server.
 *
 * @category models
 * @since 0.2.0
 */
export interface Listener {
  /** `true` when a further connection must be refused: the limit is reached, or the server shuts down. */
  readonly isFull: () => boolean
  /** Takes a connection; before anybody serves it waits. */
  readonly accept: (arrival: Arrival) => void
  /** The `SocketServer`. Of runs that overlap the last one that is still there serves. */
  readonly server: SocketServer.SocketServer["Service"]
}

/**
 * Makes the `SocketServer` of a carrier. It accepts until the scope closes; what waits then is released with 1001.
 *
 * @category constructors
 * @since 0.2.0
 */
export const makeListener = (
  address: NetAddress.SocketAddress,
  options?: ConnectionGroup.Options
): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function*() {
    const maxConnections = options?.maxConnections ?? 1024
    let waiting: Array<Arrival> = []
    const runs: Array<
      { readonly group: ConnectionGroup.ConnectionGroup; readonly accept: (arrival: Arrival) => void }
    > = []
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const arrival of waiting) arrival.release(1001)
        waiting = []
      })
    )
    const run = <R, E, _>(
      handler: (socket: Socket.Socket) => Effect.Effect<_, E, R>
    ): Effect.Effect<never, SocketServer.SocketServerError, R> =>
      Effect.scoped(Effect.gen(function*() {
        const group = yield* ConnectionGroup.make(options)
        const context = yield* Effect.context<R>()
        const self = {
          group,
          accept: ({ handshake, release, socket }: Arrival) =>
            group.fork(
              handler(socket),
              Context.add(context, Handshake.CurrentHandshake, handshake),
              () => release(1000)
            )
        }
        runs.push(self)
        const before = waiting
        waiting = []
        for (const arrival of before) if (arrival.isOpen()) self.accept(arrival)
        return yield* Effect.onExit(Effect.never, () =>
          Effect.andThen(
            group.shutdown,
            Effect.sync(() => {
              runs.splice(runs.indexOf(self), 1)
            })
          ))
      }))
    return {
      isFull: () => {
        const current = runs.at(-1)
        if (current !== undefined) return current.group.isFull()
        if (waiting.length >= maxConnections) waiting = waiting.filter((arrival) => arrival.isOpen())
        return waiting.length >= maxConnections
      },
      accept: (arrival) => {
        const current = runs.at(-1)
        if (current === undefined) waiting.push(arrival)
        else current.accept(arrival)
      },
      server: SocketServer.SocketServer.of({ address, run })
    }
  })
