/**
 * The Scirocco message queue over HTTP, as routes of an `HttpRouter`: what clients of eloylp/scirocco-server speak, with
 * extensions that they do not notice (waiting pulls, leases, keys, dead letters). The routes are in `PROTOCOLS.md`.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { MessageQueue } from "../MessageQueue.ts"
import { makeGate } from "./internal/gate.ts"
import { makeHandlers } from "./internal/handlers.ts"

/**
 * How the server answers, and what it refuses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The master token: who shows it, bare or as `Bearer`, may do everything. */
  readonly token: Redacted.Redacted
  /** Asked when the token is another one: whether this request is allowed all the same, e.g. by an `Authenticator`. */
  readonly authorize?: ((request: HttpServerRequest) => Effect.Effect<boolean>) | undefined
  /** Most bytes of a body. Default: JSON and text 102,400, binary 1,024,000. Over it: 413. */
  readonly limits?: {
    readonly json?: number | undefined
    readonly text?: number | undefined
    readonly binary?: number | undefined
    /** A whole `POST /messageQueue/batch` or `PATCH /messageQueue/ack`, of at most 1,000 entries. Default 8,388,608. */
    readonly batch?: number | undefined
  } | undefined
  /** Most messages of one list. Default 100, at most 1,000. */
  readonly maxList?: number | undefined
  /** The longest that `?wait=` may make a pull wait. Default 60 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** How long a body may take to arrive. Default 10 seconds. Over it: 408. */
  readonly bodyTimeout?: Duration.Input | undefined
  /** Whether `GET /` describes the service. Default `true`; `false` where the app has a page there: see {@link describe}. */
  readonly root?: boolean | undefined
  /** What `GET /` says. */
  readonly description?: {
    readonly name?: string | undefined
    readonly author?: string | undefined
    readonly source?: string | undefined
  } | undefined
}

type Handler = Effect.Effect<HttpServerResponse, never, HttpServerRequest>

/**
 * The handler of `GET /`, for an app that decides by itself who gets it.
 *
 * @category handlers
 * @since 0.1.0
 */
export const describe = (options: Options): Effect.Effect<Handler> =>
  Effect.map(makeGate(options), (gate) => gate(makeHandlers(options, undefined as never).describe))

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
    const handlers = makeHandlers(options, queue)
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
