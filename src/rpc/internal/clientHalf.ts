/**
 * Dials for the client half of `calls.ts`: one fiber that opens connections one after the other, says which state comes
 * next, and ends. JSON-RPC and Juggler clients are both made of it:
 *
 * 1. extend `Calls` by how a frame is written and a call called back;
 * 2. make the `Limits` with {@link limits}, from the {@link Options} that the wire's own options extend;
 * 3. give {@link run} an effect that opens one connection for the current scope and says how to read from it.
 *
 * `status`, `connect`, `disconnect` of the result are the client's own; calls are made by `Calls.submit` and `Calls.tell`.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { describe } from "../../socket/internal/describe.ts"
import { openError, readError } from "../../socket/internal/socketErrors.ts"
import * as Reconnect from "../../socket/Reconnect.ts"
import type { Failure, Limits } from "./callModel.ts"
import type { Calls } from "./calls.ts"

/**
 * What bounds the calls of a client, and those of a server to its clients.
 *
 * @category models
 * @since 0.2.0
 */
export interface CallOptions {
  /** Calls without an answer, sent or not; one more fails. Default 1,024. */
  readonly maxCalls?: number | undefined
  /**
   * Calls that are sent and have no answer; others wait for one of them, in order. Default 256, as many as a server of
   * ours runs at once.
   */
  readonly maxInFlight?: number | undefined
  /**
   * Characters of what waits to be sent while there is no connection, 512 more for each entry; over it calls and
   * notifications fail. Sixteen times as many may wait while there is one. Default 1 MiB.
   */
  readonly maxQueued?: number | undefined
  /**
   * How long a call may go without an answer or a report of progress; then it fails, and is cancelled at the far end.
   * Streams are not limited. Default 60 seconds; `Infinity` for no limit.
   */
  readonly callTimeout?: Duration.Input | undefined
}

/**
 * How a client keeps its connection, whatever the wire.
 *
 * @category models
 * @since 0.2.0
 */
export interface ConnectionOptions extends CallOptions {
  /** Connects when the client is made (default), or at the first call, notification or `connect`. */
  readonly connect?: "eager" | "lazy" | undefined
  /**
   * When to try again after a connection was lost or could not be made; default `Reconnect.schedule`. `false`: never, the
   * client ends then.
   */
  readonly reconnect?: Reconnect.Policy | false | undefined
  /**
   * What becomes of calls and notifications while there is no connection. `"fail"` (default): they wait for a dial that is
   * under way, the first too, and fail with it; between two attempts they fail at once. `"wait"`: they wait, in order, for
   * the next connection, within `maxQueued` and `callTimeout`; calls that are marked idempotent are sent again on it.
   */
  readonly whileDisconnected?: "wait" | "fail" | undefined
  /** How long a connection may take to open, with what `onConnect` does. Default 10 seconds. */
  readonly openTimeout?: Duration.Input | undefined
}

/**
 * Limits of these options; calls made outside of a connection are timed by the clock of the context.
 *
 * @internal
 */
export const limits = (
  options: CallOptions & { readonly whileDisconnected?: "wait" | "fail" | undefined },
  context: Context.Context<never>,
  describe: (status: Reconnect.Status) => string
): Limits => ({
  waits: options.whileDisconnected === "wait",
  maxCalls: options.maxCalls ?? 1024,
  maxInFlight: options.maxInFlight ?? 256,
  maxQueued: options.maxQueued ?? 1024 * 1024,
  timeout: Duration.toMillis(Duration.fromInputUnsafe(options.callTimeout ?? "60 seconds")),
  clock: Context.get(context, Clock.Clock),
  fork: Effect.runForkWith(context),
  describe
})

/**
 * Why there is no connection, for messages.
 *
 * @internal
 */
export const reason = (address: string | undefined) => (status: Reconnect.Status): string => {
  const to = address === undefined ? "" : ` to ${address}`
  if (status._tag !== "Lost" && status._tag !== "Ended") return `no connection${to}`
  if (status.cause === undefined) return `the client was closed${address === undefined ? "" : ` (${address})`}`
  const what = status.cause.reason._tag === "SocketOpenError" ? `cannot connect${to}` : `the connection${to} was lost`
  return `${what}: ${describe(status.cause)}`
}

/**
 * One open connection.
 *
 * @internal
 */
export interface Connection {
  /** Reads and handles what comes in until the connection is lost. */
  readonly read: Effect.Effect<never, Socket.SocketError>
  /** Says goodbye to the peer. */
  readonly close: Effect.Effect<void>
}

/** @internal */
export interface RunOptions extends ConnectionOptions {
  readonly address?: string | undefined
  /** Dials, for the current scope, and makes the connection the line of the calls. */
  readonly open: Effect.Effect<Connection, Socket.SocketError, Scope.Scope>
  /** Runs on each new connection before anything else is sent. */
  readonly onConnect?: ((connection: number) => Effect.Effect<unknown, unknown>) | undefined
}

