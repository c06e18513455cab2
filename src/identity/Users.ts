/**
 * Users with passwords and permissions, to be the `password` of an `Authenticator`.
 *
 * Names are compared in a normalised form (after RFC 8265 `UsernameCaseMapped`: full-width forms and upper case do not
 * matter, NFC), passwords after RFC 8265 `OpaqueString` (every kind of space is one space, NFC, nothing else changes). Names are refused that
 * are empty, longer than 128 code points, or hold spaces, controls, invisible or compatibility characters, symbols
 * outside ASCII, both directions of writing, or letters of several look-alike scripts. Passwords have 1 to 1,024 characters, no controls.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { SqlError } from "effect/sql/SqlError"
import { AuthenticationUnavailable, type Authenticator, type Verify } from "./Authenticator.ts"
import * as Identity from "./Identity.ts"
import * as Precis from "./internal/precis.ts"
import * as LoginLimiter from "./LoginLimiter.ts"
import { PasswordHash } from "./PasswordHash.ts"
import { type User, UserStore } from "./UserStore.ts"

/**
 * A user could not be created or changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class UserError extends Schema.TaggedError<UserError>("effect-wire/identity/Users/UserError")("UserError", {
  reason: Schema.Literals(["InvalidUsername", "InvalidPassword", "AlreadyExists", "NotFound"])
}) {
  override get message(): string {
    switch (this.reason) {
      case "InvalidUsername":
        return "the user name is not allowed"
      case "InvalidPassword":
        return `a password has 1 to ${Precis.maxPassword} characters and no control characters`
      case "AlreadyExists":
        return "there is a user of this name already"
      case "NotFound":
        return "there is no user of this name"
    }
  }
}

/**
 * @category services
 * @since 0.1.0
 */
export class Users extends Context.Service<Users, {
  /** Creates a user. */
  readonly create: (username: string, password: Redacted.Redacted, options?: {
    readonly permissions?: Iterable<string> | undefined
    readonly superuser?: boolean | undefined
  }) => Effect.Effect<void, UserError | SqlError>
  /** Deletes a user; fails with `NotFound` when there is none. */
  readonly delete: (username: string) => Effect.Effect<void, UserError | SqlError>
  /** Replaces the password of a user; fails with `NotFound` when there is none. */
  readonly setPassword: (username: string, password: Redacted.Redacted) => Effect.Effect<void, UserError | SqlError>
  /** Replaces the permissions of a user. Connections learn of it by `Authenticator.refresh`. */
  readonly setPermissions: (
    username: string,
    permissions: Iterable<string>
  ) => Effect.Effect<void, UserError | SqlError>
  /** Makes a user one who may everything, or takes it back. */
  readonly setSuperuser: (username: string, superuser: boolean) => Effect.Effect<void, UserError | SqlError>
  /** Names in their normalised form, in order. */
  readonly list: Effect.Effect<ReadonlyArray<string>, SqlError>
  /** The `password` of an `Authenticator`. Takes the same time whether the user exists or not. */
  readonly verify: Verify<"Password">
  /** The `find` of an `Authenticator`. */
  readonly find: Authenticator["Service"]["find"]
}>()("effect-wire/identity/Users") {}

const identityOf = (user: User): Identity.Identity =>
  Identity.make(user.username, { permissions: user.permissions, superuser: user.superuser })

const named = (input: string): Effect.Effect<string, UserError> => {
  const username = Precis.username(input)
  return username === undefined
    ? Effect.fail(new UserError({ reason: "InvalidUsername" }))
    : Effect.succeed(username)
}

const prepared = (input: Redacted.Redacted): Effect.Effect<Redacted.Redacted, UserError> => {
  const password = Precis.password(Redacted.value(input))
  return password === undefined
    ? Effect.fail(new UserError({ reason: "InvalidPassword" }))
    : Effect.succeed(Redacted.make(password))
}

const unavailable = (cause: SqlError) => new AuthenticationUnavailable({ cause })

/**
 * Makes the users of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options?: LoginLimiter.Options
): Effect.Effect<Users["Service"], never, UserStore | PasswordHash> =>
  Effect.gen(function*() {
    const store = yield* UserStore
    const hashes = yield* PasswordHash
    const limiter = LoginLimiter.make(options)
    const found = (exists: boolean) => exists ? Effect.void : Effect.fail(new UserError({ reason: "NotFound" }))
    const update = (username: string, change: Parameters<typeof store.update>[1]) =>
      Effect.flatMap(Effect.flatMap(named(username), (name) => store.update(name, change)), found)
    return {
      create: (username, password, options) =>
        Effect.gen(function*() {
          const name = yield* named(username)
          const hash = yield* hashes.hash(yield* prepared(password))
          const inserted = yield* store.insert({
            username: name,
            hash,
            permissions: [...new Set(options?.permissions)],
            superuser: options?.superuser ?? false
          })
          if (!inserted) return yield* new UserError({ reason: "AlreadyExists" })
        }),
      delete: (username) => Effect.flatMap(Effect.flatMap(named(username), store.delete), found),
      setPassword: (username, password) =>
        Effect.flatMap(Effect.flatMap(prepared(password), hashes.hash), (hash) => update(username, { hash })),
      setPermissions: (username, permissions) => update(username, { permissions: [...new Set(permissions)] }),
      setSuperuser: (username, superuser) => update(username, { superuser }),
      list: store.list,
      verify: ({ password, username }, { address }) => {
        const name = Precis.username(username)
        const attempt = Effect.gen(function*() {
          const given = Precis.password(Redacted.value(password))
          // What no password can be is refused by its own form, whoever the user is.
          if (given === undefined) return undefined
          const user = name === undefined ? undefined : yield* Effect.mapError(store.get(name), unavailable)
          return (yield* hashes.verify(Redacted.make(given), user?.hash)) && user !== undefined
            ? identityOf(user)
            : undefined
        })
        return limiter.attempt(name ?? "", address, attempt)
      },
      find: (username) => {
        const name = Precis.username(username)
        return name === undefined ? Effect.succeed(undefined) : Effect.mapBoth(store.get(name), {
          onFailure: unavailable,
          onSuccess: (user) => user === undefined ? undefined : identityOf(user)
        })
      }
    }
  })

/**
 * The users of a store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: LoginLimiter.Options): Layer.Layer<Users, never, UserStore | PasswordHash> =>
  Layer.effect(Users, make(options))
