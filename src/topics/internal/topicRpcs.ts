import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { ScalarParams } from "../../jsonrpc/internal/scalar.ts"
import * as JsonRpcError from "../../jsonrpc/JsonRpcError.ts"
import type { Position } from "./topicNotices.ts"

/**
 * The connection would have more subscriptions than it may. None of the request was added. On the wire: -32012.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooManySubscriptions extends Schema.TaggedError<TooManySubscriptions>(
  "effect-wire/topics/internal/topicRpcs/TooManySubscriptions"
)(
  "TooManySubscriptions",
  { limit: Schema.Int },
  JsonRpcError.wire({ code: -32012, message: "Too many subscriptions" })
) {}

/**
 * Parameters of a subscription do not fit the topic. On the wire: -32602.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidParameters extends Schema.TaggedError<InvalidParameters>(
  "effect-wire/topics/internal/topicRpcs/InvalidParameters"
)(
  "InvalidParameters",
  { topic: Schema.String, reason: Schema.String },
  JsonRpcError.wire({ code: JsonRpcError.code.invalidParams, message: "Invalid params" })
) {}

/**
 * One topic that is asked for, in the form that handlers see.
 *
 * @category models
 * @since 0.1.0
 */
export interface Requested {
  readonly topic: string
  readonly parameters: Schema.Json | undefined
  /** Whether the client understands `topic_gap` and `topic_ended`. */
  readonly notices: boolean
  /** Whether it wants values with their positions, where the topic has a history. */
  readonly positions: boolean
  /** After which it wants to go on. */
  readonly position: Position | undefined
}

const At = Schema.Struct({ epoch: Schema.String, offset: Schema.Int })

const One = Schema.Struct({
  topic: Schema.String,
  parameters: Schema.optionalKey(Schema.Json),
  notices: Schema.optionalKey(Schema.Boolean),
  positions: Schema.optionalKey(Schema.Boolean),
  position: Schema.optionalKey(At)
})
const Name = Schema.Union([Schema.String, One])
const Wire = Schema.Union([
  // "a" (a bare string becomes ["a"]), ["a", "b"], [["a", "b"]], [{ topic, parameters }]
  Schema.Array(Schema.Union([Name, Schema.Array(Name)])),
  // { topic, parameters }
  One,
  // { topics: "a" } and { topics: ["a", …] }
  Schema.Struct({ topics: Schema.Union([Name, Schema.Array(Name)]) })
])
type Wire = typeof Wire.Type
type Name = typeof Name.Type

const requested = (name: Name): Requested =>
  typeof name === "string"
    ? { topic: name, parameters: undefined, notices: false, positions: false, position: undefined }
    : {
      topic: name.topic,
      parameters: name.parameters,
      notices: name.notices ?? false,
      positions: name.positions ?? false,
      position: name.position
    }

const isArray: (u: unknown) => u is ReadonlyArray<any> = Array.isArray

const fromWire = (wire: Wire): ReadonlyArray<Requested> => {
  const names: ReadonlyArray<Name | ReadonlyArray<Name>> = isArray(wire)
    ? wire
    : "topics" in wire
    ? [wire.topics]
    : [wire]
  return names.flatMap((name) => isArray(name) ? name.map(requested) : [requested(name as Name)])
}

const toWire = (topics: ReadonlyArray<Requested>): Wire =>
  topics.map(({ notices, parameters, position, positions, topic }) =>
    parameters === undefined && !notices && !positions
      ? topic
      : {
        topic,
        ...(parameters === undefined ? {} : { parameters }),
        ...(notices ? { notices } : {}),
        ...(positions ? { positions } : {}),
        ...(position === undefined ? {} : { position })
      }
  )

export const Requests = Wire.pipe(
  Schema.decodeTo(
    Schema.Array(
      Schema.Struct({
        topic: Schema.String,
        parameters: Schema.Union([Schema.Json, Schema.Undefined]),
        notices: Schema.Boolean,
        positions: Schema.Boolean,
        position: Schema.Union([At, Schema.Undefined])
      })
    ),
    SchemaTransformation.transform<ReadonlyArray<Requested>, Wire>({ decode: fromWire, encode: toWire })
  )
)

const Names = Schema.Array(Schema.String)

/**
 * The methods `get_methods`, `get_topics`, `get_subscriptions`, `subscribe` and `unsubscribe`. Topics are named by a bare
 * string, an array, or an object; see PROTOCOLS.md, "Topics".
 *
 * @category contracts
 * @since 0.1.0
 */
export class Rpcs extends RpcGroup.make(
  Rpc.make("get_methods", { success: Names }),
  Rpc.make("get_topics", { success: Names }),
  Rpc.make("get_subscriptions", { success: Names }),
  Rpc.make("subscribe", {
    payload: Requests,
    success: Names,
    error: Schema.Union([TooManySubscriptions, InvalidParameters])
  }).annotate(ScalarParams, true),
  Rpc.make("unsubscribe", { payload: Requests, success: Names }).annotate(ScalarParams, true)
) {}
