/**
 * Operations that were applied and not yet sent. Writing the same scalar again and again leaves one operation.
 */
import type { Json, Pointer } from "../JsonPointer.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"
import { textUpTo } from "./json.ts"
import { type Change, isContainer } from "./model.ts"

export class Pending {
  private operations: Array<Change> = []
  /** Where the last scalar at a path was written, as long as no path has come to mean another place since. */
  private readonly scalars = new Map<string, number>()
  /** Up to how many characters the objects and arrays that are written are counted. */
  private readonly counted: number
  /** Characters of the operations, roughly. */
  characters = 0

  constructor(counted = 0) {
    this.counted = counted
  }

  get size(): number {
    return this.operations.length
  }

  /** The operations, which stay as they are after {@link clear}. */
  get list(): ReadonlyArray<Change> {
    return this.operations
  }

  add(operations: ReadonlyArray<Change>): void {
    for (const operation of operations) this.one(operation)
  }

  private one(operation: Change): void {
    switch (operation.op) {
      case "test":
        return
      case "add":
      case "replace": {
        const { value } = operation
        if (operation.path.length === 0) this.clear()
        const path = JsonPointer.format(operation.path)
        const isScalar = !isContainer(value)
        if (!isScalar || path === "" || (operation.op === "add" && inserts(operation.path))) this.scalars.clear()
        else {
          const at = this.scalars.get(path)
          if (at !== undefined) {
            const before = this.operations[at] as { readonly value: Json }
            this.characters += textUpTo(value, Infinity) - textUpTo(before.value, Infinity)
            this.operations[at] = { ...before, value } as Change
            return
          }
          this.scalars.set(path, this.operations.length)
        }
        this.characters += 40 + path.length + textUpTo(value, isScalar ? Infinity : this.counted)
        this.operations.push(operation)
        return
      }
      default:
        this.scalars.clear()
        this.characters += 60 + 8 * operation.path.length
        this.operations.push(operation)
    }
  }

  clear(): void {
    this.operations = []
    this.scalars.clear()
    this.characters = 0
  }

  /**
   * One patch; where it would have more operations than a peer applies, the whole document if that is shorter, or several
   * patches.
   */
  patches(document: OwnedDocument, maxOperations: number): ReadonlyArray<ReadonlyArray<Change>> {
    // its bytes of memory stand for its characters, which are fewer: nothing as large is looked at for a change
    if (this.operations.length > maxOperations && document.size <= this.characters * 2) {
      return [[{ op: "replace", path: [], value: document.root }]]
    }
    return cut(this.operations, maxOperations)
  }
}

/** Patches of at most so many operations, at least one. */
export const cut = (
  operations: ReadonlyArray<Change>,
  maxOperations: number
): ReadonlyArray<ReadonlyArray<Change>> => {
  if (operations.length <= maxOperations) return [operations]
  const patches: Array<ReadonlyArray<Change>> = []
  for (let at = 0; at < operations.length; at += maxOperations) patches.push(operations.slice(at, at + maxOperations))
  return patches
}

/** Whether adding at the place may move what is beside it: in an array, or in what looks like one. */
const inserts = (path: Pointer): boolean => JsonPointer.indexOf(path.at(-1)!) >= 0
