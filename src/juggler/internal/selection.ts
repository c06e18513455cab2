/**
 * A part of a state as a stream, and as what a screen library subscribes to.
 */
import type * as Exit from "effect/Exit"
import type * as Stream from "effect/Stream"
import type { Pointer } from "../JsonPointer.ts"
import type { Store } from "./store.ts"

/**
 * A part of a state: a stream of its values, and, for screens, the two functions that `useSyncExternalStore` of React and
 * their like in other libraries take. Keep the selection: each `select` makes a new one.
 *
 * **Example** (In a component)
 *
 * ```ts
 * const temperature = client.state.select(["rooms", "kitchen", "celsius"])
 * const Temperature = () => useSyncExternalStore(temperature.subscribe, temperature.getSnapshot)
 * ```
 *
 * @category models
 * @since 0.2.0
 */
export interface Selection<out B, out E = never> extends Stream.Stream<B, E> {
  /** Calls back, synchronously, after each commit that changed the part, until the function that it gives is called. */
  readonly subscribe: (onChange: () => void) => () => void
  /**
   * The part now: the same reference until it changes. `undefined` before the first state of a client with a schema, and
   * where the document does not fit the schema.
   */
  readonly getSnapshot: () => B | undefined
}

/** What a selection is besides a stream. */
export type Snapshots<B> = Pick<Selection<B>, "subscribe" | "getSnapshot">

/** Adds to a stream what screens want. */
export const selection = <B, E>(stream: Stream.Stream<B, E>, snapshots: Snapshots<B>): Selection<B, E> =>
  Object.assign(stream, snapshots)

/** Calls back after each commit that changed what `peek` gives. */
const watching = (store: Store, peek: () => unknown) => (onChange: () => void): () => void => {
  let seen = peek()
  return store.watch(() => {
    const now = peek()
    if (now === seen) return
    seen = now
    onChange()
  })
}

/** Snapshots of a value that is another reference when it is another. */
export const ofValue = <B>(store: Store, peek: () => B): Snapshots<B> => ({
  subscribe: watching(store, peek),
  getSnapshot: peek
})

/** Snapshots of the value at a place: the same reference until something there is written. */
export const ofPlace = <B>(store: Store, place: Pointer): Snapshots<B> => ({
  subscribe: watching(store, () => store.document.peek(place)),
  getSnapshot: () => store.document.snapshot(place) as B | undefined
})

/** Snapshots of what a function picks from the decoded value; it runs once for each version. */
export const ofPick = <A, B>(
  store: Store,
  decode: () => Exit.Exit<A, unknown>,
  pick: (value: A) => B
): Snapshots<B> => {
  let picked: { readonly version: number; readonly value: B | undefined } | undefined
  return {
    subscribe: watching(store, () => store.version),
    getSnapshot: () => {
      if (picked?.version !== store.version) {
        const exit = decode()
        picked = { version: store.version, value: exit._tag === "Success" ? pick(exit.value) : undefined }
      }
      return picked.value
    }
  }
}
