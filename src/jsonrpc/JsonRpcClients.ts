/**
 * The clients that are connected to a server now: to list them, to notify one, some or all, to call any of them. A server
 * registers its connections here when the service is in its environment; handlers use the same service, so it is a layer
 * of its own that the app provides to both. Each server has a registry of its own in it: a handler sees the clients of the
 * server that it serves, also where two servers were given one service.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Connection, CurrentConnection } from "../rpc/RpcConnection.ts"
import { CurrentWire } from "./internal/currentWire.ts"
import { notificationOf, type Wire } from "./internal/wireModel.ts"
import type { NotificationParams, Remote } from "./JsonRpcRemote.ts"

/**
 * A connected client: the other end of a connection, and what is known of the connection (id, address, headers, connected
 * since, and the app's own cells).
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectedClient extends Remote {
  readonly connection: Connection
  /** What it speaks. */
  readonly wire: Wire
}

/**
 * The clients of one server.
 *
 * @category models
 * @since 0.2.0
 */
export interface Registry {
  /** Adds a client for as long as the scope is open. */
  readonly register: (client: ConnectedClient) => Effect.Effect<void, never, Scope.Scope>
  /** Says that a connection is of this server though it is no client: an HTTP POST. */
  readonly adopt: (connection: Connection) => void
}

/**
 * The clients that are connected now: in a handler those of its own server; elsewhere those of the only server that was
 * given this service (a defect where there are several, which only {@link layerShared} puts together).
 *
 * @category services
 * @since 0.1.0
 */
export class JsonRpcClients extends Context.Service<JsonRpcClients, {
  /** Those connected now, in the order in which they came. */
  readonly all: Effect.Effect<ReadonlyArray<ConnectedClient>>
  /**
   * Those of every server that was given this service, wherever this is asked, in the order in which they came: for
   * whoever looks after all of them.
   */
  readonly everywhere: Effect.Effect<ReadonlyArray<ConnectedClient>>
  /** One by the id of its connection; `undefined` when it is gone. */
  readonly get: (id: number) => Effect.Effect<ConnectedClient | undefined>
  /**
   * Sends a notification to all clients, or to those that `filter` accepts; encoded once for each wire. Gives the number of
   * clients it was handed to. Params that are no JSON are a defect.
   */
  readonly broadcast: (
    method: string,
    params?: NotificationParams,
    filter?: (client: ConnectedClient) => boolean
  ) => Effect.Effect<number>
  /** A registry for one more server. Servers take it when they are made. */
  readonly server: Effect.Effect<Registry>
}>()("effect-wire/jsonrpc/JsonRpcClients") {}

type Clients = Map<number, ConnectedClient>

const CurrentServer: Context.Reference<Clients | undefined> = Context.Reference<Clients | undefined>(
  "effect-wire/jsonrpc/JsonRpcClients/CurrentServer",
  { defaultValue: () => undefined }
)

/** Which clients somebody sees. */
const visible = (servers: ReadonlyArray<Clients>, connection: Connection | undefined): Clients | undefined => {
  if (connection !== undefined) {
    const own = connection.get(CurrentServer) ?? servers.find((clients) => clients.has(connection.id))
    if (own !== undefined) return own
  }
  return servers.length === 0 ? new Map() : servers.length === 1 ? servers[0] : undefined
}

const makeWith = (shared: boolean): Effect.Effect<JsonRpcClients["Service"]> =>
  Effect.sync(() => {
    const servers: Array<Clients> = []
    const clients = Effect.withFiber<Clients>((fiber) => {
      const found = visible(servers, Context.getOrUndefined(fiber.context, CurrentConnection))
      return found === undefined
        ? Effect.die(
          new Error("several servers were given one JsonRpcClients: give each its own, or all of them layerShared")
        )
        : Effect.succeed(found)
    })
    return JsonRpcClients.of({
      all: Effect.map(clients, (found) => Array.from(found.values())),
      everywhere: Effect.sync(() =>
        servers.flatMap((found) => Array.from(found.values())).sort((a, b) => a.connection.id - b.connection.id)
      ),
      get: (id) => Effect.map(clients, (found) => found.get(id)),
      broadcast: (method, params, filter) =>
        Effect.map(clients, (found) => {
          let count = 0
          let wire: Wire | undefined
          let frame = ""
          for (const client of found.values()) {
            if (filter !== undefined && !filter(client)) continue
            if (client.wire !== wire) {
              wire = client.wire
              frame = notificationOf(wire, method, params)
            }
            if (client.connection.outbox?.send(frame) === true) count++
          }
          return count
        }),
      server: Effect.sync(() => {
        const own: Clients = shared && servers.length > 0 ? servers[0]! : new Map()
        if (!servers.includes(own)) servers.push(own)
        return {
          register: (client) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                own.set(client.connection.id, client)
              }),
              () => Effect.sync(() => own.delete(client.connection.id))
            ),
          adopt: (connection) => connection.set(CurrentServer, own)
        }
      })
    })
  })

/**
 * Makes an empty service, with a registry of its own for each server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<JsonRpcClients["Service"]> = makeWith(false)

/**
 * A registry of its own for each server that it is provided to, also where it is provided to several.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<JsonRpcClients> = Layer.effect(JsonRpcClients, make)

/**
 * One registry for all servers that it is provided to, on purpose: what one of them broadcasts the clients of all hear.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerShared: Layer.Layer<JsonRpcClients> = Layer.effect(JsonRpcClients, makeWith(true))

/** @internal */
export const CurrentClient: Context.Reference<ConnectedClient | undefined> = Context.Reference<
  ConnectedClient | undefined
>("effect-wire/jsonrpc/JsonRpcClients/CurrentClient", { defaultValue: () => undefined })

/**
 * What the peer of a connection speaks.
 *
 * @internal
 */
export const wireOf = (connection: Connection): Wire =>
  connection.get(CurrentClient)?.wire ?? connection.get(CurrentWire)

/**
 * The client whose request the current fiber handles, to notify it or to call it back. `undefined` where the wire cannot
 * send by itself (an HTTP POST).
 *
 * @category combinators
 * @since 0.1.0
 */
export const current: Effect.Effect<ConnectedClient | undefined> = Effect.map(
  Effect.serviceOption(CurrentConnection),
  (connection) => Option.isSome(connection) ? connection.value.get(CurrentClient) : undefined
)
