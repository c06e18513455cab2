/**
 * @internal What the engine asks of a place that keeps messages: few operations, each on many messages at once.
 */
import type * as Effect from "effect/Effect"
import type * as Message from "../Message.ts"
import type { Counts, Page } from "../MessageQueue.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"

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

/** A valid message on its way in. Times are epoch milliseconds, durations milliseconds. */
export interface NewMessage {
  readonly id: string
  readonly source: string
  readonly destination: string
  readonly topic: string | null
  readonly priority: number
  readonly orderingKey: string | null
  readonly deduplicationKey: string | null
  readonly deduplicationWindow: number
  readonly maxTries: number
  readonly payload: Encoded
  readonly at: number | null
  readonly delay: number | null
}

/** A payload as it is kept. */
export interface Encoded {
  /** 0 JSON, 1 text (both as UTF-8), 2 bytes. */
  readonly kind: number
  readonly type: string
  readonly bytes: Uint8Array
}

export interface Pushed {
  readonly message: Message.Message
  /** Whether somebody who waits should look. */
  readonly wake: boolean
}

export const Op = { ack: 0, nack: 1, reject: 2, extend: 3, release: 4 } as const

/** One holder's word about one message. Without a token: by the node, while the message is processing. */
export interface Finish {
  readonly op: (typeof Op)[keyof typeof Op]
  readonly id: string
  readonly destination: string
  readonly token: string | null
  /** `nack`: until it is pullable again. `extend`: the new lease, `null` without end. */
  readonly millis: number | null
  readonly cause: string | null
}

export interface Finished {
  /** Whether the holder held it. */
  readonly held: boolean
  readonly wake: boolean
}

/** What is done often, and together with others. */
export interface Batch {
  /** All or none. */
  readonly push: (messages: ReadonlyArray<NewMessage>) => Result<ReadonlyArray<Pushed>>
  /** Makes ready what is due, and takes up to `max` messages for `lease` milliseconds (`null`: without end). */
  readonly claim: (node: string, max: number, lease: number | null) => Result<ReadonlyArray<Message.Delivery>>
  readonly finish: (ops: ReadonlyArray<Finish>) => Result<ReadonlyArray<Finished>>
}

export interface Store extends Batch {
  /** One writer at a time: everything that waits goes through one `atomically`. Else the operations run beside one another. */
  readonly grouped: boolean
  readonly atomically: <A>(work: (batch: Batch) => Result<A>) => Result<A>
  /** Whether the calling fiber is inside a transaction of its own: then nothing of it may be grouped with others. */
  readonly inTransaction: Effect.Effect<boolean>
  /** Runs when the caller's transaction commits; at once where there is none. */
  readonly afterCommit: (effect: Effect.Effect<void>) => Effect.Effect<void>
  /** Milliseconds until the next message of this node becomes due, negative if one is; `undefined` if none ever does. */
  readonly nextDue: (node: string) => Result<number | undefined>
  readonly get: (id: string, node: string | undefined) => Result<Message.Message | undefined>
  readonly list: (options: {
    readonly node: string | undefined
    readonly states: ReadonlyArray<number> | undefined
    readonly limit: number
    readonly after: number
  }) => Result<Page>
  readonly update: (
    id: string,
    payload: Encoded,
    node: string | undefined
  ) => Result<Message.Message | undefined>
  readonly remove: (options: {
    readonly id: string | undefined
    readonly node: string | undefined
  }) => Result<{ readonly count: number; readonly wake: ReadonlyArray<string> }>
  readonly clear: Result<number>
  readonly redrive: (options: {
    readonly node: string | undefined
    readonly ids: ReadonlyArray<string> | undefined
  }) => Result<{ readonly count: number; readonly wake: ReadonlyArray<string> }>
  readonly counts: (node: string | undefined) => Result<Counts>
  /** Removes processed messages older than `retention` milliseconds, at most `limit`; says how many. */
  readonly prune: (retention: number, limit: number) => Result<number>
}
