// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** What others use on PostgreSQL. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, ManagedRuntime, Option, Redacted, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import { makeWorkerUtils, run as runWorker } from "graphile-worker"
import pg from "pg"
import { PgBoss } from "pg-boss"
import { body, type Candidate } from "./candidate.ts"

export const pgBoss = async (url: string): Promise<Candidate> => {
  const boss = new PgBoss({ connectionString: url, max: 8, supervise: false, schedule: false })
  boss.on("error", () => {})
  await boss.start()
  await boss.createQueue("bb")
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  const batch = Array.from({ length: 100 }, () => ({ data: body }))
  return {
    name: "pg-boss 12.27",
    load: async (count) => {
      await pool.query(
        `INSERT INTO pgboss.job (name, data) SELECT 'bb', '{"type":"message"}' FROM generate_series(1, ${count})`
      )
    },
    push: async () => {
      await boss.send("bb", body)
      return 1
    },
    pushBatch: async () => {
      await boss.insert("bb", batch)
      return 100
    },
    pullAck: async () => {
      const [job] = await boss.fetch("bb")
      if (job === undefined) return 0
      await boss.complete("bb", job.id)
      return 1
    },
    pullAckBatch: async () => {
      const jobs = await boss.fetch("bb", { batchSize: 100 })
      if (jobs.length > 0) await boss.complete("bb", jobs.map((job) => job.id))
      return jobs.length
    },
    claim: () => boss.fetch("bb"),
    analyze: async () => void await pool.query("ANALYZE"),
    close: async () => {
      await boss.stop({ graceful: false })
      await pool.end()
    }
  }
}

/** It has no pull: its worker is counted while it empties the queue. */
export const graphileWorker = async (url: string) => {
  const utils = await makeWorkerUtils({ connectionString: url, maxPoolSize: 8, logger: quiet })
  await utils.migrate()
  const pool = new pg.Pool({ connectionString: url, max: 1 })
  return {
    push: async () => {
      await utils.addJob("task", body)
      return 1
    },
    load: (count: number) =>
      pool.query(`SELECT graphile_worker.add_job('task', '{"type":"message"}') FROM generate_series(1, $1)`, [count]),
    work: async (concurrency: number, seconds: number): Promise<number> => {
      let count = 0
      const runner = await runWorker({
        connectionString: url,
        maxPoolSize: concurrency + 2,
        concurrency,
        noHandleSignals: true,
        logger: quiet,
        taskList: { task: () => void count++ }
      })
      const start = performance.now()
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
      const perSecond = count / ((performance.now() - start) / 1000)
      await runner.stop()
      return perSecond
    },
    close: async () => {
      await utils.release()
      await pool.end()
    }
  }
}

export const quiet = new (await import("graphile-worker")).Logger(() => () => {})

export const persistedQueue = async (url: string): Promise<Candidate> => {
  const runtime = ManagedRuntime.make(
    PersistedQueue.layer.pipe(
      Layer.provide(PersistedQueue.layerStoreSql()),
      Layer.provideMerge(PgClient.layer({ url: Redacted.make(url), maxConnections: 10 }))
    )
  )
  const run = Effect.runPromiseWith(await runtime.context())
  const sql = await run(SqlClient.SqlClient)
  const queue = await run(PersistedQueue.make({
    name: "bb",
    schema: Schema.Struct({ type: Schema.String, text: Schema.optionalKey(Schema.String) })
  }))
  return {
    name: "PersistedQueue, PostgreSQL",
    load: async (count) => {
      await run(queue.offer(body))
      await run(sql.unsafe(`INSERT INTO effect_queue
          (id, queue_name, element, state, attempts, visible_at, created_at, updated_at)
        SELECT md5(n::text || random()), 'bb', '{"type":"message"}', 'pending', 0, now(), now(), now()
        FROM generate_series(1, ${count}) n`))
    },
    push: () => run(Effect.as(queue.offer(body), 1)),
    // It has no pull that ends when there is nothing.
    pullAck: () =>
      run(Effect.map(Effect.timeoutOption(queue.take(() => Effect.succeed(1)), "1 second"), Option.getOrElse(() => 0))),
    claim: () => run(Effect.timeoutOption(queue.take(() => Effect.void), "1 second")),
    analyze: () => run(Effect.asVoid(sql.unsafe("ANALYZE"))),
    close: () => runtime.dispose()
  }
}
