/**
 * @internal A store made a queue: calls are checked, gathered in lanes, and those who wait sit in rooms.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Delivery } from "../Message.ts"
import { fail, invalid, LeaseLost, MessageNotFound, type MessageQueueError } from "../MessageQueueError.ts"
import { QueueSignal } from "../QueueSignal.ts"
import { makeLanes, realTime } from "./lanes.ts"
import type { Held, Options, Service } from "./messageQueueModel.ts"
import { makeRooms } from "./rooms.ts"
import {
  busy,
  type Changed,
  type Claim,
  type Finish,
  type Finished,
  type NewMessage,
  Op,
  type Pushed,
  type Slice,
  State,
  statesOf,
  type Store
} from "./store.ts"
import { traced } from "./traced.ts"
import * as Validate from "./validate.ts"

/** What one slice of a long change does: a bound for the time that nothing else of the process runs. */
const slice = 250

export const makeEngine = Effect.fnUntraced(function*(
  store: Store,
  options: Options
): Effect.fn.Return<Service, never, Scope.Scope> {
  const settings = yield* Effect.orDie(Effect.all({
    node: Validate.checkNode("node", options.node ?? "0"),
    lease: Validate.checkDuration("lease", options.lease ?? "30 minutes"),
    poll: Validate.checkDuration("pollInterval", options.pollInterval ?? "500 millis"),
    retention: Validate.checkDuration("retention", options.retention ?? "1 day"),
    deadRetention: Validate.checkDuration("deadRetention", options.deadRetention ?? "30 days"),
    retentionInterval: Validate.checkDuration("retentionInterval", options.retentionInterval ?? "1 minute"),
    shutdownTimeout: Validate.checkDuration("shutdownTimeout", options.shutdownTimeout ?? "5 seconds")
  }))
  const maxPayload = options.maxPayload ?? 1_048_576
  const defaults = { node: settings.node, maxTries: options.maxTries ?? 20, maxPayload }

  const hints = yield* makeHints((node) => rooms.wake(node))
  const wake = (nodes: Iterable<string>): void => {
    for (const node of nodes) {
      rooms.wake(node)
      hints(node)
    }
  }
  const wakePushed = (pushed: ReadonlyArray<Pushed>): void => {
    const nodes = new Set<string>()
    for (const { message, wake } of pushed) {
      if (!wake) continue
      if (message.status === "scheduled") {
        rooms.notice(message.scheduledAt!.epochMilliseconds - message.createdAt.epochMilliseconds)
      } else nodes.add(message.destination)
    }
    if (nodes.size > 0) wake(nodes)
  }
  const wakeFinished = (finish: Finish, finished: Finished): void => {
    if (finish.op === Op.extend || (finish.millis !== null && finish.millis > 0)) {
      if (finished.held && finish.millis !== null) rooms.notice(finish.millis)
    }
    if (finished.wake) wake([finish.destination])
  }

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
    isAwaited: (messages) => messages.some((message) => rooms.isAwaited(message.destination)),
    onPushed: wakePushed,
    onFinished: wakeFinished,
    shutdownTimeout: settings.shutdownTimeout
  })
  yield* Effect.addFinalizer(() => Effect.sync(rooms.close))

  if (settings.retentionInterval !== null) {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(
      Effect.sleep(settings.retentionInterval),
      keepHouse(store, settings)
    )))
  }

  const isWithin = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
    store.transactionKey !== undefined && fiber.context.mapUnsafe.has(store.transactionKey)

  /** Inside a transaction of the caller, which the store has to join; or else. */
  const either = <A>(
    within: () => Effect.Effect<A, MessageQueueError>,
    outside: (fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<A, MessageQueueError>
  ): Effect.Effect<A, MessageQueueError> => Effect.withFiber((fiber) => isWithin(fiber) ? within() : outside(fiber))

  const pushAll = (messages: ReadonlyArray<NewMessage>): Effect.Effect<ReadonlyArray<Pushed>, MessageQueueError> =>
    either(
      () =>
        Effect.flatMap(
          store.performWithin({ pushes: [messages], finishes: [], claims: [] }),
          ({ pushed: [pushed] }) => {
            if (pushed === undefined || pushed === busy) return Effect.interrupt
            return Effect.as(store.afterCommit(Effect.sync(() => wakePushed(pushed))), pushed)
          }
        ),
      () => lanes.push(messages)
    )

  /** Who comes alone is served at once, where there is something; else, and before somebody who waits already, nobody. */
  const claimAlone = (fiber: Fiber.Fiber<unknown, unknown>, claim: Claim, wait: number) => {
    const exit = rooms.isAwaited(claim.node) ? undefined : lanes.claimNow(fiber, claim)
    if (exit === undefined || Exit.isFailure(exit)) return exit
    if (exit.value.length === 0) return wait === 0 ? exit : undefined
    if (claim.lease !== null) rooms.notice(claim.lease)
    return exit
  }
  const claim = (claim: Claim, wait: number): Effect.Effect<ReadonlyArray<Delivery>, MessageQueueError> =>
    either(
      () => Effect.map(store.performWithin({ pushes: [], finishes: [], claims: [claim] }), (done) => done.claimed[0]!),
      (fiber) => claimAlone(fiber, claim, wait) ?? rooms.pull({ ...claim, wait })
    )
  const pullMany: Service["pullMany"] = (node, pull) => {
    const lease = pull?.lease === undefined ? settings.lease : Validate.toMillis(pull.lease)
    const wait = pull?.wait === undefined ? 0 : Validate.toMillis(pull.wait)
    const max = pull?.max ?? 10
    return !Validate.isNode(node)
      ? invalid("node", Validate.noNode)
      : !Validate.isLimit(max)
      ? invalid("max", Validate.noLimit)
      : typeof lease === "string"
      ? invalid("lease", lease)
      : typeof wait === "string"
      ? invalid("wait", wait)
      : claim({ node, max, lease }, wait ?? Infinity)
  }

  const wordOf = (op: Op, { destination, id, lease }: Held, millis: number | null, cause: string | null): Finish => ({
    op,
    id: id.toLowerCase(),
    destination,
    token: lease?.token ?? null,
    millis,
    cause
  })

  /** In the caller's transaction. */
  const finishWithin = (words: ReadonlyArray<Finish>): Effect.Effect<ReadonlyArray<Finished>, MessageQueueError> =>
    Effect.flatMap(store.performWithin({ pushes: [], finishes: words, claims: [] }), ({ finished }) => {
      const said = finished.filter((one) => one !== busy)
      if (said.length < words.length) return Effect.interrupt
      return Effect.as(
        store.afterCommit(Effect.sync(() => said.forEach((one, index) => wakeFinished(words[index]!, one)))),
        said
      )
    })

  const finishMany = (words: ReadonlyArray<Finish>) => either(() => finishWithin(words), () => lanes.finishMany(words))

  const finish = (
    op: Op,
    held: Held,
    millis: number | null,
    cause: string | null
  ): Effect.Effect<void, MessageQueueError> => {
    if (!Validate.isMessageId(held.id)) return fail(new LeaseLost({ id: String(held.id) }))
    if (!Validate.isNode(held.destination)) return invalid("destination", Validate.noNode)
    const word = wordOf(op, held, millis, cause)
    return Effect.flatMap(
      either(() => Effect.map(finishWithin([word]), ([finished]) => finished!), () => lanes.finish(word)),
      ({ held }) => held ? Effect.void : fail(new LeaseLost({ id: word.id }))
    )
  }

  const checkOwn = (node: string | undefined) =>
    node === undefined ? Effect.succeed(undefined) : Validate.checkNode("node", node)

  /** Ids are compared in lower case, as they are made; what is no id is nobody's. */
  const named = (id: string): string => Validate.isMessageId(id) ? id.toLowerCase() : ""

  const changed = (change: Effect.Effect<Changed, MessageQueueError>): Effect.Effect<number, MessageQueueError> =>
    Effect.flatMap(change, ({ count, wake: nodes }) =>
      nodes.length === 0
        ? Effect.succeed(count)
        : Effect.as(store.afterCommit(Effect.sync(() => wake(nodes))), count))

  /** A slice after the other, with room for everybody else between two. */
  const sliced = Effect.fnUntraced(function*(
    next: (at: number | undefined) => Effect.Effect<Slice, MessageQueueError>
  ): Effect.fn.Return<number, MessageQueueError> {
    let count = 0
    let at: number | undefined
    do {
      const done: Slice = yield* next(at)
      count += yield* changed(Effect.succeed(done))
      at = done.next
      yield* Effect.yieldNow
    } while (at !== undefined)
    return count
  })

  const removeAll = (source: string | undefined, all: boolean) =>
    Effect.flatMap(
      store.last,
      (upTo) => sliced((at) => store.removeSlice({ after: at ?? 0, upTo, limit: slice, source, all }))
    )

  return traced({
    push: (destination, payload, push) =>
      Effect.suspend(() =>
        Effect.flatMap(
          Validate.checkEntry({ ...push, destination, payload }, defaults),
          (message) => Effect.map(pushAll([message]), ([pushed]) => pushed!.message)
        )
      ),
    pushMany: (entries) =>
      Effect.suspend(() =>
        Effect.flatMap(Validate.checkEntries(entries, defaults), (messages) =>
          messages.length === 0
            ? Effect.succeed([])
            : Effect.map(pushAll(messages), (pushed) => pushed.map((one) => one.message)))
      ),
    pull: (node, pull) =>
      Effect.map(pullMany(node, { ...pull, max: 1 }), (deliveries) => Option.fromNullishOr(deliveries[0])),
    pullMany,
    ack: (held) => finish(Op.ack, held, null, null),
    ackMany: (held) => {
      const known = held.filter((one) => Validate.isMessageId(one.id))
      if (known.length === 0) return Effect.succeed(held.map((one) => String(one.id)))
      if (!known.every((one) => Validate.isNode(one.destination))) return invalid("destination", Validate.noNode)
      const words = known.map((one) => wordOf(Op.ack, one, null, null))
      return Effect.map(finishMany(words), (finished) => {
        const done = new Set(known.filter((_, index) => finished[index]!.held))
        return held.filter((one) => !done.has(one)).map((one) => one.id)
      })
    },
    nack: Effect.fnUntraced(function*(held, nack) {
      const delay = nack?.delay === undefined ? 0 : yield* Validate.checkDuration("delay", nack.delay)
      if (delay === null) return yield* finish(Op.reject, held, null, Validate.checkCause(nack?.cause))
      return yield* finish(Op.nack, held, delay, Validate.checkCause(nack?.cause))
    }),
    reject: (held, reject) => finish(Op.reject, held, null, Validate.checkCause(reject?.cause)),
    release: (held, release) => {
      const delay = release?.delay === undefined ? null : Validate.toMillis(release.delay)
      if (typeof delay === "string") return invalid("delay", delay)
      if (delay === null && release?.delay !== undefined) return invalid("delay", "has no end")
      return finish(Op.release, held, delay, null)
    },
    extend: Effect.fnUntraced(function*(held, lease) {
      const millis = lease === undefined ? settings.lease : yield* Validate.checkDuration("lease", lease)
      return yield* finish(Op.extend, held, millis, null)
    }),
    get: Effect.fnUntraced(function*(id, get) {
      const node = yield* checkOwn(get?.node)
      return Option.fromUndefinedOr(yield* store.get(named(id), node))
    }),
    list: Effect.fnUntraced(function*(list) {
      const after = list?.cursor === undefined ? 0 : /^[0-9]{1,15}$/.test(list.cursor) ? Number(list.cursor) : undefined
      if (after === undefined) return yield* invalid("cursor", "is none that a page gave")
      const { messages, next } = yield* store.list({
        node: yield* checkOwn(list?.node),
        states: list?.status === undefined ? undefined : statesOf(list.status),
        limit: yield* Validate.checkLimit("limit", list?.limit, 100),
        after
      })
      return { messages, ...(next === undefined ? {} : { cursor: String(next) }) }
    }),
    update: Effect.fnUntraced(function*(id, payload, update) {
      const node = yield* checkOwn(update?.node)
      const encoded = yield* Validate.checkPayload(payload, undefined, maxPayload)
      const message = yield* store.update(named(id), encoded, node)
      return message ?? (yield* fail(new MessageNotFound({ id })))
    }),
    remove: Effect.fnUntraced(function*(id, remove) {
      const node = yield* checkOwn(remove?.node)
      return (yield* changed(store.remove(named(id), node, remove?.anyStatus === true))) > 0
    }),
    reschedule: Effect.fnUntraced(function*(id, at, reschedule) {
      const node = yield* checkOwn(reschedule?.node)
      const done = yield* store.reschedule(named(id), yield* Validate.checkTime("at", at), node)
      if (done === undefined) return yield* fail(new MessageNotFound({ id }))
      yield* store.afterCommit(Effect.sync(() => {
        if (done.left > 0) rooms.notice(done.left)
        else wake([done.message.destination])
      }))
      return done.message
    }),
    removeAll: Effect.fnUntraced(function*(remove) {
      return yield* removeAll(yield* checkOwn(remove?.node), false)
    }),
    clear: removeAll(undefined, true),
    redrive: Effect.fnUntraced(function*(redrive) {
      const node = yield* checkOwn(redrive?.node)
      if (redrive?.ids === undefined) {
        return yield* sliced((before) => store.redriveSlice({ node, before, limit: slice }))
      }
      const ids = redrive.ids.map(named)
      return yield* sliced((at = 0) =>
        Effect.map(store.redrive(ids.slice(at, at + slice), node), (done) => ({
          ...done,
          next: at + slice < ids.length ? at + slice : undefined
        }))
      )
    }),
    counts: Effect.fnUntraced(function*(counts) {
      return yield* store.counts(yield* checkOwn(counts?.node))
    })
  })
})

/** Milliseconds between two hints: the first is given at once, what comes right after it goes together. */
const hintEvery = 10

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
    }).pipe(Effect.andThen(Effect.sleep(hintEvery)), Effect.provideService(Clock.Clock, realTime))
  )))
  return (node) => {
    nodes.add(node)
    latch.openUnsafe()
  }
})

/** Makes ready or dead what is due though nobody waits, and removes what is past its retention. */
const keepHouse = (
  store: Store,
  { deadRetention, retention }: { readonly deadRetention: number | null; readonly retention: number | null }
): Effect.Effect<void> => {
  const prune = (state: typeof State.processed | typeof State.dead, retention: number | null) =>
    retention === null
      ? Effect.succeed(0)
      : Effect.repeat(Effect.andThen(Effect.yieldNow, store.prune(state, retention, slice)), {
        until: (count) => count < slice
      })
  return Effect.andThen(store.poll([]), prune(State.processed, retention)).pipe(
    Effect.andThen(prune(State.dead, deadRetention)),
    Effect.asVoid,
    Effect.catch((error) =>
      Effect.logWarning("MessageQueue: what is past its time could not be removed", error.message)
    )
  )
}
