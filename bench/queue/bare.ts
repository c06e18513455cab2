// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** The barest loops: prepared statements and nothing else, on one table with the one index that it takes. What is processed stays where it was, a lease is no promise: nothing finds one that has run out. */
import { DatabaseSync } from "node:sqlite"
import pg from "pg"
import { body, type Candidate, times } from "./candidate.ts"

export const bareSqlite = (filename: string, synchronous: "FULL" | "NORMAL"): Candidate & {
  readonly ackPull: () => Promise<number>
} => {
  const database = new DatabaseSync(filename)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
  database.exec(
    `CREATE TABLE m (seq INTEGER PRIMARY KEY, destination TEXT, state INTEGER, lease TEXT, due INTEGER, payload TEXT)`
  )
  database.exec(`CREATE INDEX ready ON m (destination, seq) WHERE state = 0`)
  const insert = database.prepare(`INSERT INTO m (destination, state, payload) VALUES (?, 0, ?)`)
  const claim = database.prepare(`UPDATE m SET state = 1, lease = ?, due = ? WHERE seq = (
    SELECT seq FROM m WHERE destination = ? AND state = 0 ORDER BY seq LIMIT 1) RETURNING *`)
  const claimMany = database.prepare(`UPDATE m SET state = 1, lease = ?, due = ? WHERE seq IN (
    SELECT seq FROM m WHERE destination = ? AND state = 0 ORDER BY seq LIMIT 100) RETURNING *`)
  const ack = database.prepare(`UPDATE m SET state = 2 WHERE seq = ? AND state = 1 AND lease = ?`)
  const text = JSON.stringify(body)
  let held: number | undefined
  const pull = () => claim.get("a lease", Date.now() + 30_000, "bb") as { readonly seq: number } | undefined
  return {
    name: `barest, SQLite ${synchronous}`,
    load: async (count) => {
      database.exec(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count})
        INSERT INTO m (destination, state, payload) SELECT 'bb', 0, '{"type":"message"}' FROM c`)
    },
    push: async () => {
      for (let index = 0; index < times; index++) insert.run("bb", text)
      return times
    },
    pushBatch: async () => {
      database.exec("BEGIN IMMEDIATE")
      for (let index = 0; index < 100; index++) insert.run("bb", text)
      database.exec("COMMIT")
      return 100
    },
    pullAck: async () => {
      let count = 0
      for (let row = pull(); row !== undefined; row = pull()) {
        ack.run(row.seq, "a lease")
        if (++count === times) break
      }
      return count
    },
    pullAckBatch: async () => {
      const rows = claimMany.all("a lease", Date.now() + 30_000, "bb") as Array<{ readonly seq: number }>
      database.exec("BEGIN IMMEDIATE")
      for (const row of rows) ack.run(row.seq, "a lease")
      database.exec("COMMIT")
      return rows.length
    },
    ackPull: async () => {
      database.exec("BEGIN IMMEDIATE")
      if (held !== undefined) ack.run(held, "a lease")
      held = pull()?.seq
      database.exec("COMMIT")
      return 1
    },
    claim: async () => pull(),
    analyze: async () => database.exec("ANALYZE"),
    close: async () => database.close()
  }
}

export const barePostgres = async (url: string): Promise<Candidate> => {
  const pool = new pg.Pool({ connectionString: url, max: 8 })
  await pool.query(
    `CREATE TABLE m (seq BIGSERIAL PRIMARY KEY, destination TEXT, state SMALLINT, lease TEXT, due BIGINT, payload JSONB)`
  )
  await pool.query(`CREATE INDEX m_ready ON m (destination, seq) WHERE state = 0`)
  const named = (name: string, text: string, values: Array<unknown>) => pool.query({ name, text, values })
  const text = JSON.stringify(body)
  const claim = (max: number) =>
    named(
      `claim ${max}`,
      `UPDATE m SET state = 1, lease = $1, due = $2 WHERE seq IN (SELECT seq FROM m WHERE destination = $3 AND state = 0
        ORDER BY seq LIMIT ${max} FOR UPDATE SKIP LOCKED) RETURNING *`,
      ["a lease", Date.now() + 30_000, "bb"]
    )
  return {
    name: "barest, PostgreSQL",
    load: async (count) => {
      await pool.query(`INSERT INTO m (destination, state, payload)
        SELECT 'bb', 0, '{"type":"message"}'::jsonb FROM generate_series(1, ${count})`)
    },
    push: async () => {
      await named("push", `INSERT INTO m (destination, state, payload) VALUES ($1, 0, $2) RETURNING seq`, ["bb", text])
      return 1
    },
    pushBatch: async () => {
      await named(
        "push many",
        `INSERT INTO m (destination, state, payload) SELECT 'bb', 0, p::jsonb FROM unnest($1::text[]) p RETURNING seq`,
        [Array.from({ length: 100 }, () => text)]
      )
      return 100
    },
    pullAck: async () => {
      const { rows: [row] } = await claim(1)
      if (row === undefined) return 0
      await named("ack", `UPDATE m SET state = 2 WHERE seq = $1 AND state = 1 AND lease = $2`, [row.seq, "a lease"])
      return 1
    },
    pullAckBatch: async () => {
      const { rows } = await claim(100)
      if (rows.length === 0) return 0
      await named("ack many", `UPDATE m SET state = 2 WHERE seq = ANY($1) AND state = 1 AND lease = $2`, [
        rows.map((row) => row.seq),
        "a lease"
      ])
      return rows.length
    },
    claim: () => claim(1),
    analyze: async () => void await pool.query("ANALYZE m"),
    close: () => pool.end()
  }
}
