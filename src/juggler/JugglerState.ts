/**
 * A JSON document that several fibers write and any number of peers follow. It is *owned*: a write by pointer, by patch or
 * by recipe changes it in place and costs what the change is long, whatever the size of the document; that very change
 * goes to the peers, nothing is compared. Values that are read are immutable: what was read is copied before the next
 * write into it, and only that, and only along the path. So a state that nobody looks at whole is never copied.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { equals } from "./internal/json.ts"
import * as Sharing from "./internal/sharing.ts"
import { type Check, Store } from "./internal/store.ts"
import * as JsonPatch from "./JsonPatch.ts"
import * as JsonPointer from "./JsonPointer.ts"
import type { Json } from "./JsonPointer.ts"

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
 * A state: `A` is what the application sees, `I` its JSON, `E` what writes may fail with besides: nothing for a state of
 * this process.
 *
 * @category models
 * @since 0.1.0
 */
export interface JugglerState<in out A, in out I = Json, out E = never> extends ReadableState<A> {
  /**
   * Sets the whole. The value is compared with the last one, and what both share by reference is not entered, so build it
   * from what {@link ReadableState.get} gave. Nothing happens if it is equal. Do not mutate the value afterwards.
   *
   * Fails with `JsonPatchError` for what JSON cannot hold (`NaN`, infinities, cycles, the key `__proto__`) and over the
   * limits, with `SchemaError` for what the schema refuses. Nothing is changed then.
   */
  readonly set: (value: A) => Effect.Effect<void, JsonPatch.JsonPatchError | Schema.SchemaError | E>
  /**
   * Changes the state by a recipe: a function that writes to a draft, in place. All that it writes becomes visible and is
   * sent together. Gives the operations. If the recipe throws, everything is as before and the effect dies of it.
   *
   * Fails like {@link set}; a draft is of no use when the recipe is over.
   */
  readonly update: (
    recipe: (draft: Draft<I>) => void
  ) => Effect.Effect<JsonPatch.JsonPatch, JsonPatch.JsonPatchError | E>
  /** Sets, adds or replaces the value at a pointer; an index equal to the length, or `-`, appends. */
  readonly put: (pointer: string, value: Json) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
  /** Removes the value at a pointer; fails as `NotFound` where there is none. */
  readonly remove: (pointer: string) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
  /** Applies a patch, whole or not at all. */
  readonly patch: (patch: JsonPatch.JsonPatch) => Effect.Effect<void, JsonPatch.JsonPatchError | E>
}

