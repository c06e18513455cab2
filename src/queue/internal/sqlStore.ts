/**
 * @internal The repository: messages in a table of SQLite or PostgreSQL. What differs between the two is in `sqlDialect`,
 * the tables are in `sqlSchema`.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type * as Message from "../Message.ts"
import { invalid, MessageQueueError, QueueUnavailable } from "../MessageQueueError.ts"
import { decodePayload } from "./payload.ts"
import { type Dialect, makePg, makeSqlite, type Row } from "./sqlDialect.ts"
import { isPrefix, migrations } from "./sqlSchema.ts"
import { type Batch, statusOf, type Store } from "./store.ts"

export const makeSqlStore = Effect.fnUntraced(function*(
  client: SqlClient.SqlClient,
  options: { readonly prefix: string; readonly migrate: boolean }
): Effect.fn.Return<Store, MessageQueueError> {
  const p = options.prefix
  if (!isPrefix(p)) return yield* invalid("prefix", "is not 1 to 31 lower-case letters, digits and underscores")
  const sql = client.withoutTransforms()
  if (options.migrate) {
    yield* migrations(sql, p).pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.mapError(unavailable("migrate"))
    )
  }
  const dialect = sql.onDialectOrElse({
    pg: () => makePg(sql, p),
    orElse: () =>
      makeSqlite((text, params) => sql.unsafe(text, params), p, (text, params) => sql.unsafe(text, params).values)
  })
  const { query } = dialect
  const now = `(SELECT now FROM ${p}_clock)`
  const table = `${p}_message`

  const guard = <A>(operation: string, effect: Effect.Effect<A, SqlError>): Effect.Effect<A, MessageQueueError> =>
    Effect.mapError(effect, unavailable(operation))
  /** In a transaction of its own where several statements belong together. */
  const whole = <A>(operation: string, effect: Effect.Effect<A, SqlError>) =>
    guard(operation, sql.withTransaction(effect))
  const inTransaction = Effect.map(Effect.serviceOption(sql.transactionService), Option.isSome)

  const own = (column: string, node: string | undefined): readonly [string, ReadonlyArray<string>] =>
    node === undefined ? ["", []] : [` AND ${column} = ?`, [node]]

  /** Makes ready what waited behind these, and says whom to wake. */
  const unblockAfter = Effect.fnUntraced(function*(rows: ReadonlyArray<Row>): Effect.fn.Return<
    { readonly count: number; readonly wake: ReadonlyArray<string> },
    SqlError
  > {
    const keys = new Map<string, Row>()
    for (const row of rows) {
      if (row["ordering_key"] !== null) keys.set(`${row["destination"]} ${row["ordering_key"]}`, row)
    }
    for (const key of Array.from(keys.keys()).sort()) {
      const row = keys.get(key)!
      yield* dialect.unblock(row["destination"], row["ordering_key"])
    }
    return { count: rows.length, wake: Array.from(new Set(rows.map((row) => String(row["destination"])))) }
  })

  // One transaction for many operations, on the connection itself: a statement of a `SqlClient` costs as much as SQLite
  // takes to run it.
  let connection: Connection | undefined
  const onConnection = makeBatch(makeSqlite(
    (text, params) => connection!.execute(text, params ?? [], undefined),
    p,
    (text, params) => connection!.executeValues(text, params)
  ))
  const atomically: Store["atomically"] = (work) =>
    Effect.scoped(Effect.flatMap(Effect.mapError(sql.reserve, unavailable("begin")), (reserved) => {
      const control = (text: string) => Effect.mapError(reserved.execute(text, [], undefined), unavailable("commit"))
      const body = Effect.suspend(() => {
        connection = reserved
        return work(onConnection)
      })
      return Effect.andThen(
        control("BEGIN IMMEDIATE"),
        Effect.onError(Effect.tap(body, control("COMMIT")), () => Effect.ignore(control("ROLLBACK")))
      )
    }))

  return {
    grouped: dialect.grouped,
    ...makeBatch(dialect),
    atomically,
    inTransaction,
    afterCommit: sql.afterCommit,
    nextDue: (node) =>
      guard(
        "pull",
        Effect.map(
          query(
            `SELECT due_at - ${now} AS millis FROM ${table}
            WHERE destination = ? AND state IN (2, 4) AND due_at > 0 ORDER BY due_at LIMIT 1`,
            [node]
          ),
          ([row]) => row === undefined ? undefined : Number(row["millis"])
        )
      ),
    get: (id, node) =>
      guard(
        "get",
        Effect.map(
          node === undefined
            ? query(`SELECT * FROM ${table} WHERE id = ?`, [id])
            : query(`SELECT * FROM ${table} WHERE id = ? AND (source = ? OR destination = ?)`, [id, node, node]),
          ([row]) => row === undefined ? undefined : toMessage(row)
        )
      ),
    list: ({ after, limit, node, states }) => {
      const state = states === undefined ? "" : ` AND state IN (${states.join(", ")})`
      const some = (column: string) =>
        `SELECT seq FROM (SELECT seq FROM ${table} WHERE ${column} = ? AND seq > ?${state} ORDER BY seq LIMIT ?) ${column}s`
      const rows = node === undefined
        ? query(`SELECT * FROM ${table} WHERE seq > ?${state} ORDER BY seq LIMIT ?`, [after, limit])
        : query(
          `SELECT * FROM ${table} WHERE seq IN (${some("source")} UNION ${some("destination")}) ORDER BY seq LIMIT ?`,
          [node, after, limit, node, after, limit, limit]
        )
      return guard(
        "list",
        Effect.map(rows, (rows) => ({
          messages: rows.map(toMessage),
          ...(rows.length < limit ? {} : { cursor: String(rows[rows.length - 1]!["seq"]) })
        }))
      )
    },
    update: (id, payload, node) => {
      const [mine, params] = own("source", node)
      return guard(
        "update",
        Effect.map(
          query(
            `UPDATE ${table} SET payload = ?, payload_kind = ?, updated_at = ${now}
            WHERE id = ? AND state < 4${mine} RETURNING *`,
            [payload.bytes, payload.kind, id, ...params]
          ),
          ([row]) => row === undefined ? undefined : toMessage(row)
        )
      )
    },
    remove: ({ id, node }) => {
      const [mine, params] = own("source", node)
      return whole(
        "remove",
        Effect.flatMap(
          query(
            `DELETE FROM ${table} WHERE state < 4${id === undefined ? "" : " AND id = ?"}${mine}
            RETURNING destination, ordering_key`,
            id === undefined ? params : [id, ...params]
          ),
          unblockAfter
        )
      )
    },
    clear: guard("clear", Effect.map(query(`DELETE FROM ${table} RETURNING 1 AS one`), (rows) => rows.length)),
    redrive: ({ ids, node }) => {
      const [mine, params] = own("destination", node)
      const some = (ids: ReadonlyArray<string>) => ` AND id IN (${ids.map(() => "?").join(", ")})`
      const redrive = (ids: ReadonlyArray<string> | undefined) =>
        Effect.flatMap(
          query(
            `UPDATE ${table} SET state = CASE WHEN ordering_key IS NULL THEN 0 ELSE 1 END, tries = 0, due_at = NULL
              WHERE state = 6${mine}${ids === undefined ? "" : some(ids)} RETURNING destination, ordering_key`,
            [...params, ...(ids ?? [])]
          ),
          unblockAfter
        )
      if (ids === undefined) return whole("redrive", redrive(undefined))
      return whole(
        "redrive",
        Effect.map(Effect.forEach(chunks(ids, 500), redrive), (parts) => ({
          count: parts.reduce((sum, part) => sum + part.count, 0),
          wake: Array.from(new Set(parts.flatMap((part) => part.wake)))
        }))
      )
    },
    counts: (node) => {
      const where = node === undefined ? "" : " WHERE destination = ?"
      return guard(
        "counts",
        Effect.map(
          query(`SELECT state, count(*) AS n FROM ${table}${where} GROUP BY state`, node === undefined ? [] : [node]),
          (rows) => {
            const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
            for (const row of rows) counts[statusOf(Number(row["state"]))] += Number(row["n"])
            return counts
          }
        )
      )
    },
    prune: (retention, limit) =>
      guard(
        "prune",
        Effect.map(
          query(
            `DELETE FROM ${table} WHERE seq IN (SELECT seq FROM ${table}
            WHERE state = 5 AND processed_at <= ${now} - ? AND (dedup_until IS NULL OR dedup_until <= ${now})
            ORDER BY processed_at LIMIT ?) RETURNING 1 AS one`,
            [retention, limit]
          ),
          (rows) => rows.length
        )
      )
  }
})

