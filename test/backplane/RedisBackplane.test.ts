import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { Backplane, type RedisBackplane } from "effect-wire/backplane"
import { Redis } from "effect/persistence"
import { isInstalled, LocalRedis, makeRedis, start } from "../node/support/KillableRedis.ts"
import { suite as resumeSuite } from "../topics/ResumeTest.ts"
import { suite as topicsSuite } from "../topics/TopicsTest.ts"
import { hear, suite } from "./BackplaneTest.ts"

const backplaneOf = Context.get(Backplane.Backplane)

/** Processes that share a Redis, apart from those of other tests. */
const processes = (count: number, options?: RedisBackplane.Options) =>
  Effect.gen(function*() {
    const redis = yield* LocalRedis
    const prefix = yield* redis.prefix
    return yield* Effect.forEach(Array.from({ length: count }), () => start(redis.url, { prefix, ...options }))
  })
const backplanes = (count: number) => Effect.map(processes(count), (contexts) => contexts.map(backplaneOf))

describe.skipIf(!isInstalled)("on a redis-server of this machine", () => {
  layer(LocalRedis.layer, { excludeTestServices: true, timeout: 60_000 })("RedisBackplane", (it) => {
    suite("Redis", backplanes, (name, effect) => it.effect(name, () => effect, 120_000))
    topicsSuite("Redis", backplanes, (name, effect) => it.effect(name, () => effect, 120_000))
    resumeSuite(
      "Redis",
      backplanes,
      (name, effect) => it.effect(name, () => effect, 60_000),
      Effect.sleep("20 millis")
    )

    it.effect("connections that are cut are opened again, and each channel continues where it stood", () =>
      Effect.gen(function*() {
        const { url } = yield* makeRedis()
        const contexts = yield* Effect.forEach([1, 2], () => start(url))
        const heard = yield* Effect.forEach(contexts, (context) => hear(backplaneOf(context), "x"))
        const redis = Context.get(contexts[0]!, Redis.Redis)
        for (let i = 1; i <= 50; i++) {
          if (i === 10 || i === 30) yield* redis.send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
          yield* Effect.retry(backplaneOf(contexts[0]!).publish("x", String(i)), { times: 5 })
        }
        for (const one of heard) {
          const events = yield* one.take(50)
          assert.deepStrictEqual(events.map((event) => event.sequence), Array.from({ length: 50 }, (_, i) => i + 1))
        }
      }))

    it.effect("what the stream does not hold any more is a gap, and the retained value is in its place", () =>
      Effect.gen(function*() {
        const contexts = yield* processes(2)
        const [a, b] = contexts.map(backplaneOf)
        const redis = Context.get(contexts[0]!, Redis.Redis)
        const heard = yield* hear(b!, "swallowed")
        yield* a!.publish("swallowed", "1")
        yield* heard.take(1)
        const [meta] = yield* redis.send<ReadonlyArray<string>>("KEYS", "*:channel:swallowed")
        yield* redis.send("HSET", meta!, "sequence", "6", "at", "4", "last", "kept")
        yield* a!.publish("swallowed", "7")
        const events = yield* heard.take(4)
        assert.deepStrictEqual(
          events.map((event) => event._tag === "Gap" ? `gap ${event.missed}` : `${event.sequence} ${event.payload}`),
          ["gap 2", "4 kept", "gap 2", "7 7"]
        )
      }))

    it.effect("keys that are gone are a gap of unknown size and a new epoch, for everybody the same", () =>
      Effect.gen(function*() {
        const contexts = yield* processes(2, { pollInterval: "50 millis" })
        const redis = Context.get(contexts[0]!, Redis.Redis)
        const heard = yield* Effect.forEach(contexts, (context) => hear(backplaneOf(context), "gone"))
        yield* backplaneOf(contexts[0]!).publish("gone", "1")
        for (const one of heard) yield* one.take(1)
        const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", "*:gone")
        yield* redis.send("DEL", ...keys)
        const epochs: Array<string> = []
        for (const one of heard) {
          const [event] = yield* one.take(1)
          if (event?._tag !== "Gap") return assert.fail("no gap")
          assert.deepStrictEqual([event.after, event.sequence, event.missed], [1, 0, undefined])
          assert.notStrictEqual(event.epoch, one.registration.epoch)
          epochs.push(event.epoch)
        }
        assert.strictEqual(epochs[0], epochs[1])
        yield* backplaneOf(contexts[0]!).publish("gone", "again")
        for (const one of heard) assert.strictEqual((yield* one.take(1))[0]?.sequence, 1)
      }))

    it.effect("a stream keeps about as many as it is told, and what is too old goes", () =>
      Effect.gen(function*() {
        const [context] = yield* processes(1, { retentionPerChannel: 100, retention: "1 hour" })
        const [brief] = yield* processes(1, { retention: "1 second" })
        const redis = Context.get(context!, Redis.Redis)
        const texts = Array.from({ length: 600 }, (_, i) => String(i))
        const publish = (one: Backplane.Backplane["Service"], channel: string) =>
          Effect.forEach(texts, (text) => one.publish(channel, text), { concurrency: 50 })
        yield* publish(backplaneOf(context!), "bounded")
        yield* publish(backplaneOf(brief!), "brief")
        const length = (channel: string) =>
          Effect.gen(function*() {
            const [key] = yield* redis.send<ReadonlyArray<string>>("KEYS", `*:log:${channel}`)
            return key === undefined ? 0 : yield* redis.send<number>("XLEN", key)
          })
        const kept = yield* length("bounded")
        assert.isTrue(kept >= 100 && kept <= 300, `${kept}`)
        yield* Effect.repeat(Effect.delay(length("brief"), "50 millis"), { until: (found) => found === 0 })
        assert.strictEqual(yield* backplaneOf(brief!).publish("brief", "next"), 601)
      }))

    it.effect("names and payloads over their bounds are refused; a Redis without memory refuses, and says so", () =>
      Effect.gen(function*() {
        const { url } = yield* makeRedis()
        const context = yield* start(url, { maxPayload: 10_000 })
        const backplane = backplaneOf(context)
        const redis = Context.get(context, Redis.Redis)
        const outcomes = yield* Effect.all([
          Effect.flip(backplane.publish("", "x")),
          Effect.flip(backplane.publish("n".repeat(1025), "x")),
          Effect.flip(backplane.publish("x", "y".repeat(10_001))),
          Effect.flip(Effect.scoped(backplane.listen("", () => {})))
        ])
        for (const error of outcomes) assert.isFalse(error.uncertain)
        yield* backplane.publish("x", "before")
        yield* redis.send("CONFIG", "SET", "maxmemory", "1")
        const full = yield* Effect.flip(backplane.publish("x", "y"))
        yield* redis.send("CONFIG", "SET", "maxmemory", "0")
        assert.isFalse(full.uncertain)
        assert.strictEqual(yield* backplane.publish("x", "fine"), 2)
      }))
  })
})
