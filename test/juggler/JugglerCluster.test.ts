import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JugglerClient, JugglerCluster, JugglerGeneration, JugglerServer } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { settle } from "./wire.ts"

const Board = Schema.Struct({ count: Schema.Finite, log: Schema.Array(Schema.String) })

const start = (backplane: Backplane.Backplane["Service"], options?: { readonly snapshotEvery?: number }) =>
  Effect.gen(function*() {
    const fiber = yield* JugglerCluster.make({
      channel: "board",
      schema: Board,
      initial: { count: 0, log: [] },
      ...options
    }).pipe(Effect.provideService(Backplane.Backplane, backplane), Effect.forkChild)
    for (let i = 0; i < 15; i++) {
      yield* settle
      yield* TestClock.adjust("100 millis")
    }
    yield* settle
    return yield* Fiber.join(fiber)
  })

/** A backplane of which one listener can be made to miss events. */
const leaky = (backplane: Backplane.Backplane["Service"]) => {
  let deaf = false
  let missed = 0
  const listeners: Array<(event: Backplane.Event) => void> = []
  const made = Backplane.make({
    publish: backplane.publish,
    last: backplane.last,
    listen: (channel, onEvent) => {
      listeners.push(onEvent)
      return backplane.listen(channel, (event) => {
        if (deaf) missed++
        else onEvent(event)
      })
    }
  })
  return {
    backplane: made,
    stop: () => {
      deaf = true
    },
    resume: () => {
      deaf = false
      for (const onEvent of listeners) onEvent({ _tag: "Gap", channel: "board", after: 0, sequence: missed, missed })
    }
  }
}

describe("JugglerCluster", () => {
  it.effect("shows in every process what any of them writes, at the same version", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const a = yield* start(backplane)
      yield* a.update((draft) => {
        draft.count = 1
      })
      const b = yield* start(backplane)
      const c = yield* start(backplane)
      assert.deepStrictEqual(yield* b.get, { count: 1, log: [] })
      yield* b.put(["log", "-"], "b")
      yield* c.patch([{ op: "add", path: ["log", 0], value: "c" }])
      yield* a.set({ count: 2, log: [...(yield* a.get).log, "a"] })
      for (const state of [a, b, c]) {
        assert.deepStrictEqual(yield* state.get, { count: 2, log: ["c", "b", "a"] })
        assert.deepStrictEqual(yield* state.position, yield* a.position)
      }
    }))

  it.effect("counts every increment, whoever makes it at the same time", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      // publications take their time, so that writers meet
      const backplane = Backplane.make({
        ...memory,
        publish: (channel, payload, options) =>
          Effect.andThen(Effect.yieldNow, memory.publish(channel, payload, options))
      })
      const states = [yield* start(backplane), yield* start(backplane), yield* start(backplane)]
      yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => states[i % 3]!),
        (state) =>
          state.update((draft) => {
            draft.count++
          }),
        { concurrency: "unbounded", discard: true }
      )
      for (const state of states) {
        assert.strictEqual((yield* state.get).count, 60)
        assert.strictEqual((yield* state.position).version, 60)
      }
    }))

  it.effect("refuses what the schema or the document refuses, and tells nobody", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const state = yield* start(backplane)
      const before = yield* state.position
      for (
        const effect of [
          state.put(["count"], "x"),
          state.remove(["nothing"]),
          state.update((draft) => {
            draft.count = NaN
          })
        ]
      ) {
        const error = yield* Effect.flip(effect as Effect.Effect<unknown, { readonly _tag: string }>)
        assert.strictEqual(error._tag, "JsonPatchError")
      }
      assert.strictEqual((yield* Effect.flip(state.set({ count: "x" as never, log: [] })))._tag, "SchemaError")
      assert.deepStrictEqual(yield* state.position, before)
    }))

  it.effect("repairs a gap with the whole", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const hole = leaky(memory)
      const a = yield* start(memory)
      const b = yield* start(hole.backplane)
      yield* a.put(["count"], 1)
      hole.stop()
      yield* a.put(["count"], 2)
      yield* a.put(["log", "-"], "missed")
      assert.strictEqual((yield* b.get).count, 1)
      hole.resume()
      yield* a.put(["log", "-"], "while it asks")
      yield* settle
      yield* TestClock.adjust("100 millis")
      yield* settle
      assert.deepStrictEqual(yield* b.get, { count: 2, log: ["missed", "while it asks"] })
      assert.deepStrictEqual(yield* b.position, yield* a.position)
      yield* b.put(["count"], 3)
      assert.strictEqual((yield* a.get).count, 3)
    }))

  it.effect("says that a write is uncertain when its publication was lost", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const hole = leaky(memory)
      yield* start(memory)
      const b = yield* start(hole.backplane)
      hole.stop()
      const write = yield* Effect.forkChild(Effect.flip(b.put(["count"], 5)))
      yield* settle
      hole.resume()
      const error = yield* Fiber.join(write)
      assert.isTrue(error._tag === "BackplaneError" && error.uncertain)
    }))

  it.effect("agrees on one start when several start at the same time", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(start(backplane)))
      yield* settle
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("100 millis")
        yield* settle
      }
      const states = yield* Effect.forEach(fibers, Fiber.join)
      yield* states[0]!.put(["count"], 7)
      for (const state of states) {
        assert.strictEqual((yield* state.get).count, 7)
        assert.deepStrictEqual(yield* state.position, yield* states[0]!.position)
      }
    }))

  it.effect("starts from what was retained when all processes had ended", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(start(backplane, { snapshotEvery: 1 }), scope)
      const { epoch } = yield* first.position
      yield* first.put(["count"], 9)
      yield* settle
      yield* TestClock.adjust("100 millis")
      yield* settle
      yield* Scope.close(scope, Exit.void)
      const second = yield* start(backplane)
      assert.strictEqual((yield* second.get).count, 9)
      assert.notStrictEqual((yield* second.position).epoch, epoch)
    }))

  it.effect("comes together again after a process was taken for gone", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const hole = leaky(memory)
      const a = yield* start(hole.backplane)
      yield* a.put(["count"], 4)
      hole.stop()
      const b = yield* start(memory)
      assert.strictEqual((yield* b.get).count, 0)
      hole.resume()
      for (let i = 0; i < 30; i++) {
        yield* settle
        yield* TestClock.adjust("100 millis")
      }
      yield* settle
      assert.deepStrictEqual(yield* a.position, yield* b.position)
      yield* b.put(["log", "-"], "together")
      assert.deepStrictEqual(yield* a.get, yield* b.get)
    }))

  it.effect("is served like any state: a client follows what another process writes", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const here = yield* start(backplane)
      const there = yield* start(backplane)
      const memory = yield* MemorySocket.makeServer()
      const run = yield* JugglerServer.make(undefined, {
        state: here,
        generation: JugglerGeneration.v07,
        autoflush: 0
      })
      yield* Effect.forkScoped(memory.server.run(run))
      const client = yield* JugglerClient.fromSocket(memory.connect(), { state: Board })
      const seen: Array<number> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.state.changes, ({ count }) => Effect.sync(() => void seen.push(count)))
      )
      yield* settle
      yield* there.put(["count"], 1)
      yield* settle
      yield* there.put(["count"], 2)
      yield* settle
      assert.deepStrictEqual(seen, [0, 1, 2])
    }))
})
