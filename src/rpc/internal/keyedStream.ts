import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Weight from "./weight.ts"

/** Elements that are made ahead of whom they are for. */
const ahead = 64

/** @internal */
export interface Window {
  readonly elements: number
  readonly bytes: number
}

/**
 * The elements of one run of a stream: who makes them waits for who takes them, and those that were taken are kept for a
 * while, for a taker that comes again.
 *
 * @internal
 */
export class KeyedStream {
  private readonly window: Window
  private items: Array<{ readonly element: unknown; readonly bytes: number }> = []
  /** Elements before the first of `items`. */
  private start = 0
  /** Elements that were taken. */
  private taken = 0
  private bytes = 0
  private end: Exit.Exit<unknown, unknown> | undefined
  private takers = 0
  private maker: (() => void) | undefined
  private taker: (() => void) | undefined

  constructor(window: Window) {
    this.window = window
  }

  private get made(): number {
    return this.start + this.items.length
  }

  /** Elements as they are made; completes when there is room for more. */
  push(values: ReadonlyArray<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const element of values) {
        const bytes = Weight.ofValue(element)
        this.items.push({ element, bytes })
        this.bytes += bytes
      }
      this.taker?.()
      return this.room
    })
  }

  private get room(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.made - this.taken < ahead) return resume(Effect.void)
      this.maker = () => {
        if (this.made - this.taken >= ahead) return
        this.maker = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.maker = undefined
      })
    })
  }

  /** No more comes. */
  finish(exit: Exit.Exit<unknown, unknown>): void {
    this.end = exit
    this.taker?.()
  }

  /** Whether what comes after so many elements is here. */
  has(from: number): boolean {
    return from >= this.start && from <= this.made
  }

  /**
   * Gives what comes after so many elements, then the end of the stream. The newest taker has it: the one before, whose connection
   * is as good as gone, ends.
   */
  take(
    from: number,
    give: (values: ReadonlyArray<unknown>) => Effect.Effect<void>
  ): Effect.Effect<unknown, unknown> {
    return Effect.suspend(() => {
      const me = ++this.takers
      this.taker?.()
      let cursor = from
      const step: Effect.Effect<unknown, unknown> = Effect.suspend(() => {
        if (this.takers !== me) return Effect.interrupt
        const values = this.items.slice(cursor - this.start, cursor - this.start + ahead).map((item) => item.element)
        if (values.length > 0) {
          cursor += values.length
          this.taken = Math.max(this.taken, cursor)
          this.trim()
          this.maker?.()
          return Effect.andThen(give(values), step)
        }
        return this.end ?? Effect.andThen(this.more, step)
      })
      return step
    })
  }

  private get more(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const taker = () => {
        if (this.taker === taker) this.taker = undefined
        resume(Effect.void)
      }
      this.taker = taker
      return Effect.sync(() => {
        if (this.taker === taker) this.taker = undefined
      })
    })
  }

  private trim(): void {
    let gone = 0
    const most = this.taken - this.start - 1
    while (gone < most && (this.taken - this.start - gone > this.window.elements || this.bytes > this.window.bytes)) {
      this.bytes -= this.items[gone++]!.bytes
    }
    if (gone === 0) return
    this.items = this.items.slice(gone)
    this.start += gone
  }
}
