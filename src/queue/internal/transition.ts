/**
 * @internal The machine: what each word does to the messages, as one function without effects. It keeps the messages of
 * the queue in memory, and it is what the stores on SQL are held against.
 *
 * | state            | word                                                   | next                                   |
 * | ---------------- | ------------------------------------------------------ | -------------------------------------- |
 * | none             | push                                                   | ready, or scheduled until its time     |
 * | ready            | claim                                                  | processing, one try more               |
 * | scheduled        | its time comes (sweep, claim)                          | ready                                  |
 * | processing       | ack                                                    | processed                              |
 * | processing       | nack, and the lease runs out (sweep, claim)            | ready, scheduled; dead after its tries |
 * | processing       | reject                                                 | dead                                   |
 * | processing       | release                                                | ready, scheduled; one try less         |
 * | ready, scheduled | update, remove                                         | the same with another payload; none    |
 * | ready, scheduled | reschedule                                             | scheduled until its time, ready        |
 * | dead             | redrive; reschedule                                    | ready, no tries; scheduled             |
 * | all              | remove of any                                          | none                                   |
 * | processed, dead  | prune                                                  | none                                   |
 *
 * Of the unfinished messages of one node with one ordering key, the one that is processing, else the oldest, is free; all
 * others are blocked (`readyBlocked`, `scheduledBlocked`). A dead one that stops its key has its place among them: while it is
 * dead, those after it are blocked.
 */
import * as Sorted from "./sorted.ts"
import { type Encoded, leaseRanOut, type NewMessage, Op, State, type Stored } from "./store.ts"

/** Everything the queue knows. */
export interface Queue {
  /** The highest number given out. */
  readonly last: number
  /** All messages by their number. */
  readonly messages: Sorted.Sorted<Stored>
  /** What can be claimed: by node, priority, number. */
  readonly ready: Sorted.Sorted<number>
  /** What has a time: by that, and number. */
  readonly due: Sorted.Sorted<number>
  /** What is unfinished of an ordering key, or stops it: by node, key, state, number. */
  readonly ordered: Sorted.Sorted<number>
  /** What is finished: by state, time, number. */
  readonly finished: Sorted.Sorted<number>
  /** By node and deduplication key: who has it, and until when. */
  readonly deduplication: Sorted.Sorted<{ readonly seq: number; readonly until: number }>
}

export const empty: Queue = {
  last: 0,
  messages: undefined,
  ready: undefined,
  due: undefined,
  ordered: undefined,
  finished: undefined,
  deduplication: undefined
}

export type Word =
  | { readonly _tag: "Push"; readonly messages: ReadonlyArray<NewMessage> }
  | {
    readonly _tag: "Claim"
    readonly node: string
    readonly max: number
    readonly lease: number | null
    readonly token: () => string
  }
  | {
    readonly _tag: "Finish"
    readonly op: Op
    readonly seq: number
    readonly destination: string
    readonly token: string | null
    readonly millis: number | null
    readonly cause: string | null
  }
  | { readonly _tag: "Sweep"; readonly limit: number }
  | {
    readonly _tag: "Update"
    readonly seq: number
    readonly payload: Encoded
    readonly source: string | undefined
  }
  | {
    readonly _tag: "Remove"
    readonly seqs: ReadonlyArray<number>
    readonly source: string | undefined
    /** Not only what waits. */
    readonly all: boolean
  }
  | {
    readonly _tag: "Reschedule"
    readonly seq: number
    readonly at: number
    /** The source of what waits, the destination of what is dead. */
    readonly node: string | undefined
  }
  | { readonly _tag: "Redrive"; readonly seqs: ReadonlyArray<number>; readonly destination: string | undefined }
  | {
    readonly _tag: "Prune"
    readonly state: typeof State.processed | typeof State.dead
    readonly retention: number
    readonly limit: number
  }

/** What came of a word: the messages it was about, as they are now, and the nodes with something new to pull. */
export interface Outcome {
  readonly queue: Queue
  readonly messages: ReadonlyArray<Stored>
  readonly wake: ReadonlySet<string>
}

const number = (value: number): string => value.toString(16).padStart(14, "0")
/** Before 1970 comes before after it. */
const time = (millis: number): string => number(millis + 8_640_000_000_000_000)

