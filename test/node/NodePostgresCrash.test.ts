/**
 * What an acknowledged publication means on PostgreSQL, under `kill -9` of the database: subscribers that stay, those that
 * come back, and those that begin from a position afterwards hear every one, once and in order; of state topics too.
 * `KILLS=20 npx vitest run test/node/NodePostgresCrash.test.ts` for more than three.
 */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { Topic, TopicsClient } from "effect-wire/topics"
import { serve } from "../topics/ResumeTest.ts"
import { layerClient } from "./support/EmbeddedPostgres.ts"
import { makePostgres } from "./support/KillablePostgres.ts"

const kills = Number(process.env["KILLS"] ?? 3)
const history = { values: 100_000, bytes: 100_000_000, age: "1 hour" } as const
const Level = Topic.state("level", { payload: Schema.Int, history })
const Orders = Topic.make("orders", { payload: Schema.Int, history })
const topics = [Level, Orders]

it.live(
  "every publication that was acknowledged is heard, once and in order, whatever is killed",
  () =>
    Effect.gen(function*() {
      const postgres = yield* makePostgres
      const start = Effect.gen(function*() {
        const context = yield* NodePostgresBackplane.layer({ pollInterval: "500 millis", retention: "1 hour" }).pipe(
          Layer.provideMerge(layerClient(postgres.url)),
          Layer.build,
          Effect.orDie
        )
        return yield* serve(Context.get(context, Backplane.Backplane), undefined, Topic.group(...topics))
      })
      const server = yield* start
      const acknowledged = new Map(topics.map((topic) => [topic.name, [] as Array<number>]))
      const heard = new Map(topics.map((topic) => [topic.name, [] as Array<number>]))
      const first = new Map<string, TopicsClient.Position>()
      yield* Effect.forEach(topics, (topic) => server.topics.publish(topic, 0))
      // a connection that is cut all the time
      const client = yield* JsonRpcClient.fromSocket(server.memory.connect({ cutAfter: 40 }), {
        reconnect: Schedule.spaced("20 millis")
      })
      const missed: Array<unknown> = []
      for (const topic of topics) {
        yield* Effect.forkChild(
          Stream.runForEach(TopicsClient.eventsOf(client, topic, { capacity: 100_000 }), (event) =>
            Effect.sync(() => {
              if (event._tag === "Missed") return missed.push(event)
              if (!first.has(topic.name)) first.set(topic.name, event.position!)
              return heard.get(topic.name)!.push(event.value)
            }))
        )
      }
      const until = (done: () => boolean) =>
        Effect.repeat(Effect.sleep("20 millis"), { until: () => Effect.sync(done) })
      yield* until(() => heard.get("level")!.length > 0)
      yield* Effect.sleep("200 millis")
      const publisher = yield* Effect.forkChild(
        Effect.forEach(topics, (topic) => {
          let n = 0
          return Effect.forever(Effect.suspend(() => {
            const value = ++n
            return Effect.matchEffect(server.topics.publish(topic, value), {
              onSuccess: () =>
                Effect.andThen(Effect.sync(() => acknowledged.get(topic.name)!.push(value)), Effect.sleep(2)),
              onFailure: () => Effect.sleep("20 millis")
            })
          }))
        }, { concurrency: "unbounded" })
      )
      for (let i = 0; i < kills; i++) {
        yield* Effect.sleep("800 millis")
        yield* postgres.kill
      }
      yield* Effect.sleep("1 second")
      yield* Fiber.interrupt(publisher)
      for (const topic of topics) {
        yield* Effect.retry(server.topics.publish(topic, 1_000_000_000), Schedule.spaced("100 millis"))
      }
      const isLast = (values: ReadonlyArray<number>) => values.at(-1) === 1_000_000_000
      yield* until(() => topics.every((topic) => isLast(heard.get(topic.name)!)))
      assert.deepStrictEqual(missed, [])

      const later = yield* start
      const late = yield* JsonRpcClient.fromSocket(later.memory.connect())
      for (const topic of topics) {
        const live = heard.get(topic.name)!
        const confirmed = acknowledged.get(topic.name)!
        assert.isAbove(confirmed.length, 10)
        const known = new Set(live)
        assert.deepStrictEqual(confirmed.filter((value) => !known.has(value)), [], `lost of ${topic.name}`)
        const distinct = [...known]
        assert.deepStrictEqual(distinct, distinct.toSorted((a, b) => a - b))
        const from = first.get(topic.name)!
        const again = yield* TopicsClient.eventsOf(late, topic, { from, capacity: 100_000 }).pipe(
          Stream.takeUntil((event) => event._tag === "Value" && event.value === 1_000_000_000),
          Stream.runCollect
        )
        assert.deepStrictEqual(
          again.map((event) => event._tag === "Value" ? event.value : "missed"),
          live.slice(1)
        )
      }
    }),
  60_000 + kills * 10_000
)
