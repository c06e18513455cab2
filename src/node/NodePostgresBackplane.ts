/**
 * A {@link Backplane} on PostgreSQL: several processes on one database serve as one.
 *
 * Each process holds one connection that listens to one notification channel, whatever the number of its channels, and
 * takes from it what its own listeners want. A publication is numbered, logged and notified in one statement; what is
 * published while a statement is under way goes into the next one together. The notification carries payloads below
 * PostgreSQL's limit of 8,000 bytes; larger ones are read from the log, and so is everything that was notified while the
 * listening connection was lost: it is opened again at once, then after growing pauses, and each channel continues where it stood.
 * What the log does not hold any more is reported as a {@link Backplane.Gap}. The counters are also looked at every
 * `pollInterval`, so that a connection that is dead without a sign delays and loses nothing.
 *
 * Two tables are created when missing: `<prefix>_channel` (one row for each channel that is published on or listened to,
 * never removed; its `epoch` is made with it) and `<prefix>_log`.
 *
 * **What an acknowledged publication means**: it is on the disk of PostgreSQL, in the log, and is heard by every process that
 * listens, or starts to listen with a history, within `retention`, whatever crashes meanwhile. `asyncCommit` and `unlogged`
 * give up that. Processes that find the count behind what they have seen make a new epoch. Nobody can see that from
 * outside of them: whoever restores an old state of the database while none runs empties both tables.
 *
 * **In a transaction of the publisher** (`withTransaction` of the same `PgClient`) a publication belongs to that transaction: it is
 * carried when that commits, in the order of commits, and was never there when it rolls back. `publish` answers with the number that it will
 * have. From there to the commit other publishers of that channel wait, those of this process whatever their channel is: publish
 * last, and publish on several channels in the same order everywhere (PostgreSQL ends one of two transactions that wait for one another).
 *
 * Transaction poolers that do not keep a session (PgBouncer in transaction mode) cannot `LISTEN`; connect to the server.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Backplane from "../backplane/Backplane.ts"
import { makeRouter } from "../backplane/internal/router.ts"
import * as Statements from "./internal/backplaneSchema.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Name of the notification channel and beginning of the tables' names. Default `effect_wire_backplane`. */
  readonly prefix?: string | undefined
  /** How long a publication can be caught up with. Default 5 minutes; by the clock of the database. */
  readonly retention?: Duration.Input | undefined
  /** How many publications of one channel can be caught up with. Default 10,000. */
  readonly retentionPerChannel?: number | undefined
  /** How often the log is swept. Default 1 minute. */
  readonly sweepInterval?: Duration.Input | undefined
  /** How often the counters are looked at, should a notification have been lost without a sign. Default 10 seconds. */
  readonly pollInterval?: Duration.Input | undefined
  /**
   * Whether a publication is carried before PostgreSQL has it on its disk (`synchronous_commit = off`); faster by the
   * time of a flush. Default `false`. When PostgreSQL itself crashes the publications of the last moment (less than a second)
   * are lost without a gap being told, retained ones too; a crash of our processes loses nothing.
   */
  readonly asyncCommit?: boolean | undefined
  /**
   * Whether PostgreSQL keeps the log out of its own journal: a publication costs about half, and a crash of PostgreSQL
   * empties the log, which is reported as a gap where somebody had not heard all of it. Default `false`: what was
   * acknowledged is there after a crash. Tables that are there are changed to what is asked for here.
   */
  readonly unlogged?: boolean | undefined
  /** Characters of a payload. Default 4,194,304. */
  readonly maxPayload?: number | undefined
}

/** Characters in a channel's name: it must fit into a notification beside the number. */
const maxName = 1024
/** What one statement carries at most: publications, and characters of them together. */
const batchItems = 256
const batchCharacters = 1_048_576

const chunks = (batch: ReadonlyArray<Pending>): ReadonlyArray<ReadonlyArray<Pending>> => {
  const out: Array<Array<Pending>> = [[]]
  let characters = 0
  for (const item of batch) {
    if (characters > 0 && characters + item.payload.length > batchCharacters) {
      out.push([])
      characters = 0
    }
    characters += item.payload.length
    out[out.length - 1]!.push(item)
  }
  return out
}

const backoff = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]))

interface Pending extends Statements.Item {
  readonly done: Deferred.Deferred<number, Backplane.BackplaneError>
}

