/**
 * @internal What waits at the same moment is done together. Operations are gathered in lanes; a lane does all that has come
 * to it in one go, and then what has come meanwhile. On a store with one writer there is one lane, and one transaction for
 * each go; on others pushes, pushes with keys, last words, heartbeats and claims have lanes of their own.
 *
 * Nothing is confirmed before the store has confirmed it. When a go of several fails, each is tried by itself, so that
 * nobody fails for another's message; not so when the connection is lost, since it may have been done, nor when the
 * database is busy, since the next would wait as long. What somebody else's transaction holds leaves the lane and is asked
 * for again a little later, by itself: nobody waits with it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Message from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import {
  type ClaimOp,
  destinations,
  fail,
  type FinishOp,
  isFinal,
  isKeyed,
  makeCounters,
  nobody,
  none,
  type Ops,
  type PushOp,
  type Settle,
  singles,
  type Waiting,
  workOf
} from "./laneOps.ts"
import {
  busy,
  type Claim,
  type Done,
  type Finish,
  type Finished,
  type NewMessage,
  Op,
  type Pushed,
  type Store,
  type Work
} from "./store.ts"

const nothing = (): void => {}

/** Most of one kind that one go does: a bound for the time that others wait, and for the size of a statement. */
const most = 512
const mostCharacters = 4 * 1024 * 1024

/** The time of the event loop and of other transactions, whatever time the app goes by. */
export const realTime: Clock.Clock = Clock.Clock.defaultValue()

/** How many must come alone before one is taken for alone. */
const patience = 8

/** How long goes may follow one another without a turn of the event loop, in milliseconds. */
const turn = 2

/** Milliseconds until what was refused is asked for again. */
const pause = (refusals: number): number => Math.min(20, 2 ** refusals)

export interface Lanes {
  readonly push: (messages: ReadonlyArray<NewMessage>) => Effect.Effect<ReadonlyArray<Pushed>, MessageQueueError>
  readonly finish: (finish: Finish) => Effect.Effect<Finished, MessageQueueError>
  /** Several words, each of which is done or not; fails when one could not be asked. */
  readonly finishMany: (finishes: ReadonlyArray<Finish>) => Effect.Effect<ReadonlyArray<Finished>, MessageQueueError>
  /** A claim for one who comes alone; `undefined` when it has to wait for its turn, in `takeClaims`. */
  readonly claimNow: (
    fiber: Fiber.Fiber<unknown, unknown>,
    claim: Claim
  ) => Exit.Exit<ReadonlyArray<Message.Delivery>, MessageQueueError> | undefined
  /** Says that `takeClaims` has something to give. */
  readonly claim: () => void
}

