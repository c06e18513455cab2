/**
 * Tokens that are known beforehand (of machines, of a configuration), to be the `token` of an `Authenticator`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import type { Verify } from "../identity/Authenticator.ts"
import type { Identity } from "../identity/Identity.ts"

const digest = (token: Redacted.Redacted): Buffer => Crypto.createHash("sha256").update(Redacted.value(token)).digest()

/**
 * Takes these tokens and no others; those whose identity has expired no more. Each is kept as its SHA-256 digest only;
 * digests are compared in constant time, with all of them, whichever fits.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromList = (
  tokens: Iterable<{ readonly token: Redacted.Redacted; readonly identity: Identity }>
): Verify<"Token"> => {
  const known = Array.from(tokens, ({ identity, token }) => ({ digest: digest(token), identity }))
  return ({ token }) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const given = digest(token)
      let found: Identity | undefined
      for (const entry of known) {
        if (Crypto.timingSafeEqual(given, entry.digest)) found = entry.identity
      }
      return found?.expiresAt !== undefined && found.expiresAt <= now ? undefined : found
    })
}
