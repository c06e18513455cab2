/**
 * Values by place in a document, found by what was written without a look at the rest.
 */
import type { Pointer } from "../JsonPointer.ts"
import type { OwnedDocument } from "./document.ts"
import type { Change } from "./model.ts"
import { shifts } from "./within.ts"

interface Node<A> {
  readonly children: Map<string, Node<A>>
  readonly values: Set<A>
}

const node = <A>(): Node<A> => ({ children: new Map(), values: new Set() })

export class PathIndex<A> {
  private readonly root: Node<A> = node()

  add(path: Pointer, value: A): void {
    let at = this.root
    for (const token of path) {
      let next = at.children.get(String(token))
      if (next === undefined) at.children.set(String(token), next = node())
      at = next
    }
    at.values.add(value)
  }

  delete(path: Pointer, value: A): void {
    const nodes = [this.root]
    for (const token of path) {
      const next = nodes.at(-1)!.children.get(String(token))
      if (next === undefined) return
      nodes.push(next)
    }
    nodes.at(-1)!.values.delete(value)
    for (let i = path.length; i > 0; i--) {
      const { children, values } = nodes[i]!
      if (children.size > 0 || values.size > 0) return
      nodes[i - 1]!.children.delete(String(path[i - 1]))
    }
  }

  /** The values at, above and below what a commit has written. */
  touched(document: OwnedDocument, changes: ReadonlyArray<Change>): Set<A> {
    const found = new Set<A>()
    for (const change of changes) {
      this.along(document, change, change.path, found)
      if ("from" in change) this.along(document, change, change.from, found)
    }
    return found
  }

  private along(document: OwnedDocument, change: Change, path: Pointer, found: Set<A>): void {
    let at = this.root
    for (let i = 0; i < path.length; i++) {
      for (const value of at.values) found.add(value)
      if (i === path.length - 1 && at.children.size > 0 && shifts(document, change, path)) return below(at, found)
      const next = at.children.get(String(path[i]))
      if (next === undefined) return
      at = next
    }
    below(at, found)
  }
}

const below = <A>(at: Node<A>, found: Set<A>): void => {
  for (const value of at.values) found.add(value)
  for (const child of at.children.values()) below(child, found)
}
