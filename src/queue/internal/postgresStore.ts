/**
 * @internal Messages in PostgreSQL: what is done often takes one round trip, for many at once. The functions are in
 * `postgresFunctions`; the clock of the database decides.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import { toBytes } from "./payload.ts"
import { unavailable } from "./sqliteSession.ts"
import { headersText, joinAny, ofAny, payloadType, toStored, type Values } from "./sqlRows.ts"
import { noSource } from "./sqlSchema.ts"
import {
  type Busy,
  busy,
  type Claim,
  type Finish,
  type Finished,
  type NewMessage,
  Op,
  type Pushed,
  State,
  statusOf,
  type Store,
  type Stored,
  type Work
} from "./store.ts"
import { pushedMessage, seqOf, toDelivery, toMessage, unreadable } from "./stored.ts"
import { byTurn } from "./transition.ts"

type Rows = Effect.Effect<ReadonlyArray<Values>, SqlError>
type Parameter = string | number | Uint8Array | null
type Result<A> = Effect.Effect<A, MessageQueueError>

/** Waits in real time: other transactions do not go by the clock of a test. */
const realTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

export const makePostgresStore = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  p: string
): Effect.fn.Return<Store, SqlError> {
  const run = (text: string, parameters: ReadonlyArray<unknown>): Rows => sql.unsafe(text, parameters).values
  const [meta] = yield* run(`SELECT mark FROM ${p}_meta`, [])
  const mark = String(meta![0])
  const message = `${p}_message`
  const done = `${p}_done`
  const work = `${p}_work`
  const guard = <A>(operation: string, effect: Effect.Effect<A, SqlError>): Result<A> =>
    Effect.mapError(effect, unavailable(operation))

  // A push without keys waits for nobody: it is two inserts.
  const insert = (rows: string, order: string) =>
    `WITH m AS (
      INSERT INTO ${message} (created_at, scheduled_at, priority, max_tries, payload_kind, source, destination, topic,
        payload_type, headers, payload)
      SELECT v.now, COALESCE(u.at, v.now + u.delay), u.priority, u.max_tries, u.payload_kind, u.source, u.destination,
        u.topic, u.payload_type, u.headers, u.payload
      FROM (SELECT ${p}_now() AS now OFFSET 0) v, ${rows} ${order}
      RETURNING seq, created_at, scheduled_at, priority, destination),
    w AS (
      INSERT INTO ${work} (seq, due_at, rank, tries, state, destination)
      SELECT seq, CASE WHEN scheduled_at > created_at THEN scheduled_at END, -priority, 0,
        CASE WHEN scheduled_at > created_at THEN ${State.scheduled} ELSE ${State.ready} END, destination FROM m)
    SELECT seq, created_at, scheduled_at FROM m`
  const columns = plain.map(([name]) => name).join(", ")
  const insertOne = insert(
    `(VALUES (${plain.map(([, type], index) => `$${index + 1}::${type}`).join(", ")})) AS u (${columns})`,
    ""
  )
  const insertMany = insert(
    `unnest(${
      plain.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")
    }) WITH ORDINALITY AS u (${columns}, ord)`,
    "ORDER BY u.ord"
  )
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

  const claimText = `SELECT * FROM ${p}_claim($1::text[], $2::integer[], $3::bigint[], $4::boolean)`

  const claim = (claims: ReadonlyArray<Claim>, alone: boolean) =>
    Effect.flatMap(
      run(claimText, [
        array("text", claims.map((claim) => claim.node)),
        array("integer", claims.map((claim) => claim.max)),
        array("bigint", claims.map((claim) => claim.lease)),
        String(alone)
      ]),
      (rows) => {
        const claimed: Array<Array<Message.Delivery>> = claims.map(() => [])
        const unread: Array<Finish> = []
        const taken = claims.map((): Array<Stored> => [])
        for (const row of rows) {
          const index = Number(row[0]) - 1
          taken[index]!.push(claimedRow(row, claims[index]!.node))
        }
        taken.forEach((some, index) => {
          if (some.length > 1) some.sort(byTurn)
          for (const stored of some) {
            const delivery = toDelivery(mark, stored)
            if (delivery !== undefined) claimed[index]!.push(delivery)
            else unread.push(rejection(toMessage(mark, stored), stored.token))
          }
        })
        return unread.length === 0 ? Effect.succeed(claimed) : Effect.as(finish(unread, false), claimed)
      }
    )

  const finishText =
    `SELECT ord, said FROM ${p}_finish($1::integer[], $2::bigint[], $3::text[], $4::uuid[], $5::bigint[],
    $6::text[], $7::boolean)`

  const former = (ids: ReadonlyArray<string>) =>
    run(`SELECT former_id, seq FROM ${message} WHERE former_id = ANY ($1::text[])`, [array("text", ids)])

  const finish = (
    words: ReadonlyArray<Finish>,
    wait: boolean
  ): Effect.Effect<ReadonlyArray<Finished | Busy>, SqlError> => {
    const seqs = words.map((word) => seqOf(mark, word.id))
    const unknown = words.filter((_, index) => seqs[index] === undefined)
    if (unknown.length > 0) {
      return Effect.flatMap(former(unknown.map((word) => word.id)), (rows) => {
        const known = new Map(rows.map(([id, seq]) => [id as string, Number(seq)]))
        return say(words, seqs.map((seq, index) => seq ?? known.get(words[index]!.id)), wait)
      })
    }
    return say(words, seqs, wait)
  }

  const say = (
    words: ReadonlyArray<Finish>,
    seqs: ReadonlyArray<number | undefined>,
    wait: boolean
  ): Effect.Effect<ReadonlyArray<Finished | Busy>, SqlError> => {
    const results: Array<Finished | Busy> = words.map(() => lost)
    // One statement changes a row once: a second word about the same message goes into the next.
    const rounds: Array<Array<number>> = []
    const seen = new Map<number, number>()
    seqs.forEach((seq, index) => {
      const { token } = words[index]!
      if (seq === undefined || (token !== null && !uuid.test(token))) return
      const round = seen.get(seq) ?? 0
      seen.set(seq, round + 1)
      ;(rounds[round] ??= []).push(index)
    })
    return Effect.as(
      Effect.forEach(rounds, (round) => {
        const of = <A>(f: (word: Finish) => A) => round.map((index) => f(words[index]!))
        return Effect.map(
          run(finishText, [
            array("integer", of((word) => word.op)),
            array("bigint", round.map((index) => seqs[index]!)),
            array("text", of((word) => word.destination)),
            array("uuid", of((word) => word.token)),
            array("bigint", of((word) => word.millis)),
            array("text", of((word) => word.cause)),
            String(wait)
          ]),
          (rows) => {
            for (const [ord, said] of rows) {
              results[round[Number(ord) - 1]!] = Number(said) === 3 ? busy : { held: true, wake: Number(said) === 2 }
            }
          }
        )
      }, { discard: true }),
      results
    )
  }

  const perform = (work: Work) =>
    Effect.gen(function*() {
      const pushed = work.pushes.length === 0 ? [] : yield* pushTogether(work.pushes)
      const finished = work.finishes.length === 0 ? [] : yield* finish(work.finishes, false)
      const claimed = work.claims.length === 0 ? [] : yield* claim(work.claims, true)
      return { pushed, finished, claimed }
    })

  /** In the caller's transaction, where waiting is its own affair; a failure leaves that transaction usable. */
  const performWithin = (work: Work) => {
    const patiently: Effect.Effect<ReadonlyArray<Finished | Busy>, SqlError> = Effect.flatMap(
      finish(work.finishes, true),
      (finished) =>
        finished.includes(busy)
          ? Effect.andThen(realTime(Effect.sleep(20)), patiently)
          : Effect.succeed(finished)
    )
    return sql.withTransaction(Effect.gen(function*() {
      const pushed = work.pushes.length === 0 ? [] : yield* push(work.pushes, true)
      const finished = work.finishes.length === 0 ? [] : yield* patiently
      const claimed = work.claims.length === 0 ? [] : yield* claim(work.claims, false)
      return { pushed, finished, claimed }
    }))
  }

  const operationOf = (work: Work): string =>
    work.pushes.length > 0 ? "push" : work.finishes.length > 0 ? "ack" : "pull"

  const seqOfId = (id: string): Effect.Effect<number | undefined, SqlError> => {
    const seq = seqOf(mark, id)
    return seq !== undefined
      ? Effect.succeed(seq)
      : Effect.map(former([id]), ([row]) => row === undefined ? undefined : Number(row[1]))
  }
  const read = (seq: number): Effect.Effect<Stored | undefined, SqlError> =>
    Effect.map(
      run(`SELECT ${ofAny} FROM ${message} m ${joinAny(p)} WHERE m.seq = $1::bigint`, [String(seq)]),
      ([row]) => row === undefined ? undefined : toStored(row)
    )
  const changed = ([row]: ReadonlyArray<Values>) => ({
    count: Number(row?.[0] ?? 0),
    wake: Array.from(new Set(row?.[1] as ReadonlyArray<string> | undefined))
  })
  const remove = (seqs: ReadonlyArray<number>, source: string | undefined, all: boolean) =>
    Effect.map(
      run(`SELECT removed, nodes FROM ${p}_remove($1::bigint[], $2::text, $3::boolean)`, [
        array("bigint", seqs),
        source ?? null,
        String(all)
      ]),
      changed
    )
  const redrive = (seqs: ReadonlyArray<number>, node: string | undefined) =>
    Effect.map(
      run(`SELECT redriven, nodes FROM ${p}_redrive($1::bigint[], $2::text)`, [array("bigint", seqs), node ?? null]),
      changed
    )

  /** The messages to and from a node: a few ranges, each in order, merged. */
  const listed = (states: string, node: string) =>
    `WITH RECURSIVE g (state, rank) AS (
      SELECT s.state, (SELECT min(rank) FROM ${work} WHERE destination = $1::text AND state = s.state)
      FROM unnest(ARRAY[${states}]::smallint[]) s (state)
      UNION ALL
      SELECT g.state, (SELECT min(w.rank) FROM ${work} w
        WHERE w.destination = $1::text AND w.state = g.state AND w.rank > g.rank)
      FROM g WHERE g.rank IS NOT NULL)
    SELECT seq FROM (
      SELECT x.seq FROM g CROSS JOIN LATERAL (SELECT w.seq FROM ${work} w WHERE w.destination = $1::text
        AND w.state = g.state AND w.rank = g.rank AND w.seq > $2::bigint ORDER BY w.seq LIMIT $3::integer) x
      UNION
      SELECT x.seq FROM unnest(ARRAY[${states}]::smallint[]) s (state)
      CROSS JOIN LATERAL (SELECT d.seq FROM ${done} d WHERE d.destination = $1::text AND d.state = s.state
        AND d.seq > $2::bigint ORDER BY d.seq LIMIT $3::integer) x
      UNION
      SELECT x.seq FROM (SELECT m.seq FROM ${message} m ${joinAny(p)} WHERE m.source = $1::text${
      node === noSource ? "" : ` AND m.source <> '${noSource}'`
    } AND m.seq > $2::bigint AND COALESCE(w.state, d.state) IN (${states}) ORDER BY m.seq LIMIT $3::integer) x
    ) all_of_it ORDER BY seq LIMIT $3::integer`

  /** Rows of orders that are no more in use, a few at a time. */
  let tidied: readonly [string, string] = ["", ""]
  const tidy = Effect.map(
    run(`SELECT destination, ordering_key FROM ${p}_tidy($1::text, $2::text, 500)`, tidied),
    ([row]) => {
      tidied = row === undefined ? ["", ""] : [row[0], row[1]]
    }
  )

  return {
    grouped: false,
    perform: (work) => guard(operationOf(work), perform(work)),
    performWithin: (work) => guard(operationOf(work), performWithin(work)),
    transactionKey: sql.transactionService.key,
    afterCommit: sql.afterCommit,
    poll: (nodes) =>
      guard(
        "pull",
        Effect.map(run(`SELECT nodes, due FROM ${p}_poll($1::text[])`, [array("text", nodes)]), ([row]) => ({
          nodes: row![0] as ReadonlyArray<string>,
          due: optional(row![1]) ?? undefined
        }))
      ),
    get: (id, node) =>
      guard(
        "get",
        Effect.flatMap(seqOfId(id), (seq) =>
          seq === undefined ?
            Effect.succeed(undefined) :
            Effect.map(read(seq), (stored) =>
              stored === undefined || (node !== undefined && stored.source !== node && stored.destination !== node)
                ? undefined
                : toMessage(mark, stored)))
      ),
    list: ({ after, limit, node, states }) => {
      const some = (states ?? [0, 1, 2, 3, 4, 5, 6]).join(", ")
      const page = node === undefined
        ? run(
          `SELECT ${ofAny} FROM ${message} m ${joinAny(p)} WHERE m.seq > $1::bigint${
            states === undefined ? "" : ` AND COALESCE(w.state, d.state) IN (${some})`
          } ORDER BY m.seq LIMIT $2::integer`,
          [String(after), String(limit)]
        )
        : run(
          `SELECT ${ofAny} FROM (${listed(some, node)}) l JOIN ${message} m ON m.seq = l.seq ${
            joinAny(p)
          } ORDER BY m.seq`,
          [node, String(after), String(limit)]
        )
      return guard(
        "list",
        Effect.map(page, (rows) => ({
          messages: rows.map((row) => toMessage(mark, toStored(row))),
          ...(rows.length < limit ? {} : { next: Number(rows[rows.length - 1]![0]) })
        }))
      )
    },
    update: (id, payload, source) =>
      guard(
        "update",
        sql.withTransaction(Effect.gen(function*() {
          const seq = yield* seqOfId(id)
          if (seq === undefined) return undefined
          // Whoever claims it passes over it meanwhile.
          const [row] = yield* run(
            `SELECT m.payload_kind, m.payload_type FROM ${message} m JOIN ${work} w ON w.destination = m.destination
              AND w.state < ${State.processing} AND w.rank = -m.priority AND w.seq = m.seq
              WHERE m.seq = $1::bigint AND ($2::text IS NULL OR m.source = $2::text) FOR UPDATE OF w`,
            [String(seq), source ?? null]
          )
          if (row === undefined) return undefined
          const before = yield* read(seq)
          yield* run(
            `UPDATE ${message} SET payload = $1::bytea, payload_kind = $2::smallint, payload_type = $3::text,
              updated_at = ${p}_now() WHERE seq = $4::bigint`,
            [
              toBytes(payload.data),
              String(payload.kind),
              payloadType(payload.kind, before!.payloadType),
              String(seq)
            ]
          )
          const stored = yield* read(seq)
          return stored === undefined ? undefined : toMessage(mark, stored)
        }))
      ),
    remove: (id, source) =>
      guard(
        "remove",
        Effect.flatMap(seqOfId(id), (seq) => remove(seq === undefined ? [] : [seq], source, false))
      ),
    last: guard(
      "remove",
      Effect.map(run(`SELECT COALESCE(max(seq), 0) FROM ${message}`, []), ([row]) => Number(row![0]))
    ),
    removeSlice: ({ after, all, limit, source, upTo }) =>
      guard(
        "remove",
        Effect.flatMap(
          run(
            `SELECT seq FROM ${message} WHERE seq > $1::bigint AND seq <= $2::bigint${
              source === undefined
                ? ""
                : ` AND source = $4::text${source === noSource ? "" : ` AND source <> '${noSource}'`}`
            } ORDER BY seq LIMIT $3::integer`,
            [String(after), String(upTo), String(limit), ...(source === undefined ? [] : [source])]
          ),
          (rows) => {
            const seqs = rows.map(([seq]) => Number(seq))
            return Effect.map(remove(seqs, source, all), (done) => ({
              ...done,
              next: seqs.length < limit ? undefined : seqs[seqs.length - 1]
            }))
          }
        )
      ),
    redrive: (ids, node) =>
      guard(
        "redrive",
        Effect.flatMap(
          Effect.forEach(ids, seqOfId),
          (seqs) => redrive(seqs.filter((seq) => seq !== undefined), node)
        )
      ),
    redriveSlice: ({ before, limit, node }) =>
      guard(
        "redrive",
        Effect.flatMap(
          run(
            `SELECT d.seq, v.before FROM (SELECT COALESCE($1::bigint, ${p}_now()) AS before OFFSET 0) v
              LEFT JOIN LATERAL (SELECT seq FROM ${done} WHERE state = ${State.dead} AND finished_at <= v.before${
              node === undefined ? " ORDER BY finished_at" : " AND destination = $3::text ORDER BY seq"
            } LIMIT $2::integer) d ON true`,
            [before === undefined ? null : String(before), String(limit), ...(node === undefined ? [] : [node])]
          ),
          (rows) => {
            const seqs = rows.flatMap(([seq]) => seq === null ? [] : [Number(seq)])
            return Effect.map(redrive(seqs, node), (done) => ({
              ...done,
              next: seqs.length < limit ? undefined : Number(rows[0]![1])
            }))
          }
        )
      ),
    counts: (node) => {
      const where = node === undefined ? "" : " WHERE destination = $1::text"
      const of = (table: string) => `SELECT state, count(*) FROM ${table}${where} GROUP BY state`
      return guard(
        "counts",
        Effect.map(run(`${of(work)} UNION ALL ${of(done)}`, node === undefined ? [] : [node]), (rows) => {
          const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
          for (const [state, n] of rows) counts[statusOf(Number(state))] += Number(n)
          return counts
        })
      )
    },
    prune: (state, retention, limit) =>
      guard(
        "prune",
        Effect.map(
          Effect.andThen(
            Effect.suspend(() => tidy),
            run(`SELECT ${p}_prune($1::integer, $2::bigint, $3::integer)`, [state, retention, limit].map(String))
          ),
          ([row]) => Number(row![0])
        )
      )
  }
})

