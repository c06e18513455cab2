/**
 * Finds out who a peer is: from the handshake of its connection (a header, a cookie, Basic, a bearer token), or from a
 * `login` method, which changes what the same connection may do.
 *
 * **Cross-site requests.** A browser sends cookies, and Basic credentials it has stored, with requests that another site
 * made it send. The carriers refuse browser origins that are not allowed, before the upgrade and for POST; independently of them,
 * a cookie or Basic is only taken here when the request has no `Origin`, or one that is the same as its `Host` or listed
 * in `origins`. Bearer tokens and logins are not sent by a browser by itself and are always taken.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import type * as Handshake from "../socket/Handshake.ts"
import { isAllowedOrigin } from "../socket/WebSocketRoute.ts"
import * as Access from "./Access.ts"
import type { Identity } from "./Identity.ts"
import { type AuthenticationError, AuthenticationUnavailable } from "./internal/authenticationErrors.ts"
import * as LoginLimiter from "./LoginLimiter.ts"

/**
 * What a peer shows to prove who it is. Secrets are `Redacted` from here on.
 *
 * @category models
 * @since 0.1.0
 */
export type Credentials =
  | { readonly _tag: "Password"; readonly username: string; readonly password: Redacted.Redacted }
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted }

/**
 * Where credentials come from, for limits on attempts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Origin {
  /** Address of the peer, `undefined` where the carrier has none. */
  readonly address: string | undefined
}

export {
  type AuthenticationError,
  AuthenticationUnavailable,
  TooManyAttempts
} from "./internal/authenticationErrors.ts"

/**
 * Turns one kind of credentials into an identity, or `undefined` when they are wrong.
 *
 * @category models
 * @since 0.1.0
 */
export type Verify<C extends Credentials["_tag"] = Credentials["_tag"]> = (
  credentials: Extract<Credentials, { readonly _tag: C }>,
  origin: Origin
) => Effect.Effect<Identity | undefined, AuthenticationError>

/**
 * Decides who a peer is.
 *
 * @category services
 * @since 0.1.0
 */
export class Authenticator extends Context.Service<Authenticator, {
  /** The identity that a handshake proves; `undefined` when it shows no credentials or wrong ones. */
  readonly fromHandshake: (
    handshake: Handshake.Handshake
  ) => Effect.Effect<Identity | undefined, AuthenticationError>
  /** The identity that credentials prove; `undefined` when they are wrong. */
  readonly login: Verify
  /** The identity of a known user as it is now; `undefined` when there is none. */
  readonly find: (username: string) => Effect.Effect<Identity | undefined, AuthenticationUnavailable>
}>()("effect-wire/identity/Authenticator") {}

/**
 * What an {@link Authenticator} is made of. What is not given is not taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** User name and password: of `login`, and of `Authorization: Basic`. */
  readonly password?: Verify<"Password"> | undefined
  /** Tokens: of `Authorization: Bearer`, of the cookie, of `authenticate`. */
  readonly token?: Verify<"Token"> | undefined
  /** Name of the cookie whose value is a token. Set it `HttpOnly; Secure; SameSite=Strict`. */
  readonly cookie?: string | undefined
  /** Browser origins besides the server's own (`Host`) from which cookies and Basic are taken, e.g. `https://app.example`. */
  readonly origins?: ReadonlyArray<string> | undefined
  /** A header that a proxy in front sets and strips from what clients send, and who its value is. */
  readonly header?: {
    readonly name: string
    /** Who a value of it is; `undefined` is nobody. */
    readonly identity: (value: string) => Effect.Effect<Identity | undefined, AuthenticationUnavailable>
  } | undefined
  /** Rights of a known user as they are now, for {@link refresh}. */
  readonly find?: Authenticator["Service"]["find"] | undefined
  /** How wrong tokens are limited, by address; see `LoginLimiter`. Passwords have the limits of where they are checked. */
  readonly attempts?: LoginLimiter.Options | undefined
}

const none = Effect.succeed<Identity | undefined>(undefined)

/** Characters of an `Authorization` header or a cookie that are looked at. */
const maxCredentials = 8192

/**
 * Makes an authenticator.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Authenticator["Service"] => {
  const limiter = LoginLimiter.make(options.attempts)
  const login: Verify = (credentials, origin) =>
    credentials._tag === "Password"
      ? options.password?.(credentials, origin) ?? none
      : options.token === undefined
      ? none
      : limiter.attempt(undefined, origin.address, options.token(credentials, origin))
  return {
    login,
    find: options.find ?? (() => none),
    fromHandshake: (handshake) => {
      const origin: Origin = { address: handshake.remoteAddress }
      const headers = handshake.headers
      const trusted = options.header === undefined ? undefined : headers[options.header.name.toLowerCase()]
      if (trusted !== undefined) return options.header!.identity(trusted)
      const authorization = headers.authorization
      const sameSite = isAllowedOrigin(headers.origin, headers.host, options.origins)
      if (authorization !== undefined && authorization.length <= maxCredentials) {
        const credentials = parseAuthorization(authorization)
        if (credentials === undefined || (credentials._tag === "Password" && !sameSite)) return none
        return login(credentials, origin)
      }
      if (options.cookie !== undefined && headers.cookie !== undefined && sameSite) {
        const token = cookie(headers.cookie.slice(0, maxCredentials), options.cookie)
        if (token !== undefined) return login({ _tag: "Token", token: Redacted.make(token) }, origin)
      }
      return none
    }
  }
}

/** RFC 7235 (schemes are case-insensitive), RFC 7617, RFC 6750. */
const parseAuthorization = (value: string): Credentials | undefined => {
  const space = value.indexOf(" ")
  const scheme = value.slice(0, space).toLowerCase()
  const rest = value.slice(space + 1).trim()
  if (space < 0 || rest === "") return undefined
  if (scheme === "bearer") return { _tag: "Token", token: Redacted.make(rest) }
  if (scheme !== "basic") return undefined
  const text = Result.getOrUndefined(Base64.decodeString(rest))
  const colon = text?.indexOf(":") ?? -1
  if (text === undefined || colon < 0) return undefined
  return { _tag: "Password", username: text.slice(0, colon), password: Redacted.make(text.slice(colon + 1)) }
}

