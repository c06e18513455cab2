/**
 * Queues whose payloads, errors, results and progress have types: a name that people choose, and schemas. A typed queue is a
 * description; it works on the `MessageQueue` of the environment, whatever keeps its messages.
 *
 * It does not start workers by itself, and it is no topic: each message goes to one worker.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { follow } from "./internal/follow.ts"
import * as Outcome from "./internal/outcome.ts"
import { Permanent } from "./internal/permanent.ts"
import type { DeadLetter, Delivery, PushOptions, Queue } from "./internal/queueModel.ts"
import * as TraceContext from "./internal/traceContext.ts"
import { type Codecs, makeErrorCodec, makeJsonCodec, makePayloadCodec } from "./internal/typed.ts"
import { makeWork, undecodable } from "./internal/typedWork.ts"
import * as Message from "./Message.ts"
import * as MessageQueue from "./MessageQueue.ts"
import { fail, InvalidMessage, type MessageQueueError } from "./MessageQueueError.ts"

export type * from "./internal/queueModel.ts"

export { Dead, Permanent } from "./internal/permanent.ts"

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

type Services<S extends Schema.Constraint> = S["EncodingServices"] | S["DecodingServices"]

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
export const make = <
  A extends Schema.Constraint,
  E extends Schema.Constraint = typeof Schema.Never,
  S extends Schema.Constraint = typeof Schema.Unknown,
  P extends Schema.Constraint = typeof Schema.Never
>(
  name: string,
  options: {
    readonly payload: A
    /** What handlers fail with. It is kept, encoded, as the cause of a dead letter. Default: nothing. */
    readonly error?: E | undefined
    /** What handlers succeed with, for those who follow. Default: anything, which nobody hears of. */
    readonly success?: S | undefined
    /** What handlers report meanwhile. Default: nothing. */
    readonly progress?: P | undefined
  }
): Queue<A["Type"], E["Type"], S["Type"], P["Type"], Services<A> | Services<E> | Services<S> | Services<P>> => {
  type Payload = A["Type"]
  type R = Services<A> | Services<E> | Services<S> | Services<P>
  const codecs: Codecs<Payload, E["Type"], S["Type"], P["Type"], R> = {
    payload: makePayloadCodec(options.payload),
    error: makeErrorCodec(options.error ?? Schema.Never),
    success: options.success === undefined ? undefined : makeJsonCodec(options.success),
    progress: makeJsonCodec(options.progress ?? Schema.Never)
  }

  const entryOf = Effect.fnUntraced(function*(
    payload: Payload,
    push?: PushOptions
  ): Effect.fn.Return<MessageQueue.Entry, MessageQueueError, R> {
    const encoded = yield* Effect.catch(
      codecs.payload.encode(payload),
      (problem) => fail(new InvalidMessage({ field: "payload", problem }))
    )
    const trace = yield* TraceContext.current
    const headers = trace === undefined ? push?.headers : { ...trace, ...push?.headers }
    return { ...push, headers, destination: name, payload: encoded }
  })

  const push = Effect.fnUntraced(function*(payload: Payload, push?: PushOptions) {
    const queue = yield* MessageQueue.MessageQueue
    const { destination, payload: encoded, ...rest } = yield* entryOf(payload, push)
    return yield* queue.push(destination, encoded, rest)
  })

  /** A payload, or a dead letter and nothing. */
  const decoded = (queue: MessageQueue.MessageQueue["Service"], message: Message.Delivery) =>
    codecs.payload.decode(message.payload).pipe(
      Effect.map((payload): ReadonlyArray<Delivery<Payload>> => [{ payload, message }]),
      Effect.catch((problem) => Effect.as(Effect.ignore(queue.reject(message, { cause: undecodable(problem) })), []))
    )

  const pullMany = Effect.fnUntraced(function*(
    pull?: MessageQueue.PullOptions & { readonly max?: number | undefined }
  ): Effect.fn.Return<ReadonlyArray<Delivery<Payload>>, MessageQueueError, MessageQueue.MessageQueue | R> {
    const queue = yield* MessageQueue.MessageQueue
    while (true) {
      const messages = yield* queue.pullMany(name, pull)
      const deliveries = (yield* Effect.forEach(messages, (message) => decoded(queue, message))).flat()
      if (deliveries.length > 0 || messages.length === 0) return deliveries
    }
  })

  return {
    name,
    push,
    entry: entryOf,
    pushMany: Effect.fnUntraced(function*(entries, push) {
      const queue = yield* MessageQueue.MessageQueue
      return yield* queue.pushMany(
        yield* Effect.forEach(entries, (entry) =>
          isEntry<Payload>(entry, codecs.payload.is)
            ? entryOf(entry.payload, { ...push, ...entry })
            : entryOf(entry as Payload, push))
      )
    }),
    start: Effect.fnUntraced(function*(payload, start) {
      const queue = yield* MessageQueue.MessageQueue
      const { followFor, ...rest } = start ?? {}
      // The outcome first: whoever gets the message can write it.
      const outcome = yield* queue.push(Outcome.nodeOf(name), Message.json({ ...Outcome.none }), {
        delay: followFor ?? Duration.days(1)
      })
      const { id } = yield* push(payload, { ...rest, headers: { ...rest.headers, [Outcome.header]: outcome.id } })
      return { id, outcome: outcome.id }
    }),
    follow: (started, options) =>
      Stream.unwrap(
        Effect.map(MessageQueue.MessageQueue, (queue) => follow(queue, codecs, started, options?.interval))
      ),
    pull: (pull) => Effect.map(pullMany({ ...pull, max: 1 }), ([delivery]) => Option.fromNullishOr(delivery)),
    pullMany,
    consume: Effect.fnUntraced(function*(handler, consume) {
      const queue = yield* MessageQueue.MessageQueue
      const work = yield* makeWork(queue, name, codecs, handler, consume ?? {})
      const consuming = MessageQueue.consume(name, work, consume)
      return yield* options.success === undefined && options.progress === undefined
        ? consuming
        : Effect.raceFirst(consuming, Outcome.tidy(queue, name))
    }, Effect.scoped),
    deadLetters: Effect.fnUntraced(function*(list) {
      const queue = yield* MessageQueue.MessageQueue
      const page = yield* queue.list({ ...list, node: name, status: "dead" })
      const letters = yield* Effect.forEach(page.messages, (message) =>
        Effect.map(
          Effect.all([Effect.option(codecs.payload.decode(message.payload)), codecs.error.decode(message.error)]),
          ([payload, error]): DeadLetter<Payload, E["Type"]> => ({ message, payload, error })
        ))
      return { letters, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) }
    })
  }
}

/** Whether an element of `pushMany` is a payload with options; what is a payload itself is one. */
const isEntry = <A>(
  entry: A | (PushOptions & { readonly payload: A }),
  isPayload: (value: unknown) => value is A
): entry is PushOptions & { readonly payload: A } =>
  typeof entry === "object" && entry !== null && Object.hasOwn(entry, "payload") && !isPayload(entry)
