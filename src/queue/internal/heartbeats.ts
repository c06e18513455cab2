/**
 * @internal Heartbeats of a worker: one fiber extends the leases of all that it holds. A handler whose lease is lost, or will
 * have run out before anybody could be reached, is stopped.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type { Delivery } from "../Message.ts"
import type { MessageQueueError } from "../MessageQueueError.ts"
import type { Service } from "./messageQueueModel.ts"

/** Whether the message is another's by now. */
export const isLost = (error: MessageQueueError): boolean => error.reason._tag === "LeaseLost"

/** A message in the hands of a handler. Times are milliseconds of the clock that nobody sets. */
export interface Kept {
  readonly delivery: Delivery
  /** Who works on it, to be interrupted. */
  readonly fiber: Fiber.Fiber<unknown, unknown>
  /** When its handler has to have stopped. */
  end: number
  /** When it is extended next; `Infinity` meanwhile. */
  next: number
  isLost: boolean
}

export interface Heartbeats {
  readonly keep: (delivery: Delivery, fiber: Fiber.Fiber<unknown, unknown>) => Kept
  readonly drop: (kept: Kept) => void
}

export const makeHeartbeats = Effect.fnUntraced(function*(
  queue: Service,
  options: { readonly lease: Duration.Duration; readonly heartbeat: Duration.Duration }
): Effect.fn.Return<Heartbeats, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const beating = yield* FiberSet.make<void>()
  const all = new Set<Kept>()
  /** Opened when something may be due earlier than the one that is waited for. */
  const changed = Latch.makeUnsafe(false)
  let isIdle = false
  const length = Duration.toMillis(options.lease)
  const rhythm = Duration.toMillis(options.heartbeat)
  const margin = Math.min(1000, length / 10)
  const isNeeded = Number.isFinite(length) && Number.isFinite(rhythm)

  const stop = (kept: Kept): void => {
    if (!all.delete(kept)) return
    kept.isLost = true
    kept.fiber.interruptUnsafe()
  }

  const beat = Effect.fnUntraced(function*(kept: Kept): Effect.fn.Return<void> {
    const asked = monotonicMillis(clock)
    const exit = yield* Effect.exit(
      Effect.timeout(queue.extend(kept.delivery, options.lease), Math.max(0, kept.end - asked))
    )
    const now = monotonicMillis(clock)
    if (Exit.isSuccess(exit)) {
      kept.end = asked + length - margin
      kept.next = Math.min(kept.end, now + rhythm)
    } else if (
      exit.cause.reasons.some((reason) =>
        reason._tag === "Fail" && !Cause.isTimeoutError(reason.error) && isLost(reason.error)
      )
    ) {
      stop(kept)
    } else if (now < kept.end) kept.next = Math.min(kept.end, now + Math.min(rhythm, length / 20))
    else if (all.has(kept)) {
      stop(kept)
      yield* Effect.logWarning(
        "MessageQueue: a lease could not be extended in time, its handler is stopped",
        kept.delivery.id
      )
    }
    changed.openUnsafe()
  })

  const round = Effect.gen(function*() {
    changed.closeUnsafe()
    let next = Infinity
    for (const kept of all) next = Math.min(next, kept.next)
    isIdle = next === Infinity
    yield* isIdle
      ? changed.await
      : Effect.raceFirst(Effect.sleep(Math.max(0, next - monotonicMillis(clock))), changed.await)
    const now = monotonicMillis(clock)
    for (const kept of all) {
      if (kept.next > now) continue
      kept.next = Infinity
      yield* FiberSet.run(beating, beat(kept), { startImmediately: true })
    }
  })
  if (isNeeded) yield* Effect.forkScoped(Effect.forever(round))

  return {
    keep: (delivery, fiber) => {
      const now = isNeeded ? monotonicMillis(clock) : 0
      const end = now + length - margin
      const kept: Kept = { delivery, fiber, end, next: Math.min(end, now + rhythm), isLost: false }
      all.add(kept)
      // Who comes later is due later: nobody is woken for it, but from idleness.
      if (isIdle) changed.openUnsafe()
      return kept
    },
    drop: (kept) => void all.delete(kept)
  }
})
