import { assert } from "@effect/vitest"
import { Effect, Fiber, Schedule, Schema, type Scope, Stream } from "effect"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { Topic, TopicsClient } from "effect-wire/topics"
import { serve, type Service } from "./ResumeTest.ts"

const history = { values: 100_000, bytes: 100_000_000, age: "1 hour" } as const
const Level = Topic.state("level", { payload: Schema.Int, history })
const Orders = Topic.make("orders", { payload: Schema.Int, history })
const topics = [Level, Orders]

export interface Engine {
  /** Kills it without warning, and starts it again. */
  readonly kill: Effect.Effect<void>
  /** A process that uses it. */
  readonly process: Effect.Effect<Service, never, Scope.Scope>
}

/**
 * What an acknowledged publication means under `kill -9` of the engine: subscribers that stay, those that come back, and
 * those that begin from a position afterwards hear every one, once and in order, of state topics too. An engine that may have lost
 * some (`mayLose`) says so: what was not heard lies in a gap that was told.
 */
export const crash = Effect.fnUntraced(function*(engine: Engine, kills: number, mayLose: boolean) {
  const start = Effect.flatMap(engine.process, (backplane) => serve(backplane, undefined, Topic.group(...topics)))
  const server = yield* start
  const acknowledged = new Map(topics.map((topic) => [topic.name, [] as Array<number>]))
  const heard = new Map(topics.map((topic) => [topic.name, [] as Array<number>]))
  const events = new Map(topics.map((topic) => [topic.name, [] as Array<TopicsClient.Event<number>>]))
  const first = new Map<string, TopicsClient.Position>()
  yield* Effect.forEach(topics, (topic) => server.topics.publish(topic, 0))
  // a connection that is cut all the time
  const client = yield* JsonRpcClient.fromSocket(server.memory.connect({ cutAfter: 40 }), {
    reconnect: Schedule.spaced("20 millis")
  })
  for (const topic of topics) {
    yield* Effect.forkChild(
      Stream.runForEach(TopicsClient.eventsOf(client, topic, { capacity: 100_000 }), (event) =>
        Effect.sync(() => {
          events.get(topic.name)!.push(event)
          if (event._tag === "Missed") return
          if (!first.has(topic.name)) first.set(topic.name, event.position!)
          heard.get(topic.name)!.push(event.value)
        }))
    )
  }
  const until = (done: () => boolean) => Effect.repeat(Effect.sleep("20 millis"), { until: () => Effect.sync(done) })
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
    yield* engine.kill
  }
  yield* Effect.sleep("1 second")
  yield* Fiber.interrupt(publisher)
  for (const topic of topics) {
    yield* Effect.retry(server.topics.publish(topic, 1_000_000_000), Schedule.spaced("100 millis"))
  }
  const isLast = (values: ReadonlyArray<number>) => values.at(-1) === 1_000_000_000
  yield* until(() => topics.every((topic) => isLast(heard.get(topic.name)!)))

  const later = yield* start
  const late = yield* JsonRpcClient.fromSocket(later.memory.connect())
  for (const topic of topics) {
    const live = heard.get(topic.name)!
    const confirmed = acknowledged.get(topic.name)!
    assert.isAbove(confirmed.length, 10)
    let reached = -1
    let isTold = false
    for (const event of events.get(topic.name)!) {
      if (event._tag === "Missed") {
        assert.isTrue(mayLose, `missed of ${topic.name}: ${JSON.stringify(event)}`)
        isTold = true
        continue
      }
      if (!isTold) {
        assert.isAbove(event.value, reached, topic.name)
        assert.deepStrictEqual(
          confirmed.filter((value) => value > reached && value < event.value),
          [],
          `lost of ${topic.name}`
        )
      }
      isTold = false
      reached = event.value
    }
    const from = first.get(topic.name)!
    const again = yield* TopicsClient.eventsOf(late, topic, { from, capacity: 100_000 }).pipe(
      Stream.takeUntil((event) => event._tag === "Value" && event.value === 1_000_000_000),
      Stream.runCollect
    )
    const values = again.flatMap((event) => event._tag === "Value" ? [event.value] : [])
    if (mayLose) assert.strictEqual(again[0]?._tag, "Missed")
    else assert.deepStrictEqual(values, live.slice(1))
  }
})
