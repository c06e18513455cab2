/** The two tables of the PostgreSQL backplane, and the statements on them. @internal */
import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import { type CatchUpRow, type Log, type LogRow, type Notice, page } from "../../backplane/internal/log.ts"

/** A publication as the batcher hands it to the database. @internal */
export interface Item {
  readonly channel: string
  readonly payload: string
  readonly retain: boolean
}

/** @internal */
export interface Retention {
  readonly seconds: number
  readonly perChannel: number
}

/** PostgreSQL refuses a NOTIFY whose payload has 8,000 bytes or more. */
const notifyLimit = 7900

const encoder = new TextEncoder()

/**
 * What follows the number in a notification: `i` or `r` (retained) and the payload, or `t` and none: "look into the table".
 * The length of the channel's name comes first, so that any name and any payload can be told apart.
 */
const tailOf = ({ channel, payload, retain }: Item): string => {
  const head = `${channel.length}:${channel}`
  const length = (head.length + payload.length) * 3 < notifyLimit
    ? 0
    : encoder.encode(head).byteLength + encoder.encode(payload).byteLength
  return length < notifyLimit ? `${retain ? "r" : "i"}${head}${payload}` : `t${head}`
}

const head = /^(\d+)([irt])(\d+):/

/** Reads a notification; `undefined` when somebody else wrote it. @internal */
export const parse = (text: string): Notice | undefined => {
  const match = head.exec(text)
  if (match === null) return undefined
  const start = match[0].length
  const end = start + Number(match[3])
  if (end > text.length) return undefined
  return {
    channel: text.slice(start, end),
    sequence: Number(match[1]),
    payload: match[2] === "t" ? undefined : text.slice(end),
    retain: match[2] === "r"
  }
}

/** @internal */
export interface Statements extends Log<SqlError> {
  readonly migrate: Effect.Effect<void, SqlError>
  readonly publish: (items: ReadonlyArray<Item>) => Effect.Effect<ReadonlyArray<number>, SqlError>
  /** In the transaction of the caller: it is carried when that commits. */
  readonly publishWithin: (item: Item) => Effect.Effect<ReadonlyArray<number>, SqlError>
  readonly sweep: (retention: Retention) => Effect.Effect<void, SqlError>
}

