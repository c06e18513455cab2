import type { NonEmptyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * What waits for one reader of a topic: a bounded number of values, the newest, and how many were lost before them.
 *
 * @internal
 */
export class TopicBuffer<A, E> {
  private items: Array<A> = []
  private lost: number | undefined = 0
  private end: Exit.Exit<never, E> | undefined
  private waiter: (() => void) | undefined
  private readonly capacity: number
  private readonly gap: (count: number | undefined) => A | undefined

  /** `gap` makes the item that tells of lost ones; `undefined` where that is nobody's business. */
  constructor(capacity: number, gap: (count: number | undefined) => A | undefined) {
    this.capacity = capacity
    this.gap = gap
  }

  push(item: A): void {
    if (this.end !== undefined) return
    if (this.items.length >= this.capacity) {
      this.items.shift()
      if (this.lost !== undefined) this.lost++
    }
    this.items.push(item)
    this.wake()
  }

  /** Some were lost before they came here; `undefined` when nobody knows how many. */
  missed(count: number | undefined): void {
    // they come before what comes next, and after what waits: what waits is told of too early rather than not at all
    this.lost = count === undefined || this.lost === undefined ? undefined : this.lost + count
    this.wake()
  }

  /** Ends it, after what waits. The first end counts. */
  done(end: Exit.Exit<never, E>): void {
    this.end ??= end
    this.wake()
  }

  /** Ends it now: what waits is dropped. */
  abort(end: Exit.Exit<never, E>): void {
    this.items = []
    this.lost = 0
    this.end = end
  }

  private wake(): void {
    const waiter = this.waiter
    this.waiter = undefined
    waiter?.()
  }

  private poll(): Exit.Exit<NonEmptyArray<A>, E> | undefined {
    const items = this.items
    if (this.lost !== 0) {
      const gap = this.gap(this.lost)
      this.lost = 0
      if (gap !== undefined) items.unshift(gap)
    }
    if (items.length > 0) {
      this.items = []
      return Exit.succeed(items as NonEmptyArray<A>)
    }
    return this.end
  }

  /** All that waits; for one reader. */
  readonly take: Effect.Effect<NonEmptyArray<A>, E> = Effect.suspend(() => {
    const now = this.poll()
    if (now !== undefined) return now
    return Effect.callback<NonEmptyArray<A>, E>((resume) => {
      this.waiter = () => resume(this.take)
      return Effect.sync(() => {
        this.waiter = undefined
      })
    })
  })
}
