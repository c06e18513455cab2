/**
 * A payment is executed once: its connection is cut while it runs, our client calls again by itself, and the server answers
 * with what the first call came to. A stream goes on where it stopped, from the same run.
 *
 * Run it: npx tsx examples/idempotent-calls.ts
 * Prints: payments executed: 5, receipts: 1, 2, 3, 4, 5
 * Prints: the stream was run once, and gave 1 to 200
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeSqliteClient } from "effect-wire/node"
import { Idempotency } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { SqlClient } from "effect/sql"

class Shop extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.Int }).pipe(Idempotency.keyed),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }).pipe(Idempotency.keyed)
) {}

let runs = 0
const Handlers = Shop.toLayer(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE payment (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL)`.pipe(Effect.orDie)
  return {
    pay: ({ amount }) =>
      Effect.gen(function*() {
        const [row] = yield* sql<{ id: number }>`INSERT INTO payment (amount) VALUES (${amount}) RETURNING id`
        // long enough for the connection to be lost
        yield* Effect.sleep("20 millis")
        return row!.id
      }).pipe(Effect.orDie),
    count: ({ to }) =>
      Stream.suspend(() => {
        runs++
        return Stream.range(1, to).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sleep("1 millis")))
      })
  }
}))

// the answers are kept beside the payments: each payment and its answer are there together, or not at all
const Server = JsonRpcServer.layerSocketServer(Shop).pipe(
  Layer.provide([Handlers, Idempotency.layerSql()]),
  Layer.provideMerge(NodeSqliteClient.layer({ filename: ":memory:" })),
  Layer.provideMerge(MemorySocket.layer)
)

const program = Effect.gen(function*() {
  const memory = yield* MemorySocket.MemoryServer
  const sql = yield* SqlClient.SqlClient
  const connection = yield* JsonRpcClient.fromSocket(memory.connect({ cutAfter: 3 }), {
    reconnect: Schedule.spaced("10 millis"),
    whileDisconnected: "wait"
  })
  const shop = yield* JsonRpcClient.fromRemote(Shop, connection)

  const receipts = yield* Effect.forEach([10, 20, 30, 40, 50], (amount) => shop.pay({ amount }))
  const executed = yield* sql`SELECT * FROM payment`
  yield* Console.log(`payments executed: ${executed.length}, receipts: ${receipts.join(", ")}`)

  const numbers = yield* Stream.runCollect(shop.count({ to: 200 }))
  const isWhole = numbers.length === 200 && numbers.every((n, i) => n === i + 1)
  yield* Console.log(
    `the stream was run ${runs === 1 ? "once" : `${runs} times`}, and gave ${isWhole ? "1 to 200" : "less"}`
  )
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
