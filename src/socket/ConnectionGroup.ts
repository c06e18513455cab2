/**
 * The connections of one server: each is a fiber, counted against a limit, and all of them are brought to an orderly end
 * when the server stops. First what handlers registered with {@link onShutdown} runs while the connections are still up
 * (answers that are under way can be sent), for a few seconds at most; then the handlers are interrupted, which closes
 * their sockets.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Handshake from "./Handshake.ts"
import * as retryAfter from "./internal/retryAfter.ts"
import type { Outbox } from "./Outbox.ts"
import * as SocketMetrics from "./SocketMetrics.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Connections at one time. Default 1,024. */
  readonly maxConnections?: number | undefined
  /** How long connections may go on with what they have begun when the server stops. Default 5 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /**
   * How connections are sent away when the server stops and others, or its next process, serve on: one after the other, each told
   * when to come back (close code 1012). Default: all at once, 1001.
   */
  readonly drain?: Drain | undefined
}

/**
 * How a server that stops sends its connections away. Each is told, in the reason of its close frame, when to come back
 * (`retry-after: <seconds>`), which clients of this library do; for others it is a text.
 *
 * @category models
 * @since 0.2.0
 */
export interface Drain {
  /** The time over which the closes are spread evenly, in random order. Default: at once. */
  readonly over?: Duration.Input | undefined
  /** When they are to come back at the earliest, after their close. Default: at once. */
  readonly retryAfter?: Duration.Input | undefined
  /** Each comes back at random within so much more. Default 1 second. */
  readonly retryWithin?: Duration.Input | undefined
}

/**
 * How a connection is to be closed by whoever drains it ({@link onShutdown}); `undefined` where its carrier does, with 1001.
 *
 * @category services
 * @since 0.2.0
 */
export const CurrentFarewell: Context.Reference<{ readonly code: number; readonly reason: string } | undefined> =
  Context
    .Reference<{ readonly code: number; readonly reason: string } | undefined>(
      "effect-wire/socket/ConnectionGroup/CurrentFarewell",
      { defaultValue: () => undefined }
    )

/**
 * @category models
 * @since 0.1.0
 */
export interface ConnectionGroup {
  /** Connections that exist now. */
  readonly size: () => number
  /** `true` when a further connection must be refused: the limit is reached, or the group shuts down. */
  readonly isFull: () => boolean
  /**
   * Starts the handler of one connection; `onEnd` is called when it has ended. A failure or defect of it is logged and
   * goes no further.
   */
  readonly fork: <A, E, R>(
    handler: Effect.Effect<A, E, R>,
    context: Context.Context<R>,
    onEnd: () => void
  ) => void
  /** Drains and then interrupts every connection; completes when all have ended. Runs once, also with the scope. */
  readonly shutdown: Effect.Effect<void>
}

interface Drains {
  readonly effects: Set<Effect.Effect<void>>
}

const CurrentDrains: Context.Reference<Drains | undefined> = Context.Reference<Drains | undefined>(
  "effect-wire/socket/ConnectionGroup/CurrentDrains",
  { defaultValue: () => undefined }
)

/**
 * Registers, from inside the handler of a connection, what must happen when the server stops and the connection is still
 * up: stop taking requests, wait for those that run, flush. It is interrupted when it takes longer than the server's drain
 * timeout, and forgotten with the scope. Does nothing where no group serves the connection.
 *
 * @category combinators
 * @since 0.1.0
 */
export const onShutdown = <R>(drain: Effect.Effect<void, never, R>): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const drains = yield* CurrentDrains
    if (drains === undefined) return
    const effect = Effect.provideContext(drain, yield* Effect.context<R>())
    yield* Effect.acquireRelease(
      Effect.sync(() => drains.effects.add(effect)),
      () => Effect.sync(() => drains.effects.delete(effect))
    )
  })

/**
 * What the carrier said of a connection, carried over from the context of its handler to another; {@link onShutdown} works
 * there too.
 *
 * @internal
 */
