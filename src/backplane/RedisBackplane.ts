/**
 * A {@link Backplane} on Redis Streams: several processes on one Redis (7 or later, or Valkey) serve as one.
 *
 * It asks for the `Redis` service of `effect/persistence`: `NodeRedis.layer` of `@effect/platform-node` gives it on Node, `BunRedis` on Bun.
 * Each channel is a stream of what was published last and a hash that counts; a publication is one script, numbered,
 * logged and announced in one step. Each process holds one reserved connection that waits for all streams that its
 * listeners want (`XREAD BLOCK`); when it is lost it is opened again at once, then after growing pauses, and each channel
 * continues where it stood. What the stream does not hold any more is reported as a {@link Backplane.Gap}.
 *
 * **What an acknowledged publication means**: Redis has it in its memory and has handed it to its append-only file, as far
 * as it keeps one. What a crash of Redis leaves of it is what Redis is told to leave:
 *
 * - `appendonly yes`, `appendfsync always`, no replica: it is on the disk, and is heard by every process that listens, or
 *   starts to listen with a history, within `retention`, whatever crashes meanwhile. Epochs go on.
 * - anything else (`everysec`, snapshots, replicas that may take over): the last moment may be gone. Nobody can tell whether it is, so
 *   each start of Redis, and each server that takes over, begins a new epoch: whoever heard something before is told of a
 *   gap and has the retained value that there is. Nothing is lost without that.
 *
 * Which of the two it is, Redis is asked at each connection (`CONFIG GET`); where it does not say, it is the second. `durable` says it instead.
 *
 * Memory: `retentionPerChannel` publications of each channel, give or take 100. With `maxmemory`, say `noeviction`: publishing fails then
 * (`uncertain: false`), and nothing is evicted behind the back of who listens.
 *
 * Keys: `{<prefix>}:channel:<name>` (never removed), `{<prefix>}:log:<name>`, `{<prefix>}:bell:<process>`. They have one hash
 * tag, so in a Redis Cluster they are on one node.
 *
 * @since 0.2.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Backplane from "./Backplane.ts"
import * as RedisLog from "./internal/redisLog.ts"
import * as RedisReader from "./internal/redisReader.ts"
import { makeRouter } from "./internal/router.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** Beginning of all keys. Default `effect_wire_backplane`. */
  readonly prefix?: string | undefined
  /** How long a publication can be caught up with. Default 5 minutes; by the clock of Redis. */
  readonly retention?: Duration.Input | undefined
  /** How many publications of one channel can be caught up with. Default 10,000. */
  readonly retentionPerChannel?: number | undefined
  /** How often the counters are looked at, should Redis have lost keys without a sign. Default 10 seconds. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long a publication or a question may take, waiting for a lost connection included. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Whether Redis has all that it acknowledged when it is started again. Default: it is asked. */
  readonly durable?: boolean | undefined
  /** Characters of a payload. Default 4,194,304. */
  readonly maxPayload?: number | undefined
}

const maxName = 1024

const backoff = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]))

// Answers of Redis after which it is certain that the script did not run.
const refused = /^(OOM|READONLY|LOADING|MISCONF|NOAUTH|NOPERM|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|BUSY|NOSCRIPT|MOVED) /

const isCertain = (cause: unknown): boolean =>
  cause instanceof Redis.RedisError && cause.cause instanceof Error && refused.test(cause.cause.message)

/** The value of a setting, in the answer of either version of the protocol. */
const settingOf = (reply: unknown, name: string): unknown =>
  Array.isArray(reply)
    ? reply[reply.indexOf(name) + 1]
    : typeof reply === "object" && reply !== null
    ? new Map(Object.entries(reply)).get(name)
    : undefined

const askDurable = (redis: Redis.Redis["Service"]): Effect.Effect<boolean> =>
  Effect.all([
    redis.send("CONFIG", "GET", "appendonly"),
    redis.send("CONFIG", "GET", "appendfsync"),
    redis.send("INFO", "replication")
  ]).pipe(
    Effect.map(([appendOnly, fsync, replication]) =>
      settingOf(appendOnly, "appendonly") === "yes" && settingOf(fsync, "appendfsync") === "always" &&
      /role:master/.test(String(replication)) && /connected_slaves:0/.test(String(replication)) &&
      /master_replid2:0+\s/.test(String(replication))
    ),
    Effect.orElseSucceed(() => false)
  )

