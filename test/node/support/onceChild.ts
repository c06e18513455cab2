/**
 * A server of payments that is killed again and again. Arguments: its port, and the database: a file of SQLite or an address of
 * PostgreSQL.
 */
import { NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { JsonRpcServer } from "../../../src/jsonrpc/index.ts"
import { NodeSqliteClient, NodeWebSocketServer } from "../../../src/node/index.ts"
import { Idempotency } from "../../../src/rpc/index.ts"
import { Payments } from "./payments.ts"

const [port, database] = process.argv.slice(2)
const Database: Layer.Layer<SqlClient.SqlClient, unknown> = database!.startsWith("postgres:")
  ? PgClient.layer({ url: Redacted.make(database!), maxConnections: 16 })
  : NodeSqliteClient.layer({ filename: database! })

const Handlers = Payments.toLayer(Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS payment (amount INTEGER NOT NULL)`
  return {
    pay: ({ amount }) =>
      Effect.gen(function*() {
        yield* Effect.sleep("3 millis")
        yield* sql`INSERT INTO payment (amount) VALUES (${amount})`
        yield* Effect.sleep("3 millis")
        return amount
      }).pipe(Effect.orDie)
  }
}))

JsonRpcServer.layerSocketServer(Payments).pipe(
  Layer.provide([Handlers, Idempotency.layerSql()]),
  Layer.provide(NodeWebSocketServer.layer({ port: Number(port) })),
  Layer.provide(Database),
  Layer.launch,
  NodeRuntime.runMain
)
