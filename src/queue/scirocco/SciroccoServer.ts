/**
 * The Scirocco message queue over HTTP, as routes of an `HttpRouter`: what clients of eloylp/scirocco-server speak, with
 * extensions that they do not notice (waiting pulls, leases, keys, dead letters). The routes are in `PROTOCOLS.md`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { Budget } from "../../socket/Budget.ts"
import { MessageQueue } from "../MessageQueue.ts"
import { makeGate } from "./internal/gate.ts"
import { makeHandlers } from "./internal/handlers.ts"
import type { Options } from "./internal/serverModel.ts"

export type { Options } from "./internal/serverModel.ts"

type Handler = Effect.Effect<HttpServerResponse, never, HttpServerRequest>

/**
 * The handler of `GET /`, for an app that decides by itself who gets it.
 *
 * @category handlers
 * @since 0.1.0
 */
export const describe = (
  options: Options
): Effect.Effect<Effect.Effect<HttpServerResponse, never, HttpServerRequest>> =>
  Effect.map(makeGate(options), (gate) => gate(makeHandlers(options, undefined as never, undefined as never).describe))

/**
 * Adds the routes. Every request needs the token (403), but for `OPTIONS`; unknown routes are the router's.
 *
 * **Details**
 *
 * A pull whose client goes away is interrupted, and holds nothing. A client that goes away after its answer was sent holds
 * its message until the lease runs out.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<never, never, HttpRouter.HttpRouter | MessageQueue> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const router = yield* HttpRouter.HttpRouter
    const queue = yield* MessageQueue
    const gate = yield* makeGate(options)
    const handlers = makeHandlers(options, queue, yield* Budget)
    const routes: ReadonlyArray<readonly [path: HttpRouter.PathInput, methods: Record<string, Handler>]> = [
      ...(options.root === false ? [] : [["/", { GET: handlers.describe }] as const]),
      ["/messageQueue", { GET: handlers.pull, POST: handlers.push, HEAD: handlers.notAllowed }],
      ["/messageQueue/batch", { POST: handlers.pushBatch }],
      ["/messageQueue/ack", { PATCH: handlers.ackBatch }],
      ["/messageQueue/counts", { GET: handlers.counts }],
      ["/messageQueue/:id/ack", { PATCH: handlers.finish("ack") }],
      ["/messageQueue/:id/nack", { PATCH: handlers.finish("nack") }],
      ["/messageQueue/:id/reject", { PATCH: handlers.finish("reject") }],
      ["/messageQueue/:id/release", { PATCH: handlers.finish("release") }],
      ["/messageQueue/:id/extend", { PATCH: handlers.finish("extend") }],
      ["/messages", { GET: handlers.list, DELETE: handlers.removeAll }],
      ["/messages/redrive", { POST: handlers.redrive }],
      ["/messages/:id/reschedule", { POST: handlers.reschedule }],
      ["/messages/:id", { GET: handlers.get, PATCH: handlers.update, DELETE: handlers.remove }],
      ["/globalDataSpace", { DELETE: handlers.clear }]
    ]
    for (const [path, methods] of routes) {
      yield* router.addAll(
        Object.entries(methods).map(([method, handler]) => HttpRouter.route(method as "GET", path, gate(handler)))
      )
      const names = Object.keys(methods).filter((method) => methods[method] !== handlers.notAllowed)
      yield* router.addAll([HttpRouter.route("OPTIONS", path, handlers.options(names))])
    }
  }))
