/**
 * A `PersistedQueueStore` of `effect/persistence/PersistedQueue` on a `MessageQueue`: programs that use Effect's persisted
 * queues get this library's store, with its dead letters, redrive and dashboards, without a change.
 *
 * What has been done and what has failed is kept as long as the `MessageQueue` says (`retention`, `deadRetention`), not as
 * long as `PersistedQueue.layerCleanup` does, which has nothing to do here.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { PersistedQueueError, PersistedQueueStore } from "effect/persistence/PersistedQueue"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type { Delivery } from "./Message.ts"
import * as Message from "./Message.ts"
import { MessageQueue } from "./MessageQueue.ts"
import type { MessageQueueError } from "./MessageQueueError.ts"

/**
 * How the store works.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** How long an element is held without a heartbeat. Default 90 seconds. */
  readonly lease?: Duration.Input | undefined
  /** How often its lease is extended while it is processed. Default: a third of the lease. */
  readonly heartbeat?: Duration.Input | undefined
  /** How long an id that was offered is not offered again. Default 30 days. */
  readonly deduplicationWindow?: Duration.Input | undefined
}

const wrap = (message: string) => (cause: MessageQueueError): PersistedQueueError =>
  new PersistedQueueError({ message, cause })

/** Names and ids of persisted queues are any text; those of this library's queues are printable ASCII. */
const word = (text: string): string => /^[\x21-\x7e]{1,128}$/.test(text) ? text : encodeURIComponent(text) || "%"

/** How Effect's queue says that an element is none of its schema. */
const deadLetterTag = "~effect/persistence/PersistedQueue/DeadLetter"

const deadLetterOf = (cause: Cause.Cause<unknown>): string | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason) && Predicate.isTagged(reason.error, deadLetterTag)) {
      return Cause.pretty((reason.error as unknown as { readonly cause: Cause.Cause<unknown> }).cause)
    }
  }
  return undefined
}

/** Asked again while the database is away, as Effect's stores do; then the lease runs out. */
const again = Schedule.upTo(Schedule.min([Schedule.exponential(200, 1.5), Schedule.spaced(5000)]), {
  duration: "90 seconds"
})

/**
 * Makes the store.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fnUntraced(function*(
  options?: Options
): Effect.fn.Return<PersistedQueueStore["Service"], never, MessageQueue> {
  const queue = yield* MessageQueue
  const lease = Duration.fromInputUnsafe(options?.lease ?? "90 seconds")
  const heartbeat = options?.heartbeat === undefined
    ? Duration.divideUnsafe(lease, 3)
    : Duration.fromInputUnsafe(options.heartbeat)

  /** The last word about an element. A lost lease is the end of it: another has it. */
  const settle = (said: Effect.Effect<void, MessageQueueError>): Effect.Effect<void> =>
    said.pipe(
      Effect.retry({ schedule: again, while: (error) => error.reason._tag === "QueueUnavailable" }),
      Effect.catchReason("MessageQueueError", "LeaseLost", () => Effect.void),
      Effect.orDie
    )

  const finish = Effect.fnUntraced(function*(
    delivery: Delivery,
    exit: Exit.Exit<unknown, unknown>,
    take: Parameters<PersistedQueueStore["Service"]["take"]>[0]
  ) {
    if (exit._tag === "Success") return yield* settle(queue.ack(delivery))
    const dead = deadLetterOf(exit.cause)
    if (dead !== undefined) return yield* settle(queue.reject(delivery, { cause: dead }))
    if (Cause.hasInterruptsOnly(exit.cause)) return yield* settle(queue.release(delivery))
    const cause = Cause.pretty(exit.cause)
    if (delivery.tries >= take.maxAttempts) return yield* settle(queue.reject(delivery, { cause }))
    return yield* settle(queue.nack(delivery, { delay: yield* take.retryDelay(delivery.tries), cause }))
  })

  return {
    offer: ({ delay, element, id, name }) =>
      queue.push(word(name), Message.json({ id, element: element as Schema.Json }), {
        delay,
        deduplicationKey: word(id),
        deduplicationWindow: options?.deduplicationWindow ?? "30 days",
        maxTries: 32_767
      }).pipe(
        Effect.mapError(wrap("Failed to offer element to persisted queue")),
        Effect.asVoid
      ),
    take: Effect.fnUntraced(function*(take) {
      while (true) {
        const delivery = Option.getOrUndefined(
          yield* Effect.acquireRelease(
            queue.pull(word(take.name), { lease, wait: Infinity }),
            (pulled, exit) => Option.isNone(pulled) ? Effect.void : finish(pulled.value, exit, take),
            { interruptible: true }
          ).pipe(Effect.mapError(wrap("Failed to take element from persisted queue")))
        )
        if (delivery === undefined) continue
        // Its last holder went away in the middle of the last attempt.
        if (delivery.tries > take.maxAttempts) {
          yield* settle(queue.reject(delivery, { cause: delivery.error ?? "the attempts are used up" }))
          continue
        }
        yield* Effect.forkScoped(Effect.ignore(Effect.forever(
          Effect.andThen(Effect.sleep(heartbeat), Effect.ignore(queue.extend(delivery, lease)))
        )))
        const { element, id } = delivery.payload.value as { readonly id: string; readonly element: unknown }
        return { id, attempts: delivery.tries, element }
      }
    }),
    // The queue removes what is past its retention by itself.
    cleanup: () => Effect.void
  }
})

/**
 * Effect's persisted queues on the `MessageQueue` of the environment: provide it to `PersistedQueue.layer`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options?: Options): Layer.Layer<PersistedQueueStore, never, MessageQueue> =>
  Layer.effect(PersistedQueueStore, make(options))
