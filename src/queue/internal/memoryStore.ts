/**
 * @internal Messages in the memory of this process: the machine of `transition`, and what is asked of its state. The
 * `Clock` decides.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Message from "../Message.ts"
import * as Sorted from "./sorted.ts"
import { type Finish, Op, State, statusOf, type Store, type Stored, type Work } from "./store.ts"
import { makeMark, pushedMessage, seqOf, toDelivery, toMessage } from "./stored.ts"
import { makeTokens } from "./tokens.ts"
import * as Transition from "./transition.ts"

export const makeMemoryStore: Effect.Effect<Store> = Effect.sync(() => {
  const mark = makeMark()
  const nextToken = makeTokens()
  let queue = Transition.empty

  const say = (word: Transition.Word, now: number): Transition.Outcome => {
    const outcome = Transition.transition(queue, word, now)
    queue = outcome.queue
    return outcome
  }
  const sync = <A>(f: (now: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, f)
  const find = (id: string): Stored | undefined => {
    const seq = seqOf(mark, id)
    return seq === undefined ? undefined : Sorted.get(queue.messages, Transition.messageKey(seq))
  }
  const changed = ({ messages, wake }: Transition.Outcome) => ({ count: messages.length, wake: Array.from(wake) })

  const finish = (word: Finish, now: number) => {
    const outcome = say({ ...word, _tag: "Finish", seq: seqOf(mark, word.id) ?? 0 }, now)
    return { held: outcome.messages.length > 0, wake: word.op !== Op.extend && outcome.wake.size > 0 }
  }

  const perform = ({ claims, finishes, pushes }: Work) =>
    sync((now) => ({
      pushed: pushes.map((messages) => {
        let last = queue.last
        return say({ _tag: "Push", messages }, now).messages.map((stored, index) => {
          const isFresh = stored.seq > last
          last = Math.max(last, stored.seq)
          return {
            message: isFresh
              ? pushedMessage(mark, messages[index]!, stored.seq, stored.createdAt, stored.scheduledAt)
              : toMessage(mark, stored),
            wake: stored.state === State.ready || stored.state === State.scheduled
          }
        })
      }),
      finished: finishes.map((word) => finish(word, now)),
      claimed: claims.map((claim) =>
        say({ _tag: "Claim", ...claim, token: nextToken }, now).messages
          .map((stored) => toDelivery(mark, stored) as Message.Delivery)
      )
    }))

  const mine = (node: string | undefined) => (message: Stored): boolean =>
    node === undefined || message.source === node || message.destination === node

  const store: Store = {
    grouped: true,
    perform,
    performWithin: perform,
    transactionKey: undefined,
    afterCommit: (effect) => effect,
    poll: (nodes) =>
      sync((now) => {
        while (say({ _tag: "Sweep", limit: 1000 }, now).messages.length === 1000);
        const next = Sorted.first(queue.due)
        const due = next === undefined ? undefined : Sorted.get(queue.messages, Transition.messageKey(next[1]))
        return {
          nodes: nodes.filter((node) => Sorted.first(queue.ready, `${node}\0`) !== undefined),
          due: due === undefined ? undefined : due.dueAt! - now
        }
      }),
    get: (id, node) =>
      Effect.sync(() => {
        const message = find(id)
        return message !== undefined && mine(node)(message) ? toMessage(mark, message) : undefined
      }),
    list: ({ after, limit, node, states }) =>
      Effect.sync(() => {
        const page: Array<Stored> = []
        for (const [, message] of Sorted.from(queue.messages, Transition.messageKey(after + 1))) {
          if (page.length === limit) break
          if (mine(node)(message) && (states === undefined || states.includes(message.state))) page.push(message)
        }
        return {
          messages: page.map((message) => toMessage(mark, message)),
          ...(page.length < limit ? {} : { next: page[page.length - 1]!.seq })
        }
      }),
    update: (id, payload, source) =>
      sync((now) => {
        const seq = seqOf(mark, id)
        if (seq === undefined) return undefined
        const [message] = say({ _tag: "Update", seq, payload, source }, now).messages
        return message === undefined ? undefined : toMessage(mark, message)
      }),
    remove: (id, source, all) =>
      sync((now) => changed(say({ _tag: "Remove", seqs: [seqOf(mark, id) ?? 0], source, all }, now))),
    reschedule: (id, at, node) =>
      sync((now) => {
        const [message] = say({ _tag: "Reschedule", seq: seqOf(mark, id) ?? 0, at, node }, now).messages
        return message === undefined ? undefined : { message: toMessage(mark, message), left: Math.max(0, at - now) }
      }),
    last: Effect.sync(() => queue.last),
    removeSlice: ({ after, all, limit, source, upTo }) =>
      sync((now) => {
        const seqs: Array<number> = []
        for (const [, { seq }] of Sorted.from(queue.messages, Transition.messageKey(after + 1))) {
          if (seq > upTo || seqs.length === limit) break
          seqs.push(seq)
        }
        return {
          ...changed(say({ _tag: "Remove", seqs, source, all }, now)),
          next: seqs.length < limit ? undefined : seqs[seqs.length - 1]
        }
      }),
    redrive: (ids, destination) =>
      sync((now) => {
        const seqs = Array.from(new Set(ids.map((id) => seqOf(mark, id) ?? 0)))
        return changed(say({ _tag: "Redrive", seqs, destination }, now))
      }),
    redriveSlice: ({ before, limit, node }) =>
      sync((now) => {
        const time = before ?? now
        const seqs: Array<number> = []
        for (const [, seq] of Sorted.startingWith(queue.finished, String(State.dead))) {
          const message = Sorted.get(queue.messages, Transition.messageKey(seq))!
          if (seqs.length === limit || message.finishedAt! > time) break
          if (node === undefined || message.destination === node) seqs.push(seq)
        }
        return {
          ...changed(say({ _tag: "Redrive", seqs, destination: node }, now)),
          next: seqs.length < limit ? undefined : time
        }
      }),
    counts: (node) =>
      Effect.sync(() => {
        const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
        for (const [, message] of Sorted.from(queue.messages, "")) {
          if (node === undefined || message.destination === node) counts[statusOf(message.state)]++
        }
        return counts
      }),
    prune: (state, retention, limit) =>
      sync((now) => say({ _tag: "Prune", state, retention, limit }, now).messages.length)
  }
  return store
})
