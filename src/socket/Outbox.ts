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
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"

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
  /** Writes a close frame after everything that waits, then refuses further frames. */
  readonly close: (code?: number, reason?: string) => Effect.Effect<void>
  /** `true` once closed, by {@link Outbox.close}, by a failed write, or with its scope. */
  readonly isClosed: () => boolean
}

/**
 * Makes an outbox on the writer of a socket. It closes with the scope; what waits then is dropped.
 *
 * **Gotchas**
 *
 * A write that fails closes the outbox without an error: the reader of the same socket is where a lost connection shows.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (writer: Socket.Writer): Effect.Effect<Outbox, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) =>
    Effect.acquireRelease(
      Effect.sync(() => new OutboxImpl(writer, Context.omit()(context) as Context.Context<never>)),
      (outbox) => Effect.sync(() => outbox.shutdown())
    )
  )

const lengthOf = (frame: string | Uint8Array): number => frame.length

interface Waiter {
  readonly limit: number
  readonly resume: () => void
}

class OutboxImpl implements Outbox {
  private queue: Array<string | Uint8Array> = []
  private queued = 0
  private inFlight = 0
  private corks = 0
  private scheduled = false
  private writing = false
  private closed = false
  private waiters: Array<Waiter> = []
  private readonly fork: (effect: Effect.Effect<void, Socket.SocketError>) => Fiber.Fiber<void, Socket.SocketError>
  readonly send: Outbox["send"]
  readonly cork: Outbox["cork"]
  readonly uncork: Outbox["uncork"]
  readonly waiting: Outbox["waiting"]
  readonly isClosed: Outbox["isClosed"]
  private readonly writer: Socket.Writer

  constructor(writer: Socket.Writer, context: Context.Context<never>) {
    this.writer = writer
    this.fork = Effect.runForkWith(context)
    const flush = () => {
      this.scheduled = false
      this.flush()
    }
    this.send = (frame) => {
      if (this.closed) return false
      this.queue.push(frame)
      this.queued += lengthOf(frame)
      if (this.corks === 0 && !this.writing && !this.scheduled) {
        this.scheduled = true
        queueMicrotask(flush)
      }
      return true
    }
    this.cork = () => {
      this.corks++
    }
    this.uncork = () => {
      if (--this.corks === 0) this.flush()
    }
    this.waiting = () => this.queued + this.inFlight
    this.isClosed = () => this.closed
  }

  private flush(): void {
    if (this.corks > 0 || this.writing || this.queue.length === 0) return
    const frames = this.queue as unknown as NonEmptyReadonlyArray<string | Uint8Array>
    this.queue = []
    this.inFlight = this.queued
    this.queued = 0
    const fiber = this.fork(frames.length === 1 ? this.writer.write(frames[0]) : this.writer.writeAll(frames))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return this.written(exit)
    this.writing = true
    fiber.addObserver((exit) => {
      this.writing = false
      this.written(exit)
      this.flush()
    })
  }

  private written(exit: Exit.Exit<void, Socket.SocketError>): void {
    this.inFlight = 0
    if (exit._tag === "Failure") this.shutdown()
    else if (this.waiters.length > 0) this.wake()
  }

  private wake(): void {
    const ready = this.waiters.filter((waiter) => this.closed || this.waiting() <= waiter.limit)
    if (ready.length === 0) return
    this.waiters = this.waiters.filter((waiter) => !ready.includes(waiter))
    for (const waiter of ready) waiter.resume()
  }

  shutdown(): void {
    this.closed = true
    this.queue = []
    this.queued = 0
    this.wake()
  }

  drained(limit = 0): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.closed || this.waiting() <= limit) return resume(Effect.void)
      const waiter: Waiter = { limit, resume: () => resume(Effect.void) }
      this.waiters.push(waiter)
      return Effect.sync(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter)
      })
    })
  }

  close(code = 1000, reason?: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.void
      this.flush()
      return Effect.andThen(
        this.drained(),
        Effect.suspend(() => {
          if (this.closed) return Effect.void
          this.shutdown()
          return Effect.ignore(this.writer.write(new Socket.CloseEvent(code, reason)))
        })
      )
    })
  }
}
