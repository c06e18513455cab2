/**
 * The words of the queue; `MessageQueue` gives them on.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type { Delivery, Message, PayloadInput, Status } from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"

/**
 * How a message is pushed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushOptions {
  /** The sending node. Default: the layer's `node`. */
  readonly source?: string | undefined
  /** Not before this long from now. */
  readonly delay?: Duration.Input | undefined
  /** Not before this time; a time that has passed means now. `delay` goes before. */
  readonly at?: DateTime.Utc | Date | undefined
  /** A word of the sender for what the message is about. 1 to 255 printable ASCII characters, as the other words below. */
  readonly topic?: string | undefined
  /** What is remembered as the type of the payload. Default: the content type that the payload's kind has. */
  readonly payloadType?: string | undefined
  /** What travels with the payload: printable names, text; 4,096 characters together at most. Not over the Scirocco wire. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Higher goes first, -32,768 to 32,767. Default 0. */
  readonly priority?: number | undefined
  /** A second push to the same destination with the same key, within the window, gives the first message and adds none. */
  readonly deduplicationKey?: string | undefined
  /** How long the deduplication key holds, from the push on. Default: 5 minutes. */
  readonly deduplicationWindow?: Duration.Input | undefined
  /**
   * Messages of one destination with the same key are delivered strictly in the order of their pushes: none before its
   * predecessor is acknowledged, dead or removed. Other messages go on meanwhile. A delayed message holds its followers.
   */
  readonly orderingKey?: string | undefined
  /**
   * What becomes of its ordering key when this message dies: `true` stops it, none of the messages after it is delivered until
   * it is redriven, rescheduled or removed; meanwhile it is kept beyond its retention. Needs an `orderingKey`. Default `false`.
   */
  readonly stopKey?: boolean | undefined
  /** After so many pulls without ack the message is dead, 1 to 32,767. Default: the layer's `maxTries`. */
  readonly maxTries?: number | undefined
}

/**
 * One message of a `pushMany`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry extends PushOptions {
  readonly destination: string
  readonly payload: PayloadInput
}

/**
 * How a message is pulled.
 *
 * @category models
 * @since 0.1.0
 */
export interface PullOptions {
  /** How long to wait when there is nothing. Default: not at all. */
  readonly wait?: Duration.Input | undefined
  /** How long the message is held; `Infinity` never gives it back. Default: the layer's `lease`. */
  readonly lease?: Duration.Input | undefined
}

/**
 * Who gives a message back, with what. A {@link Delivery} is one. Without a lease, as on the Scirocco wire, the message is
 * named by its id and the pulling node, for as long as it is `processing`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  readonly id: string
  readonly destination: string
  readonly lease?: { readonly token: string } | undefined
}

/**
 * One page of messages, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly messages: ReadonlyArray<Message>
  /** Where the next page begins; absent at the end. */
  readonly cursor?: string | undefined
}

