import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { makeMemoryStore } from "../../src/queue/internal/memoryStore.ts"
import { makePostgresStore } from "../../src/queue/internal/postgresStore.ts"
import { makeSqliteStore } from "../../src/queue/internal/sqliteStore.ts"
import { migrations } from "../../src/queue/internal/sqlSchema.ts"
import { busy, type NewMessage, Op, State, type Store } from "../../src/queue/internal/store.ts"
import type { Delivery, Message } from "../../src/queue/Message.ts"
import { json } from "../../src/queue/Message.ts"
import { random } from "./faults/crowd.ts"
import { layerPostgres, layerSqlite } from "./support.ts"

const nodes = ["aa", "bb"]

/** What a message is, without the names that each store chooses. */
const view = (message: Message) => {
  const { createdAt, errorAt, id, processedAt, processingAt, scheduledAt, updatedAt, ...rest } = message as Delivery
  const { lease: _, ...fields } = rest
  return {
    ...fields,
    payload: message.payload.value,
    number: Number.parseInt(id.slice(10), 16),
    times: [createdAt, errorAt, processedAt, processingAt, scheduledAt, updatedAt].map((time) =>
      time?.epochMilliseconds
    )
  }
}

/** One history of words, said to the machine and to another store; both say the same at every step. */
const agree = Effect.fnUntraced(function*(
  other: Store,
  advance: (millis: number) => Effect.Effect<void, unknown>,
  seed: number,
  steps: number
) {
  const machine = yield* makeMemoryStore
  const next = random(seed)
  const int = (n: number) => Math.floor(next() * n)
  const pick = <A>(all: ReadonlyArray<A>): A => all[int(all.length)]!
  /** Of each message that was delivered: what both gave. */
  const held: Array<readonly [Delivery, Delivery]> = []
  const pushed: Array<readonly [string, string]> = []
  const same = (what: string, one: unknown, two: unknown) => assert.deepStrictEqual(two, one, `${what}, seed ${seed}`)
  const none = { pushes: [], finishes: [], claims: [] }
  for (let step = 0; step < steps; step++) {
    const word = int(15)
    if (word < 4) {
      const messages = Array.from({ length: 1 + int(3) }, (): NewMessage => ({
        source: pick(["0", "cc"]),
        destination: pick(nodes),
        topic: null,
        priority: int(3) - 1,
        ...(next() < 0.5
          ? { orderingKey: pick(["k", "l"]), stopKey: next() < 0.3 }
          : { orderingKey: null, stopKey: false }),
        deduplicationKey: next() < 0.2 ? pick(["d", "e"]) : null,
        deduplicationWindow: 20,
        maxTries: 1 + int(3),
        payload: { kind: 0, type: "application/json", data: String(step) },
        value: json(step),
        headers: null,
        at: null,
        delay: next() < 0.2 ? int(10) : null
      }))
      const one = (yield* machine.perform({ ...none, pushes: [messages] })).pushed[0]!
      const two = (yield* other.perform({ ...none, pushes: [messages] })).pushed[0]!
      if (one === busy || two === busy) return assert.fail("nobody else is here")
      same("push", one.map((each) => view(each.message)), two.map((each) => view(each.message)))
      one.forEach((each, index) => pushed.push([each.message.id, two[index]!.message.id]))
    } else if (word < 7) {
      const claim = { node: pick(nodes), max: 1 + int(4), lease: next() < 0.5 ? int(15) : null }
      const one = (yield* machine.perform({ ...none, claims: [claim] })).claimed[0]!
      const two = (yield* other.perform({ ...none, claims: [claim] })).claimed[0]!
      same("claim", one.map(view), two.map(view))
      same("lease", one.map((each) => each.lease.expiresAt), two.map((each) => each.lease.expiresAt))
      one.forEach((each, index) => held.push([each, two[index]!]))
    } else if (word < 11 && held.length > 0) {
      const [one, two] = pick(held)
      const op = pick([Op.ack, Op.ack, Op.nack, Op.nack, Op.reject, Op.release, Op.extend])
      const said = {
        op,
        millis: op === Op.nack || op === Op.extend || (op === Op.release && next() < 0.5) ? int(12) : null,
        cause: pick([null, "bad"])
      }
      const of = ({ destination, id, lease }: Delivery) => ({ ...said, id, destination, token: lease.token })
      same(
        "finish",
        (yield* machine.perform({ ...none, finishes: [of(one)] })).finished.map((each) => each === busy || each.held),
        (yield* other.perform({ ...none, finishes: [of(two)] })).finished.map((each) => each === busy || each.held)
      )
    } else if (word === 11 && pushed.length > 0) {
      const [one, two] = pick(pushed)
      const node = pick([undefined, "cc"])
      const all = next() < 0.3
      same("remove", (yield* machine.remove(one, node, all)).count, (yield* other.remove(two, node, all)).count)
    } else if (word === 13 && pushed.length > 0) {
      const [one, two] = pick(pushed)
      const at = (yield* Clock.currentTimeMillis) + int(12) - 4
      const node = pick([undefined, undefined, "cc", ...nodes])
      const done = yield* machine.reschedule(one, at, node)
      const alike = yield* other.reschedule(two, at, node)
      same("reschedule", done && [done.left, view(done.message)], alike && [alike.left, view(alike.message)])
    } else if (word === 12) {
      const options = { node: pick([undefined, ...nodes]), before: undefined, limit: 1000 }
      same("redrive", (yield* machine.redriveSlice(options)).count, (yield* other.redriveSlice(options)).count)
    } else {
      const millis = 1 + int(8)
      yield* advance(millis)
      const one = yield* machine.poll(nodes)
      const two = yield* other.poll(nodes)
      same("poll", [Array.from(one.nodes).sort(), one.due], [Array.from(two.nodes).sort(), two.due])
      if (next() < 0.3) {
        for (const state of [State.processed, State.dead] as const) {
          same("prune", yield* machine.prune(state, 30, 1000), yield* other.prune(state, 30, 1000))
        }
      }
    }
    if (step % 10 === 0) {
      for (const node of [undefined, ...nodes, "cc"]) {
        const page = { node, states: undefined, limit: 500, after: 0 }
        same("list", (yield* machine.list(page)).messages.map(view), (yield* other.list(page)).messages.map(view))
      }
      same("counts", { ...(yield* machine.counts("bb")) }, { ...(yield* other.counts("bb")) })
    }
  }
})

