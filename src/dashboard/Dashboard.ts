/**
 * A page for the people who run an app, mounted by the app on its own contract, topics, states and queues: methods with
 * forms made from their schemas, progress and cancel; what each method does in numbers; topics with what was published;
 * states as trees; queues; connections; the last errors; frames as they go by.
 *
 * It shows what is there: services of this package that are in the environment of {@link layerHttp} are found by
 * themselves. It keeps nothing on a disk, asks nothing of elsewhere, and is no place for what must be kept: figures are of
 * this process, since its start, and gone with it.
 *
 * **Example** (On an app)
 *
 * ```ts
 * const Routes = Layer.mergeAll(
 *   JsonRpcServer.layerHttp(Contract, { path: "/rpc" }),
 *   Dashboard.layerHttp(Contract, { path: "/dashboard", topics, states: { panel } })
 * ).pipe(
 *   Layer.provide([Handlers, JsonRpcClients.layer, MessageQueue.layerSql()]),
 *   Layer.provide(Dashboard.layerErrors)
 * )
 * ```
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Access from "../identity/Access.ts"
import * as Identity from "../identity/Identity.ts"
import * as JsonRpcClients from "../jsonrpc/JsonRpcClients.ts"
import * as JsonRpcServer from "../jsonrpc/JsonRpcServer.ts"
import { rockets } from "../jsonrpc/wires/rockets.ts"
import type { ReadableState } from "../juggler/JugglerState.ts"
import type { MessageQueue } from "../queue/MessageQueue.ts"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import type * as WebSocketRoute from "../socket/WebSocketRoute.ts"
import type * as Topic from "../topics/Topic.ts"
import { DashboardMethods, open, prefix } from "./internal/contract.ts"
import * as Errors from "./internal/errors.ts"
import * as Handlers from "./internal/handlers.ts"
import { isLocal } from "./internal/local.ts"
import * as Page from "./internal/page.ts"

/**
 * What the page shows, and to whom.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options extends WebSocketRoute.Options {
  /**
   * Where the page is; default `/dashboard`. What it loads and its connection are below (`/dashboard/page.js`, `page.css`,
   * `rpc`), also where the page itself is at `/`.
   */
  readonly path?: HttpRouter.PathInput | undefined
  /** What stands at the top of the page; default `dashboard`. */
  readonly title?: string | undefined
  /**
   * Topics that are shown, by the `Topics` of the environment; default those that the contract is annotated with
   * (`Topic.Published`). A caller sees those that it may subscribe to.
   */
  readonly topics?: Topic.Group<Topic.Any> | undefined
  /** States that are shown, by the names that people shall read; they are not written. Default none. */
  readonly states?: Readonly<Record<string, ReadableState<any>>> | undefined
  /** Queues, by the names that people shall read; default the `MessageQueue` of the environment, named `queue`. */
  readonly queues?: Readonly<Record<string, MessageQueue["Service"]>> | undefined
  /**
   * The permission that an identity needs, by `Identity.hasPermissions`; default `dashboard`. Superusers have it. Who the
   * caller is the `Authenticator` of the environment says, by the handshake or when somebody signs in on the page.
   */
  readonly permission?: string | undefined
  /**
   * Whether who connects from the machine itself needs no identity; default `true`. A connection counts as such when its
   * address is loopback, the `Host` that it asked for is too, and no header says that a proxy passed it on.
   *
   * **Gotchas**
   *
   * A proxy on the same machine that hides all of this makes everybody look local: say `false` behind one.
   */
  readonly loopback?: boolean | undefined
  /** The answer to a request for the page that does not accept HTML; default the page. For a path that serves programs as well. */
  readonly otherwise?:
    | Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      never,
      HttpServerRequest.HttpServerRequest
    >
    | undefined
}

/**
 * Keeps the last 200 errors of the log, with their causes (8,192 characters of each) and the correlation ids that callers
 * were told, for the dashboard. Provide it below all that shall be heard, above the layer of the loggers, which it leaves
 * as they are.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerErrors: Layer.Layer<never> = Layer.effectContext(Errors.make)

/** Asks before the rules of the app's methods whether the caller may see anything here. */
const layerAccess = (may: (connection: RpcConnection.Connection, now: number) => boolean) =>
  Layer.effect(RpcConnection.MethodAccess)(
    Effect.gen(function*() {
      const inherited = yield* RpcConnection.MethodAccess
      const clock = yield* Clock.Clock
      return (rpc: Rpc.AnyWithProps, connection: RpcConnection.Connection) =>
        open.has(rpc._tag) ||
        (may(connection, clock.currentTimeMillisUnsafe()) &&
          (rpc._tag.startsWith(prefix) || inherited(rpc, connection)))
    })
  )

/**
 * Mounts the page on the `HttpRouter`, with a connection of its own on which the handlers of the environment serve
 * `contract` to it: what a caller may not use by the rules of the app it may not use here.
 *
 * **Details**
 *
 * Who comes from the machine itself is let in ({@link Options.loopback}); everybody else needs an identity with
 * {@link Options.permission}, and until then every method but those of signing in is unknown. Pages of other origins are
 * refused. The page carries no secret, and none goes into a URL or is kept by the browser.
 *
 * What is in the environment is shown: `Topics`, `MessageQueue`, `JsonRpcClients` and `JugglerClients` (give them to the
 * dashboard and to the servers alike), `Wiretap`, the errors of {@link layerErrors}. The methods of the contract must not
 * begin with `dashboard.`.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerHttp = <Rpcs extends Rpc.Any>(
  contract: RpcGroup.RpcGroup<Rpcs>,
  options: Options = {}
): Layer.Layer<
  never,
  never,
  | JsonRpcServer.Requirements<Rpcs>
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
> => {
  const path = options.path ?? "/dashboard"
  const base = (path === "/" ? "/dashboard" : path) as `/${string}`
  const permission = options.permission ?? "dashboard"
  const loopback = options.loopback ?? true
  const may = (connection: RpcConnection.Connection, now: number): boolean => {
    const identity = Access.identityAt(connection, now)
    return (identity !== undefined && Identity.hasPermissions(identity, [permission])) ||
      (loopback && isLocal(connection.handshake))
  }
  const title = options.title ?? "dashboard"
  const own = Layer.effect(Handlers.OwnClients, JsonRpcClients.make)
  const server = JsonRpcServer.layerHttp(contract.merge(DashboardMethods), {
    ...options,
    path: `${base}/rpc`,
    wire: rockets
  }).pipe(
    Layer.provide(layerAccess(may)),
    Layer.provide(Layer.effect(JsonRpcClients.JsonRpcClients, Handlers.OwnClients)),
    Layer.provide(Handlers.layer(contract, { ...options, title, permission, path: `${base}/rpc`, may })),
    Layer.provide(own)
  )
  const page = Page.page({ title, path, base })
  const files = HttpRouter.use((router) =>
    Effect.gen(function*() {
      yield* router.add("GET", `${base}/page.css`, Effect.succeed(Page.style))
      yield* router.add("GET", `${base}/page.js`, Page.script)
      yield* router.add(
        "GET",
        path,
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
          options.otherwise === undefined || (request.headers["accept"] ?? "").includes("text/html")
            ? Effect.succeed(page)
            : options.otherwise)
      )
    })
  )
  return Layer.merge(server, files) as never
}
