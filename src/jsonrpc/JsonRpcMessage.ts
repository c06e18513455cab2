/**
 * The messages of JSON-RPC 2.0 as schemas, for tools and tests. Connections use the synchronous codec of
 * `JsonRpcCodec`, which accepts and produces exactly these.
 *
 * Source: JSON-RPC 2.0 Specification, sections 4 to 6.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Identifies a request among those of its sender. Fractions are allowed and discouraged.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Id = Schema.Union([Schema.String, Schema.Finite, Schema.Null])

/**
 * Parameters: by position or by name.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Params = Schema.Union([Schema.Array(Schema.Json), Schema.Record(Schema.String, Schema.Json)])

/**
 * A call that is answered. Section 4.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Request = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  method: Schema.String,
  params: Schema.optionalKey(Params),
  id: Id
})

/**
 * A call that is never answered. Section 4.1.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Notification = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  method: Schema.String,
  params: Schema.optionalKey(Params)
})

/**
 * What went wrong. Section 5.1.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ErrorObject = Schema.Struct({
  code: Schema.Int,
  message: Schema.String,
  data: Schema.optionalKey(Schema.Json)
})

/**
 * The type of {@link ErrorObject}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorObject {
  readonly code: number
  readonly message: string
  readonly data?: Schema.Json | undefined
}

/**
 * The answer to a request that succeeded. Section 5.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Success = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  result: Schema.Json,
  id: Id
})

/**
 * The answer to a request that failed. Section 5.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Failure = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  error: ErrorObject,
  id: Id
})

/**
 * Any single message.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Message = Schema.Union([Success, Failure, Request, Notification])

/**
 * A batch. Section 6.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Batch = Schema.NonEmptyArray(Message)
