/**
 * A typed client wired in memory to handlers, through the real encoding of the wire: what the peers of an app would see,
 * without a socket or a port, under `TestClock`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type * as Scope from "effect/Scope"
import * as MemorySocket from "../socket/MemorySocket.ts"
import * as JsonRpcClient from "./JsonRpcClient.ts"
import type { JsonRpcError } from "./JsonRpcError.ts"
import * as JsonRpcServer from "./JsonRpcServer.ts"

/**
 * Makes a client of the group's handlers.
 *
 * **Example** (Testing handlers)
 *
 * ```ts
 * it.effect("adds", () =>
 *   Effect.gen(function*() {
 *     const client = yield* JsonRpcTest.makeClient(Calculator)
 *     assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
 *   }).pipe(Effect.provide(CalculatorHandlers)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeClient = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: JsonRpcServer.Options & JsonRpcClient.TypedOptions = {}
): Effect.Effect<
  RpcClient.RpcClient<Rpcs, JsonRpcError>,
  never,
  JsonRpcServer.Requirements<Rpcs> | Rpc.MiddlewareClient<Rpcs> | Scope.Scope
> => Effect.flatMap(makeRemote(group, options), (remote) => JsonRpcClient.fromRemote(group, remote, options))

/**
 * Makes an untyped client of the group's handlers: to see what a peer without the contract sees.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRemote = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: JsonRpcServer.Options = {}
): Effect.Effect<JsonRpcClient.Client, never, JsonRpcServer.Requirements<Rpcs> | Scope.Scope> =>
  Effect.gen(function*() {
    const run = yield* JsonRpcServer.make(group, options)
    const [near, far] = yield* MemorySocket.makePair()
    yield* Effect.forkScoped(run(far))
    return yield* JsonRpcClient.fromSocket(near, { ...options, reconnect: false })
  })
