/**
 * @internal The tables of version 0.1, and how they become those of today with everything in them.
 */
import { State } from "./store.ts"

const columns: ReadonlyArray<readonly [name: string, sqlite: string, pg?: string]> = [
  ["id", "TEXT NOT NULL"],
  ["source", "TEXT NOT NULL"],
  ["destination", "TEXT NOT NULL"],
  ["state", "INTEGER NOT NULL", "SMALLINT NOT NULL"],
  ["priority", "INTEGER NOT NULL", "SMALLINT NOT NULL"],
  ["tries", "INTEGER NOT NULL"],
  ["max_tries", "INTEGER NOT NULL"],
  ["due_at", "INTEGER", "BIGINT"],
  ["lease_token", "TEXT"],
  ["topic", "TEXT"],
  ["ordering_key", "TEXT"],
  ["dedup_key", "TEXT"],
  ["dedup_until", "INTEGER", "BIGINT"],
  ["payload_type", "TEXT NOT NULL"],
  ["payload_kind", "INTEGER NOT NULL", "SMALLINT NOT NULL"],
  ["created_at", "INTEGER NOT NULL", "BIGINT NOT NULL"],
  ["updated_at", "INTEGER", "BIGINT"],
  ["scheduled_at", "INTEGER", "BIGINT"],
  ["processing_at", "INTEGER", "BIGINT"],
  ["processed_at", "INTEGER", "BIGINT"],
  ["error_at", "INTEGER", "BIGINT"],
  ["error", "TEXT"],
  ["payload", "BLOB NOT NULL", "BYTEA NOT NULL"]
]

export const tables01 = (p: string, pg: boolean): ReadonlyArray<string> => [
  `CREATE TABLE ${p}_message (
    seq ${pg ? "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" : "INTEGER PRIMARY KEY"},
    ${columns.map(([name, sqlite, type]) => `${name} ${pg ? type ?? sqlite : sqlite}`).join(",\n    ")}
  )${pg ? "" : " STRICT"}`,
  pg
    ? `CREATE VIEW ${p}_clock AS SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`
    : `CREATE VIEW ${p}_clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now`,
  `CREATE UNIQUE INDEX ${p}_id ON ${p}_message (id)`,
  `CREATE INDEX ${p}_ready ON ${p}_message (destination, priority DESC, seq) WHERE state = 0`,
  `CREATE INDEX ${p}_due ON ${p}_message (destination, due_at) WHERE state IN (2, 4)`,
  `CREATE INDEX ${p}_destination ON ${p}_message (destination, seq)`,
  `CREATE INDEX ${p}_source ON ${p}_message (source, seq)`,
  `CREATE INDEX ${p}_ordering ON ${p}_message (destination, ordering_key, seq)
    WHERE ordering_key IS NOT NULL AND state < 5`,
  `CREATE UNIQUE INDEX ${p}_dedup ON ${p}_message (destination, dedup_key) WHERE dedup_key IS NOT NULL`
]

export const version2 = (p: string): ReadonlyArray<string> => [
  `CREATE INDEX ${p}_dead ON ${p}_message (destination, seq) WHERE state = 6`,
  `CREATE INDEX ${p}_processed ON ${p}_message (processed_at) WHERE state = 5`
]

/** From version 2 to 3. Times that no calendar has, which 0.1 took, become its last millisecond. */
export const convert01 = {
  before: (p: string, pg: boolean): ReadonlyArray<string> => [
    ...(pg
      ? [
        `DROP FUNCTION IF EXISTS ${p}_claim(text, integer, bigint, text)`,
        `DROP FUNCTION IF EXISTS ${p}_finish(integer[], text[], text[], text[], bigint[], text[])`,
        `DROP FUNCTION IF EXISTS ${p}_push(text, text, text, smallint, integer, text, text, text, bigint, text, smallint,
          bigint, bigint, bytea)`,
        `DROP FUNCTION IF EXISTS ${p}_unblock(text, text)`
      ]
      : []),
    `DROP VIEW ${p}_clock`,
    ...["id", "ready", "due", "destination", "source", "ordering", "dedup", "dead", "processed"].map((index) =>
      `DROP INDEX ${p}_${index}`
    ),
    `ALTER TABLE ${p}_message RENAME TO ${p}_old`,
    ...(pg ? [`ALTER INDEX ${p}_message_pkey RENAME TO ${p}_old_pkey`] : [])
  ],
  copy: (p: string, pg: boolean): ReadonlyArray<string> => {
    const least = pg ? "least" : "min"
    const time = (column: string) => `${least}(${column}, 253402300799999)`
    const unfinished = `seq, ${time("due_at")}, ${time("processing_at")}, ${time("error_at")}, -priority,
          ${least}(tries, 32767)`
    return [
      `INSERT INTO ${p}_message (seq, created_at, scheduled_at, updated_at, priority, max_tries, payload_kind, source,
          destination, topic, ordering_key, dedup_key, payload_type, former_id, payload)
        SELECT seq, ${time("created_at")}, ${time("scheduled_at")}, ${time("updated_at")}, priority,
          ${least}(max_tries, 32767), payload_kind, source, destination, topic, ordering_key, dedup_key, payload_type, id,
          ${pg ? "payload" : "CASE WHEN payload_kind < 2 THEN CAST(payload AS TEXT) ELSE payload END"}
        FROM ${p}_old`,
      `INSERT INTO ${p}_work (seq, due_at, processing_at, error_at, rank, tries, state, destination, ordering_key, error)
        SELECT ${unfinished}, state, destination, ordering_key, error FROM ${p}_old WHERE state < ${State.processing}`,
      // A lease is known by another kind of token now: who holds one is served again when it ends.
      pg
        ? `INSERT INTO ${p}_work (seq, due_at, processing_at, error_at, rank, tries, state, token, destination,
            ordering_key, error)
          SELECT ${unfinished}, state, CASE WHEN lease_token ~ '^[0-9a-f]{32}$' THEN lease_token::uuid END, destination,
            ordering_key, error
          FROM ${p}_old WHERE state = ${State.processing}`
        : `INSERT INTO ${p}_held (seq, due_at, processing_at, error_at, rank, tries, token, destination, ordering_key, error)
          SELECT ${unfinished}, lease_token, destination, ordering_key, error
          FROM ${p}_old WHERE state = ${State.processing}`,
      `INSERT INTO ${p}_done (seq, finished_at, processing_at, error_at, tries, state, destination, error)
        SELECT seq, COALESCE(${time("CASE state WHEN 5 THEN processed_at ELSE error_at END")}, created_at),
          ${time("processing_at")}, ${time("error_at")}, ${least}(tries, 32767), state, destination, error
        FROM ${p}_old WHERE state >= 5`,
      `INSERT INTO ${p}_dedup (destination, dedup_key, seq, until)
        SELECT destination, dedup_key, seq, ${time("dedup_until")} FROM ${p}_old
        WHERE dedup_key IS NOT NULL AND dedup_until IS NOT NULL`,
      ...(pg
        ? [
          `INSERT INTO ${p}_ordering (destination, ordering_key)
            SELECT DISTINCT destination, ordering_key FROM ${p}_old WHERE state < 5 AND ordering_key IS NOT NULL`,
          `SELECT setval(pg_get_serial_sequence('${p}_message', 'seq'),
            (SELECT COALESCE(max(seq), 0) + 1 FROM ${p}_old), false)`
        ]
        : [`UPDATE ${p}_meta SET last = (SELECT COALESCE(max(seq), 0) FROM ${p}_old)`]),
      `DROP TABLE ${p}_old`
    ]
  }
}
