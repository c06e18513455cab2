// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Option, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { NodeSqliteClient } from "../../src/node/index.ts"
import * as NodePostgresQueueSignal from "../../src/node/NodePostgresQueueSignal.ts"
import { MessageQueue } from "../../src/queue/index.ts"
import { body, type Candidate, times } from "./candidate.ts"

type Queue = MessageQueue.MessageQueue | SqlClient.SqlClient

/** Messages in the tables without the queue: a million of them by pushes would be what takes the time. */
const loader = (p: string, pg: boolean, count: number): ReadonlyArray<string> => {
  const base = `(SELECT COALESCE(max(seq), 0) FROM ${p}_message)`
  const numbers = pg
    ? `SELECT ${base} + n AS n FROM generate_series(1, ${count}) n`
    : `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count}) SELECT ${base} + n AS n FROM c`
  return [
    `CREATE TABLE ${p}_numbers AS ${numbers}`,
    `INSERT INTO ${p}_message (seq, created_at, priority, max_tries, payload_kind, source, destination, payload)
      SELECT n, 0, 0, 20, 0, '0', 'bb', ${
      pg ? `'{"type":"message"}'::bytea` : `'{"type":"message"}'`
    } FROM ${p}_numbers`,
    `INSERT INTO ${p}_work (seq, rank, tries, state, destination) SELECT n, 0, 0, 0, 'bb' FROM ${p}_numbers`,
    ...(pg ? [`SELECT setval(pg_get_serial_sequence('${p}_message', 'seq'), max(seq)) FROM ${p}_message`] : []),
    `DROP TABLE ${p}_numbers`
  ]
}

const make = async (name: string, layer: Layer.Layer<Queue, unknown>, pg: boolean): Promise<Candidate> => {
  const runtime = ManagedRuntime.make(layer)
  const context = await runtime.context()
  const run = Effect.runPromiseWith(context)
  const queue = await run(MessageQueue.MessageQueue)
  const sql = await run(SqlClient.SqlClient)
  const alone = pg ? 1 : times
  const loop = <A, E>(effect: Effect.Effect<A, E>) =>
    pg ? effect : Effect.gen(function*() {
      for (let index = 0; index < times; index++) yield* effect
    })
  const batch = Array.from({ length: 100 }, () => ({ destination: "bb", payload: body }))
  return {
    name,
    load: (count) =>
      run(Effect.forEach(loader("effect_wire_queue", pg, count), (statement) => sql.unsafe(statement).unprepared, {
        discard: true
      })),
    push: () => run(Effect.as(loop(queue.push("bb", body)), alone)),
    pushBatch: () => run(Effect.as(queue.pushMany(batch), 100)),
    pullAck: () => {
      let count = 0
      const one = Effect.flatMap(queue.pull("bb"), (delivery) => {
        if (Option.isNone(delivery)) return Effect.void
        count++
        return queue.ack(delivery.value)
      })
      return run(Effect.map(loop(one), () => count))
    },
    pullAckBatch: () =>
      run(
        Effect.flatMap(queue.pullMany("bb", { max: 100 }), (deliveries) =>
          Effect.as(queue.ackMany(deliveries), deliveries.length))
      ),
    claim: () => run(queue.pull("bb")),
    analyze: () => run(Effect.asVoid(sql.unsafe("ANALYZE"))),
    close: () => runtime.dispose()
  }
}

export const oursSqlite = (filename: string, synchronous: "FULL" | "NORMAL"): Promise<Candidate> =>
  make(
    `effect-wire, SQLite ${synchronous}`,
    MessageQueue.layerSql().pipe(Layer.provideMerge(NodeSqliteClient.layer({ filename, synchronous }))),
    false
  )

export const layerPostgres = (url: string) =>
  MessageQueue.layerSql().pipe(
    Layer.provide(NodePostgresQueueSignal.layer()),
    Layer.provideMerge(PgClient.layer({ url: Redacted.make(url), maxConnections: 10 }))
  )

export const oursPostgres = (url: string): Promise<Candidate> =>
  make("effect-wire, PostgreSQL", layerPostgres(url), true)

/** Microseconds from a push to the answer of a pull that was waiting for it. */
export const endToEnd = async (layer: Layer.Layer<MessageQueue.MessageQueue, unknown>, puller = layer) => {
  const one = ManagedRuntime.make(layer)
  const other = puller === layer ? one : ManagedRuntime.make(Layer.fresh(puller))
  const pushing = await one.runPromise(MessageQueue.MessageQueue)
  const pulling = await other.runPromise(MessageQueue.MessageQueue)
  const times: Array<number> = []
  for (let index = 0; index < 200; index++) {
    const waiting = other.runPromise(pulling.pull("ee", { wait: "10 seconds" }))
    await new Promise((resolve) => setTimeout(resolve, 3))
    const start = performance.now()
    const pushed = one.runPromise(pushing.push("ee", body))
    const delivery = await waiting
    times.push((performance.now() - start) * 1000)
    await pushed
    await other.runPromise(pulling.ack(Option.getOrThrow(delivery)))
  }
  await one.dispose()
  if (other !== one) await other.dispose()
  times.sort((a, b) => a - b)
  return [times[100]!, times[197]!] as const
}
