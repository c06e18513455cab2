/**
 * What waits to be written to one connection: frames go in synchronously, in order, from any fiber; they go out together,
 * one `writeAll` for everything that was written in one turn of the event loop, and never while an earlier write is still
 * under way. So a protocol answers without suspending, a carrier writes once per turn instead of once per frame, and how
 * much waits for a slow reader can be seen.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { type Account, Budget } from "./Budget.ts"
import { isSyncWriter, type SyncPort, SyncWriterId } from "./internal/syncWriter.ts"
import * as SocketMetrics from "./SocketMetrics.ts"

/**
 * The sending side of one connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outbox {
  /** Enqueues one frame; `false` when the outbox is closed and the frame was dropped. */
  readonly send: (frame: string | Uint8Array) => boolean
  /** Holds frames back until {@link Outbox.uncork}; calls nest. For the span of one synchronous block only. */
  readonly cork: () => void
  /** Ends {@link Outbox.cork} and writes what was gathered. */
  readonly uncork: () => void
  /** Characters (text) or bytes (binary) accepted and not yet taken by the carrier. */
  readonly waiting: () => number
  /** Completes as soon as at most `limit` characters wait (default 0), or the outbox is closed. */
  readonly drained: (limit?: number) => Effect.Effect<void>
  /** Refuses further frames, and writes a close frame after everything that waits. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** What the connection holds of the `Budget` of the process; when it is taken away the connection is closed with 1013. */
  readonly account: Account
  /** Bytes that the connection may hold more; opens no account. */
  readonly room: () => number
  /** `true` once {@link Outbox.close} has begun, a write has failed, too much waited, or its scope has closed. */
  readonly isClosed: () => boolean
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /**
   * Characters (text) or bytes (binary) that may wait while the carrier takes nothing more; default 16 MiB, and what the
   * `Budget` leaves to the connection. Beyond it the connection is closed with 1013 and what waits is dropped, so that a
   * peer that does not read costs a constant.
   */
  readonly maxWaiting?: number | undefined
}

/**
 * Makes an outbox on the writer of a socket. It closes with the scope; what waits then is dropped. A peer for whom more
 * waits than {@link Options.maxWaiting} is closed with 1013, which is counted (`slow_reader`) and logged.
 *
 * **Gotchas**
 *
 * A write that fails closes the outbox without an error: the reader of the same socket is where a lost connection shows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  writer: Socket.Writer,
  options?: Options
): Effect.Effect<Outbox, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const outbox = makeUnsafe(writer, context, options)
    return Effect.as(Scope.addFinalizer(Context.get(context, Scope.Scope), Effect.sync(() => outbox.release())), outbox)
  })

/**
 * Makes an outbox that its owner releases; what it waits for runs with `context`.
 *
 * @internal
 */
export const makeUnsafe = (
  writer: Socket.Writer,
  context: Context.Context<never>,
  options?: Options
): Outbox & { readonly release: () => void } => new OutboxImpl(writer, context, options?.maxWaiting ?? defaultWaiting)

const defaultWaiting = 16 * 1024 * 1024

/** Bytes that are taken of the budget at once. */
const step = 64 * 1024

interface Waiter {
  readonly limit: number
  readonly resume: () => void
}

type Frame = string | Uint8Array

const noFrames: Array<Frame> = []
const noWaiters: Array<Waiter> = []

/** Outboxes with something to write at the end of this turn: one microtask for all, however many were written to. */
let scheduled: Array<OutboxImpl> = []

const flushAll = (): void => {
  const outboxes = scheduled
  scheduled = []
  for (let i = 0; i < outboxes.length; i++) outboxes[i]!.flushScheduled()
}

/** One object for each connection, without closures: there may be many thousands. */
class OutboxImpl implements Outbox {
  private queue: Array<Frame> = noFrames
  private queued = 0
  private inFlight = 0
  private corks = 0
  private scheduled = false
  private writing = false
  private closed = false
  /** A close frame waits behind the others. */
  private closing = false
  private waiters: Array<Waiter> = noWaiters
  private readonly writer: Socket.Writer
  private readonly context: Context.Context<never>
  private port: SyncPort | undefined = undefined
  private fiber: Fiber.Fiber<void, Socket.SocketError> | undefined = undefined

  private readonly maxWaiting: number
  private opened: Account | undefined = undefined
  /** Bytes of the account that stand for what waits. */
  private charged = 0

  constructor(writer: Socket.Writer, context: Context.Context<never>, maxWaiting: number) {
    this.writer = writer
    this.context = context
    this.maxWaiting = maxWaiting
  }

  send(frame: Frame): boolean {
    if (this.closed || this.closing) return false
    if (this.queue === noFrames) this.queue = [frame]
    else this.queue.push(frame)
    this.queued += frame.length
    // what the carrier has been offered and did not take
    if (this.writing && this.queued > this.charged && !this.charge()) return false
    if (this.corks === 0 && !this.writing) this.schedule()
    return true
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    if (scheduled.push(this) === 1) queueMicrotask(flushAll)
  }

  cork(): void {
    this.corks++
  }

