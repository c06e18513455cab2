/**
 * @internal What messages are inside, the words that change them, and what the engine asks of a place that keeps them.
 */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { Counts } from "./messageQueueModel.ts"

type Result<A> = Effect.Effect<A, MessageQueueError>

/** How messages stand inside: a status of the wire, and whether a message waits behind one with the same ordering key. */
export const State = {
  ready: 0,
  readyBlocked: 1,
  scheduled: 2,
  scheduledBlocked: 3,
  processing: 4,
  processed: 5,
  dead: 6
} as const

const statuses: ReadonlyArray<Message.Status> = [
  "pending",
  "pending",
  "scheduled",
  "scheduled",
  "processing",
  "processed",
  "dead"
]

export const statusOf = (state: number): Message.Status => statuses[state]!

/** The states of a status. */
export const statesOf = (status: Message.Status): ReadonlyArray<number> =>
  statuses.flatMap((name, state) => name === status ? [state] : [])

/** What is remembered of a lease that ran out. */
export const leaseRanOut = "the lease ran out"

/** A valid message on its way in. Times are epoch milliseconds, durations milliseconds. */
export interface NewMessage {
  readonly source: string
  readonly destination: string
  readonly topic: string | null
  readonly priority: number
  readonly orderingKey: string | null
  readonly stopKey: boolean
  readonly deduplicationKey: string | null
  readonly deduplicationWindow: number
  readonly maxTries: number
  readonly payload: Encoded
  /** What was pushed, to be given back as it is. */
  readonly value: Message.Payload
  readonly headers: Readonly<Record<string, string>> | null
  readonly at: number | null
  readonly delay: number | null
}

/** A payload as it is kept. */
export interface Encoded {
  /** 0 JSON, 1 text, 2 bytes. */
  readonly kind: number
  readonly type: string
  /** JSON and text as text, bytes as bytes. */
  readonly data: string | Uint8Array
}

/** What is known of a message that is kept. Times are epoch milliseconds. */
export interface Stored {
  readonly seq: number
  /** A name that it had before names came from the sequence. */
  readonly formerId: string | null
  readonly source: string
  readonly destination: string
  readonly topic: string | null
  readonly priority: number
  readonly orderingKey: string | null
  readonly deduplicationKey: string | null
  readonly maxTries: number
  readonly headers: Readonly<Record<string, string>> | null
  readonly payloadType: string
  readonly payloadKind: number
  readonly payload: string | Uint8Array
  /** Whether its ordering key stops when it dies. */
  readonly stopKey: boolean
  readonly createdAt: number
  readonly updatedAt: number | null
  readonly scheduledAt: number | null
  readonly state: number
  readonly tries: number
  /** When a scheduled message becomes ready, or a lease ends. */
  readonly dueAt: number | null
  readonly token: string | null
  readonly processingAt: number | null
  /** When it was processed or died. */
  readonly finishedAt: number | null
  readonly errorAt: number | null
  readonly error: string | null
}

export const Op = { ack: 0, nack: 1, reject: 2, extend: 3, release: 4 } as const

export type Op = (typeof Op)[keyof typeof Op]

/** One holder's word about one message. Without a token: by the node, while the message is processing. */
export interface Finish {
  readonly op: Op
  readonly id: string
  readonly destination: string
  readonly token: string | null
  /** `nack`, `release`: until it is pullable again. `extend`: the new lease, `null` without end. */
  readonly millis: number | null
  readonly cause: string | null
}

export interface Claim {
  readonly node: string
  readonly max: number
  /** Milliseconds; `null` without end. */
  readonly lease: number | null
}

export interface Pushed {
  readonly message: Message.Message
  /** Whether somebody who waits should look. */
  readonly wake: boolean
}

export interface Finished {
  /** Whether the holder held it. */
  readonly held: boolean
  readonly wake: boolean
}

/** What was not done, since somebody's transaction holds what it needs: to be asked again a little later. */
export const busy: unique symbol = Symbol("busy")
export type Busy = typeof busy

