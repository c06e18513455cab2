import type * as Clock from "effect/Clock"

/**
 * Milliseconds since some moment, by the clock that nobody sets: for ages and deadlines, which a jump of the wall clock is not
 * to change.
 *
 * @internal
 */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe() / 1_000_000n)
