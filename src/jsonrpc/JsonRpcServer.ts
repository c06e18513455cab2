/**
 * Serves an `RpcGroup` to JSON-RPC 2.0 peers: over one socket, over a `SocketServer`, over an `HttpRouter` as WebSocket
 * and as HTTP POST. Handlers, middleware and annotations are Effect's own; the wire says what else the peers speak.
 *
 * Each request is a fiber of its connection's scope: the peer's cancel interrupts it, closing the connection interrupts
 * all of them, closing the server lets them finish for a while (5 s) and then interrupts them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as SocketModule from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import * as ClientHalf from "../rpc/internal/clientHalf.ts"
import * as RpcConnection from "../rpc/RpcConnection.ts"
import * as RpcMethods from "../rpc/RpcMethods.ts"
import * as ConnectionGroup from "../socket/ConnectionGroup.ts"
import type * as Reconnect from "../socket/Reconnect.ts"
import * as WebSocketRoute from "../socket/WebSocketRoute.ts"
import { Caller } from "./internal/caller.ts"
import { connect, type ConnectConfig, type Connected, type ConnectOptions, decodeOptions } from "./internal/connect.ts"
import * as Cors from "./internal/cors.ts"
import * as Post from "./internal/post.ts"
import { serving } from "./internal/serving.ts"
import { nameOn, type Wire } from "./internal/wireModel.ts"
import { CurrentClient, JsonRpcClients, type Registry } from "./JsonRpcClients.ts"
import * as JsonRpcRemote from "./JsonRpcRemote.ts"
import { standard } from "./wires/standard.ts"

/**
 * Options of a server.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ConnectOptions, ClientHalf.CallOptions {
  /** What its peers speak beyond the specification; default `Wire.standard`. */
  readonly wire?: Wire | undefined
  /** How long requests may go on when the server closes, before they are interrupted; default 5 s. */
  readonly drainTimeout?: Duration.Input | undefined
  /** Sends `traceparent` as a member of the requests that the server makes, for wires without room for it. */
  readonly traceContext?: boolean | undefined
}

export {
  /**
   * Annotates a procedure whose parameters may be one bare value, `"params": "x"`, in every wire; it stands for
   * `["x"]`.
   *
   * @category annotations
   * @since 0.1.0
   */
  ScalarParams
} from "./internal/scalar.ts"

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
 * Makes a function that serves the group on one socket until it closes. When it is interrupted, or the server that
 * carries it shuts down, further requests are refused, those under way may finish within `drainTimeout`, then what is left
 * is interrupted and the socket closed (1001). A method whose name the wire reserves is a defect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: Options = {}
): Effect.Effect<(socket: Socket.Socket) => Effect.Effect<void>, never, Requirements<Rpcs>> =>
  Effect.flatMap(
    RpcMethods.serve(group),
    (methods) => Effect.flatMap(registryOf, (registry) => fromMethods(methods, options, registry))
  )

/** The registry of one server, where the app wants one. */
const registryOf: Effect.Effect<Registry | undefined> = Effect.flatMap(
  Effect.serviceOption(JsonRpcClients),
  (clients) => Option.isNone(clients) ? Effect.succeed(undefined) : clients.value.server
)

const fromMethods = (
  methods: ReadonlyMap<string, RpcMethods.ServedMethod>,
  options: Options,
  registry: Registry | undefined
): Effect.Effect<(socket: Socket.Socket) => Effect.Effect<void>> =>
  Effect.gen(function*() {
    const wire = options.wire ?? standard
    const named = yield* onWire(wire, methods)
    const decode = decodeOptions(wire, options, named)
    const drainTimeout = options.drainTimeout ?? "5 seconds"
    const context = Context.omit(Scope.Scope)((yield* Effect.context<never>()) as Context.Context<Scope.Scope>)
    const config: ConnectConfig = {
      wire,
      options,
      methods: named,
      decode,
      decodeAnswers: { ...decode, expectsAnswers: true },
      access: Context.get(context, RpcConnection.MethodAccess),
      context,
      onNotification: undefined,
      serving,
      onFrame: undefined
    }

    const limits = {
      ...ClientHalf.limits(options, context, () => "the connection was closed"),
      wire,
      traceContext: options.traceContext === true
    }

    const serve = (caller: Caller, connected: Connected, own: Context.Context<never>) => {
      const { connection, outbox, session } = connected
      caller.attach(outbox)
      const client = JsonRpcRemote.ofConnection(caller, connection)
      connection.set(CurrentClient, client)
      let drained = false
      const drain = Effect.suspend(() => {
        drained = true
        connected.endpoint.refuse()
        return Effect.andThen(
          Effect.andThen(session?.idle ?? Effect.void, outbox.drained()),
          ConnectionGroup.farewell(outbox)
        )
      })
      const forget = ConnectionGroup.onShutdownUnsafe(
        own,
        Effect.suspend(() => Effect.asVoid(Effect.timeoutOption(Effect.provideContext(drain, context), drainTimeout)))
      )
      connected.onClose = () => {
        forget()
        caller.enter(ended)
      }
      // carriers that tell nobody of their end: the requests finish while answers and cancels are still read
      const run = Effect.onInterrupt(connected.read, () =>
        drained ? Effect.void : Effect.raceFirst(drain, Effect.ignore(connected.read)).pipe(
          Effect.timeoutOption(drainTimeout),
          Effect.andThen(Effect.timeoutOption(outbox.close(1001), "1 second"))
        ))
      return registry === undefined ? run : Effect.andThen(registry.register(client), run)
    }

    // What a connection holds while it is idle is what a server with many of them is made of: its context is that of the
    // server and two entries more, and nothing of the way here stays on its fiber.
    return (socket) =>
      Effect.contextWith((carrier: Context.Context<never>) => {
        const own = ConnectionGroup.inherit(carrier, context)
        const caller = new Caller(limits, dialling)
        return Effect.flatMap(connect(socket, config, caller), (connected) =>
          serve(caller, connected, own)).pipe(
            Effect.scoped,
            Effect.catch(lost),
            Effect.updateContext(() =>
              own
            )
          )
      })
  })

