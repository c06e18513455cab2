/**
 * @internal
 */
export interface FoldOptions {
  /** How often a message is written within one window. */
  readonly count: number
  /** Milliseconds. */
  readonly window: number
}

interface Repeated {
  readonly until: number
  count: number
}

/** Messages that are remembered; beyond it the oldest is forgotten. */
const capacity = 1000

/**
 * Counts how often the same message comes: `admit` says whether it is to be written, `expired` tells of those of which some
 * were not, once their window is over.
 *
 * @internal
 */
export class LogFold {
  private readonly options: FoldOptions
  private readonly seen = new Map<string, Repeated>()

  constructor(options: FoldOptions) {
    this.options = options
  }

  admit(level: string, message: string, now: number): boolean {
    const key = `${level} ${message}`
    let entry = this.seen.get(key)
    // a window that lies in the future by more than its length was begun before the clock was set back
    if (entry === undefined || entry.until <= now || entry.until > now + this.options.window) {
      entry = { until: now + this.options.window, count: 0 }
      if (this.seen.size >= capacity) this.seen.delete(this.seen.keys().next().value!)
      this.seen.set(key, entry)
    }
    return ++entry.count <= this.options.count
  }

  /** What was folded in windows that are over by now, as lines; these begin anew. */
  expired(now: number): ReadonlyArray<string> {
    const lines: Array<string> = []
    for (const [key, entry] of this.seen) {
      if (entry.until > now && entry.until <= now + this.options.window) continue
      this.seen.delete(key)
      const folded = entry.count - this.options.count
      if (folded > 0) lines.push(`${folded} more times within ${this.options.window / 1000} s: ${key}`)
    }
    return lines
  }
}
