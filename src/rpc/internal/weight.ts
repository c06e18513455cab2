/**
 * What values cost in memory, as far as it can be said without asking the engine: objects and arrays have headers, `{}` is
 * not two characters.
 */

/** Bytes of an object or an array, and of the slot that holds it. */
const compound = 64
/** Bytes of one further member or element. */
const member = 16

/**
 * Bytes that one character of JSON costs at most once it is parsed: `{},` are three characters of 80 bytes.
 *
 * @internal
 */
export const heaviestCharacter = 27

/**
 * Bytes that a text costs, once it is parsed: its characters, and its compound values and members, but not what looks like
 * them inside of strings.
 *
 * @internal
 */
export const ofText = (text: string): number => {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 0x22:
        i = endOfString(text, i)
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
  if (typeof value === "string") return member + value.length
  if (typeof value !== "object" || value === null) return member
  let bytes = compound
  if (Array.isArray(value)) {
    for (const element of value) bytes += ofValue(element)
  } else {
    for (const key of Object.keys(value)) bytes += member + ofValue((value as Record<string, unknown>)[key])
  }
  return bytes
}
