/**
 * Serves Juggler: a state that the clients follow, an `RpcGroup` that they call, and whatever the application does with a
 * connection, over one socket, a `SocketServer`, or a route of an `HttpRouter`. The generation is a value, so the same
 * state and the same handlers serve all three at once.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketModule from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as BasicAuth from "../identity/BasicAuth.ts"
import * as RpcMethods from "../rpc/RpcMethods.ts"
import * as ConnectionGroup from "../socket/ConnectionGroup.ts"
import * as WebSocketRoute from "../socket/WebSocketRoute.ts"
import * as Peer from "./internal/peer.ts"
import type * as PeerModel from "./internal/peerModel.ts"
import * as Sharing from "./internal/sharing.ts"
import { Views } from "./internal/views.ts"
import type { JsonPatchError } from "./JsonPatch.ts"
import type { Json } from "./JsonPointer.ts"
import { JugglerClients } from "./JugglerClients.ts"
import type { JugglerConnection } from "./JugglerConnection.ts"
import type { JugglerError } from "./JugglerError.ts"
import * as JugglerGeneration from "./JugglerGeneration.ts"
import * as JugglerState from "./JugglerState.ts"
import type * as JugglerView from "./JugglerView.ts"

/**
 * Options of a server. `R` is what the functions among them need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> extends PeerModel.PeerOptions {
  /** What the clients speak; default generation 0.7. */
  readonly generation?: JugglerGeneration.Generation | undefined
  /**
   * The state that every connection is shown: there is one copy of it, and one change is written once for all. By default
   * each connection has data of its own, `null` at first.
   */
  readonly state?: JugglerState.ReadableState<any> | undefined
  /**
   * What the connections are shown instead of the state itself, or what each is shown; connections with the same view share
   * it. A view is not written to: what a connection sets is overwritten by the next change.
   */
  readonly view?: JugglerView.View | ((connection: JugglerConnection) => JugglerView.View) | undefined
  /** Runs for each connection, in its scope, until it closes. A failure closes the connection (1011). */
  readonly onConnection?:
    | ((connection: JugglerConnection) => Effect.Effect<unknown, unknown, R | Scope.Scope>)
    | undefined
  /** Answers calls that no procedure of the group answers; by default they fail. A failure's text is sent. */
  readonly defaultAction?: ((name: string, data: Json) => Effect.Effect<Json, unknown, R>) | undefined
  /** How long requests may go on when the server closes, before they are interrupted; default 5 s. */
  readonly drainTimeout?: Duration.Input | undefined
}

/**
 * What a group needs to be served.
 *
 * @category models
 * @since 0.1.0
 */
export type Requirements<Rpcs extends Rpc.Any> =
  | Rpc.ToHandler<Rpcs>
  | Rpc.Middleware<Rpcs>
  | Rpc.ServicesServer<Rpcs>

