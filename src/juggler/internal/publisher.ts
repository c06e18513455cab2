/**
 * Sends the changes of a store to its followers: what changed within the autoflush delay goes out as one patch, written
 * as text once and framed once for each generation, whatever the number of followers.
 *
 * A follower whose outbox is full gets no patches; when it has read enough it gets what it missed, where that is still
 * known, or the whole. So what waits for a slow reader is bounded, and it sees the newest state. A follower that resumes is
 * told epoch and version with each patch, and the same holds for what it missed between two connections.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as JsonPatch from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import { diffInto } from "./diff.ts"
import { type Follower, Frames } from "./follower.ts"
import type { Change } from "./model.ts"
import { cut, Pending } from "./pending.ts"
import type { Point } from "./resume.ts"
import type { Store } from "./store.ts"

type Fork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** Documents up to this size, in bytes of memory, are compared with what was sent last, so that nothing is sent for what was taken back. */
const comparedUpTo = 4_096

export class Publisher {
  readonly followers = new Set<Follower>()
  private readonly store: Store
  /** Milliseconds; 0: every change by itself; `undefined`: on {@link flush} only. */
  private readonly delay: number | undefined
  private readonly fork: Fork
  private readonly onEmpty: () => void
  private readonly pending = new Pending()
  private timer: Fiber.Fiber<void> | undefined
  private stop: (() => void) | undefined
  /** What was sent last, where it is small. */
  private synced: { readonly value: Json } | undefined
  /** The version that those who are not stale were brought to. */
  private version = 0

  constructor(store: Store, delay: number | undefined, fork: Fork, onEmpty: () => void) {
    this.store = store
    this.delay = delay
    this.fork = fork
    this.onEmpty = onEmpty
  }

  join(follower: Follower): void {
    if (this.stop === undefined) {
      const deaf = this.store.listen(({ changes }) => this.changed(changes))
      const unnamed = this.store.onRename(() => this.renamed())
      this.stop = () => {
        deaf()
        unnamed()
      }
      this.version = this.store.version
      this.remember()
    }
    // those who are here already get what is pending, so that from now on one patch fits all
    if (this.delay !== undefined) this.flush()
    this.followers.add(follower)
    if (this.delay === undefined) follower.stale = this.store.document.root !== null || this.pending.size > 0
    else if (!follower.asked) this.bring(follower)
  }

  /** A follower that was asked does not resume, or did not say so in time. */
  release(follower: Follower): void {
    if (!follower.asked) return
    if (this.delay !== undefined) this.flush()
    follower.asked = false
    if (this.delay !== undefined) this.bring(follower)
  }

  /** A follower resumes: from now on it is told versions; `point` is where it stopped, on this connection or another. */
  resume(follower: Follower, point: Point | undefined): void {
    const again = follower.stamped
    follower.stamped = true
    if (follower.asked) {
      follower.point = point
      return this.release(follower)
    }
    // which may be too much for it
    if (this.delay !== undefined && !follower.congested) this.flush()
    if (follower.congested) {
      // what it has said of another connection means nothing where it was sent something on this one
      if (again || !follower.started) follower.point = point
      return
    }
    if (again || !follower.started) {
      follower.point = point
      if (this.delay === undefined) follower.stale = true
      else this.bring(follower)
      return
    }
    // it was sent the whole before it could say so
    if (!follower.stale) new Frames("[]", { base: this.version, version: this.version }).send(follower)
  }

  leave(follower: Follower): void {
    this.followers.delete(follower)
    if (this.followers.size > 0) return
    this.cancelTimer()
    this.stop?.()
    this.stop = undefined
    this.synced = undefined
    this.pending.clear()
    this.onEmpty()
  }

  /** Versions are told in another way: whoever is told them needs the whole. */
  private renamed(): void {
    this.whole = undefined
    for (const follower of this.followers) {
      if (!follower.stamped) continue
      follower.stale = true
      follower.point = undefined
    }
    this.changed([])
  }

  private changed(changes: ReadonlyArray<Change>): void {
    this.pending.add(changes)
    if (this.delay === 0) return this.flush()
    if (this.delay === undefined || this.timer !== undefined) return
    this.timer = this.fork(Effect.andThen(
      Effect.sleep(this.delay),
      Effect.sync(() => {
        this.timer = undefined
        this.flush()
      })
    ))
  }

  private cancelTimer(): void {
    const timer = this.timer
    this.timer = undefined
    timer?.interruptUnsafe()
  }

