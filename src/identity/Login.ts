/**
 * The methods `login`, `authenticate`, `logout` and `whoami` as an ordinary group with its handlers: what a caller proves
 * by them changes what the same connection may do, from the next request on.
 *
 * Logging in again before an identity expires refreshes it: requests that run and subscriptions that are still allowed
 * are not touched. Wrong credentials leave the connection as it was. Over HTTP POST there is no connection that
 * remembers: an identity lasts for the rest of its batch.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import * as Access from "./Access.ts"
import { Authenticator, type Credentials, TooManyAttempts } from "./Authenticator.ts"

const Secret = Schema.RedactedFromValue(Schema.String)

/**
 * Who the caller is.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Whoami = Schema.Struct({
  username: Schema.NullOr(Schema.String),
  permissions: Schema.Array(Schema.String)
})

/**
 * - `login` (user name, password) and `authenticate` (token): `true` when they were right, and the caller is that user now.
 * - `logout`: the caller is nobody now; always `true`.
 * - `whoami`: the caller's name, `null` for nobody, and its permissions in order.
 *
 * @category contracts
 * @since 0.1.0
 */
export class Rpcs extends RpcGroup.make(
  Rpc.make("login", {
    payload: { username: Schema.String, password: Secret },
    success: Schema.Boolean,
    error: TooManyAttempts
  }),
  Rpc.make("authenticate", { payload: { token: Secret }, success: Schema.Boolean, error: TooManyAttempts }),
  Rpc.make("logout", { success: Schema.Boolean }),
  Rpc.make("whoami", { success: Whoami })
) {}

/**
 * Gives the connection of the current request the identity that credentials prove; `false` when they are wrong. For
 * `login` methods of your own. An `AuthenticationUnavailable` is a defect: the caller gets an internal error.
 *
 * @category combinators
 * @since 0.1.0
 */
export const login = (
  credentials: Credentials
): Effect.Effect<boolean, TooManyAttempts, Authenticator> =>
  Effect.gen(function*() {
    const connection = yield* RpcConnection.current
    const authenticator = yield* Authenticator
    const identity = yield* authenticator.login(credentials, { address: connection.handshake.remoteAddress }).pipe(
      Effect.catchTag("AuthenticationUnavailable", Effect.die)
    )
    if (identity === undefined) return false
    yield* Access.identify(connection, identity)
    return true
  })

/**
 * Takes the identity of the connection of the current request away.
 *
 * @category combinators
 * @since 0.1.0
 */
export const logout: Effect.Effect<void> = Effect.flatMap(
  RpcConnection.current,
  (connection) => Access.identify(connection, undefined)
)

/**
 * Who the caller of the current request is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const whoami: Effect.Effect<typeof Whoami.Type> = Effect.map(
  Effect.flatMap(RpcConnection.current, Access.identityOf),
  (identity) => ({
    username: identity?.username ?? null,
    permissions: identity === undefined ? [] : [...identity.permissions].sort()
  })
)

/**
 * The handlers of {@link Rpcs}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Rpc.ToHandler<RpcGroup.Rpcs<typeof Rpcs>>,
  never,
  Authenticator
> = Rpcs.toLayer({
  login: (payload: { readonly username: string; readonly password: Redacted.Redacted }) =>
    login({ _tag: "Password", ...payload }),
  authenticate: ({ token }) => login({ _tag: "Token", token }),
  logout: () => Effect.as(logout, true),
  whoami: () => whoami
})
