/**
 * @internal Workers: pull, keep the lease alive, and give every message an end.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Delivery } from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import { type Heartbeats, isLost, makeHeartbeats } from "./heartbeats.ts"
import type { ConsumeOptions, Service, StreamOptions } from "./messageQueueModel.ts"
import { Described, NotYet, Permanent } from "./permanent.ts"

/** From 1 second on, doubled each time, to 5 minutes, spread by a fifth. */
const defaultBackoff = Schedule.jittered(
  Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("5 minutes")])
)

/** After a failure of the database or the connection: soon, then less often. */
const reconnect = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]))

/** How long the end of a worker waits to give a message back. */
const farewell = Duration.seconds(1)

/** What a person needs to know of a failure, and whether another try may help. */
const describe = (cause: Cause.Cause<unknown>): { readonly text: string; readonly permanent: boolean } => {
  const error = Cause.squash(cause)
  return error instanceof Described
    ? error
    : error instanceof Permanent
    ? { text: describeError(error.error), permanent: true }
    : { text: describeError(error), permanent: false }
}

const describeError = (error: unknown): string => {
  return error instanceof Error
    ? `${error.name}: ${error.message}`
    : typeof error === "string"
    ? error
    : Option.getOrElse(Option.filter(stringify(error), (text) => text !== undefined), () => String(error))
}

const stringify = Option.liftThrowable((value: unknown): string => JSON.stringify(value))

/** How long a message rests after its nth try: the nth delay of the schedule, or `undefined` when it has ended. */
const delayAfter = Effect.fnUntraced(function*(
  schedule: Schedule.Schedule<unknown, unknown>,
  tries: number,
  error: unknown
): Effect.fn.Return<Duration.Duration | undefined> {
  const now = yield* Clock.currentTimeMillis
  const step = yield* Schedule.toStep(schedule)
  let delay = Duration.zero
  let at = now
  for (let count = 0; count < tries; count++) {
    const next = yield* Pull.catchDone(
      Effect.map(step(at, error), ([, duration]) => duration as Duration.Duration | undefined),
      () => Effect.succeed(undefined)
    )
    if (next === undefined) return undefined
    delay = next
    at += Duration.toMillis(next)
  }
  return delay
})

