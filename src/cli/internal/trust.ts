/**
 * Whom a TLS connection is believed, whatever opens it: a WebSocket, a stream, a request. It holds for the whole process.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tls from "node:tls"
import { type Failure, usage } from "./failure.ts"
import type { Trust } from "./flags.ts"
import { textOf } from "./params.ts"

const certificate = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** Believes the authorities of a file, besides those that are known. */
const believe = (path: string) =>
  Effect.gen(function*() {
    const found = (yield* textOf(`@${path}`)).match(certificate)
    if (found === null) {
      return yield* usage(`${path} holds no certificate in PEM`, "openssl x509 -inform der -in … -out ca.pem")
    }
    yield* Effect.try({
      try: () => Tls.setDefaultCACertificates([...Tls.getCACertificates("default"), ...found]),
      catch: () => usage(`${path} holds a certificate that cannot be read`)
    })
  })

/** Believes everybody. Node says on standard error what that means. */
const believeAll = Effect.sync(() => {
  process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
})

/** @internal */
export const apply = (
  { ca, insecure }: Trust
): Effect.Effect<void, Failure, Effect.Services<ReturnType<typeof textOf>>> =>
  Effect.gen(function*() {
    if (insecure) yield* believeAll
    if (Option.isSome(ca)) yield* believe(ca.value)
  })
