import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as Reconnect from "../../socket/Reconnect.ts"
import type { Client, Notification } from "../JsonRpcClient.ts"
import * as JsonRpcError from "../JsonRpcError.ts"
import * as JsonRpcRemote from "../JsonRpcRemote.ts"
import { standard } from "../wires/standard.ts"
import { Caller } from "./caller.ts"
import { connect, type ConnectConfig, type ConnectOptions, decodeOptions } from "./connect.ts"
import type { Wire } from "./wireModel.ts"

/**
 * Options of a client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ConnectOptions {
  /** What the server speaks beyond the specification; default `Wire.standard`. */
  readonly wire?: Wire | undefined
  /** Connects when the client is made (default), or at the first call, notification or `connect`. */
  readonly connect?: "eager" | "lazy" | undefined
  /** Calls made while there is no connection wait for one (default), or fail at once with `ConnectionError`. */
  readonly whileDisconnected?: "wait" | "fail" | undefined
  /**
   * When to try again after a connection was lost or could not be made, e.g. `Reconnect.schedule`; by default never: the
   * client is closed then.
   */
  readonly reconnect?: Reconnect.Policy | undefined
  /** Sends `traceparent` as a member of each request, for wires without room for it; default `false`. */
  readonly traceContext?: boolean | undefined
}

const kept = 4096

/**
 * A client's connection, across the sockets that carry it one after the other.
 *
 * @internal
 */
export const make = (
  socket: Socket.Socket,
  options: Options,
  methods: ReadonlyMap<string, RpcMethods.ServedMethod>
): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function*() {
    const wire = options.wire ?? standard
    const scope = yield* Effect.scope
    const status = yield* SubscriptionRef.make<Reconnect.Status>({ _tag: "Connecting" })
    const frames = yield* PubSub.sliding<string | Uint8Array>(kept)
    const notifications = yield* PubSub.sliding<Notification>(kept)
    const listeners = new Set<(notification: Notification) => void>()
    const wanted = yield* Latch.make(options.connect !== "lazy")
    const opened = Deferred.makeUnsafe<void, JsonRpcError.JsonRpcError>()
    let isOpen = false
    let watched = false

    const caller = new Caller(wire, {
      waits: options.whileDisconnected !== "fail",
      traceContext: options.traceContext === true
    })
    if (options.connect === "lazy") {
      caller.onDemand = () => {
        caller.onDemand = undefined
        wanted.openUnsafe()
      }
    }
    const decode = { ...decodeOptions(wire, options, methods), expectsAnswers: true }

    const context = Context.omit(Scope.Scope)(yield* Effect.context<Scope.Scope>())
    const config: ConnectConfig = {
      wire,
      options,
      methods,
      decode,
      access: Context.get(context, RpcConnection.MethodAccess),
      context,
      onNotification: (notification) => {
        for (const listener of listeners) listener(notification)
        PubSub.publishUnsafe(notifications, notification)
      },
      isServer: false,
      onFrame: (frame) => {
        if (watched) PubSub.publishUnsafe(frames, frame)
      }
    }

    const once = (announce: Effect.Effect<void>) =>
      Effect.scoped(Effect.gen(function*() {
        const connected = yield* connect(socket, config, caller)
        yield* Effect.addFinalizer((exit) =>
          Effect.suspend(() => {
            isOpen = false
            if (Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause)) {
              caller.detach(Cause.squash(exit.cause))
              return Effect.void
            }
            return Effect.ignore(Effect.timeoutOption(connected.outbox.close(1000), "1 second"))
          })
        )
        isOpen = true
        caller.attach(connected.outbox)
        yield* announce
        Deferred.doneUnsafe(opened, Exit.void)
        return yield* connected.read
      }))

    const end = (message: string, cause?: unknown) =>
      Effect.sync(() => {
        caller.end(message, cause)
        Deferred.doneUnsafe(opened, Exit.fail(JsonRpcError.connection(message, false, cause)))
      })

    const fiber = yield* Latch.await(wanted).pipe(
      Effect.andThen(Reconnect.run(once, { status, policy: options.reconnect })),
      // a defect, e.g. of a listener, must not leave callers waiting for ever
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : end("the connection was lost", Cause.squash(cause))
      ),
      Effect.forkIn(scope)
    )
    const disconnect = Effect.andThen(Fiber.interrupt(fiber), end("the client was disconnected"))
    yield* Scope.addFinalizer(scope, disconnect)

    return {
      ...JsonRpcRemote.fromCaller(caller),
      connect: Effect.suspend(() => {
        wanted.openUnsafe()
        return isOpen ? Effect.void : Deferred.await(opened)
      }),
      disconnect,
      connected: Effect.sync(() => isOpen),
      status: SubscriptionRef.changes(status),
      notifications: Stream.fromPubSub(notifications),
      listen: (listener) => {
        listeners.add(listener)
        return () => {
          listeners.delete(listener)
        }
      },
      frames: Stream.unwrap(Effect.sync(() => {
        watched = true
        return Stream.fromPubSub(frames)
      }))
    }
  })
