/**
 * One message to many: a topic whose subscribers are queues. What is published is pushed to the queue of each subscriber, all
 * or none, and waits there until that subscriber has worked on it, whether it runs at the moment or not.
 *
 * A subscription is kept where the messages are, as a message that is never due: every `MessageQueue` has topics, and who
 * subscribes and who publishes need not run at the same time.
 *
 * For values that only those hear who listen at the moment, see `topics/`.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Message from "./Message.ts"
import { MessageQueue } from "./MessageQueue.ts"
import type { MessageQueueError } from "./MessageQueueError.ts"
import * as Queue from "./Queue.ts"

/**
 * A topic with durable subscribers.
 *
 * @category models
 * @since 0.2.0
 */
export interface QueueTopic<in out A, in out E, out R = never> {
  readonly name: string
  /**
   * Pushes a message to the queue of every subscriber there is, all or none; gives them, none where nobody has subscribed.
   * Who subscribes while it is published gets it or not.
   */
  readonly publish: (
    payload: A,
    options?: Queue.PushOptions
  ) => Effect.Effect<ReadonlyArray<Message.Message>, MessageQueueError, MessageQueue | R>
  /** Subscribes, once and for all: what is published from now on waits in {@link QueueTopic.queue} of this subscriber. */
  readonly subscribe: (subscriber: string) => Effect.Effect<void, MessageQueueError, MessageQueue>
  /** Ends a subscription; says whether there was one. What waits for the subscriber already stays. */
  readonly unsubscribe: (subscriber: string) => Effect.Effect<boolean, MessageQueueError, MessageQueue>
  /** Who has subscribed, in the order of their subscriptions. */
  readonly subscribers: Effect.Effect<ReadonlyArray<string>, MessageQueueError, MessageQueue>
  /** The queue of a subscriber, `<topic>/<subscriber>`: its workers consume it as any queue. */
  readonly queue: (subscriber: string) => Queue.Queue<A, E, unknown, never, R>
}

/** Longer than anybody waits. */
const never = Duration.days(36_525)

/**
 * Makes a topic. Its name and those of its subscribers are together at most 127 printable ASCII characters.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <P extends Schema.Constraint, E extends Schema.Constraint = typeof Schema.Never>(
  name: string,
  options: { readonly payload: P; readonly error?: E | undefined }
): QueueTopic<
  P["Type"],
  E["Type"],
  P["EncodingServices"] | P["DecodingServices"] | E["EncodingServices"] | E["DecodingServices"]
> => {
  const register = `subscribers of ${name}`
  const queue = (subscriber: string) => Queue.make(`${name}/${subscriber}`, options)

  const subscriptions = Effect.gen(function*() {
    const { list } = yield* MessageQueue
    const all: Array<{ readonly id: string; readonly subscriber: string }> = []
    let cursor: string | undefined
    do {
      const page = yield* list({ node: register, status: "scheduled", limit: 1000, cursor })
      for (const { id, payload } of page.messages) all.push({ id, subscriber: String(payload.value) })
      cursor = page.cursor
    } while (cursor !== undefined)
    return all
  })

  return {
    name,
    queue,
    subscribe: Effect.fnUntraced(function*(subscriber) {
      const { push } = yield* MessageQueue
      yield* push(register, Message.text(subscriber), {
        delay: never,
        deduplicationKey: subscriber,
        deduplicationWindow: never
      })
    }),
    unsubscribe: Effect.fnUntraced(function*(subscriber) {
      const { remove } = yield* MessageQueue
      const mine = (yield* subscriptions).filter((one) => one.subscriber === subscriber)
      const removed = yield* Effect.forEach(mine, ({ id }) => remove(id))
      return removed.includes(true)
    }),
    subscribers: Effect.map(subscriptions, (all) => all.map((one) => one.subscriber)),
    publish: Effect.fnUntraced(function*(payload, push) {
      const { pushMany } = yield* MessageQueue
      const all = yield* subscriptions
      const entries = yield* Effect.forEach(all, ({ subscriber }) => queue(subscriber).entry(payload, push))
      return yield* pushMany(entries)
    })
  }
}
