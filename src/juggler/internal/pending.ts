/**
 * Operations that were applied and not yet sent. Writing the same scalar again and again leaves one operation.
 */
import type { Operation } from "../JsonPatch.ts"
import type { Json } from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"
import { scalarSize, sizeUpTo } from "./json.ts"

export class Pending {
  private operations: Array<Operation> = []
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
  get list(): ReadonlyArray<Operation> {
    return this.operations
  }

  add(operations: ReadonlyArray<Operation>): void {
    for (const operation of operations) this.one(operation)
  }

  private one(operation: Operation): void {
    switch (operation.op) {
      case "test":
        return
      case "add":
      case "replace": {
        const { path, value } = operation
        if (path === "") this.clear()
        const scalar = scalarSize(value)
        if (scalar < 0 || path === "" || (operation.op === "add" && inserts(path))) this.scalars.clear()
        else {
          const at = this.scalars.get(path)
          if (at !== undefined) {
            const before = this.operations[at] as { readonly value: Json }
            this.characters += scalar - scalarSize(before.value)
            this.operations[at] = { ...before, value } as Operation
            return
          }
          this.scalars.set(path, this.operations.length)
        }
        this.characters += 40 + path.length + (scalar < 0 ? sizeUpTo(value, this.counted) : scalar)
        this.operations.push(operation)
        return
      }
      default:
        this.scalars.clear()
        this.characters += 60 + operation.path.length
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
  patches(document: OwnedDocument, maxOperations: number): ReadonlyArray<ReadonlyArray<Operation>> {
    if (this.operations.length > maxOperations && document.size <= this.characters * 2) {
      return [[{ op: "replace", path: "", value: document.root }]]
    }
    return cut(this.operations, maxOperations)
  }
}

/** Patches of at most so many operations, at least one. */
export const cut = (
  operations: ReadonlyArray<Operation>,
  maxOperations: number
): ReadonlyArray<ReadonlyArray<Operation>> => {
  if (operations.length <= maxOperations) return [operations]
  const patches: Array<ReadonlyArray<Operation>> = []
  for (let at = 0; at < operations.length; at += maxOperations) patches.push(operations.slice(at, at + maxOperations))
  return patches
}

/** Whether adding at the path may move what is beside it: in an array, or in what looks like one. */
const inserts = (path: string): boolean => {
  const last = path.charCodeAt(path.length - 1)
  return last === 45 || (last >= 48 && last <= 57 && /\/\d+$/.test(path))
}
