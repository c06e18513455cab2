/** Topics with a history on PostgreSQL: the promises of resuming, and what an acknowledged publication means. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { TopicsClient } from "effect-wire/topics"
import { hear } from "../backplane/BackplaneTest.ts"
import { Level, Orders, serve, suite } from "../topics/ResumeTest.ts"
import { EmbeddedPostgres, layerClient } from "./support/EmbeddedPostgres.ts"

const database = Effect.flatMap(EmbeddedPostgres, (postgres) => postgres.database)

const start = (url: string, options?: NodePostgresBackplane.Options) =>
  NodePostgresBackplane.layer(options).pipe(Layer.provideMerge(layerClient(url)), Layer.build, Effect.orDie)

const backplaneOf = Context.get(Backplane.Backplane)

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: 60_000 })("resuming on PostgreSQL", (it) => {
  suite(
    "PostgreSQL",
    (processes) =>
      Effect.gen(function*() {
        const url = yield* database
        const contexts = yield* Effect.forEach(Array.from({ length: processes }), () => start(url))
        return contexts.map(backplaneOf)
      }),
    (name, effect) => it.effect(name, () => effect, 60_000),
    Effect.sleep("20 millis")
  )

  it.effect("what is published while all servers are away is brought by the next", () =>
    Effect.gen(function*() {
      const url = yield* database
      const position = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serve(backplaneOf(yield* start(url)))
        yield* server.topics.publish(Level, 1)
        const client = yield* JsonRpcClient.fromSocket(server.memory.connect())
        const [event] = yield* TopicsClient.eventsOf(client, Level).pipe(Stream.take(1), Stream.runCollect)
        return event?._tag === "Value" ? event.position : undefined
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const publisher = backplaneOf(yield* start(url))
        yield* Effect.forEach([2, 3, 4], (n) => publisher.publish("topic:level", `[${n}]`, { retain: true }))
      }))
      const server = yield* serve(backplaneOf(yield* start(url)))
      const client = yield* JsonRpcClient.fromSocket(server.memory.connect())
      const events = yield* TopicsClient.eventsOf(client, Level, { from: position }).pipe(
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(events.map((event) => event._tag === "Value" && event.value), [2, 3, 4])
    }))

  it.effect("a count that went back gets a new epoch, and its kept value is heard", () =>
    Effect.gen(function*() {
      const url = yield* database
      const contexts = yield* Effect.forEach([1, 2], () => start(url, { pollInterval: "50 millis" }))
      const sql = Context.get(contexts[0]!, PgClient.PgClient)
      const heard = yield* Effect.forEach(contexts, (context) => hear(backplaneOf(context), "x"))
      yield* Effect.forEach(["a", "b", "c"], (text) => backplaneOf(contexts[0]!).publish("x", text, { retain: true }))
      for (const one of heard) yield* one.take(3)
      yield* sql`UPDATE effect_wire_backplane_channel SET sequence = 1, last_sequence = 1, last_payload = 'a'`
      const epochs: Array<string> = []
      for (const one of heard) {
        const [gap, kept] = yield* one.take(2)
        if (gap?._tag !== "Gap" || kept?._tag !== "Publication") return assert.fail("no gap, or nothing kept")
        assert.strictEqual(kept.payload, "a")
        assert.notStrictEqual(gap.epoch, one.registration.epoch)
        epochs.push(gap.epoch)
      }
      assert.strictEqual(epochs[0], epochs[1])
    }))

  it.effect("tables of an earlier version are brought up to date, and become what is asked for", () =>
    Effect.gen(function*() {
      const url = yield* database
      yield* Effect.scoped(Effect.gen(function*() {
        const sql = Context.get(yield* Layer.build(Layer.orDie(layerClient(url))), PgClient.PgClient)
        yield* sql`CREATE TABLE effect_wire_backplane_channel (
          channel text PRIMARY KEY, sequence bigint NOT NULL, last_sequence bigint, last_payload text)`
        yield* sql`CREATE UNLOGGED TABLE effect_wire_backplane_log (
          channel text NOT NULL, sequence bigint NOT NULL, payload text NOT NULL, retain boolean NOT NULL,
          published_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (channel, sequence))`
        yield* sql`INSERT INTO effect_wire_backplane_channel VALUES ('topic:orders', 7)`
      }))
      const context = yield* start(url)
      const sql = Context.get(context, PgClient.PgClient)
      const persistence = sql<{ kind: string }>`
        SELECT relpersistence AS kind FROM pg_class WHERE relname = 'effect_wire_backplane_log'`
      assert.strictEqual((yield* persistence)[0]?.kind, "p")
      const server = yield* serve(backplaneOf(context))
      const heard = yield* hear(backplaneOf(context), "topic:orders")
      assert.strictEqual(heard.registration.sequence, 7)
      yield* server.topics.publish(Orders, 8)
      yield* heard.take(1)
      const registration = yield* backplaneOf(context).listen("topic:orders", () => {}, { history: {} })
      assert.strictEqual(registration.sequence, 8)
      assert.deepStrictEqual(registration.history.map(({ publication }) => publication.sequence), [8])
      yield* start(url, { unlogged: true })
      assert.strictEqual((yield* persistence)[0]?.kind, "u")
    }))
})
