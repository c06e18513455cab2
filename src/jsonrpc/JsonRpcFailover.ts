/**
 * One remote over several addresses in order of preference: calls go to the first that is connected; when it is lost they
 * go to the next, and back to the preferred one when that is there again. Typed clients are made of it by
 * `JsonRpcClient.fromRemote`.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Client } from "./JsonRpcClient.ts"
import * as JsonRpcError from "./JsonRpcError.ts"
import type { Remote } from "./JsonRpcRemote.ts"

/**
 * The fail-over of clients that exist already, the preferred one first; it closes none of them. Those that are connected
 * eagerly stand by; those that are lazy are dialled when all before them are unavailable.
 *
 * **Details**
 *
 * A call goes to the first client that is open. Where none is, each is asked to connect, in order, until one is. A call
 * that could not be sent (`maybeExecuted` is `false`), and an idempotent one that was lost, goes on to the next; the error
 * is that of the last one that was tried. Another call that was lost fails, since it may have been executed. Clients that
 * wait while they are disconnected (`whileDisconnected: "wait"`) hold the fail-over up for as long: leave them at `"fail"`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromClients = (clients: ReadonlyArray<Client>): Remote => {
  const over = <A>(
    run: (client: Client) => Effect.Effect<A, JsonRpcError.JsonRpcError>,
    isIdempotent: boolean
  ): Effect.Effect<A, JsonRpcError.JsonRpcError> => {
    const next = (left: ReadonlyArray<Client>): Effect.Effect<A, JsonRpcError.JsonRpcError> => {
      const [first, ...rest] = left
      if (first === undefined) return Effect.fail(JsonRpcError.connection("there is no address", false))
      return Effect.catch(
        Effect.andThen(first.connect, run(first)),
        (error) =>
          rest.length > 0 && JsonRpcError.mayTryElsewhere(error, isIdempotent) ? next(rest) : Effect.fail(error)
      )
    }
    return Effect.flatMap(
      Effect.filter(clients, (client) => client.connected),
      (open) => next([...open, ...clients.filter((client) => !open.includes(client))])
    )
  }
  return {
    call: (method, params, options) =>
      over((client) => client.call(method, params, options), options?.idempotent === true),
    notify: (method, params) => over((client) => client.notify(method, params), false)
  }
}

/**
 * Makes a client for each address, the preferred one first, and the fail-over of them; they belong to the scope.
 *
 * **Example** (A server and its stand-in)
 *
 * ```ts
 * const remote = yield* JsonRpcFailover.make(["ws://one/rpc", "ws://two/rpc"], (address) =>
 *   Effect.flatMap(NodeWebSocket.make(address), (socket) => JsonRpcClient.fromSocket(socket)))
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = <Address, E, R>(
  addresses: ReadonlyArray<Address>,
  client: (address: Address) => Effect.Effect<Client, E, R | Scope.Scope>
): Effect.Effect<Remote, E, R | Scope.Scope> => Effect.map(Effect.forEach(addresses, client), fromClients)
