/**
 * Queues whose payloads, errors and progress have types: a name that people choose, and schemas. A typed queue is a
 * description; it works on the `MessageQueue` of the environment, whatever keeps its messages.
 *
 * It does not start workers by itself, and it is no topic: each message goes to one worker.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Tracer from "effect/Tracer"
import { Described, Permanent } from "./internal/permanent.ts"
import * as TraceContext from "./internal/traceContext.ts"
import { type Codec, makeCodec, makeErrorCodec } from "./internal/typed.ts"
import type * as Message from "./Message.ts"
import * as MessageQueue from "./MessageQueue.ts"
import { fail, InvalidMessage, type MessageQueueError } from "./MessageQueueError.ts"

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
export interface Attempt {
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
}

/**
 * How a typed queue is worked on.
 *
 * @category models
 * @since 0.2.0
 */
export interface ConsumeOptions extends MessageQueue.ConsumeOptions {
  /** How long one try may take; then the handler is interrupted, and the try has failed. Default: as long as it likes. */
  readonly timeout?: Duration.Input | undefined
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
 * A queue with types.
 *
 * @category models
 * @since 0.2.0
 */
export interface Queue<in out A, in out E, out R = never> {
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
  /** The message that `push` would push: for a `MessageQueue.pushMany` to several queues at once. */
  readonly entry: (payload: A, options?: PushOptions) => Effect.Effect<MessageQueue.Entry, MessageQueueError, R>
  /** Adds all of these messages or none; see `MessageQueue.pushMany`. */
  readonly pushMany: (
    entries: ReadonlyArray<A | (PushOptions & { readonly payload: A })>,
    options?: PushOptions
  ) => Effect.Effect<ReadonlyArray<Message.Message>, MessageQueueError, MessageQueue.MessageQueue | R>
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
   * failure with {@link permanent} is a dead letter at once. The handler runs in a span `process <name>` that belongs to the
   * trace of the push and is linked to the span that pushed.
   */
  readonly consume: <RH>(
    handler: (payload: A, attempt: Attempt) => Effect.Effect<unknown, E | Permanent<E>, RH>,
    options?: ConsumeOptions
  ) => Effect.Effect<never, MessageQueueError, MessageQueue.MessageQueue | R | RH>
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

/**
 * An error that another try does not help: a handler that fails with it makes its message a dead letter at once. It can be
 * yielded.
 *
 * **Example**
 *
 * ```ts
 * if (!exists(job.file)) return yield* Queue.permanent(new NoSuchFile({ file: job.file }))
 * ```
 *
 * @category errors
 * @since 0.2.0
 */
export const permanent = <E>(error: E): Permanent<E> => new Permanent({ error })

export type {
  /**
   * See {@link permanent}.
   *
   * @category errors
   * @since 0.2.0
   */
  Permanent
}

/**
 * Makes a typed queue.
 *
 * **Details**
 *
 * `name`: 1 to 128 printable ASCII characters without spaces at the ends; over the Scirocco wire hexadecimal digits only.
 * Payloads travel as JSON, by their schema's JSON codec, so that programs in other languages read them.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <P extends Schema.Constraint, E extends Schema.Constraint = typeof Schema.Never>(
  name: string,
  options: {
    readonly payload: P
    /** What handlers fail with. It is kept, encoded, as the cause of a dead letter. Default: nothing. */
    readonly error?: E | undefined
  }
): Queue<
  P["Type"],
  E["Type"],
  P["EncodingServices"] | P["DecodingServices"] | E["EncodingServices"] | E["DecodingServices"]
