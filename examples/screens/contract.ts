/** What both pages and their server agree on: a list of things to do. */
import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"

export const Todo = Schema.Struct({ title: Schema.String, done: Schema.Boolean })

export const Board = Schema.Struct({ todos: Schema.Record(Schema.String, Todo) })

export class Requests extends RpcGroup.make(
  Rpc.make("add", { payload: { id: Schema.String, title: Schema.String }, error: Schema.String }),
  Rpc.make("toggle", { payload: { id: Schema.String } })
) {}
