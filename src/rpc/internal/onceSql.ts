import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Answer, AnswerStore, Known } from "./onceModel.ts"

interface Row {
  readonly fingerprint: string
  readonly state: number
  readonly answer: string | null
}

/** What a row says. */
const state = { success: 0, failure: 1, successTooLong: 2, failureTooLong: 3, running: 4 }

const stateOf = ({ isSuccess, text }: Answer): number =>
  isSuccess
    ? text === undefined ? state.successTooLong : state.success
    : text === undefined
    ? state.failureTooLong
    : state.failure

/** The row that says up to when rows were forgotten. */
const mark = ""

/**
 * Answers in a table of SQLite or PostgreSQL: each is written in the transaction in which the call is executed. Another
 * process that is asked the same waits for that one's end, since the row is locked.
 *
 * @internal
 */
export const makeSql = Effect.fnUntraced(function*(options: {
  readonly table: string
  /** Milliseconds. */
  readonly retention: number
  readonly maxAnswers: number
}): Effect.fn.Return<AnswerStore<SqlError>, SqlError, SqlClient.SqlClient | Scope.Scope> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const table = sql(options.table)
  yield* sql`CREATE TABLE IF NOT EXISTS ${table} (
    id text PRIMARY KEY,
    fingerprint text NOT NULL,
    state integer NOT NULL,
    answer text,
    time bigint NOT NULL
  )`
  yield* sql`CREATE INDEX IF NOT EXISTS ${sql(`${options.table}_time`)} ON ${table} (time)`
  // what began before the table is not known
  const begun = yield* Clock.currentTimeMillis
  yield* sql`INSERT INTO ${table} (id, fingerprint, state, time) VALUES (${mark}, '', ${state.running}, ${begun})
    ON CONFLICT (id) DO NOTHING`

  const forget = (time: number) =>
    sql.withTransaction(Effect.andThen(
      sql`UPDATE ${table} SET time = ${time} WHERE id = ${mark} AND time < ${time}`,
      sql`DELETE FROM ${table} WHERE id <> ${mark} AND time <= ${time}`
    ))
  const sweep = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    yield* forget(now - options.retention)
    const [over] = yield* sql<{ time: number | string }>`SELECT time FROM ${table} WHERE id <> ${mark}
      ORDER BY time DESC LIMIT 1 OFFSET ${sql.literal(String(options.maxAnswers))}`
    if (over !== undefined) yield* forget(Number(over.time))
  })
  yield* sweep.pipe(
    Effect.catch((error) => Effect.logWarning("Idempotency: old answers could not be forgotten", error)),
    Effect.delay(Math.min(60_000, options.retention)),
    Effect.forever,
    Effect.forkScoped
  )

  const find = (record: { readonly id: string; readonly fingerprint: string }) =>
    Effect.map(
      sql<Row>`SELECT fingerprint, state, answer FROM ${table} WHERE id = ${record.id}`,
      ([row]): Known => {
        if (row === undefined) return "Forgotten"
        if (row.fingerprint !== record.fingerprint) return "OtherPayload"
        const isSuccess = row.state === state.success || row.state === state.successTooLong
        return { isSuccess, text: row.answer ?? undefined }
      }
    )

  return {
    // a transaction in a transaction: undone alone
    within: (execute) => sql.withTransaction(execute),
    answer: (record, execute) =>
      sql.withTransaction(Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const inserted = yield* sql`INSERT INTO ${table} (id, fingerprint, state, time)
          VALUES (${record.id}, ${record.fingerprint}, ${state.running}, ${now})
          ON CONFLICT (id) DO NOTHING RETURNING id`
        if (inserted.length === 0) return yield* find(record)
        if (record.age !== undefined) {
          const [row] = yield* sql<{ time: number | string }>`SELECT time FROM ${table} WHERE id = ${mark}`
          if (row === undefined || now - record.age <= Number(row.time)) {
            yield* sql`DELETE FROM ${table} WHERE id = ${record.id}`
            return "Forgotten" as const
          }
        }
        const answer = yield* execute
        yield* sql`UPDATE ${table} SET state = ${stateOf(answer)}, answer = ${answer.text ?? null}
          WHERE id = ${record.id}`
        return answer
      }))
  }
})