/** RFC 6265: the first cookie of that name. */
const cookie = (header: string, name: string): string | undefined => {
  for (const part of header.split(";")) {
    const equals = part.indexOf("=")
    if (equals > 0 && part.slice(0, equals).trim() === name) {
      const value = part.slice(equals + 1).trim()
      return value.startsWith("\"") && value.endsWith("\"") && value.length > 1 ? value.slice(1, -1) : value
    }
  }
  return undefined
}

/**
 * Attempts to prove who one is, by handshake or by login, with the attribute `outcome`: `right`, `wrong`, `limited` (too
 * many attempts), `unavailable` (the authentication could not be done), `timeout`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const attempts: Metric.Counter<number> = Metric.counter("effect_wire_authentication_attempts_total", {
  description: "Attempts to prove who one is",
  incremental: true
})

const count = (outcome: "right" | "wrong" | "limited" | "unavailable" | "timeout") =>
  Metric.update(Metric.withAttributes(attempts, { outcome }), 1)

const counted = (
  effect: Effect.Effect<Identity | undefined, AuthenticationError>
): Effect.Effect<Identity | undefined, AuthenticationError> =>
  effect.pipe(
    Effect.tap((identity) => count(identity === undefined ? "wrong" : "right")),
    Effect.tapError((error) => count(error._tag === "TooManyAttempts" ? "limited" : "unavailable"))
  )

/** How long a handshake, or a login, may be judged. */
const timeout = "10 seconds"

const setup = (service: Authenticator["Service"]) => (connection: RpcConnection.Connection): Effect.Effect<void> => {
  // over HTTP POST there is nothing to close: the request goes on without identity
  const close = (code: number, reason: string) =>
    Effect.andThen(
      Effect.logWarning(`Authenticator: ${reason}`, { connection: connection.id }),
      connection.outbox === undefined
        ? Effect.void
        : Effect.ignore(Effect.timeoutOption(connection.outbox.close(code, reason), "1 second"))
    )
  return service.fromHandshake(connection.handshake).pipe(
    Effect.timeoutOption(timeout),
    Effect.flatMap((identity) =>
      Option.isNone(identity)
        ? Effect.andThen(count("timeout"), close(1013, "authentication takes too long"))
        : identity.value === undefined
        ? Effect.void
        : Access.identify(connection, identity.value)
    ),
    Effect.catchTags({
      TooManyAttempts: () => close(1008, "too many attempts"),
      AuthenticationUnavailable: () => close(1013, "authentication is not available")
    })
  )
}

/**
 * The authenticator of a server, and the setup that asks it for each new connection: what the handshake proves becomes the
 * identity of the connection before its first request is looked at. A handshake without credentials, or with wrong ones,
 * leaves the connection without identity. One that cannot be judged, or not within 10 seconds, closes the connection
 * (1013), and so do too many attempts (1008); an HTTP POST goes on without identity. A login that cannot be judged within
 * 10 seconds fails. Credentials are not logged. An authenticator that needs something to be made, e.g. `Users`, is given as
 * an effect.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  authenticator: Authenticator["Service"] | Effect.Effect<Authenticator["Service"], E, R>
): Layer.Layer<Authenticator, E, R> => {
  const made = Effect.isEffect(authenticator) ? authenticator : Effect.succeed(authenticator)
  return Layer.effectContext(Effect.map(made, ({ find, fromHandshake, login }) => {
    const service: Authenticator["Service"] = {
      find,
      login: (credentials, origin) =>
        counted(Effect.timeoutOrElse(login(credentials, origin), {
          duration: timeout,
          orElse: () => Effect.fail(new AuthenticationUnavailable({ cause: new Error("it took too long") }))
        })),
      // a handshake that shows no credentials is no attempt
      fromHandshake: (handshake) => isAttempt(handshake) ? counted(fromHandshake(handshake)) : fromHandshake(handshake)
    }
    return Context.make(Authenticator, service).pipe(Context.add(RpcConnection.Setup, setup(service)))
  }))
}

const isAttempt = ({ headers }: Handshake.Handshake): boolean =>
  headers.authorization !== undefined || headers.cookie !== undefined

/**
 * Reads the rights of the caller of a connection anew and applies them: to be called after permissions were changed.
 * Subscriptions that are no longer allowed end; a user that is no more is logged out. The expiry stays.
 *
 * @category combinators
 * @since 0.1.0
 */
export const refresh = (
  connection: RpcConnection.Connection
): Effect.Effect<void, AuthenticationUnavailable, Authenticator> =>
  Effect.gen(function*() {
    const identity = yield* Access.identityOf(connection)
    if (identity === undefined) return
    const now = yield* (yield* Authenticator).find(identity.username)
    yield* Access.identify(connection, now === undefined ? undefined : { ...now, expiresAt: identity.expiresAt })
  })
