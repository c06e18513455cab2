/**
 * The newest commits of a store, as many as the bounds allow.
 */
import type { Json } from "../JsonPointer.ts"
import { scalarSize, sizeOf } from "./json.ts"
import type { Change } from "./model.ts"

/**
 * A change of a document: operations that were applied together.
 *
 * @category models
 * @since 0.2.0
 */
export interface Commit {
  /** Names the run of versions: another one when the document was made anew, so that its versions say nothing. */
  readonly epoch: string
  /** The version that the operations lead to, from the one before it. */
  readonly version: number
  /** What was done, in order: places are those of that moment. Immutable. */
  readonly changes: ReadonlyArray<Change>
}

/**
 * How much may wait for a reader of commits, or be kept of them.
 *
 * @category models
 * @since 0.2.0
 */
export interface CommitBounds {
  /** Commits; default 1,024. */
  readonly maxCommits?: number | undefined
  /** Bytes of memory of their operations, by estimate; default 1,048,576. */
  readonly maxBytes?: number | undefined
}

interface Entry {
  readonly commit: Commit
  /** Takes the commit back, in this order. */
  readonly inverse: ReadonlyArray<Change> | undefined
  readonly size: number
}

const sizeOfChanges = (changes: ReadonlyArray<Change>): number => {
  let size = 64
  for (const change of changes) {
    size += 120 + 24 * change.path.length
    if ("value" in change) size += sizeOfValue(change.value)
  }
  return size
}

const sizeOfValue = (value: Json): number => {
  const scalar = scalarSize(value)
  return scalar >= 0 ? scalar : sizeOf(value)
}

export class CommitLog {
  readonly maxCommits: number
  readonly maxBytes: number
  private entries: Array<Entry> = []
  /** Index of the oldest entry; those before it are gone. */
  private first = 0
  private bytes = 0

  constructor(bounds: CommitBounds) {
    this.maxCommits = bounds.maxCommits ?? 1_024
    this.maxBytes = bounds.maxBytes ?? 1_048_576
  }

  /** Gives the bytes that it takes, by estimate. */
  add(commit: Commit, inverse: ReadonlyArray<Change> | undefined): number {
    const size = sizeOfChanges(commit.changes) + (inverse === undefined ? 0 : sizeOfChanges(inverse))
    this.entries.push({ commit, inverse, size })
    this.bytes += size
    while (this.entries.length - this.first > this.maxCommits || this.bytes > this.maxBytes) {
      this.bytes -= this.entries[this.first]!.size
      this.entries[this.first] = undefined!
      this.first++
    }
    if (this.first > 64 && this.first * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.first)
      this.first = 0
    }
    return size
  }

  clear(): void {
    this.entries = []
    this.first = 0
    this.bytes = 0
  }

  /** The newest `count` commits, the oldest of them first; `undefined` if there are not as many. */
  last(count: number): ReadonlyArray<Entry> | undefined {
    const start = this.entries.length - count
    return count >= 0 && start >= this.first ? this.entries.slice(start) : undefined
  }

  get size(): number {
    return this.entries.length - this.first
  }
}
