/**
 * `listen`: notifications as they come, or the values of topics, which go on after a lost connection.
 */
import type * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Client } from "../../jsonrpc/JsonRpcClient.ts"
import type { Status } from "../../socket/Reconnect.ts"
import * as Topic from "../../topics/Topic.ts"
import * as TopicsClient from "../../topics/TopicsClient.ts"
import { connect, ofConnection } from "./client.ts"
import type * as Configs from "./configs.ts"
import { ask } from "./discovery.ts"
import { Failure, unreachable, usage } from "./failure.ts"
import { nearest } from "./nearest.ts"
import * as Output from "./output.ts"

type Input = Command.Command.Config.Infer<typeof Configs.listen>

const positionOf = (text: string): TopicsClient.Position | undefined => {
  const match = /^(.+):(\d+)$/.exec(text)
  return match === null ? undefined : { epoch: match[1]!, offset: Number(match[2]) }
}

const written = ({ epoch, offset }: TopicsClient.Position): string => `${epoch}:${offset}`

const eventLine = (topic: string, event: TopicsClient.Event<unknown>, isJson: boolean): string => {
  if (event._tag === "Value") {
    const { position, value } = event
    return isJson
      ? Output.compact({ topic, value, ...(position && { position: written(position) }) })
      : `${Output.bold(topic)}${position === undefined ? "" : ` ${Output.dim(written(position))}`} ${
        Output.compact(value)
      }`
  }
  const { count, from, to } = event
  if (isJson) {
    return Output.compact({
      topic,
      missed: count ?? null,
      ...(from && { from: written(from) }),
      ...(to && { to: written(to) })
    })
  }
  const between = from === undefined || to === undefined ? "" : `, between ${written(from)} and ${written(to)}`
  return Output.dim(`${topic} missed ${count ?? "an unknown number of"} values${between}`)
}

/** Says on standard error what becomes of the connection. */
const watchStatus = (client: Pick<Client, "status">) =>
  client.status.pipe(
    Stream.drop(1),
    Stream.runForEach((status: Status) => {
      if (status._tag === "Lost") return Output.note("the connection was lost; dialling again")
      return status._tag === "Open" ? Output.note("connected") : Effect.void
    })
  )

/** How many values wait for standard output. */
const capacity = 65_536

const topicLines = (client: Client, input: Input, names: ReadonlyArray<string>, from?: TopicsClient.Position) =>
  Stream.mergeAll(
    names.map((name) => {
      const history = input.positions || from !== undefined ? {} : undefined
      const topic = Topic.make(name, { payload: Schema.Json, history })
      return TopicsClient.eventsOf(client, topic, { capacity, from }).pipe(
        Stream.map((event) => eventLine(name, event, input.json)),
        Stream.catch((error) => Stream.fromEffect(unavailable(client, name, error)))
      )
    }),
    { concurrency: "unbounded" }
  )

const unavailable = (
  client: Client,
  name: string,
  error: Effect.Error<ReturnType<typeof connect>> | Parameters<typeof ofConnection>[0] | TopicsClient.TopicUnavailable
) =>
  Effect.gen(function*() {
    if (error._tag === "JsonRpcError") return yield* ofConnection(error)
    if (error._tag !== "TopicUnavailable") return yield* error
    const known = yield* Effect.orElseSucceed(ask(client), () => undefined)
    const meant = nearest(name, known?.topics.map((topic) => topic.name) ?? [])
    return yield* new Failure({
      kind: "NotFound",
      message: error.message,
      tries: [...meant, "a login (--user, --login), where only some may hear it"]
    })
  })

const notificationLines = (client: Client, { json, method }: Input) => {
  const wanted = new Set(method)
  return client.notifications.pipe(
    Stream.filter((notification) => wanted.size === 0 || wanted.has(notification.method)),
    Stream.map(({ method, params }) =>
      json
        ? Output.compact({ method, ...(params === undefined ? undefined : { params }) })
        : `${Output.bold(method)}${params === undefined ? "" : ` ${Output.compact(params)}`}`
    )
  )
}

/** @internal */
export const listen = Effect.fnUntraced(function*(input: Input) {
  const given = Option.getOrUndefined(input.from)
  const from = given === undefined ? undefined : positionOf(given)
  if (given !== undefined && from === undefined) {
    return yield* usage(`"${given}" is no position`, "epoch:offset, as --positions prints it")
  }
  if (from !== undefined && input.topic.length !== 1) return yield* usage("--from goes with exactly one --topic")
  const { client, target } = yield* connect(input.url, input, { stays: true })
  if (target.carrier._tag === "Http") {
    return yield* usage("nobody can be told anything over HTTP POST", "ws:// instead of http://")
  }
  yield* Effect.forkScoped(watchStatus(client))
  const lines = input.topic.length > 0
    ? topicLines(client, input, input.topic, from)
    : notificationLines(client, input)
  const limited = Option.isSome(input.count) ? Stream.take(lines, input.count.value) : lines
  yield* Stream.runForEach(limited, Output.line).pipe(
    Effect.catchDefect((defect) => Effect.fail(unreachable("listen", defect)))
  )
}, Effect.scoped)