  uncork(): void {
    if (--this.corks === 0) this.flush()
  }

  waiting(): number {
    return this.queued + this.inFlight
  }

  isClosed(): boolean {
    return this.closed || this.closing
  }

  get account(): Account {
    return this.opened ??= Context.get(this.context, Budget).open((over) =>
      over === "connection"
        ? this.abort("connection_budget", "what is kept for it is more than one connection may hold")
        : this.abort("budget", "what is kept for it is the most of all, and there is no room left")
    )
  }

  room(): number {
    return this.opened === undefined ? Infinity : this.opened.room()
  }

  /** What the carrier was offered and did not take counts; in steps, so that it costs nothing. */
  private charge(): boolean {
    if (this.queued > this.maxWaiting) {
      this.abort("slow_reader", `over ${this.maxWaiting} characters wait for a peer that does not read`)
      return false
    }
    const more = this.queued - this.charged + step
    if (!this.account.take(more)) return false
    this.charged += more
    return true
  }

  private abort(reason: SocketMetrics.ClosedReason, message: string): void {
    if (this.closed) return
    this.shutdown()
    SocketMetrics.closedFor(reason).updateUnsafe(1, this.context)
    Effect.runForkWith(this.context)(Effect.andThen(
      Effect.logWarning(`closed a connection: ${message}`),
      Effect.ignore(this.writer.write(new Socket.CloseEvent(1013, message)))
    ))
  }

  /** @internal */
  flushScheduled(): void {
    this.scheduled = false
    this.flush()
  }

  private flush(): void {
    if (this.corks > 0 || this.writing || this.queue.length === 0) return
    const frames = this.queue as unknown as NonEmptyReadonlyArray<Frame>
    this.queue = noFrames
    this.inFlight = this.queued
    this.queued = 0
    const port = this.currentPort()
    if (port !== undefined) {
      const taken = port.sendNow(frames)
      if (taken === undefined) this.shutdown()
      else if (taken) this.written()
      else this.await(port.room)
    } else this.await(frames.length === 1 ? this.writer.write(frames[0]) : this.writer.writeAll(frames))
  }

  private currentPort(): SyncPort | undefined {
    if (!isSyncWriter(this.writer)) return undefined
    const port = this.writer[SyncWriterId]()
    if (port !== this.port) {
      this.port = port
      if (port !== undefined) {
        port.backlog = () => this.queued
        port.account = () => this.account
      }
    }
    return port
  }

  /** Nothing further is written until this write has ended. */
  private await(write: Effect.Effect<void, Socket.SocketError>): void {
    // first: where both ends are in one process, the peer may answer, and be answered, before the write returns
    this.writing = true
    const fiber = Effect.runForkWith(this.context)(write)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      this.writing = false
      this.ended(exit)
      if (this.queue.length > 0) this.schedule()
      return
    }
    this.fiber = fiber
    fiber.addObserver((exit) => {
      this.fiber = undefined
      this.writing = false
      this.ended(exit)
      this.flush()
    })
  }

  private ended(exit: Exit.Exit<void, Socket.SocketError>): void {
    if (exit._tag === "Failure") this.shutdown()
    else this.written()
  }

  private written(): void {
    this.inFlight = 0
    if (this.charged > 0) {
      this.opened!.give(this.charged)
      this.charged = 0
    }
    if (this.waiters.length > 0) this.wake()
  }

  private wake(): void {
    const waiters = this.waiters
    this.waiters = noWaiters
    const left: Array<Waiter> = []
    for (const waiter of waiters) {
      if (this.closed || this.waiting() <= waiter.limit) waiter.resume()
      else left.push(waiter)
    }
    if (left.length > 0) this.waiters = [...left, ...this.waiters]
  }

  /** The scope has ended: what the carrier takes without waiting still goes. */
  release(): void {
    if (!this.closed && this.currentPort() !== undefined) this.flush()
    this.shutdown()
  }

  private shutdown(): void {
    this.closed = true
    this.charged = 0
    this.opened?.close()
    this.queue = noFrames
    this.queued = 0
    this.inFlight = 0
    // a socket that dials again would write it to its next connection
    this.fiber?.interruptUnsafe()
    if (this.waiters.length > 0) this.wake()
  }

  drained(limit = 0): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.closed || this.waiting() <= limit) return resume(Effect.void)
      const waiter: Waiter = { limit, resume: () => resume(Effect.void) }
      if (this.waiters === noWaiters) this.waiters = [waiter]
      else this.waiters.push(waiter)
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
      })
    })
  }

  close(code = 1000, reason?: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      this.closing = true
      this.flush()
      const write = Effect.suspend(() => {
        if (this.closed) return Effect.void
        this.shutdown()
        return Effect.ignore(this.writer.write(new Socket.CloseEvent(code, reason)))
      })
      // who gives up waiting for the peer still closes: the carrier knows how long it waits for an answer
      return Effect.andThen(
        Effect.onInterrupt(this.drained(), () => Effect.sync(() => void Effect.runForkWith(this.context)(write))),
        write
      )
    })
  }
}
