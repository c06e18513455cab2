/**
 * What the fibers of one life of a node run on: the scheduler, the clock and the random numbers of their world.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type { Life, Loop } from "./loop.ts"

/** Where every world begins: 2026-01-01T00:00:00Z. */
export const epoch = 1767225600000

/** What the wall clock of a node shows. */
export const localMillis = (loop: Loop, life: Life): number => Math.floor(epoch + life.offset + loop.now * life.rate)

class WorldScheduler implements Scheduler.Scheduler {
  readonly executionMode = "async"
  private readonly loop: Loop
  private readonly dispatcher: Scheduler.SchedulerDispatcher

  constructor(loop: Loop, life: Life) {
    this.loop = loop
    this.dispatcher = {
      scheduleTask: (task, priority) => loop.post(life, task, priority),
      flush: () => {}
    }
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return this.loop.shouldPreempt() || fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.dispatcher
  }
}

class WorldClock implements Clock.Clock {
  private readonly loop: Loop
  private readonly life: Life
  readonly currentTimeMillis: Effect.Effect<number>
  readonly currentTimeNanos: Effect.Effect<bigint>
  readonly monotonicTimeNanos: Effect.Effect<bigint>

  constructor(loop: Loop, life: Life) {
    this.loop = loop
    this.life = life
    this.currentTimeMillis = Effect.sync(() => this.currentTimeMillisUnsafe())
    this.currentTimeNanos = Effect.sync(() => this.currentTimeNanosUnsafe())
    this.monotonicTimeNanos = Effect.sync(() => this.monotonicTimeNanosUnsafe())
  }

  currentTimeMillisUnsafe(): number {
    return localMillis(this.loop, this.life)
  }

  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.currentTimeMillisUnsafe()) * BigInt(1_000_000)
  }

  monotonicTimeNanosUnsafe(): bigint {
    return BigInt(Math.floor(this.loop.now * this.life.rate * 1000)) * BigInt(1000)
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    if (!Number.isFinite(millis)) return Effect.never
    return Effect.callback<void>((resume) => {
      const timer = this.loop.timer(this.life, millis / this.life.rate, () => resume(Effect.void))
      return Effect.sync(() => this.loop.cancel(timer))
    })
  }
}

/** Everything that makes a fiber a part of the world. */
export const contextOf = (loop: Loop, life: Life): Context.Context<never> =>
  Context.empty().pipe(
    Context.add(Scheduler.Scheduler, new WorldScheduler(loop, life)),
    Context.add(Clock.Clock, new WorldClock(loop, life)),
    Context.add(Random.Random, {
      nextDoubleUnsafe: () => life.random.next(),
      nextIntUnsafe: () =>
        Math.floor(life.random.next() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) +
        Number.MIN_SAFE_INTEGER
    }),
    Context.add(Metric.FiberRuntimeMetrics, {
      recordFiberStart: () => {
        life.fibers++
      },
      recordFiberEnd: () => {
        life.fibers--
      }
    })
  ) as Context.Context<never>
