/**
 * The receiving side of one connection: frames come in synchronously, a fiber pulls them out in batches, and the end of
 * the connection is handed over after the last frame.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Socket from "effect/socket/Socket"

export type Frame = Uint8Array | string

export type Batch = NonEmptyReadonlyArray<Frame>

const none: Array<Frame> = []

export class Inbox {
  private frames: Array<Frame> = none
  /** Frames were left of a batch: they are not pulled in the same breath. */
  private isPaced = false
  private waiter: ((effect: Effect.Effect<Batch, Socket.SocketError>) => void) | undefined = undefined
  /** Set once the connection has ended. */
  error: Socket.SocketError | undefined = undefined

  /** Called each time a batch was handed over: there is room again. */
  protected onTake(_batch: Batch): void {}

  /** How many of the frames that wait are handed over at once. */
  protected part(frames: ReadonlyArray<Frame>): number {
    return frames.length
  }

  /** Called where a reader waits for what was left of a batch: {@link Inbox.deliver} is to be called. */
  protected onLeft(): void {}

  get length(): number {
    return this.frames.length
  }

  get isAwaited(): boolean {
    return this.waiter !== undefined
  }

  /** Adds a frame without waking the reader. */
  add(frame: Frame): void {
    if (this.error !== undefined) return
    if (this.frames === none) this.frames = [frame]
    else this.frames.push(frame)
  }

  /** The last frame that waits, taken back. */
  pop(): Frame | undefined {
    return this.frames === none ? undefined : this.frames.pop()
  }

  /** Hands what waits, or the end, to the reader that waits for it. */
  deliver(): void {
    const resume = this.waiter
    if (resume === undefined) return
    if (this.frames.length > 0) {
      this.waiter = undefined
      resume(Effect.succeed(this.take()))
    } else if (this.error !== undefined) {
      this.waiter = undefined
      resume(Effect.fail(this.error))
    }
  }

  /** Ends the connection; frames that wait can still be pulled. */
  fail(error: Socket.SocketError): void {
    this.error ??= error
    this.deliver()
  }

  /** Ends the connection and drops what waits. */
  abort(error: Socket.SocketError): void {
    this.frames = none
    this.fail(error)
  }

  private take(): Batch {
    const { frames } = this
    const count = this.part(frames)
    this.isPaced = count < frames.length
    const batch = (this.isPaced ? frames.splice(0, count) : frames) as unknown as Batch
    if (!this.isPaced) this.frames = none
    this.onTake(batch)
    return batch
  }

  readonly pull: Effect.Effect<Batch, Socket.SocketError> = Effect.callback<Batch, Socket.SocketError>((resume) => {
    if (this.frames.length > 0 && !this.isPaced) return resume(Effect.succeed(this.take()))
    if (this.error !== undefined && this.frames.length === 0) return resume(Effect.fail(this.error))
    this.waiter = resume
    if (this.isPaced) this.onLeft()
    return Effect.sync(() => {
      if (this.waiter === resume) this.waiter = undefined
    })
  })
}
