/**
 * Sends the changes of a store to its followers: what changed within the autoflush delay goes out as one patch, written
 * as text once and framed once for each generation, whatever the number of followers.
 *
 * A follower whose outbox is full gets no patches; when it has read enough it gets the whole. So what waits for a slow
 * reader is bounded, and it sees the newest state.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Outbox } from "../../socket/Outbox.ts"
import type { Operation } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import type { Generation } from "../JugglerGeneration.ts"
import { diffInto } from "./diff.ts"
import { Pending } from "./pending.ts"
import type { Store } from "./store.ts"

/** One end that follows a store. */
export class Follower {
  readonly generation: Generation
  readonly segmentSize: number
  readonly outbox: Outbox
  /** Characters that may wait in the outbox before patches are held back. */
  readonly highWater: number
  /** It has to get the whole before it can get patches. */
  stale = true
  /** Something was sent to it; until then it holds `null`. */
  started = false
  /** Its outbox is full. */
  congested = false
  /** Characters of the whole that was sent last, as long as they may be waiting: they are no sign of a slow reader. */
  allowance = 0

  constructor(generation: Generation, segmentSize: number, outbox: Outbox, highWater: number) {
    this.generation = generation
    this.segmentSize = segmentSize
    this.outbox = outbox
    this.highWater = highWater
  }

  isFull(): boolean {
    const waiting = this.outbox.waiting()
    if (waiting <= this.highWater) this.allowance = 0
    return waiting > this.highWater + this.allowance
  }
}

type Fork = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** Documents up to this size are compared with what was sent last, so that nothing is sent for what was taken back. */
const comparedUpTo = 4_096

/** The frames of a text, made once for each generation and segment size. */
class Frames {
  private readonly made = new Map<string, ReadonlyArray<string>>()
  private readonly text: string
  constructor(text: string) {
    this.text = text
  }
  get length(): number {
    return this.text.length
  }
  send(follower: Follower): void {
    const key = `${follower.generation.name}/${follower.segmentSize}`
    let frames = this.made.get(key)
    follower.started = true
    if (frames === undefined) {
      frames = follower.generation.encodeState(this.text, follower.segmentSize)
      this.made.set(key, frames)
    }
    for (let i = 0; i < frames.length; i++) follower.outbox.send(frames[i]!)
  }
}

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

  constructor(store: Store, delay: number | undefined, fork: Fork, onEmpty: () => void) {
    this.store = store
    this.delay = delay
    this.fork = fork
    this.onEmpty = onEmpty
  }

  join(follower: Follower): void {
    if (this.stop === undefined) {
      this.stop = this.store.listen((operations) => this.changed(operations))
      this.remember()
    }
    // those who are here already get what is pending, so that from now on one patch fits all
    if (this.delay !== undefined) this.flush()
    this.followers.add(follower)
    if (this.delay === undefined) follower.stale = this.store.document.root !== null || this.pending.size > 0
    else this.sendWhole([follower])
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

  private changed(operations: ReadonlyArray<Operation>): void {
    this.pending.add(operations)
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
    const patches = this.take()
    const stale: Array<Follower> = []
    let fresh = 0
    for (const follower of this.followers) {
      if (follower.congested) continue
      if (follower.stale) stale.push(follower)
      else if (patches.length > 0 && follower.isFull()) this.congest(follower)
      else fresh++
    }
    if (fresh > 0) {
      for (const patch of patches) {
        const frames = new Frames(JSON.stringify(patch))
        for (const follower of this.followers) if (!follower.stale && !follower.congested) frames.send(follower)
      }
    }
    if (stale.length > 0) this.sendWhole(stale)
  }

  /** What is pending as patches, each of which a peer with the usual limits applies. */
  private take(): ReadonlyArray<ReadonlyArray<Operation>> {
    if (this.pending.size === 0) return []
    const { document, limits } = this.store
    let operations: ReadonlyArray<Operation> | undefined
    if (this.delay !== 0 && this.synced !== undefined) {
      const found: Array<Operation> = []
      if (typeof diffInto(found, this.synced.value, document.root, limits) === "number") operations = found
    }
    const patches = operations === undefined
      ? this.pending.patches(document, limits.maxOperations)
      : operations.length === 0
      ? []
      : [operations]
    this.pending.clear()
    this.remember()
    return patches
  }

  private remember(): void {
    const { document } = this.store
    this.synced = this.delay !== 0 && document.size <= comparedUpTo ? { value: document.snapshot([])! } : undefined
  }

  /** The whole as text, as long as somebody needs it: many may join at the same time. */
  private whole: { readonly version: number; readonly frames: WeakRef<Frames> } | undefined

  private sendWhole(followers: ReadonlyArray<Follower>): void {
    const { document: { root }, version } = this.store
    let frames = this.whole?.version === version ? this.whole.frames.deref() : undefined
    if (frames === undefined) {
      frames = new Frames(JSON.stringify([{ op: "replace", path: "", value: root }]))
      this.whole = { version, frames: new WeakRef(frames) }
    }
    for (const follower of followers) {
      follower.stale = false
      if (root === null && !follower.started) continue
      follower.allowance = frames.length
      frames.send(follower)
    }
  }

  private congest(follower: Follower): void {
    follower.congested = true
    this.fork(Effect.map(follower.outbox.drained(follower.highWater >> 1), () => {
      follower.allowance = 0
      if (!this.followers.has(follower) || follower.outbox.isClosed()) return
      // first the others, so that from now on one patch fits all again
      if (this.delay !== undefined) this.flush()
      follower.congested = false
      if (this.pending.size > 0) follower.stale = true
      else this.sendWhole([follower])
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
