/**
 * @internal What waits at the same moment is done together. Operations are gathered in lanes; a lane does all that has
 * come to it in one go, and then what has come meanwhile. On a store with one writer there is one lane, and one
 * transaction for each go; on others pushes, finishes and claims run beside one another.
 *
 * Nothing is confirmed before the store has confirmed it. When a go of several fails, each is tried by itself, so that
 * nobody fails for another's message; not so when the connection is lost, since it may have been done.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import * as Metrics from "../QueueMetrics.ts"
import { type Batch, type Finish, type Finished, type NewMessage, Op, type Pushed, type Store } from "./store.ts"

interface Waiting<A> {
  readonly deferred: Deferred.Deferred<A, MessageQueueError>
  cancelled: boolean
}

interface PushOp extends Waiting<ReadonlyArray<Pushed>> {
  readonly messages: ReadonlyArray<NewMessage>
}

interface FinishOp extends Waiting<Finished> {
  readonly finish: Finish
}

/** A claim for one node, on behalf of those who wait in its room. */
export interface Claim {
  readonly node: string
  readonly max: number
  readonly lease: number | null
  readonly settle: (exit: Exit.Exit<ReadonlyArray<Message.Delivery>, MessageQueueError>) => void
}

interface Work {
  readonly pushes: ReadonlyArray<PushOp>
  readonly finishes: ReadonlyArray<FinishOp>
  readonly claims: ReadonlyArray<Claim>
}

interface Done {
  readonly pushed: ReadonlyArray<ReadonlyArray<Pushed>>
  readonly finished: ReadonlyArray<Finished>
  readonly claimed: ReadonlyArray<ReadonlyArray<Message.Delivery>>
}

/** Most of one kind that one go does: a bound for the time that others wait, and for the size of a statement. */
const most = 512
const mostBytes = 4 * 1024 * 1024

export interface Lanes {
  readonly push: (messages: ReadonlyArray<NewMessage>) => Effect.Effect<ReadonlyArray<Pushed>, MessageQueueError>
  readonly finish: (finish: Finish) => Effect.Effect<Finished, MessageQueueError>
  /** Says that `takeClaims` has something to give. */
  readonly claim: () => void
}

