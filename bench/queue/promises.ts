// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Bare loops with the same promises as the queue: prepared statements on its tables and nothing else. Leases run out and
 * are found by an index, tokens are random, what is processed stays with its times, numbers are never given out twice.
 * They have no schedules, keys, checks, or messages to hand out: what those cost is what remains.
 */
import { randomBytes } from "node:crypto"
import { DatabaseSync } from "node:sqlite"
import pg from "pg"
import { body, type Candidate, times } from "./candidate.ts"

export const promisesSqlite = (filename: string, synchronous: "FULL" | "NORMAL"): Candidate => {
  const database = new DatabaseSync(filename)
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`)
  database.exec(`
    CREATE TABLE meta (last INTEGER NOT NULL);
    INSERT INTO meta VALUES (0);
    CREATE TABLE message (seq INTEGER PRIMARY KEY, created_at INTEGER NOT NULL, priority INTEGER NOT NULL,
      max_tries INTEGER NOT NULL, kind INTEGER NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL,
      payload ANY NOT NULL) STRICT;
    CREATE TABLE work (seq INTEGER NOT NULL, rank INTEGER NOT NULL, tries INTEGER NOT NULL, state INTEGER NOT NULL,
      destination TEXT NOT NULL, PRIMARY KEY (destination, state, rank, seq)) STRICT, WITHOUT ROWID;
    CREATE TABLE held (seq INTEGER PRIMARY KEY, due_at INTEGER, processing_at INTEGER, rank INTEGER NOT NULL,
      tries INTEGER NOT NULL, token TEXT, destination TEXT NOT NULL) STRICT;
    CREATE INDEX lease ON held (due_at);
    CREATE TABLE done (seq INTEGER NOT NULL, finished_at INTEGER NOT NULL, processing_at INTEGER,
      tries INTEGER NOT NULL, state INTEGER NOT NULL, destination TEXT NOT NULL,
      PRIMARY KEY (destination, state, seq)) STRICT, WITHOUT ROWID;`)
  const begin = database.prepare("BEGIN IMMEDIATE")
  const commit = database.prepare("COMMIT")
  const next = database.prepare(`SELECT max(last, COALESCE((SELECT max(seq) FROM message), 0)) AS last FROM meta`)
  const insert = database.prepare(
    `INSERT INTO message (seq, created_at, priority, max_tries, kind, source, destination, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
  )
  const work = database.prepare(`INSERT INTO work (seq, rank, tries, state, destination) VALUES (?, ?, 0, 0, ?)`)
  const workMany = database.prepare(`INSERT INTO work (seq, rank, tries, state, destination)
    SELECT seq, -priority, 0, 0, destination FROM message WHERE seq BETWEEN ? AND ?`)
  const ready = database.prepare(`SELECT m.*, w.tries FROM work w CROSS JOIN message m ON m.seq = w.seq
    WHERE w.destination = ? AND w.state = 0 ORDER BY w.rank, w.seq LIMIT ? + 0`)
  const drop = database.prepare(`DELETE FROM work WHERE destination = ? AND state = 0 AND rank = ? AND seq = ?`)
  const hold = database.prepare(
    `INSERT INTO held (seq, due_at, processing_at, rank, tries, token, destination) VALUES (?, ?, ?, ?, ?, ?, ?)`
  )
  const holdMany = database.prepare(`INSERT INTO held (seq, due_at, processing_at, rank, tries, token, destination)
    SELECT seq, ?, ?, rank, tries + 1, lower(hex(randomblob(16))), destination FROM work
    WHERE destination = ? AND state = 0 AND (rank, seq) <= (?, ?) RETURNING seq, token`)
  const dropMany = database.prepare(`DELETE FROM work WHERE destination = ? AND state = 0 AND (rank, seq) <= (?, ?)`)
  const held = database.prepare(
    `SELECT tries, processing_at, due_at, token FROM held WHERE seq = ? AND destination = ?`
  )
  const letGo = database.prepare(`DELETE FROM held WHERE seq = ?`)
  const done = database.prepare(
    `INSERT INTO done (seq, finished_at, processing_at, tries, state, destination) VALUES (?, ?, ?, ?, 5, ?)`
  )
  const doneMany = database.prepare(`INSERT INTO done (seq, finished_at, processing_at, tries, state, destination)
    SELECT h.seq, ?1, h.processing_at, h.tries, 5, h.destination FROM json_each(?2) j CROSS JOIN held h ON h.seq = j.key
    WHERE h.token = j.value AND h.destination = ?3 AND h.due_at > ?1 RETURNING seq`)
  const letGoMany = database.prepare(`DELETE FROM held WHERE seq IN (SELECT value FROM json_each(?))`)
  const lastSeq = () => (next.get() as { readonly last: number }).last
  type Row = { readonly seq: number; readonly priority: number; readonly tries: number; readonly payload: string }
  const pull = (): readonly [Row, string] | undefined => {
    begin.run()
    const row = ready.get("bb", 1) as Row | undefined
    if (row === undefined) {
      commit.run()
      return undefined
    }
    const token = randomBytes(16).toString("hex")
    const now = Date.now()
    drop.run("bb", -row.priority, row.seq)
    hold.run(row.seq, now + 30_000, now, -row.priority, row.tries + 1, token, "bb")
    commit.run()
    JSON.parse(row.payload)
    return [row, token]
  }
  const ack = (seq: number, token: string): void => {
    begin.run()
    const now = Date.now()
    const row = held.get(seq, "bb") as Record<string, number> & { readonly token: string }
    if (row.token === token && row["due_at"]! > now) {
      letGo.run(seq)
      done.run(seq, now, row["processing_at"]!, row["tries"]!, "bb")
    }
    commit.run()
  }
  return {
    name: `bare, same promises, SQLite ${synchronous}`,
    load: async (count) => {
      database.exec(
        `INSERT INTO message WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${count})
        SELECT (SELECT COALESCE(max(seq), 0) FROM message) + n, 0, 0, 20, 0, '0', 'bb', '{"type":"message"}' FROM c`
      )
      database.exec(`INSERT INTO work (seq, rank, tries, state, destination)
        SELECT seq, 0, 0, 0, 'bb' FROM message ORDER BY seq DESC LIMIT ${count}`)
    },
    push: async () => {
      for (let index = 0; index < times; index++) {
        const payload = JSON.stringify(body)
        begin.run()
        const seq = lastSeq() + 1
        insert.run(seq, Date.now(), 0, 20, 0, "0", "bb", payload)
        work.run(seq, 0, "bb")
        commit.run()
      }
      return times
    },
    pushBatch: async () => {
      begin.run()
      const last = lastSeq()
      const now = Date.now()
      for (let index = 1; index <= 100; index++) {
        insert.run(last + index, now, 0, 20, 0, "0", "bb", JSON.stringify(body))
      }
      workMany.run(last + 1, last + 100)
      commit.run()
      return 100
    },
    pullAck: async () => {
      let count = 0
      for (let pulled = pull(); pulled !== undefined; pulled = pull()) {
        ack(pulled[0].seq, pulled[1])
        if (++count === times) break
      }
      return count
    },
    pullAckBatch: async () => {
      begin.run()
      const now = Date.now()
      const rows = ready.all("bb", 100) as unknown as ReadonlyArray<Row>
      const last = rows[rows.length - 1]
      if (last === undefined) {
        commit.run()
        return 0
      }
      const range = ["bb", -last.priority, last.seq] as const
      const tokens = holdMany.all(now + 30_000, now, ...range) as Array<
        { readonly seq: number; readonly token: string }
      >
      dropMany.run(...range)
      commit.run()
      for (const row of rows) JSON.parse(row.payload)
      begin.run()
      const named = Object.fromEntries(tokens.map(({ seq, token }) => [seq, token]))
      const acked = doneMany.all(Date.now(), JSON.stringify(named), "bb") as Array<{ readonly seq: number }>
      letGoMany.run(JSON.stringify(acked.map(({ seq }) => seq)))
      commit.run()
      return acked.length
    },
    claim: async () => pull(),
    analyze: async () => database.exec("ANALYZE"),
    close: async () => database.close()
  }
}

