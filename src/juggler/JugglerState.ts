/**
 * A JSON document that several fibers write and any number of peers follow. It is *owned*: a write by place, by patch or
 * by recipe changes it in place and costs what the change is long, whatever the size of the document; that very change
 * goes to the peers, nothing is compared. Values that are read are frozen: what was read is copied before the next
 * write into it, and only that, and only along the path. So a state that nobody looks at whole is never copied.
 *
 * Nobody else can change the document: values that are written are copied, the value of `set` is frozen. So each version
 * is what its commit made it, here and at all who follow.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Commit, CommitBounds } from "./internal/commitLog.ts"
import { commits, follow } from "./internal/following.ts"
import { equals } from "./internal/json.ts"
import { ofPick, ofPlace, type Selection, selection } from "./internal/selection.ts"
import * as Sharing from "./internal/sharing.ts"
import { Store } from "./internal/store.ts"
import { Timeline } from "./internal/timeline.ts"
import * as JsonPatch from "./JsonPatch.ts"
import type { Json, Pointer } from "./JsonPointer.ts"
import * as JugglerHistory from "./JugglerHistory.ts"

export type { Commit, CommitBounds } from "./internal/commitLog.ts"
export type { Selection } from "./internal/selection.ts"

/**
 * What a reader of commits wants.
 *
 * @category models
 * @since 0.2.0
 */
export interface CommitOptions extends CommitBounds {
  /** What the reader has already, from wherever; nothing comes while the document is equal to it. */
  readonly holding?: Json | undefined
}

/**
 * The values of a state, one after the other; see {@link ReadableState.changes}.
 *
 * @category models
 * @since 0.2.0
 */
export interface Changes<out A> extends Stream.Stream<A, Schema.SchemaError> {
  /**
   * The same for a reader that holds a value already, from wherever: an earlier run, another connection, a page that was made
   * at the server. Nothing comes while the state is equal to that value. Fails with `SchemaError` if it does not fit the schema.
   */
  holding(value: A): Stream.Stream<A, Schema.SchemaError>
}

/**
 * What a recipe of {@link JugglerState.update} gets: the JSON of the state as if it were mutable. A member is removed by
 * `delete` or by assigning `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export type Draft<I> = I extends string | number | boolean | null | undefined ? I
  : I extends ReadonlyArray<infer E> ? Array<Draft<E>>
  : { -readonly [K in keyof I]: Draft<I[K]> }

/**
 * A recipe is synchronous: one that gives a promise or an effect does not compile, since what it wrote later would be lost.
 *
 * @category models
 * @since 0.2.0
 */
export type Synchronous<R> = R extends PromiseLike<unknown> | Effect.Effect<any, any, any> ? "a recipe is synchronous"
  : unknown

/**
 * A state: `A` is what the application sees, `I` its JSON, `E` what writes may fail with besides: nothing for a state of
 * this process.
 *
 * @category models
 * @since 0.1.0
 */
export interface JugglerState<in out A, in out I = Json, out E = never> extends ReadableState<A> {
  /**
   * Sets the whole, and freezes the value. It is compared with the last one, and what both share by reference is not
   * entered, so build it from what {@link ReadableState.get} gave. Nothing happens if it is equal.
   *
   * Fails with `JsonPatchError` for what JSON cannot hold (`NaN`, infinities, cycles, the key `__proto__`) and over the
   * limits, with `SchemaError` for what the schema refuses. Nothing is changed then.
   */
  readonly set: (value: A) => Effect.Effect<void, JsonPatch.JsonPatchError | Schema.SchemaError | E>
  /**
   * Changes the state by a recipe: a synchronous function that writes to a draft. All that it writes becomes visible and is
   * sent together. Gives the changes. A draft is the same wherever it is put, moved or put back; values of the recipe's own
   * that it puts in are copied when it is over. If the recipe throws, everything is as before and the effect dies of it.
   *
   * Fails like {@link set}; a draft is of no use when the recipe is over.
   */
  readonly update: <R>(
    recipe: (draft: Draft<I>) => R & Synchronous<R>
  ) => Effect.Effect<ReadonlyArray<JsonPatch.Change>, JsonPatch.JsonPatchError | E>
  /** Sets, adds or replaces the value at a place, by a copy; an index equal to the length, or `"-"`, appends. */
  readonly put: (place: Pointer, value: Json) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
  /** Removes the value at a place; fails as `NotFound` where there is none. */
  readonly remove: (place: Pointer) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
  /** Applies changes, whole or not at all; the values in them are copied. */
  readonly patch: (changes: ReadonlyArray<JsonPatch.Change>) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
}

