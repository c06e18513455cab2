/**
 * Runs the requests of connections as fibers: in the order in which they arrived, so many at once, the rest waiting their
 * turn; cancelled by interruption; answered once. It takes requests that a wire has decoded and gives back outcomes for
 * the wire to encode; it knows no wire.
 *
 * It does what `RpcServer.makeNoSerialization` does (handlers, middleware, streams, `Rpc.fork`, `Rpc.uninterruptible`,
 * deferred results, spans) and, where a handler's effect is already an `Exit`, answers without starting a fiber.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Options, Session } from "./internal/engineModel.ts"
import { openSession } from "./internal/openSession.ts"
import type { Connection } from "./RpcConnection.ts"

export { EngineRequest, StreamTooLong } from "./internal/engineModel.ts"
export type { Options, Session } from "./internal/engineModel.ts"

/**
 * Opens the session of a connection. When the scope closes every request is interrupted and waited for; none is answered
 * any more.
 *
 * @category constructors
 * @since 0.1.0
 */
export const open = (connection: Connection, options?: Options): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const session = openSession(connection, options, context)
    return Effect.as(Scope.addFinalizer(Context.get(context, Scope.Scope), session.close), session)
  })
