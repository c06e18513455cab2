/**
 * The words of the Scirocco server; `SciroccoServer` gives them on.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type * as LoginLimiter from "../../../identity/LoginLimiter.ts"

/**
 * How the server answers, and what it refuses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The master token: who shows it, bare or as `Bearer`, may do everything. */
  readonly token: Redacted.Redacted
  /** Asked when the token is another one: whether this request is allowed all the same, e.g. by an `Authenticator`. */
  readonly authorize?: ((request: HttpServerRequest) => Effect.Effect<boolean>) | undefined
  /**
   * How wrong tokens are limited, by address: by default 50 within 5 minutes; then every token from there is answered 429.
   * See `LoginLimiter`.
   */
  readonly attempts?: LoginLimiter.Options | undefined
  /** Proxies of ours, which are believed about the address of their client; see `WebSocketRoute.Options`. */
  readonly trustedProxies?: ReadonlyArray<string> | undefined
  /** Most bytes of a body. Default: JSON and text 102,400, binary 1,024,000. Over it: 413. */
  readonly limits?: {
    readonly json?: number | undefined
    readonly text?: number | undefined
    readonly binary?: number | undefined
    /** A whole `POST /messageQueue/batch` or `PATCH /messageQueue/ack`, of at most 1,000 entries. Default 8,388,608. */
    readonly batch?: number | undefined
  } | undefined
  /** Most messages of one list. Default 100, at most 1,000. */
  readonly maxList?: number | undefined
  /** The longest that `?wait=` may make a pull wait. Default 60 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** How long a body may take to arrive. Default 10 seconds. Over it: 408. */
  readonly bodyTimeout?: Duration.Input | undefined
  /** Whether `GET /` describes the service. Default `true`; `false` where the app has a page there: see {@link describe}. */
  readonly root?: boolean | undefined
  /** What `GET /` says. */
  readonly description?: {
    readonly name?: string | undefined
    readonly author?: string | undefined
    readonly source?: string | undefined
  } | undefined
}
