/** Random JSON documents and changes to them, the same for the same seed. */
import type { JsonPatch, JsonPointer } from "effect-wire/juggler"

type Json = JsonPointer.Json

export interface Generator {
  readonly int: (below: number) => number
  readonly json: (depth: number) => Json
  /** A value that shares most of its parts with the given one. */
  readonly change: (value: Json) => Json
  /** A patch of operations that mostly apply, and sometimes do not. */
  readonly patch: (value: Json, length: number) => Array<JsonPatch.Operation>
}

const keys = ["a", "b", "c", "d/e", "f~g", "", "constructor", "0", "toString", "prototype"]

export const generator = (seed: number): Generator => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const int = (below: number) => Math.floor(next() * below)
  const scalar = (): Json => [null, true, false, 0, 1, -1.5, int(5), "", "x", "é/~", `s${int(4)}`][int(11)]!
  const json = (depth: number): Json => {
    const kind = depth <= 0 ? 0 : int(4)
    if (kind < 2) return scalar()
    if (kind === 2) return Array.from({ length: int(6) }, () => json(depth - 1))
    return Object.fromEntries(Array.from({ length: int(6) }, () => [keys[int(keys.length)]!, json(depth - 1)]))
  }
  const change = (value: Json): Json => {
    if (typeof value !== "object" || value === null || int(12) === 0) return json(2)
    if (Array.isArray(value)) {
      const copy = value.slice() as Array<Json>
      const at = int(copy.length + 1)
      const kind = int(5)
      if (kind === 0) copy.splice(at, 0, json(2))
      else if (kind === 1) copy.splice(at, int(3))
      else if (kind === 2 && copy.length > 1) copy.splice(int(copy.length), 0, copy.splice(int(copy.length), 1)[0]!)
      else if (at < copy.length) copy[at] = change(copy[at]!)
      return copy
    }
    const entries = Object.entries(value)
    const at = int(entries.length + 1)
    if (at === entries.length) entries.push([keys[int(keys.length)]!, json(2)])
    else if (int(3) === 0) entries.splice(at, 1)
    else entries[at] = [entries[at]![0], change(entries[at]![1])]
    return Object.fromEntries(entries)
  }
  const pointer = (value: Json): string => {
    let path = ""
    let at: Json = value
    while (typeof at === "object" && at !== null && int(4) > 0) {
      if (Array.isArray(at)) {
        const index = int(at.length + 1)
        path += index === at.length && int(2) === 0 ? "/-" : `/${index}`
        at = at[index] ?? null
      } else {
        const own: Array<string> = Object.keys(at)
        const key: string = int(4) === 0 || own.length === 0 ? keys[int(keys.length)]! : own[int(own.length)]!
        path += "/" + key.replaceAll("~", "~0").replaceAll("/", "~1")
        at = Object.hasOwn(at, key) ? (at as { readonly [key: string]: Json })[key]! : null
      }
    }
    return path
  }
  const patch = (value: Json, length: number): Array<JsonPatch.Operation> =>
    Array.from({ length }, (): JsonPatch.Operation => {
      const path = pointer(value)
      switch (int(8)) {
        case 0:
        case 1:
          return { op: "replace", path, value: json(2) }
        case 2:
          return { op: "remove", path }
        case 3:
          return { op: "copy", from: pointer(value), path }
        case 4:
          return { op: "move", from: pointer(value), path }
        default:
          return { op: "add", path, value: json(2) }
      }
    })
  return { int, json, change, patch }
}