/** @internal */
export interface ClientHalf {
  /** Connects where the client is lazy; completes when the connection is open; fails as a call would that is made now. */
  readonly connect: Effect.Effect<void, Failure>
  readonly disconnect: Effect.Effect<void>
  readonly connected: Effect.Effect<boolean>
  readonly status: Stream.Stream<Reconnect.Status>
}

/**
 * Runs the connections of a client until the scope closes.
 *
 * @internal
 */
export const run = (calls: Calls<any>, options: RunOptions): Effect.Effect<ClientHalf, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const isLazy = options.connect === "lazy"
    const wanted = Latch.makeUnsafe(!isLazy)
    const closed = Latch.makeUnsafe(false)
    if (isLazy) calls.onDemand = () => wanted.openUnsafe()
    const openTimeout = options.openTimeout ?? "10 seconds"
    const late = <A>(effect: Effect.Effect<A, Socket.SocketError, Scope.Scope>) =>
      Effect.timeoutOrElse(effect, {
        duration: openTimeout,
        orElse: () => Effect.fail(openError(new Error("the connection did not open in time"), "Timeout"))
      })

    const once = (opened: Effect.Effect<void>, opening: Effect.Effect<void>) =>
      Effect.scoped(Effect.gen(function*() {
        const connection = yield* late(options.open)
        yield* Effect.addFinalizer((exit) =>
          exit._tag === "Failure" && Cause.hasInterrupts(exit.cause)
            ? Effect.andThen(
              Effect.timeoutOption(connection.close, "1 second"),
              Effect.sync(() => closed.openUnsafe())
            )
            : Effect.void
        )
        if (options.onConnect === undefined) {
          yield* opened
          return yield* connection.read
        }
        yield* opening
        const setup = Effect.suspend(() => options.onConnect!(calls.connection)).pipe(
          Effect.catchCause((cause) =>
            Cause.hasInterrupts(cause) ? Effect.interrupt : Effect.fail(openError(Cause.squash(cause)))
          )
        )
        return yield* Effect.raceFirst(
          connection.read,
          Effect.andThen(Effect.andThen(late(setup), opened), Effect.never)
        )
      }))

    const onStatus = (status: Reconnect.Status) => calls.enter(status)
    const policy = options.reconnect === false ? undefined : options.reconnect ?? Reconnect.schedule
    const { address } = options
    const fiber = yield* wanted.await.pipe(
      Effect.andThen(Reconnect.run(once, { onStatus, policy, address })),
      // a defect must not leave callers waiting for ever
      Effect.catchCause((cause) => {
        if (!Cause.hasInterruptsOnly(cause)) onStatus({ _tag: "Ended", cause: socketError(cause) })
        return Effect.void
      }),
      Effect.forkIn(scope)
    )
    const end = Effect.sync(() => {
      // first of all: who calls from now on is refused, whatever is interrupted by what follows
      calls.enter({ _tag: "Ended", cause: undefined })
      fiber.interruptUnsafe()
    })
    yield* Scope.addFinalizer(scope, Effect.andThen(end, Fiber.await(fiber)))

    return {
      connect: Effect.callback<void, Failure>((resume) => {
        const settles = (status: Reconnect.Status): boolean => {
          if (status._tag === "Open") resume(Effect.void)
          else if (status._tag === "Ended" || (status._tag === "Lost" && !calls.limits.waits)) {
            const detail = calls.limits.describe(status)
            const kind = status._tag === "Ended" ? "Ended" : "Offline"
            resume(Effect.fail({ kind, detail, maybeExecuted: false, cause: status.cause }))
          } else return false
          return true
        }
        if (settles(calls.status)) return
        const forget = calls.observe((status) => {
          if (settles(status)) forget()
        })
        wanted.openUnsafe()
        return Effect.sync(forget)
      }),
      // waits for the goodbye only: it may be one of the handlers that are interrupted after it
      disconnect: Effect.andThen(end, Effect.raceFirst(closed.await, Effect.asVoid(Fiber.await(fiber)))),
      connected: Effect.sync(() => calls.status._tag === "Open"),
      status: statusOf(calls)
    }
  })

const socketError = (cause: Cause.Cause<Socket.SocketError>): Socket.SocketError => {
  const error = Cause.squash(cause)
  return Socket.isSocketError(error) ? error : readError(error)
}

/**
 * The status now and from now on, until it is `Ended`.
 *
 * @internal
 */
export const statusOf = (calls: Calls<any>): Stream.Stream<Reconnect.Status> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.unbounded<Reconnect.Status, Cause.Done>()
    const push = (status: Reconnect.Status) => {
      Queue.offerUnsafe(queue, status)
      if (status._tag === "Ended") Queue.endUnsafe(queue)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        push(calls.status)
        return calls.observe(push)
      }),
      (forget) => Effect.sync(forget)
    )
    return Stream.fromQueue(queue)
  }))
