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
import * as Scope from "effect/Scope"
import * as Handshake from "./Handshake.ts"
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
}

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
      if (drains.effects.size > 0) {
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