export const messageKey = number
const readyKey = (message: Stored): string =>
  `${message.destination}\0${number(32_768 - message.priority)}${number(message.seq)}`
const dueKey = (message: Stored): string => `${time(message.dueAt!)}${number(message.seq)}`
const orderedKey = (message: Stored): string =>
  `${message.destination}\0${message.orderingKey}\0${message.state}${number(message.seq)}`
const finishedKey = (message: Stored): string => `${message.state}${time(message.finishedAt!)}${number(message.seq)}`
const deduplicationKey = (destination: string, key: string): string => `${destination}\0${key}`

/** Pending or scheduled: not in anybody's hands, and not done with. */
const isWaiting = (message: Stored): boolean => message.state < State.processing
/** Of what waits: whether it waits for another of its key. */
const isBlocked = (message: Stored): boolean => message.state % 2 === 1
const isFinished = (message: Stored): boolean => message.state > State.processing
/** Whether it has a place in the order of a key. */
const isOrdered = (message: Stored): boolean =>
  message.orderingKey !== null && (!isFinished(message) || isStopping(message))
/** Whether its key is stopped by it. */
const isStopping = (message: Stored): boolean => message.stopKey && message.state === State.dead
type Writable<A> = { -readonly [K in keyof A]: A[K] }

/** A queue on its way to the next: its own until it is handed out. */
interface Draft extends Writable<Queue> {
  wake: Set<string>
}

const unplace = (draft: Draft, message: Stored): void => {
  if (message.state === State.ready) draft.ready = Sorted.remove(draft.ready, readyKey(message))
  if (message.dueAt !== null) draft.due = Sorted.remove(draft.due, dueKey(message))
  if (isFinished(message)) draft.finished = Sorted.remove(draft.finished, finishedKey(message))
  if (isOrdered(message)) draft.ordered = Sorted.remove(draft.ordered, orderedKey(message))
}

const place = (draft: Draft, message: Stored): Stored => {
  draft.messages = Sorted.set(draft.messages, number(message.seq), message)
  if (message.state === State.ready) {
    draft.ready = Sorted.set(draft.ready, readyKey(message), message.seq)
    draft.wake.add(message.destination)
  }
  if (message.state === State.scheduled) draft.wake.add(message.destination)
  if (message.dueAt !== null) draft.due = Sorted.set(draft.due, dueKey(message), message.seq)
  if (isFinished(message)) draft.finished = Sorted.set(draft.finished, finishedKey(message), message.seq)
  if (isOrdered(message)) draft.ordered = Sorted.set(draft.ordered, orderedKey(message), message.seq)
  return message
}

const change = (draft: Draft, message: Stored, fields: Partial<Stored>): Stored => {
  unplace(draft, message)
  return place(draft, { ...message, ...fields })
}

const known = (draft: Queue, seq: number): Stored | undefined => Sorted.get(draft.messages, number(seq))

const forget = (draft: Draft, message: Stored): void => {
  unplace(draft, message)
  draft.messages = Sorted.remove(draft.messages, number(message.seq))
  if (message.deduplicationKey === null) return
  const key = deduplicationKey(message.destination, message.deduplicationKey)
  if (Sorted.get(draft.deduplication, key)?.seq === message.seq) {
    draft.deduplication = Sorted.remove(draft.deduplication, key)
  }
}

/** The first of an ordering key in a state. */
const firstOf = (draft: Draft, destination: string, key: string, state: number): Stored | undefined => {
  const found = Sorted.first(draft.ordered, `${destination}\0${key}\0${state}`)
  return found === undefined ? undefined : known(draft, found[1])
}

/** Frees the one message of an ordering key that may be delivered, and blocks all others. */
const arrange = (draft: Draft, { destination, orderingKey: key }: Stored): void => {
  if (key === null || firstOf(draft, destination, key, State.processing) !== undefined) return
  const of = (state: number) => firstOf(draft, destination, key, state)
  const free = of(State.ready) ?? of(State.scheduled)
  const blocked = [of(State.readyBlocked), of(State.scheduledBlocked)].filter((message) => message !== undefined)
    .sort((a, b) => a.seq - b.seq)[0]
  if (blocked === undefined || (free !== undefined && free.seq < blocked.seq)) return
  const stop = of(State.dead)
  if (stop !== undefined && stop.seq < blocked.seq) return
  if (free !== undefined) change(draft, free, { state: free.state + 1 })
  change(draft, blocked, { state: blocked.state - 1 })
}