const makeBatch = (dialect: Dialect): Batch => ({
  push: (messages) =>
    Effect.mapBoth(dialect.push(messages), {
      onFailure: unavailable("push"),
      onSuccess: (rows) => rows.map((row) => ({ message: toMessage(row), wake: Number(row["state"]) % 2 === 0 }))
    }),
  claim: (node, max, lease) =>
    Effect.mapBoth(dialect.claim(node, max, lease), {
      onFailure: unavailable("pull"),
      onSuccess: (rows) => (rows.length > 1 ? Array.from(rows).sort(byTurn) : rows).map(toDelivery)
    }),
  finish: (ops) => Effect.mapError(dialect.finish(ops), unavailable("ack"))
})

const unavailable = (operation: string) => (cause: SqlError | Migrator.MigrationError): MessageQueueError =>
  new MessageQueueError({
    reason: new QueueUnavailable({
      operation,
      uncertain: isSqlError(cause) && cause.reason._tag === "ConnectionError",
      cause
    })
  })

/** The order in which messages are pulled. */
const byTurn = (a: Row, b: Row): number =>
  Number(b["priority"]) - Number(a["priority"]) || Number(a["seq"]) - Number(b["seq"])

const chunks = <A>(values: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(values.length / size) }, (_, index) => values.slice(index * size, (index + 1) * size))

const time = (value: unknown): DateTime.Utc => DateTime.makeUnsafe(Number(value))

/** The columns that a message may lack. */
const optional = [
  ["topic", "topic"],
  ["ordering_key", "orderingKey"],
  ["dedup_key", "deduplicationKey"],
  ["error", "error"]
] as const
const optionalTimes = [
  ["updated_at", "updatedAt"],
  ["scheduled_at", "scheduledAt"],
  ["processing_at", "processingAt"],
  ["processed_at", "processedAt"],
  ["error_at", "errorAt"]
] as const

const toMessage = (row: Row): Message.Message => {
  const message: Record<string, unknown> = {
    id: row["id"],
    source: row["source"],
    destination: row["destination"],
    status: statusOf(Number(row["state"])),
    tries: Number(row["tries"]),
    maxTries: Number(row["max_tries"]),
    priority: Number(row["priority"]),
    payload: decodePayload(Number(row["payload_kind"]), row["payload"]),
    payloadType: row["payload_type"],
    createdAt: time(row["created_at"])
  }
  for (const [column, key] of optional) if (row[column] !== null) message[key] = row[column]
  for (const [column, key] of optionalTimes) if (row[column] !== null) message[key] = time(row[column])
  return message as unknown as Message.Message
}

const toDelivery = (row: Row): Message.Delivery => ({
  ...toMessage(row),
  lease: {
    token: row["lease_token"],
    ...(row["due_at"] === null ? {} : { expiresAt: time(row["due_at"]) })
  }
})
