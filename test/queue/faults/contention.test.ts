import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Fiber, Latch, Option, Random } from "effect"
import { MessageQueue, type MessageQueueError } from "effect-wire/queue"
import { SqlClient } from "effect/sql"
import { layerPostgres } from "../support.ts"

/** How long the hunt goes on; QUEUE_SECONDS=600 is the long one. */
const seconds = Number(process.env["QUEUE_SECONDS"] ?? 2)

const makeQueue = Effect.gen(function*() {
  const prefix = `c${yield* Random.nextIntBetween(0, 1_000_000_000)}`
  return { prefix, queue: yield* MessageQueue.makeSql({ prefix }) }
})

it.layer(layerPostgres, { timeout: 60_000, excludeTestServices: true })("many at once on PostgreSQL", (it) => {
  it.effect(
    "16 workers over 8 keys never lock one another out, and keep the order of each key",
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const prefix = `c${yield* Random.nextIntBetween(0, 1_000_000_000)}`
        // Two processes as far as the database is concerned.
        const queues = [yield* MessageQueue.makeSql({ prefix }), yield* MessageQueue.makeSql({ prefix })]
        const keys = ["a", "b", "c", "d", "e", "f", "g", "h"]
        const deadlocks = Effect.map(
          sql<{ readonly n: number }>`SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()`,
          ([row]) => Number(row!.n)
        )
        const before = yield* deadlocks
        const failures: Array<MessageQueueError.MessageQueueError> = []
        const last = new Map<string, number>()
        let acked = 0
        let breaches = 0
        let over = false
        let number = 0
        const tell = <A>(effect: Effect.Effect<A, MessageQueueError.MessageQueueError>) =>
          Effect.catch(effect, (error) =>
            error.reason._tag === "LeaseLost"
              ? Effect.void
              : Effect.sync(() => void failures.push(error)))
        const worker = (index: number) =>
          Effect.gen(function*() {
            const queue = queues[index % 2]!
            while (!over) {
              const one = ++number
              // Each in an order of its own, which is what makes deadlocks.
              const mixed = yield* Random.shuffle(keys)
              yield* tell(
                queue.pushMany(mixed.map((orderingKey) => ({ destination: "af", payload: one, orderingKey })))
              )
              const deliveries = (yield* tell(queue.pullMany("af", { max: 8 }))) ?? []
              yield* Effect.forEach(yield* Random.shuffle(deliveries), (delivery) => {
                const key = delivery.orderingKey!
                const seq = Number.parseInt(delivery.id.slice(10), 16)
                if (seq < (last.get(key) ?? 0)) breaches++
                last.set(key, seq)
                const roll = seq % 10
                return roll === 0
                  ? tell(queue.release(delivery))
                  : roll === 1
                  ? tell(queue.nack(delivery))
                  : Effect.andThen(tell(queue.ack(delivery)), Effect.sync(() => void acked++))
              }, { concurrency: "unbounded" })
              if (index === 0) yield* tell(queue.removeAll({ node: "0" }))
            }
          })
        /** Beside them, those who repair: what they do to messages in hand, and to keys that have stopped. */
        const repairer = (index: number) =>
          Effect.gen(function*() {
            const queue = queues[index % 2]!
            while (!over) {
              const pushed = (yield* tell(queue.pushMany((yield* Random.shuffle(keys)).map((orderingKey) => ({
                destination: "bf",
                payload: 1,
                orderingKey,
                stopKey: true
              }))))) ?? []
              const deliveries = (yield* tell(queue.pullMany("bf", { max: 8 }))) ?? []
              yield* Effect.forEach(deliveries, (delivery) => tell(queue.reject(delivery)), {
                concurrency: "unbounded"
              })
              const mixed = yield* Random.shuffle([...pushed, ...deliveries])
              yield* Effect.forEach(mixed, ({ id }, n) =>
                n % 3 === 0
                  ? tell(queue.remove(id, { anyStatus: true }))
                  : n % 3 === 1
                  ? Effect.ignore(Effect.flatMap(DateTime.now, (now) => queue.reschedule(id, now)))
                  : tell(queue.redrive({ ids: [id, mixed[0]!.id] })), { concurrency: "unbounded" })
            }
          })
        const all = yield* Effect.forkChild(
          Effect.all([
            Effect.forEach(Array.from({ length: 16 }, (_, index) => index), worker, { concurrency: "unbounded" }),
            Effect.forEach([0, 1, 2], repairer, { concurrency: "unbounded" })
          ], { concurrency: "unbounded" })
        )
        yield* Effect.sleep(seconds * 1000)
        over = true
        yield* Fiber.join(all)
        assert.deepStrictEqual(failures.map((error) => error.message), [])
        assert.strictEqual(yield* deadlocks, before)
        // Nobody waits for a place that nobody will give: with all keys free again, everything comes to its end.
        const queue = queues[0]!
        while (true) {
          yield* queue.redrive({ node: "bf" })
          const left = yield* queue.pullMany("bf", { max: 1000 })
          if (left.length === 0) break
          assert.deepStrictEqual(yield* queue.ackMany(left), [])
        }
        assert.include(yield* queue.counts({ node: "bf" }), { pending: 0, scheduled: 0, processing: 0, dead: 0 })
        assert.strictEqual(breaches, 0)
        assert.isAbove(acked, 0)
      }),
    { timeout: seconds * 1000 + 60_000 }
  )

  it.effect("a transaction of the app that stalls holds up its own key and nobody else", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { queue } = yield* makeQueue
      yield* queue.push("af", 1, { orderingKey: "k" })
      yield* Effect.forEach([1, 2, 3, 4, 5], (n) => queue.push("bb", n))
      const keyed = Option.getOrThrow(yield* queue.pull("af"))
      const others = yield* queue.pullMany("bb", { max: 5 })
      const gate = Latch.makeUnsafe(false)
      const open = Latch.makeUnsafe(false)
      const app = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* queue.push("af", 2, { orderingKey: "k" })
        yield* queue.push("af", 3, { deduplicationKey: "d" })
        yield* open.open
        yield* gate.await
      })))
      yield* open.await
      const waiting: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* Effect.forkChild(queue.ack(keyed)),
        yield* Effect.forkChild(queue.push("af", 4, { deduplicationKey: "d" }))
      ]
      // All of these while the transaction stands: what waits for it would never come.
      yield* queue.extend(keyed)
      yield* Effect.forEach(others.slice(1), (delivery) => queue.ack(delivery), { concurrency: "unbounded" })
      yield* queue.extend(others[0]!)
      yield* queue.nack(others[0]!)
      yield* queue.push("cc", 1)
      yield* queue.push("cc", 2, { orderingKey: "other" })
      yield* queue.push("cc", 3, { deduplicationKey: "other" })
      assert.strictEqual((yield* queue.pullMany("cc")).length, 3)
      assert.isTrue(waiting.every((fiber) => fiber.pollUnsafe() === undefined))
      yield* gate.open
      yield* Fiber.join(app)
      for (const fiber of waiting) assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
    }), 120_000)

  it.effect("a row that cannot be read is a dead letter, and the rest of its batch is delivered", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { prefix, queue } = yield* makeQueue
      yield* queue.pushMany(Array.from({ length: 10 }, (_, n) => ({ destination: "af", payload: { n } })))
      yield* sql.unsafe(`UPDATE ${prefix}_message SET payload = '\\x7b' WHERE seq = 4`)
      const deliveries = yield* queue.pullMany("af", { max: 10 })
      assert.strictEqual(deliveries.length, 9)
      yield* queue.ackMany(deliveries)
      assert.include(yield* queue.counts(), { pending: 0, processing: 0, dead: 1, processed: 9 })
    }))

  it.effect("two pulls that are served together have tokens of their own", () =>
    Effect.gen(function*() {
      const { queue } = yield* makeQueue
      const pulls = yield* Effect.forEach([1, 2], () => Effect.forkChild(queue.pull("af", { wait: "10 seconds" })))
      yield* Effect.yieldNow
      yield* queue.pushMany([{ destination: "af", payload: 1 }, { destination: "af", payload: 2 }])
      const [one, two] = (yield* Effect.forEach(pulls, Fiber.join)).map(Option.getOrThrow)
      assert.notStrictEqual(one!.lease.token, two!.lease.token)
      const stolen = { ...two!, lease: one!.lease }
      assert.strictEqual((yield* Effect.flip(queue.ack(stolen))).reason._tag, "LeaseLost")
    }))

  it.effect("many nodes that wait are one question to the database, not one each", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const prefix = `c${yield* Random.nextIntBetween(0, 1_000_000_000)}`
      const queue = yield* MessageQueue.makeSql({ prefix, pollInterval: "20 millis" })
      yield* sql.unsafe(`CREATE SEQUENCE ${prefix}_asked`)
      const waiting = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, index) => `node ${index}`),
        (node) => Effect.forkChild(queue.pull(node, { wait: "1 hour" }))
      )
      yield* Effect.sleep("300 millis")
      // From now on each question counts itself.
      yield* sql.unsafe(`ALTER FUNCTION ${prefix}_poll(text[]) RENAME TO ${prefix}_poll_inner`)
      yield* sql.unsafe(`CREATE FUNCTION ${prefix}_poll(n text[]) RETURNS TABLE (nodes text[], due bigint)
        LANGUAGE plpgsql AS $$ BEGIN
          PERFORM nextval('${prefix}_asked');
          RETURN QUERY SELECT * FROM ${prefix}_poll_inner(n);
        END $$`)
      const transactions = Effect.map(
        sql<{ readonly n: number }>`SELECT xact_commit AS n FROM pg_stat_database WHERE datname = current_database()`,
        ([row]) => Number(row!.n)
      )
      const before = yield* transactions
      while (true) {
        const [row] = yield* sql.unsafe<{ readonly last: number }>(`SELECT last_value AS last FROM ${prefix}_asked`)
        if (Number(row!.last) >= 20) break
        yield* Effect.sleep("20 millis")
      }
      // Twenty rounds of 500 would be ten thousand.
      assert.isBelow((yield* transactions) - before, 1000)
      yield* Fiber.interruptAll(waiting)
    }), 120_000)
})

describe("what a queue in memory", () => {
  it.effect("is given is its own: the caller goes on with its buffer", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      const bytes = new TextEncoder().encode("hello")
      yield* queue.push("bb", bytes)
      bytes.fill(88)
      const { payload } = Option.getOrThrow(yield* queue.pull("bb"))
      assert.deepStrictEqual(payload.value, new TextEncoder().encode("hello"))
    }))

  it.effect("holds for one key costs as much for each, however many wait", () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.makeMemory()
      const count = 20_000
      yield* queue.pushMany(Array.from({ length: count }, (_, n) => ({
        destination: "bb",
        payload: n,
        orderingKey: "k"
      })))
      // Where each looked through the others, this took longer than the test may.
      for (let n = 0; n < count; n++) {
        const delivery = Option.getOrThrow(yield* queue.pull("bb"))
        assert.strictEqual(delivery.payload.value, n)
        yield* queue.ack(delivery)
      }
    }), 120_000)
})
