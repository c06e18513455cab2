/**
 * @internal Who may pass: the bearer of the master token, or whom the app lets in.
 */
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Redacted from "effect/Redacted"
import type { Options } from "./serverModel.ts"
import { spell } from "./wire.ts"

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest>

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

    return (handler: Handler): Handler =>
      HttpEffect.withPreResponseHandler(
        Effect.flatMap(HttpServerRequest, (request) =>
          Effect.flatMap(isMaster(request.headers["authorization"]), (master) =>
            master
              ? handler
              : Effect.flatMap(
                options.authorize?.(request) ?? Effect.succeed(false),
                (allowed) => allowed ? handler : Effect.succeed(refused)
              ))),
        spellHeaders
      )
  }).pipe(Effect.provide(Digest.layerWebCrypto))

/** Looks at every byte, wherever the first difference is. */
const isSame = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = a.length ^ b.length
  for (let index = 0; index < a.length; index++) difference |= a[index]! ^ (b[index] ?? 0)
  return difference === 0
}
