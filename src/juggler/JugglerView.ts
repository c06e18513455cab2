/**
 * What a connection is shown instead of the whole state: a part of it, or what a function makes of a part. Connections with
 * the same view share one computation, one copy and one text. Views are shown by `JugglerServer`; they are not written to.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import { within } from "./internal/within.ts"
import * as JsonPatch from "./JsonPatch.ts"
import * as JsonPointer from "./JsonPointer.ts"
import type { Json, Pointer } from "./JsonPointer.ts"
import * as JugglerState from "./JugglerState.ts"

/**
 * What has changed since a view was made last.
 *
 * @category models
 * @since 0.2.0
 */
export interface Change {
  /**
   * The changes since then, as seen from the part that the view is of, scalars that were written again and again once;
   * `undefined` where the part as such may be another, as at the first time.
   */
  readonly changes: ReadonlyArray<JsonPatch.Change> | undefined
  /** What the view gave last; `undefined` at the first time. */
  readonly previous: Json | undefined
}

/**
 * A view.
 *
 * @category models
 * @since 0.2.0
 */
export interface View {
  /** The part that it is of. */
  readonly part: Pointer
  /** What it makes of the part (`null` while nothing is there); by default the part itself is shown. */
  readonly run: ((value: Json, change: Change) => Json) | undefined
  /** Views with the same key are the same. */
  readonly key: string | undefined
}

/**
 * Shows a part: the value at a place, `null` while nothing is there. A change in the part is passed on as it is, a change
 * elsewhere costs nothing. All connections that are shown the same part share it.
 *
 * @category constructors
 * @since 0.2.0
 */
export const at = (part: Pointer): View => ({
  part: part.slice(),
  run: undefined,
  key: `at ${JsonPointer.format(part)}`
})

/**
 * Shows what a function makes of the state, or of the part at `of`. It runs once for each autoflush delay in which
 * something there changed, however many connections it is shown to, and gets what has changed; what it gives is compared
 * with what it gave last, and what both share by reference is not entered. If it throws, or gives what is no JSON, the
 * connections that it is shown to are closed (1011).
 *
 * Connections share a view that is the same value, or has the same `key`; two views with one key have to be equal.
 *
 * **Example** (A view for each user)
 *
 * ```ts
 * const serve = JugglerServer.make(Requests, {
 *   state,
 *   view: ({ connection }) => {
 *     const user = userOf(connection)
 *     return JugglerView.make((rooms) => ownedBy(user, rooms), { of: ["rooms"], key: `rooms of ${user}` })
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  view: (value: Json, change: Change) => Json,
  options: {
    /** The part that the function looks at; by default the whole. */
    readonly of?: Pointer | undefined
    readonly key?: string | undefined
  } = {}
): View => ({
  part: options.of?.slice() ?? [],
  run: view,
  key: options.key === undefined ? undefined : `made ${options.key}`
})

/**
 * Keeps the value at a place of one state equal to the value at a place of another: what changes there is written here,
 * as it happens, and costs what the change costs. Runs until it is interrupted; fails when `to` cannot be written.
 *
 * @category combinators
 * @since 0.2.0
 */
export const mirror = <E>(
  source: JugglerState.ReadableState<any>,
  from: Pointer,
  target: JugglerState.JugglerState<any, any, E>,
  to: Pointer
): Effect.Effect<never, JsonPatch.JsonPatchError | E> => {
  const { document } = JugglerState.storeOf(source)
  const part = from.slice()
  const place = to.slice()
  const value = (): Json => document.snapshot(part) ?? null
  const follow = Effect.callback<never, JsonPatch.JsonPatchError>((resume) => {
    const written = JugglerState.storeOf(target)
    const stop = JugglerState.storeOf(source).listen(({ changes }) => {
      const seen = within(document, changes, part)
      if (seen === undefined) return
      if (seen !== "whole" && written.write(JsonPatch.below(seen, place), "program") === undefined) return
      // where somebody else has written there, or it is not what it was, the whole is
      const whole: JsonPatch.Change = { op: place.length === 0 ? "replace" : "add", path: place, value: value() }
      const error = written.write([whole], "program")
      if (error === undefined) return
      stop()
      resume(Effect.fail(error))
    })
    return Effect.sync(stop)
  })
  return Effect.andThen(Effect.suspend(() => target.put(place, value())), follow)
}
