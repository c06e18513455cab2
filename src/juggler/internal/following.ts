/**
 * What readers of a store get: its values, of which a slow reader gets the newest, and its commits, of which it misses none.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Json } from "../JsonPointer.ts"
import { type Commit, type CommitBounds, CommitLog } from "./commitLog.ts"
import { diffInto } from "./diff.ts"
import type { Change } from "./model.ts"
import type { Store } from "./store.ts"

/**
 * What `read` gives, now and after each commit that changed what `peek` gives; only the newest waits for the reader.
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
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          store.watch(() => {
            const now = peek()
            if (now === seen) return
            seen = now
            Queue.offerUnsafe(queue, undefined)
          })
        ),
        (stop) => Effect.sync(stop)
      )
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

/**
 * What leads from a value that somebody holds to the present one; `undefined` where that is no JSON, or the whole is as short.
 */
const from = (store: Store, held: Json): ReadonlyArray<Change> | undefined => {
  const changes: Array<Change> = []
  return typeof diffInto(changes, held, store.document.snapshot([])!, store.limits) === "number" ? changes : undefined
}

/** The whole first, or what leads to it from the value that the reader holds, then each commit. */
export const commits = (
  store: Store,
  bounds: CommitBounds & { readonly holding?: Json | undefined }
): Stream.Stream<Commit> =>
  Stream.unwrap(
    Effect.gen(function*() {
      const signal: Queue.Queue<void> = yield* Queue.sliding<void>(1)
      const waiting = new CommitLog(bounds)
      let { holding } = bounds
      /** Commits that came since the reader was here; infinite at first, when it needs the whole. */
      let count = Infinity
      Queue.offerUnsafe(signal, undefined)
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          store.listen((commit) => {
            waiting.add(commit, undefined)
            count++
            Queue.offerUnsafe(signal, undefined)
          })
        ),
        (stop) => Effect.sync(stop)
      )
      return Stream.fromQueue(signal).pipe(
        Stream.map((): ReadonlyArray<Commit> => {
          const missed = waiting.last(count)
          const { epoch, version } = store
          const held = holding
          holding = undefined
          waiting.clear()
          count = 0
          if (missed !== undefined) return missed.map(({ commit }) => commit)
          const changes = held === undefined ? undefined : from(store, held)
          if (changes?.length === 0) return []
          return [{
            epoch,
            version,
            changes: changes ?? [{ op: "replace", path: [], value: store.document.snapshot([])! }]
          }]
        }),
        Stream.flattenIterable
      )
    })
  )
