/**
 * One connection as a server sees it: who is at the other end, since when, and a place for what the application wants to
 * remember about it. Handlers read it as {@link CurrentConnection}; every wire of this package provides it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as Scope from "effect/Scope"
import * as Handshake from "../socket/Handshake.ts"
import { connectionIds } from "../socket/internal/ids.ts"
import type { Outbox } from "../socket/Outbox.ts"

/**
 * A connection of a server. It lives exactly as long as its `scope`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** Unique in this process, counts up from 1. */
  readonly id: number
  readonly handshake: Handshake.Handshake
  /** Epoch milliseconds by the `Clock`. */
  readonly connectedAt: number
  /** Closed when the connection is gone; what belongs to the connection is added to it. */
  readonly scope: Scope.Scope
  /** Frames to the peer, in order; `undefined` where the wire cannot send by itself (an HTTP POST). */
  readonly outbox: Outbox | undefined
  /** Reads a cell of this connection, e.g. the caller's identity: its default until it was set. */
  readonly get: <A>(cell: Context.Reference<A>) => A
  /** Writes a cell of this connection; no other connection sees it. */
  readonly set: <A>(cell: Context.Reference<A>, value: A) => void
}

/**
 * The connection whose request the current fiber handles.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentConnection extends Context.Service<CurrentConnection, Connection>()(
  "effect-wire/rpc/RpcConnection/CurrentConnection"
) {}

/**
 * The connection whose request the current fiber handles, for handlers: it asks for no service, so that the layer of the
 * handlers does not either. Outside of a request it is a defect.
 *
 * @category services
 * @since 0.1.0
 */
export const current: Effect.Effect<Connection> = /* @__PURE__ */ Effect.withFiber((fiber) => {
  const connection = Context.getOrUndefined(fiber.context, CurrentConnection)
  return connection === undefined
    ? Effect.die(new Error("there is no connection: this fiber does not handle a request of one of our servers"))
    : Effect.succeed(connection)
})

const empty = Context.empty()

/** There may be many thousands: no closures, and no map for the one cell that most of them have. */
class ConnectionImpl implements Connection {
  readonly id: number = ++connectionIds.last
  readonly handshake: Handshake.Handshake
  readonly connectedAt: number
  readonly scope: Scope.Scope
  readonly outbox: Outbox | undefined
  private firstKey: string | undefined = undefined
  private firstValue: unknown = undefined
  private cells: Map<string, unknown> | undefined = undefined

  constructor(handshake: Handshake.Handshake, connectedAt: number, scope: Scope.Scope, outbox: Outbox | undefined) {
    this.handshake = handshake
    this.connectedAt = connectedAt
    this.scope = scope
    this.outbox = outbox
  }

  get<A>(cell: Context.Reference<A>): A {
    if (cell.key === this.firstKey) return this.firstValue as A
    return this.cells?.has(cell.key) === true ? this.cells.get(cell.key) as A : Context.get(empty, cell)
  }

  set<A>(cell: Context.Reference<A>, value: A): void {
    this.firstKey ??= cell.key
    if (cell.key === this.firstKey) this.firstValue = value
    else (this.cells ??= new Map()).set(cell.key, value)
  }
}

/**
 * Makes the connection of the current scope, with the handshake that the carrier provided.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (outbox: Outbox | undefined): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const handshake = yield* Handshake.CurrentHandshake
    const connectedAt = yield* Clock.currentTimeMillis
    const connection = new ConnectionImpl(handshake, connectedAt, scope, outbox)
    const setup = yield* Setup
    yield* setup(connection)
    return connection
  })

/**
 * Runs for each new connection before anything that it sends is looked at, e.g. to find out from the handshake who the
 * peer is. Nothing by default. What it waits for, the peer waits for, so it must be limited in time.
 *
 * @category services
 * @since 0.1.0
 */
export const Setup: Context.Reference<(connection: Connection) => Effect.Effect<void>> = Context.Reference<
  (connection: Connection) => Effect.Effect<void>
>("effect-wire/rpc/RpcConnection/Setup", { defaultValue: () => () => Effect.void })

/**
 * The annotation of a method that says who may use it; what a rule is, its owner knows (`Access.Rules`). Empty by default:
 * open to everybody.
 *
 * @category annotations
 * @since 0.2.0
 */
export const AccessRules: Context.Reference<ReadonlyArray<unknown>> = /* @__PURE__ */ Context.Reference<
  ReadonlyArray<unknown>
>(
  "effect-wire/rpc/RpcConnection/AccessRules",
  { defaultValue: () => [] }
)

/**
 * Decides whether the caller on a connection may use a method. What is refused does not exist for that caller: it is
 * answered like an unknown method and is left out of every listing. By default methods without access rules are allowed
 * and methods with rules are refused, so that a server that forgot `Access.layer` is closed, not open.
 *
 * @category services
 * @since 0.1.0
 */
export const MethodAccess: Context.Reference<(rpc: Rpc.AnyWithProps, connection: Connection) => boolean> =
  /* @__PURE__ */ Context
    .Reference<(rpc: Rpc.AnyWithProps, connection: Connection) => boolean>(
      "effect-wire/rpc/RpcConnection/MethodAccess",
      { defaultValue: () => (rpc) => Context.get(rpc.annotations, AccessRules).length === 0 }
    )

/**
 * The name of the caller on a connection, to tell what belongs to one caller from what belongs to another; empty by default,
 * for all the same. `Access.layer` gives the name of the identity.
 *
 * @category services
 * @since 0.2.0
 */
export const CallerName: Context.Reference<(connection: Connection) => string> = /* @__PURE__ */ Context.Reference<
  (connection: Connection) => string
>("effect-wire/rpc/RpcConnection/CallerName", { defaultValue: () => () => "" })