/**
 * How many messages are in each status.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = { readonly [S in Status]: number }

/**
 * The operations of a queue: what the service `MessageQueue` is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /**
   * Adds a message. When it succeeds the message is as durable as the layer says. When it is interrupted the message may
   * have been added.
   */
  readonly push: (
    destination: string,
    payload: PayloadInput,
    options?: PushOptions
  ) => Effect.Effect<Message, MessageQueueError>
  /**
   * Adds all of these messages or none, and gives them in the same order. (On the original Scirocco server: one after the
   * other.)
   */
  readonly pushMany: (entries: ReadonlyArray<Entry>) => Effect.Effect<ReadonlyArray<Message>, MessageQueueError>
  /** Takes the first message for this node, waiting for one up to `wait`. Interruption leaves nothing held. */
  readonly pull: (node: string, options?: PullOptions) => Effect.Effect<Option.Option<Delivery>, MessageQueueError>
  /** Takes up to `max` messages (default 10, at most 1,000), waiting for the first one up to `wait`. */
  readonly pullMany: (
    node: string,
    options?: PullOptions & { readonly max?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<Delivery>, MessageQueueError>
  /** The work is done. `LeaseLost` when the caller does not hold the message any more. */
  readonly ack: (held: Held) => Effect.Effect<void, MessageQueueError>
  /**
   * The work on all of these is done. Gives the ids of those that the caller does not hold any more, in their order; nothing
   * was done about them, and the others are acknowledged. (On the original Scirocco server: one after the other.)
   */
  readonly ackMany: (held: ReadonlyArray<Held>) => Effect.Effect<ReadonlyArray<string>, MessageQueueError>
  /**
   * The work failed: the message becomes pullable again after `delay` (default: at once), or dead after its `maxTries`.
   * The cause is remembered. `LeaseLost` as in `ack`.
   */
  readonly nack: (held: Held, options?: {
    readonly delay?: Duration.Input | undefined
    readonly cause?: string | undefined
  }) => Effect.Effect<void, MessageQueueError>
  /** The work cannot succeed: the message is dead at once. `LeaseLost` as in `ack`. */
  readonly reject: (held: Held, options?: { readonly cause?: string | undefined }) => Effect.Effect<
    void,
    MessageQueueError
  >
  /**
   * The work was not begun: the message becomes pullable again after `delay` (default: at once), and this try does not count.
   * `LeaseLost` as in `ack`.
   */
  readonly release: (held: Held, options?: { readonly delay?: Duration.Input | undefined }) => Effect.Effect<
    void,
    MessageQueueError
  >
  /** The work goes on: the lease ends so long from now (default: the layer's `lease`). `LeaseLost` as in `ack`. */
  readonly extend: (held: Held, lease?: Duration.Input) => Effect.Effect<void, MessageQueueError>
  /** One message, when `node` is its source or destination. */
  readonly get: (id: string, options?: { readonly node?: string | undefined }) => Effect.Effect<
    Option.Option<Message>,
    MessageQueueError
  >
  /** Messages whose source or destination is `node`, oldest first, at most `limit` (default 100, at most 1,000). */
  readonly list: (options?: {
    readonly node?: string | undefined
    readonly status?: Status | undefined
    readonly limit?: number | undefined
    readonly cursor?: string | undefined
  }) => Effect.Effect<Page, MessageQueueError>
  /** Replaces the payload of a pending or scheduled message of the source `node`; its type stays. Else `MessageNotFound`. */
  readonly update: (id: string, payload: PayloadInput, options?: {
    readonly node?: string | undefined
  }) => Effect.Effect<Message, MessageQueueError>
  /**
   * Removes a pending or scheduled message of the source `node`; says whether there was one. With `anyStatus` whatever its
   * status: a dead or processed one is forgotten; of one that is held the handler is interrupted at its next heartbeat, and
   * what its holder says fails with `LeaseLost`.
   */
  readonly remove: (id: string, options?: {
    readonly node?: string | undefined
    readonly anyStatus?: boolean | undefined
  }) => Effect.Effect<boolean, MessageQueueError>
  /**
   * Changes when a pending or scheduled message of the source `node` is due; a time that has passed means now. A dead message
   * for the destination `node` is redriven at that time. Its place in the order of its key stays. Else `MessageNotFound`.
   * `Unsupported` on the original Scirocco server.
   */
  readonly reschedule: (id: string, at: DateTime.Utc | Date, options?: {
    readonly node?: string | undefined
  }) => Effect.Effect<Message, MessageQueueError>
  /** Removes all pending and scheduled messages of the source `node`; says how many. */
  readonly removeAll: (options?: { readonly node?: string | undefined }) => Effect.Effect<number, MessageQueueError>
  /** Removes every message, whatever its status, of everybody; says how many. */
  readonly clear: Effect.Effect<number, MessageQueueError>
  /** Brings dead messages back as pending, with no tries: all, or those for a node, or those with these ids. */
  readonly redrive: (options?: {
    readonly node?: string | undefined
    readonly ids?: ReadonlyArray<string> | undefined
  }) => Effect.Effect<number, MessageQueueError>
  /** How many messages are in each status: of all, or of those for a node. Its cost grows with the number of messages. */
  readonly counts: (options?: { readonly node?: string | undefined }) => Effect.Effect<Counts, MessageQueueError>
}

/**
 * What the layers in memory and on SQL have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The node that pushes when the call names none. Default `"0"`. */
  readonly node?: string | undefined
  /**
   * How long a puller holds a message when it does not say. Default 30 minutes, for clients that know no leases;
   * `consume` asks for 30 seconds. `Infinity` switches leases off: what a dead puller held is `processing` for ever.
   */
  readonly lease?: Duration.Input | undefined
  /** After so many pulls without ack a message is dead. Default 20. */
  readonly maxTries?: number | undefined
  /** Bytes of a payload, at most. Default 1 MiB. */
  readonly maxPayload?: number | undefined
  /** How often waiting pulls look by themselves, whatever they are told. Default 500 ms; in memory, where nobody else writes, 5 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long processed messages are kept. Default 1 day. `Infinity` keeps them. */
  readonly retention?: Duration.Input | undefined
  /** How long dead messages are kept. Default 30 days. `Infinity` keeps them. */
  readonly deadRetention?: Duration.Input | undefined
  /**
   * How often messages past their retention are removed, and, while nobody waits, what is due is made ready or dead. Default
   * 1 minute.
   */
  readonly retentionInterval?: Duration.Input | undefined
  /** How long the end of the layer waits for what was asked before it and is not done yet. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/**
 * What the layer on SQL has besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqlOptions extends Options {
  /** The beginning of the names of everything in the database. Default `effect_wire_queue`. */
  readonly prefix?: string | undefined
  /** Brings the tables to the present version when the layer starts. Default `true`. */
  readonly migrate?: boolean | undefined
}

/**
 * How {@link consume} works.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumeOptions {
  /** How many handlers run at once. Default 1. */
  readonly concurrency?: number | undefined
  /** How many messages are held besides, so that the next is there when a handler ends. Default 0. */
  readonly prefetch?: number | undefined
  /** How long a message is held without a heartbeat. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /** How often the lease is extended while the handler runs. Default: a third of the lease. */
  readonly heartbeat?: Duration.Input | undefined
  /**
   * How long a message rests after its first, second, … failure; when the schedule ends, the message is dead. Default:
   * from 1 second on, doubled each time to at most 5 minutes, jittered.
   */
  readonly backoff?: Schedule.Schedule<unknown, unknown> | undefined
  /** After so many tries a failing message is dead. Default: the message's own `maxTries`, which is never exceeded. */
  readonly maxTries?: number | undefined
  /** How long one pull waits. Default 20 seconds. */
  readonly wait?: Duration.Input | undefined
  /**
   * When this completes, no more is taken: the handlers that run come to their end, and then `consume` succeeds. Default:
   * never. Its failure is a defect.
   */
  readonly drain?: Effect.Effect<unknown> | undefined
}

/**
 * How {@link stream} pulls.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions {
  /** How many messages are pulled at once. Default 1. */
  readonly max?: number | undefined
  /** Default: the layer's. */
  readonly lease?: Duration.Input | undefined
  /** How long one pull waits. Default 20 seconds. */
  readonly wait?: Duration.Input | undefined
}