/**
 * A state as those see it who do not write it: the state of a server at its client, for example.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadableState<out A> {
  /**
   * The current value, decoded. Parts that did not change since an earlier `get` are the same references; all but
   * instances of classes are frozen. Fails with `SchemaError` if the document does not fit the schema, which happens only where somebody else writes it.
   */
  readonly get: Effect.Effect<A, Schema.SchemaError>
  /** The current JSON, frozen. */
  readonly json: Effect.Effect<Json>
  /** The JSON at a place, frozen; `undefined` if nothing is there. */
  readonly at: (place: Pointer) => Effect.Effect<Json | undefined>
  /** Counts the changes. */
  readonly version: Effect.Effect<number>
  /**
   * The current value, then each newer one. A reader that is slow gets the newest value when it is ready for it, and none
   * in between; it never holds up a writer.
   */
  readonly changes: Changes<A>
  /**
   * What is done to the document, to be done elsewhere too: the whole first, as a commit that replaces the root, or what
   * leads to it from the value that the reader is `holding` already, then each commit. For a reader that falls so far behind
   * that more waits for it than the bounds allow (by default 1,024 commits and 1,048,576 bytes), the whole comes again in
   * place of what it missed. So whoever applies all that comes is never wrong.
   */
  readonly commits: (options?: CommitOptions) => Stream.Stream<Commit>
  /**
   * A part, now and whenever it changes: the JSON at a place (`undefined` while nothing is there), which costs nothing
   * while other parts change; or what a function picks from the decoded value, compared by reference.
   */
  readonly select: {
    (place: Pointer): Selection<Json | undefined>
    <B>(pick: (value: A) => B): Selection<B, Schema.SchemaError>
  }
}

/**
 * How a state is made.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, I> {
  /** What the state is; its JSON form must need no services. */
  readonly schema: Schema.Codec<A, I>
  readonly initial: A
  /** See `JsonPatch.defaultLimits`. */
  readonly limits?: Partial<JsonPatch.Limits> | undefined
}

const stores = new WeakMap<object, Store>()

/** @internal */
export const storeOf = (state: ReadableState<any>): Store => stores.get(state)!

/**
 * How a state with a history is made.
 *
 * @category models
 * @since 0.2.0
 */
export interface HistoryOptions<A, I> extends Options<A, I> {
  /** Keeps what was done, and what takes it back; see `JugglerHistory`. */
  readonly history: JugglerHistory.Options
}

/**
 * A state with its history, for undo and redo, and for a look at earlier versions.
 *
 * @category models
 * @since 0.2.0
 */
export interface HistoryState<in out A, in out I = Json> extends JugglerState<A, I> {
  readonly history: JugglerHistory.JugglerHistory<A>
}

