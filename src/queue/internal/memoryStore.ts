/**
 * @internal Messages in the memory of this process, by the rules of the tables in `sqlSchema`. The `Clock` decides.
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Message from "../Message.ts"
import { makeHeap } from "./heap.ts"
import { makeTokens } from "./ids.ts"
import { decodePayload } from "./payload.ts"
import { type Encoded, type Finish, type Finished, type NewMessage, Op, State, statusOf, type Store } from "./store.ts"

interface Stored {
  readonly seq: number
  readonly new: NewMessage
  readonly createdAt: number
  payload: Encoded
  state: number
  tries: number
  dueAt: number | undefined
  lease: string | undefined
  deduplicationUntil: number | undefined
  updatedAt: number | undefined
  scheduledAt: number | undefined
  processingAt: number | undefined
  processedAt: number | undefined
  errorAt: number | undefined
  error: string | undefined
}

/** Heaps hold what was true once: a message that has moved on is skipped when it comes to the top. */
const makeNode = () => ({
  ready: makeHeap<Stored>((a, b) =>
    a.new.priority > b.new.priority || (a.new.priority === b.new.priority && a.seq < b.seq)
  ),
  due: makeHeap<{ readonly at: number; readonly message: Stored }>((a, b) => a.at < b.at),
  /** Unfinished messages by their ordering key, in order. */
  ordered: new Map<string, Array<Stored>>(),
  deduplication: new Map<string, Stored>()
})

type Node = ReturnType<typeof makeNode>

