/**
 * Who may use which method and which topic. Rules are annotations on `Rpc`s and topics; what a caller may not use does
 * not exist for it: it is answered like something unknown and is absent from every listing.
 *
 * **Example** (Rules)
 *
 * ```ts
 * const Reset = Rpc.make("admin.reset", { success: Schema.Boolean }).pipe(Access.permissionRequired("reset"))
 * const Mine = Rpc.make("mine", { success: Schema.String }).pipe(Access.loginRequired)
 * ```
 *
 * A rule brings the middleware {@link Authenticated}, which gives the handler the identity of its caller and which
 * {@link layer} provides: a server that forgets the layer does not compile. Where types do not see it, the rules are
 * refusals.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as ErrorCode from "../rpc/ErrorCode.ts"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import * as Identity from "./Identity.ts"

/**
 * One condition on the caller.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule =
  | { readonly _tag: "LoginRequired" }
  | { readonly _tag: "PermissionRequired"; readonly names: ReadonlyArray<string> }
  | {
    readonly _tag: "UserPassesTest"
    /** Whether this caller may. */
    readonly test: (identity: Identity.Identity) => boolean
  }

/**
 * The annotation that holds the rules of a method or a topic; all must hold. Empty by default: open to everybody. A whole
 * group is protected by `group.annotateRpcs(Access.Rules, [...])`; the rules of a single method replace those of its group.
 *
 * @category annotations
 * @since 0.1.0
 */
export const Rules: Context.Reference<ReadonlyArray<Rule>> = RpcConnection.AccessRules as Context.Reference<
  ReadonlyArray<Rule>
>

/**
 * What carries annotations: an `Rpc`, a topic.
 *
 * @category models
 * @since 0.1.0
 */
export interface Annotatable {
  readonly annotations: Context.Context<never>
}

/**
 * What a rule makes of what it protects: a method gets the middleware {@link Authenticated}, a topic stays what it is.
 *
 * @category models
 * @since 0.2.0
 */
export type Protected<A> = A extends Rpc.Any ? Rpc.AddMiddleware<A, typeof Authenticated> : A

const add = <A extends Annotatable>(self: A, rule: Rule): Protected<A> => {
  const target = self as unknown as { readonly annotate: (key: typeof Rules, value: ReadonlyArray<Rule>) => A }
  const annotated = target.annotate(Rules, [...Context.get(self.annotations, Rules), rule])
  return (Rpc.isRpc(annotated)
    ? (annotated as unknown as Rpc.Rpc<string>).middleware(Authenticated)
    : annotated) as Protected<A>
}

/**
 * Only callers who have said who they are.
 *
 * @category annotations
 * @since 0.1.0
 */
export const loginRequired = <A extends Annotatable>(self: A): Protected<A> => add(self, { _tag: "LoginRequired" })

/**
 * Only callers with all of these permissions, and superusers.
 *
 * @category annotations
 * @since 0.1.0
 */
export const permissionRequired = (...names: ReadonlyArray<string>) => <A extends Annotatable>(self: A): Protected<A> =>
  add(self, { _tag: "PermissionRequired", names })

/**
 * Only callers who have said who they are and pass a test, and superusers. The test must be quick; where it throws it refuses. It
 * is asked for each request, each listing and each change of rights.
 *
 * @category annotations
 * @since 0.1.0
 */
export const userPassesTest =
  (test: (identity: Identity.Identity) => boolean) => <A extends Annotatable>(self: A): Protected<A> =>
    add(self, { _tag: "UserPassesTest", test })

// A test that throws must not end the connection that it was asked for; it refuses.
const passes = (test: (identity: Identity.Identity) => boolean, identity: Identity.Identity): boolean => {
  try {
    return test(identity)
  } catch {
    return false
  }
}

/**
 * Whether an identity (or nobody) satisfies the rules of a method or a topic.
 *
 * @category combinators
 * @since 0.1.0
 */
export const satisfies = (target: Annotatable, identity: Identity.Identity | undefined): boolean => {
  for (const rule of Context.get(target.annotations, Rules)) {
    if (identity === undefined) return false
    if (rule._tag === "PermissionRequired" && !Identity.hasPermissions(identity, rule.names)) return false
    if (rule._tag === "UserPassesTest" && !identity.superuser && !passes(rule.test, identity)) return false
  }
  return true
}

/**
 * The identity of a connection at an instant (epoch milliseconds): none when it has expired by then.
 *
 * @category combinators
 * @since 0.1.0
 */
export const identityAt = (connection: RpcConnection.Connection, now: number): Identity.Identity | undefined => {
  const identity = connection.get(Identity.Cell)
  return identity?.expiresAt !== undefined && identity.expiresAt <= now ? undefined : identity
}

/**
 * The identity of a connection now.
 *
 * @category combinators
 * @since 0.1.0
 */
export const identityOf = (
  connection: RpcConnection.Connection
): Effect.Effect<Identity.Identity | undefined> =>
  Effect.map(Clock.currentTimeMillis, (now) => identityAt(connection, now))

