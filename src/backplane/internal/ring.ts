import * as Duration from "effect/Duration"

/** @internal */
export interface Entry {
  readonly sequence: number
  readonly bytes: number
  /** When it was published, in milliseconds since 1970. */
  readonly time: number
}

/** @internal */
export interface Bounds {
  readonly values: number
  readonly bytes: number
  /** In milliseconds. */
  readonly age: number
}

/** @internal */
export const boundsOf = (history: {
  readonly values?: number | undefined
  readonly bytes?: number | undefined
  readonly age?: Duration.Input | undefined
}): Bounds => ({
  values: Math.max(1, history.values ?? 1000),
  bytes: history.bytes ?? 4 * 1024 * 1024,
  age: Duration.toMillis(Duration.fromInputUnsafe(history.age ?? "5 minutes"))
})

const encoder = new TextEncoder()

/** Bytes of a text in UTF-8. @internal */
export const bytesOf = (text: string): number => encoder.encode(text).byteLength

/**
 * The newest entries of one count, without a hole: those after `start` up to and including `end`. The newest of all is kept
 * whatever its size and age.
 *
 * @internal
 */
export class Ring<A extends Entry> {
  start: number
  private items: Array<A | undefined> = []
  /** Where the oldest is in `items`: those before it are gone, and cut off from time to time. */
  private head = 0
  private bytes = 0
  private bounds: Bounds

  constructor(bounds: Bounds, start: number) {
    this.bounds = bounds
    this.start = start
  }

  get end(): number {
    return this.start + this.length
  }

  private get length(): number {
    return this.items.length - this.head
  }

  push(entry: A): void {
    if (entry.sequence !== this.end + 1) this.reset(entry.sequence - 1)
    this.items.push(entry)
    this.bytes += entry.bytes
    while (this.length > this.bounds.values || (this.length > 1 && this.bytes > this.bounds.bytes)) this.shift()
    this.expire(entry.time)
  }

  /** The entry of this number; `undefined` when it is gone, or not there yet. */
  at(sequence: number): A | undefined {
    return sequence > this.start ? this.items[this.head + sequence - this.start - 1] : undefined
  }

  all(): ReadonlyArray<A> {
    return this.items.slice(this.head) as Array<A>
  }

  /** Lets go what is too old. */
  expire(now: number): void {
    while (this.length > 1 && this.items[this.head]!.time < now - this.bounds.age) this.shift()
  }

  /** Lets everything go: the next is the one after `sequence`. */
  reset(sequence: number): void {
    this.items = []
    this.head = 0
    this.bytes = 0
    this.start = sequence
  }

  /** Keeps as much as both bounds say. */
  widen(bounds: Bounds): void {
    this.bounds = {
      values: Math.max(this.bounds.values, bounds.values),
      bytes: Math.max(this.bounds.bytes, bounds.bytes),
      age: Math.max(this.bounds.age, bounds.age)
    }
  }

  private shift(): void {
    this.bytes -= this.items[this.head]!.bytes
    this.items[this.head] = undefined
    this.head++
    this.start++
    if (this.head > 64 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
  }
}