/**
 * Makes a state. It needs no scope: it is garbage when nobody holds it. With `history` it can be undone and redone.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <A, I>(
    options: HistoryOptions<A, I>
  ): Effect.Effect<HistoryState<A, I>, JsonPatch.JsonPatchError | Schema.SchemaError>
  <A, I>(options: Options<A, I>): Effect.Effect<JugglerState<A, I>, JsonPatch.JsonPatchError | Schema.SchemaError>
} = <A, I>(
  options: Options<A, I> & Partial<HistoryOptions<A, I>>
): Effect.Effect<any, JsonPatch.JsonPatchError | Schema.SchemaError> =>
  Effect.gen(function*() {
    const sharing = Sharing.make(options.schema)
    const initial = yield* sharing.encode(options.initial)
    const store = new Store(
      null,
      { ...JsonPatch.defaultLimits, ...options.limits },
      (yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)).toString(36),
      sharing.inspect
    )
    const error = store.set(initial)
    if (error !== undefined) return yield* error
    const state = fromStore<A, I>(store, sharing)
    if (options.history === undefined) return state
    const clock = yield* Clock.Clock
    const within = Duration.toMillis(Duration.fromInputUnsafe(options.history.groupWithin ?? 0))
    const timeline = new Timeline(store, options.history, within, () => clock.currentTimeMillisUnsafe())
    store.keep(timeline)
    return register({ ...state, history: JugglerHistory.fromTimeline(store, timeline, sharing) }, store)
  })

/**
 * Makes a state of any JSON, without a schema.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeJson = (
  initial: Json,
  limits?: Partial<JsonPatch.Limits>
): Effect.Effect<JugglerState<Json, any>, JsonPatch.JsonPatchError> =>
  make<Json, any>({ schema: Schema.Json, initial, limits }).pipe(
    Effect.catchTag(
      "SchemaError",
      (error) => new JsonPatch.JsonPatchError({ reason: "NotJson", detail: error.message, operation: -1 })
    )
  )

/** @internal */
export const fromStore = <A, I>(store: Store, sharing: Sharing.Sharing<A>): JugglerState<A, I> => {
  const write = (changes: () => ReadonlyArray<unknown>) =>
    Effect.suspend(() => {
      const error = store.patch(changes(), "program")
      return error === undefined ? Effect.void : Effect.fail(error)
    })
  const state: JugglerState<A, I> = {
    ...readable(store, sharing),
    set: (value) =>
      Effect.suspend((): Effect.Effect<void, JsonPatch.JsonPatchError | Schema.SchemaError> => {
        const encoded = sharing.encode(value)
        if (encoded._tag === "Failure") return Effect.failCause(encoded.cause)
        const error = store.set(encoded.value)
        return error === undefined ? Effect.void : Effect.fail(error)
      }),
    update: (recipe) =>
      Effect.suspend(() => {
        const result = store.update(recipe as (draft: unknown) => unknown)
        return result instanceof JsonPatch.JsonPatchError ? Effect.fail(result) : Effect.succeed(result)
      }),
    put: (place, value) => write(() => putChanges(store, place, value)),
    remove: (place) => write(() => [{ op: "remove", path: place }]),
    patch: (changes) => write(() => changes)
  }
  return register(state, store)
}

/** @internal */
export const putChanges = (store: Store, place: Pointer, value: Json): ReadonlyArray<JsonPatch.Change> => {
  const before = store.document.peek(place)
  if (before !== undefined && equals(before, value)) return []
  return [{ op: before === undefined ? "add" : "replace", path: place, value }]
}

/**
 * Makes a state known to servers, which follow its store.
 *
 * @internal
 */
export const register = <S extends ReadableState<any>>(state: S, store: Store): S => {
  stores.set(state, store)
  return state
}

/** @internal */
export const readable = <A>(store: Store, sharing: Sharing.Sharing<A>): ReadableState<A> => {
  const current = (): Json => store.document.snapshot([])!
  const changes = withHolding(
    follow(store, () => current()).pipe(Stream.mapEffect((json) => sharing.decode(json))),
    (value) =>
      Stream.unwrap(Effect.map(Effect.suspend(() => sharing.encode(value)), (held) => {
        let begins = true
        return follow(store, () => current()).pipe(
          Stream.filter((json) => {
            const isHeld = begins && equals(json, held)
            begins = false
            return !isHeld
          }),
          Stream.mapEffect((json) => sharing.decode(json))
        )
      }))
  )
  const state: ReadableState<A> = {
    get: Effect.suspend(() => sharing.decode(current())),
    json: Effect.sync(current),
    at: (place) => Effect.sync(() => store.document.snapshot(place)),
    version: Effect.sync(() => store.version),
    changes,
    commits: (options) => commits(store, options ?? {}),
    select: (<B>(part: Pointer | ((value: A) => B)): Selection<Json | B | undefined, Schema.SchemaError> => {
      if (typeof part === "function") {
        return selection(
          changes.pipe(Stream.map(part), Stream.changesWith((a, b) => a === b)),
          ofPick(store, () => sharing.decode(current()), part)
        )
      }
      const place = part.slice()
      return selection(
        follow(store, () => store.document.snapshot(place), () => store.document.peek(place)),
        ofPlace(store, place)
      )
    }) as ReadableState<A>["select"]
  }
  stores.set(state, store)
  return state
}

/** @internal */
export const withHolding = <A>(
  changes: Stream.Stream<A, Schema.SchemaError>,
  holding: Changes<A>["holding"]
): Changes<A> => Object.assign(changes, { holding })
