/**
 * The clients that are connected to a server now: to list them, to notify one, some or all, to call any of them. A server
 * registers its connections here when the service is in its environment; handlers use the same service, so it is a layer
 * of its own that the app provides to both.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type Connection, CurrentConnection } from "../rpc/RpcConnection.ts"
import * as Codec from "./JsonRpcCodec.ts"
import type { Params, Remote } from "./JsonRpcRemote.ts"

/**
 * A connected client: the other end of a connection, and what is known of the connection (id, address, headers, connected
 * since, and the app's own cells).
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectedClient extends Remote {
  readonly connection: Connection
}

/**
 * The clients that are connected now.
 *
 * @category services
 * @since 0.1.0
 */
export class JsonRpcClients extends Context.Service<JsonRpcClients, {
  /** Those connected now, in the order in which they came. */
  readonly all: Effect.Effect<ReadonlyArray<ConnectedClient>>
  /** One by the id of its connection; `undefined` when it is gone. */
  readonly get: (id: number) => Effect.Effect<ConnectedClient | undefined>
  /**
   * Sends a notification to all clients, or to those that `filter` accepts; encoded once. Gives the number of clients it
   * was handed to. Params that are no JSON are a defect.
   */
  readonly broadcast: (
    method: string,
    params?: Params,
    filter?: (client: ConnectedClient) => boolean
  ) => Effect.Effect<number>
  /** Adds a client for as long as the scope is open. Servers call it. */
  readonly register: (client: ConnectedClient) => Effect.Effect<void, never, Scope.Scope>
}>()("effect-wire/jsonrpc/JsonRpcClients") {}

/**
 * Makes an empty registry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<JsonRpcClients["Service"]> = Effect.sync(() => {
  const clients = new Map<number, ConnectedClient>()
  return JsonRpcClients.of({
    all: Effect.sync(() => Array.from(clients.values())),
    get: (id) => Effect.sync(() => clients.get(id)),
    broadcast: (method, params, filter) =>
      Effect.sync(() => {
        const frame = Codec.encodeNotification(method, params)
        let count = 0
        for (const client of clients.values()) {
          if (filter !== undefined && !filter(client)) continue
          if (client.connection.outbox?.send(frame) === true) count++
        }
        return count
      }),
    register: (client) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          clients.set(client.connection.id, client)
        }),
        () => Effect.sync(() => clients.delete(client.connection.id))
      )
  })
})

/**
 * A registry of its own for each app that builds it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<JsonRpcClients> = Layer.effect(JsonRpcClients, make)

/** @internal */
export const CurrentClient: Context.Reference<ConnectedClient | undefined> = Context.Reference<
  ConnectedClient | undefined
>("effect-wire/jsonrpc/JsonRpcClients/CurrentClient", { defaultValue: () => undefined })

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
