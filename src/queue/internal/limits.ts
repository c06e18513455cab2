/**
 * @internal What holds a message back before its handler runs: the others of its key.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"

export interface Limits<in A> {
  /** What counts together. */
  readonly key: (payload: A) => string
  readonly concurrency?: number | undefined
  readonly rate?: {
    readonly limit: number
    readonly window: Duration.Input
    readonly algorithm?: "fixed-window" | "token-bucket" | undefined
  } | undefined
}

/** Runs a handler when its key allows it. */
export type Gate<in A> = <B, E, R>(payload: A, handler: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>

export const open: Gate<unknown> = (_, handler) => handler

/** The limiter of the environment, which processes may share; else one of this process. */
const limiter = Effect.flatMap(
  Effect.serviceOption(RateLimiter.RateLimiter),
  (option) =>
    option._tag === "Some"
      ? Effect.succeed(option.value)
      : Effect.provide(RateLimiter.make, RateLimiter.layerStoreMemory)
)

export const makeGate = Effect.fnUntraced(function*<A>(name: string, limits: Limits<A>) {
  const { concurrency, rate } = limits
  const { consume } = yield* limiter
  /** Of the keys that are at work or wait. */
  const running = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  const oneOfFew = <B, E, R>(key: string, handler: Effect.Effect<B, E, R>): Effect.Effect<B, E, R> =>
    concurrency === undefined ? handler : Effect.suspend(() => {
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

  const inTurn = (key: string): Effect.Effect<void> =>
    rate === undefined ? Effect.void : consume({
      key: `${name} ${key}`,
      limit: rate.limit,
      window: rate.window,
      algorithm: rate.algorithm ?? "token-bucket",
      onExceeded: "delay"
    }).pipe(
      Effect.flatMap(({ delay }) => Effect.sleep(delay)),
      // A limiter that cannot be asked is no reason to work beyond its limit: the message is tried again.
      Effect.orDie
    )

  const gate: Gate<A> = (payload, handler) =>
    Effect.suspend(() => {
      const key = limits.key(payload)
      return oneOfFew(key, Effect.andThen(inTurn(key), handler))
    })
  return gate
})
