/**
 * Limits wrong attempts to prove who one is, for each user and for each address. Only attempts that were wrong count; while
 * so many are being checked that all of them being wrong would reach the limit, further ones wait for their outcome, so that
 * right credentials are never refused because others are checked at the same moment.
 *
 * What counts is kept by a {@link Store}: in this process by default, bounded, by a clock that does not jump; or, for
 * several processes, wherever a `RateLimiterStore` of `effect/persistence` keeps it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { RateLimiterStore } from "effect/persistence/RateLimiter"
import { AuthenticationUnavailable, TooManyAttempts } from "./internal/authenticationErrors.ts"

/**
 * Where failures are counted, by a key that stands for a user or an address.
 *
 * @category models
 * @since 0.2.0
 */
export interface Store {
  /** Failures of a key within the window, and how many milliseconds until they are forgotten. */
  readonly failures: (key: string, limit: Limit) => Effect.Effect<Failures, AuthenticationUnavailable>
  /** Counts one more. */
  readonly add: (key: string, limit: Limit) => Effect.Effect<void, AuthenticationUnavailable>
  /** Forgets those of a key, where the store can. */
  readonly clear: (key: string) => Effect.Effect<void, AuthenticationUnavailable>
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Limit {
  /** Failures allowed within the window. */
  readonly limit: number
  /** Milliseconds. */
  readonly window: number
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Failures {
  readonly count: number
  /** Milliseconds. */
  readonly resetAfter: number
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Failures of one user within the window. Default 10. */
  readonly perUser?: number | undefined
  /** Failures from one address within the window; addresses may stand for many people. Default 50. */
  readonly perAddress?: number | undefined
  /** Default 5 minutes. */
  readonly window?: Duration.Input | undefined
  /** Users and addresses that this process remembers; the oldest are forgotten. Default 20,000. */
  readonly capacity?: number | undefined
  /** Where failures are counted; default in this process. See {@link fromRateLimiterStore}. */
  readonly store?: Store | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface LoginLimiter {
  /**
   * Makes one attempt, unless there were too many wrong ones: then it fails with `TooManyAttempts` without running it. An
   * attempt counts when it was wrong (`undefined`); a right one clears the failures of its user. An attempt that failed by
   * an error of its own, or was interrupted, does not count: it told its maker nothing. `user` is `undefined` where the
   * credentials name none (a token); then the address alone counts.
   */
  readonly attempt: <A, E>(
    user: string | undefined,
    address: string | undefined,
    effect: Effect.Effect<A | undefined, E>
  ) => Effect.Effect<A | undefined, E | TooManyAttempts | AuthenticationUnavailable>
}

const millisecond = 1_000_000n

/** Failures counted in this process. Time is that of the monotonic clock: one that is set back locks nobody longer. */
const makeMemory = (capacity: number): Store => {
  const counters = new Map<string, { count: number; readonly until: bigint }>()
  const current = (key: string, now: bigint) => {
    const counter = counters.get(key)
    if (counter === undefined || counter.until > now) return counter
    counters.delete(key)
    return undefined
  }
  return {
    failures: (key) =>
      Effect.map(Clock.monotonicTimeNanos, (now) => {
        const counter = current(key, now)
        return counter === undefined
          ? { count: 0, resetAfter: 0 }
          : { count: counter.count, resetAfter: Number((counter.until - now + millisecond - 1n) / millisecond) }
      }),
    add: (key, { window }) =>
      Effect.map(Clock.monotonicTimeNanos, (now) => {
        const counter = current(key, now)
        if (counter !== undefined) {
          counter.count++
          return
        }
        if (counters.size >= capacity) counters.delete(counters.keys().next().value!)
        counters.set(key, { count: 1, until: now + BigInt(Math.ceil(window)) * millisecond })
      }),
    clear: (key) => Effect.sync(() => void counters.delete(key))
  }
}

/**
 * Counts failures in a `RateLimiterStore`, e.g. `RateLimiter.layerStoreRedis`, so that all processes of an app count
 * together. Such a store forgets by time only: a right attempt does not clear the failures before it. An error of the store
 * is `AuthenticationUnavailable`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromRateLimiterStore = (store: RateLimiterStore["Service"]): Store => {
  const consume = (key: string, { limit, window }: Limit, tokens: number) =>
    Effect.mapError(
      store.fixedWindow({
        key: `effect-wire/login/${key}`,
        tokens,
        refillRate: Duration.millis(window / limit),
        limit: undefined
      }),
      (cause) => new AuthenticationUnavailable({ cause })
    )
  return {
    failures: (key, limit) =>
      Effect.map(consume(key, limit, 0), ([count, ttl]) => ({ count, resetAfter: Math.ceil(ttl) })),
    add: (key, limit) => Effect.asVoid(consume(key, limit, 1)),
    clear: () => Effect.void
  }
}

/** Attempts that are being checked now, for one user or address, and those that wait for their outcome. */
interface Gate {
  running: number
  waiting: Array<() => void>
}

const makeGates = (store: Store, limit: Limit) => {
  const gates = new Map<string, Gate>()

  const enter = (key: string): Effect.Effect<void, TooManyAttempts | AuthenticationUnavailable> =>
    Effect.flatMap(store.failures(key, limit), ({ count, resetAfter }) => {
      if (count >= limit.limit) return Effect.fail(new TooManyAttempts({ retryAfter: resetAfter }))
      let gate = gates.get(key)
      if (gate === undefined) gates.set(key, gate = { running: 0, waiting: [] })
      if (gate.running === 0 || count + gate.running < limit.limit) {
        gate.running++
        // there may be room for more than one after a right attempt
        if (count + gate.running < limit.limit) gate.waiting.shift()?.()
        return Effect.void
      }
      const { waiting } = gate
      const outcome = Effect.callback<void>((resume) => {
        const wake = () => resume(Effect.void)
        waiting.push(wake)
        return Effect.sync(() => {
          const at = waiting.indexOf(wake)
          if (at >= 0) waiting.splice(at, 1)
          // the outcome that it was woken for is the next one's
          else wakeNext(key)
        })
      })
      // who was woken and does not enter wakes the next one
      return Effect.flatMap(outcome, () => Effect.onError(enter(key), () => Effect.sync(() => wakeNext(key))))
    })

  const wakeNext = (key: string) => {
    const gate = gates.get(key)
    const next = gate?.waiting.shift()
    if (next !== undefined) next()
    else if (gate?.running === 0) gates.delete(key)
  }

  const leave = (key: string) => {
    gates.get(key)!.running--
    wakeNext(key)
  }

  /** Runs an attempt of a key when it may be checked; `undefined` keys are not limited. */
  return <A, E>(key: string | undefined, attempt: Effect.Effect<A | undefined, E>) =>
    key === undefined ?
      attempt :
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(enter(key)), () =>
          restore(attempt).pipe(
            Effect.tap((result) => result === undefined ? store.add(key, limit) : Effect.void),
            Effect.ensuring(Effect.sync(() => leave(key)))
          ))
      )
}

/**
 * Makes a limiter.
 *
 * **Gotchas**
 *
 * Who knows a name can keep its owner out for the window by failing on purpose; connections that are logged in stay.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): LoginLimiter => {
  const window = Duration.toMillis(Duration.fromInputUnsafe(options?.window ?? "5 minutes"))
  const store = options?.store ?? makeMemory(options?.capacity ?? 20_000)
  const users = makeGates(store, { limit: options?.perUser ?? 10, window })
  const addresses = makeGates(store, { limit: options?.perAddress ?? 50, window })
  return {
    attempt: (user, address, effect) => {
      const name = user === undefined ? undefined : `user:${user}`
      // a peer without address (a Unix socket) that names no user shares a count with its like
      const place = address === undefined ? user === undefined ? "address:" : undefined : `address:${address}`
      const cleared = name === undefined
        ? effect
        : Effect.tap(effect, (result) => result === undefined ? Effect.void : store.clear(name))
      return users(name, addresses(place, cleared))
    }
  }
}
