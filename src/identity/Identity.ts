/**
 * Who a caller is and what it may do. An identity belongs to a connection and may change while the connection lives; a
 * handler sees the one that its request began with, as {@link Caller}.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"

/**
 * A known user. Immutable: rights that change give a new identity.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  readonly username: string
  readonly permissions: ReadonlySet<string>
  /** Passes every permission and every test. */
  readonly superuser: boolean
  /** Epoch milliseconds by the `Clock` from which the identity counts no more; `undefined` for never. */
  readonly expiresAt: number | undefined
}

/**
 * Makes an identity: no permissions, no superuser, no expiry, unless told.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (username: string, options?: {
  readonly permissions?: Iterable<string> | undefined
  readonly superuser?: boolean | undefined
  readonly expiresAt?: number | undefined
}): Identity => ({
  username,
  permissions: new Set(options?.permissions),
  superuser: options?.superuser ?? false,
  expiresAt: options?.expiresAt
})

/**
 * Whether an identity has all of these permissions; a superuser has every one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const hasPermissions = (identity: Identity, names: ReadonlyArray<string>): boolean =>
  identity.superuser || names.every((name) => identity.permissions.has(name))

/**
 * The cell of a connection that holds its identity; `undefined` for nobody in particular. Read it through
 * `Access.identityOf`, which minds the expiry, and write it through `Access.identify`, which tells who depends on it.
 *
 * @category services
 * @since 0.1.0
 */
export const Cell: Context.Reference<Identity | undefined> = Context.Reference<Identity | undefined>(
  "effect-wire/identity/Identity/Cell",
  { defaultValue: () => undefined }
)

/**
 * The caller of the request that a handler works on, as it was when the request began. Provided by `Access.Caller`.
 *
 * @category services
 * @since 0.1.0
 */
export class Caller extends Context.Service<Caller, {
  /** `undefined` when the caller has not said who it is. */
  readonly identity: Identity | undefined
}>()("effect-wire/identity/Identity/Caller") {}

/**
 * The identity of the caller of a method that nobody can use without one. Provided by `Access.Authenticated`.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentIdentity extends Context.Service<CurrentIdentity, Identity>()(
  "effect-wire/identity/Identity/CurrentIdentity"
) {}
