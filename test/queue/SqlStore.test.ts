import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Deferred, Effect, Fiber, Layer, Metric, Option, Redacted, type Scope } from "effect"
import * as NodePostgresQueueSignal from "effect-wire/node/NodePostgresQueueSignal"
import { MessageQueue, QueueMetrics, SciroccoClient, SciroccoServer } from "effect-wire/queue"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { makePg, makeSqlite } from "../../src/queue/internal/sqlDialect.ts"
import * as Schema from "../../src/queue/internal/sqlSchema.ts"
import { Clock } from "./suite.ts"
import { layerPostgres, layerSqlite, layerSqlQueue } from "./support.ts"

let names = 0
/** A prefix that no other test has. */
const freshPrefix = Effect.sync(() => `t${process.pid}_${++names}`)

const isPg = (sql: SqlClient.SqlClient) => sql.onDialectOrElse({ pg: () => true, orElse: () => false })

/** Fills the table as no queue would: quickly. */
const load = (sql: SqlClient.SqlClient, p: string, count: number) =>
  Effect.asVoid(
    sql.unsafe(
      isPg(sql)
        ? `INSERT INTO ${p}_message (id, source, destination, state, priority, tries, max_tries, payload_type,
            payload_kind, created_at, payload)
          SELECT md5(n::text || random()), 'aa', 'bb', 0, 0, 0, 20, 'text/plain', 1, 0, 'x'::bytea
          FROM generate_series(1, ${count}) n`
        : `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count})
          INSERT INTO ${p}_message (id, source, destination, state, priority, tries, max_tries, payload_type,
            payload_kind, created_at, payload)
          SELECT lower(hex(randomblob(12))), 'aa', 'bb', 0, 0, 0, 20, 'text/plain', 1, 0, x'78' FROM c`
    ).unprepared
  )

type Test = (
  title: string,
  body: () => Effect.Effect<unknown, unknown, SqlClient.SqlClient | Scope.Scope>,
  timeout?: number
) => void

