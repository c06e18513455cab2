/**
 * A connection in memory: two ends, and what lies between them.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import { type Frame, Inbox } from "./inbox.ts"
import { closeError, writeError } from "./socketErrors.ts"

const encoder = new TextEncoder()

/**
 * How a connection in memory behaves.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Each frame, and the close, reaches the other end this much later. Default 0: at once. */
  readonly latency?: Duration.Input | undefined
  /**
   * The connection is lost (close code 1006 at both ends) when this many frames have been delivered, both directions
   * counted together. A new connection of the same socket counts from 0. Default: never.
   */
  readonly cutAfter?: number | undefined
  /**
   * Frames that may wait unread at one end; a `write` beyond it is accepted and then suspends until the other end has
   * read. Default 1,024.
   */
  readonly capacity?: number | undefined
  /**
   * Makes the carrier a stream of bytes, like TCP: text arrives as UTF-8 bytes, cut into chunks of at most this many
   * bytes, and what waits unread is merged up to that size. `Infinity` merges everything, 1 delivers byte by byte.
   * Default: frames arrive as they were written.
   */
  readonly chunkSize?: number | undefined
}

/**
 * What both ends of one connection share.
 *
 * @internal
 */
export class Line {
  delivered = 0
  readonly latency: number
  readonly cutAfter: number
  readonly capacity: number
  readonly chunkSize: number | undefined
  readonly ends: readonly [End, End]

  constructor(options: Options) {
    this.latency = options.latency === undefined ? 0 : Duration.toMillis(Duration.fromInputUnsafe(options.latency))
    this.cutAfter = options.cutAfter ?? Infinity
    this.capacity = options.capacity ?? 1024
    this.chunkSize = options.chunkSize === undefined ? undefined : Math.max(1, options.chunkSize)
    const left = new End(this)
    const right = new End(this)
    left.peer = right
    right.peer = left
    this.ends = [left, right]
  }
}

/**
 * One end of a connection in memory.
 *
 * @internal
 */
export class End extends Inbox {
  peer!: End
  /** Frames written by the peer and still on their way, oldest first. */
  private readonly onTheWay: Array<Frame | Socket.CloseEvent> = []
  private waiters: Array<() => void> = []
  private readonly line: Line

  constructor(line: Line) {
    super()
    this.line = line
  }

  protected override onTake(): void {
    const waiters = this.waiters
    this.waiters = []
    for (const wake of waiters) wake()
  }

  private get isFull(): boolean {
    return this.length + this.onTheWay.length > this.line.capacity
  }

  /** Frames from the peer. */
  private receive(item: Frame | Socket.CloseEvent): void {
    if (this.error !== undefined) return
    if (typeof item === "object" && Socket.isCloseEvent(item)) {
      return this.end(closeError(item.code, item.reason))
    }
    if (this.line.chunkSize === undefined) this.add(item)
    else this.chunks(typeof item === "string" ? encoder.encode(item) : item, this.line.chunkSize)
    this.deliver()
    if (++this.line.delivered >= this.line.cutAfter) {
      const cut = closeError(1006)
      this.end(cut)
      this.peer.end(cut)
    }
  }

  private chunks(bytes: Uint8Array, size: number): void {
    const last = this.pop() as Uint8Array | undefined
    let all = bytes
    if (last !== undefined) {
      all = new Uint8Array(last.length + bytes.length)
      all.set(last)
      all.set(bytes, last.length)
    }
    if (all.length <= size) return this.add(all)
    for (let at = 0; at < all.length; at += size) this.add(all.subarray(at, at + size))
  }

  /** The connection is over for this end: readers get the error after what waits, writers at once. */
  end(error: Socket.SocketError): void {
    this.onTheWay.length = 0
    this.fail(error)
    const waiters = this.peer.waiters
    this.peer.waiters = []
    for (const wake of waiters) wake()
  }

  /** Sends to the peer: at once, or after the latency, always in order. */
  private send(item: Frame | Socket.CloseEvent): Effect.Effect<void> {
    const peer = this.peer
    if (this.line.latency === 0) {
      peer.receive(item)
      return Effect.void
    }
    peer.onTheWay.push(item)
    return Effect.asVoid(Effect.forkDetach(
      Effect.andThen(
        Effect.sleep(this.line.latency),
        Effect.sync(() => {
          const next = peer.onTheWay.shift()
          if (next !== undefined) peer.receive(next)
        })
      ),
      { startImmediately: true }
    ))
  }

  readonly write = (chunk: Frame | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> =>
    Effect.suspend(() => {
      if (this.error !== undefined) return Effect.fail(writeError(this.error))
      const sent = this.send(chunk)
      if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) {
        return Effect.andThen(sent, Effect.sync(() => this.end(closeError(chunk.code, chunk.reason))))
      }
      return this.peer.isFull ? Effect.andThen(sent, this.room) : sent
    })

  readonly writeAll = (chunks: NonEmptyReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> =>
    Effect.forEach(chunks, this.write, { discard: true })

  /** Completes when the peer has room again. */
  private readonly room: Effect.Effect<void, Socket.SocketError> = Effect.callback<void, Socket.SocketError>(
    (resume) => {
      const peer = this.peer
      const wake = () => {
        if (this.error !== undefined) resume(Effect.fail(writeError(this.error)))
        else if (peer.isFull) peer.waiters.push(wake)
        else resume(Effect.void)
      }
      wake()
      return Effect.sync(() => {
        peer.waiters = peer.waiters.filter((other) => other !== wake)
      })
    }
  )

  /** The server takes no more connections. */
  refuse(): void {
    const error = closeError(1013, "too many connections")
    this.end(error)
    this.peer.end(error)
  }

  /** The reader let go: a pull that is suspended fails, and the peer is told. */
  release(code: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const open = this.error === undefined
      this.abort(closeError(1006))
      return open ? this.send(new Socket.CloseEvent(code)) : Effect.void
    })
  }
}
