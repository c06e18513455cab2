/**
 * Whether two values are the same message, when times and generated ids are taken for what they are.
 */
import { mark } from "../Redaction.ts"

/** @internal */
export interface Tolerance {
  /** Names of members that are not compared at any depth, and JSON Pointers (`*`: any token) that are not. */
  readonly ignore: ReadonlyArray<string>
  readonly times: boolean
  readonly ids: boolean
}

/**
 * One place within a message that is not as in the recording.
 *
 * @category models
 * @since 0.2.0
 */
export interface Deviation {
  /** A JSON Pointer into the message. */
  readonly path: string
  readonly expected: unknown
  readonly actual: unknown
}

const isoTime = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/
const generatedId = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{16,}"
const generated = new RegExp(`^(?:${generatedId})$`, "i")
const generatedWithin = new RegExp(`\\b(?:${generatedId})\\b`, "gi")
const day = 86_400_000

/** Remembers which generated id of one run stands for which of the other: an id is the same everywhere, or it differs. */
export class Comparison {
  private readonly there = new Map<string, string>()
  private readonly back = new Map<string, string>()
  private readonly tolerance: Tolerance
  private readonly names: ReadonlySet<string>
  private readonly pointers: ReadonlyArray<ReadonlyArray<string>>
  private readonly expectedNow: number
  private readonly actualNow: () => number

  constructor(tolerance: Tolerance, expectedNow: number, actualNow: () => number) {
    this.tolerance = tolerance
    this.names = new Set(tolerance.ignore.filter((field) => !field.startsWith("/")))
    this.pointers = tolerance.ignore.filter((field) => field.startsWith("/")).map((pointer) =>
      pointer.slice(1).split("/")
    )
    this.expectedNow = expectedNow
    this.actualNow = actualNow
  }

  /** A recorded frame of one's own, with the ids that were generated in this run for those of the recording. */
  withGenerated(frame: string): string {
    return this.there.size === 0 ? frame : frame.replace(generatedWithin, (id) => this.there.get(id) ?? id)
  }

  /** The first places, at most 20, where the two differ. */
  deviations(expected: unknown, actual: unknown): ReadonlyArray<Deviation> {
    const found: Array<Deviation> = []
    this.walk(expected, actual, [], found)
    return found
  }

  /** Whether nothing differs; where something does, no id of the two is taken for one of the other. */
  isSame(expected: unknown, actual: unknown): boolean {
    const known = this.there.size
    if (this.deviations(expected, actual).length === 0) return true
    for (const [there, back] of Array.from(this.there).slice(known)) {
      this.there.delete(there)
      this.back.delete(back)
    }
    return false
  }

  private isIgnored(path: ReadonlyArray<string>): boolean {
    const last = path[path.length - 1]
    return last !== undefined && this.names.has(last) ||
      this.pointers.some((pointer) =>
        pointer.length === path.length && pointer.every((token, i) => token === "*" || token === path[i])
      )
  }

  private walk(expected: unknown, actual: unknown, path: ReadonlyArray<string>, found: Array<Deviation>): void {
    if (found.length >= 20 || expected === mark || this.isIgnored(path) || this.isAlike(expected, actual)) return
    if (isContainer(expected) && isContainer(actual) && Array.isArray(expected) === Array.isArray(actual)) {
      for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
        this.walk(at(expected, key), at(actual, key), [...path, key], found)
      }
    } else {
      const pointer = path.map((token) => `/${token.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("")
      found.push({ path: pointer, expected, actual })
    }
  }

  private isAlike(expected: unknown, actual: unknown): boolean {
    if (expected === actual) return true
    if (typeof expected === "string" && typeof actual === "string") {
      if (this.tolerance.times && isoTime.test(expected) && isoTime.test(actual)) {
        return (expected.length === 10) === (actual.length === 10)
      }
      return this.tolerance.ids && generated.test(expected) && generated.test(actual) && this.isPair(expected, actual)
    }
    return this.tolerance.times && typeof expected === "number" && typeof actual === "number" &&
      (isNear(expected, this.expectedNow) && isNear(actual, this.actualNow()) ||
        isNear(expected * 1000, this.expectedNow) && isNear(actual * 1000, this.actualNow()))
  }

  private isPair(expected: string, actual: string): boolean {
    if (!this.there.has(expected) && !this.back.has(actual)) {
      this.there.set(expected, actual)
      this.back.set(actual, expected)
    }
    return this.there.get(expected) === actual && this.back.get(actual) === expected
  }
}

const isNear = (time: number, now: number): boolean => now > 1e11 && Math.abs(time - now) < day

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null

const at = (container: object, key: string): unknown =>
  Object.hasOwn(container, key) ? (container as Record<string, unknown>)[key] : undefined