const lost: Finished = { held: false, wake: false }

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

const isKeyed = (message: NewMessage): boolean => message.orderingKey !== null || message.deduplicationKey !== null

/** Somebody else's transaction is in the way. */
const isLocked = (error: SqlError): boolean =>
  error.reason._tag === "LockTimeoutError" || error.reason._tag === "DeadlockError"

const optional = (value: unknown): number | null => value === null || value === undefined ? null : Number(value)

const rejection = ({ destination, id }: Message.Message, token: string | null): Finish => ({
  op: Op.reject,
  id,
  destination,
  token,
  millis: null,
  cause: unreadable
})

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
  ["payload", "bytea", (message) => toBytes(message.payload.data)]
]

/** A row of `claim`. */
const claimedRow = (row: Values, destination: string): Stored =>
  toStored([
    row[1],
    row[2],
    row[3],
    row[4],
    row[5],
    row[6],
    row[7],
    row[8],
    destination,
    row[9],
    row[10],
    row[11],
    row[12],
    row[13],
    row[14],
    row[15],
    State.processing,
    row[16],
    row[17],
    row[18],
    row[19],
    row[20],
    row[21],
    null
  ])

/** Numbers go as text, so that a small and a large one are the same statement. */
const scalar = (value: Parameter): string | Uint8Array | null => typeof value === "number" ? String(value) : value

/** An array parameter. Text and bytes are sent as they are; numbers, and arrays of nothing, as PostgreSQL's notation. */
const array = (type: string, values: ReadonlyArray<Parameter>): unknown =>
  (type === "text" || type === "bytea") && values.some((value) => value !== null)
    ? values
    : `{${values.map((value) => value === null ? "NULL" : String(value)).join(",")}}`
