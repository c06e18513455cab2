/**
 * Both directions on one socket: a peer serves one group and calls another. What a client is that its server may call
 * back; ids of the two directions are independent.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as RpcMethods from "../rpc/RpcMethods.ts"
import * as Link from "./internal/link.ts"
import { serving } from "./internal/serving.ts"
import * as Typed from "./internal/typed.ts"
import type { Client } from "./JsonRpcClient.ts"
import type { JsonRpcError } from "./JsonRpcError.ts"
import { onWire, type Requirements } from "./JsonRpcServer.ts"
import { standard } from "./wires/standard.ts"

/**
 * One end of a two-way connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Peer<Calls extends Rpc.Any> {
  /** Typed calls to the other end. */
  readonly client: RpcClient.RpcClient<Calls, JsonRpcError>
  /** Untyped calls to the other end, and what can be watched of the connection. */
  readonly remote: Client
}

/**
 * Makes a peer on the `Socket` of the environment: the handlers of `serves` answer the other end, `calls` types what the
 * other end answers. The connection belongs to the scope. A method of `serves` whose name the wire reserves is a
 * defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Serves extends Rpc.Any, Calls extends Rpc.Any>(options: {
  readonly serves: RpcGroup.RpcGroup<Serves>
  readonly calls: RpcGroup.RpcGroup<Calls>
  readonly connection?: Link.Options | undefined
  readonly typed?: Typed.TypedOptions | undefined
}): Effect.Effect<
  Peer<Calls>,
  never,
  Socket.Socket | Requirements<Serves> | Rpc.MiddlewareClient<Calls> | Scope.Scope
> =>
  Effect.gen(function*() {
    const socket = yield* Socket.Socket
    const methods = yield* RpcMethods.serve(options.serves)
    const named = yield* onWire(options.connection?.wire ?? standard, methods)
    const remote = yield* Link.make(socket, options.connection ?? {}, named, serving)
    const client = yield* Typed.make(options.calls, remote, options.typed)
    return { client, remote }
  })
