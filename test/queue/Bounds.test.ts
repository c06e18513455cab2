import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, Deferred, Duration, Effect, Fiber, Layer, Logger, Option, References } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue, MessageQueueError } from "effect-wire/queue"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { DatabaseSync } from "node:sqlite"
import { layerSqlite, temporaryFile } from "./support.ts"

type Queue = MessageQueue.MessageQueue["Service"]

const down = new MessageQueueError.MessageQueueError({
  reason: new MessageQueueError.QueueUnavailable({ operation: "x", uncertain: true, cause: "down" })
})

const consume = (queue: Queue, handler: Effect.Effect<unknown>, options?: MessageQueue.ConsumeOptions) =>
  MessageQueue.consume("af", () => handler, options).pipe(
    Effect.provideService(MessageQueue.MessageQueue, queue),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

describe("a consumer", () => {
  it.effect("stops its handler before the lease ends when no heartbeat gets through", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      yield* queue.push("af", 1)
      const stopped = yield* Deferred.make<void>()
      const worker = yield* Effect.forkChild(consume(
        { ...queue, extend: () => Effect.never },
        Effect.onInterrupt(Effect.never, () => Deferred.succeed(stopped, undefined)),
        { lease: "30 seconds" }
      ))
      yield* TestClock.adjust("20 seconds")
      assert.isFalse(yield* Deferred.isDone(stopped))
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(yield* Deferred.isDone(stopped))
      yield* Fiber.interrupt(worker)
    }))

  it.effect("ends within a second or two while its database is gone", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      yield* queue.push("af", 1)
      const begun = yield* Deferred.make<void>()
      const handler = Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      for (const release of [() => Effect.fail(down), () => Effect.never]) {
        const worker = yield* Effect.forkChild(consume({ ...queue, release }, handler))
        yield* Deferred.await(begun)
        const end = yield* Effect.forkChild(Fiber.interrupt(worker))
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(end)
      }
    }))

  it.effect("that is to drain takes no more, and ends when what runs has ended", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      yield* queue.pushMany(Arr.range(1, 3).map((payload) => ({ destination: "af", payload })))
      const begun = yield* Deferred.make<void>()
      const drain = yield* Deferred.make<void>()
      const handler = Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("10 seconds"))
      const worker = yield* Effect.forkChild(consume(queue, handler, { drain: Deferred.await(drain) }))
      yield* Deferred.await(begun)
      yield* Deferred.succeed(drain, undefined)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(worker)
      const counts = yield* queue.counts()
      assert.deepStrictEqual([counts.processed, counts.pending], [1, 2])
    }))

  it.effect("whose handler acknowledged in its own transaction says nothing of a lost lease", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeSql()
      const sql = yield* SqlClient.SqlClient
      const logs: Array<unknown> = []
      const done = yield* Deferred.make<void>()
      const worker = yield* Effect.forkChild(
        MessageQueue.consume(
          "dd",
          (delivery) => Effect.andThen(sql.withTransaction(queue.ack(delivery)), Deferred.succeed(done, undefined))
        ).pipe(
          Effect.provideService(MessageQueue.MessageQueue, queue),
          Effect.provide(Logger.layer([Logger.make(({ message }) => void logs.push(message))])),
          Effect.provideService(References.MinimumLogLevel, "Debug")
        )
      )
      yield* queue.push("dd", 1)
      yield* Deferred.await(done)
      yield* Fiber.interrupt(worker)
      assert.deepStrictEqual(logs, [])
    }).pipe(Effect.provide(layerSqlite())))
})

