/**
 * Values by place in a document, found by what was written without a look at the rest.
 */
import type { OwnedDocument } from "./document.ts"
import { type Placed, shifts } from "./within.ts"

interface Node<A> {
  readonly children: Map<string, Node<A>>
  readonly values: Set<A>
}

const node = <A>(): Node<A> => ({ children: new Map(), values: new Set() })

export class PathIndex<A> {
  private readonly root: Node<A> = node()

  add(path: ReadonlyArray<string>, value: A): void {
    let at = this.root
    for (const token of path) {
      let next = at.children.get(token)
      if (next === undefined) at.children.set(token, next = node())
      at = next
    }
    at.values.add(value)
  }

  delete(path: ReadonlyArray<string>, value: A): void {
    const nodes = [this.root]
    for (const token of path) {
      const next = nodes.at(-1)!.children.get(token)
      if (next === undefined) return
      nodes.push(next)
    }
    nodes.at(-1)!.values.delete(value)
    for (let i = path.length; i > 0; i--) {
      const { children, values } = nodes[i]!
      if (children.size > 0 || values.size > 0) return
      nodes[i - 1]!.children.delete(path[i - 1]!)
    }
  }

  /** The values at, above and below what a commit has written. */
  touched(document: OwnedDocument, placed: ReadonlyArray<Placed>): Set<A> {
    const found = new Set<A>()
    for (const one of placed) {
      if (one.operation.op === "test") continue
      this.along(document, one, one.path, found)
      if (one.from !== undefined) this.along(document, one, one.from, found)
    }
    return found
  }

  private along(document: OwnedDocument, placed: Placed, path: ReadonlyArray<string>, found: Set<A>): void {
    let at = this.root
    for (let i = 0; i < path.length; i++) {
      for (const value of at.values) found.add(value)
      if (i === path.length - 1 && at.children.size > 0 && shifts(document, placed, path)) return below(at, found)
      const next = at.children.get(path[i]!)
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
