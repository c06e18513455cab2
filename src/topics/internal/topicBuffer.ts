import type { NonEmptyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Position } from "./topicNotices.ts"

/**
 * Values that a reader will not have: how many, and those after `from` up to and including `to`, where that is known.
 *
 * @internal
 */
export interface Missed {
  readonly missed: number | undefined
  readonly from: Position | undefined
  readonly to: Position | undefined
}

/**
 * What waits for one reader of a topic: a bounded number of values, the newest, and in their place what was lost.
 *
 * @internal
 */
export class TopicBuffer<A extends { readonly position: Position | undefined }, E> {
  private items: Array<A | Missed> = []
  private values = 0
  private end: Exit.Exit<never, E> | undefined
  private waiter: (() => void) | undefined
  private waking = false
  private readonly capacity: number
  private readonly tells: boolean

  /** `tells`: whether it is anybody's business what was lost. */
  constructor(capacity: number, tells: boolean) {
    this.capacity = capacity
    this.tells = tells
  }

  push(item: A): void {
    if (this.end !== undefined) return
    if (this.values >= this.capacity) this.drop()
    this.items.push(item)
    this.values++
    this.wake()
  }

  /** Some were lost before they came here. */
  missed(gap: Missed): void {
    if (!this.tells || this.end !== undefined) return
    const last = this.items[this.items.length - 1]
    if (last !== undefined && isMissed(last)) this.items[this.items.length - 1] = merge(last, gap)
    else this.items.push(gap)
    this.wake()
  }

  private drop(): void {
    const before = this.takeGap()
    const { position } = this.items.shift() as A
    this.values--
    if (!this.tells) return
    const from = position && { epoch: position.epoch, offset: position.offset - 1 }
    const gap = merge(before, { missed: 1, from, to: position })
    const after = this.takeGap()
    this.items.unshift(after === undefined ? gap : merge(gap, after))
  }

  private takeGap(): Missed | undefined {
    const first = this.items[0]
    return first !== undefined && isMissed(first) ? this.items.shift() as Missed : undefined
  }

  /** Ends it, after what waits. The first end counts. */
  done(end: Exit.Exit<never, E>): void {
    this.end ??= end
    this.wake()
  }

  /** Ends it now: what waits is dropped. */
  abort(end: Exit.Exit<never, E>): void {
    this.items = []
    this.end = end
  }

  /** After this turn: what came in one turn, as after a reconnection, is taken at once. */
  private wake(): void {
    if (this.waiter === undefined || this.waking) return
    this.waking = true
    queueMicrotask(() => {
      this.waking = false
      const waiter = this.waiter
      this.waiter = undefined
      waiter?.()
    })
  }

  private poll(): Exit.Exit<NonEmptyArray<A | Missed>, E> | undefined {
    const { items } = this
    if (items.length === 0) return this.end
    this.items = []
    this.values = 0
    return Exit.succeed(items as NonEmptyArray<A | Missed>)
  }

  /** All that waits; for one reader. */
  readonly take: Effect.Effect<NonEmptyArray<A | Missed>, E> = Effect.suspend(() => {
    const now = this.poll()
    if (now !== undefined) return now
    return Effect.callback<NonEmptyArray<A | Missed>, E>((resume) => {
      // the fiber may have yielded in between
      const meanwhile = this.poll()
      if (meanwhile !== undefined) return resume(meanwhile)
      this.waiter = () => resume(this.take)
      return Effect.sync(() => {
        this.waiter = undefined
      })
    })
  })
}

const isMissed = (item: object): item is Missed => "missed" in item

const merge = (a: Missed | undefined, b: Missed): Missed =>
  a === undefined ? b : {
    missed: a.missed === undefined || b.missed === undefined ? undefined : a.missed + b.missed,
    from: a.from,
    to: b.to
  }