const histories = Number(process.env["QUEUE_HISTORIES"] ?? 12)

describe("the machine and SQLite", () => {
  it.effect("say the same about every history", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* TestClock.setTime(1_700_000_000_000)
      for (let seed = 1; seed <= histories; seed++) {
        yield* migrations(sql, `h${seed}`)
        yield* agree(yield* makeSqliteStore(sql, `h${seed}`), (millis) => TestClock.adjust(millis), seed, 150)
      }
    }).pipe(Effect.provide(layerSqlite())), 60_000)
})

it.layer(layerPostgres, { timeout: 60_000, excludeTestServices: true })("the machine and PostgreSQL", (it) => {
  it.effect("say the same about every history", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      for (let seed = 1; seed <= Math.ceil(histories / 3); seed++) {
        const p = `h${seed}`
        yield* TestClock.setTime(1_700_000_000_000)
        yield* migrations(sql, p)
        yield* sql.unsafe(`CREATE TABLE ${p}_time AS SELECT 1700000000000::bigint AS now`)
        yield* sql.unsafe(
          `CREATE OR REPLACE FUNCTION ${p}_now() RETURNS bigint LANGUAGE sql AS 'SELECT now FROM ${p}_time'`
        )
        const advance = (millis: number) =>
          Effect.andThen(TestClock.adjust(millis), sql.unsafe(`UPDATE ${p}_time SET now = now + ${millis}`).unprepared)
        yield* agree(yield* makePostgresStore(sql, p), (millis) => Effect.asVoid(advance(millis)), seed, 100)
      }
    }).pipe(Effect.provide(Layer.fresh(TestClock.layer()))), 60_000)
})