export const makeMemoryStore: Effect.Effect<Store> = Effect.sync(() => {
  let lastSeq = 0
  const nextToken = makeTokens()
  const messages = new Map<string, Stored>()
  const nodes = new Map<string, Node>()

  const nodeOf = (name: string): Node => {
    const known = nodes.get(name)
    if (known !== undefined) return known
    const node = makeNode()
    nodes.set(name, node)
    return node
  }

  const sync = <A>(f: (now: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, f)

  /** Puts a message where it can be found, after its state has changed. */
  const place = (message: Stored): void => {
    const node = nodeOf(message.new.destination)
    if (message.state === State.ready) node.ready.push(message)
    if ((message.state === State.scheduled || message.state === State.processing) && message.dueAt !== undefined) {
      node.due.push({ at: message.dueAt, message })
    }
  }

  /** Takes a finished or removed message out of its order, and makes ready the first that is left. */
  const leaveOrder = (message: Stored): boolean => {
    const key = message.new.orderingKey
    if (key === null) return false
    const { ordered } = nodeOf(message.new.destination)
    const rest = (ordered.get(key) ?? []).filter((other) => other !== message)
    if (rest.length === 0) ordered.delete(key)
    else ordered.set(key, rest)
    return unblock(rest)
  }

  const unblock = (ordered: ReadonlyArray<Stored>): boolean => {
    const head = ordered[0]
    if (head === undefined || !isBlocked(head) || ordered.some((message) => !isBlocked(message))) return false
    head.state -= 1
    place(head)
    return true
  }

  const push = (entry: NewMessage, now: number): Stored => {
    const node = nodeOf(entry.destination)
    if (entry.deduplicationKey !== null) {
      const known = node.deduplication.get(entry.deduplicationKey)
      if (known !== undefined && known.deduplicationUntil! > now) return known
    }
    const due = entry.at ?? (entry.delay === null ? undefined : now + entry.delay)
    const later = due !== undefined && due > now
    const before = entry.orderingKey === null ? undefined : node.ordered.get(entry.orderingKey)
    const message: Stored = {
      seq: ++lastSeq,
      new: entry,
      createdAt: now,
      payload: entry.payload,
      state: (later ? State.scheduled : State.ready) + (before === undefined ? 0 : 1),
      tries: 0,
      dueAt: later ? due : undefined,
      lease: undefined,
      deduplicationUntil: entry.deduplicationKey === null ? undefined : now + entry.deduplicationWindow,
      updatedAt: undefined,
      scheduledAt: due,
      processingAt: undefined,
      processedAt: undefined,
      errorAt: undefined,
      error: undefined
    }
    messages.set(entry.id, message)
    if (entry.deduplicationKey !== null) node.deduplication.set(entry.deduplicationKey, message)
    if (entry.orderingKey !== null) node.ordered.set(entry.orderingKey, [...(before ?? []), message])
    place(message)
    return message
  }

  const promote = (node: Node, now: number): void => {
    for (let top = node.due.peek(); top !== undefined && top.at <= now; top = node.due.peek()) {
      node.due.pop()
      const { message } = top
      if (message.dueAt !== top.at || !messages.has(message.new.id)) continue
      if (message.state === State.processing) {
        message.error = "the lease ran out"
        message.errorAt = now
        message.lease = undefined
        message.state = message.tries >= message.new.maxTries ? State.dead : State.ready
      } else if (message.state === State.scheduled) message.state = State.ready
      else continue
      message.dueAt = undefined
      if (message.state === State.dead) leaveOrder(message)
      place(message)
    }
  }

  const claim = (name: string, max: number, lease: number | null, now: number): ReadonlyArray<Message.Delivery> => {
    const node = nodes.get(name)
    if (node === undefined) return []
    promote(node, now)
    const taken: Array<Message.Delivery> = []
    const token = nextToken()
    while (taken.length < max) {
      const message = node.ready.pop()
      if (message === undefined) break
      if (message.state !== State.ready || !messages.has(message.new.id)) continue
      message.state = State.processing
      message.tries += 1
      message.processingAt = now
      message.lease = token
      message.dueAt = lease === null ? undefined : now + lease
      place(message)
      taken.push({
        ...toMessage(message),
        lease: { token, ...(message.dueAt === undefined ? {} : { expiresAt: DateTime.makeUnsafe(message.dueAt) }) }
      })
    }
    return taken
  }

  const finish = (word: Finish, now: number): Finished => {
    const message = messages.get(word.id.toLowerCase())
    if (
      message === undefined || message.state !== State.processing || message.new.destination !== word.destination ||
      (word.token !== null && (message.lease !== word.token || (message.dueAt !== undefined && message.dueAt <= now)))
    ) return { held: false, wake: false }
    const after = word.millis === null ? undefined : now + word.millis
    if (word.op === Op.extend) {
      message.dueAt = after
      place(message)
      return { held: true, wake: false }
    }
    message.lease = undefined
    message.dueAt = undefined
    if (word.op === Op.nack || word.op === Op.reject) {
      message.errorAt = now
      message.error = word.cause ?? message.error
    }
    switch (word.op) {
      case Op.ack:
        message.state = State.processed
        message.processedAt = now
        break
      case Op.reject:
        message.state = State.dead
        break
      case Op.release:
        message.state = State.ready
        message.tries -= 1
        break
      case Op.nack:
        message.state = message.tries >= message.new.maxTries
          ? State.dead
          : word.millis! > 0
          ? State.scheduled
          : State.ready
        if (message.state === State.scheduled) message.dueAt = message.scheduledAt = after
    }
    const finished = message.state === State.processed || message.state === State.dead
    const unblocked = finished && leaveOrder(message)
    place(message)
    return { held: true, wake: unblocked || !finished }
  }

  const forget = (message: Stored): void => {
    messages.delete(message.new.id)
    const key = message.new.deduplicationKey
    const node = nodeOf(message.new.destination)
    if (key !== null && node.deduplication.get(key) === message) node.deduplication.delete(key)
  }

  const redrive = (message: Stored): void => {
    message.tries = 0
    const { destination, orderingKey } = message.new
    if (orderingKey === null) {
      message.state = State.ready
      return place(message)
    }
    message.state = State.readyBlocked
    const { ordered } = nodeOf(destination)
    const all = [...(ordered.get(orderingKey) ?? []), message].sort((a, b) => a.seq - b.seq)
    ordered.set(orderingKey, all)
    unblock(all)
  }

  const mine = (node: string | undefined) => (message: Stored): boolean =>
    node === undefined || message.new.source === node || message.new.destination === node

  const self: Store = {
    grouped: false,
    atomically: (work) => work(self),
    inTransaction: Effect.succeed(false),
    afterCommit: (effect) => effect,
    push: (entries) =>
      sync((now) =>
        entries.map((entry) => {
          const message = push(entry, now)
          return { message: toMessage(message), wake: !isBlocked(message) }
        })
      ),
    claim: (node, max, lease) => sync((now) => claim(node, max, lease, now)),
    finish: (words) => sync((now) => words.map((word) => finish(word, now))),
    nextDue: (name) =>
      sync((now) => {
        const due = nodes.get(name)?.due
        for (let top = due?.peek(); top !== undefined; top = due?.peek()) {
          if (top.message.dueAt === top.at && messages.has(top.message.new.id)) return top.at - now
          due?.pop()
        }
        return undefined
      }),
    get: (id, node) =>
      Effect.sync(() => {
        const message = messages.get(id)
        return message !== undefined && mine(node)(message) ? toMessage(message) : undefined
      }),
    list: ({ after, limit, node, states }) =>
      Effect.sync(() => {
        const page: Array<Stored> = []
        for (const message of messages.values()) {
          if (page.length === limit) break
          if (message.seq > after && mine(node)(message) && (states === undefined || states.includes(message.state))) {
            page.push(message)
          }
        }
        return {
          messages: page.map(toMessage),
          ...(page.length < limit ? {} : { cursor: String(page[page.length - 1]!.seq) })
        }
      }),
    update: (id, payload, node) =>
      sync((now) => {
        const message = messages.get(id)
        if (message === undefined || !isWaiting(message) || (node !== undefined && message.new.source !== node)) {
          return undefined
        }
        message.payload = { ...payload, type: message.payload.type }
        message.updatedAt = now
        return toMessage(message)
      }),
    remove: ({ id, node }) =>
      Effect.sync(() => {
        const one = id === undefined ? undefined : messages.get(id)
        const some = id === undefined ? Array.from(messages.values()) : one === undefined ? [] : [one]
        const removed = some.filter((message) =>
          isWaiting(message) && (node === undefined || message.new.source === node)
        )
        removed.forEach(forget)
        const wake = new Set<string>()
        for (const message of removed) if (leaveOrder(message)) wake.add(message.new.destination)
        return { count: removed.length, wake: Array.from(wake) }
      }),
    clear: Effect.sync(() => {
      const count = messages.size
      messages.clear()
      nodes.clear()
      return count
    }),
    redrive: ({ ids, node }) =>
      Effect.sync(() => {
        const wanted = ids === undefined ? undefined : new Set(ids)
        const dead = Array.from(messages.values()).filter((message) =>
          message.state === State.dead && (node === undefined || message.new.destination === node) &&
          (wanted === undefined || wanted.has(message.new.id))
        )
        dead.forEach(redrive)
        return { count: dead.length, wake: Array.from(new Set(dead.map((message) => message.new.destination))) }
      }),
    counts: (node) =>
      Effect.sync(() => {
        const counts = { pending: 0, scheduled: 0, processing: 0, processed: 0, dead: 0 }
        for (const message of messages.values()) {
          if (node === undefined || message.new.destination === node) counts[statusOf(message.state)]++
        }
        return counts
      }),
    prune: (retention, limit) =>
      sync((now) => {
        let count = 0
        for (const message of messages.values()) {
          if (count === limit) break
          if (message.state !== State.processed || message.processedAt! > now - retention) continue
          if (message.deduplicationUntil !== undefined && message.deduplicationUntil > now) continue
          forget(message)
          count++
        }
        return count
      })
  }
  return self
})

const isBlocked = (message: Stored): boolean =>
  message.state === State.readyBlocked || message.state === State.scheduledBlocked

/** Pending or scheduled: not in anybody's hands, and not done with. */
const isWaiting = (message: Stored): boolean => message.state < State.processing

const at = <K extends string>(key: K, millis: number | undefined): { readonly [P in K]?: DateTime.Utc } =>
  (millis === undefined ? {} : { [key]: DateTime.makeUnsafe(millis) }) as { readonly [P in K]?: DateTime.Utc }

const toMessage = (message: Stored): Message.Message => ({
  id: message.new.id,
  source: message.new.source,
  destination: message.new.destination,
  status: statusOf(message.state),
  tries: message.tries,
  maxTries: message.new.maxTries,
  priority: message.new.priority,
  payload: decodePayload(message.payload.kind, message.payload.bytes),
  payloadType: message.payload.type,
  createdAt: DateTime.makeUnsafe(message.createdAt),
  ...(message.new.topic === null ? {} : { topic: message.new.topic }),
  ...(message.new.orderingKey === null ? {} : { orderingKey: message.new.orderingKey }),
  ...(message.new.deduplicationKey === null ? {} : { deduplicationKey: message.new.deduplicationKey }),
  ...at("updatedAt", message.updatedAt),
  ...at("scheduledAt", message.scheduledAt),
  ...at("processingAt", message.processingAt),
  ...at("processedAt", message.processedAt),
  ...at("errorAt", message.errorAt),
  ...(message.error === undefined ? {} : { error: message.error })
})
