import * as Schema from "effect/Schema"
import * as ErrorCode from "../../rpc/ErrorCode.ts"

/**
 * Too many attempts for this user or from this address. On the wire: code -32011.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManyAttempts extends Schema.TaggedError<TooManyAttempts>(
  "effect-wire/identity/internal/authenticationErrors/TooManyAttempts"
)(
  "TooManyAttempts",
  {
    /** Milliseconds after which another attempt is looked at. */
    retryAfter: Schema.Int
  },
  ErrorCode.annotation({ code: -32011 })
) {
  override get message(): string {
    return "Too many attempts"
  }
}

/**
 * The authentication could not be done at all: the database is away. Says nothing about the credentials.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthenticationUnavailable extends Schema.TaggedError<AuthenticationUnavailable>(
  "effect-wire/identity/internal/authenticationErrors/AuthenticationUnavailable"
)("AuthenticationUnavailable", { cause: Schema.Defect() }) {
  override get message(): string {
    return "Authentication is not available"
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export type AuthenticationError = TooManyAttempts | AuthenticationUnavailable
