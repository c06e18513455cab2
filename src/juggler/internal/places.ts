/**
 * How places lie to each other.
 */
import * as JsonPointer from "../JsonPointer.ts"
import type { Json, Pointer } from "../JsonPointer.ts"

/** Whether a place is another one, or in it. */
export const startsWith = (place: Pointer, prefix: Pointer): boolean => {
  if (place.length < prefix.length) return false
  for (let i = 0; i < prefix.length; i++) if (String(place[i]) !== String(prefix[i])) return false
  return true
}

/** Where a place is after something was put at `path`, which may have moved what is behind it in the same array. */
export const moved = (place: Pointer, path: Pointer, root: Json): Pointer => {
  const last = path.length - 1
  if (last < 0 || place.length <= last || !startsWith(place, path.slice(0, last))) return place
  const index = JsonPointer.indexOf(place[last]!)
  if (!Array.isArray(JsonPointer.get(root, path.slice(0, last))) || index < JsonPointer.indexOf(path[last]!)) {
    return place
  }
  return [...place.slice(0, last), index + 1, ...place.slice(path.length)]
}