describe("a queue", () => {
  it.effect("refuses what no calendar has, and changes nothing", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      const long = Duration.days(99_999_999)
      const refused = (effect: Effect.Effect<unknown, MessageQueueError.MessageQueueError>) =>
        Effect.map(Effect.flip(effect), (error) => assert.strictEqual(error.reason._tag, "InvalidMessage"))
      yield* refused(queue.push("bb", 1, { delay: long }))
      yield* refused(queue.push("bb", 1, { at: new Date(8.64e15) }))
      yield* queue.push("bb", 1)
      yield* refused(queue.pull("bb", { lease: long }))
      const delivery = Option.getOrThrow(yield* queue.pull("bb"))
      yield* refused(queue.nack(delivery, { delay: long }))
      yield* refused(queue.extend(delivery, long))
      yield* refused(queue.list({ cursor: "abc" }))
      yield* queue.ack(delivery)
    }))

  it.effect("makes a dead letter of a row that cannot be read, and goes on", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeSql()
      const sql = yield* SqlClient.SqlClient
      yield* queue.push("af", { a: 1 })
      yield* queue.push("af", { a: 2 })
      yield* sql`UPDATE effect_wire_queue_message SET payload = '{' WHERE seq = 1`
      const deliveries = yield* queue.pullMany("af")
      assert.deepStrictEqual(deliveries.map((delivery) => delivery.payload.value), [{ a: 2 }])
      const { messages: [dead] } = yield* queue.list({ status: "dead" })
      assert.strictEqual(dead!.error, "the payload cannot be read")
      assert.deepStrictEqual(dead!.payload.value, new TextEncoder().encode("{"))
    }).pipe(Effect.provide(layerSqlite())))

  it.effect("lets a message die whose last lease ran out though nobody pulls", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory({ retentionInterval: "1 hour" })
      yield* queue.push("af", 1, { maxTries: 1 })
      yield* queue.pull("af", { lease: "1 second" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* queue.counts()).dead, 1)
      yield* TestClock.adjust("30 days")
      assert.strictEqual((yield* queue.counts()).dead, 0)
    }).pipe(Effect.provideService(References.MinimumLogLevel, "None")), 30_000)

  it.effect("adds all of a pushMany or none, inside a transaction that goes on too", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeSql()
      const sql = yield* SqlClient.SqlClient
      yield* sql.unsafe(`CREATE TRIGGER bad BEFORE INSERT ON effect_wire_queue_message WHEN NEW.topic = 'bad'
        BEGIN SELECT RAISE(ABORT, 'no'); END`)
      const two = Effect.exit(queue.pushMany([
        { destination: "af", payload: 1 },
        { destination: "af", payload: 2, topic: "bad" }
      ]))
      yield* two
      yield* sql.withTransaction(two)
      assert.strictEqual((yield* queue.counts()).pending, 0)
    }).pipe(Effect.provide(layerSqlite())))

  it.effect("answers pulls that ask for different leases each at once", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      const waiting = yield* Effect.forkChild(queue.pull("bb", { wait: "1 hour" }))
      yield* Effect.yieldNow
      assert.isTrue(Option.isNone(yield* queue.pull("bb", { lease: "5 seconds" })))
      assert.isTrue(Option.isNone(yield* queue.pull("bb", { lease: "7 seconds" })))
      yield* queue.push("bb", 1)
      assert.isTrue(Option.isSome(yield* Fiber.join(waiting)))
    }))

  it.live("waits once for a busy database, and the process goes on meanwhile", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const queue = yield* MessageQueue.makeSql()
        const other = new DatabaseSync(filename)
        other.exec("BEGIN IMMEDIATE")
        let beats = 0
        const timer = setInterval(() => beats++, 10)
        const pushes = yield* Effect.forEach(Arr.range(1, 20), (n) => Effect.result(queue.push("af", n)), {
          concurrency: "unbounded"
        })
        clearInterval(timer)
        other.exec("ROLLBACK")
        other.close()
        // Twenty waits of 200 ms one after the other would let no timer run.
        assert.isAbove(beats, 3)
        for (const push of pushes) {
          assert.isTrue(
            push._tag === "Failure" && push.failure.reason._tag === "QueueUnavailable" && push.failure.reason.busy
          )
        }
        yield* queue.push("af", 21)
        assert.strictEqual((yield* queue.counts()).pending, 1)
      }).pipe(Effect.provide(Layer.fresh(NodeSqliteClient.layer({ filename, busyTimeout: "200 millis" }))))
    }))
})
