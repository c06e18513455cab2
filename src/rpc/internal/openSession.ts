import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"
import type { Connection } from "../RpcConnection.ts"
import type { Options, Session } from "./engineModel.ts"
import { EngineSession } from "./session.ts"

const noOptions: Options = {}

/**
 * Opens a session that its owner closes.
 *
 * @internal
 */
export const openSession = (
  connection: Connection,
  options: Options | undefined,
  context: Context.Context<never>
): Session & { readonly close: Effect.Effect<void> } => {
  const traced = options?.tracing === true ||
    (options?.tracing !== false && Context.getOrUndefined(context, Tracer.Tracer) !== undefined)
  return new EngineSession(connection, options ?? noOptions, traced, context)
}
