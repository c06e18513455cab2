/**
 * What the inputs of operations are drawn from: random numbers of the seed. The same seed draws the same, in every
 * process and on every machine.
 *
 * @since 0.2.0
 */
import { Prng } from "./internal/prng.ts"

/**
 * A stream of random numbers.
 *
 * @category models
 * @since 0.2.0
 */
export interface Draw {
  /** 0 (inclusive) to 1 (exclusive). */
  readonly next: () => number
  /** An integer between `min` and `max`, both included. */
  readonly int: (min: number, max: number) => number
  /** `true` with this probability. */
  readonly chance: (probability: number) => boolean
  /** One of the values. */
  readonly pick: <A>(values: ReadonlyArray<A>) => A
  /** One of the values, by its weight. */
  readonly weighted: <A>(values: ReadonlyArray<readonly [value: A, weight: number]>) => A
}

/**
 * Makes a stream of its own from a seed.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (seed: number | string): Draw => fromPrng(new Prng(String(seed)))

/** @internal */
export const fromPrng = (random: Prng): Draw => ({
  next: () => random.next(),
  int: (min, max) => random.int(min, max),
  chance: (probability) => random.chance(probability),
  pick: (values) => random.pick(values),
  weighted: (values) => random.weighted(values)
})
