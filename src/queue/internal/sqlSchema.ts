/**
 * @internal The tables, and how they came to be: one migration for each version, for both databases.
 *
 * PostgreSQL gets functions for what is done often. They take several steps in one round trip, and they carry their own
 * planner settings: the plan of a statement that was cached while the table was small must not be a scan of a table that
 * has grown.
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/** The columns of a message, in the order of the table. Names and, where the databases differ, PostgreSQL's types. */
const columns: ReadonlyArray<readonly [name: string, sqlite: string, pg?: string]> = [
  ["id", "TEXT NOT NULL"],
  ["source", "TEXT NOT NULL"],
  ["destination", "TEXT NOT NULL"],
  ["state", "INTEGER NOT NULL", "SMALLINT NOT NULL"],
  ["priority", "INTEGER NOT NULL", "SMALLINT NOT NULL"],
  ["tries", "INTEGER NOT NULL"],
  ["max_tries", "INTEGER NOT NULL"],
  // When a scheduled message becomes ready, or a lease ends.
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

/** What a prefix may be: it becomes part of names in SQL. */
export const isPrefix = (prefix: string): boolean => /^[a-z_][a-z0-9_]{0,30}$/.test(prefix)

/** Ends when there is nothing to do: the planner of PostgreSQL must take the index, whatever it believes about the table. */
export const plannerSettings = [
  "enable_seqscan = off",
  "enable_bitmapscan = off",
  "enable_sort = off",
  "enable_hashjoin = off",
  "enable_mergejoin = off",
  "plan_cache_mode = force_generic_plan",
  "jit = off"
]

/** Takes the first ready messages: the one query whose cost must not grow with the table. */
export const claimable = (p: string, node: string, max: string): string =>
  `SELECT seq FROM ${p}_message WHERE destination = ${node} AND state = 0
    ORDER BY priority DESC, seq LIMIT ${max}`

/** Scheduled messages and leases whose time has come. */
export const dueNow = (p: string, node: string, now: string): string =>
  `SELECT seq FROM ${p}_message WHERE destination = ${node} AND state IN (2, 4) AND due_at <= ${now}
    ORDER BY due_at LIMIT 1000`

export const promoteSet = (now: string): string =>
  `state = CASE WHEN state = 4 AND tries >= max_tries THEN 6 ELSE 0 END,
    error = CASE WHEN state = 4 THEN 'the lease ran out' ELSE error END,
    error_at = CASE WHEN state = 4 THEN ${now} ELSE error_at END,
    lease_token = NULL, due_at = NULL`

export const claimSet = (now: string, lease: string, token: string): string =>
  `state = 4, tries = tries + 1, processing_at = ${now}, due_at = ${now} + ${lease}, lease_token = ${token}`

/** What a holder's word does; `v` holds the word, `t` is the table. */
export const finishSet = `state = CASE v.op
      WHEN 0 THEN 5
      WHEN 1 THEN CASE WHEN t.tries >= t.max_tries THEN 6 WHEN v.millis > 0 THEN 2 ELSE 0 END
      WHEN 2 THEN 6 WHEN 3 THEN 4 ELSE 0 END,
    due_at = CASE
      WHEN v.op = 3 OR (v.op = 1 AND v.millis > 0 AND t.tries < t.max_tries) THEN v.now + v.millis END,
    lease_token = CASE v.op WHEN 3 THEN t.lease_token END,
    tries = CASE v.op WHEN 4 THEN t.tries - 1 ELSE t.tries END,
    scheduled_at = CASE
      WHEN v.op = 1 AND v.millis > 0 AND t.tries < t.max_tries THEN v.now + v.millis ELSE t.scheduled_at END,
    processed_at = CASE v.op WHEN 0 THEN v.now ELSE t.processed_at END,
    error_at = CASE WHEN v.op IN (1, 2) THEN v.now ELSE t.error_at END,
    error = CASE WHEN v.op IN (1, 2) THEN COALESCE(v.cause, t.error) ELSE t.error END`

/** Whose message it is. Expressions keep every index but that of the ids out of the planner's choice. */
export const finishWhere = `t.id = v.id AND t.state + 0 = 4 AND t.destination || '' = v.destination
    AND (v.token IS NULL OR (t.lease_token = v.token AND (t.due_at IS NULL OR t.due_at > v.now)))`

/** Makes ready the first of those with an ordering key, unless one of them is on its way already. */
export const unblock = (p: string, destination: string, key: string): string => {
  const same = `destination = ${destination} AND ordering_key = ${key}`
  return `UPDATE ${p}_message SET state = state - 1
    WHERE seq = (SELECT seq FROM ${p}_message WHERE ${same} AND state < 5 ORDER BY seq LIMIT 1)
      AND state IN (1, 3)
      AND NOT EXISTS (SELECT 1 FROM ${p}_message WHERE ${same} AND state < 5 AND state IN (0, 2, 4))`
}

/** The state of a new message. */
export const newState = (p: string, v: string): string =>
  `(CASE WHEN ${v}.due > ${v}.now THEN 2 ELSE 0 END) + (CASE WHEN ${v}.ordering_key IS NOT NULL AND EXISTS (
      SELECT 1 FROM ${p}_message o WHERE o.destination = ${v}.destination AND o.ordering_key = ${v}.ordering_key
        AND o.state < 5) THEN 1 ELSE 0 END)`

const tables = (p: string, pg: boolean): ReadonlyArray<string> => [
  `CREATE TABLE ${p}_message (
    seq ${pg ? "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY" : "INTEGER PRIMARY KEY"},
    ${columns.map(([name, sqlite, type]) => `${name} ${pg ? type ?? sqlite : sqlite}`).join(",\n    ")}
  )${pg ? "" : " STRICT"}`,
  // The one clock that decides: milliseconds since 1970.
  pg
    ? `CREATE VIEW ${p}_clock AS SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`
    : `CREATE VIEW ${p}_clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now`,
  `CREATE UNIQUE INDEX ${p}_id ON ${p}_message (id)`,
  `CREATE INDEX ${p}_ready ON ${p}_message (destination, priority DESC, seq) WHERE state = 0`,
  `CREATE INDEX ${p}_due ON ${p}_message (destination, due_at) WHERE state IN (2, 4)`,
  `CREATE INDEX ${p}_destination ON ${p}_message (destination, seq)`,
  `CREATE INDEX ${p}_source ON ${p}_message (source, seq)`,
  `CREATE INDEX ${p}_ordering ON ${p}_message (destination, ordering_key, seq) WHERE ordering_key IS NOT NULL AND state < 5`,
  `CREATE UNIQUE INDEX ${p}_dedup ON ${p}_message (destination, dedup_key) WHERE dedup_key IS NOT NULL`
]

const functions = (p: string): ReadonlyArray<string> => {
  const settings = plannerSettings.map((setting) => `SET ${setting}`).join(" ")
  return [
    `CREATE FUNCTION ${p}_unblock(p_destination text, p_key text) RETURNS void LANGUAGE plpgsql ${settings} AS $body$
    BEGIN
      PERFORM pg_advisory_xact_lock(hashtextextended('${p} ' || p_destination || ' ' || p_key, 0));
      ${unblock(p, "p_destination", "p_key")};
    END $body$`,

    `CREATE FUNCTION ${p}_claim(p_node text, p_max integer, p_lease bigint, p_token text)
      RETURNS SETOF ${p}_message LANGUAGE plpgsql ${settings} AS $body$
    DECLARE
      v_now bigint := (SELECT now FROM ${p}_clock);
      r record;
    BEGIN
      FOR r IN UPDATE ${p}_message t SET ${promoteSet("v_now")}
        WHERE t.seq = ANY (ARRAY(${dueNow(p, "p_node", "v_now")} FOR UPDATE SKIP LOCKED))
        RETURNING t.state, t.destination, t.ordering_key
      LOOP
        IF r.state = 6 AND r.ordering_key IS NOT NULL THEN
          PERFORM ${p}_unblock(r.destination, r.ordering_key);
        END IF;
      END LOOP;
      RETURN QUERY UPDATE ${p}_message t SET ${claimSet("v_now", "p_lease", "p_token")}
        WHERE t.seq = ANY (ARRAY(${claimable(p, "p_node", "p_max")} FOR UPDATE SKIP LOCKED))
        RETURNING t.*;
    END $body$`,

    `CREATE FUNCTION ${p}_finish(p_ops integer[], p_ids text[], p_destinations text[], p_tokens text[],
      p_millis bigint[], p_causes text[])
      RETURNS TABLE (ord bigint, wake boolean) LANGUAGE plpgsql ${settings} AS $body$
    DECLARE
      v_now bigint := (SELECT now FROM ${p}_clock);
      r record;
    BEGIN
      FOR r IN UPDATE ${p}_message t SET ${finishSet}
        FROM (
          SELECT u.*, v_now AS now FROM unnest(p_ops, p_ids, p_destinations, p_tokens, p_millis, p_causes)
            WITH ORDINALITY AS u (op, id, destination, token, millis, cause, ord)
        ) v
        WHERE ${finishWhere}
        RETURNING v.ord, t.state, t.destination, t.ordering_key
      LOOP
        IF r.state > 4 AND r.ordering_key IS NOT NULL THEN
          PERFORM ${p}_unblock(r.destination, r.ordering_key);
        END IF;
        ord := r.ord;
        wake := r.state IN (0, 2) OR (r.state > 4 AND r.ordering_key IS NOT NULL);
        RETURN NEXT;
      END LOOP;
    END $body$`,

    // A push with a key, of either sort.
    `CREATE FUNCTION ${p}_push(p_id text, p_source text, p_destination text, p_priority smallint, p_max_tries integer,
      p_topic text, p_ordering_key text, p_dedup_key text, p_dedup_window bigint, p_payload_type text,
      p_payload_kind smallint, p_at bigint, p_delay bigint, p_payload bytea)
      RETURNS SETOF ${p}_message LANGUAGE plpgsql ${settings} AS $body$
    DECLARE
      v_now bigint;
      v record;
    BEGIN
      IF p_ordering_key IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('${p} ' || p_destination || ' ' || p_ordering_key, 0));
      END IF;
      v_now := (SELECT now FROM ${p}_clock);
      IF p_dedup_key IS NOT NULL THEN
        UPDATE ${p}_message SET dedup_key = NULL
          WHERE destination = p_destination AND dedup_key = p_dedup_key AND dedup_until <= v_now;
      END IF;
      SELECT v_now AS now, COALESCE(p_at, v_now + p_delay) AS due, p_destination AS destination,
        p_ordering_key AS ordering_key INTO v;
      RETURN QUERY INSERT INTO ${p}_message (id, source, destination, state, priority, tries, max_tries, due_at, topic,
          ordering_key, dedup_key, dedup_until, payload_type, payload_kind, created_at, scheduled_at, payload)
        VALUES (p_id, p_source, p_destination, ${newState(p, "v")}, p_priority, 0, p_max_tries,
          CASE WHEN v.due > v_now THEN v.due END, p_topic, p_ordering_key, p_dedup_key, v_now + p_dedup_window,
          p_payload_type, p_payload_kind, v_now, v.due, p_payload)
        ON CONFLICT DO NOTHING RETURNING *;
      IF NOT FOUND THEN
        RETURN QUERY SELECT * FROM ${p}_message WHERE id = p_id
          UNION ALL SELECT * FROM ${p}_message WHERE destination = p_destination AND dedup_key = p_dedup_key LIMIT 1;
      END IF;
    END $body$`
  ]
}

/** Version 2: dead letters and what is past its retention are found without a scan. */
const deadAndProcessed = (p: string): ReadonlyArray<string> => [
  `CREATE INDEX ${p}_dead ON ${p}_message (destination, seq) WHERE state = 6`,
  `CREATE INDEX ${p}_processed ON ${p}_message (processed_at) WHERE state = 5`
]

/** The migrations up to a version; tests stop at each. */
export const migrations = (
  sql: SqlClient.SqlClient,
  prefix: string,
  version = Infinity
): Effect.Effect<unknown, SqlError | Migrator.MigrationError, SqlClient.SqlClient> => {
  const pg = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  const all = (statements: ReadonlyArray<string>) =>
    Effect.forEach(statements, (statement) => sql.unsafe(statement).unprepared, { discard: true })
  const steps: ReadonlyArray<Migrator.ResolvedMigration> = [
    [1, "messages", Effect.succeed(all([...tables(prefix, pg), ...(pg ? functions(prefix) : [])]))],
    [2, "dead_and_processed", Effect.succeed(all(deadAndProcessed(prefix)))]
  ]
  return Migrator.make({})({
    loader: Effect.succeed(steps.filter(([id]) => id <= version)),
    table: `${prefix}_migration`
  })
}
