import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as NodeSqliteWorld from "effect-wire/node/NodeSqliteWorld"
import { History, Simulation, World } from "effect-wire/simulation"
import { SqlClient } from "effect/sql"
import * as Queue from "./worlds/queue.ts"

/** Two rows at a time, in one transaction; a row alone now and then. */
const app = (synchronous: "FULL" | "NORMAL") => {
  const Table = Layer.effectDiscard(Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS rows (value INTEGER)`
  }))
  return Simulation.make({
    name: "rows",
    nodes: {
      node: Simulation.node({
        layer: Layer.provideMerge(Table, NodeSqliteWorld.layer({ path: "rows.db", synchronous })),
        operations: {
          two: Simulation.operation({
            input: (draw) => draw.int(0, 2 ** 40),
            run: (value) =>
              Effect.gen(function*() {
                const sql = yield* SqlClient.SqlClient
                yield* sql.withTransaction(Effect.andThen(
                  sql`INSERT INTO rows VALUES (${value})`,
                  sql`INSERT INTO rows VALUES (${value})`
                ))
                yield* World.note("confirmed", value)
              })
          })
        },
        rest: Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          return yield* sql`SELECT value, count(*) AS count FROM rows GROUP BY value`
        })
      })
    },
    preempt: false
  })
}

const network = { latency: 1, jitter: 0, capacity: 1024, syncWriters: false }
const interleaving = { window: 1, preemptAfter: 0, lateTurns: 0 }

/** A first transaction, and a crash at a step of the second; what was confirmed, and what is there in the end. */
const crashing = (synchronous: "FULL" | "NORMAL", seed: number, steps: number, power: boolean) =>
  Effect.map(
    Simulation.perform(app(synchronous), {
      seed,
      network,
      interleaving,
      operations: [1, 2].map((input) => ({
        at: input * 10,
        node: "node",
        operation: "two",
        input,
        interruptAfter: undefined
      })),
      faults: [{ kind: "midway", at: 15, node: "node", steps, power, down: 100, version: 0 }]
    }),
    (history) => ({
      confirmed: History.notes(history, "confirmed").map(({ data }) => data),
      crashed: history.events.some((event) => event._tag === "Node" && event.what === "crashed"),
      rows: History.operations(history).find(({ operation }) => operation === "rest")!.value as ReadonlyArray<
        { readonly value: number; readonly count: number }
      >
    })
  )

const steps = [1, 2, 3, 4, 5]

it.effect("a crash between any two statements leaves a transaction whole or not at all", () =>
  Effect.gen(function*() {
    const ends = new Set<string>()
    for (const power of [false, true]) {
      for (let seed = 1; seed <= 6; seed++) {
        for (const step of steps) {
          const { confirmed, crashed, rows } = yield* crashing("FULL", seed, step, power)
          assert.isTrue(crashed)
          assert.deepStrictEqual(confirmed, [1])
          for (const { count } of rows) assert.strictEqual(count, 2)
          assert.include(rows.map(({ value }) => value), 1)
          ends.add(`step ${step}, ${power ? "power" : "process"}: ${rows.length}`)
        }
      }
    }
    // the commit that nobody learnt of: there after the end of the process, there or not after a power failure
    const expected = [
      ...steps.map((step) => `step ${step}, power: 1`),
      "step 5, power: 2",
      ...steps.map((step) => `step ${step}, process: ${step === 5 ? 2 : 1}`)
    ]
    assert.deepStrictEqual([...ends].sort(), expected.sort())
  }), { timeout: 120_000 })

it.effect(
  "without a sync at each commit a power failure takes what was confirmed, the end of the process does not",
  () =>
    Effect.gen(function*() {
      const kept = new Set<number>()
      for (let seed = 1; seed <= 20; seed++) {
        kept.add((yield* crashing("NORMAL", seed, 1, true)).rows.length)
        assert.strictEqual((yield* crashing("NORMAL", seed, 1, false)).rows.length, 1)
      }
      assert.isTrue(kept.has(0))
    }),
  { timeout: 120_000 }
)

it.effect("a database that is closed in order is there in the next life", () =>
  Effect.gen(function*() {
    const history = yield* Simulation.perform(app("NORMAL"), {
      seed: 1,
      network,
      interleaving,
      operations: [{ at: 10, node: "node", operation: "two", input: 7, interruptAfter: undefined }],
      faults: [{ kind: "stop", at: 20, node: "node", down: 10, version: 0 }, {
        kind: "crash",
        at: 50,
        node: "node",
        power: true,
        down: 10,
        version: 0
      }]
    })
    assert.deepStrictEqual(History.operations(history).at(-1)!.value, [{ value: 7, count: 2 }])
  }))

it.effect("a crash while a database is closed in order leaves what was committed", () =>
  Effect.gen(function*() {
    for (const steps of [1, 2, 3, 4, 5, 6]) {
      const history = yield* Simulation.perform(app("FULL"), {
        seed: 1,
        network,
        interleaving,
        operations: [{ at: 10, node: "node", operation: "two", input: 7, interruptAfter: undefined }],
        faults: [
          { kind: "midway", at: 15, node: "node", steps, power: true, down: 10, version: 0 },
          { kind: "stop", at: 20, node: "node", down: 10, version: 0 }
        ]
      })
      assert.deepStrictEqual(History.operations(history).at(-1)!.value, [{ value: 7, count: 2 }], `step ${steps}`)
    }
  }))

it.effect(
  "the queue on SQLite loses nothing that was confirmed, whatever the statement at which it crashes",
  () => Simulation.check(Queue.apps.sqlite, { seeds: 30 }),
  { timeout: 120_000 }
)

it.effect("the judges see a queue whose commits are not synced", () =>
  Effect.gen(function*() {
    const report = yield* Simulation.explore(Queue.unsynced, { seeds: 200 })
    assert.strictEqual(report.failure?.judge.name, "confirmed is never lost")
  }), { timeout: 120_000 })
