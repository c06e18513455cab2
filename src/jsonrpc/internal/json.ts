/**
 * What `JSON.parse` does not tell: how deep a text nests, and the digits of a number.
 *
 * @internal
 */

const quote = 34
const comma = 44
const minus = 45
const zero = 48
const nine = 57
const backslash = 92
const openBracket = 91
const closeBracket = 93
const openBrace = 123
const closeBrace = 125

// Index behind the closing quote of the string that begins at `start`.
const skipString = (text: string, start: number): number => {
  let i = start + 1
  for (;;) {
    const end = text.indexOf("\"", i)
    if (end < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if ((slashes & 1) === 0) return end + 1
    i = end + 1
  }
}

/**
 * Whether a parsed array or object nests deeper than `limit`; looks no deeper than that.
 *
 * @internal
 */
export const exceedsDepth = (value: object, limit: number): boolean => {
  if (limit <= 0) return true
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const element: unknown = value[i]
      if (typeof element === "object" && element !== null && exceedsDepth(element, limit - 1)) return true
    }
    return false
  }
  // what was parsed has no members but its own; `for in` allocates no list of them
  for (const key in value) {
    const member = (value as Record<string, unknown>)[key]
    if (typeof member === "object" && member !== null && exceedsDepth(member, limit - 1)) return true
  }
  return false
}

/**
 * The texts of the members `id` of the object in a valid JSON text, or of those in the array in it (`isBatch`), by their
 * position. Of members of the same name the last counts, as in `JSON.parse`.
 *
 * @internal
 */
export const idTexts = (text: string, isBatch: boolean): ReadonlyArray<string | undefined> =>
  memberTexts(text, isBatch, "id")

/**
 * The same of members of another name; of a value that is no scalar only the beginning is told.
 *
 * @internal
 */
export const memberTexts = (text: string, isBatch: boolean, name: string): ReadonlyArray<string | undefined> => {
  const level = isBatch ? 2 : 1
  const found: Array<string | undefined> = []
  let depth = 0
  let element = 0
  let isKey = false
  for (let i = 0; i < text.length;) {
    const c = text.charCodeAt(i)
    if (c === quote) {
      const end = skipString(text, i)
      if (depth === level && isKey && nameOf(text.slice(i, end)) === name) {
        let start = text.indexOf(":", end) + 1
        while (text.charCodeAt(start) <= 32) start++
        let stop = start
        while (stop < text.length && !",}] \t\r\n".includes(text[stop]!)) stop++
        found[element] = text.slice(start, stop)
      }
      isKey = false
      i = end
      continue
    }
    if (c === openBracket || c === openBrace) {
      depth++
      isKey = c === openBrace
    } else if (c === closeBracket || c === closeBrace) {
      depth--
    } else if (c === comma) {
      if (depth === level) isKey = true
      else if (depth === 1 && isBatch) element++
    }
    i++
  }
  return found
}

/** A text that is no JSON has names that are none. */
const nameOf = (text: string): unknown => text.includes("\\") ? JSON.parse(text) : text.slice(1, -1)

/**
 * The texts of the numbers in a JSON text that are parsed to `value`: several for integers beyond 2^53.
 *
 * @internal
 */
export const numberTexts = (text: string, value: number): ReadonlySet<string> => {
  const found = new Set<string>()
  for (let i = 0; i < text.length;) {
    const c = text.charCodeAt(i)
    if (c === quote) {
      i = skipString(text, i)
    } else if (c === minus || (c >= zero && c <= nine)) {
      const start = i++
      while (i < text.length && !",}] \t\r\n".includes(text[i]!)) i++
      const number = text.slice(start, i)
      if (Number(number) === value) found.add(number)
    } else {
      i++
    }
  }
  return found
}
