/** The handlers of the contract. They are Effect's own; what a wire adds (progress, the caller) comes as services. */
import { Effect, Layer, Predicate } from "effect"
import { JsonRpcClients, JsonRpcError, type JsonRpcRemote } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { DivisionByZero, Methods } from "./contract.ts"

const users = [{ id: 1, name: "alice" }, { id: 2, name: "bob" }, { id: 3, name: "root" }]

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, n) => total + n, 0)

/** Any JSON as parameters: an array is by position, an object by name, anything else the only argument. */
const paramsOf = (params: unknown): JsonRpcRemote.Params =>
  params === undefined || params === null
    ? undefined
    : Array.isArray(params)
    ? params
    : Predicate.isObject(params)
    ? params as { readonly [name: string]: unknown }
    : [params]

const failed = (code: number, message: string) => new JsonRpcError.RemoteError({ code, message })

/** Calls the caller back on its own connection. */
const callback = Effect.fnUntraced(function*(method: string, params: unknown) {
  const client = yield* JsonRpcClients.current
  if (client === undefined) return yield* failed(-32000, "nobody can be called back over HTTP POST")
  return yield* client.call(method, paramsOf(params)).pipe(
    Effect.mapError(({ reason }) => reason._tag === "RemoteError" ? reason : failed(-32000, reason.message))
  )
})

export const layer = Methods.toLayer(Effect.gen(function*() {
  const clients = yield* JsonRpcClients.JsonRpcClients
  return Methods.of({
    ping: () => Effect.succeed("pong"),
    echo: ({ value }) => Effect.succeed(value),
    add: ({ a, b }) => Effect.succeed(a + b),
    subtract: ({ minuend, subtrahend }) => Effect.succeed(minuend - subtrahend),
    sum: (numbers) => Effect.succeed(sum(numbers)),
    get_data: () => Effect.succeed(["hello", 5] as const),
    update: () => Effect.void,
    notify_hello: () => Effect.void,
    notify_sum: () => Effect.void,
    divide: ({ dividend, divisor }) =>
      divisor === 0 ? Effect.fail(new DivisionByZero({ dividend })) : Effect.succeed(dividend / divisor),
    crash: () => Effect.die(new Error("crash was called")),
    sleep: ({ ms }) => Effect.as(Effect.sleep(ms), "slept"),
    render: Effect.fnUntraced(function*({ delay, steps }) {
      for (let i = 1; i <= steps; i++) {
        yield* Effect.sleep(delay)
        yield* Progress.report({ operation: `step ${i} of ${steps}`, amount: i / steps })
      }
      return { steps }
    }),
    "app.users.getUsers": () => Effect.succeed(users),
    callback: ({ method, params }) => callback(method, params),
    broadcast: ({ method, params }) => clients.broadcast(method, paramsOf(params))
  })
}))

/** The clients of all routes together, for `broadcast` and for whoever lists them. */
export const layerClients: Layer.Layer<JsonRpcClients.JsonRpcClients> = JsonRpcClients.layerShared
