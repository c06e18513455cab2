/**
 * @internal Where SQLite and PostgreSQL differ: how many messages are written at once, how they are claimed, and how
 * holders' words are applied. SQLite runs small prepared statements in one transaction that the caller begins; PostgreSQL
 * takes everything in one round trip.
 */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { makeTokens } from "./ids.ts"
import * as Schema from "./sqlSchema.ts"
import type { Finish, Finished, NewMessage } from "./store.ts"

/** A row of the message table; integers of 64 bits may be `bigint`. */
export type Row = Record<string, any>

type Rows = Effect.Effect<ReadonlyArray<Row>, SqlError>

export interface Dialect {
  /** Whether writers wait for one another: then everything that waits shares one transaction. */
  readonly grouped: boolean
  /** Runs a statement with `?` for parameters, planned for what the table is now. */
  readonly query: (text: string, params?: ReadonlyArray<unknown>) => Rows
  /** All or none; the rows as they are stored, in the order of the messages. */
  readonly push: (messages: ReadonlyArray<NewMessage>) => Rows
  readonly claim: (node: string, max: number, lease: number | null) => Rows
  readonly finish: (ops: ReadonlyArray<Finish>) => Effect.Effect<ReadonlyArray<Finished>, SqlError>
  readonly unblock: (destination: string, key: string) => Effect.Effect<unknown, SqlError>
}

const lost: Finished = { held: false, wake: false }

