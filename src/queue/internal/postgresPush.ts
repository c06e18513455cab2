/**
 * @internal Pushes on PostgreSQL: one statement for many, also when they belong to several.
 */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { toBytes } from "./payload.ts"
import { array, optional, type Parameter, type Run, scalar } from "./postgresParameters.ts"
import { headersText, joinAny, ofAny, payloadType, toStored } from "./sqlRows.ts"
import { type Busy, busy, type NewMessage, type Pushed, State } from "./store.ts"
import { pushedMessage, toMessage } from "./stored.ts"

type Done = Effect.Effect<ReadonlyArray<ReadonlyArray<Pushed> | Busy>, SqlError>

interface Pushes {
  /** All of them or none; with `wait`, for the transactions of others with the same keys. */
  readonly push: (pushes: ReadonlyArray<ReadonlyArray<NewMessage>>, wait: boolean) => Done
  /** Waits for nobody: asks one by one who is in the way. */
  readonly pushTogether: (pushes: ReadonlyArray<ReadonlyArray<NewMessage>>) => Done
}

export const makePushes = (run: Run, p: string, mark: string): Pushes => {
  const message = `${p}_message`
  const work = `${p}_work`

  // A push without keys waits for nobody: it is two inserts. The rows of one function are inserted in the order of its
  // arrays, as they are scanned.
  const insert = (rows: string) =>
    `WITH v AS MATERIALIZED (SELECT ${p}_now() AS now), m AS (
      INSERT INTO ${message} (created_at, scheduled_at, priority, max_tries, payload_kind, source, destination, topic,
        payload_type, headers, payload)
      SELECT (SELECT now FROM v), COALESCE(u.at, (SELECT now FROM v) + u.delay), u.priority, u.max_tries, u.payload_kind,
        u.source, u.destination, u.topic, u.payload_type, u.headers, u.payload
      FROM ${rows} AS u (${plain.map(([name]) => name).join(", ")})
      RETURNING seq, created_at, scheduled_at, priority, destination),
    w AS (
      INSERT INTO ${work} (seq, due_at, rank, tries, state, destination)
      SELECT seq, CASE WHEN scheduled_at > created_at THEN scheduled_at END, -priority, 0,
        CASE WHEN scheduled_at > created_at THEN ${State.scheduled} ELSE ${State.ready} END, destination FROM m)
    SELECT seq, created_at, scheduled_at FROM m`
  const insertOne = insert(`(VALUES (${plain.map(([, type], index) => `$${index + 1}::${type}`).join(", ")}))`)
  const insertMany = insert(`unnest(${plain.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")})`)
  const insertKeyed = `SELECT seq, fresh, state, created_at, scheduled_at FROM ${p}_push(${
    keyed.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")
  }, $${keyed.length + 1}::boolean)`

  const pushPlain = (messages: ReadonlyArray<NewMessage>): Effect.Effect<ReadonlyArray<Pushed>, SqlError> =>
    Effect.map(
      messages.length === 1
        ? run(insertOne, plain.map(([, , of]) => scalar(of(messages[0]!))))
        : run(insertMany, plain.map(([, type, of]) => array(type, messages.map(of)))),
      (rows) =>
        messages.map((entry, index) => {
          const [seq, createdAt, scheduledAt] = rows[index]!
          return {
            message: pushedMessage(mark, entry, Number(seq), Number(createdAt), optional(scheduledAt)),
            wake: true
          }
        })
    )

  const pushKeyed = (
    messages: ReadonlyArray<NewMessage>,
    wait: boolean
  ): Effect.Effect<ReadonlyArray<Pushed>, SqlError> =>
    Effect.flatMap(
      run(insertKeyed, [...keyed.map(([, type, of]) => array(type, messages.map(of))), String(wait)]),
      (rows) =>
        Effect.forEach(messages, (entry, index) => {
          const [seq, fresh, state, createdAt, scheduledAt] = rows[index]!
          return fresh === true
            ? Effect.succeed({
              message: pushedMessage(mark, entry, Number(seq), Number(createdAt), optional(scheduledAt)),
              wake: Number(state) % 2 === 0
            })
            : Effect.map(
              run(`SELECT ${ofAny} FROM ${message} m ${joinAny(p)} WHERE m.seq = $1::bigint`, [String(seq)]),
              ([row]) => ({ message: toMessage(mark, toStored(row!)), wake: false })
            )
        })
    )

  /** Pushes that belong to several, in one statement. */
  const push = (
    pushes: ReadonlyArray<ReadonlyArray<NewMessage>>,
    wait: boolean
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<Pushed> | Busy>, SqlError> => {
    const messages = pushes.length === 1 ? pushes[0]! : pushes.flat()
    const pushed = messages.some(isKeyed) ? pushKeyed(messages, wait) : pushPlain(messages)
    return Effect.map(pushed, (all) => {
      if (pushes.length === 1) return [all]
      let at = 0
      return pushes.map((some) => all.slice(at, at += some.length))
    })
  }

  /** Asks one by one who is in the way. */
  const pushTogether = (
    pushes: ReadonlyArray<ReadonlyArray<NewMessage>>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<Pushed> | Busy>, SqlError> =>
    Effect.catchIf(push(pushes, false), isLocked, (): Effect.Effect<
      ReadonlyArray<ReadonlyArray<Pushed> | Busy>,
      SqlError
    > =>
      pushes.length === 1
        ? Effect.succeed([busy])
        : Effect.map(Effect.forEach(pushes, (one) => pushTogether([one])), (all) => all.flat()))

  return { push, pushTogether }
}

const isKeyed = (message: NewMessage): boolean => message.orderingKey !== null || message.deduplicationKey !== null

/** Somebody else's transaction is in the way. */
const isLocked = (error: SqlError): boolean =>
  error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError"

type Column = readonly [name: string, type: string, of: (message: NewMessage) => Parameter]

const plain: ReadonlyArray<Column> = [
  ["priority", "smallint", (message) => message.priority],
  ["max_tries", "smallint", (message) => message.maxTries],
  ["payload_kind", "smallint", (message) => message.payload.kind],
  ["source", "text", (message) => message.source],
  ["destination", "text", (message) => message.destination],
  ["topic", "text", (message) => message.topic],
  ["payload_type", "text", (message) => payloadType(message.payload.kind, message.payload.type)],
  ["headers", "text", (message) => headersText(message.headers)],
  ["at", "bigint", (message) => message.at],
  ["delay", "bigint", (message) => message.delay],
  ["payload", "bytea", (message) => toBytes(message.payload.data)]
]

/** The parameters of `push`, in their order. */
const keyed: ReadonlyArray<Column> = [
  ["destination", "text", (message) => message.destination],
  ["source", "text", (message) => message.source],
  ["priority", "integer", (message) => message.priority],
  ["max_tries", "integer", (message) => message.maxTries],
  ["topic", "text", (message) => message.topic],
  ["ordering_key", "text", (message) => message.orderingKey],
  ["dedup_key", "text", (message) => message.deduplicationKey],
  ["window", "bigint", (message) => message.deduplicationWindow],
  ["payload_type", "text", (message) => payloadType(message.payload.kind, message.payload.type)],
  ["payload_kind", "integer", (message) => message.payload.kind],
  ["headers", "text", (message) => headersText(message.headers)],
  ["at", "bigint", (message) => message.at],
  ["delay", "bigint", (message) => message.delay],
  ["payload", "bytea", (message) => toBytes(message.payload.data)],
  ["stop", "integer", (message) => message.stopKey ? 1 : null]
]