/** Whether something of its key is unfinished, or stops it. */
const isBehind = (draft: Draft, { destination, orderingKey }: Pick<Stored, "destination" | "orderingKey">): boolean =>
  orderingKey !== null && Sorted.first(draft.ordered, `${destination}\0${orderingKey}\0`) !== undefined

const push = (draft: Draft, entry: NewMessage, now: number): Stored => {
  const { deduplicationKey: key, destination, orderingKey } = entry
  if (key !== null) {
    const earlier = Sorted.get(draft.deduplication, deduplicationKey(destination, key))
    const message = earlier !== undefined && earlier.until > now ? known(draft, earlier.seq) : undefined
    if (message !== undefined) return message
  }
  const due = entry.at ?? (entry.delay === null ? null : now + entry.delay)
  const later = due !== null && due > now
  const behind = isBehind(draft, entry)
  const seq = ++draft.last
  if (key !== null) {
    draft.deduplication = Sorted.set(draft.deduplication, deduplicationKey(destination, key), {
      seq,
      until: now + entry.deduplicationWindow
    })
  }
  return place(draft, {
    seq,
    formerId: null,
    source: entry.source,
    destination,
    topic: entry.topic,
    priority: entry.priority,
    orderingKey,
    deduplicationKey: key,
    stopKey: entry.stopKey,
    maxTries: entry.maxTries,
    headers: entry.headers,
    payloadType: entry.payload.type,
    payloadKind: entry.payload.kind,
    payload: entry.payload.data,
    createdAt: now,
    updatedAt: null,
    scheduledAt: due,
    state: (later ? State.scheduled : State.ready) + (behind ? 1 : 0),
    tries: 0,
    dueAt: later ? due : null,
    token: null,
    processingAt: null,
    finishedAt: null,
    errorAt: null,
    error: null
  })
}

const sweep = (draft: Draft, limit: number, now: number): Array<Stored> => {
  const swept: Array<Stored> = []
  for (let top = Sorted.first(draft.due); top !== undefined && swept.length < limit; top = Sorted.first(draft.due)) {
    const message = known(draft, top[1])!
    if (message.dueAt! > now) break
    swept.push(change(draft, message, afterTime(message, now)))
    arrange(draft, message)
  }
  return swept
}

/** What a holder's word is about, and what it says. */
type Held = Pick<Stored, "state" | "destination" | "token" | "dueAt" | "tries" | "maxTries" | "error">
type Said = Pick<Extract<Word, { readonly _tag: "Finish" }>, "op" | "destination" | "token" | "millis" | "cause">

/** What a holder's word changes, or `undefined` when it is no holder's. */
export const verdict = (message: Held, word: Said, now: number): Partial<Stored> | undefined => {
  if (
    message.state !== State.processing || message.destination !== word.destination ||
    (word.token !== null && (message.token !== word.token || (message.dueAt !== null && message.dueAt <= now)))
  ) return undefined
  const after = word.millis === null ? null : now + word.millis
  if (word.op === Op.extend) return { dueAt: after }
  const state = word.op === Op.ack
    ? State.processed
    : word.op === Op.reject || (word.op === Op.nack && message.tries >= message.maxTries)
    ? State.dead
    : word.millis !== null && word.millis > 0
    ? State.scheduled
    : State.ready
  return {
    state,
    token: null,
    dueAt: state === State.scheduled ? after : null,
    tries: word.op === Op.release ? message.tries - 1 : message.tries,
    finishedAt: state > State.processing ? now : null,
    ...(word.op === Op.nack || word.op === Op.reject ? { errorAt: now, error: word.cause ?? message.error } : {})
  }
}

/** What becomes of a message whose time has come. */
export const afterTime = (message: Pick<Stored, "state" | "tries" | "maxTries">, now: number): Partial<Stored> => {
  if (message.state !== State.processing) return { state: message.state - 2, dueAt: null }
  const dead = message.tries >= message.maxTries
  return {
    state: dead ? State.dead : State.ready,
    dueAt: null,
    token: null,
    errorAt: now,
    error: leaseRanOut,
    finishedAt: dead ? now : null
  }
}

