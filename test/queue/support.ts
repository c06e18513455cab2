import { NodeFileSystem } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Context, Duration, Effect, FileSystem, Layer, Random, Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { EmbeddedPostgres } from "../node/support/EmbeddedPostgres.ts"
import { Clock } from "./suite.ts"

/** A path in a directory that goes with the scope. */
export const temporaryFile = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  return `${yield* fs.makeTempDirectoryScoped({ prefix: "queue-" })}/queue.sqlite`
}).pipe(Effect.provide(NodeFileSystem.layer))

/** A SQLite file of its own. */
export const layerSqlite = (options?: Partial<NodeSqliteClient.NodeSqliteClientConfig>) =>
  Layer.unwrap(
    Effect.map(temporaryFile, (filename) => NodeSqliteClient.layer({ filename, synchronous: "NORMAL", ...options }))
  )

/** One PostgreSQL for all tests of a file, and one database in it. */
export const layerPostgres = Layer.unwrap(Effect.gen(function*() {
  const server = yield* EmbeddedPostgres
  // The timeout for connecting goes by the clock that the tests move.
  return Layer.fresh(PgClient.layer({
    url: Redacted.make(yield* server.database),
    maxConnections: 8,
    connectTimeout: "10000 days",
    idleTimeout: "10000 days"
  }))
})).pipe(Layer.provideMerge(EmbeddedPostgres.layer))

/** The clock of PostgreSQL: the function that says what time it is reads a table that the test writes. */
const makeClock = (prefix: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const isPg = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
    if (!isPg) {
      // SQLite goes by the clock of the process.
      return Context.make(Clock, {
        back: (duration) =>
          Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), (now) =>
            TestClock.setTime(now - Duration.toMillis(Duration.fromInputUnsafe(duration)))),
        advance: TestClock.adjust
      })
    }
    let now = 1_700_000_000_000
    yield* sql.unsafe(`CREATE TABLE ${prefix}_time (now BIGINT)`)
    yield* sql.unsafe(`CREATE OR REPLACE FUNCTION ${prefix}_now() RETURNS bigint LANGUAGE sql AS
      'SELECT now FROM ${prefix}_time'`)
    const set = (millis: number) =>
      Effect.andThen(
        sql.unsafe(`DELETE FROM ${prefix}_time`),
        sql.unsafe(`INSERT INTO ${prefix}_time VALUES (${millis})`)
      )
    yield* set(now)
    return Context.make(Clock, {
      back: (duration) =>
        Effect.orDie(set(now -= Duration.toMillis(Duration.fromInputUnsafe(duration)))),
      advance: (duration) =>
        Effect.gen(function*() {
          const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
          const after = yield* TestClock.adjust(duration).pipe(
            Effect.andThen(Effect.clockWith((clock) => clock.currentTimeMillis))
          )
          yield* Effect.orDie(sql.withTransaction(set(now += after - before)))
          // Who waits in real time for the database gets it.
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
        })
    })
  })

/** A queue with tables of its own, whose clock the test moves. */
export const layerSqlQueue = (options?: MessageQueue.SqlOptions) =>
  Layer.unwrap(Effect.gen(function*() {
    const prefix = `q${yield* Random.nextIntBetween(0, 1_000_000_000)}`
    // At no moment at which a test looks: what another sweeps at the same moment is passed over.
    const queue = MessageQueue.layerSql({ prefix, retentionInterval: "3661 seconds", ...options })
    return Layer.effectContext(makeClock(prefix)).pipe(Layer.provideMerge(queue))
  }))
