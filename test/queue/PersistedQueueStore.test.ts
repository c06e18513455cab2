import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Schedule, Schema } from "effect"
import { Message, MessageQueue, PersistedQueueStore } from "effect-wire/queue"
import { PersistedQueue } from "effect/persistence"
import { TestClock } from "effect/testing"
import { type Advance, Clock, layerTestClock } from "./suite.ts"
import { layerPostgres, layerSqlite, layerSqlQueue } from "./support.ts"

const Job = Schema.Struct({ n: Schema.Finite, at: Schema.optionalKey(Schema.DateTimeUtc) })

const make = (options?: { readonly maxAttempts?: number; readonly retrySchedule?: Schedule.Schedule<any, number> }) =>
  PersistedQueue.make({ name: "jobs of tomorrow – ü", schema: Job, ...options })

/** What Effect promises of its persisted queues: on its own store as on ours. */
const suite = <R = never>(
  name: string,
  layer: Layer.Layer<PersistedQueue.PersistedQueueFactory | Clock, unknown, R>,
  effect: (title: string, body: () => Effect.Effect<unknown, unknown, R>, timeout: number) => void = it.effect as never
) => {
  const test = (
    title: string,
    body: (advance: Advance) => Effect.Effect<unknown, unknown, PersistedQueue.PersistedQueueFactory>
  ) =>
    effect(
      `${title} (${name})`,
      () => Clock.use(({ advance }) => body(advance)).pipe(Effect.provide(layer)) as never,
      30_000
    )

  test("takes what was offered, in order, with its id and attempt", () =>
    Effect.gen(function*() {
      const queue = yield* make()
      const id = yield* queue.offer({ n: 1 })
      yield* queue.offer({ n: 2 }, { id: "the second" })
      const seen: Array<unknown> = []
      for (let count = 0; count < 2; count++) {
        yield* queue.take((job, meta) => Effect.sync(() => seen.push([job.n, meta])))
      }
      assert.deepStrictEqual(seen, [[1, { id, attempts: 1 }], [2, { id: "the second", attempts: 1 }]])
    }))

  test("an id is offered once, also after it was done", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make()
      const offer = queue.offer({ n: 1 }, { id: "invoice 7, ü" })
      yield* offer
      yield* offer
      yield* queue.take(() => Effect.void)
      assert.strictEqual(yield* offer, "invoice 7, ü")
      yield* queue.offer({ n: 2 })
      assert.strictEqual(yield* queue.take((job) => Effect.succeed(job.n)), 2)
      const vain = yield* Effect.forkChild(queue.take(() => Effect.void))
      yield* advance("1 minute")
      assert.isTrue(vain.pollUnsafe() === undefined)
      yield* Fiber.interrupt(vain)
    }))

  test("a take waits for an offer, and an interrupted one holds nothing", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make()
      const first = yield* Effect.forkChild(queue.take((job) => Effect.succeed(job.n)))
      yield* advance("10 millis")
      yield* Fiber.interrupt(first)
      const second = yield* Effect.forkChild(queue.take((job) => Effect.succeed(job.n)))
      yield* queue.offer({ n: 3 })
      while (second.pollUnsafe() === undefined) yield* advance("100 millis")
      assert.strictEqual(yield* Fiber.join(second), 3)
    }))

  test("a delayed element comes after its delay", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make()
      yield* queue.offer({ n: 1 }, { delay: "1 minute" })
      yield* queue.offer({ n: 2 }, { delay: "infinity" as never }).pipe(Effect.exit)
      const taking = yield* Effect.forkChild(queue.take((job) => Effect.succeed(job.n)))
      yield* advance("59 seconds")
      assert.isTrue(taking.pollUnsafe() === undefined)
      yield* advance("1 second")
      while (taking.pollUnsafe() === undefined) yield* advance("100 millis")
      assert.strictEqual(yield* Fiber.join(taking), 1)
    }))

  test("a failure is retried by the schedule, up to the attempts, and then it is over", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make({ maxAttempts: 3, retrySchedule: Schedule.spaced("10 seconds") })
      yield* queue.offer({ n: 1 })
      const attempts: Array<number> = []
      const take = queue.take((_, meta) =>
        Effect.andThen(Effect.sync(() => attempts.push(meta.attempts)), Effect.fail("no"))
      )
      for (let count = 0; count < 3; count++) {
        const taking = yield* Effect.forkChild(Effect.exit(take))
        if (count > 0) {
          yield* advance("9 seconds")
          assert.strictEqual(attempts.length, count)
          yield* advance("1 second")
        }
        while (taking.pollUnsafe() === undefined) yield* advance("100 millis")
        const exit = yield* Fiber.join(taking)
        assert.isTrue(Exit.isFailure(exit))
      }
      assert.deepStrictEqual(attempts, [1, 2, 3])
      const vain = yield* Effect.forkChild(Effect.exit(take))
      yield* advance("1 minute")
      assert.deepStrictEqual(attempts, [1, 2, 3])
      yield* Fiber.interrupt(vain)
    }))

  test("an interrupted handler gives its element back, and that attempt does not count", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make()
      yield* queue.offer({ n: 1 })
      const started = yield* Deferred.make<void>()
      const taking = yield* Effect.forkChild(
        queue.take(() => Effect.andThen(Deferred.succeed(started, undefined), Effect.never))
      )
      while (!(yield* Deferred.isDone(started))) yield* advance("10 millis")
      yield* Fiber.interrupt(taking)
      assert.strictEqual(yield* queue.take((_, meta) => Effect.succeed(meta.attempts)), 1)
    }))

  test("a long handler keeps its element", (advance) =>
    Effect.gen(function*() {
      const queue = yield* make()
      yield* queue.offer({ n: 1 })
      const attempts: Array<number> = []
      const long = yield* Effect.forkChild(
        queue.take((_, meta) =>
          Effect.andThen(Effect.sync(() => attempts.push(meta.attempts)), Effect.sleep("10 minutes"))
        )
      )
      const other = yield* Effect.forkChild(queue.take((_, meta) => Effect.sync(() => attempts.push(meta.attempts))))
      for (let seconds = 0; seconds < 620; seconds += 20) yield* advance("20 seconds")
      while (long.pollUnsafe() === undefined) yield* advance("100 millis")
      assert.deepStrictEqual(attempts, [1])
      yield* Fiber.interrupt(other)
    }))

  test("an element that is none of the schema is put aside, and the next is taken", () =>
    Effect.gen(function*() {
      const other = yield* PersistedQueue.make({ name: "jobs of tomorrow – ü", schema: Schema.String })
      yield* other.offer("no job")
      const queue = yield* make()
      yield* queue.offer({ n: 2 })
      assert.strictEqual(yield* queue.take((job) => Effect.succeed(job.n)), 2)
    }))
}

