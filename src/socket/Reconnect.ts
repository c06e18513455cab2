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
import { describe } from "./internal/describe.ts"
import * as retryAfter from "./internal/retryAfter.ts"

/**
 * How a client's connection stands: not dialled yet (lazy), dialling (`attempt` counts from 1 since it was last open),
 * connected while the client makes itself known (`onConnect`), open, lost or not to be had with another attempt to follow
 * at `nextDial` (epoch milliseconds), ended for good (`cause` is absent where the client itself ended it).
 *
 * @category models
 * @since 0.1.0
 */
export type Status =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Dialling"; readonly attempt: number }
  | { readonly _tag: "Opening"; readonly attempt: number }
  | { readonly _tag: "Open" }
  | { readonly _tag: "Lost"; readonly cause: Socket.SocketError; readonly nextDial: number }
  | { readonly _tag: "Ended"; readonly cause: Socket.SocketError | undefined }

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
export const schedule: Policy = /* @__PURE__ */ Schedule.jittered(
  /* @__PURE__ */ Schedule.min([
    /* @__PURE__ */ Schedule.exponential("100 millis"),
    /* @__PURE__ */ Schedule.spaced("30 seconds")
  ])
)

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Hears each status, in the turn in which it comes about; `Ended` when the run ends, by interruption too. */
  readonly onStatus: (status: Status) => void
  /** Default: never try again. */
  readonly policy?: Policy | undefined
  /**
   * A connection that was open for this long was a good one: the policy starts anew after it. After one that was lost
   * sooner it goes on with its next, longer delay, so that a server which accepts and closes at once is not dialled in a
   * tight loop. Default 5 seconds.
   */
  readonly stableAfter?: Duration.Input | undefined
  /** Where it leads, for the log, e.g. `ws://host/path`. */
  readonly address?: string | undefined
}

/** Milliseconds after the first line of the log until the next, doubled after each, and the longest. */
const [firstInterval, longestInterval] = [60_000, 3_600_000]

/**
 * Runs `connect` again and again. It is to dial, to run the first effect when the connection is open, to serve the
 * connection, and to fail when it is lost. Where there is something to do before it counts as open, it runs the second
 * effect (`Opening`) before that. The policy's delay comes before each new attempt. Fails with the last error when the
 * policy ends; without a policy, with the first.
 *
 * **Details**
 *
 * A server that stops may say when to come back (`ConnectionGroup.Drain`): that is done, once, instead of the policy's delay,
 * which begins anew.
 *
 * A connection that cannot be had is logged (Warning) when it fails first, then after a minute, two, four, up to an hour,
 * as long as it goes on; and (Info) when it is there again.
 *
 * **Example** (Subscribes on each connection)
 *
 * ```ts
 * return yield* Reconnect.run((opened) =>
 *   Effect.scoped(Effect.gen(function*() {
 *     const { pull } = yield* socket.reader
 *     const writer = yield* socket.writer
 *     yield* opened
 *     yield* writer.write("subscribe")
 *     return yield* Effect.forever(Effect.flatMap(pull, handle))
 *   })), { onStatus: (status) => show(status._tag), policy: Reconnect.schedule })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <R>(
  connect: (opened: Effect.Effect<void>, opening: Effect.Effect<void>) => Effect.Effect<never, Socket.SocketError, R>,
  options: Options
): Effect.Effect<never, Socket.SocketError, R> => {
  const { onStatus, policy } = options
  const stableAfter = Duration.toMillis(Duration.fromInputUnsafe(options.stableAfter ?? "5 seconds"))
  return Effect.gen(function*() {
    let step = policy === undefined ? undefined : yield* Schedule.toStep(policy)
    let attempt = 0
    let logged: { readonly at: number; readonly interval: number } | undefined
    while (true) {
      let openedAt: number | undefined
      attempt++
      const opening = Effect.sync(() => onStatus({ _tag: "Opening", attempt }))
      const opened = Effect.gen(function*() {
        openedAt = yield* Clock.currentTimeMillis
        if (logged !== undefined) yield* annotated(Effect.logInfo("connected again"), options, attempt)
        logged = undefined
        onStatus({ _tag: "Open" })
      })
      onStatus({ _tag: "Dialling", attempt })
      const cause = yield* Effect.flip(connect(opened, opening))
      if (policy === undefined || step === undefined) return yield* cause
      const now = yield* Clock.currentTimeMillis
      if (openedAt !== undefined) attempt = 0
      if (openedAt !== undefined && now - openedAt >= stableAfter) step = yield* Schedule.toStep(policy)
      const told = openedAt === undefined ? undefined : retryAfter.decode(cause)
      // a server that said when is well, and so is the policy
      if (told !== undefined) step = yield* Schedule.toStep(policy)
      const next = yield* Pull.catchDone(step(now, cause), () => Effect.fail(cause))
      const delay = told ?? Duration.toMillis(next[1])
      onStatus({ _tag: "Lost", cause, nextDial: now + delay })
      if (openedAt === undefined && (logged === undefined || now - logged.at >= logged.interval)) {
        yield* annotated(Effect.logWarning(`cannot connect: ${describe(cause)}`), options, attempt)
        const interval = logged === undefined ? firstInterval : Math.min(logged.interval * 2, longestInterval)
        logged = { at: now, interval }
      }
      yield* Effect.sleep(delay)
    }
  }).pipe(
    Effect.onExit((exit) =>
      Effect.sync(() =>
        onStatus({
          _tag: "Ended",
          cause: exit._tag === "Failure"
            ? exit.cause.reasons.flatMap((reason) => reason._tag === "Fail" ? [reason.error] : [])[0]
            : undefined
        })
      )
    )
  )
}

const annotated = (effect: Effect.Effect<void>, { address }: Options, attempt: number): Effect.Effect<void> =>
  Effect.annotateLogs(effect, address === undefined ? { attempt } : { address, attempt })
