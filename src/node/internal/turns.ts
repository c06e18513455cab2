/**
 * Who is served when in one turn of the event loop. The system hands over what arrived by connection, up to two megabytes of
 * one at a time, and of all that have something before it asks who else has; served as it comes, peers that send much, or
 * that are many, would make everybody else wait for seconds. Here a turn serves at once only so much. What does not fit,
 * and connections that have had their share of the time, are put into lines, of which each turn serves as many as fit into a
 * slice; what a connection may have waiting is bounded, so it is not read much further. Small messages have a line of their
 * own, and so have requests. Whoever is alone is served at once, a slice at a time.
 */
import * as Effect from "effect/Effect"

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
  /** Bytes that it is about to handle. */
  readonly size: number
  /** Serves what has come. */
  readonly deliver: () => void
}

/** Milliseconds of a window, and the share of one connection in it. */
const windowLength = 100
const share = 5

/** Milliseconds of one turn: what is served at once, small or not, and what is served of each line. */
const most = 8
const much = 4
const slice = 4

/** Bytes up to which something is small. */
const small = 4096

/** What is waited for in an order; taken out at the front. */
class Line {
  private waiting: Array<Served> = []
  private head = 0

  get isEmpty(): boolean {
    return this.head === this.waiting.length
  }
  push(served: Served): void {
    this.waiting.push(served)
  }
  shift(): Served {
    const served = this.waiting[this.head++]!
    if (this.head === this.waiting.length) {
      this.waiting = []
      this.head = 0
    }
    return served
  }
}

/** A request that waits; it may be given up meanwhile. */
class Waiting implements Served {
  scheduled = true
  spent = 0
  window = 0
  readonly size: number
  deliver: () => void

  constructor(size: number, deliver: () => void) {
    this.size = size
    this.deliver = deliver
  }
}

/** @internal */
export class Turns {
  private window = 0
  private windowStart = 0
  /** The only one that was served in the window, and what it had of the slice of this turn. */
  private only: Served | undefined = undefined
  private run = 0
  /** When this turn began, as far as it is known: -1 before it has cost anything to speak of. */
  private began = -1
  /** Milliseconds that small things have cost since it was looked at. */
  private trifles = 0
  private readonly messages = new Line()
  private readonly requests = new Line()
  private readonly heavy = new Line()
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
    if (served.spent < share) {
      const isSmall = served.size <= small
      const line = isSmall ? this.messages : this.heavy
      if (this.hasTime(start, line, isSmall)) return void this.serve(served, start)
      return this.wait(line, served)
    }
    if (this.only === served && this.run < slice && this.heavy.isEmpty) {
      this.run += this.serve(served, start) - start
      return
    }
    this.wait(this.heavy, served)
  }

  /** Completes when a request may be handled; `bytes`: of its body. */
  readonly request = (bytes: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const start = this.now()
      const isSmall = bytes <= small
      const line = isSmall ? this.requests : this.heavy
      if (this.hasTime(start, line, isSmall)) {
        this.begin(start)
        return Effect.void
      }
      return Effect.callback<void>((resume) => {
        const waiting = new Waiting(bytes, () => resume(Effect.void))
        this.wait(line, waiting)
        return Effect.sync(() => {
          waiting.deliver = () => {}
        })
      })
    })

  private hasTime(now: number, line: Line, isSmall: boolean): boolean {
    return line.isEmpty && (this.began < 0 || now - this.began < (isSmall ? most : much))
  }

  private wait(line: Line, served: Served): void {
    line.push(served)
    this.arm()
  }

  private begin(at: number): void {
    if (this.began >= 0) return
    this.began = at
    this.trifles = 0
    this.arm()
  }

  private arm(): void {
    if (this.armed) return
    this.armed = true
    setImmediate(this.next)
  }

  private serve(served: Served, start: number): number {
    served.scheduled = false
    served.deliver()
    const end = this.now()
    served.spent += end - start
    this.trifles += end - start
    // nothing is done at the end of turns that cost nothing to speak of
    if (this.trifles > 1) this.begin(end - this.trifles)
    return end
  }

  /** The end of a turn: everything that had come was handed over. */
  private readonly next = (): void => {
    this.run = 0
    this.serveLine(this.messages)
    this.serveLine(this.requests)
    this.serveLine(this.heavy)
    this.armed = false
    this.began = -1
    this.trifles = 0
    if (!this.messages.isEmpty || !this.requests.isEmpty || !this.heavy.isEmpty) this.arm()
  }

  private serveLine(line: Line): void {
    const start = this.now()
    let now = start
    while (!line.isEmpty && now - start < slice) now = this.serve(line.shift(), now)
  }
}
