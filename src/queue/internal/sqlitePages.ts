/**
 * @internal What is read of SQLite page by page, so that nothing holds the event loop: lists, counts, and what is past its
 * retention.
 */
import * as Effect from "effect/Effect"
import type { Status } from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { Parameter, Session } from "./sqliteSession.ts"
import type { Text } from "./sqliteText.ts"
import type { SqliteWork } from "./sqliteWork.ts"
import type { Values } from "./sqlRows.ts"
import { noSource } from "./sqlSchema.ts"
import { State, statusOf } from "./store.ts"

const every: ReadonlyArray<number> = [0, 1, 2, 3, 4, 5, 6]

/** The numbers of a page of messages from and to a node: a few ranges, each in order, merged. */
export const listed = (
  db: SqliteWork,
  text: Text,
  node: string,
  after: number,
  limit: number,
  states: ReadonlyArray<number> = every
): ReadonlyArray<number> => {
  const seqs = new Set<number>()
  const add = (rows: ReadonlyArray<Values>) => rows.forEach(([seq]) => seqs.add(Number(seq)))
  for (const state of states) {
    if (state > State.processing) add(db.all(text.finishedOf, [node, state, after, limit]))
    else if (state === State.processing) add(db.all(text.heldBy, [node, after, limit]))
    else {
      for (const [rank] of db.all(text.ranks, [node, state])) {
        add(db.all(text.waitingOf, [node, state, rank, after, limit]))
      }
    }
  }
  const more = node === noSource ? "" : ` AND m.source <> '${noSource}'`
  add(db.all(text.sentBy(states, more), [node, after, limit]))
  return Array.from(seqs).sort((a, b) => a - b).slice(0, limit)
}

/** Counts by status, so many rows at a time. */
export const countAll = (
  session: Session<SqliteWork>,
  p: string,
  node: string | undefined
): Effect.Effect<{ [S in Status]: number }, MessageQueueError> => {
  const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
  const chunk = 20_000
  const count = (table: string, state: string, keys: ReadonlyArray<string>) => {
    const columns = keys.join(", ")
    const from = (key: Values | undefined): readonly [string, ReadonlyArray<Parameter>] => {
      const mine = node === undefined ? [] : [node]
      const where = node === undefined ? [] : ["destination = ?"]
      if (key === undefined) return [where.length === 0 ? "" : `WHERE ${where[0]}`, mine]
      return [`WHERE ${[...where, `(${columns}) > (${keys.map(() => "?").join(", ")})`].join(" AND ")}`, [
        ...mine,
        ...key
      ]]
    }
    const next = (key: Values | undefined): Effect.Effect<void, MessageQueueError> =>
      Effect.flatMap(
        session.read("counts", (db) => {
          const [where, parameters] = from(key)
          const page = `SELECT ${state} AS state, ${columns} FROM ${table} ${where} ORDER BY ${columns}`
          for (
            const [state, n] of db.all(
              `SELECT state, count(*) FROM (${page} LIMIT ${chunk}) GROUP BY state`,
              parameters
            )
          ) counts[statusOf(state)] += Number(n)
          return db.one(
            `SELECT ${columns} FROM ${table} ${where} ORDER BY ${columns} LIMIT 1 OFFSET ${chunk - 1}`,
            parameters
          )
        }),
        (last) => last === undefined ? Effect.void : Effect.andThen(Effect.yieldNow, next(last))
      )
    return next(undefined)
  }
  return count(`${p}_work`, "state", ["destination", "state", "rank", "seq"]).pipe(
    Effect.andThen(count(`${p}_held`, String(State.processing), ["seq"])),
    Effect.andThen(count(`${p}_done`, "state", ["destination", "state", "seq"])),
    Effect.as(counts)
  )
}

/** Where a look for what is past its time goes on: what came before it was not. */
interface Place {
  readonly node: string
  readonly seq: number
}

const start: Place = { node: "", seq: 0 }

/** How many rows one look reads. */
const look = 2000

/**
 * Finds what is processed and past its time, at most `limit`, without an index for it: a node's messages are read in the
 * order of their pushes, and those after the first that was pushed later than that cannot be. Goes on where it was, the next
 * time, and from the start after the end.
 */
export const makePruner = (session: Session<SqliteWork>, text: Text) => {
  let place = start
  const find = (
    retention: number,
    limit: number,
    found: Array<readonly [string, number]>
  ): Effect.Effect<ReadonlyArray<readonly [string, number]>, MessageQueueError> =>
    Effect.flatMap(
      session.read("prune", (db, now) => {
        if (place.seq === 0) {
          const node = db.one(text.nextNode, [place.node])![0] as string | null
          if (node === null) {
            place = start
            return true
          }
          place = { node, seq: 0 }
        }
        const { node } = place
        const rows = db.all(text.processed, [node, place.seq, look])
        for (const [seq, finishedAt, createdAt] of rows) {
          if (createdAt > now - retention) {
            place = { node, seq: 0 }
            return false
          }
          place = { node, seq }
          if (finishedAt <= now - retention && found.push([node, seq]) === limit) return true
        }
        if (rows.length < look) place = { node, seq: 0 }
        return false
      }),
      (end) => end ? Effect.succeed(found) : Effect.andThen(Effect.yieldNow, find(retention, limit, found))
    )
  return (retention: number, limit: number): Effect.Effect<number, MessageQueueError> =>
    Effect.flatMap(find(retention, limit, []), (found) =>
      found.length === 0
        ? Effect.succeed(0)
        : session.transact("prune", (db, now) =>
          db.remove(
            found.flatMap(([node, seq]) => db.all(text.pruneProcessed, [node, seq, now - retention, now]))
          ).count))
}