> => {
  type A = P["Type"]
  type R = P["EncodingServices"] | P["DecodingServices"] | E["EncodingServices"] | E["DecodingServices"]
  const payloads: Codec<A, R> = makeCodec(options.payload)
  const errors = makeErrorCodec<E["Type"], R>(options.error ?? Schema.Never)

  const entryOf = Effect.fnUntraced(function*(
    payload: A,
    push?: PushOptions
  ): Effect.fn.Return<MessageQueue.Entry, MessageQueueError, R> {
    const encoded = yield* Effect.mapError(
      payloads.encode(payload),
      (problem) => new InvalidMessage({ field: "payload", problem })
    ).pipe(Effect.catch(fail))
    const trace = yield* TraceContext.current
    const headers = trace === undefined ? push?.headers : { ...trace, ...push?.headers }
    return { ...push, headers, destination: name, payload: encoded }
  })

  const pushMany = Effect.fnUntraced(function*(
    entries: ReadonlyArray<A | (PushOptions & { readonly payload: A })>,
    push?: PushOptions
  ) {
    const queue = yield* MessageQueue.MessageQueue
    return yield* queue.pushMany(
      yield* Effect.forEach(entries, (entry) =>
        isEntry<A>(entry, payloads)
          ? entryOf(entry.payload, { ...push, ...entry })
          : entryOf(entry as A, push))
    )
  })

  /** A payload, or a dead letter and nothing. */
  const decoded = Effect.fnUntraced(function*(queue: MessageQueue.MessageQueue["Service"], message: Message.Delivery) {
    return yield* payloads.decode(message.payload).pipe(
      Effect.map((payload): ReadonlyArray<Delivery<A>> => [{ payload, message }]),
      Effect.catch((problem) => Effect.as(Effect.ignore(queue.reject(message, { cause: undecodable(problem) })), []))
    )
  })

  const pullMany = Effect.fnUntraced(function*(
    pull?: MessageQueue.PullOptions & { readonly max?: number | undefined }
  ): Effect.fn.Return<ReadonlyArray<Delivery<A>>, MessageQueueError, MessageQueue.MessageQueue | R> {
    const queue = yield* MessageQueue.MessageQueue
    while (true) {
      const messages = yield* queue.pullMany(name, pull)
      const deliveries = (yield* Effect.forEach(messages, (message) => decoded(queue, message))).flat()
      if (deliveries.length > 0 || messages.length === 0) return deliveries
    }
  })

  return {
    name,
    entry: entryOf,
    push: Effect.fnUntraced(function*(payload, push) {
      const queue = yield* MessageQueue.MessageQueue
      const { destination, payload: encoded, ...rest } = yield* entryOf(payload, push)
      return yield* queue.push(destination, encoded, rest)
    }),
    pushMany,
    pull: (pull) => Effect.map(pullMany({ ...pull, max: 1 }), ([delivery]) => Option.fromNullishOr(delivery)),
    pullMany,
    consume: (handler, consume) =>
      MessageQueue.consume(name, (message) =>
        Effect.gen(function*() {
          const payload = yield* Effect.mapError(
            payloads.decode(message.payload),
            (problem) => new Described({ text: undecodable(problem), permanent: true })
          )
          const timeout = consume?.timeout === undefined ? undefined : Duration.fromInputUnsafe(consume.timeout)
          const maxTries = Math.min(message.maxTries, consume?.maxTries ?? Infinity)
          const pushedBy = TraceContext.of(message.headers)
          const attempt: Attempt = {
            message,
            tries: message.tries,
            maxTries,
            isLast: message.tries >= maxTries,
            deadline: timeout === undefined || !Duration.isFinite(timeout)
              ? Option.none()
              : Option.some(DateTime.addDuration(yield* DateTime.now, timeout)),
            pushedBy
          }
          const handled = handler(payload, attempt).pipe(
            timeout === undefined || !Duration.isFinite(timeout) ? (self) => self : Effect.timeoutOrElse({
              duration: timeout,
              orElse: () => Effect.die(new Cause.TimeoutError(`the handler took longer than ${Duration.format(timeout)}`))
            }),
            Effect.catch((error) =>
              Effect.flatMap(
                errors.encode(error instanceof Permanent ? error.error : error),
                (text) => Effect.fail(new Described({ text, permanent: error instanceof Permanent }))
              )
            )
          )
          return yield* Effect.withSpan(handled, `process ${name}`, {
            kind: "consumer",
            attributes: {
              "messaging.system": "effect-wire",
              "messaging.operation.type": "process",
              "messaging.destination.name": name,
              "messaging.message.id": message.id,
              "messaging.message.delivery_count": message.tries
            },
            ...Option.match(pushedBy, {
              onNone: () => ({}),
              onSome: (span) => ({ parent: span, links: [{ span, attributes: {} }] })
            })
          })
        }), consume),
    deadLetters: Effect.fnUntraced(function*(list) {
      const queue = yield* MessageQueue.MessageQueue
      const page = yield* queue.list({ ...list, node: name, status: "dead" })
      const letters = yield* Effect.forEach(page.messages, (message) =>
        Effect.map(
          Effect.all([Effect.option(payloads.decode(message.payload)), errors.decode(message.error)]),
          ([payload, error]): DeadLetter<A, E["Type"]> => ({ message, payload, error })
        ))
      return { letters, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
    })
  }
}

const undecodable = (problem: string): string => `the payload is none of this queue's: ${problem}`

/** Whether an element of `pushMany` is a payload with options: the payload of no queue looks like that by accident. */
const isEntry = <A>(
  entry: A | (PushOptions & { readonly payload: A }),
  payloads: Codec<A, unknown>
): entry is PushOptions & { readonly payload: A } =>
  typeof entry === "object" && entry !== null && Object.hasOwn(entry, "payload") && !payloads.is(entry)
