import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Redacted, Result } from "effect"
import { Authenticator, Identity, LoginLimiter } from "effect-wire/identity"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"

const right = Effect.delay(Effect.succeed("alice"), 100)
const wrong = Effect.delay(Effect.succeed(undefined), 100)
const address = "192.0.2.1"

/** Makes attempts at once and lets time pass until all are over; how many were right, wrong and refused. */
const atOnce = (limiter: LoginLimiter.LoginLimiter, attempts: ReadonlyArray<Effect.Effect<string | undefined>>) =>
  Effect.gen(function*() {
    const fibers = yield* Effect.forEach(
      attempts,
      (attempt) => Effect.forkChild(Effect.result(limiter.attempt("alice", address, attempt)))
    )
    yield* TestClock.adjust("1 minute")
    const count = { right: 0, wrong: 0, refused: 0 }
    for (const fiber of fibers) {
      const result = yield* Fiber.join(fiber)
      count[Result.isFailure(result) ? "refused" : result.success === undefined ? "wrong" : "right"]++
    }
    return count
  })

it.effect("right credentials are not refused because others are checked at the same moment", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 10, perAddress: 20 })
    assert.deepStrictEqual(yield* atOnce(limiter, Array.from({ length: 100 }, () => right)), {
      right: 100,
      wrong: 0,
      refused: 0
    })
  }))

it.effect("of wrong attempts at once no more are checked than the limit allows one after the other", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 3 })
    assert.deepStrictEqual(yield* atOnce(limiter, Array.from({ length: 50 }, () => wrong)), {
      right: 0,
      wrong: 3,
      refused: 47
    })
    const error = yield* Effect.flip(limiter.attempt("alice", address, right))
    assert.strictEqual(error._tag, "TooManyAttempts")
  }))

it.effect("an attempt that was interrupted or failed by itself does not count, and lets the next one in", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 1 })
    const first = yield* Effect.forkChild(limiter.attempt("alice", address, Effect.never), { startImmediately: true })
    const second = yield* Effect.forkChild(limiter.attempt("alice", address, Effect.never), { startImmediately: true })
    const third = yield* Effect.forkChild(limiter.attempt("alice", address, right), { startImmediately: true })
    // one that waits, then the one that is checked
    yield* Fiber.interrupt(second)
    yield* Fiber.interrupt(first)
    yield* TestClock.adjust(100)
    assert.strictEqual(yield* Fiber.join(third), "alice")
    assert.strictEqual(yield* Effect.flip(limiter.attempt("alice", address, Effect.fail("away"))), "away")
    const fiber = yield* Effect.forkChild(limiter.attempt("alice", address, right), { startImmediately: true })
    yield* TestClock.adjust(100)
    assert.strictEqual(yield* Fiber.join(fiber), "alice")
  }))

it.effect("a wall clock that is set back locks nobody longer", () =>
  Effect.gen(function*() {
    const limiter = LoginLimiter.make({ perUser: 1, window: "1 minute" })
    const clock = yield* Clock.Clock
    const attempt = (offset: number) =>
      limiter.attempt("alice", address, Effect.succeed(undefined)).pipe(
        Effect.provideService(Clock.Clock, {
          ...clock,
          currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + offset),
          currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + offset,
          sleep: clock.sleep.bind(clock),
          monotonicTimeNanos: clock.monotonicTimeNanos,
          monotonicTimeNanosUnsafe: clock.monotonicTimeNanosUnsafe.bind(clock)
        })
      )
    yield* attempt(0)
    assert.strictEqual((yield* Effect.flip(attempt(-3_600_000)))._tag, "TooManyAttempts")
    yield* TestClock.adjust("1 minute")
    assert.isUndefined(yield* attempt(-3_600_000))
  }))

it.effect("processes that share a store of rate limits count together", () =>
  Effect.gen(function*() {
    const store = LoginLimiter.fromRateLimiterStore(yield* RateLimiter.RateLimiterStore)
    const [one, other] = [LoginLimiter.make({ perUser: 2, store }), LoginLimiter.make({ perUser: 2, store })]
    yield* one.attempt("alice", address, Effect.succeed(undefined))
    yield* other.attempt("alice", address, Effect.succeed(undefined))
    assert.strictEqual((yield* Effect.flip(one.attempt("alice", address, right)))._tag, "TooManyAttempts")
    yield* TestClock.adjust("5 minutes")
    const fiber = yield* Effect.forkChild(one.attempt("alice", address, right), { startImmediately: true })
    yield* TestClock.adjust(100)
    assert.strictEqual(yield* Fiber.join(fiber), "alice")
  }).pipe(Effect.provide(Layer.fresh(RateLimiter.layerStoreMemory))))

it.effect("guesses of tokens are limited like passwords, by address", () =>
  Effect.gen(function*() {
    const authenticator = Authenticator.make({
      token: ({ token }) => Effect.succeed(Redacted.value(token) === "t0ken" ? Identity.make("machine") : undefined),
      attempts: { perAddress: 5 }
    })
    const login = (token: string, address: string | undefined) =>
      authenticator.login({ _tag: "Token", token: Redacted.make(token) }, { address })
    for (let i = 0; i < 5; i++) assert.isUndefined(yield* login(`guess ${i}`, address))
    assert.strictEqual((yield* Effect.flip(login("t0ken", address)))._tag, "TooManyAttempts")
    assert.strictEqual((yield* login("t0ken", "192.0.2.2"))?.username, "machine")
    for (let i = 0; i < 5; i++) assert.isUndefined(yield* login(`guess ${i}`, undefined))
    assert.strictEqual((yield* Effect.flip(login("t0ken", undefined)))._tag, "TooManyAttempts")
  }))
