/** The contract of the gateway's Juggler: what its panel holds, and what may be asked of it. */
import { Effect, Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

/** What every connection of 0.6 and 0.7 sees. */
export const Panel = Schema.Struct({
  counter: Schema.Finite,
  items: Schema.Record(Schema.String, Schema.Json)
})

/** The actions of 0.5, by position. */
export class Actions extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite, error: Schema.String }),
  Rpc.make("increment", {
    payload: { by: Schema.Finite.pipe(Schema.withDecodingDefaultKey(Effect.succeed(1))) },
    success: Schema.Finite,
    error: Schema.String
  }),
  Rpc.make("fail", { payload: { text: Schema.String }, error: Schema.String })
) {}

/** The requests of 0.6 and 0.7, by name. */
export class Requests extends Actions.add(
  Rpc.make("set", {
    payload: { path: Schema.Array(Schema.Union([Schema.String, Schema.Int])), value: Schema.Json },
    error: Schema.String
  })
) {}
