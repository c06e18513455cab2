/**
 * @internal Messages in SQLite: small prepared statements, run one after the other in one transaction for all that waits.
 * The rules are those of `transition`; the clock is the one of the machine, which all processes on one file share.
 *
 * The client's connection must answer at once, as those of `node:sqlite`, `better-sqlite3` and Bun do.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import type * as Message from "../Message.ts"
import { MessageQueueError, QueueUnavailable } from "../MessageQueueError.ts"
import { headersText, joinAny, ofAny, ofUnfinished, payloadType, toStored, type Values } from "./sqlRows.ts"
import { noSource } from "./sqlSchema.ts"
import {
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
import { afterTime, byTurn, verdict } from "./transition.ts"

type Parameter = string | number | Uint8Array | null

/** A connection whose statements answer at once; rows are arrays. Throws `SqlError`. */
export interface Synchronous {
  readonly all: (text: string, parameters: ReadonlyArray<Parameter>) => ReadonlyArray<Values>
}

const isSynchronous = (connection: object): connection is Synchronous =>
  "all" in connection && typeof connection.all === "function"

const synchronous = (connection: Connection): Synchronous =>
  isSynchronous(connection) ? connection : {
    all: (text, parameters) => {
      const exit = Effect.runSyncExit(connection.executeValues(text, parameters))
      if (Exit.isSuccess(exit)) return exit.value
      throw exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error ?? exit.cause
    }
  }

export const unavailable = (operation: string) => (cause: unknown): MessageQueueError => {
  const reason = isSqlError(cause) ? cause.reason._tag : undefined
  return new MessageQueueError({
    reason: new QueueUnavailable({
      operation,
      uncertain: reason === "ConnectionError",
      ...(reason === "LockTimeoutError" ? { busy: true } : {}),
      cause
    })
  })
}

/** How many messages something that goes on by itself does at most in one go. */
const sweepLimit = 1000

