/**
 * The other end of a JSON-RPC connection, untyped: methods by name, parameters as JSON. What a client has of its server,
 * and a server of each of its clients. Typed calls are made from it by `JsonRpcClient.fromRemote`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Connection } from "../rpc/RpcConnection.ts"
import * as Caller from "./internal/caller.ts"
import type { Wire } from "./internal/wireModel.ts"
import type { JsonRpcError } from "./JsonRpcError.ts"

/**
 * Parameters by position or by name.
 *
 * @category models
 * @since 0.1.0
 */
export type Params = ReadonlyArray<unknown> | { readonly [name: string]: unknown } | undefined

/**
 * Parameters of a notification: those of calls, or one value, which some wires carry bare and others as the only element of
 * an array.
 *
 * @category models
 * @since 0.2.0
 */
export type NotificationParams = Params | string | number | boolean | null

/**
 * The other end of a connection, or of several: an app may implement it, e.g. to log or to choose among remotes
 * (`JsonRpcPool`, `JsonRpcFailover` do), and make typed clients of it by `JsonRpcClient.fromRemote`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Remote {
  /**
   * Calls a method and gives its result. Fails with a `JsonRpcError`: `RemoteError` for what the peer answered,
   * `ConnectionError` when the connection is lost. Interruption (a timeout too) sends the wire's cancel once and drops
   * a late answer.
   */
  readonly call: (
    method: string,
    params?: Params,
    options?: Caller.CallOptions
  ) => Effect.Effect<Schema.Json, JsonRpcError>
  /** Sends a notification. Completes when it is handed to the connection; nothing tells whether it arrived. */
  readonly notify: (method: string, params?: NotificationParams) => Effect.Effect<void, JsonRpcError>
  /**
   * The short way of our own remotes.
   *
   * @internal
   */
  readonly port?: Caller.Port
}

export type { CallOptions, Port } from "./internal/caller.ts"

const call = (
  port: Caller.Port,
  method: string,
  params: Params,
  options: Caller.CallOptions | undefined
): Effect.Effect<Schema.Json, JsonRpcError> =>
  Caller.call(port, method, params, options) as Effect.Effect<Schema.Json, JsonRpcError>

const notify = (port: Caller.Port, method: string, params: NotificationParams): Effect.Effect<void, JsonRpcError> =>
  Effect.withFiber((fiber) => {
    const error = port.caller.notify(method, params, fiber.getRef(Caller.CurrentBatch), port.connection)
    return error === undefined ? Effect.void : Effect.fail(error)
  })

/** @internal */
export const fromPort = (port: Caller.Port): Remote & { readonly port: Caller.Port } => ({
  call: (method, params, options) => call(port, method, params, options),
  notify: (method, params) => notify(port, method, params),
  port
})

/**
 * The remote of a server's connection, one object without closures: there may be many thousands.
 *
 * @internal
 */
export const ofConnection = (caller: Caller.Caller, connection: Connection): Remote & {
  readonly connection: Connection
  readonly wire: Wire
} => new RemoteOfConnection(caller, connection)

class RemoteOfConnection implements Remote {
  private readonly caller: Caller.Caller
  readonly connection: Connection
  constructor(caller: Caller.Caller, connection: Connection) {
    this.caller = caller
    this.connection = connection
  }
  get wire(): Wire {
    return this.caller.wire
  }
  get port(): Caller.Port {
    return { caller: this.caller, connection: undefined }
  }
  call(method: string, params?: Params, options?: Caller.CallOptions): Effect.Effect<Schema.Json, JsonRpcError> {
    return call(this.port, method, params, options)
  }
  notify(method: string, params?: NotificationParams): Effect.Effect<void, JsonRpcError> {
    return notify(this.port, method, params)
  }
}