const finish = (draft: Draft, word: Extract<Word, { readonly _tag: "Finish" }>, now: number): Stored | undefined => {
  const message = known(draft, word.seq)
  const fields = message === undefined ? undefined : verdict(message, word, now)
  if (fields === undefined) return undefined
  const next = change(draft, message!, fields)
  arrange(draft, message!)
  return next
}

/** The order in which messages are pulled. */
export const byTurn = (a: Stored, b: Stored): number => b.priority - a.priority || a.seq - b.seq

const step = (draft: Draft, word: Word, now: number): ReadonlyArray<Stored> => {
  switch (word._tag) {
    case "Push":
      return word.messages.map((message) => push(draft, message, now))
    case "Claim": {
      const taken: Array<Stored> = []
      const take = (): void => {
        while (taken.length < word.max) {
          const top = Sorted.first(draft.ready, `${word.node}\0`)
          if (top === undefined) return
          const message = known(draft, top[1])!
          taken.push(change(draft, message, {
            state: State.processing,
            tries: message.tries + 1,
            processingAt: now,
            token: word.token(),
            dueAt: word.lease === null ? null : now + word.lease
          }))
        }
      }
      take()
      // What is due is looked for when the rest was not enough.
      if (taken.length < word.max && sweep(draft, 1000, now).length > 0) take()
      return taken.sort(byTurn)
    }
    case "Finish": {
      const message = finish(draft, word, now)
      return message === undefined ? [] : [message]
    }
    case "Sweep":
      return sweep(draft, word.limit, now)
    case "Update": {
      const message = known(draft, word.seq)
      if (message === undefined || !isWaiting(message)) return []
      if (word.source !== undefined && message.source !== word.source) return []
      return [change(draft, message, {
        payload: word.payload.data,
        payloadKind: word.payload.kind,
        updatedAt: now
      })]
    }
    case "Remove": {
      const removed = word.seqs.map((seq) => known(draft, seq)).filter((message) =>
        message !== undefined && (word.all || isWaiting(message)) &&
        (word.source === undefined || message.source === word.source)
      ) as Array<Stored>
      for (const message of removed) forget(draft, message)
      for (const message of removed) arrange(draft, message)
      return removed
    }
    case "Reschedule": {
      const message = known(draft, word.seq)
      if (message === undefined || !(isWaiting(message) || message.state === State.dead)) return []
      const isDead = message.state === State.dead
      if (word.node !== undefined && word.node !== (isDead ? message.destination : message.source)) return []
      const later = word.at > now
      const behind = isDead ? isBehind(draft, message) : isBlocked(message)
      change(draft, message, {
        state: (later ? State.scheduled : State.ready) + (behind ? 1 : 0),
        dueAt: later ? word.at : null,
        scheduledAt: word.at,
        ...(isDead ? { tries: 0, finishedAt: null } : {})
      })
      arrange(draft, message)
      return [known(draft, word.seq)!]
    }
    case "Redrive": {
      const dead = word.seqs.map((seq) => known(draft, seq)).filter((message) =>
        message !== undefined && message.state === State.dead &&
        (word.destination === undefined || message.destination === word.destination)
      ) as Array<Stored>
      return dead.map((message) => {
        const behind = isBehind(draft, message)
        change(draft, message, { state: behind ? State.readyBlocked : State.ready, tries: 0, finishedAt: null })
        arrange(draft, message)
        return message
      })
    }
    case "Prune": {
      const pruned: Array<Stored> = []
      for (const [, seq] of Sorted.startingWith(draft.finished, String(word.state))) {
        const message = known(draft, seq)!
        if (pruned.length === word.limit || message.finishedAt! > now - word.retention) break
        if (isStopping(message)) continue
        const key = message.deduplicationKey
        const kept = key !== null && Sorted.get(draft.deduplication, deduplicationKey(message.destination, key))
        if (kept && kept.seq === seq && kept.until > now) continue
        pruned.push(message)
      }
      for (const message of pruned) forget(draft, message)
      return pruned
    }
  }
}

/** What a word does at this time (epoch milliseconds). The queue that was given stays as it is. */
export const transition = (queue: Queue, word: Word, now: number): Outcome => {
  const draft: Draft = { ...queue, wake: new Set() }
  const messages = step(draft, word, now)
  const { wake, ...next } = draft
  return { queue: next, messages, wake }
}
