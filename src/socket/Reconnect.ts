/**
 * Keeps a connection: dials, serves it until it is lost, waits as a `Schedule` says, dials again; and tells how it stands.
 * Works with every client `Socket`, whose reader dials anew each time it is acquired.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Socket from "effect/socket/Socket"
import * as SubscriptionRef from "effect/SubscriptionRef"

/**
 * How a connection stands: dialling, open, lost (with the reason; another attempt follows), closed (none follows).
 *
 * @category models
 * @since 0.1.0
 */
export type Status =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Open" }
  | { readonly _tag: "Lost"; readonly cause: Socket.SocketError }
  | { readonly _tag: "Closed"; readonly cause: Socket.SocketError | undefined }

/**
 * When to try again.
 *
 * @category models
 * @since 0.1.0
 */
export type Policy = Schedule.Schedule<unknown, Socket.SocketError>

/**
 * The usual policy: 0.1 s, doubled after each attempt up to 30 s, each changed at random by up to a fifth so that the
 * clients of a server that comes back do not come all at once; for ever.
 *
 * @category constructors
 * @since 0.1.0
 */
export const schedule: Policy = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("30 seconds")]).pipe(
  Schedule.jittered
)

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Kept up to date; `Closed` when the run ends, by interruption too. */
  readonly status: SubscriptionRef.SubscriptionRef<Status>
  /** Default: never try again. */
  readonly policy?: Policy | undefined
  /**
   * A connection that was open for this long was a good one: the policy starts anew after it. After one that was lost
   * sooner it goes on with its next, longer delay, so that a server which accepts and closes at once is not dialled in a
   * tight loop. Default 5 seconds.
   */
  readonly stableAfter?: Duration.Input | undefined
}

/**
 * Runs `connect` again and again. It is to dial, to run the given effect when the connection is open, to serve the
 * connection, and to fail when it is lost. The policy's delay comes before each new attempt. Fails with the last error
 * when the policy ends; without a policy, with the first.
 *
 * **Example** (Resubscribes after each connection)
 *
 * ```ts
 * const status = yield* SubscriptionRef.make<Reconnect.Status>({ _tag: "Connecting" })
 * yield* Reconnect.run((opened) =>
 *   Effect.scoped(Effect.gen(function*() {
 *     const { pull } = yield* socket.reader
 *     const writer = yield* socket.writer
 *     yield* opened
 *     yield* writer.write("subscribe")
 *     return yield* Effect.forever(Effect.flatMap(pull, handle))
 *   })), { status, policy: Reconnect.schedule })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <R>(
  connect: (opened: Effect.Effect<void>) => Effect.Effect<never, Socket.SocketError, R>,
  options: Options
): Effect.Effect<never, Socket.SocketError, R> => {
  const { policy, status } = options
  const stableAfter = Duration.toMillis(Duration.fromInputUnsafe(options.stableAfter ?? "5 seconds"))
  return Effect.gen(function*() {
    let delay = policy === undefined ? undefined : yield* Schedule.toStepWithSleep(policy)
    while (true) {
      let openedAt: number | undefined
      const opened = Effect.gen(function*() {
        openedAt = yield* Clock.currentTimeMillis
        yield* SubscriptionRef.set(status, { _tag: "Open" })
      })
      yield* SubscriptionRef.set(status, { _tag: "Connecting" })
      const cause = yield* Effect.flip(connect(opened))
      if (policy === undefined || delay === undefined) return yield* Effect.fail(cause)
      yield* SubscriptionRef.set(status, { _tag: "Lost", cause })
      if (openedAt !== undefined && (yield* Clock.currentTimeMillis) - openedAt >= stableAfter) {
        delay = yield* Schedule.toStepWithSleep(policy)
      }
      yield* Pull.catchDone(delay(cause), () => Effect.fail(cause))
    }
  }).pipe(
    Effect.onExit((exit) =>
      SubscriptionRef.set(status, {
        _tag: "Closed",
        cause: exit._tag === "Failure"
          ? exit.cause.reasons.flatMap((reason) => reason._tag === "Fail" ? [reason.error] : [])[0]
          : undefined
      })
    )
  )
}