/**
 * A state as those see it who do not write it: the state of a server at its client, for example.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadableState<out A> {
  /**
   * The current value, decoded. Parts that did not change since an earlier `get` are the same references. Fails with
   * `SchemaError` if the document does not fit the schema, which happens only where somebody else writes it.
   */
  readonly get: Effect.Effect<A, Schema.SchemaError>
  /** The current JSON, as an immutable value. */
  readonly json: Effect.Effect<Json>
  /** The JSON at a pointer, as an immutable value; `undefined` if nothing is there. */
  readonly at: (pointer: string) => Effect.Effect<Json | undefined>
  /** Counts the changes. */
  readonly version: Effect.Effect<number>
  /**
   * The current value, then each newer one. A reader that is slow gets the newest value when it is ready for it, and none
   * in between; it never holds up a writer.
   */
  readonly changes: Stream.Stream<A, Schema.SchemaError>
  /**
   * A part, now and whenever it changes: the JSON at a pointer (`undefined` while nothing is there), which costs nothing
   * while other parts change; or what a function picks from the decoded value, compared by reference.
   */
  readonly select: {
    (pointer: string): Stream.Stream<Json | undefined>
    <B>(pick: (value: A) => B): Stream.Stream<B, Schema.SchemaError>
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
 * Makes a state. It needs no scope: it is garbage when nobody holds it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, I>(
  options: Options<A, I>
): Effect.Effect<JugglerState<A, I>, JsonPatch.JsonPatchError | Schema.SchemaError> =>
  Effect.gen(function*() {
    const sharing = Sharing.make(options.schema)
    const initial = yield* sharing.encode(options.initial)
    const store = new Store(null, { ...JsonPatch.defaultLimits, ...options.limits })
    const error = store.set(initial)
    if (error !== undefined) return yield* error
    return fromStore<A, I>(store, sharing)
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
  const check = checkOf(sharing)
  const write = (patch: () => unknown) =>
    Effect.suspend(() => {
      const error = store.patch(patch(), false, check)
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
        const result = store.update(recipe as (draft: unknown) => unknown, check)
        return result instanceof JsonPatch.JsonPatchError ? Effect.fail(result) : Effect.succeed(result)
      }),
    put: (pointer, value) => write(() => putOperation(store, pointer, value)),
    remove: (pointer) => write(() => [{ op: "remove", path: pointer }]),
    patch: (patch) => write(() => patch)
  }
  stores.set(state, store)
  return state
}

/**
 * Whether what was written fits the schema.
 *
 * @internal
 */
export const checkOf = <A>(sharing: Sharing.Sharing<A>): Check => (operations, root) => {
  for (const operation of operations) {
    const tokens = JsonPointer.parse(operation.path)!
    const { op } = operation
    const fits = op === "test" ||
      (op === "remove"
        ? sharing.fits(root, tokens, undefined)
        : sharing.fits(root, tokens, "value" in operation ? operation.value : JsonPointer.get(root, tokens)))
    if (!fits || (op === "move" && !sharing.fits(root, JsonPointer.parse(operation.from)!, undefined))) {
      return { reason: "NotJson", detail: `the schema has another value at "${operation.path.slice(0, 200)}"` }
    }
  }
  return undefined
}

/** @internal */
export const putOperation = (store: Store, pointer: string, value: Json): ReadonlyArray<JsonPatch.Operation> => {
  const tokens = JsonPointer.parse(pointer)
  const before = tokens === undefined ? undefined : store.document.peek(tokens)
  if (before !== undefined && equals(before, value)) return []
  return [{ op: before === undefined ? "add" : "replace", path: pointer, value }]
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
  const changes = follow(store, () => current()).pipe(Stream.mapEffect((json) => sharing.decode(json)))
  const state: ReadableState<A> = {
    get: Effect.suspend(() => sharing.decode(current())),
    json: Effect.sync(current),
    at: (pointer) =>
      Effect.sync(() => {
        const tokens = JsonPointer.parse(pointer)
        return tokens === undefined ? undefined : store.document.snapshot(tokens)
      }),
    version: Effect.sync(() => store.version),
    changes,
    select: (<B>(part: string | ((value: A) => B)): Stream.Stream<Json | B | undefined, Schema.SchemaError> => {
      if (typeof part === "function") {
        return changes.pipe(Stream.map(part), Stream.changesWith((a, b) => a === b))
      }
      const tokens = JsonPointer.parse(part)
      if (tokens === undefined) return Stream.make(undefined)
      return follow(store, () => store.document.snapshot(tokens), () => store.document.peek(tokens))
    }) as ReadableState<A>["select"]
  }
  stores.set(state, store)
  return state
}

/**
 * What `read` gives, now and after each commit that changed what `peek` gives; only the newest waits for the reader.
 *
 * @internal
 */
export const follow = <B>(
  store: Store,
  read: () => B,
  peek: () => unknown = () => store.version
): Stream.Stream<B> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const queue: Queue.Queue<void> = yield* Queue.sliding<void>(1)
      let seen = peek()
      Queue.offerUnsafe(queue, undefined)
      yield* listening(store, () => {
        const now = peek()
        if (now === seen) return
        seen = now
        Queue.offerUnsafe(queue, undefined)
      })
      return Stream.fromQueue(queue).pipe(
        Stream.map(() => {
          const value = read()
          seen = peek()
          return value
        }),
        Stream.changesWith((a, b) => a === b)
      )
    })
  )

const listening = (store: Store, listener: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(Effect.sync(() => store.watch(listener)), (stop) => Effect.sync(stop)))