export const inherit = (from: Context.Context<never>, to: Context.Context<never>): Context.Context<never> => {
  const context = Context.add(to, Handshake.CurrentHandshake, Context.get(from, Handshake.CurrentHandshake))
  const drains = Context.get(from, CurrentDrains)
  return drains === undefined ? context : Context.add(context, CurrentDrains, drains)
}

/**
 * {@link onShutdown} without a scope: `drain` needs nothing; what is returned takes it back.
 *
 * @internal
 */
export const onShutdownUnsafe = (context: Context.Context<never>, drain: Effect.Effect<void>): () => void => {
  const drains = Context.get(context, CurrentDrains)
  if (drains === undefined) return noDrain
  drains.effects.add(drain)
  return () => drains.effects.delete(drain)
}
const noDrain = () => {}

const logUnhandled = (cause: Cause.Cause<unknown>) =>
  Effect.ignoreCause(Effect.failCause(cause), {
    log: "Unhandled",
    message: "Unhandled error in the handler of a connection"
  })

/**
 * Closes a connection as the server that stops wants it; nothing where its carrier does.
 *
 * @internal
 */
export const farewell = (outbox: Outbox): Effect.Effect<void> =>
  Effect.flatMap(
    CurrentFarewell,
    (farewell) => farewell === undefined ? Effect.void : outbox.close(farewell.code, farewell.reason)
  )

const millis = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

/** Each in its turn; those that left by themselves before it need none. */
const sendAway = Effect.fnUntraced(function*(
  effects: Set<Effect.Effect<void>>,
  drain: Drain,
  drainTimeout: Duration.Duration
) {
  const all = yield* Random.shuffle(effects)
  const step = millis(drain.over ?? 0) / Math.max(1, all.length)
  const first = millis(drain.retryAfter ?? 0)
  const within = millis(drain.retryWithin ?? "1 second")
  const turn = Effect.fnUntraced(function*(effect: Effect.Effect<void>) {
    if (!effects.has(effect)) return
    const after = (first + (yield* Random.next) * within) / 1000
    yield* effect.pipe(
      Effect.provideService(CurrentFarewell, { code: 1012, reason: retryAfter.encode(after) }),
      Effect.timeoutOption(drainTimeout)
    )
  })
  yield* Effect.forEach(all, (effect, i) => Effect.delay(turn(effect), step * (i + 1)), {
    concurrency: "unbounded",
    discard: true
  })
})

/**
 * Makes a group that shuts down with the scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): Effect.Effect<ConnectionGroup, never, Scope.Scope> =>
  Effect.gen(function*() {
    const max = options?.maxConnections ?? 1024
    const drainTimeout = Duration.fromInputUnsafe(options?.drainTimeout ?? "5 seconds")
    const metrics = yield* Effect.context<never>()
    const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
    const drains: Drains = { effects: new Set() }
    let closing = false

    const shutdown = yield* Effect.cached(Effect.gen(function*() {
      closing = true
      if (options?.drain !== undefined) yield* sendAway(drains.effects, options.drain, drainTimeout)
      else if (drains.effects.size > 0) {
        yield* Effect.forEach(Array.from(drains.effects), (effect) => effect, {
          concurrency: "unbounded",
          discard: true
        }).pipe(Effect.timeoutOption(drainTimeout))
      }
      yield* Fiber.interruptAll(fibers)
    }))
    yield* Effect.addFinalizer(() => shutdown)

    const fork: ConnectionGroup["fork"] = (handler, context, onEnd) => {
      const fiber = Effect.runForkWith(Context.add(context, CurrentDrains, drains))(handler)
      fibers.add(fiber)
      SocketMetrics.connections.modifyUnsafe(1, metrics)
      fiber.addObserver((exit) => {
        fibers.delete(fiber)
        SocketMetrics.connections.modifyUnsafe(-1, metrics)
        onEnd()
        if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) {
          Effect.runForkWith(context as Context.Context<never>)(logUnhandled(exit.cause))
        }
      })
      if (closing) fiber.interruptUnsafe()
    }

    return { size: () => fibers.size, isFull: () => closing || fibers.size >= max, fork, shutdown }
  })
