/**
 * What `JSON.parse` does not tell: how deep a text nests, and the digits of a number.
 *
 * @internal
 */

const quote = 34
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
 * Whether arrays and objects nest deeper than `limit` anywhere in the JSON text. Short texts cannot and are not read.
 *
 * @internal
 */
export const mayExceedDepth = (text: string, limit: number): boolean => {
  if (text.length <= limit * 2) return false
  let depth = 0
  for (let i = 0; i < text.length;) {
    const c = text.charCodeAt(i)
    if (c === quote) {
      i = skipString(text, i)
      continue
    }
    if (c === openBracket || c === openBrace) {
      if (++depth > limit) return true
    } else if (c === closeBracket || c === closeBrace) {
      depth--
    }
    i++
  }
  return false
}

/**
 * Whether a parsed value nests deeper than `limit`; looks no deeper than that.
 *
 * @internal
 */
export const exceedsDepth = (value: unknown, limit: number): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (limit <= 0) return true
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (exceedsDepth(value[i], limit - 1)) return true
    }
    return false
  }
  for (const key of Object.keys(value)) {
    if (exceedsDepth((value as Record<string, unknown>)[key], limit - 1)) return true
  }
  return false
}

/**
 * The text of the member `id` of the object in a valid JSON text; with `index >= 0`, of that element of the array.
 * Of members of the same name the last counts, as in `JSON.parse`.
 *
 * @internal
 */
export const topLevelIds = (text: string, index: number): string | undefined => {
  const level = index >= 0 ? 2 : 1
  let depth = 0
  let element = 0
  let isKey = false
  let found: string | undefined
  for (let i = 0; i < text.length;) {
    const c = text.charCodeAt(i)
    if (c === quote) {
      const end = skipString(text, i)
      if (depth === level && isKey && (index < 0 || element === index) && JSON.parse(text.slice(i, end)) === "id") {
        let start = text.indexOf(":", end) + 1
        while (text.charCodeAt(start) <= 32) start++
        let stop = start
        while (stop < text.length && !",}] \t\r\n".includes(text[stop]!)) stop++
        found = text.slice(start, stop)
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
    } else if (c === 44) {
      if (depth === level) isKey = true
      else if (depth === 1 && index >= 0) element++
    }
    i++
  }
  return found
}
