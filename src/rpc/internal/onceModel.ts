import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/** What identifies a call: its caller, its method and its key, and what it was called with. @internal */
export interface CallRecord {
  readonly id: string
  /** Of the payload. */
  readonly fingerprint: string
  /** Milliseconds since it was called first, at the most, where this one is a repetition. */
  readonly age: number | undefined
}

/** An answer as it is kept: its JSON text, or `undefined` where it is too long to be. @internal */
export interface Answer {
  readonly isSuccess: boolean
  readonly text: string | undefined
}

/** What a store knows of a call. @internal */
export type Known = Answer | "OtherPayload" | "Forgotten"

/** Keeps answers. @internal */
export interface AnswerStore<out E> {
  /**
   * The answer to a call: the one that is kept, or else that of `execute`, which runs at most once for each record. A failure of
   * `execute` keeps nothing.
   */
  readonly answer: <E2>(record: CallRecord, execute: Effect.Effect<Answer, E2>) => Effect.Effect<Known, E | E2>
  /** Makes what the handler does in the store's database undone, where it fails. */
  readonly within: <A, E2, R>(execute: Effect.Effect<A, E2, R>) => Effect.Effect<A, E | E2, R>
}

/** Where the elements of a stream go, encoded: to the request, unless something stands between. @internal */
export const CurrentElements: Context.Reference<
  ((values: ReadonlyArray<unknown>) => Effect.Effect<void>) | undefined
> = Context.Reference<((values: ReadonlyArray<unknown>) => Effect.Effect<void>) | undefined>(
  "effect-wire/rpc/Idempotency/CurrentElements",
  { defaultValue: () => undefined }
)
