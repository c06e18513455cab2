/**
 * Password hashes by scrypt (RFC 7914) of `node:crypto`, in the thread pool, a few at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import * as Crypto from "node:crypto"
import { PasswordHash } from "../identity/PasswordHash.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Base-2 logarithm of N, the cost in time and memory (128 · r · N bytes). Default 15: 32 MiB. 4 is enough for tests. */
  readonly logN?: number | undefined
  /** Block size. Default 8. */
  readonly r?: number | undefined
  /** Parallelisation, which scrypt runs one after the other. Default 3, as OWASP advises for 32 MiB. */
  readonly p?: number | undefined
  /** Hashes computed at once; others wait. Default 2. */
  readonly concurrency?: number | undefined
}

interface Parameters {
  readonly logN: number
  readonly r: number
  readonly p: number
}

const saltLength = 16
const keyLength = 32

const scrypt = (password: Redacted.Redacted, salt: Buffer, { logN, p, r }: Parameters): Effect.Effect<Buffer> =>
  Effect.callback<Buffer>((resume) => {
    const N = 2 ** logN
    Crypto.scrypt(Redacted.value(password), salt, keyLength, { N, r, p, maxmem: 128 * r * N * 2 }, (error, key) => {
      // undefined in place of null: other runtimes than Node
      resume(error == null ? Effect.succeed(key) : Effect.die(error))
    })
  })

// The form of the PHC string format: $scrypt$ln=15,r=8,p=3$<salt>$<key>
const form = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/

const encode = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "")

/**
 * scrypt with a random salt of 16 bytes. Hashes hold their cost, so it can be raised later: old hashes stay valid.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<PasswordHash> =>
  Layer.effect(
    PasswordHash,
    Effect.gen(function*() {
      const cost: Parameters = { logN: options?.logN ?? 15, r: options?.r ?? 8, p: options?.p ?? 3 }
      const permits = yield* Semaphore.make(options?.concurrency ?? 2)
      const nobody = { salt: Crypto.randomBytes(saltLength), key: Crypto.randomBytes(keyLength) }
      return {
        hash: (password) =>
          Effect.suspend(() => {
            const salt = Crypto.randomBytes(saltLength)
            return Effect.map(
              scrypt(password, salt, cost),
              (key) => `$scrypt$ln=${cost.logN},r=${cost.r},p=${cost.p}$${encode(salt)}$${encode(key)}`
            )
          }).pipe(permits.withPermit),
        verify: (password, hash) =>
          Effect.suspend(() => {
            const match = hash === undefined ? null : form.exec(hash)
            const parameters = match === null
              ? cost
              : { logN: Number(match[1]), r: Number(match[2]), p: Number(match[3]) }
            const salt = match === null ? nobody.salt : Buffer.from(match[4]!, "base64")
            const key = match === null ? nobody.key : Buffer.from(match[5]!, "base64")
            return Effect.map(
              scrypt(password, salt, parameters),
              (computed) => Crypto.timingSafeEqual(computed, key) && match !== null
            )
          }).pipe(permits.withPermit)
      }
    })
  )
