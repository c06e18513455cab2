import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import type { Scope } from "effect"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Redacted } from "effect"
import { Backplane } from "effect-wire/backplane"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import * as ChildProcess from "node:child_process"
import * as Path from "node:path"
import { hear, suite } from "../backplane/BackplaneTest.ts"
import { EmbeddedPostgres, layerClient } from "./support/EmbeddedPostgres.ts"

/** One process: its own pool, its own backplane. */
const start = (
  url: string,
  options?: NodePostgresBackplane.Options
): Effect.Effect<Context.Context<Backplane.Backplane | PgClient.PgClient>, never, Scope.Scope> =>
  NodePostgresBackplane.layer(options).pipe(Layer.provideMerge(layerClient(url)), Layer.build, Effect.orDie)

const backplaneOf = Context.get(Backplane.Backplane)

/** Ends the connections that listen, as an administrator would. */
const cutListeners = (context: Context.Context<PgClient.PgClient>) =>
  Effect.gen(function*() {
    const sql = Context.get(context, PgClient.PgClient)
    const rows = yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND query LIKE 'LISTEN%'`
    return rows.length
  })

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: 60_000 })("NodePostgresBackplane", (it) => {
  suite(
    "PostgreSQL",
    (processes) =>
      Effect.gen(function*() {
        const url = yield* (yield* EmbeddedPostgres).database
        const contexts = yield* Effect.forEach(Array.from({ length: processes }), () => start(url), {
          concurrency: "unbounded"
        })
        return contexts.map(backplaneOf)
      }),
    (name, effect) => it.effect(name, () => effect)
  )

  it.effect("with asyncCommit everything is carried the same, one by one and many at once", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const [a, b] = yield* Effect.forEach([1, 2], () => start(url, { asyncCommit: true }))
      const heard = yield* hear(backplaneOf(b!), "x")
      yield* backplaneOf(a!).publish("x", "first", { retain: true })
      yield* Effect.forEach(Array.from({ length: 20 }), (_, i) => backplaneOf(a!).publish("x", String(i)), {
        concurrency: "unbounded"
      })
      const events = yield* heard.take(21)
      assert.deepStrictEqual(events.map((event) => event.sequence), Array.from({ length: 21 }, (_, i) => i + 1))
      assert.strictEqual((yield* backplaneOf(b!).last("x"))?.payload, "first")
    }))

  it.effect("a lost listener reconnects and catches up from the table, in order", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const [a, b, c] = yield* Effect.forEach([1, 2, 3], () => start(url))
      const heard = yield* Effect.forEach([a!, b!, c!], (one) => hear(backplaneOf(one), "x"))
      for (let i = 1; i <= 50; i++) {
        if (i === 10 || i === 30) assert.strictEqual(yield* cutListeners(a!), 3)
        yield* backplaneOf(a!).publish("x", String(i))
      }
      for (const one of heard) {
        const events = yield* one.take(50)
        assert.deepStrictEqual(
          events.map((event) => event._tag === "Publication" ? event.payload : "gap"),
          Array.from({ length: 50 }, (_, i) => String(i + 1))
        )
      }
    }))

  it.effect("what the table does not hold any more is reported as a gap, and the retained value follows it", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const [a, b] = yield* Effect.forEach([1, 2], () => start(url, { prefix: "gaps" }))
      const sql = Context.get(a!, PgClient.PgClient)
      const heard = yield* hear(backplaneOf(b!), "x")
      // Nothing is notified from here on: b's connection is cut and what it missed is gone from the table.
      yield* backplaneOf(a!).publish("x", "1")
      yield* heard.take(1)
      yield* sql`UPDATE gaps_channel SET sequence = 6, last_sequence = 4, last_payload = 'kept' WHERE channel = 'x'`
      yield* backplaneOf(a!).publish("x", "7")
      const events = yield* heard.take(4)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "Gap" ? `gap ${event.missed}` : `${event.sequence} ${event.payload}`),
        ["gap 2", "4 kept", "gap 2", "7 7"]
      )
      assert.strictEqual((yield* backplaneOf(b!).last("x"))?.payload, "kept")
    }))

  it.effect("a count that began anew is a gap of unknown size, found without any notification", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const a = yield* start(url, { prefix: "anew", pollInterval: "50 millis" })
      const sql = Context.get(a, PgClient.PgClient)
      const heard = yield* hear(backplaneOf(a), "x")
      yield* backplaneOf(a).publish("x", "1")
      yield* heard.take(1)
      yield* sql`TRUNCATE anew_channel, anew_log`
      const [event] = yield* heard.take(1)
      if (event?._tag !== "Gap") return assert.fail("no gap")
      const { epoch, ...rest } = event
      assert.deepStrictEqual(rest, { _tag: "Gap", channel: "x", after: 1, sequence: 0, missed: undefined })
      assert.notStrictEqual(epoch, heard.registration.epoch)
      yield* backplaneOf(a).publish("x", "again")
      assert.strictEqual((yield* heard.take(1))[0]?.sequence, 1)
    }))

  it.effect("the sweep keeps what is young and within the number for each channel", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const a = yield* start(url, { prefix: "swept", retentionPerChannel: 5, sweepInterval: "100 millis" })
      const sql = Context.get(a, PgClient.PgClient)
      yield* Effect.forEach(Array.from({ length: 12 }), (_, i) => backplaneOf(a).publish("x", String(i)), {
        concurrency: "unbounded"
      })
      yield* sql`UPDATE swept_log SET published_at = now() - interval '1 hour' WHERE sequence = 12`
      yield* Effect.repeat(sql<{ sequence: number }>`SELECT sequence::float8 FROM swept_log ORDER BY sequence`, {
        until: (rows) => rows.map((row) => row.sequence).join() === "8,9,10,11"
      })
    }), 120_000)

  it.effect("a process that is killed takes nobody with it", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const [a, b] = yield* Effect.forEach([1, 2], () => start(url))
      const heard = yield* hear(backplaneOf(b!), "x")
      const ready = yield* hear(backplaneOf(a!), "ready")
      const child = ChildProcess.spawn(
        process.execPath,
        ["--import", "tsx", Path.join(import.meta.dirname, "support/backplaneChild.ts"), url],
        { stdio: "inherit" }
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      yield* ready.take(1)
      yield* heard.take(50)
      child.kill("SIGKILL")
      const after = yield* backplaneOf(a!).publish("x", "still here")
      const events: Array<Backplane.Event> = []
      while (events.at(-1)?.sequence !== after) events.push(yield* Queue.take(heard.events))
      assert.deepStrictEqual(events.filter((event) => event._tag === "Gap"), [])
      assert.deepStrictEqual(events.map((event) => event.sequence), events.map((_, i) => events[0]!.sequence + i))
    }), 120_000)

  it.effect("in a transaction a publication is carried with its commit, in the order of commits, or was never there", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const [a, b] = yield* Effect.forEach([1, 2], () => start(url))
      const sql = Context.get(a!, PgClient.PgClient)
      const heard = yield* hear(backplaneOf(b!), "orders")
      yield* sql`CREATE TABLE orders (id INTEGER PRIMARY KEY)`
      const order = (id: number, between: Effect.Effect<void, string>) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql`INSERT INTO orders ${sql.insert({ id })}`
          const number = yield* backplaneOf(a!).publish("orders", `order ${id}`, { retain: true })
          yield* between
          yield* backplaneOf(a!).publish("orders", `packed ${id}`)
          return number
        }))
      assert.strictEqual(yield* order(1, Effect.void), 1)
      assert.strictEqual(yield* Effect.flip(order(2, Effect.fail("refused"))), "refused")
      assert.strictEqual((yield* backplaneOf(a!).last("orders"))?.payload, "order 1")
      // another process publishes meanwhile: it waits, and comes after
      const begun = yield* Deferred.make<void>()
      const slow = yield* Effect.forkChild(
        order(3, Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("50 millis")))
      )
      yield* Deferred.await(begun)
      assert.strictEqual(yield* backplaneOf(b!).publish("orders", "from another"), 5)
      assert.strictEqual(yield* Fiber.join(slow), 3)
      const events = yield* heard.take(5)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "Publication" ? event.payload : "gap"),
        ["order 1", "packed 1", "order 3", "packed 3", "from another"]
      )
      assert.strictEqual((yield* sql`SELECT * FROM orders`).length, 2)
      const later = yield* Effect.scoped(
        backplaneOf(b!).listen("orders", () => {}, { history: {} })
      )
      assert.strictEqual(later.history.length, 5)
    }))

  it.effect("names and payloads that PostgreSQL cannot carry are refused and spoil no other publication", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const backplane = backplaneOf(yield* start(url, { maxPayload: 10_000 }))
      const outcomes = yield* Effect.all([
        Effect.flip(backplane.publish("", "x")),
        Effect.flip(backplane.publish("n".repeat(1025), "x")),
        Effect.flip(backplane.publish("x", "\0")),
        Effect.flip(backplane.publish("x", "y".repeat(10_001))),
        Effect.flip(Effect.scoped(backplane.listen("a\0b", () => {})))
      ], { concurrency: "unbounded" })
      for (const error of outcomes) {
        assert.strictEqual(error._tag, "BackplaneError")
        assert.isFalse(error.uncertain)
      }
      assert.strictEqual(yield* backplane.publish("x", "fine"), 1)
    }))

  it.effect("a database that cannot be reached fails the layer", () =>
    Effect.gen(function*() {
      const exit = yield* NodePostgresBackplane.layer().pipe(
        Layer.provide(PgClient.layer({
          url: Redacted.make("postgres://postgres:postgres@127.0.0.1:1/none"),
          connectTimeout: "2 seconds"
        })),
        Layer.build,
        Effect.scoped,
        Effect.exit
      )
      assert.isTrue(Exit.isFailure(exit))
    }))
})
