/**
 * `call`, `notify`, `batch`: what is sent to a JSON-RPC server, and what comes back.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as JsonRpcClient from "../../jsonrpc/JsonRpcClient.ts"
import { type JsonRpcError } from "../../jsonrpc/JsonRpcError.ts"
import type { Params, Remote } from "../../jsonrpc/JsonRpcRemote.ts"
import * as Progress from "../../rpc/Progress.ts"
import { connect, ofConnection } from "./client.ts"
import type * as Configs from "./configs.ts"
import { explain } from "./discovery.ts"
import { Failure, usage } from "./failure.ts"
import * as Output from "./output.ts"
import { fromArguments, read, textOf } from "./params.ts"
import { words } from "./target.ts"

type Input<C extends Command.Command.Config> = Command.Command.Config.Infer<C>

/** Shows the progress of the calls inside. */
const withMeter = <A, E, R>(self: Effect.Effect<A, E, R>, lines: boolean): Effect.Effect<A, E, R> => {
  const meter = new Output.Meter(lines)
  if (!meter.isWanted()) return self
  return Progress.tap(self, (report) => Effect.sync(() => meter.report(report))).pipe(
    Effect.ensuring(Effect.sync(() => meter.clear()))
  )
}

/** The elements of a call whose answer is a stream, as fast as they are read. */
const elements = (client: Remote, method: string, params: Params) =>
  Stream.unwrap(Effect.gen(function*() {
    const group = RpcGroup.make(
      Rpc.make(method, { payload: Schema.Json, success: Schema.Json, stream: true })
    )
    const typed = yield* JsonRpcClient.fromRemote(group, client) as Effect.Effect<any, never, Scope.Scope>
    return typed[method](params ?? null) as Stream.Stream<Schema.Json, JsonRpcError>
  }))

/** @internal */
export const call = Effect.fnUntraced(function*(input: Input<typeof Configs.call>) {
  const params = yield* read(input.params)
  const { client } = yield* connect(input.url, input)
  const { json, method } = input
  if (input.stream) {
    return yield* elements(client, method, params).pipe(
      Stream.runForEach((element) => Output.show(element, true)),
      Effect.catchTag("JsonRpcError", explain(client, method))
    )
  }
  const result = yield* Effect.catch(withMeter(client.call(method, params), input.progress), explain(client, method))
  yield* Output.show(result, json)
}, Effect.scoped)

/** @internal */
export const notify = Effect.fnUntraced(function*(input: Input<typeof Configs.notify>) {
  const params = yield* read(input.params)
  const { client } = yield* connect(input.url, input)
  yield* Effect.mapError(client.notify(input.method, params), ofConnection)
}, Effect.scoped)

interface Entry {
  readonly method: string
  readonly params: Params
  readonly isNotification: boolean
}

/** `method params…`, and `!method params…` for a notification. */
const entryOf = (given: string): Entry | Failure => {
  const [first, ...rest] = words(given)
  const method = first?.replace(/^!/, "") ?? ""
  if (method === "") return usage(`"${given}" names no method`, "\"add a=1 b=2\"")
  const found = fromArguments(rest)
  return typeof found === "string"
    ? usage(`${method}: ${found}`)
    : { method, params: found.params, isNotification: first!.startsWith("!") }
}

const message = (value: unknown): Entry | Failure => {
  const { id, method, params } = typeof value === "object" && value !== null ? value as Record<string, unknown> : {}
  return typeof method === "string"
    ? { method, params: params as Params, isNotification: id === undefined }
    : usage("an entry of the batch has no method", "[{\"method\": \"ping\", \"id\": 1}]")
}

const entries = Effect.fnUntraced(function*(given: ReadonlyArray<string>) {
  const [first] = given
  if (given.length === 1 && (first === "-" || /^[@[]/.test(first!))) {
    const text = yield* textOf(first!)
    const parsed = yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: () => usage("the batch is no JSON", "an array of { \"method\", \"params\", \"id\" }")
    })
    return (Array.isArray(parsed) ? parsed : [parsed]).map(message)
  }
  return given.map(entryOf)
})

/** @internal */
export const batch = Effect.fnUntraced(function*(input: Input<typeof Configs.batch>) {
  const all: Array<Entry> = []
  for (const entry of yield* entries(input.calls)) {
    if (entry instanceof Failure) return yield* entry
    all.push(entry)
  }
  const { client } = yield* connect(input.url, input)
  const sent = JsonRpcClient.batch(
    all.map(({ isNotification, method, params }) =>
      isNotification ? client.notify(method, params) : client.call(method, params)
    ),
    { mode: "result" }
  )
  const results = (yield* withMeter(sent, input.progress)) as ReadonlyArray<Result.Result<unknown, JsonRpcError>>
  let failed = 0
  for (const [index, result] of results.entries()) {
    const { isNotification, method } = all[index]!
    if (Result.isFailure(result)) {
      failed++
      const failure = ofConnection(result.failure)
      if (failure.kind === "Unreachable" || failure.kind === "Timeout") return yield* failure
      yield* input.json
        ? Output.line(Output.compact({ method, error: { ...failure.details, message: failure.message } }))
        : Output.line(`${method}: error: ${failure.message}`)
    } else if (!isNotification) {
      yield* Output.line(
        input.json
          ? Output.compact({ method, result: result.success })
          : `${method}: ${Output.compact(result.success)}`
      )
    }
  }
  if (failed > 0) {
    return yield* new Failure({ kind: "Refused", message: `${failed} of ${all.length} calls failed` })
  }
}, Effect.scoped)
