/**
 * The words of typed queues. `Queue` gives them on.
 *
 * @since 0.2.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type * as Message from "../Message.ts"
import type * as MessageQueue from "../MessageQueue.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { Dead, Permanent } from "./permanent.ts"

/**
 * How a typed message is pushed: as any message, but for what the queue decides itself.
 *
 * @category models
 * @since 0.2.0
 */
export interface PushOptions extends Omit<MessageQueue.PushOptions, "payloadType"> {}

/**
 * A message with its payload decoded.
 *
 * @category models
 * @since 0.2.0
 */
export interface Delivery<out A> {
  readonly payload: A
  /** The message as the queue gives it, with its lease: what `ack`, `nack`, … want. */
  readonly message: Message.Delivery
}

/**
 * What a handler knows of its try.
 *
 * @category models
 * @since 0.2.0
 */
export interface Attempt<in P = never, out R = never> {
  /** The message as the queue gave it. */
  readonly message: Message.Delivery
  /** The first try is 1. */
  readonly tries: number
  /** After so many tries the message is dead. */
  readonly maxTries: number
  /** Whether a failure now is the last. */
  readonly isLast: boolean
  /** When the handler is interrupted, where `timeout` says so; by this process's clock. */
  readonly deadline: Option.Option<DateTime.Utc>
  /** The span that pushed the message, where one was running. */
  readonly pushedBy: Option.Option<Tracer.ExternalSpan>
  /** Tells who follows the message how far it is. Nobody hears it of messages that were pushed, not started. Never fails. */
  readonly report: (progress: P) => Effect.Effect<void, never, R>
}

/**
 * How a typed queue is worked on.
 *
 * @category models
 * @since 0.2.0
 */
export interface ConsumeOptions<in A> extends MessageQueue.ConsumeOptions {
  /** How long one try may take; then the handler is interrupted, and the try has failed. Default: as long as it likes. */
  readonly timeout?: Duration.Input | undefined
  /**
   * What holds messages of one key back. Those that wait for their rate, more than a second, go back to the queue until
   * their turn, with no try counted; those that wait for others of their key, or for less, wait in the hands of the worker,
   * their leases kept, and take one of its `concurrency`.
   */
  readonly limits?: {
    /** What counts together. */
    readonly key: (payload: A) => string
    /** How many handlers of one key run at once. (One at a time, and in order: push with an `orderingKey`.) */
    readonly concurrency?: number | undefined
    /**
     * Where `concurrency` counts: in this `process` (the default), or over all that work on the queue, the `cluster`. There a
     * handler runs with a permit, a message of the node `permits/<queue>/<key>` that is pulled and given back: two operations
     * more a message. The permit of a process that died is free when its lease ends. A message that finds none within a second
     * goes back for a second, and no try is counted. All workers say the same number. Not over the Scirocco wire.
     */
    readonly across?: "process" | "cluster" | undefined
    /**
     * How many handlers of one key begin in a window, by a token bucket (the default) or fixed windows. Counted by the
     * `RateLimiter` of the environment, which processes share where its store is Redis; else by this process.
     */
    readonly rate?: {
      readonly limit: number
      readonly window: Duration.Input
      readonly algorithm?: "fixed-window" | "token-bucket" | undefined
    } | undefined
  } | undefined
}

/**
 * A dead letter of a typed queue.
 *
 * @category models
 * @since 0.2.0
 */
export interface DeadLetter<out A, out E> {
  /** The message with its payload as it was pushed, byte for byte, and the words of its failure. */
  readonly message: Message.Message
  /** Absent where the payload is none of the queue's. */
  readonly payload: Option.Option<A>
  /** The error that the handler failed with, where it is one that the queue declares. */
  readonly error: Option.Option<E>
}

/**
 * A message that was started: what it takes to follow it, here or in another process.
 *
 * @category models
 * @since 0.2.0
 */
export interface Started {
  readonly id: string
  /** The id of its outcome. */
  readonly outcome: string
}

/**
 * What one hears of a message that one follows.
 *
 * @category models
 * @since 0.2.0
 */
export type Followed<P, S> =
  | { readonly _tag: "Progress"; readonly tries: number; readonly progress: P }
  | { readonly _tag: "Success"; readonly value: S }