/**
 * Makes a function that serves one socket until it closes. Requests are fibers of the connection: they are interrupted
 * when it closes, and may finish within `drainTimeout` when the server does (then 1001). A peer that breaks the protocol
 * is closed with a code that says how; other connections do not notice.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any = never, R = never>(
  group: RpcGroup.RpcGroup<Rpcs> | undefined,
  options: Options<R> = {}
): Effect.Effect<
  (socket: Socket.Socket) => Effect.Effect<void>,
  never,
  Requirements<Rpcs> | Exclude<R, Scope.Scope>
> =>
  Effect.gen(function*() {
    const methods = yield* RpcMethods.serve(group ?? RpcGroup.make() as unknown as RpcGroup.RpcGroup<Rpcs>)
    const clients = yield* Effect.serviceOption(JugglerClients)
    const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
    const { onConnection, state, view } = options
    const views = state === undefined || view === undefined ? undefined : new Views(
      JugglerState.storeOf(state),
      Sharing.make<Json, Json>(Schema.Json),
      Peer.delayOf(options.autoflush),
      Effect.runForkWith(context as Context.Context<never>)
    )
    const shared = views === undefined ? state : undefined
    const config: PeerModel.PeerConfig = {
      generation: options.generation ?? JugglerGeneration.v07,
      role: "server",
      options,
      methods,
      defaultAction: options.defaultAction === undefined
        ? undefined
        : (name, data) =>
          Effect.provideContext(options.defaultAction!(name, data) as Effect.Effect<Json, unknown>, context),
      local: shared as JugglerState.JugglerState<any, any> | undefined,
      show: views === undefined
        ? undefined
        : (connection, onFault) => views.show(typeof view === "function" ? view(connection) : view!, onFault),
      remote: undefined,
      caller: undefined,
      onNotify: undefined,
      onState: undefined
    }
    const drainTimeout = options.drainTimeout ?? "5 seconds"
    return (socket: Socket.Socket) =>
      Effect.scoped(Effect.gen(function*() {
        const peer = yield* Peer.open(socket, config)
        if (Option.isSome(clients)) yield* clients.value.register(peer)
        if (onConnection !== undefined) {
          yield* Effect.forkScoped(Effect.catchCause(onConnection(peer), (cause) =>
            Effect.andThen(
              Effect.logError("the handler of a Juggler connection failed", cause),
              peer.close(1011)
            )))
        }
        let drained = false
        const drain = Effect.suspend(() => {
          drained = true
          peer.refuse()
          return Effect.andThen(
            Effect.andThen(peer.session.idle, peer.outbox.drained()),
            ConnectionGroup.farewell(peer.outbox)
          )
        })
        yield* ConnectionGroup.onShutdown(Effect.asVoid(Effect.timeoutOption(drain, drainTimeout)))
        // what came before the end is still there to be taken by `onConnection`, for a moment
        const read = onConnection === undefined
          ? peer.read
          : Effect.onError(peer.read, (cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.suspend(() => {
              peer.end("the connection was closed")
              return Effect.asVoid(Effect.timeoutOption(peer.allTaken, "1 second"))
            }))
        // carriers that tell nobody of their end: the requests finish while the peer is still read
        return yield* Effect.onInterrupt(read, () =>
          drained ? Effect.void : Effect.raceFirst(drain, Effect.ignore(peer.read)).pipe(
            Effect.timeoutOption(drainTimeout),
            Effect.andThen(Effect.timeoutOption(peer.outbox.close(1001), "1 second"))
          ))
      }) as Effect.Effect<
        never,
        JugglerError | JsonPatchError | Socket.SocketError,
        Exclude<R, Scope.Scope> | Scope.Scope
      >)
        .pipe(
          Effect.catch((error) => Effect.logDebug("a Juggler connection ended", error.message)),
          Effect.updateContext((own: Context.Context<never>) =>
            Context.merge(context, own)
          )
        )
  })

/**
 * Serves the `Socket` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = <Rpcs extends Rpc.Any = never, R = never>(
  group: RpcGroup.RpcGroup<Rpcs> | undefined,
  options?: Options<R>
): Layer.Layer<never, never, Requirements<Rpcs> | Exclude<R, Scope.Scope> | Socket.Socket> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const run = yield* make(group, options)
    yield* Effect.forkScoped(run(yield* SocketModule.Socket))
  }))

/**
 * Serves every connection of the `SocketServer` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocketServer = <Rpcs extends Rpc.Any = never, R = never>(
  group: RpcGroup.RpcGroup<Rpcs> | undefined,
  options?: Options<R>
): Layer.Layer<never, never, Requirements<Rpcs> | Exclude<R, Scope.Scope> | SocketServer.SocketServer> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const run = yield* make(group, options)
    const server = yield* SocketServer.SocketServer
    yield* Effect.forkScoped(server.run(run))
  }))

/** Bytes of one message where neither the route nor the server says: what the servers of the other generations take. */
const maxFrameSize = 4 * 1024 * 1024

/**
 * Options of a server on a route of an `HttpRouter`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions<R = never> extends Omit<Options<R>, "drainTimeout">, WebSocketRoute.Options {
  /** Default `/ws`, where the clients of all generations look for it. */
  readonly path?: HttpRouter.PathInput | undefined
  /** Asks for name and password before the upgrade. */
  readonly basicAuth?: BasicAuth.Options | undefined
}

/**
 * Serves a route of the `HttpRouter`. Additional routes are additional layers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = <Rpcs extends Rpc.Any = never, R = never>(
  group: RpcGroup.RpcGroup<Rpcs> | undefined,
  options: HttpOptions<R> = {}
): Layer.Layer<
  never,
  never,
  | Requirements<Rpcs>
  | Exclude<R, Scope.Scope>
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const run = yield* make(group, options)
      const handle = yield* WebSocketRoute.make(run, options, maxFrameSize)
      yield* router.add(
        "*",
        options.path ?? "/ws",
        options.basicAuth === undefined ? handle : BasicAuth.guard(handle, options.basicAuth)
      )
    })
  )
