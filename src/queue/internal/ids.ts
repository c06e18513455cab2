/**
 * @internal Ids and tokens.
 */
import { randomBytesUnsafe } from "effect/crypto/SecureRandom"
import * as Hex from "effect/encoding/Hex"

/**
 * Ids of 24 hexadecimal digits that sort in the order of their making: 12 of time, 4 that count within a millisecond, 8
 * that are this maker's own. Time never goes back in them, whatever the clock does.
 */
export const makeIds = (): (now: number) => string => {
  const own = Hex.encode(randomBytesUnsafe(4))
  let time = 0
  let count = 0
  return (now) => {
    if (now > time) {
      time = now
      count = 0
    } else if (++count > 0xffff) {
      time++
      count = 0
    }
    return time.toString(16).padStart(12, "0") + count.toString(16).padStart(4, "0") + own
  }
}

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