const dialling: Reconnect.Status = { _tag: "Dialling", attempt: 1 }
const ended: Reconnect.Status = { _tag: "Ended", cause: undefined }

const lost = (error: Socket.SocketError): Effect.Effect<void> =>
  error.reason._tag === "SocketCloseError"
    ? Effect.void
    : Effect.logDebug("a JSON-RPC connection was lost", error.reason._tag)

/**
 * The methods by the names that they have on a wire.
 *
 * @internal
 */
export const onWire = <Method extends RpcMethods.Method>(
  wire: Wire,
  methods: ReadonlyMap<string, Method>
): Effect.Effect<ReadonlyMap<string, Method>> => {
  const named = new Map<string, Method>()
  for (const method of methods.values()) {
    const name = nameOn(wire, method.rpc)
    if (wire.isReserved(name)) {
      return Effect.die(
        new Error(
          `the ${wire.name} wire reserves the method name "${name}" for itself: rename the procedure, or give it another name ` +
            `there, .annotate(Wire.Alias, { ${wire.name}: "…" })`
        )
      )
    }
    if (named.has(name)) return Effect.die(new Error(`two procedures are named "${name}" on the ${wire.name} wire`))
    named.set(name, method)
  }
  return Effect.succeed(named)
}

/**
 * Serves the group on the `Socket` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocket = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options?: Options
): Layer.Layer<never, never, Requirements<Rpcs> | Socket.Socket> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const run = yield* make(group, options)
    yield* Effect.forkScoped(run(yield* SocketModule.Socket))
  }))

/**
 * Serves the group to every connection of the `SocketServer` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSocketServer = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options?: Options
): Layer.Layer<never, never, Requirements<Rpcs> | SocketServer.SocketServer> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const run = yield* make(group, options)
    const server = yield* SocketServer.SocketServer
    yield* Effect.forkScoped(server.run(run))
  }))

/**
 * Options of a server on a route of an `HttpRouter`.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions extends Omit<Options, "drainTimeout">, WebSocketRoute.Options {
  readonly path: HttpRouter.PathInput
  /** Bytes of a POST body; default 1 MiB. Longer ones are answered 413 before they are read to the end. */
  readonly maxBodyBytes?: number | undefined
  /** How long a POST body may take to arrive; default 30 s, then 408. */
  readonly bodyTimeout?: Duration.Input | undefined
}

/**
 * Serves the group on a route of the `HttpRouter` in both ways: a WebSocket upgrade, and POST.
 *
 * **Details**
 *
 * POST takes one message or a batch as `application/json` (also `application/json-rpc` and `application/jsonrequest`) and
 * answers 200 with the answer, 204 where nothing is to be answered, 403 to a foreign `Origin`, 408 to a slow body, 413 to
 * a long one, 415 to another type. A request whose peer goes away is interrupted. There is no progress, and nobody can be
 * called back. Pages of the allowed origins may POST (CORS: the preflight is answered; cookies are not let through). A GET that asks for no WebSocket, and every other method, is answered 405.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: HttpOptions
): Layer.Layer<
  never,
  never,
  | Requirements<Rpcs>
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
> =>
  HttpRouter.use((router) =>
    Effect.gen(function*() {
      const wire = options.wire ?? standard
      const methods = yield* RpcMethods.serve(group)
      const registry = yield* registryOf
      const run = yield* fromMethods(methods, options, registry)
      const upgrade = yield* WebSocketRoute.make(run, {
        ...options,
        protocols: options.protocols ?? (wire.subprotocol === undefined ? undefined : [wire.subprotocol])
      }, wire.maxFrameSize)
      const post = yield* Post.make(yield* onWire(wire, methods), wire, options, registry?.adopt)
      yield* router.add("GET", options.path, Post.orNotAllowed(upgrade))
      yield* router.add("POST", options.path, Cors.readable(post, options.allowedOrigins))
      yield* router.add("OPTIONS", options.path, Cors.preflight(options.allowedOrigins))
      for (const method of ["PUT", "PATCH", "DELETE"] as const) {
        yield* router.add(method, options.path, Post.notAllowed)
      }
    })
  )