/** What is done often, and together. Each push is all or none; what belongs together is one. */
export interface Work {
  readonly pushes: ReadonlyArray<ReadonlyArray<NewMessage>>
  readonly finishes: ReadonlyArray<Finish>
  readonly claims: ReadonlyArray<Claim>
}

export interface Done {
  readonly pushed: ReadonlyArray<ReadonlyArray<Pushed> | Busy>
  readonly finished: ReadonlyArray<Finished | Busy>
  readonly claimed: ReadonlyArray<ReadonlyArray<Message.Delivery>>
}

/** What a change did, and whom to wake. */
export interface Changed {
  readonly count: number
  readonly wake: ReadonlyArray<string>
}

/** A message with another time; `left` milliseconds until then, 0 where it has passed. */
export interface Rescheduled {
  readonly message: Message.Message
  readonly left: number
}

/** A change of many messages, a slice at a time: `next` goes on, until it is absent. */
export interface Slice extends Changed {
  readonly next?: number | undefined
}

export interface Store {
  /** One writer at a time: everything that waits goes together. Else kinds of work run beside one another. */
  readonly grouped: boolean
  /** Does it in one transaction; fails as a whole. */
  readonly perform: (work: Work) => Result<Done>
  /**
   * The same at once, before anything else of the process runs; `undefined` when it would have to wait. Absent where a
   * database is asked over a connection.
   */
  readonly performNow?: (work: Work) => Exit.Exit<Done, MessageQueueError> | undefined
  /** The same inside the transaction of the calling fiber, waiting for others' locks where it must. */
  readonly performWithin: (work: Work) => Result<Done>
  /** The transaction of the calling fiber, if it has one of this store: then nothing of it may be grouped with others. */
  readonly transactionKey: string | undefined
  /** Runs when the caller's transaction commits; at once where there is none. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  /**
   * Makes ready, or dead, what is due, whoever it is for. Says which of these nodes have something to pull, and how many
   * milliseconds it is until something becomes due.
   */
  readonly poll: (nodes: ReadonlyArray<string>) => Result<{
    readonly nodes: ReadonlyArray<string>
    readonly due: number | undefined
  }>
  readonly get: (id: string, node: string | undefined) => Result<Message.Message | undefined>
  readonly list: (options: {
    readonly node: string | undefined
    readonly states: ReadonlyArray<number> | undefined
    readonly limit: number
    readonly after: number
  }) => Result<{ readonly messages: ReadonlyArray<Message.Message>; readonly next?: number }>
  readonly update: (
    id: string,
    payload: Encoded,
    node: string | undefined
  ) => Result<Message.Message | undefined>
  /** Removes what waits, or with `all` whatever it does. */
  readonly remove: (id: string, node: string | undefined, all: boolean) => Result<Changed>
  /** Gives what waits, or is dead, another time (epoch milliseconds), and says how many milliseconds it is until then. */
  readonly reschedule: (id: string, at: number, node: string | undefined) => Result<Rescheduled | undefined>
  /** The highest number given out: what a removal of everything goes up to. */
  readonly last: Result<number>
  /** Removes what waits, or with `all` everything, after this number and up to that. */
  readonly removeSlice: (options: {
    readonly after: number
    readonly upTo: number
    readonly limit: number
    readonly source: string | undefined
    readonly all: boolean
  }) => Result<Slice>
  readonly redrive: (ids: ReadonlyArray<string>, node: string | undefined) => Result<Changed>
  /** Redrives so many that died before `before` (absent: now), and says what now was. */
  readonly redriveSlice: (options: {
    readonly node: string | undefined
    readonly before: number | undefined
    readonly limit: number
  }) => Result<Slice>
  readonly counts: (node: string | undefined) => Result<Counts>
  /** Removes what was finished in this state longer than `retention` milliseconds ago, at most `limit`; says how many. */
  readonly prune: (
    state: typeof State.processed | typeof State.dead,
    retention: number,
    limit: number
  ) => Result<number>
}
