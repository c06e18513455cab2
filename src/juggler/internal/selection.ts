/**
 * A part of a state as a stream, and as what a screen library subscribes to.
 */
import type * as Exit from "effect/Exit"
import type * as Stream from "effect/Stream"
import type { Pointer } from "../JsonPointer.ts"
import type { Store } from "./store.ts"

/** What a selection is besides a stream. */
export interface Snapshots<out B> {
  readonly subscribe: (onChange: () => void) => () => void
  readonly getSnapshot: () => B | undefined
}

/** Adds to a stream what screens want. */
export const selection = <B, E>(
  stream: Stream.Stream<B, E>,
  snapshots: Snapshots<B>
): Stream.Stream<B, E> & Snapshots<B> => Object.assign(stream, snapshots)

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