/** Starts the lanes; they end with the scope, after they have done what had come. */
export const makeLanes = Effect.fnUntraced(function*(
  store: Store,
  hooks: {
    /** The claims to make now; `pushed` are the nodes that get messages in the same go. */
    readonly takeClaims: (pushed: ReadonlySet<string>) => ReadonlyArray<Claim>
    readonly onPushed: (pushed: ReadonlyArray<Pushed>) => void
    readonly onFinished: (finish: Finish, finished: Finished) => void
  }
): Effect.fn.Return<Lanes, never, Scope.Scope> {
  const context = yield* Effect.context<never>()
  let pushes: Array<PushOp> = []
  let finishes: Array<FinishOp> = []
  let claimsWait = false
  let closed = false

  const takePushes = (): ReadonlyArray<PushOp> => {
    const taken: Array<PushOp> = []
    let messages = 0
    let bytes = 0
    let index = 0
    for (; index < pushes.length; index++) {
      const op = pushes[index]!
      if (op.cancelled) continue
      for (const message of op.messages) bytes += message.payload.bytes.length
      messages += op.messages.length
      if (taken.length > 0 && (messages > most || bytes > mostBytes)) break
      taken.push(op)
    }
    pushes = pushes.slice(index)
    return taken
  }

  const takeFinishes = (): ReadonlyArray<FinishOp> => {
    const taken = finishes.slice(0, most).filter((op) => !op.cancelled)
    finishes = finishes.slice(most)
    return taken
  }

  const perform = (work: Work) => (batch: Batch): Effect.Effect<Done, MessageQueueError> =>
    Effect.gen(function*() {
      const messages = work.pushes.length === 1 ? work.pushes[0]!.messages : work.pushes.flatMap((op) => op.messages)
      const pushed = messages.length === 0 ? [] : yield* batch.push(messages)
      const finished = work.finishes.length === 0 ? [] : yield* batch.finish(work.finishes.map((op) => op.finish))
      const claimed = work.claims.length === 0
        ? []
        : yield* Effect.forEach(work.claims, ({ lease, max, node }) => batch.claim(node, max, lease), {
          concurrency: store.grouped ? 1 : 8
        })
      let at = 0
      return {
        pushed: work.pushes.map((op) => pushed.slice(at, at += op.messages.length)),
        finished,
        claimed
      }
    })

  const settle = (work: Work, exit: Exit.Exit<Done, MessageQueueError>): void => {
    if (Exit.isFailure(exit)) {
      const failure = Exit.failCause(exit.cause)
      for (const op of work.pushes) Deferred.doneUnsafe(op.deferred, failure)
      for (const op of work.finishes) Deferred.doneUnsafe(op.deferred, failure)
      for (const claim of work.claims) claim.settle(failure)
      return
    }
    const { claimed, finished, pushed } = exit.value
    count(work, exit.value)
    work.claims.forEach((claim, index) => claim.settle(Exit.succeed(claimed[index]!)))
    work.pushes.forEach((op, index) => {
      hooks.onPushed(pushed[index]!)
      Deferred.doneUnsafe(op.deferred, Exit.succeed(pushed[index]!))
    })
    work.finishes.forEach((op, index) => {
      hooks.onFinished(op.finish, finished[index]!)
      Deferred.doneUnsafe(op.deferred, Exit.succeed(finished[index]!))
    })
  }

  const count = (work: Work, done: Done): void => {
    Metrics.rounds.updateUnsafe(1, context)
    for (const messages of done.pushed) Metrics.pushed.updateUnsafe(messages.length, context)
    for (const deliveries of done.claimed) {
      if (deliveries.length > 0) Metrics.pulled.updateUnsafe(deliveries.length, context)
    }
    work.finishes.forEach((op, index) =>
      settledBy.get(done.finished[index]!.held ? op.finish.op : -1)!.updateUnsafe(1, context)
    )
  }

  const attempt = (work: Work) => Effect.exit(store.grouped ? store.atomically(perform(work)) : perform(work)(store))

  const go = (work: Work): Effect.Effect<void> =>
    Effect.gen(function*() {
      const size = work.pushes.length + work.finishes.length + work.claims.length
      if (size === 0) return
      const exit = yield* attempt(work)
      if (size === 1 || Exit.isSuccess(exit) || isUncertain(exit)) return settle(work, exit)
      for (const single of singles(work)) settle(single, yield* attempt(single))
    }).pipe(
      // A defect ends those who wait for it and nobody else: the lane goes on.
      Effect.catchCause((cause) => Effect.sync(() => settle(work, Exit.failCause(cause))))
    )

  const makeLane = Effect.fnUntraced(function*(waits: () => boolean, take: () => Work) {
    const latch = Latch.makeUnsafe(false)
    const round = Effect.suspend(() => go(take()))
    const turn = Effect.suspend(() => {
      if (waits()) return Effect.void
      latch.closeUnsafe()
      return latch.await
    })
    // Whoever is ready to run comes first: what it asks for goes into the same round.
    const next = Effect.andThen(turn, Effect.andThen(Effect.yieldNow, Effect.uninterruptible(round)))
    yield* Effect.forkScoped(Effect.forever(next, { disableYield: true }))
    // Runs before the fiber above is interrupted: finalizers run in the reverse order of their making.
    yield* Effect.addFinalizer(() => {
      closed = true
      return Effect.uninterruptible(Effect.whileLoop({ while: waits, body: () => round, step: () => {} }))
    })
    return latch
  })

  const takeClaims = (pushed: ReadonlySet<string>): ReadonlyArray<Claim> => {
    claimsWait = false
    return hooks.takeClaims(pushed)
  }
  const nobody: ReadonlySet<string> = new Set()

  const [pushLane, finishLane, claimLane] = store.grouped
    ? yield* Effect.gen(function*() {
      const lane = yield* makeLane(() => pushes.length > 0 || finishes.length > 0 || claimsWait, () => {
        const taken = { pushes: takePushes(), finishes: takeFinishes() }
        const nodes = new Set(taken.pushes.flatMap((op) => op.messages.map((message) => message.destination)))
        return { ...taken, claims: takeClaims(nodes) }
      })
      return [lane, lane, lane] as const
    })
    : [
      yield* makeLane(() => pushes.length > 0, () => ({ pushes: takePushes(), finishes: [], claims: [] })),
      yield* makeLane(() => finishes.length > 0, () => ({ pushes: [], finishes: takeFinishes(), claims: [] })),
      yield* makeLane(() => claimsWait, () => ({ pushes: [], finishes: [], claims: takeClaims(nobody) }))
    ] as const

  const wait = <A>(op: Waiting<A>): Effect.Effect<A, MessageQueueError> =>
    closed
      ? Effect.interrupt
      : Effect.onInterrupt(Deferred.await(op.deferred), () => Effect.sync(() => void (op.cancelled = true)))

  return {
    push: (messages) =>
      Effect.suspend(() => {
        const op: PushOp = { messages, deferred: Deferred.makeUnsafe(), cancelled: false }
        pushes.push(op)
        pushLane.openUnsafe()
        return wait(op)
      }),
    finish: (finish) =>
      Effect.suspend(() => {
        const op: FinishOp = { finish, deferred: Deferred.makeUnsafe(), cancelled: false }
        finishes.push(op)
        finishLane.openUnsafe()
        return wait(op)
      }),
    claim: () => {
      claimsWait = true
      claimLane.openUnsafe()
    }
  }
})

const settledBy = new Map<number, typeof Metrics.settled>(
  [["lost", -1] as const, ...Object.entries(Op)].map((
    [word, op]
  ) => [op, Metric.withAttributes(Metrics.settled, { word })])
)

const singles = (work: Work): ReadonlyArray<Work> => [
  ...work.pushes.map((op) => ({ pushes: [op], finishes: [], claims: [] })),
  ...work.finishes.map((op) => ({ pushes: [], finishes: [op], claims: [] })),
  ...work.claims.map((op) => ({ pushes: [], finishes: [], claims: [op] }))
]

const isUncertain = (exit: Exit.Failure<unknown, MessageQueueError>): boolean =>
  exit.cause.reasons.some((reason) =>
    reason._tag === "Fail" && reason.error.reason._tag === "QueueUnavailable" && reason.error.reason.uncertain
  )
