/**
 * Users in a htpasswd file (Apache, nginx), to be the `password` of an `Authenticator`.
 *
 * Hashes: bcrypt (`$2y$`, `$2a$`, `$2b$`; checked by `bcryptjs`, which is maintained, has no dependency and nothing to
 * compile), Apache's MD5 (`$apr1$`; checked by `apache-md5`, the one package for it that still gets releases; weak by
 * today's measure, and still what `htpasswd` makes by default) and `{SHA}` (a bare SHA-1; weak, checked by `node:crypto`).
 * Others (crypt, plain text, SHA-256 and SHA-512 crypt) are never right.
 *
 * @since 0.1.0
 */
import aprMd5Module from "apache-md5"
import * as Bcrypt from "bcryptjs"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import { AuthenticationUnavailable, type Verify } from "../identity/Authenticator.ts"
import * as Identity from "../identity/Identity.ts"
import * as LoginLimiter from "../identity/LoginLimiter.ts"

// The types of the package say `default`; what it exports is the function.
const aprMd5 = aprMd5Module as unknown as (password: string, hash: string) => string

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What a user of the file is; without permissions by default. */
  readonly identity?: ((username: string) => Identity.Identity) | undefined
  /** Limits of failed attempts. */
  readonly attempts?: LoginLimiter.Options | undefined
}

/** UTF-8 bytes of a password; bcrypt itself looks at the first 72 only. */
const maxPassword = 1024
/** bcrypt at cost 14 takes about a second; a file that asks for more is not believed. */
const maxBcryptCost = 14

/**
 * Reads the lines of a htpasswd file. The first line of a name counts; comments and lines without a colon are skipped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const parse = (text: string): ReadonlyMap<string, Redacted.Redacted> => {
  const users = new Map<string, Redacted.Redacted>()
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(":")
    if (colon <= 0 || line.startsWith("#")) continue
    const username = line.slice(0, colon).trim()
    const hash = line.slice(colon + 1).split(":", 1)[0]!.trim()
    if (!users.has(username)) users.set(username, Redacted.make(hash))
  }
  return users
}

const sameText = (a: string, b: string): boolean =>
  Crypto.timingSafeEqual(Crypto.createHash("sha256").update(a).digest(), Crypto.createHash("sha256").update(b).digest())

const apr1 = /^\$apr1\$[./0-9A-Za-z]{1,8}\$[./0-9A-Za-z]{22}$/
const bcrypt = /^\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}$/

/**
 * Whether a password belongs to a hash of a htpasswd file.
 *
 * @category combinators
 * @since 0.1.0
 */
export const matches = (password: Redacted.Redacted, hash: Redacted.Redacted): Effect.Effect<boolean> => {
  const given = Redacted.value(password)
  const expected = Redacted.value(hash)
  if (given.length > maxPassword) return Effect.succeed(false)
  const cost = bcrypt.exec(expected)?.[1]
  if (cost !== undefined) {
    return Number(cost) > maxBcryptCost
      ? Effect.succeed(false)
      : Effect.promise(() => Bcrypt.compare(given, expected))
  }
  return Effect.sync(() => {
    if (apr1.test(expected)) {
      // The package takes one byte from each character.
      return sameText(aprMd5(Buffer.from(given, "utf8").toString("latin1"), expected), expected)
    }
    if (expected.startsWith("{SHA}")) {
      return sameText(Crypto.createHash("sha1").update(given).digest("base64"), expected.slice(5))
    }
    return false
  })
}

/**
 * Checks passwords against a htpasswd file, which is read anew when it was changed. Names are compared as they are
 * written. For an unknown user the hash of the first user is computed, so that the time it takes does not tell, as far
 * as the file uses one kind of hash. A file that cannot be read is `AuthenticationUnavailable`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFile = (path: string, options?: Options): Verify<"Password"> => {
  const limiter = LoginLimiter.make(options?.attempts)
  const identity = options?.identity ?? ((username: string) => Identity.make(username))
  let known: { readonly version: string; readonly users: ReadonlyMap<string, Redacted.Redacted> } | undefined
  const users = Effect.tryPromise({
    try: () =>
      Fs.stat(path).then((stat) => {
        const version = `${stat.mtimeMs} ${stat.size} ${stat.ino}`
        if (known?.version === version) return known.users
        return Fs.readFile(path, "utf8").then((text) => {
          known = { version, users: parse(text) }
          return known.users
        })
      }),
    catch: (cause) => new AuthenticationUnavailable({ cause })
  })
  return ({ password, username }, { address }) =>
    limiter.attempt(
      username.slice(0, 128),
      address,
      Effect.gen(function*() {
        const known = yield* users
        const hash = known.get(username)
        const first = known.values().next().value
        if (first === undefined) return undefined
        const right = yield* matches(password, hash ?? first)
        return right && hash !== undefined ? identity(username) : undefined
      })
    )
}
