/**
 * What values cost in memory, as far as it can be said without asking the engine: objects and arrays have headers, `{}` is
 * not two characters.
 */

/** Bytes of an object or an array, and of the slot that holds it. */
const compound = 64
/** Bytes of one further member or element. */
const member = 12
/** Bytes of a string besides its characters. Names of members are there once, however often they are used. */
const string = 24

/**
 * Bytes that one character of JSON costs at most once it is parsed: `[[]]` are four characters of 132 bytes.
 *
 * @internal
 */
export const heaviestCharacter = 33

/**
 * Bytes that a text costs, once it is parsed: its characters, and its compound values, strings and members, but not what
 * looks like them inside of strings. Beyond `limit` it counts no further.
 *
 * @internal
 */
export const ofText = (text: string, limit = Infinity): number => {
  const { length } = text
  let bytes = length
  for (let i = 0; i < length && bytes <= limit; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22:
        i = endOfString(text, i)
        if (text.charCodeAt(i + 1) !== 0x3a) bytes += string
        break
      case 0x2c:
        bytes += member
        break
      case 0x5b:
      case 0x7b:
        bytes += compound
    }
  }
  return bytes
}

/**
 * Whether a text costs more than so many bytes once it is parsed; found out before it is.
 *
 * @internal
 */
export const exceeds = (text: string, limit: number): boolean =>
  text.length * heaviestCharacter > limit && ofText(text, limit) > limit

/**
 * Whether the text of a value is nested deeper than so many levels.
 *
 * @internal
 */
export const isDeeper = (text: string, levels: number): boolean => {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22:
        i = endOfString(text, i)
        break
      case 0x5b:
      case 0x7b:
        if (++depth > levels) return true
        break
      case 0x5d:
      case 0x7d:
        depth--
    }
  }
  return false
}

const endOfString = (text: string, start: number): number => {
  let end = text.indexOf("\"", start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf("\"", end + 1)
  return end < 0 ? text.length : end
}

const isEscaped = (text: string, at: number): boolean => {
  let slashes = 0
  while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++
  return slashes % 2 === 1
}

/**
 * Bytes that a JSON value costs; it must not be nested too deeply.
 *
 * @internal
 */
export const ofValue = (value: unknown): number => {
  if (typeof value === "string") return string + value.length
  if (typeof value !== "object" || value === null) return member
  let bytes = compound
  if (Array.isArray(value)) {
    for (const element of value) bytes += ofValue(element)
  } else {
    for (const key of Object.keys(value)) bytes += member + ofValue((value as Record<string, unknown>)[key])
  }
  return bytes
}