export const makeSqlite = (
  query: Dialect["query"],
  p: string,
  /** The same, rows as arrays: much cheaper to read where there are many columns. */
  values: (text: string, params: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<ReadonlyArray<any>>, SqlError>
): Dialect => {
  const nextToken = makeTokens()
  const now = `(SELECT now FROM ${p}_clock)`

  const insert = `INSERT INTO ${p}_message (id, source, destination, state, priority, tries, max_tries, due_at, topic,
      ordering_key, dedup_key, dedup_until, payload_type, payload_kind, created_at, scheduled_at, payload)
    SELECT v.id, v.source, v.destination, ${Schema.newState(p, "v")}, v.priority, 0, v.max_tries,
      CASE WHEN v.due > v.now THEN v.due END, v.topic, v.ordering_key, v.dedup_key, v.now + v.dedup_window,
      v.payload_type, v.payload_kind, v.now, v.due, v.payload
    FROM (SELECT w.*, COALESCE(w.at, w.now + w.delay) AS due FROM (
      SELECT ? AS id, ? AS source, ? AS destination, ? AS priority, ? AS max_tries, ? AS topic, ? AS ordering_key,
        ? AS dedup_key, ? AS dedup_window, ? AS payload_type, ? AS payload_kind, ? AS at, ? AS delay, ? AS payload,
        ${now} AS now) w) v
    WHERE true ON CONFLICT DO NOTHING RETURNING state, created_at, scheduled_at`
  const expireKey = `UPDATE ${p}_message SET dedup_key = NULL
    WHERE destination = ? AND dedup_key = ? AND dedup_until <= ${now}`
  const existing = `SELECT * FROM ${p}_message WHERE id = ?
    UNION ALL SELECT * FROM ${p}_message WHERE destination = ? AND dedup_key = ? LIMIT 1`

  const pushOne = Effect.fnUntraced(function*(message: NewMessage): Effect.fn.Return<Row, SqlError> {
    if (message.deduplicationKey !== null) {
      yield* query(expireKey, [message.destination, message.deduplicationKey])
    }
    const inserted = yield* query(insert, pushParams(message))
    if (inserted.length > 0) return freshRow(message, inserted[0]!)
    return (yield* query(existing, [message.id, message.destination, message.deduplicationKey]))[0]!
  })

  // The hint names the index: statistics that are missing or stale change nothing.
  const hinted = (text: string, index: string) =>
    text.replace(`${p}_message WHERE`, `${p}_message INDEXED BY ${p}_${index} WHERE`)
  const promote = `UPDATE ${p}_message SET ${Schema.promoteSet(now)}
    WHERE seq IN (${hinted(Schema.dueNow(p, "?", now), "due")}) RETURNING state, destination, ordering_key`
  const claim = `UPDATE ${p}_message SET ${Schema.claimSet(now, "?", "?")}
    WHERE seq IN (${hinted(Schema.claimable(p, "?", "?"), "ready")}) RETURNING ${claimed}`
  const finish = `UPDATE ${p}_message AS t SET ${Schema.finishSet}
    FROM (SELECT ? AS op, ? AS id, ? AS destination, ? AS token, ? AS millis, ? AS cause, ${now} AS now) v
    WHERE ${Schema.finishWhere} RETURNING state, ordering_key`
  const unblockText = Schema.unblock(p, "?1", "?2")
  const unblock = (destination: string, key: string) => query(unblockText, [destination, key])

  const finishOne = Effect.fnUntraced(function*(op: Finish): Effect.fn.Return<Finished, SqlError> {
    const [row] = yield* query(finish, finishParams(op))
    if (row === undefined) return lost
    const state = Number(row["state"])
    const unblocks = state > 4 && row["ordering_key"] !== null
    if (unblocks) yield* unblock(op.destination, row["ordering_key"])
    return { held: true, wake: unblocks || state === 0 || state === 2 }
  })

  return {
    grouped: true,
    query,
    push: (messages) => Effect.forEach(messages, pushOne),
    claim: Effect.fnUntraced(function*(node, max, lease) {
      for (const row of yield* query(promote, [node])) {
        if (Number(row["state"]) === 6 && row["ordering_key"] !== null) yield* unblock(node, row["ordering_key"])
      }
      return Array.from(yield* values(claim, [lease, nextToken(), node, max]), claimedRow)
    }),
    finish: (ops) => Effect.forEach(ops, finishOne),
    unblock
  }
}

/** What a claim reads, in this order. */
const claimed =
  `seq, id, source, destination, state, priority, tries, max_tries, due_at, lease_token, topic, ordering_key,
  dedup_key, payload_type, payload_kind, created_at, updated_at, scheduled_at, processing_at, processed_at, error_at, error,
  payload`

const claimedRow = (row: ReadonlyArray<any>): Row => ({
  seq: row[0],
  id: row[1],
  source: row[2],
  destination: row[3],
  state: row[4],
  priority: row[5],
  tries: row[6],
  max_tries: row[7],
  due_at: row[8],
  lease_token: row[9],
  topic: row[10],
  ordering_key: row[11],
  dedup_key: row[12],
  payload_type: row[13],
  payload_kind: row[14],
  created_at: row[15],
  updated_at: row[16],
  scheduled_at: row[17],
  processing_at: row[18],
  processed_at: row[19],
  error_at: row[20],
  error: row[21],
  payload: row[22]
})

export const makePg = (sql: SqlClient.SqlClient, p: string): Dialect => {
  const nextToken = makeTokens()
  const prepared = (text: string, params: ReadonlyArray<unknown>): Rows => sql.unsafe<Row>(numbered(text), params)

  const types: ReadonlyArray<readonly [column: string, type: string]> = [
    ["id", "text"],
    ["source", "text"],
    ["destination", "text"],
    ["priority", "smallint"],
    ["max_tries", "integer"],
    ["topic", "text"],
    ["ordering_key", "text"],
    ["dedup_key", "text"],
    ["dedup_window", "bigint"],
    ["payload_type", "text"],
    ["payload_kind", "smallint"],
    ["at", "bigint"],
    ["delay", "bigint"],
    ["payload", "bytea"]
  ]
  const columns = types.map(([column]) => column).join(", ")
  /** From one row or many: a single push is spared the arrays. */
  const insert = (rows: string, order: string) =>
    `INSERT INTO ${p}_message (id, source, destination, state, priority, tries, max_tries, due_at, topic,
      payload_type, payload_kind, created_at, scheduled_at, payload)
    SELECT id, source, destination, CASE WHEN due > now THEN 2 ELSE 0 END, priority, 0, max_tries,
      CASE WHEN due > now THEN due END, topic, payload_type, payload_kind, now, due, payload
    FROM (SELECT u.*, c.now, COALESCE(u.at, c.now + u.delay) AS due FROM (SELECT now FROM ${p}_clock) c, ${rows}) v
    ${order} ON CONFLICT DO NOTHING RETURNING id, state, created_at, scheduled_at`
  const insertOne = insert(`(VALUES (${types.map(([, type]) => `?::${type}`).join(", ")})) AS u (${columns})`, "")
  const insertMany = insert(
    `unnest(${types.map(([, type]) => `?::${type}[]`).join(", ")}) WITH ORDINALITY AS u (${columns}, ord)`,
    "ORDER BY ord"
  )
  const insertKeyed = `SELECT * FROM ${p}_push(${types.map(([, type]) => `?::${type}`).join(", ")})`

  const pushMany = (messages: ReadonlyArray<NewMessage>): Rows => {
    if (messages.length === 1) return prepared(insertOne, pushParams(messages[0]!).map(pgScalar))
    const params = messages.map(pushParams)
    return prepared(insertMany, types.map(([, type], column) => pgArray(type, params.map((row) => row[column]))))
  }

  const pushKeyed = (message: NewMessage): Effect.Effect<Row, SqlError> =>
    Effect.map(prepared(insertKeyed, pushParams(message).map(pgScalar)), (rows) => rows[0]!)

  const push = Effect.fnUntraced(function*(messages: ReadonlyArray<NewMessage>): Effect.fn.Return<
    ReadonlyArray<Row>,
    SqlError
  > {
    const keyed = messages.filter(isKeyed)
    const plain = keyed.length === 0 ? messages : messages.filter((message) => !isKeyed(message))
    const effect = Effect.gen(function*() {
      const rows = new Map<string, Row>()
      if (plain.length > 0) {
        const inserted = new Map<string, Row>()
        for (const row of yield* pushMany(plain)) inserted.set(row["id"], row)
        for (const message of plain) {
          const row = inserted.get(message.id)
          if (row !== undefined) rows.set(message.id, freshRow(message, row))
        }
      }
      // Keys are locked in one order everywhere, lest two pushes wait for one another.
      for (const message of Array.from(keyed).sort(byKey)) rows.set(message.id, yield* pushKeyed(message))
      return rows
    })
    const rows = yield* keyed.length === 0 || messages.length === 1 ? effect : sql.withTransaction(effect)
    const missing = messages.filter((message) => !rows.has(message.id))
    if (missing.length > 0) {
      // They were pushed before, and the answer was lost.
      const known = yield* query(`SELECT * FROM ${p}_message WHERE id = ANY (?::text[])`, [missing.map((m) => m.id)])
      for (const row of known) rows.set(row["id"], row)
    }
    return messages.map((message) => rows.get(message.id)!)
  })

  const finishMany = `SELECT * FROM ${p}_finish(?::integer[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::text[])`
  const finishTypes = ["integer", "text", "text", "text", "bigint", "text"]

  const query = (text: string, params?: ReadonlyArray<unknown>): Rows =>
    sql.unsafe<Row>(numbered(text), params).unprepared

  return {
    grouped: false,
    query,
    push,
    claim: (node, max, lease) =>
      prepared(`SELECT * FROM ${p}_claim(?::text, ?::integer, ?::bigint, ?::text)`, [
        node,
        String(max),
        pgScalar(lease),
        nextToken()
      ]),
    finish: Effect.fnUntraced(function*(ops) {
      const results = ops.map(() => lost)
      // One statement changes a row once: a second word about the same message goes into the next.
      for (const round of rounds(ops)) {
        const params = round.map((index) => finishParams(ops[index]!))
        const rows = yield* prepared(
          finishMany,
          finishTypes.map((type, column) => pgArray(type, params.map((row) => row[column])))
        )
        for (const row of rows) results[round[Number(row["ord"]) - 1]!] = { held: true, wake: row["wake"] === true }
      }
      return results
    }),
    unblock: (destination, key) => prepared(`SELECT ${p}_unblock(?::text, ?::text)`, [destination, key])
  }
}

const pushParams = (message: NewMessage): ReadonlyArray<string | number | Uint8Array | null> => [
  message.id,
  message.source,
  message.destination,
  message.priority,
  message.maxTries,
  message.topic,
  message.orderingKey,
  message.deduplicationKey,
  message.deduplicationKey === null ? null : message.deduplicationWindow,
  message.payload.type,
  message.payload.kind,
  message.at,
  message.delay,
  message.payload.bytes
]

/** The row of a message that was added: what the database said, and what it was told. */
const freshRow = (message: NewMessage, said: Row): Row => ({
  id: message.id,
  source: message.source,
  destination: message.destination,
  state: said["state"],
  priority: message.priority,
  tries: 0,
  max_tries: message.maxTries,
  topic: message.topic,
  ordering_key: message.orderingKey,
  dedup_key: message.deduplicationKey,
  payload_type: message.payload.type,
  payload_kind: message.payload.kind,
  created_at: said["created_at"],
  updated_at: null,
  scheduled_at: said["scheduled_at"],
  processing_at: null,
  processed_at: null,
  error_at: null,
  error: null,
  payload: message.payload.bytes
})

const finishParams = (op: Finish): ReadonlyArray<string | number | null> => [
  op.op,
  op.id.toLowerCase(),
  op.destination,
  op.token,
  op.millis,
  op.cause
]

const isKeyed = (message: NewMessage): boolean => message.orderingKey !== null || message.deduplicationKey !== null

const byKey = (a: NewMessage, b: NewMessage): number => {
  const x = `${a.destination} ${a.orderingKey ?? ""} ${a.deduplicationKey ?? ""}`
  const y = `${b.destination} ${b.orderingKey ?? ""} ${b.deduplicationKey ?? ""}`
  return x < y ? -1 : x > y ? 1 : 0
}

const rounds = (ops: ReadonlyArray<Finish>): ReadonlyArray<ReadonlyArray<number>> => {
  const rounds: Array<Array<number>> = []
  const seen = new Map<string, number>()
  ops.forEach((op, index) => {
    const round = seen.get(op.id) ?? 0
    seen.set(op.id, round + 1)
    ;(rounds[round] ??= []).push(index)
  })
  return rounds
}

/** `?` becomes `$1`, `$2`, … */
const numbered = (text: string): string => {
  let count = 0
  return text.replaceAll("?", () => `$${++count}`)
}

/** Numbers go as text, so that a small and a large one are the same statement. */
const pgScalar = (value: string | number | Uint8Array | null | undefined): string | Uint8Array | null =>
  typeof value === "number" ? String(value) : value ?? null

/** An array parameter. Text and bytes are sent as they are; numbers, and arrays of nothing, as PostgreSQL's notation. */
const pgArray = (type: string, values: ReadonlyArray<string | number | Uint8Array | null | undefined>): unknown =>
  (type === "text" || type === "bytea") && values.some((value) => value !== null)
    ? values
    : `{${values.map((value) => value === null ? "NULL" : String(value)).join(",")}}`