/**
 * Makes the backplane and creates its tables. Fails with `BackplaneError` (`operation: "connect"`) when the database cannot be
 * reached at the start; later losses of the connection are repaired.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options?: Options): Effect.fn.Return<
  Backplane.Backplane["Service"],
  Backplane.BackplaneError,
  PgClient.PgClient | Scope.Scope
> {
  const sql = yield* PgClient.PgClient
  const prefix = options?.prefix ?? "effect_wire_backplane"
  const maxPayload = options?.maxPayload ?? 4_194_304
  const statements = Statements.make(sql, prefix, {
    asyncCommit: options?.asyncCommit === true,
    unlogged: options?.unlogged === true
  })
  const failed = (operation: Backplane.BackplaneError["operation"], channel?: string) => (cause: unknown) =>
    new Backplane.BackplaneError({
      operation,
      ...(channel === undefined ? {} : { channel }),
      uncertain: operation === "publish",
      cause
    })

  yield* Effect.mapError(statements.migrate, failed("connect"))
  const router = yield* makeRouter(statements)

  // Hears notifications until the connection is lost.
  const hear = (notifications: Queue.Dequeue<{ readonly payload: string }, SqlError>) =>
    Effect.forever(Effect.map(Queue.takeAll(notifications), (batch) => {
      for (const notification of batch) {
        const notice = Statements.parse(notification.payload)
        if (notice !== undefined) router.notice(notice)
      }
    }))
  const first = yield* Deferred.make<void, Backplane.BackplaneError>()
  const connect = Effect.tapError(sql.listen(prefix), (error) => Deferred.fail(first, failed("connect")(error)))
  yield* Effect.retry(connect, backoff).pipe(
    Effect.tap(Deferred.succeed(first, undefined)),
    Effect.tap(() => Effect.ignore(router.poll)),
    Effect.flatMap(hear),
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
  yield* Deferred.await(first)

  yield* Effect.ignore(router.poll).pipe(
    Effect.delay(options?.pollInterval ?? "10 seconds"),
    Effect.forever,
    Effect.forkScoped
  )
  yield* statements.sweep({
    seconds: Duration.toSeconds(Duration.fromInputUnsafe(options?.retention ?? "5 minutes")),
    perChannel: options?.retentionPerChannel ?? 10_000
  }).pipe(
    Effect.catch((error) => Effect.logWarning("Backplane: the log could not be swept", error)),
    Effect.delay(options?.sweepInterval ?? "1 minute"),
    Effect.forever,
    Effect.forkScoped
  )

  const outgoing = yield* Queue.unbounded<Pending>()
  yield* Queue.takeBetween(outgoing, 1, batchItems).pipe(
    Effect.flatMap((taken) =>
      Effect.forEach(chunks(taken), (batch) =>
        Effect.matchCause(statements.publish(batch), {
          onFailure: (cause) => {
            for (const item of batch) {
              Deferred.doneUnsafe(item.done, Effect.fail(failed("publish", item.channel)(cause)))
            }
          },
          onSuccess: (sequences) => {
            for (const [index, item] of batch.entries()) {
              Deferred.doneUnsafe(item.done, Effect.succeed(sequences[index]!))
            }
          }
        }), { discard: true })
    ),
    Effect.forever,
    Effect.forkScoped
  )

  const refuse = (operation: "publish" | "listen" | "last", channel: string, payload: string) => {
    const cause = channel.length === 0 || channel.length > maxName || channel.includes("\0")
      ? `the name of a channel has 1 to ${maxName} characters and no NUL`
      : payload.includes("\0")
      ? "PostgreSQL cannot hold a NUL character in a text"
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
        Effect.withFiber((fiber) => {
          const item = { channel, payload, retain: publishOptions?.retain ?? false }
          if (Context.getOption(fiber.context, sql.transactionService)._tag === "Some") {
            return Effect.mapBoth(statements.publishWithin(item), {
              onFailure: failed("publish", channel),
              onSuccess: (sequences) => sequences[0]!
            })
          }
          const done = Deferred.makeUnsafe<number, Backplane.BackplaneError>()
          Queue.offerUnsafe(outgoing, { ...item, done })
          return Deferred.await(done)
        })
      ),
    listen: (channel, onEvent, listenOptions) =>
      Effect.andThen(
        refuse("listen", channel, ""),
        Effect.mapError(router.listen(channel, onEvent, listenOptions), failed("listen", channel))
      ),
    last: (channel) =>
      Effect.andThen(
        refuse("last", channel, ""),
        Effect.mapBoth(statements.last(channel), {
          onFailure: failed("last", channel),
          onSuccess: ([row]) =>
            row === undefined || row.sequence === null || row.payload === null ? undefined : {
              _tag: "Publication" as const,
              channel,
              payload: row.payload,
              sequence: row.sequence
            }
        })
      )
  })
})

/**
 * The backplane of several processes on one PostgreSQL. Needs two connections of the pool of `PgClient`: one is kept for
 * listening.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<Backplane.Backplane, Backplane.BackplaneError, PgClient.PgClient> =>
  Layer.effect(Backplane.Backplane, make(options))
