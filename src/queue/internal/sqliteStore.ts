/**
 * @internal Messages in SQLite: what waits at the same moment is one transaction. The clock is the one of the machine, which
 * all processes on one file share.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { MessageQueueError } from "../MessageQueueError.ts"
import { countAll, listed, makePruner } from "./sqlitePages.ts"
import { makeSession, type Parameter } from "./sqliteSession.ts"
import { makeText } from "./sqliteText.ts"
import { makeWork, type SqliteWork, sweepLimit } from "./sqliteWork.ts"
import { payloadType, toStored } from "./sqlRows.ts"
import { noSource } from "./sqlSchema.ts"
import { State, type Store, type Work } from "./store.ts"
import { toMessage } from "./stored.ts"

export const makeSqliteStore = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  p: string
): Effect.fn.Return<Store, SqlError> {
  const [meta] = yield* sql.unsafe(`SELECT mark FROM ${p}_meta`).values
  const mark = String(meta![0])
  const text = makeText(p)
  const session = yield* makeSession(sql, makeWork(mark, text))
  const { either, now, read, transact, within } = session
  const perform = (work: Work) => (db: SqliteWork, now: number) => db.perform(work, now)
  const pruneProcessed = makePruner(session, text)

  /** Restricts to what this node sent, where it does. */
  const own = (column: string, node: string | undefined): readonly [string, ReadonlyArray<Parameter>] =>
    node === undefined ? ["", []] : [` AND ${column} = ?`, [node]]

  return {
    grouped: true,
    perform: (work) =>
      Effect.catchIf(
        transact(operationOf(work), perform(work)),
        (error) => work.finishes.length > 0 && isFull(error),
        () => transact(operationOf(work), (db, now) => db.perform(work, now, true))
      ),
    performNow: (work) => {
      const exit = now(operationOf(work), perform(work))
      const isRefused = exit !== undefined && Exit.isFailure(exit) && work.finishes.length > 0 &&
        exit.cause.reasons.some((reason) => reason._tag === "Fail" && isFull(reason.error))
      return isRefused ? undefined : exit
    },
    performWithin: (work) => within(operationOf(work), perform(work)),
    transactionKey: sql.transactionService.key,
    afterCommit: sql.afterCommit,
    poll: (nodes) =>
      Effect.flatMap(
        read("pull", (db, now) => {
          const due = db.nextDue()
          return due === null || due > now ? due === null ? undefined : due - now : -1
        }),
        (due) => {
          const ready = (db: SqliteWork) =>
            db.all(text.hasReady, [JSON.stringify(nodes)]).map(([node]) => node as string)
          return due === undefined || due > 0
            ? read("pull", (db) => ({ nodes: ready(db), due }))
            : transact("pull", (db, now) => {
              db.sweep(sweepLimit, now)
              const next = db.nextDue()
              return { nodes: ready(db), due: next === null ? undefined : next - now }
            })
        }
      ),
    get: (id, node) =>
      read("get", (db) => {
        const seq = db.seqOfId(id)
        const stored = seq === undefined ? undefined : db.read(seq)
        return stored === undefined || (node !== undefined && stored.source !== node && stored.destination !== node)
          ? undefined
          : toMessage(mark, stored)
      }),
    list: ({ after, limit, node, states }) =>
      read("list", (db) => {
        const rows = node === undefined
          ? db.all(text.page(states), [after, limit])
          : listed(db, text, node, after, limit, states).flatMap((seq) => db.all(text.one, [seq]))
        return {
          messages: rows.map((row) => toMessage(mark, toStored(row))),
          ...(rows.length < limit ? {} : { next: Number(rows[rows.length - 1]![0]) })
        }
      }),
    update: (id, payload, source) =>
      either("update", (db, now) => {
        const seq = db.seqOfId(id)
        const stored = seq === undefined ? undefined : db.read(seq)
        if (stored === undefined || stored.state >= State.processing) return undefined
        if (source !== undefined && stored.source !== source) return undefined
        const type = payloadType(payload.kind, stored.payloadType)
        db.all(text.update, [payload.data, payload.kind, type, now, stored.seq])
        return toMessage(mark, db.read(stored.seq)!)
      }),
    remove: (id, source, all) =>
      either("remove", (db) => {
        const seq = db.seqOfId(id)
        const [mine, parameters] = own("m.source", source)
        return db.remove(
          seq === undefined ? [] : db.all(`${text.removable}${all ? "" : text.waits}${mine}`, [seq, ...parameters])
        )
      }),
    reschedule: (id, at, node) =>
      either("reschedule", (db, now) => {
        const seq = db.seqOfId(id)
        const stored = seq === undefined ? undefined : db.read(seq)
        if (stored === undefined || !db.reschedule(stored, at, node, now)) return undefined
        return { message: toMessage(mark, db.read(stored.seq)!), left: Math.max(0, at - now) }
      }),
    last: read("remove", (db) => Number(db.one(text.next, [])![0])),
    removeSlice: ({ after, all, limit, source, upTo }) =>
      either("remove", (db) => {
        const [mine, parameters] = own("source", source)
        const named = source === undefined || source === noSource ? "" : ` AND source <> '${noSource}'`
        const seqs = db.all(text.range(mine + named), [after, upTo, ...parameters, limit])
        const rows = seqs.flatMap(([seq]) => db.all(`${text.removable}${all ? "" : text.waits}`, [seq]))
        return { ...db.remove(rows), next: seqs.length < limit ? undefined : Number(seqs[seqs.length - 1]![0]) }
      }),
    redrive: (ids, node) =>
      either("redrive", (db) => {
        const [mine, parameters] = own("m.destination", node)
        const seqs = new Set(ids.map(db.seqOfId))
        return db.redrive(
          Array.from(seqs).flatMap((seq) => {
            const destination = seq === undefined
              ? undefined
              : db.one(text.destination, [seq])?.[0] as string | undefined
            return destination === undefined
              ? []
              : db.all(`${text.redrivableOne}${mine}`, [destination, seq!, ...parameters])
          })
        )
      }),
    redriveSlice: ({ before, limit, node }) =>
      either("redrive", (db, now) => {
        const time = before ?? now
        const rows = node === undefined
          ? db.all(text.redrivable, [time, limit])
          : db.all(text.redrivableOf, [node, time, limit])
        return { ...db.redrive(rows), next: rows.length < limit ? undefined : time }
      }),
    counts: (node) => countAll(session, p, node),
    prune: (state, retention, limit) => {
      const keys = (db: SqliteWork, now: number) => db.all(text.overKeys, [now, limit])
      const dead = (db: SqliteWork, now: number) => db.all(text.pruneDead, [now - retention, now, limit])
      const isDead = state === State.dead
      return Effect.flatMap(
        read("prune", (db, now) => keys(db, now).length > 0 || (isDead && dead(db, now).length > 0)),
        (some) =>
          Effect.andThen(
            some
              ? transact("prune", (db, now) => {
                const rows = isDead ? dead(db, now) : []
                for (const key of keys(db, now)) db.all(text.dropDedup, key)
                return db.remove(rows).count
              })
              : Effect.succeed(0),
            (count) => isDead ? Effect.succeed(count) : pruneProcessed(retention, limit)
          )
      )
    }
  }
})

/** No room on the disk, or in the file by its largest size. */
const isFull = ({ reason }: MessageQueueError): boolean =>
  reason._tag === "QueueUnavailable" && String((reason.cause as Error).message).includes("database or disk is full")

const operationOf = (work: Work): string => work.pushes.length > 0 ? "push" : work.finishes.length > 0 ? "ack" : "pull"
