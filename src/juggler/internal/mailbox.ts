/**
 * Messages of the peer (0.5) that the application has not taken: their number and their bytes are bounded by reading no
 * further, and their bytes count as what the connection holds.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Account } from "../../socket/Budget.ts"
import type { Json } from "../JsonPointer.ts"
import type * as JugglerError from "../JugglerError.ts"

/** A message and the bytes that it costs. */
interface Held {
  readonly payload: Json
  readonly size: number
}

export class Mailbox {
  private readonly queue: Queue.Queue<Held, JugglerError.JugglerError>
  private readonly account: Account
  private readonly maxMessages: number
  private readonly maxBytes: number
  private queued = 0
  private onTaken: (() => void) | undefined

  constructor(
    queue: Queue.Queue<Held, JugglerError.JugglerError>,
    account: Account,
    maxMessages: number,
    maxBytes: number
  ) {
    this.queue = queue
    this.account = account
    this.maxMessages = maxMessages
    this.maxBytes = maxBytes
  }

  /** `false` where there is no room for it in the process. */
  put(payload: Json, size: number): boolean {
    if (!this.account.take(size)) return false
    this.queued += size
    Queue.offerUnsafe(this.queue, { payload, size })
    return true
  }

  /** Whether so many times as much waits as may. */
  isFull(times: number): boolean {
    return Queue.sizeUnsafe(this.queue) >= this.maxMessages * times || this.queued > this.maxBytes * times
  }

  /** The next message; fails once it has ended and all were taken. */
  get take(): Effect.Effect<Json, JugglerError.JugglerError> {
    return Effect.map(Queue.take(this.queue), ({ payload, size }) => {
      this.queued -= size
      this.account.give(size)
      this.onTaken?.()
      return payload
    })
  }

  /** Completes when a message was taken. */
  get onceTaken(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.onTaken = () => resume(Effect.void)
      return Effect.sync(() => {
        this.onTaken = undefined
      })
    })
  }

  /** Completes when all messages were taken. */
  get allTaken(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.queue.state._tag === "Done" || Queue.sizeUnsafe(this.queue) === 0
        ? Effect.void
        : Effect.andThen(this.onceTaken, this.allTaken)
    )
  }

  /** Nothing more comes. */
  end(error: JugglerError.JugglerError): void {
    Queue.failCauseUnsafe(this.queue, Cause.fail(error))
  }
}

export const make: (
  account: Account,
  maxMessages: number,
  maxBytes: number
) => Effect.Effect<Mailbox> = (account, maxMessages, maxBytes) =>
  Effect.map(
    Queue.unbounded<Held, JugglerError.JugglerError>(),
    (queue) => new Mailbox(queue, account, maxMessages, maxBytes)
  )
