/**
 * The gateway's queue: Scirocco over HTTP, on the gateway's database. On PostgreSQL several gateways share one queue, and
 * wake one another's waiting pulls.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Option, type Redacted } from "effect"
import * as NodePostgresQueueSignal from "effect-wire/node/NodePostgresQueueSignal"
import { MessageQueue, SciroccoServer } from "effect-wire/queue"

/** Where the database is PostgreSQL, the hint between processes. */
const signal = Layer.unwrap(Effect.map(
  Effect.serviceOption(PgClient.PgClient),
  Option.match({
    onNone: () => Layer.empty,
    onSome: (sql) => NodePostgresQueueSignal.layer().pipe(Layer.provide(Layer.succeed(PgClient.PgClient, sql)))
  })
))

/** The queue on the `SqlClient` of the environment, SQLite or PostgreSQL. */
export const layer = MessageQueue.layerSql().pipe(Layer.provide(signal))

/** `/messageQueue…`, `/messages…`, `/globalDataSpace`, for the bearer of the master token. */
export const routes = (token: Redacted.Redacted) => SciroccoServer.layer({ token, root: false })

/** The handler of `GET /` for everybody who does not ask for HTML; the page is beside it. */
export const description = (token: Redacted.Redacted) => SciroccoServer.describe({ token })
