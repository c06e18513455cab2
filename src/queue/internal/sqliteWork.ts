/**
 * @internal What is done in SQLite, on one connection and within a transaction: small prepared statements, run one after
 * the other, and one for many where many come together. The rules are those of `transition`. Everything here runs at once.
 */
import type * as Message from "../Message.ts"
import type { Parameter, Synchronous } from "./sqliteSession.ts"
import { manyRows, plainColumns, type Text } from "./sqliteText.ts"
import { headersText, ofMessage, payloadType, toStored, type Values } from "./sqlRows.ts"
import {
  type Changed,
  type Claim,
  type Done,
  type Finish,
  type Finished,
  type NewMessage,
  Op,
  type Pushed,
  State,
  type Stored,
  type Work
} from "./store.ts"
import { pushedMessage, seqOf, toDelivery, toMessage, unreadable } from "./stored.ts"
import { makeTokens } from "./tokens.ts"
import { afterTime, byTurn, verdict } from "./transition.ts"

/** How many messages something that goes on by itself does at most in one go. */
export const sweepLimit = 1000

/** From so many words on, those that are alike are one statement. */
const together = 4

export const makeWork = (mark: string, text: Text) => {
  const nextToken = makeTokens()
  return (db: Synchronous) => {
    const all = db.all
    const one = (statement: string, parameters: ReadonlyArray<Parameter>): Values | undefined =>
      all(statement, parameters)[0]

    const seqOfId = (id: string): number | undefined => {
      const seq = seqOf(mark, id)
      if (seq !== undefined) return seq
      const row = one(text.former, [id])
      return row === undefined ? undefined : Number(row[0])
    }

    const read = (seq: number): Stored | undefined => {
      const row = one(text.one, [seq])
      return row === undefined ? undefined : toStored(row)
    }

    const isBehind = (destination: string, key: string): boolean => one(text.behind, [destination, key]) !== undefined

    const firstOf = (destination: string, key: string, state: number) => {
      const row = one(text.firstOf, [destination, key, state])
      return row === undefined ? undefined : { seq: Number(row[0]), rank: Number(row[1]), state }
    }

    /** Frees the one message of an ordering key that may be delivered, and blocks all others; says whether it did. */
    const arrange = (destination: string, key: string | null): boolean => {
      if (key === null || one(text.isHeld, [destination, key]) !== undefined) return false
      const of = (state: number) => firstOf(destination, key, state)
      const free = of(State.ready) ?? of(State.scheduled)
      const blocked = [of(State.readyBlocked), of(State.scheduledBlocked)].filter((one) => one !== undefined)
        .sort((a, b) => a.seq - b.seq)[0]
      if (blocked === undefined || (free !== undefined && free.seq < blocked.seq)) return false
      if (one(text.stopsBefore, [destination, key, blocked.seq]) !== undefined) return false
      if (free !== undefined) {
        all(text.setState, [free.state + 1, destination, free.state, free.rank, free.seq])
      }
      all(text.setState, [blocked.state - 1, destination, blocked.state, blocked.rank, blocked.seq])
      return true
    }

    const dueOf = (entry: NewMessage, now: number): number | null =>
      entry.at ?? (entry.delay === null ? null : now + entry.delay)

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
        entry.payload.data,
        entry.stopKey ? 1 : null
      ])

    /** One with a key; it is `seq`, if it is none that was there before. */
    const pushKeyed = (entry: NewMessage, seq: number, now: number): Pushed | undefined => {
      const { deduplicationKey, destination, orderingKey } = entry
      if (deduplicationKey !== null) {
        const earlier = one(text.dedup, [destination, deduplicationKey])
        if (earlier !== undefined && Number(earlier[1]) > now && read(Number(earlier[0])) !== undefined) {
          return undefined
        }
        all(text.setDedup, [destination, deduplicationKey, seq, now + entry.deduplicationWindow])
      }
      const due = dueOf(entry, now)
      const later = due !== null && due > now
      const behind = orderingKey !== null && isBehind(destination, orderingKey)
      insert(entry, seq, now, due)
      const state = (later ? State.scheduled : State.ready) + (behind ? 1 : 0)
      all(text.insertWork, [
        seq,
        later ? due : null,
        -entry.priority,
        0,
        state,
        destination,
        orderingKey,
        null,
        null,
        null
      ])
      return { message: pushedMessage(mark, entry, seq, now, due), wake: !behind }
    }

    const earlierOf = ({ deduplicationKey, destination }: NewMessage): Pushed => ({
      message: toMessage(mark, read(Number(one(text.dedup, [destination, deduplicationKey!])![0]))!),
      wake: false
    })

    /** In their order. Those without keys get their work together, and those that say nothing else their rows too. */
    const push = (pushes: Work["pushes"], now: number): ReadonlyArray<ReadonlyArray<Pushed>> => {
      if (pushes.length === 0) return none
      let seq = Number(one(text.next, none)![0])
      let worked = seq
      let rows: Array<Parameter> = []
      const flush = (): void => {
        if (rows.length === 0) return
        for (let at = 0; at < rows.length; at += plainColumns) all(text.insertPlain, rows.slice(at, at + plainColumns))
        rows = []
      }
      const work = (): void => {
        if (rows.length === plainColumns && worked === seq - 1) {
          // One alone, which is the rule.
          all(text.insertPlain, rows)
          all(text.insertReady, [seq, -(rows[2] as number), rows[6]!])
          rows = []
          worked = seq
          return
        }
        flush()
        if (worked < seq) all(text.insertReadyMany, [worked + 1, seq])
        worked = seq
      }
      const pushOne = (entry: NewMessage): Pushed => {
        if (entry.orderingKey !== null || entry.deduplicationKey !== null) {
          work()
          const pushed = pushKeyed(entry, seq + 1, now)
          if (pushed === undefined) return earlierOf(entry)
          worked = ++seq
          return pushed
        }
        seq++
        const due = dueOf(entry, now)
        const { payload } = entry
        const type = payloadType(payload.kind, payload.type)
        if (due !== null || entry.topic !== null || entry.headers !== null || type !== null) {
          flush()
          insert(entry, seq, now, due)
        } else {
          rows.push(
            seq,
            now,
            entry.priority,
            entry.maxTries,
            payload.kind,
            entry.source,
            entry.destination,
            payload.data
          )
          if (rows.length === manyRows * plainColumns) {
            all(text.insertPlainMany, rows)
            rows = []
          }
        }
        return { message: pushedMessage(mark, entry, seq, now, due), wake: true }
      }
      const pushed = pushes.length === 1 ? [pushes[0]!.map(pushOne)] : pushes.map((messages) => messages.map(pushOne))
      work()
      return pushed
    }

    /** What ended without an ack: it waits again, or is dead. */
    const leave = (
      seq: number,
      destination: string,
      rank: number,
      key: string | null,
      processingAt: number | null,
      fields: {
        readonly state: number
        readonly tries: number
        readonly dueAt: number | null
        readonly errorAt: number | null
        readonly error: string | null
      },
      now: number
    ): void => {
      const { dueAt, error, errorAt, state, tries } = fields
      all(text.dropHeld, [seq])
      if (state > State.processing) {
        all(text.insertDone, [seq, now, processingAt, errorAt, tries, state, destination, error])
        if (state === State.dead && key !== null) all(text.stop, [seq])
      } else {
        all(text.insertWork, [seq, dueAt, rank, tries, state, destination, key, processingAt, errorAt, error])
      }
    }

    /** Schedules that have come, and leases that have run out, the earliest first. */
    const sweep = (limit: number, now: number): ReadonlyArray<string> => {
      const comes = all(text.comes, [now, limit])
      const runsOut = all(text.runsOut, [now, limit])
      const nodes: Array<string> = []
      const due = [
        ...comes.map((row) => ({ row, isHeld: false })),
        ...runsOut.map((row) => ({ row, isHeld: true }))
      ].sort((a, b) => Number(a.row[0]) - Number(b.row[0]) || Number(a.row[1]) - Number(b.row[1]))
      for (const { isHeld, row } of due.slice(0, limit)) {
        const destination = row[2] as string
        if (isHeld) {
          const [, seq, , rank, key, tries, processingAt, maxTries] = row
          const fields = afterTime({ state: State.processing, tries, maxTries }, now)
          leave(seq, destination, rank, key, processingAt, {
            state: fields.state!,
            tries,
            dueAt: null,
            errorAt: fields.errorAt!,
            error: fields.error!
          }, now)
          arrange(destination, key)
        } else {
          const [, seq, , state, rank, key] = row
          // One of a key may just have been blocked, or freed, by the end of another.
          for (const from of key === null ? [state] : [State.scheduled, State.scheduledBlocked]) {
            const to = afterTime({ state: from, tries: 0, maxTries: 0 }, now).state!
            all(text.comesTrue, [to, destination, from, rank, seq])
          }
        }
        nodes.push(destination)
      }
      return nodes
    }

    const nextDue = (): number | null => one(text.nextDue, none)![0]

    const take = (claim: Claim, max: number, now: number): Array<Stored> => {
      const rows = all(text.ready, [claim.node, max])
      if (rows.length === 0) return []
      const dueAt = claim.lease === null ? null : now + claim.lease
      const at = ofMessage.length
      if (rows.length === 1) {
        const row = rows[0]!
        const [seq, , , , priority] = row
        const token = nextToken()
        const tries = Number(row[at]) + 1
        all(text.dropWork, [claim.node, State.ready, -priority, seq])
        all(text.insertHeld, [seq, dueAt, now, row[at + 1], -priority, tries, token, claim.node, row[10], row[at + 2]])
        return [toStored(claimedRow(row, at, dueAt, token, now))]
      }
      const last = rows[rows.length - 1]!
      const range = [claim.node, -last[4], last[0]] as const
      const tokens = new Map<number, string>()
      for (const [seq, token] of all(text.takeMany, [dueAt, now, ...range])) tokens.set(seq, token)
      all(text.dropMany, range)
      return rows.map((row) => toStored(claimedRow(row, at, dueAt, tokens.get(row[0])!, now)))
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
        else finishAt(stored.seq, { ...rejection, destination: wish.node }, now)
      }
      return deliveries
    }

    type Said = Pick<Finish, "op" | "destination" | "token" | "millis" | "cause">

    const finishAt = (seq: number, word: Said, now: number): Finished => {
      const { destination, op } = word
      const row = one(text.held, [seq, destination])
      if (row === undefined) return lost
      const [tries, dueAt, token, key, processingAt, errorAt, error, rank] = row
      const maxTries = op === Op.nack ? Number(one(text.maxTries, [seq])![0]) : 0
      const before = { state: State.processing, destination, token, dueAt, tries, maxTries, error, errorAt }
      const fields = verdict(before, word, now)
      if (fields === undefined) return lost
      if (op === Op.extend) {
        all(text.extend, [fields.dueAt!, seq])
        return { held: true, wake: false }
      }
      const next = { ...before, ...fields }
      leave(seq, destination, rank, key, processingAt, next, now)
      return { held: true, wake: arrange(destination, key) || next.state < State.processing }
    }

    /** What is acknowledged of these without more ado: those of one node, whose messages have no key. */
    const ackMany = (destination: string, tokens: ReadonlyMap<number, string>, now: number): ReadonlySet<number> => {
      const acked = all(text.ackMany, [now, JSON.stringify(Object.fromEntries(tokens)), destination])
      const seqs = acked.map(([seq]) => Number(seq))
      if (seqs.length > 0) all(text.dropHeldMany, [JSON.stringify(seqs)])
      return new Set(seqs)
    }

    /** Where there is no room for what is processed, it is forgotten at once; but not before its deduplication key. */
    const forget = (seq: number): void => {
      const [row] = all(text.removable, [seq])
      if (row !== undefined && row[5] === null) remove([row])
    }

    const finish = (words: ReadonlyArray<Finish>, now: number, isFull: boolean): ReadonlyArray<Finished> => {
      const say = (word: Finish): Finished => {
        const seq = seqOfId(word.id)
        if (seq === undefined) return lost
        if (!isFull || word.op !== Op.ack) return finishAt(seq, word, now)
        const extended = finishAt(seq, { ...word, op: Op.extend, millis: null }, now)
        if (extended.held) forget(seq)
        return one(text.held, [seq, word.destination]) === undefined ? extended : finishAt(seq, word, now)
      }
      if (isFull || words.length < together) return words.map(say)
      const nodes = new Map<string, Map<number, string>>()
      for (const { destination, id, op, token } of words) {
        const seq = op === Op.ack && token !== null ? seqOf(mark, id) : undefined
        if (seq === undefined) continue
        let tokens = nodes.get(destination)
        if (tokens === undefined) nodes.set(destination, tokens = new Map())
        tokens.set(seq, token!)
      }
      const acked = new Map<string, Set<number>>()
      for (const [node, tokens] of nodes) acked.set(node, new Set(ackMany(node, tokens, now)))
      return words.map((word) => {
        const seq = word.op === Op.ack ? seqOf(mark, word.id) : undefined
        // A second word about the same message is one about a message that is done with.
        return seq !== undefined && nodes.get(word.destination)?.get(seq) === word.token &&
            acked.get(word.destination)!.delete(seq)
          ? done
          : say(word)
      })
    }

    const remove = (rows: ReadonlyArray<Values>): Changed => {
      const wake = new Set<string>()
      const last = rows.reduce((last, [seq]) => Math.max(last, Number(seq)), 0)
      if (last > 0) all(text.keepLast, [last])
      for (const [seq, destination, state, rank, key, deduplicationKey] of rows) {
        if (state === State.dead && key !== null) all(text.dropStop, [destination, key, seq])
        if (state > State.processing) all(text.dropDone, [destination, state, seq])
        else if (state === State.processing) all(text.dropHeld, [seq])
        else all(text.dropWork, [destination, state, rank, seq])
        all(text.dropMessage, [seq])
        if (deduplicationKey !== null) all(text.dropDedup, [destination, deduplicationKey, seq])
      }
      for (const [, destination, , , key] of rows) if (arrange(destination, key)) wake.add(destination)
      return { count: rows.length, wake: Array.from(wake) }
    }

    const redrive = (rows: ReadonlyArray<Values>): Changed => {
      const wake = new Set<string>()
      for (const [seq, destination, priority, key, processingAt, errorAt, error] of rows) {
        all(text.dropDone, [destination, State.dead, seq])
        if (key !== null) all(text.dropStop, [destination, key, seq])
        const state = key !== null && isBehind(destination, key) ? State.readyBlocked : State.ready
        all(text.insertWork, [seq, null, -priority, 0, state, destination, key, processingAt, errorAt, error])
        arrange(destination, key)
        wake.add(destination)
      }
      return { count: rows.length, wake: Array.from(wake) }
    }

    /** Says whether it waits, or was dead, and is this node's. */
    const reschedule = (stored: Stored, at: number, node: string | undefined, now: number): boolean => {
      const { destination, orderingKey: key, priority, seq, state } = stored
      const isDead = state === State.dead
      if (!isDead && state >= State.processing) return false
      if (node !== undefined && node !== (isDead ? destination : stored.source)) return false
      const dueAt = at > now ? at : null
      if (isDead && key !== null) all(text.dropStop, [destination, key, seq])
      const behind = isDead ? key !== null && isBehind(destination, key) : state % 2 === 1
      const next = (dueAt === null ? State.ready : State.scheduled) + (behind ? 1 : 0)
      all(text.setScheduledAt, [at, seq])
      if (isDead) {
        const { error, errorAt, processingAt } = stored
        all(text.dropDone, [destination, state, seq])
        all(text.insertWork, [seq, dueAt, -priority, 0, next, destination, key, processingAt, errorAt, error])
        arrange(destination, key)
      } else all(text.setDue, [next, dueAt, destination, state, -priority, seq])
      return true
    }

    /** `isFull`: there was no room, the first time. */
    const perform = ({ claims, finishes, pushes }: Work, now: number, isFull = false): Done => ({
      pushed: push(pushes, now),
      finished: finish(finishes, now, isFull),
      claimed: claims.map((one) => claim(one, now))
    })

    return { all, one, seqOfId, read, perform, sweep, nextDue, remove, redrive, reschedule }
  }
}

export type SqliteWork = ReturnType<ReturnType<typeof makeWork>>

const none: ReadonlyArray<never> = []

const lost: Finished = { held: false, wake: false }

const done: Finished = { held: true, wake: false }

const rejection = { op: Op.reject, token: null, millis: null, cause: unreadable } as const

/** A row of `ready`, and what its claim made of it. */
const claimedRow = (row: Values, at: number, dueAt: number | null, token: string, now: number): Values => [
  ...row.slice(0, at),
  State.processing,
  Number(row[at]) + 1,
  dueAt,
  token,
  now,
  row[at + 1],
  row[at + 2],
  null
]
