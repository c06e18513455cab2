/**
 * Follows a Juggler server: its state as typed values, its procedures as a typed client, its notifications as a stream; in
 * generation 0.5 also data of its own, messages, and actions that the server may call. When the connection is lost it
 * dials again: the state of the new connection starts from `null` by the protocol, but what is seen here goes from the
 * last known value to the first of the new connection.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as ClientHalf from "../rpc/internal/clientHalf.ts"
import * as RpcMethods from "../rpc/RpcMethods.ts"
import { addressOf } from "../socket/internal/describe.ts"
import { openError, readError } from "../socket/internal/socketErrors.ts"
import type * as Reconnect from "../socket/Reconnect.ts"
import { Caller } from "./internal/caller.ts"
import { misfit } from "./internal/calls.ts"
import { predicting } from "./internal/optimistic.ts"
import * as Peer from "./internal/peer.ts"
import type * as PeerModel from "./internal/peerModel.ts"
import { Replica } from "./internal/replica.ts"
import { selection } from "./internal/selection.ts"
import * as Sharing from "./internal/sharing.ts"
import { Store } from "./internal/store.ts"
import { typed } from "./internal/typedClient.ts"
import * as JsonPatch from "./JsonPatch.ts"
import type { Json } from "./JsonPointer.ts"
import type { JugglerConnection } from "./JugglerConnection.ts"
import * as JugglerError from "./JugglerError.ts"
import * as JugglerGeneration from "./JugglerGeneration.ts"
import * as JugglerState from "./JugglerState.ts"

/**
 * The notifications that a server may send, each with the schema of its data.
 *
 * @category models
 * @since 0.1.0
 */
export type Notifications = { readonly [name: string]: Schema.Codec<any, any> }

/**
 * A notification of the server.
 *
 * @category models
 * @since 0.1.0
 */
export type Notification<N extends Notifications> = {
  [K in keyof N & string]: { readonly name: K; readonly data: N[K]["Type"] }
}[keyof N & string]

/**
 * Options of a client. All schemas and groups are optional; without them there is JSON.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A, Requests extends Rpc.Any, N extends Notifications, I = any>
  extends PeerModel.PeerOptions, ClientHalf.ConnectionOptions
{
  /** What the server speaks; default generation 0.7. */
  readonly generation?: JugglerGeneration.Generation | undefined
  /** The state of the server; by default any JSON. */
  readonly state?: Schema.Codec<A, I> | undefined
  /**
   * What this end holds of the state already, from an earlier run: the state is that until the server says something, and a
   * server of ours that still knows the position sends what was missed since then, instead of everything (0.7).
   */
  readonly holding?: Held | undefined
  /** The procedures of the server: requests by name, actions in 0.5. */
  readonly requests?: RpcGroup.RpcGroup<Requests> | undefined
  /** What the server notifies of. Other notifications are dropped. */
  readonly notifications?: N | undefined
  /** Data that this end shows the server (0.5); by default the client's own, `null` at first. It survives reconnection. */
  readonly local?: JugglerState.JugglerState<any, any> | undefined
  /** Answers calls of the server that {@link Options.serves} does not (0.5). */
  readonly defaultAction?: ((name: string, data: Json) => Effect.Effect<Json, unknown>) | undefined
  /** The actions of this end that the server may call (0.5), with handlers from {@link serving}. */
  readonly serves?: Serving | undefined
}

/**
 * A state of a server as it was once, to be kept between two runs of a client: `value` from `state.json`, the rest from
 * `position`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Held {
  /** Frozen by the client. */
  readonly value: Json
  /** Where it stands. Absent: the server sends everything, and what is equal stays what it is. */
  readonly position?: Position | undefined
}

/**
 * Where a state of a server stands.
 *
 * @category models
 * @since 0.2.0
 */
export interface Position {
  /** Names the run of versions. */
  readonly epoch: string
  /** Counts the commits. */
  readonly version: number
}

/**
 * Procedures with their handlers; see {@link serving}.
 *
 * @category models
 * @since 0.1.0
 */
export type Serving = ReadonlyMap<string, RpcMethods.ServedMethod>

/**
 * Takes the handlers of a group from the environment, for a client that is called by its server (0.5).
 *
 * @category constructors
 * @since 0.1.0
 */
export const serving = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>
): Effect.Effect<Serving, never, Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>> =>
  RpcMethods.serve(group)

/**
 * A client. Calls that are made while there is no connection fail or wait, as `whileDisconnected` says; messages and
 * flushes fail with `ConnectionError` then.
 *
 * @category models
 * @since 0.1.0
 */
