import { Schema } from "effect"
import { Rpc, RpcGroup } from "effect/rpc"
import { Idempotency } from "../../../src/rpc/index.ts"

export class Payments extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.Int }).pipe(Idempotency.keyed)
) {}