const Listeners = Context.Reference<ReadonlySet<(identity: Identity.Identity | undefined) => void>>(
  "effect-wire/identity/Access/Listeners",
  {
    defaultValue: () => new Set()
  }
)
const ExpiryTimer = Context.Reference<Fiber.Fiber<void> | undefined>("effect-wire/identity/Access/ExpiryTimer", {
  defaultValue: () => undefined
})

/**
 * Hears, until the scope closes, that a connection changed its identity or that its rights changed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onChange = (
  connection: RpcConnection.Connection,
  listener: (identity: Identity.Identity | undefined) => void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.sync(() => connection.set(Listeners, new Set([...connection.get(Listeners), listener]))),
    () =>
      Effect.sync(() =>
        connection.set(Listeners, new Set([...connection.get(Listeners)].filter((other) => other !== listener)))
      )
  ))

/**
 * Gives a connection an identity, another one, or (`undefined`) none. From here on its requests and listings go by it;
 * requests that have begun finish under the one that they began with; subscriptions that are no longer allowed end. An
 * identity that expires is taken away by itself at that instant, unless it was replaced (refreshed) before.
 *
 * @category combinators
 * @since 0.1.0
 */
export const identify = (
  connection: RpcConnection.Connection,
  identity: Identity.Identity | undefined
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const timer = connection.get(ExpiryTimer)
    connection.set(ExpiryTimer, undefined)
    connection.set(Identity.Cell, identity)
    for (const listener of connection.get(Listeners)) listener(identity)
    if (identity?.expiresAt !== undefined) {
      const left = identity.expiresAt - (yield* Clock.currentTimeMillis)
      const expire = Effect.suspend(() => {
        connection.set(ExpiryTimer, undefined)
        return connection.get(Identity.Cell) === identity ? identify(connection, undefined) : Effect.void
      })
      const fiber = yield* Effect.forkIn(Effect.delay(expire, Math.max(0, left)), connection.scope)
      connection.set(ExpiryTimer, fiber)
    }
    if (timer !== undefined) yield* Fiber.interrupt(timer)
  })

/**
 * The caller may not use the method: it has not said who it is (`LoginRequired`), or its rights do not suffice, which
 * happens where they changed while the request waited (`NotAllowed`); what rules forbid from the start does not exist for
 * the caller and is answered as an unknown method. On the wire: code -32013.
 *
 * @category errors
 * @since 0.2.0
 */
export class Refused extends Schema.TaggedError<Refused>("effect-wire/identity/Access/Refused")(
  "Refused",
  { reason: Schema.Literals(["LoginRequired", "NotAllowed"]) },
  ErrorCode.annotation({ code: -32013 })
) {
  override get message(): string {
    return this.reason === "LoginRequired" ? "login required" : "not allowed"
  }
}

/**
 * Provides the caller to handlers, as it is when the request begins, whoever it is. The rules of the method are asked once
 * more, at that moment, for wires that do not ask `RpcConnection.MethodAccess` and for requests that waited their turn while the
 * caller's rights changed.
 *
 * @category middleware
 * @since 0.2.0
 */
export class Caller extends RpcMiddleware.Service<Caller, { provides: Identity.Caller }>()(
  "effect-wire/identity/Access/Caller",
  { error: Refused }
) {}

/**
 * Provides {@link Identity.CurrentIdentity} to handlers; without an identity the method fails with {@link Refused}. Every
 * rule brings it: {@link loginRequired} hides the method from those who cannot use it, this middleware by itself does not.
 *
 * @category middleware
 * @since 0.2.0
 */
export class Authenticated extends RpcMiddleware.Service<Authenticated, { provides: Identity.CurrentIdentity }>()(
  "effect-wire/identity/Access/Authenticated",
  { error: Refused }
) {}

const snapshot: Effect.Effect<Identity.Identity | undefined> = Effect.flatMap(
  Effect.serviceOption(RpcConnection.CurrentConnection),
  (connection) => connection._tag === "None" ? Effect.succeed(undefined) : identityOf(connection.value)
)

const refused = (identity: Identity.Identity | undefined) =>
  Effect.fail(new Refused({ reason: identity === undefined ? "LoginRequired" : "NotAllowed" }))

/**
 * Asks the rules before each dispatch and in each listing, and provides both middlewares. Give it to the server beside
 * its handlers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Caller | Authenticated> = Layer.effectContext(
  Effect.map(
    Clock.Clock,
    (clock) =>
      Context.make(
        RpcConnection.MethodAccess,
        (rpc, connection) => satisfies(rpc, identityAt(connection, clock.currentTimeMillisUnsafe()))
      ).pipe(
        Context.add(
          RpcConnection.CallerName,
          (connection) => identityAt(connection, clock.currentTimeMillisUnsafe())?.username ?? ""
        ),
        Context.add(Caller, (effect, { rpc }) =>
          Effect.flatMap(snapshot, (identity) =>
            satisfies(rpc, identity)
              ? Effect.provideService(effect, Identity.Caller, { identity })
              : refused(identity))),
        Context.add(
          Authenticated,
          (effect, { rpc }) =>
            Effect.flatMap(snapshot, (identity) =>
              identity !== undefined && satisfies(rpc, identity)
                ? Effect.provideService(effect, Identity.CurrentIdentity, identity)
                : refused(identity))
        )
      )
  )
)
