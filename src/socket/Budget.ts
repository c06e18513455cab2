/**
 * Bytes of memory that what peers make a process keep may take, all together. Whoever keeps something for a peer takes its
 * bytes before, and gives them back after; what does not fit is refused by whoever wanted to keep it. It counts what it is
 * told: it measures nothing, and closes nobody.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"

/**
 * What {@link Budget} gives.
 *
 * @category models
 * @since 0.2.0
 */
export interface BudgetShape {
  /** Takes so many bytes; `false`, and nothing is taken, where they do not fit. */
  readonly acquire: (bytes: number) => boolean
  /** Gives back what was taken. */
  readonly release: (bytes: number) => void
  /** Bytes that are taken now. */
  readonly taken: () => number
}

/**
 * Makes a budget of so many bytes.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (maxBytes: number): BudgetShape => {
  let taken = 0
  return {
    acquire: (bytes) => {
      if (taken + bytes > maxBytes) return false
      taken += bytes
      return true
    },
    release: (bytes) => {
      taken -= bytes
    },
    taken: () => taken
  }
}

/**
 * The budget of the process: 268,435,456 bytes (256 MiB) by default, one for everything that runs in it.
 *
 * @category services
 * @since 0.2.0
 */
export const Budget: Context.Reference<BudgetShape> = Context.Reference<BudgetShape>("effect-wire/socket/Budget", {
  defaultValue: () => process
})

const process = make(268_435_456)

/**
 * Provides a budget of its own to what is below.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (maxBytes: number): Layer.Layer<never> => Layer.sync(Budget, () => make(maxBytes))
