/**
 * The hint between processes that a queue on PostgreSQL has something for a node, by `LISTEN` and `NOTIFY`. Optional: without
 * it, or while its connection is lost, waiting pulls find new messages by polling.
 *
 * It holds one connection of the pool. Notifications are gathered, and sent by transactions that wait for no disk.
 *
 * @since 0.1.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import { randomBytesUnsafe } from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { QueueSignal } from "../queue/QueueSignal.ts"

const backoff = Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("5 seconds")]))

/** Names in one notification, which PostgreSQL limits to 8,000 bytes; a name has at most 128. */
const mostNames = 50

/**
 * Makes the signal on a notification channel, default `effect_wire_queue`. Never fails: a lost connection is opened again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  readonly channel?: string | undefined
}): Effect.Effect<QueueSignal, never, PgClient.PgClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* PgClient.PgClient
    const channel = options?.channel ?? "effect_wire_queue"
    // What this one says comes back to it too, and is not heard: who waits here was told before.
    const own = Hex.encode(randomBytesUnsafe(8))
    const listeners = new Set<(node: string | undefined) => void>()
    const tell = (node: string | undefined): void => listeners.forEach((listener) => listener(node))

    yield* sql.listen(channel).pipe(
      // What was said while nobody listened is lost.
      Effect.tap(Effect.sync(() => tell(undefined))),
      Effect.flatMap((notifications) =>
        Effect.forever(Effect.map(Queue.takeAll(notifications), (all) => {
          const nodes = new Set<string>()
          for (const { payload } of all) {
            const [who, ...said] = payload.split(",")
            if (who !== own) said.forEach((node) => nodes.add(node))
          }
          nodes.forEach(tell)
        }))
      ),
      Effect.scoped,
      Effect.retry(backoff),
      Effect.ignore,
      Effect.forkScoped
    )

    return {
      publish: (nodes) =>
        Effect.forEach(
          chunks(nodes),
          (some) =>
            sql`SELECT set_config('synchronous_commit', 'off', true), pg_notify(${channel}, ${
              [own, ...some].join(",")
            })`,
          {
            discard: true
          }
        ).pipe(Effect.ignore),
      subscribe: (listener) =>
        Effect.acquireRelease(
          Effect.sync(() => void listeners.add(listener)),
          () => Effect.sync(() => void listeners.delete(listener))
        )
    }
  })

/**
 * Provides the signal to a queue that is built on the same database.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  readonly channel?: string | undefined
}): Layer.Layer<never, never, PgClient.PgClient> => Layer.effect(QueueSignal, make(options))

const chunks = (nodes: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> =>
  Array.from(
    { length: Math.ceil(nodes.length / mostNames) },
    (_, index) => nodes.slice(index * mostNames, (index + 1) * mostNames)
  )