export const promisesPostgres = async (url: string): Promise<Candidate> => {
  const pool = new pg.Pool({ connectionString: url, max: 8 })
  await pool.query(`
    CREATE TABLE message (seq BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, created_at BIGINT NOT NULL,
      priority SMALLINT NOT NULL, max_tries SMALLINT NOT NULL, kind SMALLINT NOT NULL, source TEXT NOT NULL,
      destination TEXT NOT NULL, payload BYTEA NOT NULL);
    CREATE TABLE work (seq BIGINT NOT NULL, due_at BIGINT, processing_at BIGINT, rank INTEGER NOT NULL,
      tries SMALLINT NOT NULL, state SMALLINT NOT NULL, token UUID, destination TEXT NOT NULL,
      PRIMARY KEY (destination, state, rank, seq)) WITH (fillfactor = 70);
    CREATE INDEX due ON work (due_at) WHERE due_at IS NOT NULL;
    CREATE TABLE done (seq BIGINT NOT NULL, finished_at BIGINT NOT NULL, processing_at BIGINT, tries SMALLINT NOT NULL,
      state SMALLINT NOT NULL, destination TEXT NOT NULL, PRIMARY KEY (destination, state, seq))`)
  const named = (name: string, text: string, values: Array<unknown>) => pool.query({ name, text, values })
  const now = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
  const push = (payloads: Array<Buffer>) =>
    named(
      "push",
      `WITH m AS (INSERT INTO message (created_at, priority, max_tries, kind, source, destination, payload)
        SELECT v.now, 0, 20, 0, '0', $1, p FROM (SELECT ${now} AS now OFFSET 0) v, unnest($2::bytea[]) p
        RETURNING seq, created_at, priority, destination),
      w AS (INSERT INTO work (seq, rank, tries, state, destination) SELECT seq, -priority, 0, 0, destination FROM m)
      SELECT seq, created_at FROM m`,
      ["bb", payloads]
    )
  const claim = async (max: number) => {
    const { rows } = await named(
      `claim ${max}`,
      `WITH taken AS (UPDATE work w SET state = 4, tries = tries + 1, processing_at = ${now}, due_at = ${now} + 30000,
          token = gen_random_uuid()
        WHERE w.ctid = ANY (ARRAY(SELECT ctid FROM work WHERE destination = $1 AND state = 0 ORDER BY rank, seq
          LIMIT ${max} FOR UPDATE SKIP LOCKED)) RETURNING w.seq, w.tries, w.due_at, w.token)
      SELECT m.*, t.tries, t.due_at, t.token FROM taken t CROSS JOIN LATERAL (
        SELECT * FROM message m WHERE m.seq = t.seq OFFSET 0) m`,
      ["bb"]
    )
    for (const row of rows) JSON.parse(row.payload.toString())
    return rows as Array<{ readonly seq: string; readonly token: string }>
  }
  const ack = (rows: Array<{ readonly seq: string; readonly token: string }>) =>
    named(
      "ack",
      `WITH v AS MATERIALIZED (SELECT u.seq, u.token, m.priority FROM unnest($2::bigint[], $3::uuid[]) u (seq, token)
        CROSS JOIN LATERAL (SELECT priority FROM message m WHERE m.seq = u.seq OFFSET 0) m),
      gone AS (DELETE FROM work w USING v WHERE w.destination = $1 AND w.state = 4 AND w.rank = -v.priority
        AND w.seq = v.seq AND w.token = v.token AND w.due_at > ${now} RETURNING w.seq, w.processing_at, w.tries)
      INSERT INTO done (seq, finished_at, processing_at, tries, state, destination)
        SELECT seq, ${now}, processing_at, tries, 5, $1 FROM gone`,
      ["bb", rows.map((row) => row.seq), rows.map((row) => row.token)]
    )
  const payload = () => Buffer.from(JSON.stringify(body))
  return {
    name: "bare SQL, same promises, PostgreSQL",
    load: async (count) => {
      await pool.query(
        `WITH m AS (INSERT INTO message (created_at, priority, max_tries, kind, source, destination, payload)
        SELECT 0, 0, 20, 0, '0', 'bb', '{"type":"message"}'::bytea FROM generate_series(1, ${count}) RETURNING seq)
        INSERT INTO work (seq, rank, tries, state, destination) SELECT seq, 0, 0, 0, 'bb' FROM m`
      )
    },
    push: async () => {
      await push([payload()])
      return 1
    },
    pushBatch: async () => {
      await push(Array.from({ length: 100 }, payload))
      return 100
    },
    pullAck: async () => {
      const rows = await claim(1)
      if (rows.length > 0) await ack(rows)
      return rows.length
    },
    pullAckBatch: async () => {
      const rows = await claim(100)
      if (rows.length > 0) await ack(rows)
      return rows.length
    },
    claim: () => claim(1),
    analyze: async () => void await pool.query("ANALYZE"),
    close: () => pool.end()
  }
}
