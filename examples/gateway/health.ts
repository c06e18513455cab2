/** `GET /health`: what was checked, and whether it is well. 200 when all is, 503 when something is not. */
import { Clock, Effect } from "effect"
import { JsonRpcClients } from "effect-wire/jsonrpc"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Database from "./database.ts"

const isWell = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  check.pipe(
    Effect.timeout("2 seconds"),
    Effect.as("ok" as const),
    Effect.catchCause((cause) => Effect.as(Effect.logWarning("a health check failed", cause), "failed" as const))
  )

export const layer = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const clients = yield* JsonRpcClients.JsonRpcClients
    const database = isWell(
      yield* Effect.map(
        Effect.context<Effect.Services<typeof Database.check>>(),
        (context) => Effect.provideContext(Database.check, context)
      )
    )
    const health = Effect.gen(function*() {
      const checks = { database: yield* database }
      const isOk = Object.values(checks).every((check) => check === "ok")
      return yield* HttpServerResponse.json({
        status: isOk ? "ok" : "failing",
        checks,
        clients: (yield* clients.all).length,
        uptime: Math.round(((yield* Clock.currentTimeMillis) - startedAt) / 1000)
      }, { status: isOk ? 200 : 503, headers: { "cache-control": "no-store" } })
    })
    yield* router.add("GET", "/health", health)
  })
)
