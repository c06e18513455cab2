/**
 * Numbers of JSON texts that JavaScript does not hold: integers whose digits would come out different, and what is beyond
 * every number. `JSON.parse` says nothing of them.
 */

/** What is said of a number that {@link inexactNumber} found. @internal */
export const isInexact = "which is no number that JavaScript can hold exactly"

const mayBeInexact = (text: string): boolean => /\d{16}|\d[eE]/.test(text)

/** Integers whose digits may have been lost, and infinities. */
const isUnsafe = (number: number): boolean =>
  number !== (number | 0) && (Number.isInteger(number) ? !Number.isSafeInteger(number) : !Number.isFinite(number))

/** Whether any number within a value of JSON is `wanted`. */
const someNumber = (value: unknown, wanted: (number: number) => boolean): boolean => {
  if (typeof value === "number") return wanted(value)
  if (typeof value !== "object") return false
  if (Array.isArray(value)) return value.some((element) => someNumber(element, wanted))
  for (const name in value) if (someNumber((value as Record<string, unknown>)[name], wanted)) return true
  return false
}

/** Whether a value that was read from JSON has a number that may not be what stood there. @internal */
export const hasUnsafeNumber = (value: unknown): boolean => someNumber(value, isUnsafe)

/**
 * The first number of a text that JavaScript cannot hold; with a value that was read from the text, only one that is in it.
 *
 * @internal
 */
export const inexactNumber = (text: string, value?: unknown): string | undefined => {
  if (!mayBeInexact(text)) return undefined
  const among = new Set<number>()
  someNumber(value, (number) => isUnsafe(number) && !among.add(number))
  if (value !== undefined && among.size === 0) return undefined
  // texts are passed over as they are found
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g)) {
    if (token.startsWith("\"")) continue
    const number = Number(token)
    if (value !== undefined && !among.has(number)) continue
    if (!Number.isFinite(number)) return token
    // 12345678901234567000 is what a number of that size looks like where it is written
    if (/^-?\d{16,}$/.test(token) && String(number) !== token && BigInt(token) !== BigInt(number)) return token
  }
  return undefined
}
