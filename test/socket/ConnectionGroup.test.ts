import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Logger, Metric, References, Scope } from "effect"
import { ConnectionGroup, SocketMetrics } from "effect-wire/socket"
import { TestClock } from "effect/testing"

const none = Context.empty()

describe("ConnectionGroup", () => {
  it.effect("counts its connections, and is full at the limit", () =>
    Effect.gen(function*() {
      const group = yield* ConnectionGroup.make({ maxConnections: 2 })
      const end = yield* Deferred.make<void>()
      let ended = 0
      group.fork(Deferred.await(end), none, () => ended++)
      assert.isFalse(group.isFull())
      group.fork(Effect.never, none, () => ended++)
      group.fork(Effect.void, none, () => ended++)
      assert.isTrue(group.isFull())
      assert.strictEqual(group.size(), 2)
      assert.strictEqual((yield* Metric.value(SocketMetrics.connections)).value, 2)
      assert.strictEqual(ended, 1)
      yield* Deferred.succeed(end, undefined)
      yield* Effect.yieldNow
      assert.strictEqual(group.size(), 1)
      assert.strictEqual(ended, 2)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("when it shuts down, drains run side by side, then handlers are interrupted", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const group = yield* Scope.provide(ConnectionGroup.make(), scope)
      const log: Array<string> = []
      const handler = (name: string) =>
        Effect.scoped(Effect.gen(function*() {
          yield* ConnectionGroup.onShutdown(
            Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push(`${name} drained`)))
          )
          return yield* Effect.never
        })).pipe(Effect.onInterrupt(() => Effect.sync(() => log.push(`${name} interrupted`))))
      const context = yield* Effect.context<never>()
      group.fork(handler("a"), context, () => {})
      group.fork(handler("b"), context, () => {})
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.isTrue(group.isFull())
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(log, ["a drained", "b drained", "a interrupted", "b interrupted"])
      assert.strictEqual(group.size(), 0)
    }))

  it.effect("a connection that has ended is not drained", () =>
    Effect.gen(function*() {
      const group = yield* ConnectionGroup.make()
      group.fork(Effect.scoped(ConnectionGroup.onShutdown(Effect.never)), none, () => {})
      yield* group.shutdown
    }))

  it.effect("outside of a group onShutdown does nothing", () =>
    Effect.scoped(ConnectionGroup.onShutdown(Effect.die("never run"))))

  it.effect("a failure of one handler is logged and touches no other", () =>
    Effect.gen(function*() {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        messages.push(message)
      })
      yield* Effect.gen(function*() {
        const group = yield* ConnectionGroup.make()
        const context = yield* Effect.context<never>()
        group.fork(Effect.never, context, () => {})
        group.fork(Effect.die("broken"), context, () => {})
        group.fork(Effect.interrupt, context, () => {})
        yield* Effect.yieldNow
        assert.strictEqual(group.size(), 1)
      }).pipe(
        Effect.scoped,
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      assert.strictEqual(messages.length, 1)
      assert.include(String(messages[0]), "Unhandled error in the handler of a connection")
    }))
})
