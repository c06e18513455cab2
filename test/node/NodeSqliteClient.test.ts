import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Layer, Ref, Stream } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { Reactivity } from "effect/reactivity"
import { SqlClient } from "effect/sql"

const memory = NodeSqliteClient.layer({ filename: ":memory:" })

/** A client on a file of its own; several clients on one file are several `open`s. */
const file = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  return `${yield* fs.makeTempDirectoryScoped({ prefix: "sqlite-" })}/test.sqlite`
}).pipe(Effect.provide(NodeFileSystem.layer))

const open = (options: NodeSqliteClient.NodeSqliteClientConfig) =>
  NodeSqliteClient.make(options).pipe(Effect.provide(Reactivity.layer))

describe("NodeSqliteClient", () => {
  it.effect("binds and reads text, numbers, blobs, booleans, dates and null", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const date = new Date(0)
      const rows = yield* sql`SELECT ${"a'b"} AS t, ${1.5} AS n, ${new Uint8Array([
        0,
        255
      ])} AS b, ${true} AS y, ${date} AS d,
        ${null} AS z, ${new Uint16Array([258])} AS v`
      assert.deepStrictEqual({ ...rows[0] }, {
        t: "a'b",
        n: 1.5,
        b: new Uint8Array([0, 255]),
        y: 1,
        d: "1970-01-01T00:00:00.000Z",
        z: null,
        v: new Uint8Array([2, 1])
      })
    }).pipe(Effect.provide(memory)))

  it.effect("reads a 64-bit integer exactly or not at all", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const query = sql<{ n: bigint }>`SELECT ${2n ** 63n - 1n} AS n`
      assert.match((yield* Effect.flip(query)).message, /too large/)
      const rows = yield* Effect.provideService(query, SqlClient.SafeIntegers, true)
      assert.strictEqual(rows[0]?.n, 2n ** 63n - 1n)
      assert.match((yield* Effect.flip(sql`SELECT ${2n ** 70n}`)).message, /too large to bind/)
      assert.match((yield* Effect.flip(sql`SELECT ${{ a: 1 } as never}`)).message, /cannot be bound/)
    }).pipe(Effect.provide(memory)))

  it.effect("commits on success, rolls back on failure, and nests by savepoints", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER PRIMARY KEY)`
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO t VALUES (1)`
        yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (2)`, Effect.fail("no"))))
        yield* sql.withTransaction(sql`INSERT INTO t VALUES (3)`)
      }))
      yield* Effect.ignore(sql.withTransaction(Effect.andThen(sql`INSERT INTO t VALUES (4)`, Effect.fail("no"))))
      assert.deepStrictEqual(yield* sql`SELECT n FROM t ORDER BY n`.values, [[1], [3]])
    }).pipe(Effect.provide(memory)))

  it.effect("an interrupted transaction leaves nothing and frees the connection", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER)`
      const inside = yield* Deferred.make<void>()
      const fiber = yield* sql.withTransaction(
        Effect.andThen(sql`INSERT INTO t VALUES (1)`, Effect.andThen(Deferred.succeed(inside, undefined), Effect.never))
      ).pipe(Effect.forkChild)
      yield* Deferred.await(inside)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM t`.values, [[0]])
    }).pipe(Effect.provide(memory)))

  it.effect("fibers take turns: nothing runs inside another's transaction", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (n INTEGER)`
      yield* sql`INSERT INTO t VALUES (0)`
      const increment = sql.withTransaction(Effect.gen(function*() {
        const rows = yield* sql<{ n: number }>`SELECT n FROM t`
        yield* Effect.yieldNow
        yield* sql`UPDATE t SET n = ${(rows[0]?.n ?? 0) + 1}`
      }))
      yield* Effect.all(Array.from({ length: 20 }, () => increment), { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* sql`SELECT n FROM t`.values, [[20]])
    }).pipe(Effect.provide(memory)))

  it.effect("classifies errors", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, c INTEGER CHECK (c > 0))`
      yield* sql`INSERT INTO t VALUES (1, 'a', 1)`
      const tag = <A, R>(effect: Effect.Effect<A, { readonly reason: { readonly _tag: string } }, R>) =>
        Effect.map(Effect.flip(effect), (error) => error.reason._tag)
      assert.strictEqual(yield* tag(sql`SELEC`), "SqlSyntaxError")
      assert.strictEqual(yield* tag(sql`SELECT * FROM missing`), "SqlSyntaxError")
      assert.strictEqual(yield* tag(sql`INSERT INTO t VALUES (2, 'a', 1)`), "UniqueViolation")
      assert.strictEqual(yield* tag(sql`INSERT INTO t VALUES (1, 'b', 1)`), "UniqueViolation")
      assert.strictEqual(yield* tag(sql`INSERT INTO t VALUES (3, 'c', 0)`), "ConstraintError")
      assert.strictEqual(yield* tag(open({ filename: "/nowhere/at/all.sqlite" })), "ConnectionError")
    }).pipe(Effect.provide(memory)))

  it.effect("says LockTimeoutError when another connection holds the write lock too long", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const one = yield* open({ filename })
      const two = yield* open({ filename, busyTimeout: "10 millis" })
      yield* one`CREATE TABLE t (n INTEGER)`
      const error = yield* one.withTransaction(
        Effect.andThen(one`INSERT INTO t VALUES (1)`, Effect.flip(two`INSERT INTO t VALUES (2)`))
      )
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      assert.isTrue(error.isRetryable)
      yield* two`INSERT INTO t VALUES (2)`
      assert.deepStrictEqual(yield* one`SELECT n FROM t ORDER BY n`.values, [[1], [2]])
    }))

  it.effect("a read-only database refuses to be written, as AuthorizationError", () =>
    Effect.gen(function*() {
      const filename = yield* file
      const writer = yield* open({ filename })
      yield* writer`CREATE TABLE t (n INTEGER)`
      const reader = yield* open({ filename, readonly: true })
      assert.strictEqual((yield* Effect.flip(reader`INSERT INTO t VALUES (1)`)).reason._tag, "AuthorizationError")
      assert.deepStrictEqual(yield* reader.withTransaction(reader`SELECT count(*) FROM t`.values), [[0]])
    }))

  it.effect("a full database says so, keeps what was there and nothing of the failed transaction", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: yield* file, maxSize: 64 * 1024 })
      yield* sql`CREATE TABLE t (b BLOB)`
      const insert = sql`INSERT INTO t VALUES (${new Uint8Array(4096)})`
      yield* insert
      const error = yield* sql.withTransaction(Effect.forever(insert)).pipe(Effect.flip)
      assert.match(error.message, /full/)
      assert.deepStrictEqual(yield* sql`SELECT count(*) FROM t`.values, [[1]])
      yield* insert
    }))

  it.effect("synchronous is FULL and the journal a write-ahead log unless told otherwise", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: yield* file })
      assert.deepStrictEqual(yield* sql`PRAGMA synchronous`.values, [[2]])
      assert.deepStrictEqual(yield* sql`PRAGMA journal_mode`.values, [["wal"]])
      const other = yield* open({ filename: yield* file, synchronous: "NORMAL", journalMode: "DELETE" })
      assert.deepStrictEqual(yield* other`PRAGMA synchronous`.values, [[1]])
      assert.deepStrictEqual(yield* other`PRAGMA journal_mode`.values, [["delete"]])
    }))

  it.effect("streams a large result, and stops reading when the consumer stops", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const numbers = sql<{ n: number }>`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000)
        SELECT n FROM c`.stream
      const sum = yield* Stream.runFold(numbers, () => 0, (sum, row) => sum + row.n)
      assert.strictEqual(sum, 500_500)
      assert.strictEqual((yield* Stream.runCollect(Stream.take(numbers, 3))).length, 3)
      assert.deepStrictEqual(yield* sql`SELECT 1`.values, [[1]])
    }).pipe(Effect.provide(memory)))

  it.effect("prepares as many statements as there are and keeps a bounded number", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (const n of [1, 2, 3, 4, 1, 2]) {
        assert.deepStrictEqual(yield* sql.unsafe(`SELECT ${n} AS n`).values, [[n]])
      }
    }).pipe(Effect.provide(NodeSqliteClient.layer({ filename: ":memory:", preparedStatementCacheSize: 2 }))))

  it.effect("transforms names both ways, runs afterCommit and exports the file", () =>
    Effect.gen(function*() {
      const sql = yield* NodeSqliteClient.NodeSqliteClient
      yield* sql`CREATE TABLE ${sql("t")} (${sql("aB")} INTEGER)`
      const committed = yield* Ref.make(false)
      yield* sql.withTransaction(
        Effect.andThen(sql`INSERT INTO t ${sql.insert({ aB: 1 })}`, sql.afterCommit(Ref.set(committed, true)))
      )
      assert.isTrue(yield* Ref.get(committed))
      assert.deepStrictEqual((yield* sql`SELECT * FROM t`).map((row) => ({ ...row })), [{ aB: 1 }])
      assert.strictEqual(new TextDecoder().decode((yield* sql.export).subarray(0, 6)), "SQLite")
    }).pipe(Effect.provide(Layer.fresh(NodeSqliteClient.layer({
      filename: ":memory:",
      transformQueryNames: (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
      transformResultNames: (name) => name.replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())
    })))))

  it.effect("a closed database is a ConnectionError", () =>
    Effect.gen(function*() {
      const client = yield* Effect.scoped(open({ filename: yield* file }))
      assert.strictEqual((yield* Effect.flip(client`SELECT 1`)).reason._tag, "ConnectionError")
    }))
})
