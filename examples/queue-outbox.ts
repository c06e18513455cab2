/**
 * The outbox without an outbox: a push inside the program's own transaction. The order and its message exist together or
 * not at all; and the worker does its work and acknowledges the message in one transaction, so it is done exactly once.
 *
 * Run: npx tsx examples/queue-outbox.ts
 * Prints: order 2 was rolled back: the card was refused
 * Prints: orders 1, messages 1
 * Prints: shipments 1, processed 1
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { SqlClient } from "effect/sql"

const shipping = "dd04"

const program = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const queue = yield* MessageQueue.MessageQueue
  yield* sql`CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)`
  yield* sql`CREATE TABLE shipments (id INTEGER PRIMARY KEY)`

  const order = (id: number, item: string, payment: Effect.Effect<void, string>) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* sql`INSERT INTO orders ${sql.insert({ id, item })}`
      yield* queue.push(shipping, { id, item })
      yield* payment
    }))

  yield* order(1, "a lamp", Effect.void)
  yield* order(2, "a boat", Effect.fail("the card was refused")).pipe(
    Effect.catch((error) => Console.log(`order 2 was rolled back: ${error}`))
  )
  yield* Console.log(
    `orders ${(yield* sql`SELECT * FROM orders`).length}, messages ${(yield* queue.list()).messages.length}`
  )

  const ship = (crash: Effect.Effect<void, string>) =>
    Effect.gen(function*() {
      const delivery = Option.getOrThrow(yield* queue.pull(shipping, { wait: "1 second" }))
      const { id } = delivery.payload.value as { readonly id: number }
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO shipments ${sql.insert({ id })}`
        yield* queue.ack(delivery)
        yield* crash
      })).pipe(Effect.tapError(() => queue.release(delivery)))
    })

  yield* ship(Effect.fail("power failure")).pipe(
    Effect.catch((error) => Console.log(`the shipment was rolled back with its ack: ${error}`))
  )
  yield* ship(Effect.void)
  yield* Console.log(
    `shipments ${(yield* sql`SELECT * FROM shipments`).length}, processed ${(yield* queue.counts()).processed}`
  )
})

program.pipe(
  Effect.provide(MessageQueue.layerSql().pipe(Layer.provideMerge(NodeSqliteClient.layer({ filename: ":memory:" })))),
  NodeRuntime.runMain
)
