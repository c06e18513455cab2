/**
 * The newest commits of a store with what takes them back: steps that are undone and redone, and earlier versions.
 */
import type { Json } from "../JsonPointer.ts"
import { type Commit, type CommitBounds, CommitLog } from "./commitLog.ts"
import { OwnedDocument } from "./document.ts"
import { type Change, unlimited } from "./model.ts"
import type { Store } from "./store.ts"

/** Something that is undone and redone as one. */
interface Step {
  changes: ReadonlyArray<Change>
  /** Takes the changes back, in this order. */
  inverse: ReadonlyArray<Change>
  size: number
  /** Commits that it was made of. */
  commits: number
  /** When its last commit came, in milliseconds. */
  at: number
}

/** How many steps lie before and behind the present. */
export interface Counts {
  readonly undo: number
  readonly redo: number
}

export class Timeline {
  /** Another object when the counts are others. */
  counts: Counts = { undo: 0, redo: 0 }
  private readonly store: Store
  private readonly log: CommitLog
  private readonly maxCommits: number
  private readonly maxBytes: number
  private readonly groupWithin: number
  private readonly now: () => number
  private past: Array<Step> = []
  /** The step that is redone first is the last. */
  private future: Array<Step> = []
  /** Commits and bytes of all steps. */
  private commits = 0
  private bytes = 0
  /** A step is being undone or redone. */
  private travels = false
  /** The next commit begins a step of its own. */
  private apart = true

  /** `groupWithin`: milliseconds within which a commit after another belongs to the same step. */
  constructor(store: Store, bounds: CommitBounds, groupWithin: number, now: () => number) {
    this.store = store
    this.log = new CommitLog(bounds)
    this.maxCommits = this.log.maxCommits
    this.maxBytes = this.log.maxBytes
    this.groupWithin = groupWithin
    this.now = now
  }

  /** A commit was made, before anybody is told of it. */
  add(commit: Commit, inverse: ReadonlyArray<Change>): void {
    const size = this.log.add(commit, inverse)
    if (this.travels) return
    for (const step of this.future) this.drop(step)
    this.future = []
    const { changes } = commit
    const at = this.groupWithin > 0 ? this.now() : 0
    const last = this.past.at(-1)
    this.commits++
    this.bytes += size
    if (last !== undefined && !this.apart && this.groupWithin > 0 && at - last.at < this.groupWithin) {
      last.changes = [...last.changes, ...changes]
      last.inverse = [...inverse, ...last.inverse]
      last.size += size
      last.commits++
      last.at = at
    } else this.past.push({ changes, inverse, size, commits: 1, at })
    this.apart = false
    let gone = 0
    while (gone < this.past.length && (this.commits > this.maxCommits || this.bytes > this.maxBytes)) {
      this.drop(this.past[gone++]!)
    }
    if (gone > 0) this.past.splice(0, gone)
    this.count()
  }

  private drop({ commits, size }: Step): void {
    this.commits -= commits
    this.bytes -= size
  }

  private count(): void {
    const undo = this.past.length
    const redo = this.future.length
    if (this.counts.undo !== undo || this.counts.redo !== redo) this.counts = { undo, redo }
  }

  /** Undoes, or redoes, the next step; `false` where there is none. */
  travel(direction: "undo" | "redo"): boolean {
    const [from, to] = direction === "undo" ? [this.past, this.future] : [this.future, this.past]
    const step = from.pop()
    if (step === undefined) return false
    to.push(step)
    this.count()
    this.apart = true
    this.travels = true
    try {
      this.store.travel(direction === "undo" ? step.inverse : step.changes)
    } finally {
      this.travels = false
    }
    return true
  }

  /** The next commit begins a step, however soon it comes. */
  cut(): void {
    this.apart = true
  }

  clear(): void {
    this.log.clear()
    this.past = []
    this.future = []
    this.commits = 0
    this.bytes = 0
    this.count()
    this.store.notify()
  }

  /** The oldest version that is known. */
  get oldest(): number {
    return this.store.version - this.log.size
  }

  /** What leads back to a version; `undefined` where it is not known, or not yet. */
  back(version: number): ReadonlyArray<Change> | undefined {
    const entries = this.log.last(this.store.version - version)
    if (entries === undefined) return undefined
    const changes: Array<Change> = []
    for (let i = entries.length - 1; i >= 0; i--) for (const change of entries[i]!.inverse!) changes.push(change)
    return changes
  }

  /** The document as it was, frozen. */
  at(version: number): Json | undefined {
    const changes = this.back(version)
    if (changes === undefined) return undefined
    const { limits } = this.store
    const document = new OwnedDocument(this.store.document.snapshot([])!, unlimited(limits.maxDepth))
    document.retained = true
    for (const change of changes) document.operation(change, "found")
    return document.snapshot([])
  }
}