/**
 * Makes the backplane. Fails with `BackplaneError` (`operation: "connect"`) when Redis does not answer at the start; later losses
 * of the connection are repaired. An interrupted `publish` may or may not have published.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = Effect.fnUntraced(function*(options?: Options): Effect.fn.Return<
  Backplane.Backplane["Service"],
  Backplane.BackplaneError,
  Redis.Redis | Scope.Scope
> {
  const redis = yield* Redis.Redis
  const prefix = options?.prefix ?? "effect_wire_backplane"
  const maxPayload = options?.maxPayload ?? 4_194_304
  const timeout = options?.timeout ?? "10 seconds"
  let isDurable = options?.durable === true
  const log = RedisLog.make(redis, {
    prefix,
    perChannel: options?.retentionPerChannel ?? 10_000,
    age: Duration.toMillis(Duration.fromInputUnsafe(options?.retention ?? "5 minutes")),
    isDurable: () => isDurable
  })
  const router = yield* makeRouter(log)
  const id = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
  const started = yield* redis.send<ReadonlyArray<string>>("TIME").pipe(
    Effect.mapError((cause) => new Backplane.BackplaneError({ operation: "connect", uncertain: false, cause }))
  )
  const bell = `{${prefix}}:bell:${started.join("-")}-${id.toString(36)}`
  const reader = RedisReader.make(redis, log, bell, router.notice)

  const within = <A, E, R>(
    operation: Backplane.BackplaneError["operation"],
    channel: string | undefined,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, Backplane.BackplaneError, R> => {
    const failed = (cause: unknown) =>
      new Backplane.BackplaneError({
        operation,
        ...(channel === undefined ? {} : { channel }),
        uncertain: operation === "publish" && !isCertain(cause),
        cause
      })
    return effect.pipe(
      Effect.mapError(failed),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(failed(new Error("Redis does not answer")))
      })
    )
  }

  const learn = options?.durable === undefined
    ? Effect.map(askDurable(redis), (answer) => {
      isDurable = answer
    })
    : Effect.void
  const first = yield* Deferred.make<void>()
  const opened = Effect.retry(Effect.andThen(learn, router.poll), backoff)
  yield* Effect.retry(redis.reserve, backoff).pipe(
    Effect.tap(opened),
    Effect.tap(Deferred.succeed(first, undefined)),
    Effect.flatMap(reader.hear),
    Effect.scoped,
    Effect.catch((error) =>
      Effect.andThen(
        Effect.logWarning("Backplane: the listening connection was lost and is opened again", error.message),
        Effect.sleep("20 millis")
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )
  yield* within("connect", undefined, Deferred.await(first))

  yield* Effect.ignore(router.poll).pipe(
    Effect.delay(options?.pollInterval ?? "10 seconds"),
    Effect.forever,
    Effect.forkScoped
  )
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(redis.send("DEL", bell), "1 second")))

  const refuse = (operation: "publish" | "listen" | "last", channel: string, payload: string) => {
    const cause = channel.length === 0 || channel.length > maxName
      ? `the name of a channel has 1 to ${maxName} characters`
      : payload.length > maxPayload
      ? `the payload has ${payload.length} characters, more than ${maxPayload}`
      : undefined
    return cause === undefined
      ? Effect.void
      : Effect.fail(new Backplane.BackplaneError({ operation, channel, uncertain: false, cause: new Error(cause) }))
  }

  return Backplane.make({
    publish: (channel, payload, publishOptions) =>
      Effect.andThen(
        refuse("publish", channel, payload),
        within("publish", channel, log.publish(channel, payload, publishOptions?.retain ?? false))
      ),
    listen: (channel, onEvent, listenOptions) =>
      Effect.gen(function*() {
        yield* refuse("listen", channel, "")
        yield* Effect.acquireRelease(within("listen", channel, reader.join(channel)), () => reader.leave(channel))
        return yield* within("listen", channel, router.listen(channel, onEvent, listenOptions))
      }),
    last: (channel) =>
      Effect.andThen(
        refuse("last", channel, ""),
        Effect.map(within("last", channel, log.last(channel)), ([row]) =>
          row === undefined || row.sequence === null || row.payload === null
            ? undefined
            : { _tag: "Publication" as const, channel, payload: row.payload, sequence: row.sequence })
      )
  })
})

/**
 * The backplane of several processes on one Redis.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (
  options?: Options
): Layer.Layer<Backplane.Backplane, Backplane.BackplaneError, Redis.Redis> =>
  Layer.effect(Backplane.Backplane, make(options))
