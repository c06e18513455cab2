import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { makePostgres } from "../../node/support/KillablePostgres.ts"
import { freePort, kills, makeCrowd, random, seed, temporaryDirectory } from "./crowd.ts"

type Crowd = Effect.Success<typeof makeCrowd>

/** Empties the queue, and then holds what the processes knew against what the database says. */
const settle = Effect.fnUntraced(function*(crowd: Crowd) {
  const queue = yield* MessageQueue.MessageQueue
  const delivered = new Set<string>()
  while (true) {
    const deliveries = yield* queue.pullMany("bb", { max: 1000, wait: "1 second" })
    for (const delivery of deliveries) delivered.add(String(delivery.payload.value))
    yield* Effect.forEach(deliveries, (delivery) => queue.ack(delivery), { concurrency: "unbounded" })
    const counts = yield* queue.counts()
    if (counts.pending + counts.scheduled + counts.processing === 0) break
  }
  const stored: Array<string> = []
  let page = yield* queue.list({ limit: 1000 })
  while (true) {
    for (const message of page.messages) {
      assert.strictEqual(message.status, "processed")
      stored.push(String(message.payload.value))
    }
    if (page.cursor === undefined) break
    page = yield* queue.list({ limit: 1000, cursor: page.cursor })
  }
  const journal = yield* crowd.journal
  for (const message of journal.delivered) delivered.add(message)
  // Every message whose push was confirmed is there, was delivered, and is there once.
  assert.strictEqual(new Set(stored).size, stored.length, "a message is stored twice")
  for (const message of journal.pushed) {
    assert.isTrue(stored.includes(message), `${message} was pushed and is lost`)
    assert.isTrue(delivered.has(message), `${message} was pushed and never delivered`)
  }
  // No message was acknowledged by two holders.
  assert.strictEqual(
    new Set(journal.acknowledged).size,
    journal.acknowledged.length,
    "a message was acknowledged twice"
  )
  assert.isAbove(journal.pushed.length, kills)
  assert.isAbove(journal.acknowledged.length, kills / 2)
  return journal
})

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
        yield* settle(crowd).pipe(Effect.provide(layerSqlite(filename)))
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
        yield* settle(crowd).pipe(Effect.provide(layerPostgres(postgres.url)))
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
        yield* settle(crowd).pipe(Effect.provide(layerSqlite(filename)))
      }),
    90_000 + kills * 1000
  )
})
