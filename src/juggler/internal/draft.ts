/**
 * Recipes: a draft looks like a mutable value; what is written to it is kept beside the document until the recipe is over,
 * and then becomes changes. A draft is the same wherever it is put: moved, put back or put at two places, all that is
 * written to it counts at each of them (as in Immer and Mutative). So a recipe that throws has changed nothing.
 *
 * What is written costs what it is long, not what it is written to: objects keep the members that were written, arrays
 * what was written by index or appended; only other changes of an array's order copy it, one level.
 */
import type { Json, Pointer } from "../JsonPointer.ts"
import { ArrayDraft } from "./arrayDraft.ts"
import { type MakeDraft, nodes, Tree } from "./draftNode.ts"
import { type Change, isContainer, type Limits } from "./model.ts"
import { RecordDraft } from "./recordDraft.ts"

const makeDraft: MakeDraft = (tree, base, place) =>
  Array.isArray(base) ? new ArrayDraft(tree, base, place) : new RecordDraft(tree, base, place)

/**
 * Runs a recipe on a draft of a value; gives what it came to. The value stays as it is. `onRead` is told the places whose
 * values the recipe has looked at.
 */
export const runRecipe = (
  recipe: (draft: any) => unknown,
  root: Json,
  limits: Limits,
  onRead?: (place: Pointer) => void
): Array<Change> => {
  const tree = new Tree(limits, makeDraft, onRead)
  const changes: Array<Change> = []
  try {
    const node = isContainer(root) ? tree.draft(root, []) : undefined
    const result = recipe(node === undefined ? root : node.proxy)
    if (isThenable(result)) throw new TypeError("a recipe is synchronous, and this one gave a promise")
    node?.finish([], changes)
  } finally {
    tree.over = true
  }
  return changes
}

const isThenable = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !nodes.has(value) &&
  typeof (value as { readonly then?: unknown }).then === "function"
