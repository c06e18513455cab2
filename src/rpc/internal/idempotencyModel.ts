import * as Context from "effect/Context"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as Schema from "effect/Schema"
import * as ErrorCode from "../ErrorCode.ts"

/**
 * The key of a call, as it came over the wire.
 *
 * @category models
 * @since 0.2.0
 */
export interface Key {
  /** 1 to 255 characters. */
  readonly key: string
  /** Milliseconds since it was called first, where it is called again. */
  readonly age: number | undefined
  /** Elements of a stream that the caller has. */
  readonly from: number
}

/**
 * The key of the request that runs; `undefined` where it has none. Wires provide it.
 *
 * @category services
 * @since 0.2.0
 */
export const CurrentKey: Context.Reference<Key | undefined> = Context.Reference<Key | undefined>(
  "effect-wire/rpc/Idempotency/CurrentKey",
  { defaultValue: () => undefined }
)

/**
 * A repeated call whose answer is not known any more, or never was: it may have been executed, and is not executed again
 * (`Forgotten`); or its key was used with another payload (`OtherPayload`). On the wire: code -32014.
 *
 * @category errors
 * @since 0.2.0
 */
export class Forgotten extends Schema.TaggedError<Forgotten>("effect-wire/rpc/internal/idempotencyModel/Forgotten")(
  "Forgotten",
  { reason: Schema.Literals(["Forgotten", "OtherPayload"]) },
  ErrorCode.annotation({ code: -32014 })
) {
  override get message(): string {
    return this.reason === "Forgotten"
      ? "the call may have been executed, and its answer is not known any more"
      : "the idempotency key was used with another payload"
  }
}

/**
 * Executes keyed calls once. The layers of this module provide it to servers.
 *
 * @category middleware
 * @since 0.2.0
 */
export class Once extends RpcMiddleware.Service<Once>()("effect-wire/rpc/Idempotency/Once", { error: Forgotten }) {}

/**
 * Marks a procedure: its calls carry a key, and are executed once; its stream goes on after a lost connection.
 *
 * @category combinators
 * @since 0.2.0
 */
export const keyed = <
  Tag extends string,
  Payload extends Schema.Top,
  Success extends Schema.Top,
  Error extends Schema.Top,
  Middleware extends RpcMiddleware.AnyService,
  Requires
>(
  self: Rpc.Rpc<Tag, Payload, Success, Error, Middleware, Requires>
): Rpc.Rpc<Tag, Payload, Success, Error, Middleware | typeof Once, Requires> => self.middleware(Once) as any

/**
 * Whether a procedure is {@link keyed}.
 *
 * @category guards
 * @since 0.2.0
 */
export const isKeyed = (rpc: Rpc.AnyWithProps): boolean => (rpc.middlewares as ReadonlySet<unknown>).has(Once)
