/**
 * @internal What holds a message back before its handler runs: the others of its key.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"
import type { Service } from "./messageQueueModel.ts"
import { NotYet } from "./permanent.ts"
import { makePermits } from "./permits.ts"

export interface Limits<in A> {
  /** What counts together. */
  readonly key: (payload: A) => string
  readonly concurrency?: number | undefined
  readonly across?: "process" | "cluster" | undefined
  readonly rate?: {
    readonly limit: number
    readonly window: Duration.Input
    readonly algorithm?: "fixed-window" | "token-bucket" | undefined
  } | undefined
}

/** Runs the handler of a message when its key allows it, or says that it is not to be run yet. */
export type Gate<in A> = <B, E, R>(
  id: string,
  payload: A,
  handler: Effect.Effect<B, E, R>
) => Effect.Effect<B, E | NotYet, R>

export const open: Gate<unknown> = (_id, _payload, handler) => handler

/** What is so near, in milliseconds, is waited for; for the rest the message goes back, and leaves its place to others. */
const near = 1000

/** How long after its turn a message is remembered that did not come back, in milliseconds. */
const forgotten = 3_600_000

/** The limiter of the environment, which processes may share; else one of this process. */
const limiter = Effect.flatMap(
  Effect.serviceOption(RateLimiter.RateLimiter),
  (option) =>
    option._tag === "Some"
      ? Effect.succeed(option.value)
      : Effect.provide(RateLimiter.make, RateLimiter.layerStoreMemory)
)

export const makeGate = Effect.fnUntraced(function*<A>(
  queue: Service,
  name: string,
  limits: Limits<A>,
  lease: Duration.Duration
) {
  const { concurrency, rate } = limits
  const permits = concurrency !== undefined && limits.across === "cluster"
    ? yield* makePermits(queue, { name, count: concurrency, lease })
    : undefined
  const { consume } = yield* limiter
  /** Of the keys that are at work or wait. */
  const running = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  const oneOfFew = <B, E, R>(key: string, handler: Effect.Effect<B, E, R>): Effect.Effect<B, E | NotYet, R> =>
    concurrency === undefined ? handler : permits !== undefined ? permits.one(key, handler) : Effect.suspend(() => {
      const known = running.get(key) ?? { semaphore: Semaphore.makeUnsafe(concurrency), users: 0 }
      running.set(key, known)
      known.users++
      return Effect.ensuring(
        known.semaphore.withPermits(1)(handler),
        Effect.sync(() => {
          if (--known.users === 0) running.delete(key)
        })
      )
    })

  /** Of messages that went back: when their turn is, milliseconds since 1970. It is theirs already. */
  const turns = new Map<string, number>()

  const inTurn = (id: string, key: string): Effect.Effect<void, NotYet> =>
    rate === undefined ? Effect.void : Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      for (const [other, at] of turns) {
        // Somebody else had it, or nobody has it any more: they are in the order of their going, so a few are looked at.
        if (at > now - forgotten) break
        turns.delete(other)
      }
      const turn = turns.get(id)
      turns.delete(id)
      const millis = turn === undefined
        ? Duration.toMillis(
          // A limiter that cannot be asked is no reason to work beyond its limit: the message is tried again.
          (yield* Effect.orDie(consume({
            key: `${name} ${key}`,
            limit: rate.limit,
            window: rate.window,
            algorithm: rate.algorithm ?? "token-bucket",
            onExceeded: "delay"
          }))).delay
        )
        : Math.max(0, turn - now)
      if (millis <= near) return yield* Effect.sleep(millis)
      turns.set(id, now + millis)
      return yield* new NotYet({ millis })
    })

  const gate: Gate<A> = (id, payload, handler) =>
    Effect.suspend(() => {
      const key = limits.key(payload)
      return oneOfFew(key, Effect.andThen(inTurn(id, key), handler))
    })
  return gate
})
