/**
 * Who is served when in one turn of the event loop. The system hands over what arrived by connection, up to two megabytes of
 * one at a time; served as it comes, a few peers that send much would make everybody else wait for seconds. Here a
 * connection that has had its share of the time is put into a line, of which each turn serves as many as fit into a slice;
 * what it may have waiting is bounded, so it is not read much further. Whoever sends little is served at once, and so is
 * whoever is alone, a slice at a time.
 */

/**
 * Something that is served in turns.
 *
 * @internal
 */
export interface Served {
  /** Whether it is to be served already. */
  scheduled: boolean
  /** What it has cost, in milliseconds, in the window with this number. */
  spent: number
  window: number
  /** Serves what has come. */
  readonly deliver: () => void
}

/** Milliseconds of a window, the share of one connection in it, and what a turn takes of the line. */
const windowLength = 100
const share = 5
const slice = 5

/** @internal */
export class Turns {
  private window = 0
  private windowStart = 0
  /** The only one that was served in the window, and what it had of the slice of this turn. */
  private only: Served | undefined = undefined
  private run = 0
  private line: Array<Served> = []
  private head = 0
  private armed = false
  private readonly now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.now = now
  }

  /** Serves it now, or when its turn comes. */
  take(served: Served): void {
    const start = this.now()
    if (start - this.windowStart > windowLength) {
      this.windowStart = start
      this.window++
      this.only = served
    } else if (this.only !== served) this.only = undefined
    if (served.window !== this.window) {
      // what it has taken too much counts on
      served.spent = Math.max(0, served.spent - share * Math.max(1, this.window - served.window))
      served.window = this.window
    }
    if (served.spent < share) return void this.serve(served, start)
    if (this.only === served && this.run < slice && this.head === this.line.length) {
      this.run += this.serve(served, start) - start
      return
    }
    this.line.push(served)
    if (!this.armed) {
      this.armed = true
      setImmediate(this.next)
    }
  }

  private serve(served: Served, start: number): number {
    served.scheduled = false
    served.deliver()
    const end = this.now()
    served.spent += end - start
    return end
  }

  private readonly next = (): void => {
    const start = this.now()
    let now = start
    this.run = 0
    while (this.head < this.line.length && now - start < slice) now = this.serve(this.line[this.head++]!, now)
    this.armed = this.head < this.line.length
    if (this.armed) setImmediate(this.next)
    else {
      this.line = []
      this.head = 0
    }
  }
}
