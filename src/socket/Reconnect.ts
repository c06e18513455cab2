/**
 * Keeps a connection: dials, serves it until it is lost, waits as a `Schedule` says, dials again; and tells how it stands.
 * Works with every client `Socket`, whose reader dials anew each time it is acquired.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
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
 * Runs `connect` again and again. It is to dial, to complete the given effect when the connection is open, to serve the
 * connection, and to fail when it is lost. The policy starts anew after each connection that was open; its first delay
 * comes before the first new attempt. Fails with the last error when the policy ends; without a policy, with the first.
 *
 * **Details**
 *
 * `status` is kept up to date; it is `Closed` when this effect ends, by interruption too.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <R>(
  connect: (opened: Effect.Effect<void>) => Effect.Effect<never, Socket.SocketError, R>,
  options: {
    readonly status: SubscriptionRef.SubscriptionRef<Status>
    readonly policy?: Policy | undefined
  }
): Effect.Effect<never, Socket.SocketError, R> => {
  const { policy, status } = options
  // fails when the connection was never open, gives the reason for its end when it was
  const attempt = Effect.suspend(() => {
    let wasOpen = false
    const opened = Effect.suspend(() => {
      wasOpen = true
      return SubscriptionRef.set(status, { _tag: "Open" })
    })
    return SubscriptionRef.set(status, { _tag: "Connecting" }).pipe(
      Effect.andThen(connect(opened)),
      Effect.tapError((cause) => SubscriptionRef.set(status, { _tag: "Lost", cause })),
      Effect.catch((cause: Socket.SocketError) =>
        wasOpen && policy !== undefined ? Effect.succeed(cause) : Effect.fail(cause)
      )
    )
  })
  const keep = policy === undefined ? attempt : Effect.gen(function*() {
    let lost: Socket.SocketError | undefined
    while (true) {
      lost = yield* Effect.retry(
        Effect.suspend(() => {
          const before = lost
          lost = undefined
          return before === undefined ? attempt : Effect.fail(before)
        }),
        policy
      )
    }
  })
  return keep.pipe(
    Effect.andThen(Effect.never),
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
