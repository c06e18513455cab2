import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Deferred, Effect, Fiber, Layer, Metric, Option, Redacted, type Scope } from "effect"
import * as NodePostgresQueueSignal from "effect-wire/node/NodePostgresQueueSignal"
import { MessageQueue, QueueMetrics, SciroccoClient, SciroccoServer } from "effect-wire/queue"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import type { Synchronous } from "../../src/queue/internal/sqliteSession.ts"
import * as Schema from "../../src/queue/internal/sqlSchema.ts"
import { Clock } from "./suite.ts"
import { layerPostgres, layerSqlite, layerSqlQueue } from "./support.ts"

let names = 0
/** A prefix that no other test has. */
const freshPrefix = Effect.sync(() => `t${process.pid}_${++names}`)

const isPg = (sql: SqlClient.SqlClient) => sql.onDialectOrElse({ pg: () => true, orElse: () => false })

/** Fills the tables as no queue would: quickly. */
const load = (sql: SqlClient.SqlClient, p: string, count: number) => {
  const numbers = isPg(sql)
    ? `SELECT (SELECT COALESCE(max(seq), 0) FROM ${p}_message) + n AS n FROM generate_series(1, ${count}) n`
    : `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count})
      SELECT (SELECT COALESCE(max(seq), 0) FROM ${p}_message) + n AS n FROM c`
  const payload = isPg(sql) ? "'x'::bytea" : "'x'"
  const statements = [
    `CREATE TABLE ${p}_numbers AS ${numbers}`,
    `INSERT INTO ${p}_message (seq, created_at, priority, max_tries, payload_kind, source, destination, payload)
      SELECT n, 0, 0, 20, 1, 'aa', 'bb', ${payload} FROM ${p}_numbers`,
    `INSERT INTO ${p}_work (seq, rank, tries, state, destination) SELECT n, 0, 0, 0, 'bb' FROM ${p}_numbers`,
    `DROP TABLE ${p}_numbers`,
    ...(isPg(sql) ? [`SELECT setval(pg_get_serial_sequence('${p}_message', 'seq'), max(seq)) FROM ${p}_message`] : [])
  ]
  return Effect.forEach(statements, (statement) => sql.unsafe(statement).unprepared, { discard: true })
}