export const consume = Effect.fnUntraced(function*<E, R>(
  queue: Service,
  node: string,
  handler: (message: Delivery) => Effect.Effect<unknown, E, R>,
  options: ConsumeOptions
): Effect.fn.Return<void, MessageQueueError, R> {
  const concurrency = Math.max(1, options.concurrency ?? 1)
  const lease = Duration.fromInputUnsafe(options.lease ?? "30 seconds")
  const heartbeat = options.heartbeat === undefined
    ? Duration.divideUnsafe(lease, 3)
    : Duration.fromInputUnsafe(options.heartbeat)
  const backoff = options.backoff ?? defaultBackoff
  const capacity = concurrency + Math.max(0, options.prefetch ?? 0)
  /** How many more may be held. */
  let free = capacity
  const room = Latch.makeUnsafe(true)
  const takeRoom = (count: number): void => {
    free -= count
    if (free === 0) room.closeUnsafe()
  }
  const giveRoom = (count: number): void => {
    free += count
    if (free > 0) room.openUnsafe()
  }
  let stopping = false
  const working = Semaphore.makeUnsafe(concurrency)

  /**
   * Says the last word about a message, again and again while the database is away, though not when the worker is to end; a
   * lost lease is the end of it.
   */
  const settle = (word: Effect.Effect<void, MessageQueueError>, delivery: Delivery): Effect.Effect<void> =>
    Effect.catch(word, (error) => isLost(error) ? lost(delivery) : settleAgain(word, delivery, error))

  const settleAgain = (
    word: Effect.Effect<void, MessageQueueError>,
    delivery: Delivery,
    first: MessageQueueError
  ): Effect.Effect<void> => {
    let times = 0
    return Effect.suspend(() => times++ === 0 ? Effect.fail(first) : word).pipe(
      Effect.retry({
        schedule: reconnect,
        while: (error) => error.reason._tag === "QueueUnavailable" && !stopping,
        times: 8
      }),
      Effect.catch((error) =>
        isLost(error)
          ? lost(delivery)
          : Effect.logWarning(
            "MessageQueue: a message could not be settled, its lease will run out",
            delivery.id,
            error
          )
      )
    )
  }

  /** The handler may have acknowledged it by itself, in its own transaction. */
  const lost = (delivery: Delivery) =>
    Effect.flatMap(Effect.option(queue.get(delivery.id, { node })), (found) => {
      const status = Option.getOrUndefined(Option.flatten(found))?.status
      return status === "processed" || status === "dead"
        ? Effect.void
        : Effect.logDebug("MessageQueue: the lease was lost, the message is delivered again", delivery.id)
    })

  /** Gives back what the end of the worker left, as long as that can wait for an answer. */
  const giveBack = (delivery: Delivery) =>
    settle(Effect.interruptible(queue.release(delivery)), delivery).pipe(
      Effect.timeoutOption(farewell),
      Effect.asVoid
    )

  const failed = Effect.fnUntraced(function*(delivery: Delivery, cause: Cause.Cause<E>) {
    const notYet = cause.reasons.find((reason) => reason._tag === "Fail" && reason.error instanceof NotYet)
    if (notYet !== undefined) {
      const { millis } = (notYet as Cause.Fail<unknown>).error as NotYet
      return yield* settle(queue.release(delivery, { delay: millis }), delivery)
    }
    const { permanent, text } = describe(cause)
    if (permanent || delivery.tries >= Math.min(delivery.maxTries, options.maxTries ?? Infinity)) {
      yield* Effect.logWarning("MessageQueue: a message is dead", delivery.id, text)
      return yield* settle(queue.reject(delivery, { cause: text }), delivery)
    }
    const delay = yield* delayAfter(backoff, delivery.tries, Cause.squash(cause))
    return yield* settle(
      delay === undefined ? queue.reject(delivery, { cause: text }) : queue.nack(delivery, { delay, cause: text }),
      delivery
    )
  })

  /** Who is interrupted since the lease is lost says nothing about the message any more. */
  const work = (heartbeats: Heartbeats, delivery: Delivery) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber) => {
        const kept = heartbeats.keep(delivery, fiber)
        const handled = Effect.suspend(() => handler(delivery))
        return Effect.flatMap(
          Effect.exit(restore(capacity > concurrency ? working.withPermits(1)(handled) : handled)),
          (exit) => {
            heartbeats.drop(kept)
            return kept.isLost
              ? Effect.void
              : Exit.isSuccess(exit)
              ? settle(queue.ack(delivery), delivery)
              : stopping && Cause.hasInterruptsOnly(exit.cause)
              ? giveBack(delivery)
              : failed(delivery, exit.cause)
          }
        )
      })
    ).pipe(Effect.ensuring(Effect.sync(() => giveRoom(1))))

  const round = (fibers: FiberSet.FiberSet, heartbeats: Heartbeats) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function*() {
        yield* restore(room.await)
        const max = Math.min(1000, free)
        takeRoom(max)
        const pulled = yield* Effect.exit(restore(queue.pullMany(node, {
          max,
          lease,
          wait: options.wait ?? "20 seconds"
        })))
        const deliveries = Exit.isSuccess(pulled) ? pulled.value : []
        giveRoom(max - deliveries.length)
        for (const delivery of deliveries) {
          yield* FiberSet.run(fibers, work(heartbeats, delivery), { startImmediately: true })
        }
        return yield* pulled
      })
    )

  return yield* Effect.scoped(Effect.gen(function*() {
    const heartbeats = yield* makeHeartbeats(queue, { lease, heartbeat })
    const fibers = yield* FiberSet.make()
    yield* Effect.addFinalizer(() => Effect.sync(() => void (stopping = true)))
    const pulling = round(fibers, heartbeats).pipe(
      Effect.tapError((error) =>
        error.reason._tag === "QueueUnavailable"
          ? Effect.logWarning("MessageQueue: pulling failed, trying again", error.message)
          : Effect.void
      ),
      // Inside the loop: after a success the waits begin with the shortest again.
      Effect.retry({ schedule: reconnect, while: (error) => error.reason._tag === "QueueUnavailable" }),
      Effect.forever
    )
    if (options.drain === undefined) return yield* pulling
    yield* Effect.raceFirst(pulling, options.drain)
    // No more is taken; what runs comes to its end.
    yield* FiberSet.awaitEmpty(fibers)
  }))
})

export const stream = (
  queue: Service,
  node: string,
  options: StreamOptions
): Stream.Stream<Delivery, MessageQueueError> =>
  Stream.suspend(() => {
    let pulled: Array<Delivery> = []
    const next = Effect.suspend(() =>
      pulled.length > 0
        ? Effect.succeed([pulled.shift()!])
        : Effect.map(
          queue.pullMany(node, {
            max: options.max ?? 1,
            wait: options.wait ?? "20 seconds",
            ...(options.lease === undefined ? {} : { lease: options.lease })
          }),
          (deliveries) => {
            pulled = Array.from(deliveries)
            return pulled.splice(0, 1)
          }
        )
    )
    return Stream.fromEffectRepeat(next).pipe(
      Stream.flattenIterable,
      Stream.ensuring(Effect.suspend(() =>
        Effect.forEach(pulled, (delivery) => Effect.ignore(queue.release(delivery)), { concurrency: "unbounded" })
      ))
    )
  })
