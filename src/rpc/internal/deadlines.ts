import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../../socket/internal/monotonic.ts"
import type * as Reconnect from "../../socket/Reconnect.ts"
import type { Call, Limits } from "./callModel.ts"

/** The calls that are watched: those of one client half. */
interface Watched<F> {
  readonly limits: Limits
  readonly status: Reconnect.Status
  readonly all: () => Iterable<Call<F>>
  readonly cancel: (call: Call<F>) => void
}

/**
 * Gives up the calls that have had their time without an answer or a sign of life: one fiber for all of them, which sleeps
 * until the first may be late.
 *
 * @internal
 */
export class Deadlines<F> {
  private readonly calls: Watched<F>
  private watcher: Fiber.Fiber<void> | undefined = undefined

  constructor(calls: Watched<F>) {
    this.calls = calls
  }

  /** The time of a call begins anew. */
  touch(call: Call<F>): void {
    const { clock, fork, timeout } = this.calls.limits
    call.deadline = monotonicMillis(clock) + timeout
    if (this.watcher === undefined) this.watcher = fork(this.watch)
  }

  stop(): void {
    this.watcher?.interruptUnsafe()
  }

  private get watch(): Effect.Effect<void> {
    return Effect.suspend(() => this.giveUp())
  }

  private giveUp(): Effect.Effect<void> {
    const { calls } = this
    const { clock, describe, timeout } = calls.limits
    const now = monotonicMillis(clock)
    let next = Infinity
    const late: Array<Call<F>> = []
    for (const call of calls.all()) {
      if (call.deadline <= now) late.push(call)
      else if (call.deadline < next) next = call.deadline
    }
    for (const call of late) {
      const { maybeExecuted } = call
      const where = call.connection > 0
        ? "no answer"
        : `${maybeExecuted ? "lost" : "not sent"} (${describe(calls.status)})`
      calls.cancel(call)
      call.lost({ kind: "Timeout", detail: `${where} within ${timeout / 1000} s`, maybeExecuted, cause: undefined })
    }
    if (next !== Infinity && calls.status._tag !== "Ended") return Effect.andThen(Effect.sleep(next - now), this.watch)
    this.watcher = undefined
    return Effect.void
  }
}
