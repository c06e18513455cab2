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

/** A token that nobody guesses, 32 hexadecimal digits. */
export const makeToken = (): string => Hex.encode(randomBytesUnsafe(16))
