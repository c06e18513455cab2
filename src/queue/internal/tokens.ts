/**
 * @internal Tokens.
 */
import { randomBytesUnsafe } from "effect/crypto/SecureRandom"
import * as Hex from "effect/encoding/Hex"

/** Tokens that nobody guesses, 32 hexadecimal digits. Random bytes are drawn for many of them at once. */
export const makeTokens = (): () => string => {
  let pool = ""
  let at = 0
  return () => {
    if (at === pool.length) {
      pool = Hex.encode(randomBytesUnsafe(4096))
      at = 0
    }
    return pool.slice(at, at += 32)
  }
}
