/** Patches (RFC 6902) without a check: they come from our own server. What does not change keeps its identity. */

type Json = unknown

export interface Operation {
  readonly op: "add" | "remove" | "replace" | "move" | "copy" | "test"
  readonly path: string
  readonly from?: string
  readonly value?: Json
}

const tokens = (pointer: string): ReadonlyArray<string> =>
  pointer === "" ? [] : pointer.slice(1).split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"))

const at = (document: Json, path: ReadonlyArray<string>): Json =>
  path.reduce<any>((value, token) => value === null || typeof value !== "object" ? undefined : value[token], document)

/** A copy along the path, changed at its end. */
const change = (
  document: any,
  path: ReadonlyArray<string>,
  depth: number,
  f: (parent: any, token: string) => void
): Json => {
  const copy = Array.isArray(document) ? document.slice() : Object.assign(Object.create(null), document)
  const token = path[depth]!
  if (depth === path.length - 1) f(copy, token)
  else copy[token] = change(copy[token], path, depth + 1, f)
  return copy
}

const put = (document: Json, path: ReadonlyArray<string>, value: Json, inserts: boolean): Json =>
  path.length === 0 ? value : change(document, path, 0, (parent, token) => {
    if (!Array.isArray(parent)) parent[token] = value
    else if (token === "-") parent.push(value)
    else if (inserts) parent.splice(Number(token), 0, value)
    else parent[Number(token)] = value
  })

const remove = (document: Json, path: ReadonlyArray<string>): Json =>
  path.length === 0 ? null : change(document, path, 0, (parent, token) => {
    if (Array.isArray(parent)) parent.splice(Number(token), 1)
    else delete parent[token]
  })

export const apply = (document: Json, operations: ReadonlyArray<Operation>): Json => {
  let current = document
  for (const { from, op, path, value } of operations) {
    const place = tokens(path)
    if (op === "remove") current = remove(current, place)
    else if (op === "add" || op === "replace") current = put(current, place, value, op === "add")
    else if (op === "copy") current = put(current, place, at(current, tokens(from!)), true)
    else if (op === "move") {
      const moved = at(current, tokens(from!))
      current = put(remove(current, tokens(from!)), place, moved, true)
    }
  }
  return current
}
