/**
 * The history of a state, for time travel: what was done is undone and redone, step by step, and the state is looked at as
 * it was. It is an option of `JugglerState.make`. What is kept is what changed, not copies of the state.
 *
 * Undoing is a change like any other: it has a version of its own, and all who follow the state are sent it. So time goes on
 * for them, and nothing has to be told of a history that they do not know.
 *
 * **Details**
 *
 * The semantics are those of `redux-undo` and of editors: one line of steps, of the whole state, whoever wrote them; a write
 * after an undo does away with what could be redone. It does not undo the writes of one writer among others.
 *
 * @since 0.2.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { CommitBounds } from "./internal/commitLog.ts"
import { follow } from "./internal/following.ts"
import { ofValue, type Selection, selection } from "./internal/selection.ts"
import type { Sharing } from "./internal/sharing.ts"
import type { Store } from "./internal/store.ts"
import type { Counts, Timeline } from "./internal/timeline.ts"

/**
 * How much is kept, and what is a step.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends CommitBounds {
  /** Commits that are kept, the newest ones; default 1,024. */
  readonly maxCommits?: number | undefined
  /**
   * Bytes of memory of what they did and of what takes it back, by estimate; default 1,048,576. A commit that is larger by
   * itself is not kept, nor what was before it.
   */
  readonly maxBytes?: number | undefined
  /**
   * A commit that comes sooner than this after the one before it belongs to the same step, as for text that is being typed.
   * Default 0: every commit is a step.
   */
  readonly groupWithin?: Duration.Input | undefined
}

/**
 * Steps that can be undone and redone.
 *
 * @category models
 * @since 0.2.0
 */
export interface Steps {
  readonly undo: number
  readonly redo: number
}

/**
 * The history of a state. All operations are synchronous, so nothing is written in between.
 *
 * @category models
 * @since 0.2.0
 */
export interface JugglerHistory<out A> {
  /** Takes the last step back, as one commit; `false`, and nothing happens, where there is none. */
  readonly undo: Effect.Effect<boolean>
  /** Does again what was undone last, as one commit; `false` where nothing was, or something was written since. */
  readonly redo: Effect.Effect<boolean>
  /** How many steps there are, now and whenever it changes: for the buttons of a screen, and what a program asks. */
  readonly steps: Selection<Steps>
  /**
   * The state as it was at a version, decoded; parts that are the same now are the same references. `undefined` where what
   * is kept does not reach back so far, or there is no such version yet. Fails with `SchemaError` like `get`.
   */
  readonly at: (version: number) => Effect.Effect<A | undefined, Schema.SchemaError>
  /** The oldest version that {@link JugglerHistory.at} knows; the newest is that of the state. */
  readonly oldest: Effect.Effect<number>
  /**
   * Makes the state what it was at a version: one commit, and a step that can be undone. `false`, and nothing happens, where
   * {@link JugglerHistory.at} knows nothing of that version.
   */
  readonly restore: (version: number) => Effect.Effect<boolean>
  /** The next commit begins a step, however soon after the last it comes. */
  readonly cut: Effect.Effect<void>
  /** Forgets everything. The state stays as it is. */
  readonly clear: Effect.Effect<void>
}

/** @internal */
export const fromTimeline = <A>(store: Store, timeline: Timeline, sharing: Sharing<A>): JugglerHistory<A> => {
  const counts = (): Counts => timeline.counts
  return {
    undo: Effect.sync(() => timeline.travel("undo")),
    redo: Effect.sync(() => timeline.travel("redo")),
    steps: selection(follow(store, counts, counts), ofValue(store, counts)),
    at: (version) =>
      Effect.suspend((): Effect.Effect<A | undefined, Schema.SchemaError> => {
        const json = timeline.at(version)
        return json === undefined ? Effect.undefined : sharing.decode(json)
      }),
    oldest: Effect.sync(() => timeline.oldest),
    restore: (version) =>
      Effect.sync(() => {
        const changes = timeline.back(version)
        if (changes === undefined) return false
        timeline.cut()
        if (changes.length > 0) store.travel(changes)
        timeline.cut()
        return true
      }),
    cut: Effect.sync(() => timeline.cut()),
    clear: Effect.sync(() => timeline.clear())
  }
}
