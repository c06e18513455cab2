/**
 * @internal A store made a queue: calls are checked, gathered in lanes, and those who wait sit in rooms.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Held, MessageQueue, Options } from "../MessageQueue.ts"
import { fail, LeaseLost, MessageNotFound, type MessageQueueError } from "../MessageQueueError.ts"
import { QueueSignal } from "../QueueSignal.ts"
import { makeIds } from "./ids.ts"
import { makeLanes } from "./lanes.ts"
import { makeRooms } from "./rooms.ts"
import { type Finish, Op, type Pushed, statesOf, type Store } from "./store.ts"
import { traced } from "./traced.ts"
import * as Validate from "./validate.ts"

type Service = MessageQueue["Service"]

export const makeEngine = Effect.fnUntraced(function*(
  store: Store,
  options: Options
): Effect.fn.Return<Service, never, Scope.Scope> {
  const settings = yield* Effect.orDie(Effect.all({
    node: Validate.checkNode("node", options.node ?? "0"),
    lease: Validate.checkDuration("lease", options.lease ?? "30 minutes"),
    poll: Validate.checkDuration("pollInterval", options.pollInterval ?? "500 millis"),
    retention: Validate.checkDuration("retention", options.retention ?? "1 day"),
    retentionInterval: Validate.checkDuration("retentionInterval", options.retentionInterval ?? "1 minute")
  }))
  const maxPayload = options.maxPayload ?? 1_048_576
  const defaults = { node: settings.node, maxTries: options.maxTries ?? 20, maxPayload }
  const nextId = makeIds()

  const hints = yield* makeHints((node) => rooms.wake(node))
  const wake = (nodes: Iterable<string>): void => {
    for (const node of nodes) {
      rooms.wake(node)
      hints(node)
    }
  }
  const wakePushed = (pushed: ReadonlyArray<Pushed>): void =>
    wake(new Set(pushed.flatMap((one) => one.wake ? [one.message.destination] : [])))

  const rooms = yield* makeRooms({
    store,
    pollInterval: settings.poll ?? 500,
    requestClaim: () => lanes.claim(),
    release: (deliveries) =>
      Effect.ignore(Effect.forEach(deliveries, (delivery) => finish(Op.release, delivery, null, null), {
        concurrency: "unbounded",
        discard: true
      }))
  })
  const lanes = yield* makeLanes(store, {
    takeClaims: rooms.takeClaims,
    onPushed: wakePushed,
    onFinished: (finish, finished) => {
      if (finished.wake) wake([finish.destination])
    }
  })
  yield* Effect.addFinalizer(() => Effect.sync(rooms.close))

  const { retention, retentionInterval } = settings
  if (retention !== null && retentionInterval !== null) {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(retentionInterval),
      pruneAll(store, retention)
    )))
  }

  const pushMany: Service["pushMany"] = Effect.fnUntraced(function*(entries) {
    const now = yield* Clock.currentTimeMillis
    const messages = yield* Effect.forEach(entries, (entry) => Validate.checkEntry(entry, nextId(now), defaults))
    if (messages.length === 0) return []
    if (yield* store.inTransaction) {
      const pushed = yield* store.push(messages)
      yield* store.afterCommit(Effect.sync(() => wakePushed(pushed)))
      return pushed.map((one) => one.message)
    }
    return (yield* lanes.push(messages)).map((one) => one.message)
  })

  const pullMany: Service["pullMany"] = Effect.fnUntraced(function*(node, pull) {
    yield* Validate.checkNode("node", node)
    const max = yield* Validate.checkLimit("max", pull?.max, 10)
    const lease = pull?.lease === undefined ? settings.lease : yield* Validate.checkDuration("lease", pull.lease)
    const wait = pull?.wait === undefined ? 0 : (yield* Validate.checkDuration("wait", pull.wait)) ?? Infinity
    if (yield* store.inTransaction) return yield* store.claim(node, max, lease)
    return yield* rooms.pull({ node, max, lease, wait })
  })

  const finish = Effect.fnUntraced(function*(
    op: Finish["op"],
    held: Held,
    millis: number | null,
    cause: string | null
  ): Effect.fn.Return<void, MessageQueueError> {
    const word: Finish = {
      op,
      id: held.id,
      destination: held.destination,
      token: held.lease?.token ?? null,
      millis,
      cause
    }
    if (!Validate.isMessageId(word.id)) return yield* fail(new LeaseLost({ id: String(word.id) }))
    yield* Validate.checkNode("destination", word.destination)
    if (yield* store.inTransaction) {
      const [finished] = yield* store.finish([word])
      if (finished?.held !== true) return yield* fail(new LeaseLost({ id: word.id }))
      if (finished.wake) yield* store.afterCommit(Effect.sync(() => wake([word.destination])))
      return
    }
    if (!(yield* lanes.finish(word)).held) return yield* fail(new LeaseLost({ id: word.id }))
  })

  const checkOwn = (node: string | undefined) =>
    node === undefined ? Effect.succeed(undefined) : Validate.checkNode("node", node)

  /** Ids are compared in lower case, as they are made; what is no id is nobody's. */
  const named = (id: string): string => Validate.isMessageId(id) ? id.toLowerCase() : ""

  const changed = Effect.fnUntraced(function*(
    change: Effect.Effect<{ readonly count: number; readonly wake: ReadonlyArray<string> }, MessageQueueError>
  ) {
    const { count, wake: nodes } = yield* change
    if (nodes.length > 0) yield* store.afterCommit(Effect.sync(() => wake(nodes)))
    return count
  })

  return traced({
    push: (destination, payload, push) =>
      Effect.map(pushMany([{ ...push, destination, payload }]), (messages) => messages[0]!),
    pushMany,
    pull: (node, pull) =>
      Effect.map(pullMany(node, { ...pull, max: 1 }), (deliveries) => Option.fromNullishOr(deliveries[0])),
    pullMany,
    ack: (held) => finish(Op.ack, held, null, null),
    ackMany: Effect.fnUntraced(function*(held) {
      const lost = yield* Effect.forEach(held, (one) =>
        finish(Op.ack, one, null, null).pipe(
          Effect.as(undefined),
          Effect.catchReason("MessageQueueError", "LeaseLost", () => Effect.succeed(one.id))
        ), { concurrency: (yield* store.inTransaction) ? 1 : "unbounded" })
      return lost.filter((id) => id !== undefined)
    }),
    nack: Effect.fnUntraced(function*(held, nack) {
      const delay = nack?.delay === undefined ? 0 : yield* Validate.checkDuration("delay", nack.delay)
      if (delay === null) return yield* finish(Op.reject, held, null, Validate.checkCause(nack?.cause))
      return yield* finish(Op.nack, held, delay, Validate.checkCause(nack?.cause))
    }),
    reject: (held, reject) => finish(Op.reject, held, null, Validate.checkCause(reject?.cause)),
    release: (held) => finish(Op.release, held, null, null),
    extend: Effect.fnUntraced(function*(held, lease) {
      const millis = lease === undefined ? settings.lease : yield* Validate.checkDuration("lease", lease)
      return yield* finish(Op.extend, held, millis, null)
    }),
    get: Effect.fnUntraced(function*(id, get) {
      const node = yield* checkOwn(get?.node)
      return Option.fromUndefinedOr(yield* store.get(named(id), node))
    }),
    list: Effect.fnUntraced(function*(list) {
      const after = list?.cursor === undefined ? 0 : Number(list.cursor)
      if (!Number.isSafeInteger(after) || after < 0) return { messages: [] }
      return yield* store.list({
        node: yield* checkOwn(list?.node),
        states: list?.status === undefined ? undefined : statesOf(list.status),
        limit: yield* Validate.checkLimit("limit", list?.limit, 100),
        after
      })
    }),
    update: Effect.fnUntraced(function*(id, payload, update) {
      const node = yield* checkOwn(update?.node)
      const encoded = yield* Validate.checkPayload(payload, undefined, maxPayload)
      const message = yield* store.update(named(id), encoded, node)
      return message ?? (yield* fail(new MessageNotFound({ id })))
    }),
    remove: Effect.fnUntraced(function*(id, remove) {
      const node = yield* checkOwn(remove?.node)
      return (yield* changed(store.remove({ id: named(id), node }))) > 0
    }),
    removeAll: Effect.fnUntraced(function*(remove) {
      return yield* changed(store.remove({ id: undefined, node: yield* checkOwn(remove?.node) }))
    }),
    clear: store.clear,
    redrive: Effect.fnUntraced(function*(redrive) {
      const node = yield* checkOwn(redrive?.node)
      return yield* changed(store.redrive({ node, ids: redrive?.ids?.map(named) }))
    }),
    counts: Effect.fnUntraced(function*(counts) {
      return yield* store.counts(yield* checkOwn(counts?.node))
    })
  })
})

/** Hints to and from other processes, when there is a signal: gathered, and never waited for. */
const makeHints = Effect.fnUntraced(function*(
  hear: (node: string | undefined) => void
): Effect.fn.Return<(node: string) => void, never, Scope.Scope> {
  const signal = Context.get(yield* Effect.context<never>(), QueueSignal)
  if (signal === undefined) return () => {}
  yield* signal.subscribe(hear)
  const nodes = new Set<string>()
  const latch = Latch.makeUnsafe(false)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    latch.await,
    Effect.suspend(() => {
      latch.closeUnsafe()
      const told = Array.from(nodes)
      nodes.clear()
      return signal.publish(told)
    })
  )))
  return (node) => {
    nodes.add(node)
    latch.openUnsafe()
  }
})

const pruneAll = (store: Store, retention: number): Effect.Effect<void> => {
  const batch: Effect.Effect<void, MessageQueueError> = Effect.flatMap(
    store.prune(retention, 1000),
    (count) => count < 1000 ? Effect.void : Effect.andThen(Effect.yieldNow, batch)
  )
  return Effect.catch(batch, (error) => Effect.logWarning("Processed messages could not be removed", error.message))
}
