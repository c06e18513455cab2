/**
 * Basic authentication of HTTP routes, WebSocket upgrades included: without right credentials the answer is 401, which
 * makes a browser ask for them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Authenticator from "./Authenticator.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Decides on a name and a password, e.g. `NodeHtpasswd.fromFile`. */
  readonly verify: Authenticator.Verify<"Password">
  /** What a browser shows with its question; default `juggler`. */
  readonly realm?: string | undefined
}

/**
 * Lets a handler run for requests with right credentials only. Too many attempts are answered 429, and 503 where they
 * cannot be judged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const guard = <A extends HttpServerResponse.HttpServerResponse, E, R>(
  handler: Effect.Effect<A, E, R>,
  options: Options
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> => {
  const realm = (options.realm ?? "juggler").replace(/["\\]/g, "")
  const unauthorized = HttpServerResponse.empty({
    status: 401,
    headers: { "www-authenticate": `Basic realm="${realm}", charset="UTF-8"` }
  })
  const authenticator = Authenticator.make({ password: options.verify })
  return HttpServerRequest.HttpServerRequest.use((request) =>
    authenticator.fromHandshake({
      carrier: "http",
      remoteAddress: Option.getOrUndefined(request.remoteAddress),
      headers: request.headers,
      url: request.url,
      protocol: undefined
    }).pipe(
      Effect.matchEffect({
        onFailure: (error): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
          Effect.succeed(
            error._tag === "TooManyAttempts"
              ? HttpServerResponse.empty({
                status: 429,
                headers: { "retry-after": String(Math.ceil(error.retryAfter / 1_000)) }
              })
              : HttpServerResponse.empty({ status: 503 })
          ),
        onSuccess: (identity): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> =>
          identity === undefined ? Effect.succeed(unauthorized) : handler
      })
    )
  )
}
