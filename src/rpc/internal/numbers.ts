/**
 * Numbers of JSON texts that JavaScript does not hold: integers whose digits would come out different, and what is beyond
 * every number. `JSON.parse` says nothing of them.
 */

/** What is said of a number that {@link inexactNumber} found. @internal */
export const isInexact = "which is no number that JavaScript can hold exactly"

/** Whether a look for inexact numbers is worth while: so many digits, or an exponent. @internal */
export const mayBeInexact = (text: string): boolean => /\d{16}|\d[eE]/.test(text)

/**
 * The first number of a text that JavaScript cannot hold; with a value that was read from the text, only one that is in it.
 *
 * @internal
 */
export const inexactNumber = (text: string, value?: unknown): string | undefined => {
  if (!mayBeInexact(text)) return undefined
  const among = value === undefined ? undefined : unsafeNumbers(value, new Set())
  if (among?.size === 0) return undefined
  // texts are passed over as they are found
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g)) {
    if (token.startsWith("\"")) continue
    const number = Number(token)
    if (among?.has(number) === false) continue
    if (!Number.isFinite(number)) return token
    // 12345678901234567000 is what a number of that size looks like where it is written
    if (/^-?\d{16,}$/.test(token) && String(number) !== token && BigInt(token) !== BigInt(number)) return token
  }
  return undefined
}

/** Integers whose digits may have been lost, and infinities. */
const unsafeNumbers = (value: unknown, found: Set<number>): Set<number> => {
  if (typeof value === "number") {
    if (Number.isInteger(value) ? !Number.isSafeInteger(value) : !Number.isFinite(value)) found.add(value)
  } else if (typeof value === "object" && value !== null) {
    for (const element of Array.isArray(value) ? value : Object.values(value)) unsafeNumbers(element, found)
  }
  return found
}
