import { PgClient } from "@effect/sql-pg"
import { describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { makePostgres } from "../../node/support/KillablePostgres.ts"
import { type Crowd, freePort, kills, makeCrowd, random, seed, temporaryDirectory } from "./crowd.ts"
import { settle } from "./settle.ts"

/** Starts the crowd, and kills one of it after the other. */
const rage = Effect.fnUntraced(function*(
  crowd: Crowd,
  kind: string,
  address: string,
  count: number,
  another?: { readonly every: number; readonly kill: Effect.Effect<void> }
) {
  const next = random(seed)
  const roles = ["producer", "producer", "consumer", "consumer"]
  let generation = 0
  const start = (index: number) =>
    crowd.start(String(index), roles[index]!, kind, address, `${roles[index]}${index}.${generation++}`)
  for (const index of roles.keys()) yield* start(index)
  yield* Effect.sleep("700 millis")
  for (let n = 1; n <= count; n++) {
    if (another !== undefined && n % another.every === 0) yield* another.kill
    else {
      const index = Math.floor(next() * roles.length)
      yield* crowd.kill(String(index))
      yield* start(index)
    }
    // A process that has just been started is sometimes killed in its start, and sometimes lives for a while.
    yield* Effect.sleep(20 + Math.floor(next() * next() * 700))
  }
  // On a slow machine those that live now have yet to do something that can be held against the database.
  const done = Effect.map(
    crowd.journal,
    ({ acknowledged, pushed }) => pushed.length > kills && acknowledged.length > kills / 2
  )
  yield* Effect.repeat(Effect.delay(done, "500 millis"), { until: (isDone) => isDone }).pipe(
    Effect.timeoutOption("60 seconds")
  )
  yield* crowd.killAll
})

const layerSqlite = (filename: string) =>
  MessageQueue.layerSql({ pollInterval: "50 millis" }).pipe(Layer.provide(NodeSqliteClient.layer({ filename })))

const layerPostgres = (url: string) =>
  MessageQueue.layerSql({ pollInterval: "50 millis" }).pipe(
    Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 4 }))
  )

// One after the other: each fills the machine with processes.
describe("kill -9", { concurrent: false }, () => {
  it.live(
    "of producers and consumers on one SQLite file loses nothing and acknowledges nothing twice",
    () =>
      Effect.gen(function*() {
        const crowd = yield* makeCrowd
        const filename = `${yield* temporaryDirectory}/queue.sqlite`
        yield* rage(crowd, "sqlite", filename, kills)
        yield* settle(crowd, kills).pipe(Effect.provide(layerSqlite(filename)))
      }),
    90_000 + kills * 1000
  )

  it.live(
    "of producers, consumers and PostgreSQL itself loses nothing and acknowledges nothing twice",
    () =>
      Effect.gen(function*() {
        const crowd = yield* makeCrowd
        const postgres = yield* makePostgres
        yield* rage(crowd, "postgres", postgres.url, kills, { every: 10, kill: postgres.kill })
        yield* settle(crowd, kills).pipe(Effect.provide(layerPostgres(postgres.url)))
      }),
    120_000 + kills * 2000
  )

  it.live(
    "of the gateway, its producers and its consumers loses nothing and acknowledges nothing twice",
    () =>
      Effect.gen(function*() {
        const crowd = yield* makeCrowd
        const filename = `${yield* temporaryDirectory}/queue.sqlite`
        const port = yield* freePort
        const start = crowd.start("gateway", "gateway", "sqlite", filename, String(port))
        yield* start
        yield* rage(crowd, "http", `http://127.0.0.1:${port}`, kills, {
          every: 3,
          kill: Effect.andThen(crowd.kill("gateway"), Effect.andThen(start, Effect.sleep("300 millis")))
        })
        yield* settle(crowd, kills).pipe(Effect.provide(layerSqlite(filename)))
      }),
    90_000 + kills * 1000
  )
})
