/**
 * A document with those who follow it. All writes are synchronous, so there is one order of them; each is a commit: a
 * list of operations that was applied whole.
 */
import { errorOf, JsonPatchError, type Limits, type Operation } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import { diffInto } from "./diff.ts"
import { OwnedDocument } from "./document.ts"
import { Refused, runRecipe } from "./draft.ts"
import type { Fault } from "./json.ts"

/** Hears of each commit at once; must neither throw nor write. */
export type Listener = (operations: ReadonlyArray<Operation>) => void

/** A last look at what was written, before it is a commit; a fault takes it back. */
export type Check = (operations: ReadonlyArray<Operation>, root: Json) => Fault | undefined

/** How many operations `set` finds before it replaces the container that they are in. */
const maxFound = 10_000

const toError = (fault: Fault): JsonPatchError =>
  new JsonPatchError({ reason: fault.reason, detail: fault.detail, operation: -1 })

export class Store {
  readonly document: OwnedDocument
  readonly limits: Limits
  /** Counts the commits. */
  version = 0
  private readonly listeners = new Set<Listener>()
  private recorder: Listener | undefined
  private readonly watchers = new Set<() => void>()
  /** Watchers hear at the end of {@link batch}. */
  private quiet = false

  constructor(initial: Json, limits: Limits) {
    this.document = new OwnedDocument(initial, limits)
    this.limits = limits
  }

  /** Hears the operations of each commit, and may keep them. */
  listen(listener: Listener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Like {@link listen}, for as long as the store is there, and before all others. */
  record(listener: Listener): void {
    this.recorder = listener
  }

  /** Hears that there was a commit. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
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
      if (this.version !== before) { for (const watcher of this.watchers) watcher() }
    }
  }

  /** Sets the whole; what is the same reference as before is not entered, what is equal is no change. */
  set(next: Json): JsonPatchError | undefined {
    const { document, limits } = this
    const operations: Array<Operation> = []
    const growth = diffInto(operations, document.root, next, { ...limits, maxOperations: maxFound })
    if (typeof growth !== "number") return toError(growth)
    if (operations.length === 0) return undefined
    if (document.size + growth > limits.maxSize) {
      return toError({ reason: "TooLarge", detail: `the document would be larger than ${limits.maxSize} characters` })
    }
    document.become(next, document.size + growth)
    this.emit(operations)
    return undefined
  }

  /** Like {@link set}, but keeps the containers that are equal: for values that were parsed anew. */
  merge(next: Json): JsonPatchError | undefined {
    const operations: Array<Operation> = []
    const growth = diffInto(operations, this.document.root, next, { ...this.limits, maxOperations: maxFound })
    if (typeof growth !== "number") return toError(growth)
    this.document.begin()
    for (const operation of operations) {
      if (!this.document.operation(operation, false)) {
        this.document.rollback()
        return errorOf(this.document)
      }
    }
    this.document.commit()
    if (operations.length > 0) this.emit(operations)
    return undefined
  }

  /** Applies a patch of whatever shape; `adopt` if nobody else holds its values. */
  patch(patch: unknown, adopt: boolean, check?: Check): JsonPatchError | undefined {
    const { document } = this
    if (check === undefined) {
      // values that a listener keeps may not be changed in place
      if (!document.apply(patch, adopt && this.listeners.size === 0 && this.recorder === undefined)) {
        return errorOf(document)
      }
      if ((patch as ReadonlyArray<Operation>).length > 0) this.emit(patch as ReadonlyArray<Operation>)
      return undefined
    }
    if (!Array.isArray(patch) || patch.length > this.limits.maxOperations) {
      // says what is wrong
      document.apply(patch, adopt)
      return errorOf(document)
    }
    document.begin()
    for (let i = 0; i < patch.length; i++) {
      if (!document.operation(patch[i], false)) {
        document.rollback()
        document.faultAt = i
        return errorOf(document)
      }
    }
    return this.finish(patch, check)
  }

  /** Runs a recipe on a draft; gives the operations that it came to. What the recipe throws is thrown. */
  update(recipe: (draft: any) => unknown, check?: Check): JsonPatchError | ReadonlyArray<Operation> {
    const { document } = this
    const operations: Array<Operation> = []
    document.begin()
    try {
      runRecipe(recipe, document, operations, this.limits)
    } catch (error) {
      document.rollback()
      if (error instanceof Refused) return toError(error.fault)
      throw error
    }
    return this.finish(operations, check) ?? operations
  }

  /** What a recipe would come to, without doing it. */
  plan(recipe: (draft: any) => unknown, check?: Check): JsonPatchError | ReadonlyArray<Operation> {
    const { document } = this
    const operations: Array<Operation> = []
    document.begin()
    try {
      runRecipe(recipe, document, operations, this.limits)
      const fault = check?.(operations, document.root)
      return fault === undefined ? operations : toError(fault)
    } catch (error) {
      if (error instanceof Refused) return toError(error.fault)
      throw error
    } finally {
      document.rollback()
    }
  }

  /** Whether a patch would apply, without applying it. */
  planPatch(patch: ReadonlyArray<Operation>, check?: Check): JsonPatchError | ReadonlyArray<Operation> {
    const { document } = this
    document.begin()
    for (let i = 0; i < patch.length; i++) {
      if (document.operation(patch[i], false)) continue
      document.rollback()
      document.faultAt = i
      return errorOf(document)
    }
    const fault = check?.(patch, document.root)
    document.rollback()
    return fault === undefined ? patch : toError(fault)
  }

  /** What setting the whole would come to, without doing it. */
  planSet(next: Json): JsonPatchError | ReadonlyArray<Operation> {
    const operations: Array<Operation> = []
    const growth = diffInto(operations, this.document.root, next, this.limits)
    return typeof growth === "number" ? operations : toError(growth)
  }

  private finish(operations: ReadonlyArray<Operation>, check: Check | undefined): JsonPatchError | undefined {
    const fault = check?.(operations, this.document.root)
    if (fault !== undefined) {
      this.document.rollback()
      return toError(fault)
    }
    this.document.commit()
    if (operations.length > 0) this.emit(operations)
    return undefined
  }

  private emit(operations: ReadonlyArray<Operation>): void {
    this.version++
    this.recorder?.(operations)
    for (const listener of this.listeners) listener(operations)
    if (!this.quiet) { for (const watcher of this.watchers) watcher() }
  }
}
