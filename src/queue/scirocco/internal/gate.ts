/**
 * @internal Who may pass: the bearer of the master token, or whom the app lets in.
 */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { AuthenticationUnavailable, TooManyAttempts } from "../../../identity/internal/authenticationErrors.ts"
import * as LoginLimiter from "../../../identity/LoginLimiter.ts"
import { plainAddress } from "../../../socket/internal/plainAddress.ts"
import * as TrustedProxies from "../../../socket/TrustedProxies.ts"
import type { Options } from "./serverModel.ts"
import { spell } from "./wire.ts"

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest>

const tooMany = (retryAfter: number) =>
  HttpServerResponse.jsonUnsafe({ message: "Too many attempts." }, {
    status: 429,
    headers: { "retry-after": String(Math.ceil(retryAfter / 1000)) }
  })

const unavailable = HttpServerResponse.jsonUnsafe({ message: "Not available." }, { status: 503 })

/** Characters of an `Authorization` header that are looked at. */
const maxToken = 8192

const spellHeaders: HttpEffect.PreResponseHandler = (_, response) => Effect.succeed(spell(response))

const refused = HttpServerResponse.jsonUnsafe({ message: "Not authorized." }, { status: 403 })

export const makeGate = (options: Options): Effect.Effect<(handler: Handler) => Handler> =>
  Effect.gen(function*() {
    const { digest } = yield* Digest.Digest
    const sha256 = (text: string) => digest(Digest.sha256, new TextEncoder().encode(text))
    const expected = yield* sha256(Redacted.value(options.token))

    const isMaster = (authorization: string | undefined): Effect.Effect<boolean> =>
      authorization === undefined || authorization === "" || authorization.length > maxToken
        ? Effect.succeed(false)
        : Effect.map(sha256(authorization.replace(/^Bearer +/i, "")), (shown) => isSame(expected, shown))

    const limiter = LoginLimiter.make(options.attempts)
    const trusted = TrustedProxies.fromList(options.trustedProxies ?? [])
    const addressOf = (request: HttpServerRequest) =>
      TrustedProxies.remoteAddress({
        remoteAddress: plainAddress(Option.getOrUndefined(request.remoteAddress)),
        headers: request.headers
      }, trusted)

    /** Whom the token, or the app, lets in. Wrong tokens count; a request that shows none is no attempt. */
    const allows = (
      request: HttpServerRequest
    ): Effect.Effect<boolean | undefined, TooManyAttempts | AuthenticationUnavailable> => {
      const { authorization } = request.headers
      const judged = Effect.flatMap(
        isMaster(authorization),
        (master) => master ? Effect.succeed(true) : options.authorize?.(request) ?? Effect.succeed(false)
      )
      return authorization === undefined || authorization === ""
        ? judged
        : limiter.attempt(undefined, addressOf(request), Effect.map(judged, (allowed) => allowed ? true : undefined))
    }

    return (handler: Handler): Handler =>
      HttpEffect.withPreResponseHandler(
        Effect.flatMap(HttpServerRequest, (request) =>
          allows(request).pipe(
            Effect.flatMap((allowed) => allowed === true ? handler : Effect.succeed(refused)),
            Effect.catchTags({
              TooManyAttempts: ({ retryAfter }) => Effect.succeed(tooMany(retryAfter)),
              AuthenticationUnavailable: () => Effect.succeed(unavailable)
            })
          )),
        spellHeaders
      )
  }).pipe(Effect.provide(Digest.layerWebCrypto))

/** Looks at every byte, wherever the first difference is. */
const isSame = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = a.length ^ b.length
  for (let index = 0; index < a.length; index++) difference |= a[index]! ^ (b[index] ?? 0)
  return difference === 0
}