/** Starts the lanes. With the scope they end, after they have done what had come, within `shutdownTimeout` milliseconds. */
export const makeLanes = Effect.fnUntraced(function*(
  store: Store,
  hooks: {
    /** The claims to make now; `pushed` are the nodes that get messages in the same go. */
    readonly takeClaims: (pushed: ReadonlySet<string>) => ReadonlyArray<ClaimOp>
    /** Whether somebody waits for one of these: then both are done together. */
    readonly isAwaited: (messages: ReadonlyArray<NewMessage>) => boolean
    readonly onPushed: (pushed: ReadonlyArray<Pushed>) => void
    readonly onFinished: (finish: Finish, finished: Finished) => void
    readonly shutdownTimeout: number | null
  }
): Effect.fn.Return<Lanes, never, Scope.Scope> {
  const context = yield* Effect.context<never>()
  const runFork = Effect.runForkWith(context)
  const count = makeCounters(context)
  const lanes: Array<Lane> = []
  const idlers = new Set<() => void>()
  let closed = false
  let delayed = 0

  const isIdle = (): boolean => delayed === 0 && lanes.every((lane) => !lane.running)
  const idle = Effect.callback<void>((resume) => {
    if (isIdle()) return resume(Effect.void)
    const done = () => resume(Effect.void)
    idlers.add(done)
    return Effect.sync(() => void idlers.delete(done))
  })
  const tellIdle = (): void => {
    if (idlers.size === 0 || !isIdle()) return
    const all = Array.from(idlers)
    idlers.clear()
    all.forEach((done) => done())
  }

  /** Asks again, after a while, for what somebody else held. */
  const later = (lane: Lane, add: () => void, op: Waiting<never> | Waiting<unknown>): void => {
    op.refusals++
    delayed++
    runFork(Effect.andThen(
      Effect.provideService(Effect.sleep(pause(op.refusals)), Clock.Clock, realTime),
      Effect.sync(() => {
        delayed--
        if (op.cancelled) return tellIdle()
        add()
        lane.wake()
      })
    ))
  }

  class Lane {
    pushes: Array<PushOp> = []
    finishes: Array<FinishOp> = []
    claimsWait = false
    /** Asked for by themselves: somebody's transaction is in their way. */
    readonly alone: Array<Ops> = []
    running = false
    /** Not 0 while it is likely that others come besides one: how many must come alone until it is not. */
    private together = 0
    /** Who had something done at once, until the end of the turn; and whether that is looked for. */
    private fiberAtOnce: Fiber.Fiber<unknown, unknown> | undefined
    private readonly forget = (): void => {
      this.fiberAtOnce = undefined
    }
    /** Milliseconds: when goes began to follow one another without a turn of the event loop, and the end of the last. */
    private since = 0
    private until = 0
    private current: Ops = { pushes: none, finishes: none, claims: none }
    private fiber: Fiber.Fiber<() => void> | undefined
    private readonly claims: boolean

    constructor(claims: boolean) {
      this.claims = claims
      lanes.push(this)
    }

    get waits(): boolean {
      return this.pushes.length > 0 || this.finishes.length > 0 || this.claimsWait || this.alone.length > 0
    }

    /**
     * One that comes alone is done at once, in the fiber that asks, where the store can. Not so when another fiber asks in
     * the same turn, or several came together lately, since those share a transaction, nor when a transaction takes long,
     * since others may come meanwhile; and not for longer than a turn of the event loop.
     */
    now<A>(
      fiber: Fiber.Fiber<unknown, unknown>,
      work: Work,
      of: (done: Done) => A
    ): Exit.Exit<A, MessageQueueError> | undefined {
      if (store.performNow === undefined || closed || this.running || this.together > 0 || this.waits) return undefined
      if (this.fiberAtOnce === undefined) queueMicrotask(this.forget)
      else if (this.fiberAtOnce !== fiber) return undefined
      this.fiberAtOnce = fiber
      const start = this.begin()
      if (start - this.since >= turn) return undefined
      const exit = store.performNow(work)
      this.until = realTime.currentTimeMillisUnsafe()
      if (exit === undefined) return undefined
      if (this.until - start >= turn) this.together = 1
      if (Exit.isFailure(exit)) return Exit.failCause(exit.cause)
      count(work, exit.value)
      return Exit.succeed(of(exit.value))
    }

    /** What time it is; goes that did not come right after the last are the first of others. */
    private begin(): number {
      const now = realTime.currentTimeMillisUnsafe()
      if (now - this.until >= turn) this.since = now
      return now
    }

    /** Whoever is ready to run comes first: what it asks for goes into the same go. */
    wake(): void {
      if (this.running) return
      this.running = true
      this.goSoon()
    }

    /**
     * Where a go is a round trip and others come too, those who were just told of theirs are waited for: else two halves of them
     * would go by turns, in twice as many goes.
     */
    private goSoon(): void {
      const isShort = this.begin() - this.since < turn
      if (isShort && (store.performNow !== undefined || this.together === 0)) return queueMicrotask(this.go)
      // Others have their turn.
      runFork(Effect.yieldNow).addObserver(() => {
        this.since = realTime.currentTimeMillisUnsafe()
        this.go()
      })
    }

    private readonly go = (): void => {
      const ops = this.take()
      if (ops === undefined) return this.stop()
      this.current = ops
      const size = ops.pushes.length + ops.finishes.length + ops.claims.length
      this.together = size > 1 ? patience : Math.max(0, this.together - 1)
      const exit = store.performNow?.(workOf(ops))
      if (exit !== undefined && Exit.isSuccess(exit)) return this.end(() => this.settle(ops, exit.value))
      let atOnce = true
      this.fiber = runFork(this.perform(ops))
      this.fiber.addObserver((exit) => {
        // Who waited for an answer gave others their turn.
        if (!atOnce) this.since = realTime.currentTimeMillisUnsafe()
        this.end(Exit.isSuccess(exit) ? exit.value : nothing)
      })
      atOnce = false
    }

    /** Those who asked are told when nothing is under way any more: what they ask next may be done at once. */
    private end(tell: () => void): void {
      this.current = { pushes: none, finishes: none, claims: none }
      this.fiber = undefined
      this.until = realTime.currentTimeMillisUnsafe()
      if (this.waits) {
        tell()
        return this.goSoon()
      }
      this.running = false
      tell()
      tellIdle()
    }

    private stop(): void {
      this.running = false
      tellIdle()
    }

    private take(): Ops | undefined {
      const alone = this.alone.shift()
      if (alone !== undefined) return alone
      const pushes = this.takePushes()
      const finishes = this.takeFinishes()
      let claims: ReadonlyArray<ClaimOp> = none
      if (this.claims && (this.claimsWait || pushes.length > 0)) {
        this.claimsWait = false
        claims = hooks.takeClaims(pushes.length === 0 ? nobody : destinations(pushes))
      }
      return pushes.length + finishes.length + claims.length === 0 ? undefined : { pushes, finishes, claims }
    }

    private takePushes(): ReadonlyArray<PushOp> {
      if (this.pushes.length === 0) return none
      const taken: Array<PushOp> = []
      let messages = 0
      let characters = 0
      let index = 0
      for (; index < this.pushes.length; index++) {
        const op = this.pushes[index]!
        if (op.cancelled) continue
        for (const message of op.messages) characters += message.payload.data.length
        messages += op.messages.length
        if (taken.length > 0 && (messages > most || characters > mostCharacters)) break
        taken.push(op)
      }
      this.pushes = this.pushes.slice(index)
      return taken
    }

    private takeFinishes(): ReadonlyArray<FinishOp> {
      if (this.finishes.length === 0) return none
      const taken = this.finishes.slice(0, most).filter((op) => !op.cancelled)
      this.finishes = this.finishes.slice(most)
      return taken
    }

    /** Says how those who asked are told. */
    private perform(ops: Ops): Effect.Effect<() => void> {
      return Effect.matchCauseEffect(Effect.suspend(() => store.perform(workOf(ops))), {
        onSuccess: (done) => Effect.succeed(() => this.settle(ops, done)),
        onFailure: (cause) => {
          const exit = Exit.failCause(cause)
          const size = ops.pushes.length + ops.finishes.length + ops.claims.length
          return size === 1 || isFinal(cause)
            ? Effect.succeed(() => fail(ops, exit))
            : Effect.as(
              Effect.forEach(singles(ops), (single) => Effect.map(this.perform(single), (tell) => tell()), {
                discard: true
              }),
              nothing
            )
        }
      })
    }

    /** Nobody waits for it any more: those who asked are told, and what is under way is left to itself. */
    abandon(): void {
      this.fiber?.interruptUnsafe()
      for (const ops of [this.current, ...this.alone, { ...this, claims: none }]) fail(ops, Exit.interrupt())
    }

    private settle(ops: Ops, done: Done): void {
      count(workOf(ops), done)
      ops.claims.forEach((claim, index) => claim.settle(Exit.succeed(done.claimed[index]!)))
      ops.pushes.forEach((op, index) => {
        const pushed = done.pushed[index]!
        if (pushed === busy) {
          return later(this, () => this.alone.push({ pushes: [op], finishes: none, claims: none }), op)
        }
        hooks.onPushed(pushed)
        op.settle(Exit.succeed(pushed))
      })
      ops.finishes.forEach((op, index) => {
        const finished = done.finished[index]!
        if (finished === busy) return later(this, () => this.finishes.push(op), op)
        hooks.onFinished(op.finish, finished)
        op.settle(Exit.succeed(finished))
      })
    }
  }

  const main = new Lane(true)
  const [plain, keyed, words, beats] = store.grouped
    ? [main, main, main, main] as const
    : [new Lane(false), new Lane(false), main, new Lane(false)] as const

  yield* Effect.addFinalizer(() => {
    closed = true
    return idle.pipe(
      Effect.timeoutOption(hooks.shutdownTimeout ?? Infinity),
      Effect.andThen(Effect.sync(() => lanes.forEach((lane) => lane.abandon())))
    )
  })

  const wait = <A, O extends Waiting<A>>(make: (settle: Settle<A>) => O, lane: () => Lane, add: (op: O) => void) =>
    Effect.callback<A, MessageQueueError>((resume) => {
      if (closed) return resume(Effect.interrupt)
      const op = make(resume)
      add(op)
      lane().wake()
      return Effect.sync(() => void (op.cancelled = true))
    })

  return {
    push: (messages) => {
      const lane = messages.some(isKeyed) ? keyed : plain
      return Effect.withFiber((fiber) =>
        (hooks.isAwaited(messages) ?
          undefined :
          lane.now(fiber, { pushes: [messages], finishes: none, claims: none }, (done) => {
            const pushed = done.pushed[0] as ReadonlyArray<Pushed>
            hooks.onPushed(pushed)
            return pushed
          })) ?? wait(
            (settle): PushOp => ({ messages, settle, cancelled: false, refusals: 0 }),
            () => lane,
            (op) => lane.pushes.push(op)
          )
      )
    },
    finish: (finish) => {
      const lane = finish.op === Op.extend ? beats : words
      return Effect.withFiber((fiber) =>
        lane.now(fiber, { pushes: none, finishes: [finish], claims: none }, (done) => {
          const finished = done.finished[0] as Finished
          hooks.onFinished(finish, finished)
          return finished
        }) ?? wait(
          (settle): FinishOp => ({ finish, settle, cancelled: false, refusals: 0 }),
          () => lane,
          (op) => lane.finishes.push(op)
        )
      )
    },
    finishMany: (finishes) =>
      Effect.withFiber((fiber) =>
        words.now(fiber, { pushes: none, finishes, claims: none }, (done) => {
          const finished = done.finished as ReadonlyArray<Finished>
          finished.forEach((one, index) => hooks.onFinished(finishes[index]!, one))
          return finished
        }) ?? Effect.callback<ReadonlyArray<Finished>, MessageQueueError>((resume) => {
          if (closed) return resume(Effect.interrupt)
          const finished: Array<Finished> = []
          let left = finishes.length
          const ops = finishes.map((finish, index): FinishOp => ({
            finish,
            cancelled: false,
            refusals: 0,
            settle: (exit) => {
              if (Exit.isFailure(exit)) return resume(Exit.failCause(exit.cause))
              finished[index] = exit.value
              if (--left === 0) resume(Effect.succeed(finished))
            }
          }))
          for (const op of ops) words.finishes.push(op)
          words.wake()
          return Effect.sync(() => {
            for (const op of ops) op.cancelled = true
          })
        })
      ),
    claimNow: (fiber, claim) =>
      main.now(fiber, { pushes: none, finishes: none, claims: [claim] }, (done) => done.claimed[0]!),
    claim: () => {
      main.claimsWait = true
      main.wake()
    }
  }
})
