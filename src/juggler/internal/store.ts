/**
 * A document with those who follow it. All writes are synchronous, so there is one order of them; each is a commit:
 * changes that were applied whole.
 */
import { errorOf, JsonPatchError } from "../JsonPatch.ts"
import type { Json, Pointer } from "../JsonPointer.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { Commit } from "./commitLog.ts"
import { diffAndFreeze, diffInto } from "./diff.ts"
import { OwnedDocument } from "./document.ts"
import { runRecipe } from "./draft.ts"
import { Refused } from "./draftNode.ts"
import { type Change, type Fault, fault, type Limits, unlimited } from "./model.ts"
import type { Source } from "./operations.ts"
import { moved } from "./places.ts"
import type { Inspection } from "./sharing.ts"

/** Hears of each commit at once; must neither throw nor write. */
export type Listener = (commit: Commit) => void

/** How versions are told to those who resume: `version + offset` of the epoch. */
export interface Run {
  readonly epoch: string
  readonly offset: number
  /** Other processes tell the same versions. */
  readonly shared: boolean
}

/** Keeps each commit with what takes it back. */
export interface Keeper {
  readonly add: (commit: Commit, inverse: ReadonlyArray<Change>) => void
}

/** How many changes `set` finds before it replaces the container that they are in. */
const maxFound = 10_000

const toError = (fault: Fault): JsonPatchError =>
  new JsonPatchError({ reason: fault.reason, detail: fault.detail, operation: -1 })

export class Store {
  readonly document: OwnedDocument
  readonly limits: Limits
  /** Names the run of versions of this store. */
  readonly epoch: string
  private told: Run | undefined
  /** Counts the commits. */
  version = 0
  private keeper: Keeper | undefined
  private readonly inspect: (() => Inspection) | undefined
  private readonly listeners = new Set<Listener>()
  private recorder: Listener | undefined
  private readonly watchers = new Set<() => void>()
  private readonly runners = new Set<() => void>()
  /** Watchers hear at the end of {@link batch}. */
  private quiet = false

  /** `inspect` looks at what is written by changes and recipes: what does not fit is refused. */
  constructor(initial: Json, limits: Limits, epoch = "", inspect?: () => Inspection) {
    this.document = new OwnedDocument(initial, limits)
    this.limits = limits
    this.epoch = epoch
    this.inspect = inspect
  }

  /** Hears each commit, and may keep it. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    this.document.retained = true
    return () => {
      this.listeners.delete(listener)
      this.document.retained = this.listeners.size > 0 || this.recorder !== undefined ||
        this.keeper !== undefined
    }
  }

  /** Like {@link listen}, for as long as the store is there, and before all others. */
  record(listener: Listener): void {
    this.recorder = listener
    this.document.retained = true
  }

  /** Hears that there was a commit. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  /** How versions are told; `epoch` names them where nothing else does. */
  run(epoch: string): Run {
    return this.told ??= { epoch: this.epoch === "" ? epoch : this.epoch, offset: 0, shared: false }
  }

  /** From now on the present version is told as one of an epoch that other processes tell too. */
  rename(epoch: string, version: number): void {
    const offset = version - this.version
    if (this.told?.epoch === epoch && this.told.offset === offset) return
    this.told = { epoch, offset, shared: true }
    for (const hear of this.runners) hear()
  }

  /** Hears that versions are told in another way, so that those from before say nothing. */
  onRename(hear: () => void): () => void {
    this.runners.add(hear)
    return () => this.runners.delete(hear)
  }

  /** From now on the keeper is told of each commit, before all others. */
  keep(keeper: Keeper): void {
    this.keeper = keeper
    this.document.retained = true
    this.document.inverse = []
  }

  /** What `f` commits is told to the watchers once, at its end; to the listeners at once. */
  batch(f: () => void): void {
    if (this.quiet) return f()
    const before = this.version
    this.quiet = true
    try {
      f()
    } finally {
      this.quiet = false
      if (this.version !== before) this.notify()
    }
  }

  /** Tells the watchers that something may be another. */
  notify(): void {
    for (const watcher of this.watchers) watcher()
  }

  /** Sets the whole, and freezes it; what is the same reference as before is not entered, what is equal is no change. */
  set(next: Json): JsonPatchError | undefined {
    const { document, limits } = this
    const { root } = document
    const changes: Array<Change> = []
    const bounds = { ...limits, maxOperations: maxFound }
    const inverse: Array<Change> | undefined = document.inverse && []
    const growth = diffAndFreeze(changes, root, next, bounds, inverse)
    if (typeof growth !== "number") return toError(growth)
    if (changes.length === 0) return undefined
    if (document.size + growth > limits.maxSize) {
      return toError(fault("TooLarge", `the document would be larger than ${limits.maxSize} bytes`))
    }
    document.become(next, document.size + growth)
    this.emit(changes, inverse?.reverse())
    return undefined
  }

  /** Like {@link set}, but keeps the containers that are equal: for values that were parsed just now. */
  merge(next: Json): JsonPatchError | undefined {
    const changes: Array<Change> = []
    const growth = diffInto(changes, this.document.root, next, { ...this.limits, maxOperations: maxFound })
    return typeof growth === "number" ? this.write(changes, "found") : toError(growth)
  }