/** What version 0.1 had in its table: something in every state, with every field, and a time that no calendar has. */
const load01 = (sql: SqlClient.SqlClient, p: string) => {
  const columns = `id source destination state priority tries max_tries due_at lease_token topic ordering_key dedup_key
    dedup_until payload_type payload_kind created_at updated_at scheduled_at processing_at processed_at error_at error`
    .split(/\s+/)
  const token = "0123456789abcdef0123456789abcdef"
  const later = 4_000_000_000_000
  // dprint-ignore
  const rows: ReadonlyArray<ReadonlyArray<string | number | null>> = [
    ["a1", "aa", "bb", 0, 5, 0, 20, null, null, "t", null, null, null, "application/json", 0, 1, 2, null, null, null, null, null],
    ["a2", "aa", "bb", 0, 0, 1, 20, null, null, null, "k", null, null, "letter", 1, 1, null, null, 3, null, 4, "once"],
    ["a3", "aa", "bb", 1, 0, 0, 20, null, null, null, "k", null, null, "text/plain", 1, 1, null, null, null, null, null, null],
    ["a4", "aa", "bb", 2, 0, 0, 20, 8.64e15 + 7, null, null, null, null, null, "text/plain", 1, 1, null, 8.64e15 + 7, null, null, null, null],
    ["a5", "aa", "bb", 4, 0, 1, 20, later, token, null, null, "d", later, "text/plain", 1, 1, null, null, 2, null, null, null],
    ["a6", "aa", "bb", 5, 0, 1, 20, null, null, null, null, "e", later, "text/plain", 1, 1, null, null, 2, later, null, null],
    ["a7", "aa", "bb", 6, 0, 3, 3, null, null, null, null, null, null, "application/octet-stream", 2, 1, null, null, 2, null, 3, "bad"]
  ]
  const value = (of: string | number | null) => of === null ? "NULL" : typeof of === "string" ? `'${of}'` : String(of)
  const payload = (kind: string | number | null) => {
    const hex = kind === 0 ? "7b2261223a317d" : "6869"
    return isPg(sql) ? `'\\x${hex}'::bytea` : `x'${hex}'`
  }
  return Effect.forEach(rows, (row) =>
    sql.unsafe(`INSERT INTO ${p}_message (${columns.join(", ")}, payload)
      VALUES (${row.map(value).join(", ")}, ${payload(row[14]!)})`).unprepared, { discard: true })
}

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
      yield* sql.unsafe(`CREATE TABLE ${p}_ledger (n INTEGER)`)
      yield* queue.push("bb", 1)
      const delivery = Option.getOrThrow(yield* queue.pull("bb"))
      const work = (end: Effect.Effect<void, string>) =>
        sql.withTransaction(Effect.gen(function*() {
          yield* sql.unsafe(`INSERT INTO ${p}_ledger VALUES (1)`)
          yield* queue.ack(delivery)
          yield* end
        }))
      yield* Effect.exit(work(Effect.fail("crash")))
      assert.strictEqual((yield* queue.counts()).processing, 1)
      yield* work(Effect.void)
      assert.strictEqual((yield* queue.counts()).processed, 1)
      assert.strictEqual((yield* sql.unsafe(`SELECT n FROM ${p}_ledger`)).length, 1)
    }))

  test(`the tables come from nothing, and from every earlier version with its messages (${name})`, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (const version of [0, 1, 2]) {
        const p = yield* freshPrefix
        if (version > 0) {
          yield* Schema.migrations(sql, p, version)
          yield* load01(sql, p)
        }
        const queue = yield* MessageQueue.makeSql({ prefix: p })
        const rows = yield* sql.unsafe(`SELECT migration_id FROM ${p}_migration ORDER BY migration_id`).values
        assert.deepStrictEqual(rows.map(([id]) => Number(id)), [1, 2, 3])
        // A second start finds nothing to do.
        yield* MessageQueue.makeSql({ prefix: p })
        const { id } = yield* queue.push("bb", "new")
        if (version === 0) {
          assert.strictEqual((yield* queue.pullMany("bb")).length, 1)
          continue
        }
        // Nothing is lost, nothing has another name, state or order.
        const { messages } = yield* queue.list({ node: "bb" })
        assert.deepStrictEqual(
          messages.map((message) => [message.id, message.status]),
          [
            ["a1", "pending"],
            ["a2", "pending"],
            ["a3", "pending"],
            ["a4", "scheduled"],
            ["a5", "processing"],
            ["a6", "processed"],
            ["a7", "dead"],
            [id, "pending"]
          ]
        )
        const a1 = Option.getOrThrow(yield* queue.get("a1"))
        assert.deepStrictEqual(a1.payload.value, { a: 1 })
        assert.strictEqual(a1.priority, 5)
        assert.strictEqual(a1.topic, "t")
        assert.strictEqual(a1.updatedAt?.epochMilliseconds, 2)
        const a2 = Option.getOrThrow(yield* queue.get("a2"))
        assert.deepStrictEqual([a2.payload.value, a2.payloadType, a2.error, a2.tries], ["hi", "letter", "once", 1])
        assert.deepStrictEqual(messages[6]!.payload.value, new Uint8Array([0x68, 0x69]))
        // Keys hold, order holds, old names are good for every word.
        assert.strictEqual((yield* queue.push("bb", "x", { deduplicationKey: "d" })).id, "a5")
        assert.strictEqual((yield* queue.push("bb", "x", { deduplicationKey: "e" })).id, "a6")
        const pulled = yield* queue.pullMany("bb")
        assert.deepStrictEqual(pulled.map((message) => message.id), ["a1", "a2", id])
        yield* queue.ack(pulled[1]!)
        assert.strictEqual(Option.getOrThrow(yield* queue.pull("bb")).id, "a3")
        yield* queue.ack({ id: "a5", destination: "bb" })
        assert.strictEqual(yield* queue.redrive({ ids: ["a7"] }), 1)
        assert.strictEqual(Option.getOrThrow(yield* queue.pull("bb")).id, "a7")
        assert.isTrue(yield* queue.remove("a4"))
        assert.isTrue((yield* queue.push("bb", "last")).id > id)
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
      yield* sql.unsafe(`INSERT INTO ${p}_done (seq, finished_at, tries, state, destination)
        SELECT seq, -3600000, 1, 5, destination FROM ${p}_work`)
      yield* sql.unsafe(`DELETE FROM ${p}_work`)
      yield* sql.unsafe(`UPDATE ${p}_message SET created_at = -3600000`)
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

  it.effect("a thousand nodes that wait cost a few statements each time they are looked for (SQLite)", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      let statements = 0
      const call = (...args: Array<unknown>) => Reflect.apply(sql, undefined, args)
      const client: SqlClient.SqlClient = Object.assign(call as never, sql, {
        withoutTransforms: () => client,
        reserve: Effect.map(sql.reserve, (connection) => {
          const { all } = connection as unknown as Synchronous
          return Object.assign(Object.create(connection), {
            all: (text: string, parameters: ReadonlyArray<never>) => {
              statements++
              return all(text, parameters)
            }
          })
        })
      })
      const queue = yield* Effect.provideService(MessageQueue.makeSql(), SqlClient.SqlClient, client)
      yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => `node ${index}`),
        (node) => Effect.forkChild(queue.pull(node, { wait: "1 day" }))
      )
      yield* TestClock.adjust("1 second")
      statements = 0
      for (let times = 0; times < 10; times++) yield* TestClock.adjust("500 millis")
      assert.isAbove(statements, 0)
      assert.isBelow(statements, 100)
    }).pipe(Effect.provide(layerSqlite())))

  both("SQLite", (title, body, timeout) => it.effect(title, () => Effect.provide(body(), layerSqlite()), timeout))

  for (const statistics of ["none", "empty", "stale", "fresh"] as const) {
    it.effect(`nothing is looked for without its index, with ${statistics} statistics (SQLite)`, () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Schema.migrations(sql, "p")
        if (statistics === "empty") yield* sql`ANALYZE`
        yield* load(sql, "p", 100)
        if (statistics === "stale") yield* sql`ANALYZE`
        yield* load(sql, "p", 20_000)
        if (statistics === "fresh") yield* sql`ANALYZE`
        // The statements that the queue runs, with what SQLite says about them.
        const plans = new Map<string, string>()
        const call = (...args: Array<unknown>) => Reflect.apply(sql, undefined, args)
        const client: SqlClient.SqlClient = Object.assign(call as never, sql, {
          withoutTransforms: () => client,
          reserve: Effect.map(sql.reserve, (connection) => {
            const { all } = connection as unknown as Synchronous
            return Object.assign(Object.create(connection), {
              all: (text: string, parameters: ReadonlyArray<never>) => {
                if (/^\s*(SELECT|UPDATE|DELETE|WITH|INSERT INTO \w+ [^?]+ SELECT)/.test(text)) {
                  plans.set(text, all(`EXPLAIN QUERY PLAN ${text}`, parameters).map((row) => row[3]).join("\n"))
                }
                return all(text, parameters)
              }
            })
          })
        })
        const queue = yield* Effect.provideService(MessageQueue.makeSql({ prefix: "p" }), SqlClient.SqlClient, client)
        yield* queue.push("bb", 1, { source: "aa", orderingKey: "k", deduplicationKey: "d" })
        const [first, ...rest] = yield* queue.pullMany("bb", { lease: "1 second" })
        yield* queue.ack(first!)
        yield* queue.nack(rest[0]!)
        yield* TestClock.adjust("1 second")
        yield* queue.pullMany("cc")
        yield* queue.list({ node: "bb" })
        yield* queue.list()
        yield* queue.get(first!.id)
        yield* queue.remove(rest[0]!.id)
        yield* TestClock.adjust("1 minute")
        assert.isAbove(plans.size, 15)
        for (const [text, plan] of plans) {
          // Whole tables are walked in the order of their keys, a page at a time, and nothing is sorted but a page.
          if (/WHERE m\.seq > \?|WHERE seq >|_meta/.test(text)) continue
          assert.notMatch(plan, /SCAN (p_|m|w|h|d)\b|TEMP B-TREE/, text)
        }
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
      `what is done often reads a few pages, whatever the size of the tables, with ${statistics} statistics (PostgreSQL)`,
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const p = yield* freshPrefix
          yield* Schema.migrations(sql, p)
          const each = (statement: (table: string) => string) =>
            Effect.forEach(["message", "work", "done"], (table) => sql.unsafe(statement(`${p}_${table}`)))
          const analyze = each((table) => `ANALYZE ${table}`)
          yield* each((table) => `ALTER TABLE ${table} SET (autovacuum_enabled = false)`)
          if (statistics === "empty") yield* analyze
          yield* load(sql, p, 100)
          if (statistics === "stale") yield* analyze
          const calls = [
            `SELECT * FROM ${p}_claim('{bb}', '{1}', '{1000}', '{NULL}', '{NULL}', false)`,
            `SELECT * FROM ${p}_finish('{3}', '{1}', '{bb}', '{NULL}', '{1000}', '{NULL}', false)`,
            `SELECT * FROM ${p}_poll('{bb,cc}')`
          ]
          const blocksOf = Effect.fnUntraced(function*(call: string) {
            yield* sql.unsafe(call).unprepared
            const text = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${call}`
            const [row] = yield* sql.unsafe<{ "QUERY PLAN": unknown }>(text).unprepared
            const json = typeof row!["QUERY PLAN"] === "string" ? JSON.parse(row!["QUERY PLAN"]) : row!["QUERY PLAN"]
            const plan = (json as Array<{ readonly Plan: Record<string, number> }>)[0]!.Plan
            return plan["Shared Hit Blocks"]! + plan["Shared Read Blocks"]!
          })
          const measured = Effect.gen(function*() {
            // Plans are made while the table is small, and kept.
            for (let times = 0; times < 3; times++) for (const call of calls) yield* sql.unsafe(call).unprepared
            yield* load(sql, p, 20_000)
            if (statistics === "fresh") yield* analyze
            return yield* Effect.forEach(calls, blocksOf)
          })
          const blocks = yield* sql.withTransaction(measured)
          for (const count of blocks) assert.isBelow(count, 200)
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