/** What holds on both databases, beyond what the storage suite asks. */
const both = (name: string, test: Test) => {
  test(`a push inside a transaction exists if and only if that commits (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const p = yield* freshPrefix
      yield* sql.unsafe(`CREATE TABLE ${p}_orders (n INTEGER)`)
      const queue = yield* MessageQueue.makeSql({ prefix: p })
      const order = (n: number, end: Effect.Effect<void, string>) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe(`INSERT INTO ${p}_orders VALUES (${n})`)
          yield* queue.push("bb", n, { source: "aa", deduplicationKey: `order ${n}`, orderingKey: "orders" })
          yield* queue.push("bb", -n, { source: "aa" })
          yield* end
        }))
      // Somebody who waits sees it when it is committed, and not before.
      const waiting = yield* Effect.forkChild(queue.pull("bb", { wait: "10 seconds" }))
      yield* Effect.exit(order(1, Effect.fail("no")))
      assert.isTrue(fiberIsRunning(waiting))
      yield* order(2, Effect.void)
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(waiting)).payload.value, 2)
      const { messages } = yield* queue.list()
      assert.deepStrictEqual(messages.map((message) => message.payload.value), [2, -2])
      assert.deepStrictEqual((yield* sql.unsafe(`SELECT n FROM ${p}_orders`).values).map(([n]) => Number(n)), [2])
    }))

  test(`work and its ack in one transaction: both or none (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const p = yield* freshPrefix
      const queue = yield* MessageQueue.makeSql({ prefix: p })
      yield* sql.unsafe(`CREATE TABLE ${p}_done (n INTEGER)`)
      yield* queue.push("bb", 1)
      const delivery = Option.getOrThrow(yield* queue.pull("bb"))
      const work = (end: Effect.Effect<void, string>) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe(`INSERT INTO ${p}_done VALUES (1)`)
          yield* queue.ack(delivery)
          yield* end
        }))
      yield* Effect.exit(work(Effect.fail("crash")))
      assert.strictEqual((yield* queue.counts()).processing, 1)
      yield* work(Effect.void)
      assert.strictEqual((yield* queue.counts()).processed, 1)
      assert.strictEqual((yield* sql.unsafe(`SELECT n FROM ${p}_done`)).length, 1)
    }))

  test(`the tables come from nothing, and from every earlier version with its messages (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (const version of [0, 1]) {
        const p = yield* freshPrefix
        if (version > 0) {
          yield* Schema.migrations(sql, p, version)
          yield* load(sql, p, 3)
        }
        const queue = yield* MessageQueue.makeSql({ prefix: p })
        yield* queue.push("bb", "new")
        assert.strictEqual((yield* queue.pullMany("bb")).length, version > 0 ? 4 : 1)
        // A second start finds nothing to do.
        yield* MessageQueue.makeSql({ prefix: p })
        const rows = yield* sql.unsafe(`SELECT migration_id FROM ${p}_migration ORDER BY migration_id`).values
        assert.deepStrictEqual(rows.map(([id]) => Number(id)), [1, 2])
      }
    }))

  test(`two queues that start at once on an empty database both work (${name})`, () =>
    Effect.gen(function*() {
      const p = yield* freshPrefix
      const [one, other] = yield* Effect.all(
        [MessageQueue.makeSql({ prefix: p }), MessageQueue.makeSql({ prefix: p })],
        {
          concurrency: "unbounded"
        }
      )
      yield* one.push("bb", 1)
      assert.strictEqual((yield* other.pullMany("bb")).length, 1)
    }))

  test(`a prefix that is no name is refused (${name})`, () =>
    Effect.gen(function*() {
      for (const prefix of ["", "A", "1a", "a b", "a;drop table x", "a".repeat(32), "é"]) {
        const error = yield* Effect.flip(MessageQueue.makeSql({ prefix }))
        assert.strictEqual(error.reason._tag, "InvalidMessage")
      }
    }))

  test(`8 consumers that race for 10,000 messages handle each once (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const p = yield* freshPrefix
      const queue = yield* MessageQueue.makeSql({ prefix: p })
      yield* load(sql, p, 10_000)
      const handled = new Map<string, number>()
      const done = yield* Deferred.make<void>()
      let count = 0
      const consumer = MessageQueue.consume("bb", (message) =>
        Effect.suspend(() => {
          handled.set(message.id, (handled.get(message.id) ?? 0) + 1)
          return ++count === 10_000 ? Deferred.succeed(done, undefined) : Effect.void
        }), { concurrency: 16, prefetch: 16 }).pipe(Effect.provideService(MessageQueue.MessageQueue, queue))
      const fibers = yield* Effect.forEach(Arr.range(1, 8), () => Effect.forkChild(consumer))
      yield* Deferred.await(done)
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(handled.size, 10_000)
      assert.isTrue(Array.from(handled.values()).every((times) => times === 1))
    }), 60_000)

  test(`processed messages go when their time is over, others stay (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const p = yield* freshPrefix
      const queue = yield* MessageQueue.makeSql({ prefix: p, retention: "1 hour", retentionInterval: "1 minute" })
      yield* load(sql, p, 2500)
      yield* sql.unsafe(`UPDATE ${p}_message SET state = 5, processed_at = 0`)
      yield* queue.push("bb", "waits")
      yield* queue.push("cc", "recent", { deduplicationKey: "k" })
      yield* queue.ack(Option.getOrThrow(yield* queue.pull("cc")))
      yield* TestClock.adjust("1 minute")
      while ((yield* queue.counts()).processed > 1) yield* Effect.promise(() => new Promise((r) => setTimeout(r, 5)))
      assert.deepStrictEqual({ ...(yield* queue.counts()) }, {
        pending: 1,
        scheduled: 0,
        processing: 0,
        processed: 1,
        dead: 0
      })
    }))
}

const fiberIsRunning = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.pollUnsafe() === undefined

describe("the repository on SQLite", () => {
  it.effect("what waits at the same moment shares one transaction (SQLite)", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeSql()
      const sender = Effect.forEach(Arr.range(1, 50), (n) => queue.push("bb", n))
      yield* Effect.all(Arr.range(1, 8).map(() => sender), { concurrency: "unbounded" })
      const { count } = yield* Metric.value(QueueMetrics.rounds)
      assert.isAtMost(Number(count), 400 / 4)
      assert.strictEqual((yield* queue.counts()).pending, 400)
    }).pipe(Effect.provide(layerSqlite()), Effect.provideService(Metric.MetricRegistry, new Map())))

  both("SQLite", (title, body, timeout) => it.effect(title, () => Effect.provide(body(), layerSqlite()), timeout))

  for (const statistics of ["none", "empty", "stale", "fresh"] as const) {
    it.effect(`a claim and what is due are found by their indexes, with ${statistics} statistics (SQLite)`, () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Schema.migrations(sql, "p")
        if (statistics === "empty") yield* sql`ANALYZE`
        yield* load(sql, "p", 100)
        if (statistics === "stale") yield* sql`ANALYZE`
        yield* load(sql, "p", 20_000)
        if (statistics === "fresh") yield* sql`ANALYZE`
        // The statements that the queue runs, with what SQLite says about them.
        const plans: Array<string> = []
        const explain = (text: string, params?: ReadonlyArray<unknown>) =>
          Effect.tap(
            sql.unsafe<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, params),
            (rows) => Effect.sync(() => void plans.push(rows.map((row) => row.detail).join("\n")))
          )
        const dialect = makeSqlite(explain, "p", (text, params) => Effect.as(explain(text, params), []))
        yield* dialect.claim("bb", 1, 1000)
        assert.match(plans[0]!, /USING INDEX p_due|USING COVERING INDEX p_due/)
        assert.match(plans.at(-1)!, /USING (COVERING )?INDEX p_ready/)
        for (const plan of plans) {
          assert.notMatch(plan, /SCAN p_message|TEMP B-TREE/)
        }
        plans.length = 0
        yield* Effect.exit(dialect.finish([
          { op: 0, id: "ff", destination: "bb", token: "t", millis: null, cause: null }
        ]))
        assert.match(plans[0]!, /SEARCH t USING INDEX p_id/)
        plans.length = 0
        yield* dialect.unblock("bb", "k")
        assert.match(plans[0]!, /USING (COVERING )?INDEX p_ordering/)
      }).pipe(Effect.provide(layerSqlite())))
  }
})

it.layer(layerPostgres, { timeout: 60_000, excludeTestServices: true })("the repository on PostgreSQL", (it) => {
  both(
    "PostgreSQL",
    (title, body, timeout) => it.effect(title, () => Effect.provide(body(), Layer.fresh(TestClock.layer())), timeout)
  )

  for (const statistics of ["none", "empty", "stale", "fresh"] as const) {
    it.effect(
      `a claim and what is due are found by their indexes, with ${statistics} statistics (PostgreSQL)`,
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const p = yield* freshPrefix
          yield* Schema.migrations(sql, p)
          yield* sql.unsafe(`ALTER TABLE ${p}_message SET (autovacuum_enabled = false)`)
          if (statistics === "empty") yield* sql.unsafe(`ANALYZE ${p}_message`)
          yield* load(sql, p, 100)
          if (statistics === "stale") yield* sql.unsafe(`ANALYZE ${p}_message`)
          yield* load(sql, p, 20_000)
          if (statistics === "fresh") yield* sql.unsafe(`ANALYZE ${p}_message`)
          // As inside the functions: their settings, and a plan that knows no values.
          const plan = (text: string, types: string, values: string) =>
            sql.withTransaction(Effect.gen(function*() {
              for (const setting of Schema.plannerSettings) yield* sql.unsafe(`SET LOCAL ${setting}`).unprepared
              yield* sql.unsafe(`PREPARE planned (${types}) AS ${text}`).unprepared
              const rows = yield* sql.unsafe<{ "QUERY PLAN": string }>(`EXPLAIN EXECUTE planned (${values})`).unprepared
              yield* sql.unsafe("DEALLOCATE planned").unprepared
              return rows.map((row) => row["QUERY PLAN"]).join("\n")
            }))
          const claim = yield* plan(
            `UPDATE ${p}_message t SET state = 4 WHERE t.seq = ANY (ARRAY(
            ${Schema.claimable(p, "$1", "$2")} FOR UPDATE SKIP LOCKED))`,
            "text, integer",
            "'bb', 1"
          )
          assert.match(claim, new RegExp(`Index (Only )?Scan using ${p}_ready`))
          assert.match(claim, new RegExp(`Index Scan using ${p}_message_pkey`))
          const due = yield* plan(
            `${Schema.dueNow(p, "$1", "$2::bigint")} FOR UPDATE SKIP LOCKED`,
            "text, bigint",
            "'bb', 1"
          )
          assert.match(due, new RegExp(`Index Scan using ${p}_due`))
          const finish = yield* plan(
            `UPDATE ${p}_message t SET ${Schema.finishSet} FROM (
            SELECT 0 AS op, u.id, 'bb' AS destination, 't' AS token, 0::bigint AS millis, NULL::text AS cause, 0::bigint AS now
            FROM unnest($1::text[]) u (id)) v WHERE ${Schema.finishWhere}`,
            "text[]",
            "'{ff}'"
          )
          assert.match(finish, new RegExp(`Index Scan using ${p}_id`))
          const unblock = yield* plan(Schema.unblock(p, "$1", "$2"), "text, text", "'bb', 'k'")
          assert.match(unblock, new RegExp(`using ${p}_ordering`))
          for (const text of [claim, due, finish, unblock]) assert.notMatch(text, /Seq Scan|Sort/)
          // And what it costs is flat: the function reads a few pages, whatever the size of the table.
          const claimOnce = sql.unsafe(`SELECT * FROM ${p}_claim('bb', 1, 1000, 't')`).unprepared
          // The first call of a session plans, which reads the catalog.
          const [row] = yield* sql.withTransaction(Effect.andThen(
            claimOnce,
            sql.unsafe<{ "QUERY PLAN": unknown }>(
              `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM ${p}_claim('bb', 1, 1000, 't')`
            ).unprepared
          ))
          const json = typeof row!["QUERY PLAN"] === "string" ? JSON.parse(row!["QUERY PLAN"]) : row!["QUERY PLAN"]
          const plan0 = (json as Array<{ readonly Plan: Record<string, number> }>)[0]!.Plan
          assert.isBelow(plan0["Shared Hit Blocks"]! + plan0["Shared Read Blocks"]!, 200)
        }).pipe(Effect.provide(Layer.fresh(TestClock.layer()))),
      60_000
    )
  }

  it.effect("a waiting pull of another queue is woken by the signal, long before it would poll", () =>
    Effect.gen(function*() {
      const p = yield* freshPrefix
      const make = Effect.map(
        Layer.build(Layer.fresh(
          Layer.effect(MessageQueue.MessageQueue, MessageQueue.makeSql({ prefix: p, pollInterval: "1 day" })).pipe(
            Layer.provide(NodePostgresQueueSignal.layer({ channel: p }))
          )
        )),
        (context) => context
      )
      const [one, other] = [
        yield* Effect.flatMap(make, (context) => Effect.provide(MessageQueue.MessageQueue, context)),
        yield* Effect.flatMap(make, (context) => Effect.provide(MessageQueue.MessageQueue, context))
      ]
      const waiting = yield* Effect.forkChild(other.pull("bb", { wait: "1 day" }))
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 100)))
      yield* one.push("bb", "x")
      assert.strictEqual(Option.getOrThrow(yield* Fiber.join(waiting)).payload.value, "x")
    }).pipe(Effect.provide(Layer.fresh(TestClock.layer()))))

  it.effect(
    "two servers on one database share the queue: pushed at one, pulled at the other",
    () =>
      Effect.gen(function*() {
        const p = yield* freshPrefix
        const token = Redacted.make("token")
        const serve = Effect.gen(function*() {
          const context = yield* Layer.build(Layer.fresh(
            HttpRouter.serve(SciroccoServer.layer({ token }), { disableLogger: true, disableListenLog: true }).pipe(
              Layer.provide(MessageQueue.layerSql({ prefix: p, pollInterval: "1 minute" })),
              Layer.provide(NodePostgresQueueSignal.layer({ channel: p })),
              Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
            )
          ))
          const { address } = yield* Effect.provide(HttpServer.HttpServer, context)
          return yield* SciroccoClient.make({ url: HttpServer.formatAddress(address), token })
        })
        const [one, other] = [yield* serve, yield* serve]
        const waiting = yield* Effect.forkChild(other.pull("bb", { wait: "20 seconds" }))
        yield* Effect.sleep("200 millis")
        yield* one.push("bb", "from one to the other")
        const delivery = Option.getOrThrow(yield* Fiber.join(waiting))
        assert.strictEqual(delivery.payload.value, "from one to the other")
        // Acknowledged at the first: a lease is the database's, not the server's.
        yield* one.ack(delivery)
        assert.strictEqual((yield* other.counts({ node: "bb" })).processed, 1)
      }).pipe(Effect.provide(FetchHttpClient.layer)),
    30_000
  )

  it.effect("pushes of one batch that break nobody else's: a duplicate id of another process adds nothing", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const p = yield* freshPrefix
      yield* Schema.migrations(sql, p)
      const dialect = makePg(sql, p)
      const message = (id: string) => ({
        id,
        source: "aa",
        destination: "bb",
        topic: null,
        priority: 0,
        orderingKey: null,
        deduplicationKey: null,
        deduplicationWindow: 0,
        maxTries: 1,
        payload: { kind: 1, type: "text/plain", bytes: new TextEncoder().encode(id) },
        at: null,
        delay: null
      })
      yield* dialect.push([message("a1"), message("a2")])
      const again = yield* dialect.push([message("a2"), message("a3")])
      assert.deepStrictEqual(again.map((row) => row["id"]), ["a2", "a3"])
      assert.strictEqual((yield* dialect.query(`SELECT 1 FROM ${p}_message`)).length, 3)
    }).pipe(Effect.provide(Layer.fresh(TestClock.layer()))))
})

describe("a queue whose clock jumps", () => {
  it.effect("forward: leases run out and schedules come early, and no ack of a former holder is taken", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const { advance } = yield* Clock
      yield* queue.push("bb", "leased")
      yield* queue.push("bb", "tomorrow", { delay: "1 day" })
      const first = Option.getOrThrow(yield* queue.pull("bb", { lease: "1 minute" }))
      yield* advance("2 days")
      const both = yield* queue.pullMany("bb")
      assert.deepStrictEqual(both.map((delivery) => delivery.payload.value), ["leased", "tomorrow"])
      assert.isTrue(Option.isNone(yield* Effect.option(queue.ack(first))))
    }).pipe(Effect.provide(layerSqlQueue().pipe(Layer.provide(layerSqlite())))))

  it.effect("back: what was pushed later is still pulled later, a lease lasts longer, nothing is lost", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const { back } = yield* Clock
      yield* queue.push("bb", 1)
      yield* queue.push("bb", 2)
      const first = Option.getOrThrow(yield* queue.pull("bb", { lease: "1 minute" }))
      yield* back!("1 day")
      yield* queue.push("bb", 3)
      const rest = yield* queue.pullMany("bb")
      assert.deepStrictEqual(rest.map((delivery) => delivery.payload.value), [2, 3])
      assert.isTrue(rest[0]!.id < rest[1]!.id)
      yield* queue.ack(first)
      for (const delivery of rest) yield* queue.ack(delivery)
      assert.strictEqual((yield* queue.counts()).processed, 3)
    }).pipe(Effect.provide(layerSqlQueue().pipe(Layer.provide(layerSqlite())))))
})
