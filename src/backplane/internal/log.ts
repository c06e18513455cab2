/** What a backplane with a log asks of it, and what it says of itself: the model below the receiving half. */
import type * as Effect from "effect/Effect"

/** One row of a catch-up: the counter of the channel, its retained value, and one logged publication if there is one. @internal */
export interface CatchUpRow {
  readonly counter: number
  readonly epoch: string
  /** The count of the channel when the epoch began. */
  readonly epoch_start: number
  readonly last_sequence: number | null
  readonly last_payload: string | null
  readonly sequence: number | null
  readonly payload: string | null
  readonly retain: boolean | null
}

/** A publication of the log; `age` in milliseconds by the clock of the database. @internal */
export interface LogRow {
  readonly number: number
  readonly payload: string
  readonly age: number
}

/** How many rows a catch-up reads at once. @internal */
export const page = 256

/** A publication, as it is announced. @internal */
export interface Notice {
  readonly channel: string
  readonly sequence: number
  /** `undefined` where the announcement does not say it. */
  readonly epoch?: string
  /** `undefined` when it is in the log only. */
  readonly payload: string | undefined
  readonly retain: boolean
}

/** Where a channel stands. @internal */
export interface Standing {
  readonly counter: number
  readonly epoch: string
}

/** @internal */
export interface Log<out E> {
  /** What comes after a number; nothing where the channel has no count. */
  readonly catchUp: (channel: string, after: number) => Effect.Effect<ReadonlyArray<CatchUpRow>, E>
  readonly counters: (
    channels: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<Standing & { readonly channel: string }>, E>
  /** Makes the count of a channel where there is none, so that it has an epoch. */
  readonly ensure: (channel: string) => Effect.Effect<void, E>
  /** A new epoch for a count that went back, unless another process was faster. */
  readonly renew: (channel: string, epoch: string, reached: number) => Effect.Effect<void, E>
  /** The newest up to a number, backwards; without those of another epoch. */
  readonly history: (
    channel: string,
    to: number,
    bounds: { readonly values: number; readonly age: number }
  ) => Effect.Effect<ReadonlyArray<LogRow>, E>
  /** Where a channel stands, with its retained value; nothing where it has no count. */
  readonly last: (
    channel: string
  ) => Effect.Effect<
    ReadonlyArray<Standing & { readonly sequence: number | null; readonly payload: string | null }>,
    E
  >
}
