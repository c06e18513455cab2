/**
 * What goes out, and what becomes of it: the words of the client half, whose machine is in `calls.ts`.
 */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Reconnect from "../../socket/Reconnect.ts"

/**
 * Why an entry did not get its answer. `maybeExecuted` is false for what was never on a line, neither this one nor one before.
 *
 * @internal
 */
export interface Failure {
  readonly kind: "Offline" | "Lost" | "Ended" | "Full" | "Timeout"
  readonly detail: string
  readonly maybeExecuted: boolean
  readonly cause: unknown
}

/**
 * What the calls of one client, or of all connections of a server, have in common.
 *
 * @internal
 */
export interface Limits {
  /** Whether what is made while there is no connection waits for the next. */
  readonly waits: boolean
  readonly maxCalls: number
  readonly maxInFlight: number
  readonly maxQueued: number
  /** Milliseconds. */
  readonly timeout: number
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  /** Why there is no connection, and where it was to lead, for people. */
  readonly describe: (status: Reconnect.Status) => string
}

/** What an entry costs besides its frame. */
const overhead = 512

/** The connection of an entry that is over. @internal */
export const settled = -1

/**
 * Something that goes out: a notification, or, as a {@link Call}, what is answered.
 *
 * @internal
 */
export class Entry<F> {
  /** Its place in the log. */
  seq = 0
  /** 0 at home, the number of the connection that carried it, -1 when it is settled. */
  connection = 0
  /** Whether a line that is lost had taken it. */
  wasSent = false
  batch: Batch<F> | undefined = undefined
  frame: F
  readonly weight: number

  constructor(frame: F, length: number) {
    this.frame = frame
    this.weight = length + overhead
  }
  /** Whether it waits for the next connection, whatever is said of entries in general. */
  get persists(): boolean {
    return false
  }
}

/**
 * An entry that waits for an answer. It is settled once: by what `Calls.take` gives it to, or by {@link Call.lost}.
 *
 * @internal
 */
export abstract class Call<F> extends Entry<F> {
  readonly id: number
  readonly idempotent: boolean
  /** Whether it is given up after a time; streams are not, they may be silent for long. */
  readonly timed: boolean
  /** When it is given up, in milliseconds of the monotonic clock. */
  deadline = Infinity

  constructor(id: number, frame: F, length: number, idempotent: boolean, timed: boolean) {
    super(frame, length)
    this.id = id
    this.idempotent = idempotent
    this.timed = timed
  }
  abstract lost(failure: Failure): void
  /** Whether the peer may have it, or have had it: to be asked before it is settled. */
  get maybeExecuted(): boolean {
    return this.wasSent || this.connection > 0
  }
  /**
   * Whether it is to be sent again on the next connection, after it was lost with one. What has heard something of its
   * answer may change its frame here, to go on where it stopped.
   */
  goesAgain(): boolean {
    return this.idempotent
  }
}

/** Who sends a batch when it is complete. */
interface Owner<F> {
  readonly flush: (batch: Batch<F>) => void
}

/**
 * Entries that go out in one frame. It takes those of one client half: those of another go out by themselves.
 *
 * @internal
 */
export class Batch<F> {
  seq = 0
  entries: Array<Entry<F>> = []
  isOpen = true
  private owner: Owner<F> | undefined

  /** `false` where the entry has to go by itself. */
  add(owner: Owner<F>, entry: Entry<F>): boolean {
    if (!this.isOpen || (this.owner !== undefined && this.owner !== owner)) return false
    this.owner = owner
    entry.batch = this
    this.entries.push(entry)
    return true
  }
  /** Is no more: those of its calls that persist. */
  dissolve(): ReadonlyArray<Call<F>> {
    const persisting: Array<Call<F>> = []
    for (const entry of this.entries) {
      if (entry instanceof Call && entry.persists) persisting.push(entry)
    }
    for (const call of persisting) call.batch = undefined
    return persisting
  }
  get weight(): number {
    return this.entries.reduce((sum, entry) => sum + entry.weight, 0)
  }
  get calls(): number {
    return this.entries.reduce((sum, entry) => entry instanceof Call ? sum + 1 : sum, 0)
  }
  /** Takes no more, and goes out. */
  flush(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.owner?.flush(this)
  }
}

/** @internal */
export type Item<F> = Entry<F> | Batch<F>
