/**
 * The state that the other end shows, compared where it counts: what changes were gathered into one patch differs from run
 * to run, what is shown when somebody says something, and in the end, does not.
 */
import * as Result from "effect/Result"
import * as JsonPatch from "../../juggler/JsonPatch.ts"
import type { Json } from "../../juggler/JsonPointer.ts"
import type { Comparison, Deviation } from "./compare.ts"

/** A state of the recording that is waited for. */
interface Awaited {
  readonly value: Json
  readonly at: number
}

/** A state that did not come in time, and what was shown instead. */
interface Overdue extends Awaited {
  readonly shown: Json
}

/** @internal */
export interface StateDifference {
  readonly at: number
  readonly deviations: ReadonlyArray<Deviation>
  readonly value: Json
}

/** States may be large: the operations and bytes of a recording were bounded when it was made. */
const limits = { maxOperations: Infinity, maxDepth: 1_000, maxSize: Infinity, maxCopied: Infinity }

/** @internal */
export class States {
  matched = 0
  private expected: Json = null
  private shown: Json = null
  private at = 0
  private awaited: Awaited | undefined
  private overdue: Array<Overdue> = []
  private readonly comparison: Comparison
  private readonly known: Map<string, Json>

  /** `known`: what the recording showed at each position, on all of its connections. */
  constructor(comparison: Comparison, known: Map<string, Json>) {
    this.comparison = comparison
    this.known = known
  }

  /** A client goes on where an earlier connection was. */
  begin(position: string): void {
    const value = this.known.get(position)
    if (value !== undefined) this.expected = this.shown = value
  }

  get isAwaited(): boolean {
    return this.awaited !== undefined
  }

  /** What the recording shows next; `false` where the patch does not fit. What nobody spoke between is one change. */
  expect(patch: unknown, at: number, position: string | undefined): boolean {
    const next = JsonPatch.apply(this.expected, patch, limits)
    if (Result.isFailure(next)) return false
    this.expected = next.success
    if (position !== undefined) this.known.set(position, this.expected)
    this.at = at
    this.awaited = { value: this.expected, at }
    this.compare()
    return true
  }

  /** What is shown now; `false` where the patch does not fit. */
  receive(patch: unknown): boolean {
    const next = JsonPatch.apply(this.shown, patch, limits)
    if (Result.isFailure(next)) return false
    this.shown = next.success
    this.compare()
    return true
  }

  /** It is not waited for any longer; that it is shown later, together with what followed, is no difference. */
  giveUp(): void {
    if (this.awaited === undefined) return
    this.overdue.push({ ...this.awaited, shown: this.shown })
    this.awaited = undefined
  }

  /** What was never shown, and what is shown in the end where it should not be. */
  finish(): ReadonlyArray<StateDifference> {
    this.giveUp()
    const found = this.overdue.map(({ at, shown, value }) => ({
      at,
      deviations: this.comparison.deviations(value, shown),
      value: shown
    }))
    const last = this.overdue[this.overdue.length - 1]
    if (last?.value === this.expected && last.shown === this.shown) return found
    const deviations = this.comparison.deviations(this.expected, this.shown)
    return deviations.length === 0 ? found : [...found, { at: this.at, deviations, value: this.shown }]
  }

  private compare(): void {
    if (this.awaited === undefined || !this.comparison.isSame(this.awaited.value, this.shown)) return
    this.matched++
    this.awaited = undefined
    // what was shown instead of them was this already: the other end gathered more into one patch
    this.overdue = this.overdue.filter(({ shown }) => !this.comparison.isSame(this.expected, shown))
  }
}