/**
 * What can be pushed to, whatever comes of it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Target<in A, out R = never> {
  /** The name of the queue, which is the node that its messages are for. */
  readonly name: string
  /**
   * Adds a message; see `MessageQueue.push`. Carries the span that is running. `InvalidMessage` for a payload that its schema
   * does not encode.
   */
  readonly push: (
    payload: A,
    options?: PushOptions
  ) => Effect.Effect<Message.Message, MessageQueueError, MessageQueue.MessageQueue | R>
  /** Adds all of these messages or none; see `MessageQueue.pushMany`. */
  readonly pushMany: (
    entries: ReadonlyArray<A | (PushOptions & { readonly payload: A })>,
    options?: PushOptions
  ) => Effect.Effect<ReadonlyArray<Message.Message>, MessageQueueError, MessageQueue.MessageQueue | R>
  /** The message that `push` would push: for a `MessageQueue.pushMany` to several queues at once. */
  readonly entry: (payload: A, options?: PushOptions) => Effect.Effect<MessageQueue.Entry, MessageQueueError, R>
}

/**
 * A queue with types: of its payloads, its errors, its results and its progress.
 *
 * @category models
 * @since 0.2.0
 */
export interface Queue<in out A, in out E = never, in out S = unknown, in out P = never, out R = never>
  extends Target<A, R>
{
  /**
   * Pushes a message whose progress and result may be followed, by who has what this gives, for `followFor` (default 1 day).
   * It costs a second message.
   */
  readonly start: (
    payload: A,
    options?: PushOptions & { readonly followFor?: Duration.Input | undefined }
  ) => Effect.Effect<Started, MessageQueueError, MessageQueue.MessageQueue | R>
  /**
   * What a started message has come to, as it comes: the latest progress, and at last its result, or {@link Dead} with its
   * cause. What comes between two looks is not seen. Looks after 50 ms, then ever less often, up to `interval` (default 1
   * second) as long as nothing happens. `MessageNotFound` when nothing is known of it any more. Ending the stream does
   * nothing to the message.
   */
  readonly follow: (
    started: Started,
    options?: { readonly interval?: Duration.Input | undefined }
  ) => Stream.Stream<Followed<P, S>, MessageQueueError | Dead<E>, MessageQueue.MessageQueue | R>
  /**
   * Takes the first message, waiting for one up to `wait`. Messages whose payload is none of the queue's become dead letters
   * with the cause, and the next is taken.
   */
  readonly pull: (
    options?: MessageQueue.PullOptions
  ) => Effect.Effect<Option.Option<Delivery<A>>, MessageQueueError, MessageQueue.MessageQueue | R>
  /** Takes up to `max` messages (default 10, at most 1,000); see `pull`. */
  readonly pullMany: (
    options?: MessageQueue.PullOptions & { readonly max?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<Delivery<A>>, MessageQueueError, MessageQueue.MessageQueue | R>
  /**
   * Works on the messages until it is interrupted; see `MessageQueue.consume`.
   *
   * **Details**
   *
   * A payload that is none of the queue's is a dead letter at once, with the cause and its bytes, and the worker goes on. A
   * failure with `Queue.permanent` is a dead letter at once. The handler runs in a span `process <name>` that belongs to the
   * trace of the push and is linked to the span that pushed. What it succeeds with is the message's result.
   */
  readonly consume: <RH>(
    handler: (payload: A, attempt: Attempt<P, R>) => Effect.Effect<S, E | Permanent<E>, RH>,
    options?: ConsumeOptions<A>
  ) => Effect.Effect<void, MessageQueueError, MessageQueue.MessageQueue | R | RH>
  /** Dead letters, oldest first, at most `limit` (default 100, at most 1,000), with payloads and errors decoded. */
  readonly deadLetters: (options?: {
    readonly limit?: number | undefined
    readonly cursor?: string | undefined
  }) => Effect.Effect<
    { readonly letters: ReadonlyArray<DeadLetter<A, E>>; readonly cursor?: string | undefined },
    MessageQueueError,
    MessageQueue.MessageQueue | R
  >
}