export const makeSqliteStore = Effect.fnUntraced(function*(
  sql: SqlClient.SqlClient,
  p: string
): Effect.fn.Return<Store, SqlError> {
  const clock = yield* Clock.Clock
  const [meta] = yield* sql.unsafe(`SELECT mark FROM ${p}_meta`).values
  const mark = String(meta![0])
  const message = `${p}_message`
  const work = `${p}_work`
  const done = `${p}_done`
  const at = `WHERE destination = ? AND state = ? AND rank = ? AND seq = ?`

  const text = {
    next: `SELECT max(last, COALESCE((SELECT max(seq) FROM ${message}), 0)) FROM ${p}_meta`,
    /** Numbers of messages that are gone are not given out again. */
    keepLast: `UPDATE ${p}_meta SET last = max(last, ?)`,
    insertMessage: `INSERT INTO ${message} (seq, created_at, scheduled_at, priority, max_tries, payload_kind, source,
      destination, topic, ordering_key, dedup_key, payload_type, headers, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    insertWork:
      `INSERT INTO ${work} (seq, due_at, rank, tries, state, destination, ordering_key, processing_at, error_at, error)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    behind: `SELECT 1 FROM ${work} WHERE destination = ? AND ordering_key = ? LIMIT 1`,
    dedup: `SELECT seq, until FROM ${p}_dedup WHERE destination = ? AND dedup_key = ?`,
    setDedup: `INSERT INTO ${p}_dedup (destination, dedup_key, seq, until) VALUES (?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET seq = excluded.seq, until = excluded.until`,
    dropDedup: `DELETE FROM ${p}_dedup WHERE destination = ? AND dedup_key = ? AND seq = ?`,
    ready: `SELECT ${ofUnfinished} FROM ${work} w CROSS JOIN ${message} m ON m.seq = w.seq
      WHERE w.destination = ? AND w.state = ${State.ready} ORDER BY w.rank, w.seq LIMIT ?`,
    take: `UPDATE ${work} SET state = ${State.processing}, tries = tries + 1, processing_at = ?, due_at = ?,
      token = lower(hex(randomblob(16))) ${at} RETURNING token`,
    /** All up to the last that was read: one statement for many. */
    takeMany: `UPDATE ${work} SET state = ${State.processing}, tries = tries + 1, processing_at = ?, due_at = ?,
      token = lower(hex(randomblob(16)))
      WHERE destination = ? AND state = ${State.ready} AND (rank, seq) <= (?, ?) RETURNING seq, token`,
    due:
      `SELECT w.seq, w.destination, w.state, w.rank, w.tries, w.ordering_key, w.processing_at, w.error_at, w.error, m.max_tries
      FROM ${work} w INDEXED BY ${p}_due_at CROSS JOIN ${message} m ON m.seq = w.seq
      WHERE w.due_at <= ? ORDER BY w.due_at LIMIT ?`,
    nextDue: `SELECT min(due_at) FROM ${work} INDEXED BY ${p}_due_at WHERE due_at IS NOT NULL`,
    held:
      `SELECT w.state, w.rank, w.tries, w.due_at, w.token, w.ordering_key, w.processing_at, w.error_at, w.error, m.max_tries
      FROM ${message} m CROSS JOIN ${work} w ON w.destination = m.destination AND w.state = ${State.processing}
        AND w.rank = -m.priority AND w.seq = m.seq
      WHERE m.seq = ? AND m.destination = ?`,
    change: `UPDATE ${work} SET state = ?, due_at = ?, token = ?, tries = ?, error_at = ?, error = ? ${at}`,
    setState: `UPDATE ${work} SET state = ? ${at}`,
    dropWork: `DELETE FROM ${work} ${at}`,
    insertDone: `INSERT INTO ${done} (seq, finished_at, processing_at, error_at, tries, state, destination, error)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    firstOf: `SELECT seq, rank, state FROM ${work} INDEXED BY ${p}_in_order
      WHERE destination = ? AND ordering_key = ? AND state = ? ORDER BY seq LIMIT 1`,
    former: `SELECT seq FROM ${message} WHERE former_id = ?`,
    one: `SELECT ${ofAny} FROM ${message} m ${joinAny(p)} WHERE m.seq = ?`,
    prunable: `SELECT m.seq, m.destination, d.state, 0, NULL, m.dedup_key FROM ${done} d INDEXED BY ${p}_finished
      CROSS JOIN ${message} m ON m.seq = d.seq
      WHERE d.state = ? AND d.finished_at <= ? AND NOT EXISTS (SELECT 1 FROM ${p}_dedup k
        WHERE k.destination = m.destination AND k.dedup_key = m.dedup_key AND k.seq = m.seq AND k.until > ?)
      ORDER BY d.finished_at LIMIT ?`,
    hasReady: `SELECT 1 FROM ${work} WHERE destination = ? AND state = ${State.ready} LIMIT 1`
  }

  /** The work on one connection: everything here runs at once. */
  const on = (db: Synchronous) => {
    const all = db.all
    const one = (statement: string, parameters: ReadonlyArray<Parameter>): Values | undefined =>
      db.all(statement, parameters)[0]

    const seqOfId = (id: string): number | undefined =>
      seqOf(mark, id) ?? (() => {
        const row = one(text.former, [id])
        return row === undefined ? undefined : Number(row[0])
      })()

    const read = (seq: number): Stored | undefined => {
      const row = one(text.one, [seq])
      return row === undefined ? undefined : toStored(row)
    }

    const firstOf = (destination: string, key: string, state: number) => {
      const row = one(text.firstOf, [destination, key, state])
      return row === undefined ? undefined : { seq: Number(row[0]), rank: Number(row[1]), state }
    }

    /** Frees the one message of an ordering key that may be delivered, and blocks all others; says whether it did. */
    const arrange = (destination: string, key: string | null): boolean => {
      if (key === null || firstOf(destination, key, State.processing) !== undefined) return false
      const of = (state: number) => firstOf(destination, key, state)
      const free = of(State.ready) ?? of(State.scheduled)
      const blocked = [of(State.readyBlocked), of(State.scheduledBlocked)].filter((one) => one !== undefined)
        .sort((a, b) => a.seq - b.seq)[0]
      if (blocked === undefined || (free !== undefined && free.seq < blocked.seq)) return false
      if (free !== undefined) {
        all(text.setState, [free.state + 1, destination, free.state, free.rank, free.seq])
      }
      all(text.setState, [blocked.state - 1, destination, blocked.state, blocked.rank, blocked.seq])
      return true
    }

    const push = (entry: NewMessage, now: number): Pushed => {
      const { deduplicationKey, destination, orderingKey } = entry
      if (deduplicationKey !== null) {
        const earlier = one(text.dedup, [destination, deduplicationKey])
        const stored = earlier !== undefined && Number(earlier[1]) > now ? read(Number(earlier[0])) : undefined
        if (stored !== undefined) return { message: toMessage(mark, stored), wake: false }
      }
      const due = entry.at ?? (entry.delay === null ? null : now + entry.delay)
      const later = due !== null && due > now
      const behind = orderingKey !== null && one(text.behind, [destination, orderingKey]) !== undefined
      const seq = Number(one(text.next, [])![0]) + 1
      insert(entry, seq, now, due)
      all(text.insertWork, [
        seq,
        later ? due : null,
        -entry.priority,
        0,
        (later ? State.scheduled : State.ready) + (behind ? 1 : 0),
        destination,
        orderingKey,
        null,
        null,
        null
      ])
      if (deduplicationKey !== null) {
        all(text.setDedup, [destination, deduplicationKey, seq, now + entry.deduplicationWindow])
      }
      return { message: pushedMessage(mark, entry, seq, now, due), wake: !behind }
    }

    const insert = (entry: NewMessage, seq: number, now: number, due: number | null) =>
      all(text.insertMessage, [
        seq,
        now,
        due,
        entry.priority,
        entry.maxTries,
        entry.payload.kind,
        entry.source,
        entry.destination,
        entry.topic,
        entry.orderingKey,
        entry.deduplicationKey,
        payloadType(entry.payload.kind, entry.payload.type),
        headersText(entry.headers),
        entry.payload.data
      ])

    const sweep = (limit: number, now: number): ReadonlyArray<string> => {
      const nodes: Array<string> = []
      const rows = all(text.due, [now, limit])
      for (const row of rows) {
        const [seq, destination, state, rank, tries, key, processingAt, errorAt, error, maxTries] = row
        const fields = { ...{ tries, error, errorAt }, ...afterTime({ state, tries, maxTries }, now) }
        if (fields.state === State.dead) {
          all(text.dropWork, [destination, state, rank, seq])
          all(text.insertDone, [
            seq,
            now,
            processingAt,
            fields.errorAt,
            tries,
            State.dead,
            destination,
            fields.error
          ])
        } else {
          const { error, errorAt } = fields
          all(text.change, [fields.state!, null, null, tries, errorAt, error, destination, state, rank, seq])
        }
        if (state === State.processing) arrange(destination, key)
        nodes.push(destination)
      }
      return nodes
    }

    const take = (claim: Claim, max: number, now: number): Array<Stored> => {
      const rows = all(text.ready, [claim.node, max])
      if (rows.length === 0) return []
      const dueAt = claim.lease === null ? null : now + claim.lease
      const stored = rows.map(toStored)
      const last = stored[stored.length - 1]!
      const tokens = new Map<number, string>()
      if (stored.length === 1) {
        const [token] = one(text.take, [now, dueAt, claim.node, State.ready, -last.priority, last.seq])!
        tokens.set(last.seq, token)
      } else {
        for (const [seq, token] of all(text.takeMany, [now, dueAt, claim.node, -last.priority, last.seq])) {
          tokens.set(Number(seq), token)
        }
      }
      return stored.map((one) => ({
        ...one,
        state: State.processing,
        tries: one.tries + 1,
        processingAt: now,
        dueAt,
        token: tokens.get(one.seq)!
      }))
    }

    const claim = (wish: Claim, now: number): ReadonlyArray<Message.Delivery> => {
      let taken = take(wish, wish.max, now)
      // What is due is looked for when the rest was not enough.
      if (taken.length < wish.max && sweep(sweepLimit, now).length > 0) {
        taken = [...taken, ...take(wish, wish.max - taken.length, now)].sort(byTurn)
      }
      const deliveries: Array<Message.Delivery> = []
      for (const stored of taken) {
        const delivery = toDelivery(mark, stored)
        if (delivery !== undefined) deliveries.push(delivery)
        else {finishAt(stored.seq, {
            op: Op.reject,
            destination: wish.node,
            token: null,
            millis: null,
            cause: unreadable
          }, now)}
      }
      return deliveries
    }

    const finishAt = (
      seq: number,
      word: Pick<Finish, "op" | "destination" | "token" | "millis" | "cause">,
      now: number
    ): Finished => {
      const row = one(text.held, [seq, word.destination])
      if (row === undefined) return lost
      const [state, rank, tries, dueAt, token, key, processingAt, errorAt, error, maxTries] = row
      const before = { state, destination: word.destination, token, dueAt, tries, maxTries, error, errorAt }
      const fields = verdict(before, word, now)
      if (fields === undefined) return lost
      const next = { ...before, ...fields }
      if (next.state > State.processing) {
        all(text.dropWork, [word.destination, state, rank, seq])
        all(text.insertDone, [
          seq,
          now,
          processingAt,
          next.errorAt,
          tries,
          next.state,
          word.destination,
          next.error
        ])
      } else {
        all(text.change, [
          next.state,
          next.dueAt,
          next.token,
          next.tries,
          next.errorAt,
          next.error,
          word.destination,
          state,
          rank,
          seq
        ])
      }
      if (word.op === Op.extend) return { held: true, wake: false }
      const arranged = arrange(word.destination, key)
      return { held: true, wake: arranged || next.state < State.processing }
    }

    const forget = (stored: Pick<Stored, "seq" | "destination" | "deduplicationKey">): void => {
      all(`DELETE FROM ${message} WHERE seq = ?`, [stored.seq])
      if (stored.deduplicationKey !== null) {
        all(text.dropDedup, [stored.destination, stored.deduplicationKey, stored.seq])
      }
    }

    const remove = (rows: ReadonlyArray<Values>): { readonly count: number; readonly wake: ReadonlyArray<string> } => {
      const wake = new Set<string>()
      const last = rows.reduce((last, [seq]) => Math.max(last, Number(seq)), 0)
      if (last > 0) all(text.keepLast, [last])
      for (const [seq, destination, state, rank, , deduplicationKey] of rows) {
        if (state > State.processing) {
          all(`DELETE FROM ${done} WHERE destination = ? AND state = ? AND seq = ?`, [destination, state, seq])
        } else all(text.dropWork, [destination, state, rank, seq])
        forget({ seq, destination, deduplicationKey })
      }
      for (const [, destination, , , key] of rows) if (arrange(destination, key)) wake.add(destination)
      return { count: rows.length, wake: Array.from(wake) }
    }

    const redrive = (rows: ReadonlyArray<Values>): { readonly count: number; readonly wake: ReadonlyArray<string> } => {
      const wake = new Set<string>()
      for (const [seq, destination, priority, key, processingAt, errorAt, error] of rows) {
        all(`DELETE FROM ${done} WHERE destination = ? AND state = ${State.dead} AND seq = ?`, [destination, seq])
        const behind = key !== null && one(text.behind, [destination, key]) !== undefined
        const state = behind ? State.readyBlocked : State.ready
        all(text.insertWork, [seq, null, -priority, 0, state, destination, key, processingAt, errorAt, error])
        arrange(destination, key)
        wake.add(destination)
      }
      return { count: rows.length, wake: Array.from(wake) }
    }

    return { all, one, seqOfId, read, push, sweep, claim, finishAt, remove, redrive, forget }
  }

  type On = ReturnType<typeof on>
  const connections = new WeakMap<object, On>()
  const onConnection = (connection: Connection): On => {
    const known = connections.get(connection)
    if (known !== undefined) return known
    const made = on(synchronous(connection))
    connections.set(connection, made)
    return made
  }

  /** One transaction, on the connection itself: a statement of a `SqlClient` costs as much as SQLite takes to run it. */
  const transact = <A>(operation: string, body: (db: On, now: number) => A): Effect.Effect<A, MessageQueueError> =>
    Effect.mapError(
      Effect.scoped(Effect.flatMap(sql.reserve, (connection) =>
        Effect.andThen(
          connection.execute("BEGIN IMMEDIATE", [], undefined),
          Effect.suspend(() => {
            const db = onConnection(connection)
            const exit = attempt(() => {
              const result = body(db, clock.currentTimeMillisUnsafe())
              db.all("COMMIT", [])
              return result
            })
            return Exit.isSuccess(exit)
              ? exit
              : Effect.andThen(Effect.ignore(connection.execute("ROLLBACK", [], undefined)), exit)
          })
        ))),
      unavailable(operation)
    )

  /** In the transaction of the calling fiber, whole or not at all. */
  const within = <A>(operation: string, body: (db: On, now: number) => A): Effect.Effect<A, MessageQueueError> =>
    Effect.withFiber<A, MessageQueueError>((fiber) => {
      const service = fiber.context.mapUnsafe.get(sql.transactionService.key) as readonly [Connection, number]
      const db = onConnection(service[0])
      const exit: Exit.Exit<A, SqlError> = attempt(() => {
        db.all("SAVEPOINT effect_wire_queue", [])
        const result = body(db, clock.currentTimeMillisUnsafe())
        db.all("RELEASE effect_wire_queue", [])
        return result
      })
      if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
      attempt(() => {
        db.all("ROLLBACK TO effect_wire_queue", [])
        db.all("RELEASE effect_wire_queue", [])
      })
      return Effect.mapError(exit, unavailable(operation))
    })

  const either = <A>(operation: string, body: (db: On, now: number) => A): Effect.Effect<A, MessageQueueError> =>
    Effect.withFiber((fiber) =>
      fiber.context.mapUnsafe.has(sql.transactionService.key) ? within(operation, body) : transact(operation, body)
    )

  const read = <A>(operation: string, body: (db: On, now: number) => A): Effect.Effect<A, MessageQueueError> =>
    Effect.mapError(
      Effect.withFiber((fiber) => {
        const service = fiber.context.mapUnsafe.get(sql.transactionService.key) as readonly [Connection] | undefined
        const run = (connection: Connection) =>
          Effect.suspend(() => attempt(() => body(onConnection(connection), clock.currentTimeMillisUnsafe())))
        return service === undefined ? Effect.scoped(Effect.flatMap(sql.reserve, run)) : run(service[0])
      }),
      unavailable(operation)
    )

  const perform = ({ claims, finishes, pushes }: Work) => (db: On, now: number) => ({
    pushed: pushes.map((messages) => messages.map((entry) => db.push(entry, now))),
    finished: finishes.map((word) => {
      const seq = db.seqOfId(word.id)
      return seq === undefined ? lost : db.finishAt(seq, word, now)
    }),
    claimed: claims.map((claim) => db.claim(claim, now))
  })
  const operationOf = (work: Work): string =>
    work.pushes.length > 0 ? "push" : work.finishes.length > 0 ? "ack" : "pull"

  /** What is removed: number, node, state, rank, ordering key, deduplication key. */
  const removable = `SELECT m.seq, m.destination, COALESCE(w.state, d.state), -m.priority, m.ordering_key, m.dedup_key
    FROM ${message} m ${joinAny(p)}`
  const redrivable = `SELECT m.seq, m.destination, m.priority, m.ordering_key, d.processing_at, d.error_at, d.error
    FROM ${done} d CROSS JOIN ${message} m ON m.seq = d.seq`
  const waits = ` AND w.state < ${State.processing}`
  const own = (column: string, node: string | undefined): readonly [string, ReadonlyArray<string>] =>
    node === undefined ? ["", []] : [` AND ${column} = ?`, [node]]
  const bySource = (node: string) => node === noSource ? "" : ` AND source <> '${noSource}'`

  return {
    grouped: true,
    perform: (work) => transact(operationOf(work), perform(work)),
    performWithin: (work) => within(operationOf(work), perform(work)),
    transactionKey: sql.transactionService.key,
    afterCommit: sql.afterCommit,
    poll: (nodes) =>
      Effect.flatMap(
        read("pull", (db, now) => {
          const due = db.one(text.nextDue, [])?.[0] as number | null
          return due === null || due > now ? due === null ? undefined : due - now : -1
        }),
        (due) => {
          const ready = (db: On) => nodes.filter((node) => db.one(text.hasReady, [node]) !== undefined)
          return due === undefined || due > 0
            ? read("pull", (db) => ({ nodes: ready(db), due }))
            : transact("pull", (db, now) => {
              db.sweep(sweepLimit, now)
              const next = db.one(text.nextDue, [])?.[0] as number | null
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
        const seqs = node === undefined
          ? undefined
          : listed(db, node, after, limit, states ?? [0, 1, 2, 3, 4, 5, 6])
        const state = states === undefined ? "" : ` AND COALESCE(w.state, d.state) IN (${states.join(", ")})`
        const rows = seqs === undefined
          ? db.all(`SELECT ${ofAny} FROM ${message} m ${joinAny(p)} WHERE m.seq > ?${state} ORDER BY m.seq LIMIT ?`, [
            after,
            limit
          ])
          : seqs.flatMap((seq) => db.all(text.one, [seq]))
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
        db.all(
          `UPDATE ${message} SET payload = ?, payload_kind = ?, payload_type = ?, updated_at = ? WHERE seq = ?`,
          [payload.data, payload.kind, payloadType(payload.kind, stored.payloadType), now, stored.seq]
        )
        return toMessage(mark, db.read(stored.seq)!)
      }),
    remove: (id, source) =>
      either("remove", (db) => {
        const seq = db.seqOfId(id)
        const [mine, parameters] = own("m.source", source)
        return db.remove(
          seq === undefined ? [] : db.all(`${removable} WHERE m.seq = ?${waits}${mine}`, [seq, ...parameters])
        )
      }),
    last: read("remove", (db) => Number(db.one(text.next, [])![0])),
    removeSlice: ({ after, all, limit, source, upTo }) =>
      either("remove", (db) => {
        const [mine, parameters] = own("source", source)
        const seqs = db.all(
          `SELECT seq FROM ${message} WHERE seq > ? AND seq <= ?${mine}${
            source === undefined ? "" : bySource(source)
          } ORDER BY seq LIMIT ?`,
          [after, upTo, ...parameters, limit]
        )
        const rows = seqs.flatMap(([seq]) => db.all(`${removable} WHERE m.seq = ?${all ? "" : waits}`, [seq]))
        return { ...db.remove(rows), next: seqs.length < limit ? undefined : Number(seqs[seqs.length - 1]![0]) }
      }),
    redrive: (ids, node) =>
      either("redrive", (db) => {
        const [mine, parameters] = own("m.destination", node)
        const seqs = new Set(ids.map(db.seqOfId))
        const text = `SELECT destination FROM ${message} WHERE seq = ?`
        return db.redrive(
          Array.from(seqs).flatMap((seq) => {
            const destination = seq === undefined ? undefined : db.one(text, [seq])?.[0] as string | undefined
            return destination === undefined ? [] : db.all(
              `${redrivable} WHERE d.destination = ? AND d.state = ${State.dead} AND d.seq = ?${mine}`,
              [destination, seq!, ...parameters]
            )
          })
        )
      }),
    redriveSlice: ({ before, limit, node }) =>
      either("redrive", (db, now) => {
        const time = before ?? now
        const rows = node === undefined
          ? db.all(
            `${redrivable} WHERE d.state = ${State.dead} AND d.finished_at <= ? ORDER BY d.finished_at LIMIT ?`,
            [time, limit]
          )
          : db.all(
            `${redrivable} WHERE d.destination = ? AND d.state = ${State.dead} AND d.finished_at <= ?
              ORDER BY d.seq LIMIT ?`,
            [node, time, limit]
          )
        return { ...db.redrive(rows), next: rows.length < limit ? undefined : time }
      }),
    counts: (node) => {
      const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
      return Effect.as(
        Effect.forEach(
          [[work, ["destination", "state", "rank", "seq"]], [done, ["destination", "state", "seq"]]] as const,
          (
            [table, keys]
          ) => countAll(table, keys, node, counts)
        ),
        counts
      )
    },
    prune: (state, retention, limit) => {
      const find = (db: On, now: number) =>
        [
          db.all(text.prunable, [state, now - retention, now, limit]),
          db.all(`SELECT destination, dedup_key, seq FROM ${p}_dedup WHERE until <= ? ORDER BY until LIMIT ?`, [
            now,
            limit
          ])
        ] as const
      return Effect.flatMap(
        read("prune", (db, now) => find(db, now).some((rows) => rows.length > 0)),
        (some) =>
          some
            ? transact("prune", (db, now) => {
              const [rows, keys] = find(db, now)
              for (const key of keys) db.all(text.dropDedup, key)
              return db.remove(rows).count
            })
            : Effect.succeed(0)
      )
    }
  }

  /** The numbers of a page of messages from and to a node: a few ranges, each in order, merged. */
  function listed(
    db: On,
    node: string,
    after: number,
    limit: number,
    states: ReadonlyArray<number>
  ): ReadonlyArray<number> {
    const seqs = new Set<number>()
    const add = (rows: ReadonlyArray<Values>) => rows.forEach(([seq]) => seqs.add(Number(seq)))
    for (const state of states) {
      if (state > State.processing) {
        add(db.all(
          `SELECT seq FROM ${done} WHERE destination = ? AND state = ? AND seq > ? ORDER BY seq LIMIT ?`,
          [node, state, after, limit]
        ))
        continue
      }
      const ranks = db.all(
        `WITH RECURSIVE r (rank) AS (
          SELECT min(rank) FROM ${work} WHERE destination = ?1 AND state = ?2
          UNION ALL
          SELECT (SELECT min(rank) FROM ${work} w WHERE destination = ?1 AND state = ?2 AND w.rank > r.rank)
          FROM r WHERE r.rank IS NOT NULL)
        SELECT rank FROM r WHERE rank IS NOT NULL`,
        [node, state]
      )
      for (const [rank] of ranks) {
        add(db.all(
          `SELECT seq FROM ${work} WHERE destination = ? AND state = ? AND rank = ? AND seq > ? ORDER BY seq LIMIT ?`,
          [node, state, rank, after, limit]
        ))
      }
    }
    add(db.all(
      `SELECT m.seq FROM ${message} m ${joinAny(p)} WHERE m.source = ?${
        node === noSource ? "" : ` AND m.source <> '${noSource}'`
      } AND m.seq > ? AND COALESCE(w.state, d.state) IN (${states.join(", ")}) ORDER BY m.seq LIMIT ?`,
      [node, after, limit]
    ))
    return Array.from(seqs).sort((a, b) => a - b).slice(0, limit)
  }

  /** Counts a table by state, so many rows at a time. */
  function countAll(
    table: string,
    keys: ReadonlyArray<string>,
    node: string | undefined,
    counts: { [S in Message.Status]: number }
  ): Effect.Effect<void, MessageQueueError> {
    const columns = keys.join(", ")
    const chunk = 20_000
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
        read("counts", (db) => {
          const [where, parameters] = from(key)
          for (
            const [state, n] of db.all(
              `SELECT state, count(*) FROM (SELECT state FROM ${table} ${where} ORDER BY ${columns} LIMIT ${chunk}) GROUP BY state`,
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
})

const lost: Finished = { held: false, wake: false }

const attempt = <A>(f: () => A): Exit.Exit<A, SqlError> => {
  try {
    return Exit.succeed(f())
  } catch (cause) {
    return isSqlError(cause) ? Exit.fail(cause) : Exit.die(cause)
  }
}