  /** Applies a patch of whatever shape. */
  patch(patch: unknown, source: Source): JsonPatchError | undefined {
    if (!Array.isArray(patch) || patch.length > this.limits.maxOperations) {
      // says what is wrong
      this.document.apply(patch, source)
      return errorOf(this.document)
    }
    return this.write(patch, source)
  }

  /** Runs a recipe on a draft; gives the changes that it came to. What the recipe throws is thrown. */
  update(recipe: (draft: any) => unknown): JsonPatchError | ReadonlyArray<Change> {
    const changes = this.recipe(recipe)
    if (changes instanceof JsonPatchError) return changes
    return this.write(changes, "program") ?? this.document.changes
  }

  /** What a recipe comes to, without doing it. */
  recipe(
    recipe: (draft: any) => unknown,
    onRead?: (place: Pointer) => void
  ): JsonPatchError | ReadonlyArray<Change> {
    try {
      return runRecipe(recipe, this.document.root, this.limits, onRead)
    } catch (error) {
      if (error instanceof Refused) return toError(error.fault)
      throw error
    }
  }

  /** Does changes; gives what takes them back, in order. */
  invert(changes: ReadonlyArray<Change>): JsonPatchError | ReadonlyArray<Change> {
    const { document } = this
    const { inverse } = document
    document.inverse = []
    const error = this.write(changes, "program")
    const inverted = document.inverse
    document.inverse = inverse
    return error ?? inverted
  }

  /** What setting the whole would come to, without doing it. */
  compare(next: Json): JsonPatchError | ReadonlyArray<Change> {
    const changes: Array<Change> = []
    const growth = diffInto(changes, this.document.root, next, { ...this.limits, maxOperations: maxFound })
    return typeof growth === "number" ? changes : toError(growth)
  }

  /** Applies operations, whole or not at all. */
  write(operations: ReadonlyArray<unknown>, source: Source): JsonPatchError | undefined {
    const error = this.apply(operations, source)
    if (error !== undefined) return error
    this.document.commit()
    if (this.document.changes.length > 0) this.emit(this.document.changes, this.document.inverse?.reverse())
    return undefined
  }

  /** Applies what leads to what has been there before. */
  travel(changes: ReadonlyArray<Change>): void {
    const { document, limits } = this
    document.limits = unlimited(limits.maxDepth)
    const error = this.write(changes, "found")
    document.limits = limits
    if (error !== undefined) throw error
  }

  /**
   * What several writers would do one after the other, without doing it: each tells what it would do, on top of those before
   * it. `seen` is shown each of them while the document is as that writer leaves it.
   */
  rehearse(
    writers: ReadonlyArray<() => JsonPatchError | ReadonlyArray<unknown>>,
    seen: (writer: number, changes: JsonPatchError | ReadonlyArray<Change>) => void
  ): void {
    const { document } = this
    document.begin()
    try {
      for (let i = 0; i < writers.length; i++) {
        const mark = document.mark()
        const planned = writers[i]!()
        const error = planned instanceof JsonPatchError ? planned : this.perform(planned, "program")
        if (error !== undefined) document.back(mark)
        seen(i, error ?? document.changes.slice(mark.changes))
      }
    } finally {
      document.rollback()
    }
  }

  /** Applies operations, which are then to be committed or taken back; all of them were taken back where one failed. */
  private apply(operations: ReadonlyArray<unknown>, source: Source): JsonPatchError | undefined {
    this.document.begin()
    const error = this.perform(operations, source)
    if (error !== undefined) this.document.rollback()
    return error
  }

  private perform(operations: ReadonlyArray<unknown>, source: Source): JsonPatchError | undefined {
    const { document } = this
    const inspection = this.inspect?.()
    document.faultAt = -1
    for (let i = 0; i < operations.length; i++) {
      const seen = document.changes.length
      if (!document.operation(operations[i], source)) {
        document.faultAt = i
        return errorOf(document)
      }
      if (inspection === undefined) continue
      const change = document.changes[seen]
      if (change !== undefined) show(inspection, document.root, change)
    }
    if (inspection === undefined || inspection.fits(document.root)) return undefined
    const paths = operations.slice(0, 3).map((operation) => pathOf((operation as Change).path))
    return toError(fault("NotJson", `the schema has another value at ${paths.join(", ").slice(0, 200)}`))
  }

  private emit(changes: ReadonlyArray<Change>, inverse: ReadonlyArray<Change> | undefined): void {
    const commit: Commit = { epoch: this.epoch, version: ++this.version, changes }
    this.keeper?.add(commit, inverse!)
    this.recorder?.(commit)
    for (const listener of this.listeners) listener(commit)
    if (!this.quiet) this.notify()
  }
}

const pathOf = (path: string | Pointer): string =>
  JSON.stringify(typeof path === "string" ? path : JsonPointer.format(path))

/** Shows what was done just now. */
const show = (inspection: Inspection, root: Json, change: Change): void => {
  const { op, path } = change
  if (op === "remove") return inspection.wrote(root, path, undefined)
  if (op === "move") inspection.wrote(root, moved(change.from, path, root), undefined)
  inspection.wrote(root, path, "value" in change ? change.value : JsonPointer.get(root, path))
}
