/**
 * What the processes of a shared state tell each other, and when two writes are in each other's way.
 */
import type { Json, Pointer } from "../JsonPointer.ts"
import * as JsonPointer from "../JsonPointer.ts"
import type { Known } from "./clusterSpoken.ts"
import type { OwnedDocument } from "./document.ts"
import type { Change, Operation } from "./model.ts"
import { shifts } from "./within.ts"

/** One write: what it does, and the places that it depends on or changes, as pointers. */
export interface Write {
  readonly p: ReadonlyArray<Operation>
  /** Places that were looked at to make it. */
  readonly r: ReadonlyArray<string>
  /** Places whose values become others. */
  readonly w: ReadonlyArray<string>
}

/** What a publication has changed: `v` is the version before it. */
export interface Touched {
  readonly v: number
  readonly w: ReadonlyArray<string>
}

export type Entry =
  /** Writes of one process, made one after the other on version `b`; `n` is the name of the publication. */
  | {
    readonly t: "writes"
    readonly e: string
    readonly b: number
    readonly n: string
    readonly w: ReadonlyArray<Write>
  }
  /** The process that published `n` could not apply write `i` of it, which did not conflict. */
  | { readonly t: "no"; readonly n: string; readonly i: number }
  /** Somebody needs the whole, and has this. */
  | ({ readonly t: "ask" } & Known)
  /**
   * The whole, as it was after number `at` of the channel. `o` is the number at which the epoch began, 0 for the entry that
   * begins it: of two epochs the older one holds. `l` is what the last publications have changed. An entry that begins an
   * epoch says what its process had, `k`, and the number `a` with which it had asked. All these numbers are of the count `c`.
   */
  | {
    readonly t: "whole"
    readonly c: string
    readonly e: string
    readonly v: number
    readonly o: number
    readonly at: number
    readonly s: Json
    readonly l: ReadonlyArray<Touched>
    readonly k?: Known | undefined
    readonly a?: number | undefined
  }

/** Reads an entry; `undefined` for what is none of ours. */
export const parse = (payload: string): Entry | undefined => {
  try {
    const entry = JSON.parse(payload) as Entry
    return typeof entry === "object" && entry !== null && typeof entry.t === "string" ? entry : undefined
  } catch {
    return undefined
  }
}

/** So many places are named one by one; of more, what they have in common. */
const maxPlaces = 32

/** Places in as few words as possible: one that holds another stands for it. */
export const compress = (places: Iterable<string>): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const place of Array.from(new Set(places)).sort()) {
    // what begins with a place comes after it, but not right after it: "/a", "/a-b", "/a/b"
    if (!found.some((other) => contains(other, place))) found.push(place)
    if (found.length > maxPlaces) return [shared(found)]
  }
  return found
}

const shared = (places: ReadonlyArray<string>): string => {
  let common = JsonPointer.parse(places[0]!)!
  for (const place of places) {
    const tokens = JsonPointer.parse(place)!
    let length = 0
    while (length < common.length && length < tokens.length && common[length] === tokens[length]) length++
    common = common.slice(0, length)
  }
  return JsonPointer.format(common)
}

/** Whether a place is another, or holds it. */
const contains = (place: string, other: string): boolean =>
  place === other || place === "" || (other.startsWith(place) && other.charCodeAt(place.length) === 47)

/** Whether some place is, or holds, or lies in, one of the others. */
export const meet = (places: ReadonlyArray<string>, others: ReadonlyArray<string>): boolean =>
  places.some((place) => others.some((other) => contains(place, other) || contains(other, place)))

/** The places that changes, applied just now, have touched: where the elements of an array move, the array. */
export const touchedBy = (document: OwnedDocument, changes: ReadonlyArray<Change>): ReadonlyArray<string> => {
  const places: Array<string> = []
  const touch = (change: Change, at: Pointer) => {
    places.push(JsonPointer.format(shifts(document, change, at) ? at.slice(0, -1) : at))
  }
  for (const change of changes) {
    touch(change, change.path)
    if ("from" in change) touch(change, change.from)
  }
  return compress(places)
}
