/**
 * @internal Claims and holders' words on PostgreSQL: one statement for many.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type * as Message from "../Message.ts"
import { array, type Run } from "./postgresParameters.ts"
import { toStored, type Values } from "./sqlRows.ts"
import { type Busy, busy, type Claim, type Finish, type Finished, Op, State, type Stored } from "./store.ts"
import { seqOf, toDelivery, toMessage, unreadable } from "./stored.ts"
import { byTurn } from "./transition.ts"

interface Holding {
  /** `alone`: in a transaction of its own. */
  readonly claim: (
    claims: ReadonlyArray<Claim>,
    alone: boolean
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Message.Delivery>>, SqlError>
  /** With `wait`, for the transactions of others with the same keys. */
  readonly finish: (
    words: ReadonlyArray<Finish>,
    wait: boolean
  ) => Effect.Effect<ReadonlyArray<Finished | Busy>, SqlError>
  /** Both in one round trip: first the words. */
  readonly finishAndClaim: (
    words: ReadonlyArray<Finish>,
    claims: ReadonlyArray<Claim>
  ) => Effect.Effect<
    readonly [ReadonlyArray<Finished | Busy>, ReadonlyArray<ReadonlyArray<Message.Delivery>>],
    SqlError
  >
  /** Names of version 0.1, and the numbers of their messages. */
  readonly former: (ids: ReadonlyArray<string>) => ReturnType<Run>
}

export const makeHolding = (run: Run, p: string, mark: string): Holding => {
  const message = `${p}_message`

  const claimCall = (from: number) => {
    const types = ["text[]", "integer[]", "bigint[]", "integer[]", "bigint[]", "boolean"]
    return `SELECT * FROM ${p}_claim(${types.map((type, index) => `$${from + index}::${type}`).join(", ")})`
  }
  const claimText = claimCall(1)
  const heads = makeHeads()

  const claimParameters = (claims: ReadonlyArray<Claim>, alone: boolean): ReadonlyArray<unknown> => {
    const after = claims.map(({ node }) => heads.after(node))
    return [
      array("text", claims.map((claim) => claim.node)),
      array("integer", claims.map((claim) => claim.max)),
      array("bigint", claims.map((claim) => claim.lease)),
      array("integer", after.map((place) => place === undefined ? null : -place.priority)),
      array("bigint", after.map((place) => place === undefined ? null : place.seq)),
      String(alone)
    ]
  }

  const claimed = (
    claims: ReadonlyArray<Claim>,
    rows: ReadonlyArray<Values>
  ): Effect.Effect<ReadonlyArray<ReadonlyArray<Message.Delivery>>, SqlError> => {
    const claimed: Array<Array<Message.Delivery>> = claims.map(() => [])
    const unread: Array<Finish> = []
    const taken = claims.map((): Array<Stored> => [])
    for (const row of rows) {
      const index = Number(row[0]) - 1
      taken[index]!.push(claimedRow(row, claims[index]!.node))
    }
    taken.forEach((some, index) => {
      if (some.length > 1) some.sort(byTurn)
      heads.took(claims[index]!.node, some)
      for (const stored of some) {
        const delivery = toDelivery(mark, stored)
        if (delivery !== undefined) claimed[index]!.push(delivery)
        else unread.push(rejection(toMessage(mark, stored), stored.token))
      }
    })
    return unread.length === 0 ? Effect.succeed(claimed) : Effect.as(finish(unread, false), claimed)
  }

  const claim = (claims: ReadonlyArray<Claim>, alone: boolean) =>
    Effect.suspend(() =>
      Effect.flatMap(run(claimText, claimParameters(claims, alone)), (rows) => claimed(claims, rows))
    )

  const finishCall = `FROM ${p}_finish($1::integer[], $2::bigint[], $3::text[], $4::uuid[], $5::bigint[], $6::text[],
    $7::boolean)`
  const finishText = `SELECT ord, said ${finishCall}`
  // What was said has a number before zero. The first is done before the second begins.
  const bothText = `SELECT -ord::integer, said::bigint, ${
    Array.from({ length: 21 }, () => "NULL").join(", ")
  } ${finishCall}
    UNION ALL ${claimCall(8)}`

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
      Effect.forEach(
        rounds,
        (round) =>
          Effect.map(run(finishText, finishParameters(words, seqs, round, wait)), (rows) => hear(results, round, rows)),
        {
          discard: true
        }
      ),
      results
    )
  }

  const finishAndClaim: Holding["finishAndClaim"] = (words, claims) =>
    Effect.suspend(() => {
      const seqs = words.map((word) => seqOf(mark, word.id))
      const tokens = words.every(({ token }) => token === null || uuid.test(token))
      // One statement changes a row once, and knows no former names.
      if (!tokens || seqs.includes(undefined) || new Set(seqs).size < words.length) {
        return Effect.all([finish(words, false), claim(claims, true)])
      }
      const round = words.map((_, index) => index)
      const results: Array<Finished | Busy> = words.map(() => lost)
      return Effect.flatMap(
        run(bothText, [...finishParameters(words, seqs, round, false), ...claimParameters(claims, false)]),
        (rows) => {
          hear(results, round, rows.filter((row) => row[0] < 0).map((row) => [-row[0], row[1]]))
          return Effect.map(claimed(claims, rows.filter((row) => row[0] > 0)), (deliveries) => [results, deliveries])
        }
      )
    })

  return { claim, finish, finishAndClaim, former }
}