  /** Sends what is pending, now. */
  flush(): void {
    if (this.timer !== undefined) this.cancelTimer()
    const base = this.version
    const patches = this.take()
    const stale: Array<Follower> = []
    let fresh = 0
    let stamped = false
    for (const follower of this.followers) {
      if (follower.waits) continue
      if (follower.stale) stale.push(follower)
      else if (patches.length > 0 && follower.isFull()) this.congest(follower, base)
      else {
        fresh++
        if (follower.stamped) stamped = true
      }
    }
    if (fresh > 0 && patches.length > 0) this.sendPatches(patches, base, this.followers)
    else if (stamped && this.version !== base) {
      // nothing has changed, but where it stands
      const frames = new Frames("[]", { base, version: this.version })
      for (const follower of this.followers) {
        if (follower.stamped && !follower.stale && !follower.waits) frames.send(follower)
      }
    }
    for (const follower of stale) this.bring(follower)
  }

  /** Sends patches that lead from a version to the present one; gives their characters. */
  private sendPatches(
    patches: ReadonlyArray<ReadonlyArray<Change>>,
    base: number,
    followers: Iterable<Follower>
  ): number {
    let characters = 0
    for (let i = 0; i < patches.length; i++) {
      const step = i === patches.length - 1 ? { base, version: this.version } : { base, version: base, more: true }
      const frames = new Frames(JSON.stringify(JsonPatch.encode(patches[i]!)), step)
      for (const follower of followers) if (!follower.stale && !follower.waits) frames.send(follower)
      characters += frames.length
    }
    return characters
  }

  /** What is pending as patches, each of which a peer with the usual limits applies. */
  private take(): ReadonlyArray<ReadonlyArray<Change>> {
    if (this.version === this.store.version) return []
    this.version = this.store.version
    const { document, limits } = this.store
    let operations: ReadonlyArray<Change> | undefined
    if (this.delay !== 0 && this.synced !== undefined) {
      const found: Array<Change> = []
      if (typeof diffInto(found, this.synced.value, document.root, limits) === "number") operations = found
    }
    const patches = (operations ?? this.pending.list).length === 0
      ? []
      : operations === undefined
      ? this.pending.patches(document, limits.maxOperations)
      : [operations]
    this.pending.clear()
    for (const { history } of this.followers) {
      if (history === undefined) continue
      history.mark()
      break
    }
    this.remember()
    return patches
  }

  private remember(): void {
    const { document } = this.store
    this.synced = this.delay !== 0 && document.size <= comparedUpTo ? { value: document.snapshot([])! } : undefined
  }

  /** The whole as text, as long as somebody needs it: many may join at the same time. */
  private whole: { readonly version: number; readonly frames: WeakRef<Frames> } | undefined

  /** Brings a follower to the present version: by what it missed, or by the whole. */
  private bring(follower: Follower): void {
    const { document: { root }, limits, version } = this.store
    const { point } = follower
    follower.stale = false
    follower.point = undefined
    if (follower.stamped) follower.history!.mark()
    const missed = point === undefined ? undefined : follower.history!.since(point)
    if (missed !== undefined) {
      const patches = missed.length === 0 ? [[]] : cut(missed, limits.maxOperations)
      const base = point!.version - follower.history!.run.offset
      follower.allowance = this.sendPatches(patches, base, [follower])
      return
    }
    if (root === null && !follower.started && !follower.stamped) return
    let frames = this.whole?.version === version ? this.whole.frames.deref() : undefined
    if (frames === undefined) {
      frames = new Frames(JSON.stringify([{ op: "replace", path: "", value: root }]), { version })
      this.whole = { version, frames: new WeakRef(frames) }
    }
    follower.allowance = frames.length
    frames.send(follower)
  }

  /** It takes no more than it has, up to the version: what it misses from there on may stand for the whole. */
  private congest(follower: Follower, version: number): void {
    follower.congested = true
    if (follower.history !== undefined) {
      const { epoch, offset } = follower.history.run
      follower.point = { epoch, version: version + offset }
    }
    this.fork(Effect.map(follower.outbox.drained(follower.highWater >> 1), () => {
      follower.allowance = 0
      if (!this.followers.has(follower) || follower.outbox.isClosed()) return
      // first the others, so that from now on one patch fits all again
      if (this.delay !== undefined) this.flush()
      follower.congested = false
      if (this.pending.size > 0) follower.stale = true
      else this.bring(follower)
    }))
  }
}

/** Publishers of a store that others share, by delay. */
const shared = new WeakMap<Store, Map<number | undefined, Publisher>>()

/** The publisher of a store for a delay; there is one for all connections that have the same. */
export const publisherOf = (store: Store, delay: number | undefined, fork: Fork): Publisher => {
  let byDelay = shared.get(store)
  if (byDelay === undefined) shared.set(store, byDelay = new Map())
  let publisher = byDelay.get(delay)
  if (publisher === undefined) {
    const made = new Publisher(store, delay, fork, () => byDelay.delete(delay))
    publisher = made
    byDelay.set(delay, made)
  }
  return publisher
}

/** Sends what is pending of a store to everybody who is not waiting for a flush of his own. */
export const flushAll = (store: Store): void => {
  for (const [delay, publisher] of shared.get(store) ?? []) if (delay !== undefined) publisher.flush()
}