/** @internal */
export const make = (
  sql: PgClient,
  prefix: string,
  options: { readonly asyncCommit: boolean; readonly unlogged: boolean }
): Statements => {
  const channels = sql(`${prefix}_channel`)
  const log = sql(`${prefix}_log`)
  const sequences = (rows: ReadonlyArray<{ readonly sequence: number }>) => rows.map((row) => row.sequence)

  // For this transaction only, without another round trip.
  const quickly = sql.literal(
    options.asyncCommit ? ", (SELECT set_config('synchronous_commit', 'off', true)) AS quickly" : ""
  )

  const unlogged = sql.literal(options.unlogged ? "UNLOGGED" : "")
  const nameOf = (table: string) => `${prefix}_${table}`.split(".").map((part) => `"${part}"`).join(".")

  // The usual case, without the machinery that many need.
  const publishOne = (item: Item, ending: Fragment) => {
    const { channel, payload, retain } = item
    return Effect.map(
      sql<{ sequence: number }>`
        WITH next AS (
          INSERT INTO ${channels} AS c (channel, sequence, last_sequence, last_payload)
          VALUES (${channel}, 1, ${retain ? 1 : null}::bigint, ${retain ? payload : null}::text)
          ON CONFLICT (channel) DO UPDATE SET
            sequence = c.sequence + 1,
            last_sequence = CASE WHEN excluded.last_sequence IS NULL THEN c.last_sequence ELSE c.sequence + 1 END,
            last_payload = coalesce(excluded.last_payload, c.last_payload)
          RETURNING c.sequence
        ), logged AS (
          INSERT INTO ${log} (channel, sequence, payload, retain)
          SELECT ${channel}, sequence, ${payload}, ${retain}::boolean FROM next
        )
        SELECT sequence::float8 AS sequence, pg_notify(${prefix}, sequence || ${tailOf(item)})
        FROM next${ending}`,
      sequences
    )
  }

  const publishMany = (items: ReadonlyArray<Item>) =>
    Effect.map(
      sql<{ sequence: number }>`
        WITH input AS (
          SELECT * FROM unnest(
            ${items.map((item) => item.channel)}::text[],
            ${items.map((item) => item.payload)}::text[],
            ${items.map((item) => item.retain)}::bool[],
            ${items.map(tailOf)}::text[]
          ) WITH ORDINALITY AS t (channel, payload, retain, tail, position)
        ), ranked AS (
          SELECT *, row_number() OVER (PARTITION BY channel ORDER BY position) AS rank FROM input
        ), counted AS (
          SELECT channel, max(rank) AS count FROM ranked GROUP BY channel
        ), retained AS (
          SELECT DISTINCT ON (channel) channel, rank, payload FROM ranked WHERE retain ORDER BY channel, rank DESC
        ), next AS (
          INSERT INTO ${channels} AS c (channel, sequence, last_sequence, last_payload)
          SELECT counted.channel, counted.count, retained.rank, retained.payload
          FROM counted LEFT JOIN retained USING (channel) ORDER BY counted.channel
          ON CONFLICT (channel) DO UPDATE SET
            sequence = c.sequence + excluded.sequence,
            last_sequence = coalesce(c.sequence + excluded.last_sequence, c.last_sequence),
            last_payload = coalesce(excluded.last_payload, c.last_payload)
          RETURNING c.channel, c.sequence
        ), numbered AS (
          SELECT ranked.*, next.sequence - counted.count + ranked.rank AS sequence
          FROM ranked JOIN counted USING (channel) JOIN next USING (channel)
        ), logged AS (
          INSERT INTO ${log} (channel, sequence, payload, retain) SELECT channel, sequence, payload, retain FROM numbered
        )
        SELECT sequence::float8 AS sequence, pg_notify(${prefix}, sequence || tail)
        FROM numbered${quickly} ORDER BY position`,
      sequences
    )

  return {
    migrate: sql.withTransaction(Effect.gen(function*() {
      // Two processes that start together would both create.
      yield* sql`SELECT pg_advisory_xact_lock(hashtext(${prefix}))`
      yield* sql`CREATE TABLE IF NOT EXISTS ${channels} (
        channel text PRIMARY KEY,
        sequence bigint NOT NULL,
        last_sequence bigint,
        last_payload text
      )`
      // A row that is made anew counts anew. Tables of earlier versions have no such columns.
      const columns = yield* sql`
        SELECT 1 FROM pg_attribute WHERE attrelid = ${nameOf("channel")}::regclass AND attname = 'epoch'`
      if (columns.length === 0) {
        yield* sql`ALTER TABLE ${channels}
          ADD COLUMN epoch text NOT NULL DEFAULT gen_random_uuid()::text,
          ADD COLUMN epoch_start bigint NOT NULL DEFAULT 0`
      }
      yield* sql`CREATE ${unlogged} TABLE IF NOT EXISTS ${log} (
        channel text NOT NULL,
        sequence bigint NOT NULL,
        payload text NOT NULL,
        retain boolean NOT NULL,
        published_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (channel, sequence)
      )`
      const [found] = yield* sql<{ relpersistence: string }>`
        SELECT relpersistence FROM pg_class WHERE oid = ${nameOf("log")}::regclass`
      if (found !== undefined && (found.relpersistence === "u") !== options.unlogged) {
        yield* sql`ALTER TABLE ${log} SET ${sql.literal(options.unlogged ? "UNLOGGED" : "LOGGED")}`
      }
    })),
    // The row of a channel is locked from its upsert to the commit: numbers are given in the order of commits, which is
    // the order of notifications. Channels are locked in the order of their names: no deadlock between processes.
    publish: (items) => {
      const [item] = items
      return items.length === 1 && item !== undefined ? publishOne(item, quickly) : publishMany(items)
    },
    // Whether the caller's transaction waits for the disk is the caller's affair.
    publishWithin: (item) => publishOne(item, sql.literal("")),
    catchUp: (channel, after) =>
      sql<CatchUpRow>`
        SELECT c.sequence::float8 AS counter, c.epoch, c.epoch_start::float8 AS epoch_start, c.last_sequence::float8 AS last_sequence, c.last_payload,
          l.sequence::float8 AS sequence, l.payload, l.retain
        FROM ${channels} c LEFT JOIN LATERAL (
          SELECT sequence, payload, retain FROM ${log}
          WHERE channel = c.channel AND sequence > ${after}::float8::bigint ORDER BY sequence LIMIT ${
        sql.literal(String(page))
      }
        ) l ON true
        WHERE c.channel = ${channel} ORDER BY l.sequence`,
    counters: (names) =>
      sql<{ channel: string; counter: number; epoch: string }>`
        SELECT channel, sequence::float8 AS counter, epoch FROM ${channels} WHERE channel = ANY(${names}::text[])`,
    last: (channel) =>
      sql<{ counter: number; epoch: string; sequence: number | null; payload: string | null }>`
        SELECT sequence::float8 AS counter, epoch, last_sequence::float8 AS sequence, last_payload AS payload
        FROM ${channels} WHERE channel = ${channel}`,
    ensure: (channel) =>
      Effect.asVoid(sql`INSERT INTO ${channels} (channel, sequence) VALUES (${channel}, 0) ON CONFLICT DO NOTHING`),
    renew: (channel, epoch, reached) =>
      Effect.asVoid(sql`UPDATE ${channels} SET epoch = gen_random_uuid()::text, epoch_start = sequence
        WHERE channel = ${channel} AND epoch = ${epoch} AND sequence < ${reached}::float8::bigint`),
    history: (channel, to, { age, values }) =>
      sql<LogRow>`
        SELECT sequence::float8 AS number, payload,
          (extract(epoch FROM now() - published_at) * 1000)::float8 AS age
        FROM ${log}
        WHERE channel = ${channel} AND sequence <= ${to}::float8::bigint
          AND sequence > (SELECT epoch_start FROM ${channels} WHERE channel = ${channel})
          AND published_at >= now() - make_interval(secs => ${age / 1000}::float8)
        ORDER BY sequence DESC LIMIT ${values}::float8::bigint`,
    sweep: (retention) =>
      Effect.andThen(
        sql`DELETE FROM ${log} WHERE published_at < now() - make_interval(secs => ${retention.seconds}::float8)`,
        Effect.asVoid(sql`DELETE FROM ${log} l USING ${channels} c
          WHERE l.channel = c.channel AND l.sequence <= c.sequence - ${retention.perChannel}::float8::bigint`)
      )
  }
}
