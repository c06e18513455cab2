import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { UserStore } from "effect-wire/identity"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { TopicsClient } from "effect-wire/topics"
import { suite as usersSuite } from "../identity/UsersTest.ts"
import { Anything, Clock, serve, subscribed, suite, Weather } from "../topics/TopicsTest.ts"
import { EmbeddedPostgres, layerClient } from "./support/EmbeddedPostgres.ts"

const database = Effect.flatMap(EmbeddedPostgres, (postgres) => postgres.database)

const start = (url: string) =>
  NodePostgresBackplane.layer().pipe(Layer.provideMerge(layerClient(url)), Layer.build, Effect.orDie)

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: 60_000 })("topics on PostgreSQL", (it) => {
  suite(
    "PostgreSQL",
    (processes) =>
      Effect.gen(function*() {
        const url = yield* database
        const contexts = yield* Effect.forEach(Array.from({ length: processes }), () => start(url))
        return contexts.map(Context.get(Backplane.Backplane))
      }),
    (name, effect) => it.effect(name, () => effect)
  )

  usersSuite(
    "PostgreSQL",
    Effect.map(database, (url) => UserStore.layerSql().pipe(Layer.provide(layerClient(url)))),
    (name, effect) => it.effect(name, () => effect)
  )

  it.effect("subscribers miss nothing when the server's connection to the database is cut", () =>
    Effect.gen(function*() {
      const url = yield* database
      const contexts = yield* Effect.forEach([1, 2, 3], () => start(url))
      const servers = yield* Effect.forEach(contexts, (context) => serve(Context.get(context, Backplane.Backplane)))
      const sql = Context.get(contexts[0]!, PgClient.PgClient)
      const readers = yield* Effect.forEach(servers, (server) =>
        Effect.gen(function*() {
          const client = yield* server.client()
          return yield* TopicsClient.eventsOf(client, Clock).pipe(Stream.take(30), Stream.runCollect, Effect.forkChild)
        }))
      yield* Effect.forEach(servers, (server) => subscribed(server, Clock, 1))
      for (let i = 0; i < 30; i++) {
        if (i === 10) {
          yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN%'`
        }
        yield* servers[i % 3]!.topics.publish(Clock, i)
      }
      for (const reader of readers) {
        const events = yield* Fiber.join(reader)
        assert.deepStrictEqual(
          events.map((event) => event._tag === "Value" ? event.value : "missed"),
          Array.from({ length: 30 }, (_, i) => i)
        )
      }
    }))

  it.effect("a state topic outlives all of its servers", () =>
    Effect.gen(function*() {
      const url = yield* database
      yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serve(Context.get(yield* start(url), Backplane.Backplane))
        yield* server.topics.publish(Weather, { celsius: 21 })
      }))
      const server = yield* serve(Context.get(yield* start(url), Backplane.Backplane))
      const client = yield* server.client()
      const events = yield* TopicsClient.eventsOf(client, Weather).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(events, [{ _tag: "Value", value: { celsius: 21 } }])
    }))

  it.effect("a value larger than a notification of PostgreSQL reaches the other server", () =>
    Effect.gen(function*() {
      const url = yield* database
      const [a, b] = yield* Effect.forEach([1, 2], () =>
        Effect.flatMap(start(url), (context) => serve(Context.get(context, Backplane.Backplane))))
      const peer = yield* b!.raw()
      yield* peer.result("subscribe", "anything")
      yield* a!.topics.publish(Anything, {
        text: "ü".repeat(20_000)
      })
      assert.strictEqual((yield* peer.next).params.text.length, 20_000)
    }))
})
