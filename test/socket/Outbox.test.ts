import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Scope } from "effect"
import { MemorySocket, Outbox } from "effect-wire/socket"
import { Socket } from "effect/socket"

/** A writer that records its writes, and can be made to wait or to fail. */
const recorder = () => {
  const writes: Array<ReadonlyArray<string | Uint8Array | Socket.CloseEvent>> = []
  let gate: Effect.Effect<void, Socket.SocketError> = Effect.void
  const writer: Socket.Writer = {
    write: (chunk) => Effect.andThen(Effect.sync(() => writes.push([chunk])), Effect.suspend(() => gate)),
    writeAll: (chunks) => Effect.andThen(Effect.sync(() => writes.push(chunks)), Effect.suspend(() => gate))
  }
  return {
    writer,
    writes,
    /** Suspends writes until the result is called. */
    block: () => {
      let open = () => {}
      gate = Effect.callback<void>((resume) => {
        open = () => {
          gate = Effect.void
          resume(Effect.void)
        }
      })
      return () => open()
    },
    fail: () => {
      gate = Effect.fail(new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: "broken" }) }))
    }
  }
}

/** All promise jobs of this turn. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe("Outbox", () => {
  it.effect("frames of one turn leave in one write, in order", () =>
    Effect.gen(function*() {
      const { writer, writes } = recorder()
      const outbox = yield* Outbox.make(writer)
      for (let i = 0; i < 5; i++) assert.isTrue(outbox.send(`${i}`))
      assert.deepStrictEqual(writes, [])
      assert.strictEqual(outbox.waiting(), 5)
      yield* turn
      assert.deepStrictEqual(writes, [["0", "1", "2", "3", "4"]])
      assert.strictEqual(outbox.waiting(), 0)
      outbox.send("alone")
      yield* turn
      assert.deepStrictEqual(writes[1], ["alone"])
    }))

  it.effect("a write that waits for a connection does not outlive the outbox, to go out on the next one", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const next = Latch.makeUnsafe(false)
      const write = (frame: unknown) => next.whenOpen(Effect.sync(() => void written.push(String(frame))))
      const scope = yield* Scope.make()
      const outbox = yield* Outbox.make({ write, writeAll: write }).pipe(Effect.provideService(Scope.Scope, scope))
      outbox.send("stale")
      yield* turn
      yield* Scope.close(scope, Exit.void)
      yield* next.open
      yield* turn
      assert.deepStrictEqual(written, [])
    }))

  it.effect("a corked outbox holds frames back until the last cork is drawn, and then writes at once", () =>
    Effect.gen(function*() {
      const { writer, writes } = recorder()
      const outbox = yield* Outbox.make(writer)
      outbox.cork()
      outbox.cork()
      outbox.send("a")
      outbox.uncork()
      yield* turn
      assert.deepStrictEqual(writes, [])
      outbox.send("b")
      outbox.uncork()
      assert.deepStrictEqual(writes, [["a", "b"]])
    }))

  it.effect("nothing is written while an earlier write waits, and what waits can be seen", () =>
    Effect.gen(function*() {
      const { block, writer, writes } = recorder()
      const outbox = yield* Outbox.make(writer)
      const open = block()
      outbox.send("one")
      yield* turn
      outbox.send("two")
      outbox.send("three")
      yield* turn
      assert.deepStrictEqual(writes, [["one"]])
      assert.strictEqual(outbox.waiting(), 11)
      const half = yield* Effect.forkChild(outbox.drained(8), { startImmediately: true })
      const all = yield* Effect.forkChild(outbox.drained(), { startImmediately: true })
      assert.isUndefined(half.pollUnsafe())
      open()
      yield* Fiber.join(half)
      yield* Fiber.join(all)
      assert.deepStrictEqual(writes, [["one"], ["two", "three"]])
    }))

  it.effect("a failed write closes the outbox, drops what waits and wakes who waits", () =>
    Effect.gen(function*() {
      const { fail, writer, writes } = recorder()
      const outbox = yield* Outbox.make(writer)
      fail()
      outbox.send("lost")
      yield* outbox.drained()
      assert.isTrue(outbox.isClosed())
      assert.isFalse(outbox.send("late"))
      yield* turn
      assert.deepStrictEqual(writes, [["lost"]])
    }))

  it.effect("close writes what waits, then the close event, once", () =>
    Effect.gen(function*() {
      const { writer, writes } = recorder()
      const outbox = yield* Outbox.make(writer)
      outbox.send("last")
      yield* outbox.close(4000, "enough")
      yield* outbox.close(4001)
      assert.isFalse(outbox.send("late"))
      assert.deepStrictEqual(writes, [["last"], [new Socket.CloseEvent(4000, "enough")]])
    }))

  it.effect("an outbox ends with its scope", () =>
    Effect.gen(function*() {
      const { writer, writes } = recorder()
      const scope = yield* Scope.make()
      const outbox = yield* Scope.provide(Outbox.make(writer), scope)
      outbox.send("dropped: this writer cannot take frames at once")
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(outbox.isClosed())
      yield* turn
      assert.deepStrictEqual(writes, [])
    }))

  it.effect("an interrupted wait for room forgets its place", () =>
    Effect.gen(function*() {
      const { block, writer } = recorder()
      const outbox = yield* Outbox.make(writer)
      const open = block()
      outbox.send("x")
      yield* turn
      const waiting = yield* Effect.forkChild(outbox.drained(), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      open()
      yield* outbox.drained()
    }))

  it.effect("a peer that stops reading shows as a growing backlog", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ capacity: 2 })
      yield* left.reader
      const { pull } = yield* right.reader
      const outbox = yield* Outbox.make(yield* left.writer)
      for (let i = 0; i < 10; i++) {
        outbox.send("x")
        yield* turn
      }
      assert.isAbove(outbox.waiting(), 5)
      let got = 0
      while (got < 10) got += (yield* pull).length
      yield* outbox.drained()
      assert.strictEqual(outbox.waiting(), 0)
    }))

  it.effect("keeps the order where the peer, in the same process, is answered before the write has returned", () =>
    Effect.scoped(Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair()
      const { pull } = yield* left.reader
      const outbox = yield* Outbox.make(yield* left.writer)
      const writer = yield* right.writer
      const { pull: heard } = yield* right.reader
      const frames: Array<unknown> = []
      yield* Effect.forkScoped(Effect.forever(Effect.map(pull, () => {
        outbox.cork()
        outbox.send("answer")
        outbox.uncork()
      })))
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(heard, (batch) => {
        frames.push(...batch)
        return frames.length === 1 ? writer.write("question") : Effect.void
      })))
      yield* Effect.yieldNow
      for (const frame of ["a", "b", "c"]) outbox.send(frame)
      yield* outbox.drained()
      while (frames.length < 4) yield* Effect.yieldNow
      assert.deepStrictEqual(frames, ["a", "b", "c", "answer"])
    })))
})
