/**
 * @internal The repository: messages in tables of SQLite or PostgreSQL (`sqlSchema`).
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { invalid, type MessageQueueError } from "../MessageQueueError.ts"
import { makePostgresStore } from "./postgresStore.ts"
import { unavailable } from "./sqliteSession.ts"
import { makeSqliteStore } from "./sqliteStore.ts"
import { isPrefix, migrations } from "./sqlSchema.ts"
import type { Store } from "./store.ts"

export const makeSqlStore = Effect.fnUntraced(function*(
  client: SqlClient.SqlClient,
  options: { readonly prefix: string; readonly migrate: boolean }
): Effect.fn.Return<Store, MessageQueueError> {
  const p = options.prefix
  if (!isPrefix(p)) return yield* invalid("prefix", "is not 1 to 31 lower-case letters, digits and underscores")
  const sql = client.withoutTransforms()
  if (options.migrate) {
    yield* migrations(sql, p).pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.mapError(unavailable("migrate"))
    )
  }
  return yield* Effect.mapError(
    sql.onDialectOrElse({ pg: () => makePostgresStore(sql, p), orElse: () => makeSqliteStore(sql, p) }),
    unavailable("open")
  )
})
