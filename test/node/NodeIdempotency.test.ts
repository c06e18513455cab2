/** Keyed calls with answers in SQLite and PostgreSQL, also over `kill -9` of the server that executes them. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { NodeSqliteClient, NodeWebSocket } from "effect-wire/node"
import { Idempotency } from "effect-wire/rpc"
import { SqlClient } from "effect/sql"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { suite } from "../rpc/IdempotencyTest.ts"
import { EmbeddedPostgres, freePort, layerClient } from "./support/EmbeddedPostgres.ts"
import { Payments } from "./support/payments.ts"

const pass = Effect.sleep("10 millis")
const postgres = Layer.unwrap(Effect.gen(function*() {
  return layerClient(yield* (yield* EmbeddedPostgres).database, 16)
}))

const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-once-"))),
    (directory) => Effect.sync(() => Fs.rmSync(directory, { recursive: true, force: true }))
  ),
  (directory) => Path.join(directory, "payments.sqlite")
)

/** Calls while the server is killed again and again: each is executed once. */
const killed = Effect.fnUntraced(function*(database: string, client: Layer.Layer<SqlClient.SqlClient, unknown>) {
  const port = yield* freePort
  const spawn = () =>
    ChildProcess.spawn(
      process.execPath,
      ["--import", "tsx", Path.join(import.meta.dirname, "support/onceChild.ts"), String(port), database],
      { stdio: "inherit" }
    )
  let child = spawn()
  yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
  const context = yield* Layer.build(
    JsonRpcClient.layerSocket({
      reconnect: Schedule.spaced("50 millis"),
      whileDisconnected: "wait",
      callTimeout: "2 minutes"
    }).pipe(
      Layer.provide(NodeWebSocket.layer(`ws://127.0.0.1:${port}`))
    )
  )
  const shop = yield* Effect.provideContext(JsonRpcClient.make(Payments), context)
  yield* shop.pay({ amount: 0 })
  const amounts = Array.from({ length: 400 }, (_, i) => i + 1)
  const killing = yield* Effect.forkChild(Effect.gen(function*() {
    for (let i = 0; i < 2; i++) {
      yield* Effect.sleep("300 millis")
      child.kill("SIGKILL")
      child = spawn()
      // until it serves again
      yield* shop.pay({ amount: -1 - i })
    }
  }))
  const paid = yield* Effect.forEach(amounts, (amount) => shop.pay({ amount }), { concurrency: 4 })
  assert.deepStrictEqual(paid, amounts)
  yield* Fiber.join(killing)
  const sql = Context.get(yield* Layer.build(client), SqlClient.SqlClient)
  const rows = yield* sql<{ amount: number }>`SELECT amount FROM payment WHERE amount > 0 ORDER BY amount`
  assert.deepStrictEqual(rows.map((row) => row.amount), amounts)
})

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: 60_000 })("NodeIdempotency", (it) => {
  suite(
    "SQLite",
    (options) => Idempotency.layerSql(options).pipe(Layer.provide(NodeSqliteClient.layer({ filename: ":memory:" }))),
    (name, effect) => it.effect(name, () => effect, 120_000),
    pass
  )
  suite(
    "PostgreSQL",
    (options) => Idempotency.layerSql(options).pipe(Layer.provide(Layer.fresh(postgres))),
    (name, effect) => it.effect(name, () => effect, 120_000),
    pass
  )

  it.effect(
    "calls are executed once over kills of the server (SQLite)",
    () => Effect.flatMap(file, (filename) => killed(filename, NodeSqliteClient.layer({ filename }))),
    60_000
  )

  it.effect("calls are executed once over kills of the server (PostgreSQL)", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      yield* killed(url, layerClient(url))
    }), 180_000)
})
