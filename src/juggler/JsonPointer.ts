/**
 * JSON Pointer (RFC 6901): text such as `/rooms/0/name` that names one place in a JSON document.
 *
 * The text is for the wire. A program writes the *tokens*, unescaped, in an array (see {@link Pointer}), so that no key has
 * to be escaped by hand. Tokens that peers choose never reach a prototype: objects are asked with `Object.hasOwn`, arrays
 * take canonical indices only.
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"

/**
 * Any JSON value, deeply readonly.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = Schema.Json

/**
 * A place in a document as a program writes it: the keys and indices on the way there, such as `["rooms", 0, "name"]`;
 * `[]` is the whole document. Where something is added to an array, `"-"` is the place behind its last element.
 *
 * @category models
 * @since 0.2.0
 */
export type Pointer = ReadonlyArray<string | number>

/**
 * Splits a pointer into its unescaped tokens; `undefined` if the text is no pointer (it is neither empty nor starts with
 * `/`, or has a `~` that is followed by neither `0` nor `1`). RFC 6901, sections 3 and 4.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (pointer: string): Array<string> | undefined => {
  if (pointer === "") return []
  if (pointer.charCodeAt(0) !== 47) return undefined
  const tokens = pointer.slice(1).split("/")
  if (!pointer.includes("~")) return tokens
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!
    if (!token.includes("~")) continue
    if (/~(?![01])/.test(token)) return undefined
    tokens[i] = token.replaceAll("~1", "/").replaceAll("~0", "~")
  }
  return tokens
}

/**
 * Escapes one token: `~` becomes `~0`, `/` becomes `~1`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const escape = (token: string): string =>
  token.includes("~") || token.includes("/") ? token.replaceAll("~", "~0").replaceAll("/", "~1") : token

/**
 * Writes tokens as a pointer; numbers are array indices.
 *
 * @category conversions
 * @since 0.1.0
 */
export const format = (tokens: Pointer): string => {
  let pointer = ""
  for (const token of tokens) pointer += "/" + (typeof token === "number" ? token : escape(token))
  return pointer
}

/**
 * The array index that a token names: a whole number, or digits without a leading zero, at most 15 of them; -1 for
 * everything else, `-` too.
 *
 * @category conversions
 * @since 0.1.0
 */
export const indexOf = (token: string | number): number => {
  if (typeof token === "number") return Number.isSafeInteger(token) && token >= 0 ? token : -1
  const length = token.length
  if (length === 0 || length > 15) return -1
  let index = 0
  for (let i = 0; i < length; i++) {
    const digit = token.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    index = index * 10 + digit
  }
  return length > 1 && token.charCodeAt(0) === 48 ? -1 : index
}

/**
 * One step from a value to the member that a token names; `undefined` if there is none.
 *
 * @category getters
 * @since 0.1.0
 */
export const child = (value: Json | undefined, token: string | number): Json | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (Array.isArray(value)) {
    const index = indexOf(token)
    return index >= 0 && index < value.length ? value[index] : undefined
  }
  return Object.hasOwn(value, token) ? (value as { readonly [key: string]: Json })[token] : undefined
}

/**
 * The value at a place; `undefined` if the document has nothing there. For the text of a pointer see {@link parse}.
 *
 * @category getters
 * @since 0.1.0
 */
export const get = (document: Json, place: Pointer): Json | undefined => {
  let value: Json | undefined = document
  for (let i = 0; i < place.length && value !== undefined; i++) value = child(value, place[i]!)
  return value
}
