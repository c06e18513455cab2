/**
 * Limits failed attempts to log in, for each user and for each address, in this process.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { TooManyAttempts } from "./Authenticator.ts"

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
  /** Users and addresses that are remembered, each; the oldest are forgotten. Default 10,000. */
  readonly capacity?: number | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface LoginLimiter {
  /**
   * Makes one attempt, unless there were too many: then it fails with {@link TooManyAttempts} without running it. An
   * attempt counts while it runs, and when it was wrong (`undefined`) or was interrupted; a right one clears the failures
   * of its user. An attempt that failed by an error of its own does not count.
   */
  readonly attempt: <A, E>(
    user: string,
    address: string | undefined,
    effect: Effect.Effect<A | undefined, E>
  ) => Effect.Effect<A | undefined, E | TooManyAttempts>
}

interface Counter {
  count: number
  readonly since: number
}

const makeCounters = (limit: number, window: number, capacity: number) => {
  const counters = new Map<string, Counter>()
  return {
    /** Milliseconds to wait, 0 for none. */
    wait: (key: string, now: number): number => {
      const counter = counters.get(key)
      if (counter === undefined) return 0
      if (counter.since + window <= now) {
        counters.delete(key)
        return 0
      }
      return counter.count < limit ? 0 : counter.since + window - now
    },
    count: (key: string, now: number): void => {
      const counter = counters.get(key)
      if (counter !== undefined) {
        counter.count++
        return
      }
      if (counters.size >= capacity) counters.delete(counters.keys().next().value!)
      counters.set(key, { count: 1, since: now })
    },
    undo: (key: string): void => {
      const counter = counters.get(key)
      if (counter !== undefined && --counter.count === 0) counters.delete(key)
    },
    clear: (key: string): void => {
      counters.delete(key)
    }
  }
}

/**
 * Makes a limiter with its own memory.
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
  const capacity = options?.capacity ?? 10_000
  const users = makeCounters(options?.perUser ?? 10, window, capacity)
  const addresses = makeCounters(options?.perAddress ?? 50, window, capacity)
  return {
    attempt: (user, address, effect) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<any, any> => {
        const wait = Math.max(users.wait(user, now), address === undefined ? 0 : addresses.wait(address, now))
        if (wait > 0) return Effect.fail(new TooManyAttempts({ retryAfter: Math.ceil(wait) }))
        users.count(user, now)
        if (address !== undefined) addresses.count(address, now)
        const undo = Effect.sync(() => {
          users.undo(user)
          if (address !== undefined) addresses.undo(address)
        })
        return effect.pipe(
          Effect.tapError(() => undo),
          Effect.tap((result) =>
            result === undefined ? Effect.void : Effect.andThen(undo, Effect.sync(() => users.clear(user)))
          )
        )
      })
  }
}
