/**
 * Hashes passwords and checks them. The hash is a text that says how it was made, so that hashes of other makers or older
 * costs stay valid beside new ones.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * @category services
 * @since 0.1.0
 */
export class PasswordHash extends Context.Service<PasswordHash, {
  /** A new salted hash. */
  readonly hash: (password: Redacted.Redacted) => Effect.Effect<string>
  /**
   * Whether the password belongs to the hash. Without a hash (the user is unknown) it does the same work and answers
   * `false`, so that the time it takes does not tell. A hash of an unknown form is never right.
   */
  readonly verify: (password: Redacted.Redacted, hash: string | undefined) => Effect.Effect<boolean>
}>()("effect-wire/identity/PasswordHash") {}