const onQueue = PersistedQueue.layer.pipe(Layer.provide(PersistedQueueStore.layer()))

describe("PersistedQueueStore", () => {
  suite(
    "Effect's own store",
    Layer.merge(PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreMemory)), layerTestClock)
  )
  suite("memory", Layer.merge(onQueue.pipe(Layer.provide(MessageQueue.layerMemory())), layerTestClock))
  suite("SQLite", onQueue.pipe(Layer.provideMerge(layerSqlQueue().pipe(Layer.provide(layerSqlite())))))

  it.effect("what failed is a dead letter with its cause, which can be redriven", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const jobs = yield* PersistedQueue.make({ name: "jobs", schema: Schema.String, maxAttempts: 1 })
      yield* jobs.offer("x", { id: "7" })
      yield* Effect.exit(jobs.take(() => Effect.die("no such file")))
      const [dead] = (yield* queue.list({ node: "jobs", status: "dead" })).messages
      assert.include(dead!.error, "no such file")
      assert.deepStrictEqual(dead!.payload, Message.json({ id: "7", element: "x" }))
      assert.strictEqual(yield* queue.redrive({ node: "jobs" }), 1)
      assert.deepStrictEqual(yield* jobs.take((job, { id }) => Effect.succeed([job, id])), ["x", "7"])
    }).pipe(Effect.provide(onQueue.pipe(Layer.provideMerge(MessageQueue.layerMemory())))))

  it.effect("an element whose last holder vanished in its last attempt is put aside", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const jobs = yield* PersistedQueue.make({ name: "jobs", schema: Schema.String, maxAttempts: 1 })
      yield* jobs.offer("x")
      assert.isTrue(Option.isSome(yield* queue.pull("jobs", { lease: "1 second" })))
      yield* TestClock.adjust("1 second")
      const taking = yield* Effect.forkChild(jobs.take(Effect.succeed))
      yield* TestClock.adjust("1 second")
      yield* jobs.offer("y")
      assert.strictEqual(yield* Fiber.join(taking), "y")
      assert.strictEqual((yield* queue.counts()).dead, 1)
    }).pipe(Effect.provide(onQueue.pipe(Layer.provideMerge(MessageQueue.layerMemory())))))
})

it.layer(layerPostgres, { timeout: 60_000 })("PersistedQueueStore on PostgreSQL", (it) => {
  suite(
    "PostgreSQL",
    onQueue.pipe(Layer.provideMerge(layerSqlQueue())),
    (title, body, timeout) => it.effect(title, () => Effect.provide(body(), Layer.fresh(TestClock.layer())), timeout)
  )
})
