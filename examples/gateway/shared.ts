/** What several gateways share: on PostgreSQL they serve as one; on SQLite this one is alone. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option } from "effect"
import { Backplane } from "effect-wire/backplane"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"

/** Where the database is PostgreSQL, its client. */
export const postgres = Effect.serviceOption(PgClient.PgClient)

export const layer = Layer.unwrap(Effect.map(
  postgres,
  Option.match({
    onNone: () => Backplane.layerMemory,
    onSome: (sql) => NodePostgresBackplane.layer().pipe(Layer.provide(Layer.succeed(PgClient.PgClient, sql)))
  })
))
