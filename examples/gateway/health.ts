/**
 * `GET /health`: what was checked, and whether it is well. 200 when all is, 503 when something is not. The queue is well when a
 * message can be pushed, and removed again: a full disk answers reads for a long time. It is tried once a second at most,
 * however many ask.
 */
import { Clock, Effect } from "effect"
import { JsonRpcClients } from "effect-wire/jsonrpc"
import { Message, MessageQueue } from "effect-wire/queue"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as Database from "./database.ts"

const isWell = <A, E, R>(check: Effect.Effect<A, E, R>) =>
  check.pipe(
    Effect.timeout("2 seconds"),
    Effect.as("ok" as const),
    Effect.catchCause((cause) => Effect.as(Effect.logWarning("a health check failed", cause), "failed" as const))
  )

/** A message so large that it does not fit into what is free inside of the files of a full disk. */
const trial = "Is all well? ".repeat(4096)

/** A queue that is nobody's: no node of the Scirocco wire can have such a name. */
const probe = "gateway.health"

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
    const messages = yield* MessageQueue.MessageQueue
    const queue = yield* Effect.cachedWithTTL(
      isWell(Effect.gen(function*() {
        // what an earlier try left behind goes too
        yield* messages.push(probe, Message.text(trial), { source: probe })
        yield* messages.removeAll({ node: probe })
      })),
      "1 second"
    )
    const health = Effect.gen(function*() {
      const checks = { database: yield* database, queue: yield* queue }
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
