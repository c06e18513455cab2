/**
 * What the gateway serves to JSON-RPC peers: an ordinary `RpcGroup`, and topics. Nothing in it knows a wire, but the code of
 * an error.
 */
import { Schema } from "effect"
import { Access, Login } from "effect-wire/identity"
import { JsonRpcError } from "effect-wire/jsonrpc"
import { OpenRpc } from "effect-wire/openrpc"
import { Topic, Topics } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"

export class DivisionByZero extends Schema.Error<DivisionByZero>("DivisionByZero")(
  { dividend: Schema.Finite },
  JsonRpcError.wire({ code: -32050, message: "division by zero" })
) {}

const between = (minimum: number, maximum: number) => Schema.isBetween({ minimum, maximum })
const Call = { method: Schema.String, params: Schema.optionalKey(Schema.Json) }
const Anything = Schema.Unknown

export class Methods extends RpcGroup.make(
  Rpc.make("ping", { success: Schema.String }),
  Rpc.make("echo", { payload: { value: Schema.Json }, success: Schema.Json }),
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("subtract", { payload: { minuend: Schema.Finite, subtrahend: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("sum", { payload: Schema.Array(Schema.Finite), success: Schema.Finite }),
  Rpc.make("get_data", { success: Schema.Tuple([Schema.String, Schema.Finite]) }),
  Rpc.make("update", { payload: Anything }),
  Rpc.make("notify_hello", { payload: Anything }),
  Rpc.make("notify_sum", { payload: Anything }),
  Rpc.make("divide", {
    payload: { dividend: Schema.Finite, divisor: Schema.Finite },
    success: Schema.Finite,
    error: DivisionByZero
  }),
  Rpc.make("crash"),
  Rpc.make("sleep", { payload: { ms: Schema.Finite.check(between(0, 60_000)) }, success: Schema.String }),
  Rpc.make("render", {
    payload: { steps: Schema.Int.check(between(1, 1000)), delay: Schema.Finite.check(between(0, 1000)) },
    success: Schema.Struct({ steps: Schema.Int })
  }),
  Rpc.make("app.users.getUsers", { success: Schema.Array(Schema.Struct({ id: Schema.Int, name: Schema.String })) }),
  Rpc.make("callback", { payload: Call, success: Schema.Json, error: JsonRpcError.RemoteError }),
  Rpc.make("broadcast", { payload: Call, success: Schema.Int })
) {}

/** Every process has a clock of its own. */
export const Clock = Topic.make("clock", { payload: Schema.Finite, local: true }).pipe(
  OpenRpc.describe({ summary: "Epoch milliseconds, every second" })
)
export const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) }).pipe(
  OpenRpc.describe({ summary: "The weather as set last" })
)
export const Ops = Topic.make("ops", {
  payload: Schema.Struct({ event: Schema.Literals(["login", "logout"]), username: Schema.String })
}).pipe(
  Access.permissionRequired("ops"),
  OpenRpc.describe({ summary: "Every login and logout" })
)
export const topics = Topic.group(Clock, Weather, Ops)

/** Methods that have to do with who is calling. */
export class CallerMethods extends RpcGroup.make(
  Rpc.make("secret", { success: Schema.String }).pipe(Access.loginRequired),
  Rpc.make("admin.reset", { success: Schema.Boolean }).pipe(Access.permissionRequired("reset")),
  Rpc.make("root.only", { success: Schema.Boolean }).pipe(Access.userPassesTest((user) => user.superuser)),
  Rpc.make("set_weather", { payload: { celsius: Schema.Finite } })
).merge(Login.Rpcs.omit("authenticate")) {}

/** Everything the gateway serves to JSON-RPC peers. */
export class Contract extends Methods.merge(CallerMethods, Topics.Rpcs, OpenRpc.Rpcs) {}