export interface JugglerClient<A, Requests extends Rpc.Any, N extends Notifications, I = any> {
  /**
   * The state of the server. With a schema, `get` and `changes` wait for the first state; without one it is `null` until
   * then. It keeps its last value while there is no connection. A server of ours can show it to clients of its own.
   */
  readonly state: JugglerState.ReadableState<A>
  /**
   * Where the state stands, if the server tells (ours, 0.7), and no guess is shown: with `state.json` it is what another run
   * may be {@link Options.holding}.
   */
  readonly position: Effect.Effect<Position | undefined>
  /** The procedures of the server. */
  readonly requests: RpcClient.RpcClient<Requests, JugglerError.JugglerError>
  /** The server's notifications from now on; of those that are read too slowly the newest 1,024 are kept. */
  readonly notifications: Stream.Stream<Notification<N>>
  /**
   * Shows at once what a request is expected to come to. The recipe writes to the state as this client sees it, before the
   * server has said anything; whenever the server does, it runs again on that. The guess goes with the state that shows what
   * the server made of the request (told by version, see PROTOCOLS.md, "Juggler: resume"; of other servers with the next
   * state, or after a second), or when the effect fails or is interrupted: then the state is as if nothing had been guessed.
   *
   * A recipe that throws, or whose changes do not fit what is there, shows nothing, until it does. So may it be run often,
   * and should do nothing but write to its draft. 1,024 guesses are shown at once; more are not shown.
   *
   * **Example** (A counter that does not wait)
   *
   * ```ts
   * yield* panel.requests.increment({ by: 1 }).pipe(panel.predict((draft) => { draft.counter += 1 }))
   * ```
   */
  readonly predict: (
    recipe: (draft: JugglerState.Draft<I>) => void
  ) => <B, E, R>(request: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
  /** Calls a procedure without a contract. */
  readonly call: (name: string, data: Json) => Effect.Effect<Json, JugglerError.JugglerError>
  /** Asks the server for nothing and waits for the answer; fails when the connection does (0.6 and 0.7). */
  readonly ping: Effect.Effect<void, JugglerError.JugglerError>
  /** The data that this end shows (0.5). */
  readonly local: JugglerState.JugglerState<Json, any>
  /** Sends what is pending of the local data; completes when it is written (0.5). */
  readonly flush: Effect.Effect<void, JugglerError.JugglerError>
  /** Sends a message (0.5). */
  readonly send: (payload: Json) => Effect.Effect<void, JugglerError.JugglerError>
  /** Messages of the server, in order, over all connections (0.5); each is given to one reader. */
  readonly messages: Stream.Stream<Json>
  /** How the connection stands, now and from now on. */
  readonly status: Stream.Stream<Reconnect.Status>
  /** Connects where the client is lazy; completes when a connection is open; fails as a call would that is made now. */
  readonly connect: Effect.Effect<void, JugglerError.JugglerError>
  /** Whether there is a connection. */
  readonly connected: Effect.Effect<boolean>
  /** Closes the connection, which is then dialled again if {@link Options.reconnect} says so. */
  readonly redial: Effect.Effect<void>
  /** Closes the connection for good. */
  readonly disconnect: Effect.Effect<void>
}

/**
 * Makes a client on a socket, whose every reader is a new connection. It dials at once, and dials again until the scope
 * closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSocket = <A = Json, Requests extends Rpc.Any = never, N extends Notifications = {}, I = any>(
  socket: Socket.Socket,
  options: Options<A, Requests, N, I> = {}
): Effect.Effect<
  JugglerClient<A, Requests, N, I>,
  never,
  Scope.Scope | Rpc.MiddlewareClient<Requests>
> =>
  Effect.gen(function*() {
    const generation = options.generation ?? JugglerGeneration.v07
    const limits = { ...JsonPatch.defaultLimits, ...options.limits }
    const store = new Store(null, limits)
    const replica = new Replica(store)
    const first = yield* Deferred.make<void>()
    if (options.holding !== undefined) {
      const { position, value } = options.holding
      const error = replica.begin(value, position)
      if (error === undefined) yield* Deferred.succeed(first, undefined)
      else yield* Effect.logWarning("a Juggler client cannot begin with what it holds", error.message)
    }
    const local = options.local ?? (yield* Effect.orDie(JugglerState.makeJson(null, options.limits)))
    const address = addressOf(socket)
    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>()) as Context.Context<never>
    const caller = new Caller(
      ClientHalf.limits(options, context, ClientHalf.reason(address)),
      options.connect === "lazy" ? { _tag: "Idle" } : { _tag: "Dialling", attempt: 1 }
    )
    const notified = yield* PubSub.sliding<{ readonly name: string; readonly data: unknown }>(1_024)
    const decoders = new Map(
      Object.entries(options.notifications ?? {}).map(([name, schema]) => [
        name,
        Schema.decodeUnknownExit(Schema.toCodecJson(schema) as Schema.Codec<unknown, unknown>)
      ])
    )
    let current: PeerModel.Peer | undefined
    const config: PeerModel.PeerConfig = {
      generation,
      role: "client",
      options,
      methods: options.serves ?? new Map(),
      defaultAction: options.defaultAction,
      local,
      show: undefined,
      remote: replica,
      caller,
      onState: () => Deferred.doneUnsafe(first, Effect.void),
      onNotify: (name, data) => {
        const exit = decoders.get(name)?.(data)
        if (exit?._tag === "Success") PubSub.publishUnsafe(notified, { name, data: exit.value })
      }
    }
    const messages = yield* Effect.acquireRelease(
      Queue.bounded<Json, Cause.Done>(options.maxMessages ?? 1_024),
      (queue) => Queue.end(queue)
    )

    const half = yield* ClientHalf.run(caller, {
      ...options,
      address,
      open: Effect.gen(function*() {
        const peer = yield* Effect.mapError(Peer.open(socket, config), inSocket(openError))
        current = peer
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            current = undefined
          })
        )
        yield* Effect.forkScoped(Stream.runForEach(peer.messages, (message) => Queue.offer(messages, message)))
        return { read: Effect.mapError(peer.read, inSocket(readError)), close: peer.outbox.close(1000) }
      })
    })

    const withPeer = <B, E>(use: (peer: JugglerConnection) => Effect.Effect<B, E>) =>
      Effect.suspend((): Effect.Effect<B, E | JugglerError.JugglerError> =>
        current === undefined
          ? Effect.fail(JugglerError.closed(caller.limits.describe(caller.status), { kind: "Offline" }))
          : use(current)
      )
    const segmentSize = options.segmentSize ?? JugglerGeneration.defaultSegmentSize
    const encode = (message: JugglerGeneration.Message) => generation.encode(message, segmentSize)
    const call = (name: string, data: Json) => misfit(data) ?? caller.request(encode, name, data)
    const sharing = options.state === undefined
      ? Sharing.make<any, any>(Schema.Json)
      : Sharing.make(options.state)
    const state = JugglerState.readable<A>(store, sharing)
    const gate = options.state === undefined ? Effect.void : Deferred.await(first)
    return {
      state: JugglerState.register({
        ...state,
        get: Effect.andThen(gate, state.get),
        changes: JugglerState.withHolding(
          Stream.unwrap(Effect.as(gate, state.changes)),
          (value) => Stream.unwrap(Effect.as(gate, state.changes.holding(value)))
        ),
        select: ((part: any) => {
          const selected = state.select(part)
          return selection(Stream.unwrap(Effect.as(gate, selected)), {
            subscribe: selected.subscribe,
            getSnapshot: () => options.state === undefined || replica.isKnown ? selected.getSnapshot() : undefined
          })
        }) as typeof state.select
      }, store),
      position: Effect.sync(() => replica.size === 0 ? replica.point : undefined),
      requests: yield* typed(
        options.requests ?? RpcGroup.make() as unknown as RpcGroup.RpcGroup<Requests>,
        generation.symmetric,
        call
      ),
      predict: predicting(replica, yield* Effect.scope),
      notifications: Stream.fromPubSub(notified) as Stream.Stream<any>,
      call,
      ping: generation.symmetric
        ? Effect.fail(JugglerError.protocol("generation 0.5 has no requests to ping by"))
        : Effect.asVoid(call("", null)),
      local,
      flush: withPeer((peer) => peer.flush),
      send: (payload) => withPeer((peer) => peer.send(payload)),
      messages: Stream.fromQueue(messages),
      ...half,
      connect: Effect.mapError(half.connect, (failure) => JugglerError.fromFailure(failure)),
      redial: Effect.suspend(() => current === undefined ? Effect.void : current.close())
    }
  })

/**
 * Makes a client on the `Socket` of the environment.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A = Json, Requests extends Rpc.Any = never, N extends Notifications = {}, I = any>(
  options?: Options<A, Requests, N, I>
): Effect.Effect<
  JugglerClient<A, Requests, N, I>,
  never,
  Socket.Socket | Scope.Scope | Rpc.MiddlewareClient<Requests>
> => Effect.flatMap(Socket.Socket, (socket) => fromSocket(socket, options))

/** What breaks the protocol ends the connection like everything else that does. */
const inSocket = (make: (cause: unknown) => Socket.SocketError) => (error: unknown): Socket.SocketError =>
  Socket.isSocketError(error) ? error : make(error)
