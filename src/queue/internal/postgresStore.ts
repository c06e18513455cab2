/**
 * @internal Messages in PostgreSQL: what is done often takes one round trip, for many at once. The functions are in
 * `postgresFunctions`; the clock of the database decides.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { MessageQueueError } from "../MessageQueueError.ts"
import { toBytes } from "./payload.ts"
import { makeHolding } from "./postgresHolding.ts"
import { array, optional, type Run } from "./postgresParameters.ts"
import { makePushes } from "./postgresPush.ts"
import { unavailable } from "./sqliteSession.ts"
import { joinAny, ofAny, payloadType, toStored, type Values } from "./sqlRows.ts"
import { noSource } from "./sqlSchema.ts"
import { type Busy, busy, type Finished, State, statusOf, type Store, type Stored, type Work } from "./store.ts"
import { seqOf, toMessage } from "./stored.ts"

type Result<A> = Effect.Effect<A, MessageQueueError>

/** Waits in real time: other transactions do not go by the clock of a test. */
const realTime = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

export const makePostgresStore = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  p: string
): Effect.fn.Return<Store, SqlError> {
  const run: Run = (text, parameters) => sql.unsafe(text, parameters).values
  const [meta] = yield* run(`SELECT mark FROM ${p}_meta`, [])
  const mark = String(meta![0])
  const message = `${p}_message`
  const done = `${p}_done`
  const work = `${p}_work`
  const guard = <A>(operation: string, effect: Effect.Effect<A, SqlError>): Result<A> =>
    Effect.mapError(effect, unavailable(operation))

  const { push, pushTogether } = makePushes(run, p, mark)
  const { claim, finish, finishAndClaim, former } = makeHolding(run, p, mark)

  const perform = (work: Work) =>
    Effect.gen(function*() {
      const pushed = work.pushes.length === 0 ? [] : yield* pushTogether(work.pushes)
      if (work.finishes.length > 0 && work.claims.length > 0) {
        const [finished, claimed] = yield* finishAndClaim(work.finishes, work.claims)
        return { pushed, finished, claimed }
      }
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

  /** Where the look for what is processed and past its time goes on; what came before it was not. */
  let place: readonly [node: string, seq: number | null] = ["", null]
  const pruneProcessed = (retention: number, limit: number, pruned = 0): Effect.Effect<number, SqlError> =>
    Effect.flatMap(
      run(
        `SELECT removed, node, seq FROM ${p}_prune_processed($1::text, $2::bigint, $3::bigint, $4::integer)`,
        [place[0], place[1] === null ? null : String(place[1]), String(retention), String(limit - pruned)]
      ),
      ([row]) => {
        if (row === undefined) {
          place = ["", null]
          return Effect.succeed(pruned)
        }
        place = [row[1], optional(row[2])]
        const count = pruned + Number(row[0])
        return count >= limit ? Effect.succeed(count) : pruneProcessed(retention, limit, count)
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
    remove: (id, source, all) =>
      guard(
        "remove",
        Effect.flatMap(seqOfId(id), (seq) => remove(seq === undefined ? [] : [seq], source, all))
      ),
    reschedule: (id, at, node) =>
      guard(
        "reschedule",
        sql.withTransaction(Effect.gen(function*() {
          const seq = yield* seqOfId(id)
          if (seq === undefined) return undefined
          const [row] = yield* run(`SELECT millis FROM ${p}_reschedule($1::bigint, $2::bigint, $3::text)`, [
            String(seq),
            String(at),
            node ?? null
          ])
          if (row === undefined) return undefined
          const stored = yield* read(seq)
          return stored === undefined ? undefined : { message: toMessage(mark, stored), left: Number(row[0]) }
        }))
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
        Effect.andThen(
          Effect.suspend(() => tidy),
          Effect.flatMap(
            run(`SELECT ${p}_prune($1::integer, $2::bigint, $3::integer)`, [state, retention, limit].map(String)),
            ([row]) => state === State.dead ? Effect.succeed(Number(row![0])) : pruneProcessed(retention, limit)
          )
        )
      )
  }
})
