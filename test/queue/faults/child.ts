/**
 * A process that works with a queue until it is killed, and writes into a journal what it knows to have happened.
 * Arguments: role (`producer`, `consumer` or `gateway`), kind and address of the queue, journal, name.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, Redacted, Schedule } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import * as Fs from "node:fs"
import { createServer } from "node:http"
import { NodeSqliteClient } from "../../../src/node/index.ts"
import * as NodePostgresQueueSignal from "../../../src/node/NodePostgresQueueSignal.ts"
import { MessageQueue, SciroccoClient, SciroccoServer } from "../../../src/queue/index.ts"

const [role, kind, address, journal, name] = process.argv.slice(2) as [string, string, string, string, string]
const token = Redacted.make("token")
const options = { pollInterval: "50 millis", lease: "400 millis", maxTries: 1000 } as const

const sql = MessageQueue.layerSql(options)
const queue: Layer.Layer<MessageQueue.MessageQueue, unknown> = kind === "sqlite"
  ? sql.pipe(Layer.provide(NodeSqliteClient.layer({ filename: address })))
  : kind === "postgres"
  ? sql.pipe(
    Layer.provide(NodePostgresQueueSignal.layer()),
    Layer.provide(PgClient.layer({ url: Redacted.make(address), maxConnections: 4 }))
  )
  : SciroccoClient.layer({ url: address, token, node: "aa" }).pipe(Layer.provide(FetchHttpClient.layer))

const file = Fs.openSync(journal, "a")
/** One line in one write: it is in the file whole, or not at all. */
const note = (what: string, message: string) => Effect.sync(() => Fs.writeSync(file, `${what} ${message}\n`))

const producer = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  for (let n = 0;; n++) {
    const message = `${name}-${n}`
    // Who does not know whether it was pushed pushes again: the key makes one of both.
    const push = queue.push("bb", message, { source: "aa", deduplicationKey: message, deduplicationWindow: "1 hour" })
    while ((yield* Effect.exit(push))._tag === "Failure") yield* Effect.sleep("20 millis")
    yield* note("pushed", message)
    yield* Effect.sleep("3 millis")
  }
})

const worker = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  while (true) {
    const pulled = yield* Effect.option(queue.pull("bb", { wait: "1 second", lease: "400 millis" }))
    const delivery = Option.getOrUndefined(Option.flatten(pulled))
    if (delivery === undefined) {
      yield* Effect.sleep("10 millis")
      continue
    }
    const message = String(delivery.payload.value)
    yield* note("delivered", message)
    yield* Effect.sleep("2 millis")
    const acked = yield* Effect.exit(queue.ack(delivery))
    if (acked._tag === "Success") yield* note("acknowledged", message)
  }
})

const gateway = Layer.launch(
  HttpRouter.serve(SciroccoServer.layer({ token }), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(NodeHttpServer.layer(createServer, { port: Number(name), host: "127.0.0.1" }))
  )
)

const program = role === "producer"
  ? producer
  : role === "consumer"
  ? Effect.all([worker, worker, worker], { concurrency: "unbounded" })
  : gateway

Effect.runFork(
  program.pipe(
    Effect.provide(queue),
    Effect.tapCause((cause) => Effect.logError(cause)),
    // Who is started while the database is down waits for it.
    Effect.retry(Schedule.spaced("200 millis"))
  ) as Effect.Effect<unknown>
)
