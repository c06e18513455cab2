/**
 * @internal A sorted map that is never changed: who keeps an old one still has it. An AVL tree with text for keys; each
 * operation costs the logarithm of the size.
 */
interface Node<A> {
  readonly key: string
  readonly value: A
  readonly left: Sorted<A>
  readonly right: Sorted<A>
  readonly height: number
}

export type Sorted<A> = Node<A> | undefined

const heightOf = (tree: Sorted<unknown>): number => tree === undefined ? 0 : tree.height

const node = <A>(key: string, value: A, left: Sorted<A>, right: Sorted<A>): Node<A> => ({
  key,
  value,
  left,
  right,
  height: 1 + Math.max(heightOf(left), heightOf(right))
})

const balanced = <A>(key: string, value: A, left: Sorted<A>, right: Sorted<A>): Node<A> => {
  const lean = heightOf(left) - heightOf(right)
  if (lean > 1) {
    const top = left!
    if (heightOf(top.left) >= heightOf(top.right)) {
      return node(top.key, top.value, top.left, node(key, value, top.right, right))
    }
    const middle = top.right!
    return node(
      middle.key,
      middle.value,
      node(top.key, top.value, top.left, middle.left),
      node(key, value, middle.right, right)
    )
  }
  if (lean < -1) {
    const top = right!
    if (heightOf(top.right) >= heightOf(top.left)) {
      return node(top.key, top.value, node(key, value, left, top.left), top.right)
    }
    const middle = top.left!
    return node(
      middle.key,
      middle.value,
      node(key, value, left, middle.left),
      node(top.key, top.value, middle.right, top.right)
    )
  }
  return node(key, value, left, right)
}

export const get = <A>(tree: Sorted<A>, key: string): A | undefined => {
  let at = tree
  while (at !== undefined) {
    if (key === at.key) return at.value
    at = key < at.key ? at.left : at.right
  }
  return undefined
}

export const set = <A>(tree: Sorted<A>, key: string, value: A): Sorted<A> =>
  tree === undefined
    ? node(key, value, undefined, undefined)
    : key === tree.key
    ? { ...tree, value }
    : key < tree.key
    ? balanced(tree.key, tree.value, set(tree.left, key, value), tree.right)
    : balanced(tree.key, tree.value, tree.left, set(tree.right, key, value))

export const remove = <A>(tree: Sorted<A>, key: string): Sorted<A> => {
  if (tree === undefined) return undefined
  if (key < tree.key) {
    const left = remove(tree.left, key)
    return left === tree.left ? tree : balanced(tree.key, tree.value, left, tree.right)
  }
  if (key > tree.key) {
    const right = remove(tree.right, key)
    return right === tree.right ? tree : balanced(tree.key, tree.value, tree.left, right)
  }
  if (tree.left === undefined) return tree.right
  if (tree.right === undefined) return tree.left
  let next = tree.right
  while (next.left !== undefined) next = next.left
  return balanced(next.key, next.value, tree.left, remove(tree.right, next.key))
}

/** The entries whose key is `from` or comes after it, in order. */
export function* from<A>(tree: Sorted<A>, key: string): Generator<readonly [key: string, value: A]> {
  const path: Array<Node<A>> = []
  let at = tree
  while (at !== undefined) {
    if (key <= at.key) {
      path.push(at)
      at = at.left
    } else at = at.right
  }
  for (let next = path.pop(); next !== undefined; next = path.pop()) {
    yield [next.key, next.value]
    for (at = next.right; at !== undefined; at = at.left) path.push(at)
  }
}

/** The entries whose key begins so, in order. */
export function* startingWith<A>(tree: Sorted<A>, prefix: string): Generator<readonly [key: string, value: A]> {
  for (const entry of from(tree, prefix)) {
    if (!entry[0].startsWith(prefix)) return
    yield entry
  }
}

export const first = <A>(tree: Sorted<A>, prefix = ""): readonly [key: string, value: A] | undefined => {
  let found: Node<A> | undefined
  let at = tree
  while (at !== undefined) {
    if (prefix <= at.key) {
      found = at
      at = at.left
    } else at = at.right
  }
  return found !== undefined && found.key.startsWith(prefix) ? [found.key, found.value] : undefined
}