/** After so many from the front of a node, the rows that were there are passed over. */
const many = 1000

/** Milliseconds after which the front is looked at again, and those after which nothing is remembered of a node. */
const afresh = 50
const forget = 1000

interface Head {
  readonly priority: number
  readonly seq: number
  /** When the front was last looked at, and how many have been taken from it. */
  readonly since: number
  readonly count: number
}

/**
 * Where the next message of a node is likely to be. Rows that were taken stand before it until they are vacuumed, and each
 * claim would pass them all. Only while a node gives many: what comes back to the front is found when there is nothing after
 * it, and else within 50 ms.
 */
const makeHeads = () => {
  const heads = new Map<string, Head>()
  const clock = Clock.Clock.defaultValue()
  return {
    after: (node: string): Head | undefined => {
      const head = heads.get(node)
      if (head === undefined || head.count < many) return undefined
      const age = monotonicMillis(clock) - head.since
      if (age < afresh) return head
      heads.set(node, { ...head, since: head.since + age })
      return undefined
    },
    took: (node: string, taken: ReadonlyArray<Stored>): void => {
      const last = taken[taken.length - 1]
      if (last === undefined) return
      const now = monotonicMillis(clock)
      const before = heads.get(node)
      const isRecent = before !== undefined && now - before.since < forget
      if (heads.size > 100) heads.clear()
      heads.set(node, {
        priority: last.priority,
        seq: last.seq,
        since: isRecent ? before.since : now,
        count: taken.length + (isRecent ? before.count : 0)
      })
    }
  }
}

const finishParameters = (
  words: ReadonlyArray<Finish>,
  seqs: ReadonlyArray<number | undefined>,
  round: ReadonlyArray<number>,
  wait: boolean
): ReadonlyArray<unknown> => {
  const of = <A>(f: (word: Finish) => A) => round.map((index) => f(words[index]!))
  return [
    array("integer", of((word) => word.op)),
    array("bigint", round.map((index) => seqs[index]!)),
    array("text", of((word) => word.destination)),
    array("uuid", of((word) => word.token)),
    array("bigint", of((word) => word.millis)),
    array("text", of((word) => word.cause)),
    String(wait)
  ]
}

/** What a round of words came to. */
const hear = (results: Array<Finished | Busy>, round: ReadonlyArray<number>, rows: ReadonlyArray<Values>): void => {
  for (const [ord, word] of rows) {
    const index = round[Number(ord) - 1]!
    const said = Number(word)
    if (said === 4) results[index] = { ...results[index] as Finished, wake: true }
    else if (said < 3) results[index] = { held: true, wake: said === 2 }
    else if (results[index] === lost) results[index] = busy
  }
}

const lost: Finished = { held: false, wake: false }

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

const rejection = ({ destination, id }: Message.Message, token: string | null): Finish => ({
  op: Op.reject,
  id,
  destination,
  token,
  millis: null,
  cause: unreadable
})

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
    row[16],
    State.processing,
    row[17],
    row[18],
    row[19],
    row[20],
    row[21],
    row[22],
    null
  ])
