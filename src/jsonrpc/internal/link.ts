import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as ClientHalf from "../../rpc/internal/clientHalf.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import { addressOf } from "../../socket/internal/describe.ts"
import type * as Reconnect from "../../socket/Reconnect.ts"
import type { Call } from "../JsonRpcCodec.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import * as JsonRpcRemote from "../JsonRpcRemote.ts"
import { standard } from "../wires/standard.ts"
import { Caller } from "./caller.ts"
import type { Client, Notification } from "./clientModel.ts"
import { connect, type ConnectConfig, type ConnectOptions, decodeOptions } from "./connect.ts"
import { CurrentWire } from "./currentWire.ts"
import type { Serving } from "./serving.ts"
import type { Wire } from "./wireModel.ts"

/**
 * Options of a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ConnectOptions, ClientHalf.ConnectionOptions {
  /** What the server speaks beyond the specification; default `Wire.standard`. */
  readonly wire?: Wire | undefined
  /** Sends `traceparent` as a member of each request, for wires without room for it; default `false`. */
  readonly traceContext?: boolean | undefined
  /**
   * Runs on each new connection before anything else is sent: to log in again, to say hello. The remote is that of this
   * connection only, and of no use after it. Its failure is the connection's; calls made elsewhere wait until it is done.
   */
  readonly onConnect?: ((remote: JsonRpcRemote.Remote) => Effect.Effect<unknown, unknown, Scope.Scope>) | undefined
}

const kept = 4096

const initial: Reconnect.Status = { _tag: "Dialling", attempt: 1 }
const idle: Reconnect.Status = { _tag: "Idle" }

/**
 * A client's connection, across the sockets that carry it one after the other.
 *
 * @internal
 */
export const make = (
  socket: Socket.Socket,
  options: Options,
  methods: ReadonlyMap<string, RpcMethods.ServedMethod>,
  serving?: Serving
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function*() {
    const wire = options.wire ?? standard
    const address = addressOf(socket)
    // made when somebody listens: they are what a client costs most
    let frames: PubSub.PubSub<string | Uint8Array> | undefined
    let notifications: PubSub.PubSub<Notification> | undefined
    const listeners = new Set<(notification: Call) => void>()

    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>())
    const limits = ClientHalf.limits(options, context, ClientHalf.reason(address))
    const caller = new Caller(
      { ...limits, wire, traceContext: options.traceContext === true },
      options.connect === "lazy" ? idle : initial
    )
    const hear = (listener: (notification: Call) => void, notification: Call) => {
      try {
        listener(notification)
      } catch (defect) {
        limits.fork(
          Effect.annotateLogs(Effect.logError("a listener threw", defect), { method: notification.method })
        )
      }
    }
    const decode = { ...decodeOptions(wire, options, methods), maxWeight: undefined, expectsAnswers: true }
    const config: ConnectConfig = {
      wire,
      options,
      methods,
      serving,
      decode,
      decodeAnswers: decode,
      access: Context.get(context, RpcConnection.MethodAccess),
      context,
      onNotification: (notification) => {
        for (const listener of Array.from(listeners)) hear(listener, notification)
        if (notifications !== undefined) PubSub.publishUnsafe(notifications, notification)
      },
      onFrame: (frame) => {
        if (frames !== undefined) PubSub.publishUnsafe(frames, frame)
      }
    }
    const { onConnect } = options
    const half = yield* ClientHalf.run(caller, {
      ...options,
      address,
      open: Effect.map(connect(socket, config, caller), (connected) => {
        caller.use(connected.outbox)
        connected.connection.set(CurrentWire, wire)
        return { read: connected.read, close: connected.outbox.close(1000) }
      }),
      onConnect: onConnect === undefined
        ? undefined
        : (connection) => Effect.scoped(onConnect(JsonRpcRemote.fromPort({ caller, connection })))
    })

    return {
      ...JsonRpcRemote.fromPort({ caller, connection: undefined }),
      ...half,
      connect: Effect.mapError(half.connect, (failure) => JsonRpcError.lost(undefined, failure)),
      notifications: Stream.unwrap(Effect.gen(function*() {
        notifications ??= yield* PubSub.sliding<Notification>(kept)
        return Stream.fromPubSub(notifications)
      })),
      listen: (listener) => {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
      frames: Stream.unwrap(Effect.gen(function*() {
        frames ??= yield* PubSub.sliding<string | Uint8Array>(kept)
        return Stream.fromPubSub(frames)
      }))
    }
  })
