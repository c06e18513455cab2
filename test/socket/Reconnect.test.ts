import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Random, Schedule, Scope } from "effect"
import { MemorySocket, Reconnect } from "effect-wire/socket"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"

const plain: Reconnect.Policy = Schedule.exponential("100 millis")

const echo = (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
  }))

const serving = (socket: Socket.Socket) => (opened: Effect.Effect<void>) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    yield* opened
    return yield* Effect.forever(pull)
  }))

/** Every status in order. */
const record = () => {
  const seen: Array<Reconnect.Status> = []
  return { seen, onStatus: (status: Reconnect.Status) => void seen.push(status), last: () => seen[seen.length - 1]! }
}

describe("Reconnect", () => {
  it.effect("a lost connection is dialled again, and the status tells each step", () =>
    Effect.gen(function*() {
      const { connect, server } = yield* MemorySocket.makeServer()
      yield* Effect.forkScoped(server.run(echo))
      const socket = connect({ cutAfter: 1 })
      const { last, onStatus, seen } = record()
      const writer = yield* socket.writer
      const fiber = yield* Effect.forkChild(Reconnect.run(serving(socket), { onStatus, policy: plain }), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      yield* writer.write("the frame that cuts")
      yield* TestClock.adjust("99 millis")
      const lost = last()
      assert.isTrue(lost._tag === "Lost" && lost.nextDial === 1100)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(last()._tag, "Open")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(last(), { _tag: "Ended", cause: undefined })
      assert.deepStrictEqual(seen.map((status) => status._tag), [
        "Dialling",
        "Open",
        "Lost",
        "Dialling",
        "Open",
        "Ended"
      ])
    }))

  it.effect("a server that is not there is dialled after growing delays, until it is", () =>
    Effect.gen(function*() {
      const dials: Array<number> = []
      let there = false
      const { last, onStatus } = record()
      const refused = new Socket.SocketError({
        reason: new Socket.SocketOpenError({ kind: "Unknown", cause: new Error("refused") })
      })
      yield* Reconnect.run((opened) =>
        Effect.gen(function*() {
          dials.push(yield* Clock.currentTimeMillis)
          if (!there) return yield* Effect.fail(refused)
          yield* opened
          return yield* Effect.never
        }), { onStatus, policy: plain }).pipe(Effect.forkChild({ startImmediately: true }))
      yield* TestClock.adjust("700 millis")
      assert.deepStrictEqual(dials, [0, 100, 300, 700])
      there = true
      yield* TestClock.adjust("800 millis")
      assert.deepStrictEqual(dials, [0, 100, 300, 700, 1500])
      assert.strictEqual(last()._tag, "Open")
    }))

  it.effect("a server that accepts and closes at once is not dialled in a tight loop", () =>
    Effect.gen(function*() {
      const { connect, server } = yield* MemorySocket.makeServer()
      let accepted = 0
      yield* Effect.forkScoped(server.run(() => Effect.sync(() => accepted++)))
      const { onStatus } = record()
      yield* Effect.forkChild(Reconnect.run(serving(connect()), { onStatus, policy: plain }))
      yield* TestClock.adjust("10 seconds")
      // 0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3 seconds
      assert.strictEqual(accepted, 7)
    }))

  it.effect("after a connection that lasted, the delays start anew", () =>
    Effect.gen(function*() {
      const { connect, server } = yield* MemorySocket.makeServer()
      const opened: Array<number> = []
      yield* Effect.forkScoped(server.run(() =>
        Effect.andThen(
          Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sync(() => opened.push(now))),
          Effect.sleep("5 seconds")
        )
      ))
      const { onStatus } = record()
      yield* Effect.forkChild(Reconnect.run(serving(connect()), { onStatus, policy: plain }))
      yield* TestClock.adjust("16 seconds")
      assert.deepStrictEqual(opened, [0, 5100, 10_200, 15_300])
    }))

  it.effect("a policy that ends, and no policy at all, end with the last error", () =>
    Effect.gen(function*() {
      const gone = yield* Scope.make()
      const { connect } = yield* Scope.provide(MemorySocket.makeServer(), gone)
      yield* Scope.close(gone, Exit.void)
      for (const policy of [undefined, Schedule.max([plain, Schedule.recurs(3)])]) {
        const { last, onStatus } = record()
        const fiber = yield* Effect.forkChild(Reconnect.run(serving(connect()), { onStatus, policy }))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.strictEqual(error.reason._tag, "SocketOpenError")
        assert.deepStrictEqual(last(), { _tag: "Ended", cause: error })
      }
    }))

  it.effect("the usual policy doubles its delays up to 30 seconds, each changed by at most a fifth", () =>
    Effect.gen(function*() {
      const step = yield* Schedule.toStep(Reconnect.schedule)
      const error = new Socket.SocketError({ reason: new Socket.SocketCloseError({ code: 1006 }) })
      for (let i = 0; i < 20; i++) {
        const [, delay] = yield* step(0, error)
        const expected = Math.min(100 * 2 ** i, 30_000)
        const millis = Duration.toMillis(delay)
        assert.isAtLeast(millis, expected * 0.8)
        assert.isAtMost(millis, expected * 1.2)
      }
    }).pipe(Random.withSeed("reconnect")))
})
