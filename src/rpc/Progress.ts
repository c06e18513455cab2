/**
 * Progress of a call: a handler reports it, whoever made the call may listen. Nobody has to: without a listener a report
 * does nothing, so handlers that report stay portable to every wire.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/**
 * One report of progress.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** What is being done, for people. */
  readonly operation: string
  /** How much is done, 0 to 1. */
  readonly amount: number
  /** A partial result, where the wire carries one. */
  readonly value?: unknown
}

/**
 * Where reports of the current handler go. Wires that carry progress provide it for each request; a no-op by default.
 *
 * @category services
 * @since 0.1.0
 */
export const Reporter: Context.Reference<(report: Report) => void> = Context.Reference<(report: Report) => void>(
  "effect-wire/rpc/Progress/Reporter",
  { defaultValue: () => () => {} }
)

/**
 * Who listens to the progress of the calls that the current fiber makes; nobody by default. Set by {@link tap} and
 * {@link stream}; clients read it when they send a request.
 *
 * @category services
 * @since 0.1.0
 */
export const Listener: Context.Reference<((report: Report) => void) | undefined> = Context.Reference<
  ((report: Report) => void) | undefined
>("effect-wire/rpc/Progress/Listener", { defaultValue: () => undefined })

/**
 * Reports progress of the request that the current fiber handles. Never fails and never waits: a report to a peer that
 * reads slowly waits in the connection's outbox.
 *
 * @category combinators
 * @since 0.1.0
 */
export const report = (report: Report): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    fiber.getRef(Reporter)(report)
    return Effect.void
  })

// A peer may report faster than anybody listens; the newest reports are those that matter.
const capacity = 1024

/**
 * Runs `f` for each report of progress of the calls made inside `self`, one after the other, in order, all before `self`
 * completes. When `f` fails, `self` is interrupted (so the call is cancelled) and the failure is the result. Of reports
 * that come faster than `f` handles them the newest 1,024 are kept.
 *
 * @category combinators
 * @since 0.1.0
 */
export const tap: {
  <X, E2, R2>(
    f: (report: Report) => Effect.Effect<X, E2, R2>
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2, R | R2>
  <A, E, R, X, E2, R2>(
    self: Effect.Effect<A, E, R>,
    f: (report: Report) => Effect.Effect<X, E2, R2>
  ): Effect.Effect<A, E | E2, R | R2>
} = /* @__PURE__ */ dual(2, <A, E, R, X, E2, R2>(
  self: Effect.Effect<A, E, R>,
  f: (report: Report) => Effect.Effect<X, E2, R2>
): Effect.Effect<A, E | E2, R | R2> =>
  Effect.gen(function*() {
    const queue = yield* Queue.sliding<Report, Cause.Done>(capacity)
    const consumer = yield* Effect.forkChild(Stream.runForEach(Stream.fromQueue(queue), f))
    const exit = yield* self.pipe(
      Effect.provideService(Listener, (report: Report) => {
        Queue.offerUnsafe(queue, report)
      }),
      Effect.raceFirst(Effect.andThen(Fiber.join(consumer), Effect.never)),
      Effect.exit
    )
    yield* Queue.end(queue)
    if (Exit.isFailure(exit)) yield* Fiber.interrupt(consumer)
    else yield* Fiber.join(consumer)
    return yield* exit
  }))

/**
 * An element of {@link stream}: reports of progress, then the result as the last element.
 *
 * @category models
 * @since 0.1.0
 */
export type Event<A> =
  | { readonly _tag: "Progress"; readonly report: Report }
  | { readonly _tag: "Result"; readonly value: A }

/**
 * Runs `self` and emits the progress of the calls inside it, then its result. Interrupting the stream interrupts the
 * call. Of reports that come faster than they are read the newest 1,024 are kept.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stream = <A, E, R>(self: Effect.Effect<A, E, R>): Stream.Stream<Event<A>, E, R> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.sliding<Event<A>, E | Cause.Done>(capacity)
    yield* self.pipe(
      Effect.provideService(Listener, (report: Report) => {
        Queue.offerUnsafe(queue, { _tag: "Progress", report })
      }),
      Effect.onExit((exit) => {
        if (Exit.isFailure(exit)) return Queue.failCause(queue, exit.cause)
        Queue.offerUnsafe(queue, { _tag: "Result", value: exit.value })
        return Queue.end(queue)
      }),
      Effect.forkScoped
    )
    return Stream.fromQueue(queue)
  }))

/**
 * For calls that are made together: turns reports of each of `count` members into reports whose amount is the mean of the
 * newest amounts of all of them. A member that is done counts as 1, whether it ever reported or not.
 *
 * @internal
 */
export const mean = (count: number): {
  readonly listener: (index: number, listener: (report: Report) => void) => (report: Report) => void
  readonly done: (index: number) => void
} => {
  const amounts = Array.from({ length: count }, () => 0)
  return {
    listener: (index, listener) => (report) => {
      amounts[index] = report.amount
      listener({ ...report, amount: amounts.reduce((sum, amount) => sum + amount, 0) / count })
    },
    done: (index) => {
      amounts[index] = 1
    }
  }
}

/**
 * A timeout that progress extends: fails with `Cause.TimeoutError`, and interrupts `self` (so the call is cancelled at the
 * far end), when neither a report of progress nor the result came for `duration`. A listener outside goes on hearing the
 * reports.
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout: {
  (duration: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Cause.TimeoutError, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | Cause.TimeoutError, R>
} = /* @__PURE__ */ dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | Cause.TimeoutError, R> =>
    Effect.withFiber((fiber) => {
      const outer = fiber.getRef(Listener)
      const heard = Latch.makeUnsafe(false)
      const silence = Effect.forever(Effect.andThen(
        Effect.timeout(heard.await, duration),
        Effect.sync(() => heard.closeUnsafe())
      ))
      return Effect.raceFirst(
        Effect.provideService(self, Listener, (report: Report) => {
          heard.openUnsafe()
          outer?.(report)
        }),
        silence
      )
    })
)
