/**
 * The queue that a command works on: an SQLite file, a PostgreSQL database, or a Scirocco server over HTTP.
 */
import type * as Command from "effect/cli/Command"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as MessageQueue from "../../queue/MessageQueue.ts"
import type { MessageQueueError } from "../../queue/MessageQueueError.ts"
import { inWords } from "../../socket/internal/describe.ts"
import type { store as config } from "./configs.ts"
import { Failure, ofWords, unreachable, usage } from "./failure.ts"

type Input = Command.Command.Config.Infer<typeof config>

/** Where a queue is, without what may be secret. */
const postgres = /^postgres(ql)?:\/\//

const secret = (name: string) =>
  Config.option(Config.Redacted(name)).pipe(Effect.map(Option.getOrUndefined), Effect.orDie)

/**
 * What happened to an operation.
 *
 * @internal
 */
export const ofQueue = (error: MessageQueueError): Failure => {
  const { reason } = error
  switch (reason._tag) {
    case "InvalidMessage":
    case "PayloadTooLarge":
      return new Failure({ kind: "InvalidParams", message: error.message })
    case "MessageNotFound":
      return new Failure({ kind: "NotFound", message: error.message, tries: ["effect-wire queue list <store>"] })
    case "LeaseLost":
      return new Failure({
        kind: "NotFound",
        message: error.message,
        tries: ["--token, as pull printed it", "--node, the destination of the message"]
      })
    case "Unauthorized":
      return new Failure({ kind: "Denied", message: error.message, tries: ["EFFECT_WIRE_TOKEN=<token>"] })
    case "Unsupported":
      return new Failure({
        kind: "Refused",
        message: `${error.message}: it is an original Scirocco server`,
        tries: ["what it knows: list, show, push, pull, ack, clear"]
      })
    case "QueueUnavailable": {
      if (/no such table|does not exist/.test(error.message)) {
        return new Failure({
          kind: "NotFound",
          message: "there is no queue in this database",
          tries: ["--prefix <prefix>, where the queue has another name", "--create to make one"]
        })
      }
      const message = `${reason.operation} failed: ${inWords(reason.cause)}`
      const { kind, tries } = ofWords(message)
      return new Failure({ kind, message, tries, details: { maybeDone: reason.uncertain } })
    }
  }
}

// Whoever looks at a queue from outside removes nothing: how long messages are kept is for its app to say.
const looking = { retention: Infinity, deadRetention: Infinity } as const

const sqlOptions = (input: Input) => ({
  ...looking,
  node: Option.getOrUndefined(input.node),
  prefix: Option.getOrUndefined(input.prefix),
  migrate: input.create
})

const sqlite = (filename: string, input: Input) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const exists = yield* Effect.orElseSucceed(fs.exists(filename), () => false)
    if (!exists && !input.create) {
      return yield* usage(`there is no file ${filename}`, "--create to make it", "postgres://… or http://… for others")
    }
    const NodeSqliteClient = yield* Effect.promise(() => import("../../node/NodeSqliteClient.ts"))
    return MessageQueue.layerSql(sqlOptions(input)).pipe(
      Layer.provide(NodeSqliteClient.layer({ filename })),
      mapped(filename)
    )
  })

const database = (address: string, input: Input) =>
  Effect.gen(function*() {
    if (!URL.canParse(address)) return yield* usage("this is no address", "postgres://user@host:5432/database")
    const url = new URL(address)
    const password = yield* secret("PGPASSWORD")
    if (url.password === "" && password !== undefined) url.password = encodeURIComponent(Redacted.value(password))
    const PgClient = yield* Effect.promise(() => import("@effect/sql-pg/PgClient"))
    return MessageQueue.layerSql(sqlOptions(input)).pipe(
      Layer.provide(PgClient.layer({ url: Redacted.make(url.href), connectTimeout: "10 seconds" })),
      mapped(`postgres://${url.host}${url.pathname}`)
    )
  })

const scirocco = (url: string, input: Input) =>
  Effect.gen(function*() {
    if (!URL.canParse(url)) return yield* usage("this is no address", "http://127.0.0.1:8080")
    const token = yield* secret("EFFECT_WIRE_TOKEN")
    if (token === undefined) {
      return yield* usage("a Scirocco server wants a token", "EFFECT_WIRE_TOKEN=<token> effect-wire queue …")
    }
    const SciroccoClient = yield* Effect.promise(() => import("../../queue/scirocco/SciroccoClient.ts"))
    return SciroccoClient.layer({ url, token, node: Option.getOrUndefined(input.node) }).pipe(
      Layer.provide(FetchHttpClient.layer),
      mapped(url)
    )
  })

const isQueueError = (error: unknown): error is MessageQueueError =>
  typeof error === "object" && error !== null && (error as { readonly _tag?: unknown })._tag === "MessageQueueError"

const mapped = (where: string) => <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, Failure, R> =>
  Layer.catch(
    layer,
    (error) =>
      Layer.unwrap(Effect.fail(isQueueError(error) ? ofQueue(error) : unreachable(`cannot use ${where}`, error)))
  )

/**
 * The queue of a command.
 *
 * @internal
 */
export const layer = (
  input: Input
): Layer.Layer<MessageQueue.MessageQueue, Failure, FileSystem.FileSystem> =>
  Layer.unwrap(
    postgres.test(input.store)
      ? database(input.store, input)
      : /^https?:\/\//.test(input.store)
      ? scirocco(input.store, input)
      : sqlite(input.store.replace(/^sqlite:(\/\/)?/, ""), input)
  )
