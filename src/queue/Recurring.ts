/**
 * Messages that come again and again, by `effect/Cron`: every process of a cluster may run the same layer, and each firing
 * pushes one message.
 *
 * The clock of a recurring message is itself a message of the queue: it waits there, scheduled for the next firing, also while
 * no process runs. Whoever gets it pushes what is due and the clock's next message. So a firing is late at most until a
 * process runs again, and what happens to those that were missed is a policy.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Cron from "effect/Cron"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PushOptions, Target } from "./internal/queueModel.ts"
import * as Message from "./Message.ts"
import * as MessageQueue from "./MessageQueue.ts"
import { invalid, type MessageQueueError } from "./MessageQueueError.ts"

/**
 * One firing.
 *
 * @category models
 * @since 0.2.0
 */
export interface Firing {
  /** When it was due. */
  readonly at: DateTime.Utc
  /** How long after that it is done, by this process's clock. */
  readonly late: Duration.Duration
}

/**
 * What is pushed when.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options<in out A, out R = never> {
  /** Five fields or six (with seconds first), as `Cron.parse` reads them, or a `Cron`. */
  readonly cron: string | Cron.Cron
  /** The zone that `cron` is meant in, e.g. `Europe/Berlin`; of a `Cron` its own. Default `UTC`. */
  readonly timeZone?: string | undefined
  /** Where the messages go. */
  readonly queue: Target<A, R>
  /** The payload of a firing. */
  readonly payload: (firing: Firing) => A
  /** How they are pushed. The deduplication key is the firing's. */
  readonly push?: Omit<PushOptions, "deduplicationKey" | "deduplicationWindow" | "delay" | "at"> | undefined
  /**
   * What happens to firings that were due while no process ran: `latest` pushes the last of them, `all` each of them (the last
   * 1,000), `skip` none. Default `latest`.
   */
  readonly missed?: "latest" | "all" | "skip" | undefined
  /** How late a firing may be without being missed. Default 1 minute. */
  readonly grace?: Duration.Input | undefined
}

const mostMissed = 1000

const day = 86_400_000

const parse = (options: { readonly cron: string | Cron.Cron; readonly timeZone?: string | undefined }) =>
  typeof options.cron !== "string"
    ? Effect.succeed(options.cron)
    : Effect.catch(
      Effect.fromResult(Cron.parse(options.cron, options.timeZone ?? "UTC")),
      (error) => invalid("cron", error.message)
    )

const before = (cron: Cron.Cron, at: number): number => Cron.prev(cron, DateTime.makeUnsafe(at)).getTime()

/**
 * Pushes the messages until it is interrupted. Fails with `InvalidMessage` for a cron that is none.
 *
 * **Details**
 *
 * `name` is the same in every process that fires the same message, and another for each recurring message. When `cron` or its
 * zone is changed, the former clock is left behind and never fires again. Interruption leaves the clock in the queue.
 *
 * A firing is pushed once, whatever process does it and how often one dies over it: its time is the deduplication key.
 *
 * **Gotchas**
 *
 * The zone of a `Cron` is its own, as is what it does when a clock is put back: see `Cron.make`. The clock is a queue of the name `recurring/<name>/<cron>`; not for the Scirocco wire, whose nodes have hexadecimal names.
 *
 * @category constructors
 * @since 0.2.0
 */
export const run = Effect.fnUntraced(function*<A, R>(
  name: string,
  options: Options<A, R>
): Effect.fn.Return<never, MessageQueueError, MessageQueue.MessageQueue | R> {
  const queue = yield* MessageQueue.MessageQueue
  const cron = yield* parse(options)
  const zone = cron.tz._tag === "Some" ? DateTime.zoneToString(cron.tz.value) : "UTC"
  const clock = `recurring/${name}/${Cron.format(cron)} ${zone}`
  const grace = Duration.toMillis(Duration.fromInputUnsafe(options.grace ?? "1 minute"))

  /** The clock's message for the first firing after a time. A second one for the same firing is none. */
  const wind = Effect.fnUntraced(function*(after: number) {
    const now = yield* Clock.currentTimeMillis
    const at = Cron.next(cron, DateTime.makeUnsafe(after)).getTime()
    const delay = Math.max(0, at - now)
    yield* queue.push(clock, Message.json({ at }), {
      delay,
      deduplicationKey: String(at),
      deduplicationWindow: delay + day
    })
  })

  /** The firings from one that was due up to now, oldest first, as the policy wants them. */
  const chosen = (first: number, now: number): ReadonlyArray<number> => {
    const most = options.missed === "all" ? mostMissed : 1
    const due: Array<number> = []
    for (let at = before(cron, now + 1000); at > first && due.length < most; at = before(cron, at)) {
      if (at <= now) due.unshift(at)
    }
    if (due.length < most) due.unshift(first)
    return options.missed === "skip" ? due.filter((at) => now - at <= grace) : due
  }

  yield* wind(yield* Clock.currentTimeMillis)
  yield* MessageQueue.consume(clock, (message) =>
    Effect.gen(function*() {
      const { at } = message.payload.value as { readonly at: number }
      // The queue's clock may be ahead of this process's.
      const now = Math.max(at, yield* Clock.currentTimeMillis)
      // First the next: a firing that cannot be pushed does not stop the clock.
      yield* wind(now)
      yield* options.queue.pushMany(
        chosen(at, now).map((firing) => ({
          ...options.push,
          payload: options.payload({ at: DateTime.makeUnsafe(firing), late: Duration.millis(now - firing) }),
          deduplicationKey: `${name} ${firing}`,
          deduplicationWindow: day
        }))
      )
    }))
  return yield* Effect.never
})

/**
 * A layer that does what {@link run} does, for as long as it lives. `InvalidMessage` for a cron that is none.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = <A, R>(
  name: string,
  options: Options<A, R>
): Layer.Layer<never, MessageQueueError, MessageQueue.MessageQueue | R> =>
  Layer.effectDiscard(Effect.flatMap(parse(options), (cron) =>
    Effect.forkScoped(
      run(name, { ...options, cron }).pipe(
        Effect.tapError((error) => Effect.logError("Recurring: nothing is pushed any more", name, error.message))
      )
    )))
