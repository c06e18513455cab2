import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JugglerClient, JugglerCluster, JugglerGeneration, JugglerServer } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { generator } from "./generate.ts"
import { raw, settle } from "./wire.ts"

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
  let last = 0
  let epoch = ""
  const listeners: Array<(event: Backplane.Event) => void> = []
  const made = Backplane.make({
    publish: backplane.publish,
    last: backplane.last,
    listen: (channel, onEvent) => {
      listeners.push(onEvent)
      return backplane.listen(channel, (event) => {
        if (deaf) {
          missed++
          last = event.sequence
        } else onEvent(event)
      }).pipe(Effect.tap((registration) =>
        Effect.sync(() => {
          epoch = registration.epoch
        })
      ))
    }
  })
  return {
    backplane: made,
    stop: () => {
      deaf = true
    },
    /** Hears again, and is told of no gap. */
    hear: () => {
      deaf = false
    },
    resume: () => {
      if (!deaf) return
      deaf = false
      for (const onEvent of listeners) {
        onEvent({ _tag: "Gap", channel: "board", after: last - missed, sequence: last, missed, epoch })
      }
    }
  }
}

describe("JugglerCluster", () => {
  it.effect("who wrote nothing goes on with what counts, not with what others of its turn are about to write", () =>
    Effect.gen(function*() {
      const board = yield* start(yield* Backplane.makeMemory)
      const something = yield* Effect.forkChild(board.update((draft) => {
        draft.count = 1
      }))
      const nothing = yield* board.update((draft) => {
        draft.log.shift()
      }).pipe(
        Effect.andThen(Effect.all([board.position, board.get])),
        Effect.forkChild
      )
      for (let i = 0; i < 5; i++) {
        yield* settle
        yield* TestClock.adjust("1 second")
      }
      const [{ version }, { count }] = yield* Fiber.join(nothing)
      assert.strictEqual(count, version)
      assert.strictEqual(something.pollUnsafe()?._tag, "Success")
      assert.strictEqual((yield* board.get).count, 1)
    }))

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

  it.effect("ends every write when it is closed, and those that come later", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      let isStuck = false
      const scope = yield* Scope.make()
      const board = yield* Scope.provide(
        start(Backplane.make({
          ...memory,
          publish: (channel, payload, options) => isStuck ? Effect.never : memory.publish(channel, payload, options)
        })),
        scope
      )
      isStuck = true
      const published = yield* Effect.forkChild(Effect.flip(board.put(["count"], 1)))
      yield* settle
      const waiting = yield* Effect.forkChild(Effect.flip(board.put(["count"], 2)))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      for (const write of [Fiber.join(published), Fiber.join(waiting), Effect.flip(board.put(["count"], 3))]) {
        const error = yield* write
        assert.isTrue(error._tag === "BackplaneError" && error.uncertain)
      }
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

  /** A backplane whose publications take their time, and are counted. */
  const slow = (memory: Backplane.Backplane["Service"], delay = 2) => {
    const published: Array<string> = []
    const backplane = Backplane.make({
      ...memory,
      publish: (channel, payload, options) =>
        Effect.andThen(
          Effect.sleep(delay),
          Effect.suspend(() => {
            published.push(payload)
            return memory.publish(channel, payload, options)
          })
        )
    })
    return { backplane, published }
  }

  const Shelf = Schema.Struct({ n: Schema.Finite, items: Schema.Record(Schema.String, Schema.Finite) })
  const shelf = (backplane: Backplane.Backplane["Service"], options?: Partial<JugglerCluster.Options<any, any>>) =>
    passing(
      JugglerCluster.make({ channel: "shelf", schema: Shelf, initial: { n: 0, items: {} }, ...options }).pipe(
        Effect.provideService(Backplane.Backplane, backplane)
      )
    )

  /** Lets time pass until the effect is done. */
  const passing = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(effect)
      while (fiber.pollUnsafe() === undefined) {
        yield* settle
        yield* TestClock.adjust("10 millis")
      }
      return yield* Fiber.join(fiber)
    })

  it.effect("publishes 200 concurrent writes of one process at most 10 times", () =>
    Effect.gen(function*() {
      const { backplane, published } = slow(yield* Backplane.makeMemory)
      const state = yield* shelf(backplane)
      published.length = 0
      const items = Array.from({ length: 200 }, (_, i) => i)
      yield* passing(Effect.forEach(items, (i) => state.put(["items", `k${i}`], i), { concurrency: "unbounded" }))
      assert.isAtMost(published.length, 10)
      assert.strictEqual(Object.keys((yield* state.get).items).length, 200)
      published.length = 0
      const count = state.update((draft) => void draft.n++)
      yield* passing(Effect.forEach(items, () => count, { concurrency: "unbounded" }))
      assert.isAtMost(published.length, 10)
      assert.strictEqual((yield* state.get).n, 200)
    }))

  it.effect("lets writes of different places pass each other, and makes those of one place anew", () =>
    Effect.gen(function*() {
      const { backplane, published } = slow(yield* Backplane.makeMemory)
      const a = yield* shelf(backplane)
      const b = yield* shelf(backplane)
      published.length = 0
      yield* passing(Effect.all([a.put(["items", "a"], 1), b.put(["items", "b"], 2)], { concurrency: "unbounded" }))
      assert.strictEqual(published.length, 2)
      for (const state of [a, b]) assert.deepStrictEqual((yield* state.get).items, { a: 1, b: 2 })
      // what was looked at is a place too
      const copy = (state: typeof a, from: string, to: string) =>
        state.update((draft) => {
          draft.items[to] = draft.items[from]! + 10
        })
      yield* passing(Effect.all([copy(a, "a", "b"), copy(b, "b", "a")], { concurrency: "unbounded" }))
      const { items } = yield* a.get
      assert.include(["{\"a\":21,\"b\":11}", "{\"a\":12,\"b\":22}"], JSON.stringify({ a: items["a"], b: items["b"] }))
      assert.deepStrictEqual(yield* b.get, yield* a.get)
      assert.deepStrictEqual(yield* b.position, yield* a.position)
    }))

  it.effect("fails only the writer whose recipe throws, or does not apply", () =>
    Effect.gen(function*() {
      const { backplane } = slow(yield* Backplane.makeMemory)
      const state = yield* shelf(backplane)
      const exits = yield* passing(Effect.forEach([
        state.put(["n"], 1),
        state.update((draft) => {
          draft.n = 99
          throw new Error("no")
        }),
        state.put(["n"], "x"),
        state.remove(["items", "none"]),
        state.put(["items", "a"], 1)
      ], (write) =>
        Effect.exit(write as Effect.Effect<unknown>), { concurrency: "unbounded" }))
      assert.deepStrictEqual(
        exits.map(({ _tag }) =>
          _tag
        ),
        ["Success", "Failure", "Failure", "Failure", "Success"]
      )
      assert.deepStrictEqual(yield* state.get, { n: 1, items: { a: 1 } })
    }))

  it.effect("repairs a copy that could not apply what the others could", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const a = yield* shelf(memory)
      // this one holds others to a bound that they do not have
      const small = yield* shelf(memory, { limits: { maxSize: 600 } })
      yield* a.put(["n"], 1)
      for (let i = 0; i < 10; i++) yield* a.put(["items", `k${i}`], i)
      // it knows, and asks for the whole again and again; what it shows is an older version, and nothing else
      assert.isBelow((yield* small.position).version, (yield* a.position).version)
      const write = yield* Effect.forkChild(small.put(["n"], 2))
      yield* settle
      assert.isUndefined(write.pollUnsafe())
      for (let i = 0; i < 10; i++) yield* a.remove(["items", `k${i}`])
      yield* passing(Fiber.join(write))
      assert.deepStrictEqual(yield* small.get, { n: 2, items: {} })
      assert.deepStrictEqual(yield* small.get, yield* a.get)
      assert.deepStrictEqual(yield* small.position, yield* a.position)
    }))

  it.effect("notices that its own publication does not come, and repairs", () =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const hole = leaky(memory)
      const a = yield* shelf(memory)
      const b = yield* shelf(hole.backplane)
      hole.stop()
      const write = yield* Effect.forkChild(Effect.flip(b.put(["n"], 5)))
      yield* settle
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(write)
      assert.isTrue(error._tag === "BackplaneError" && error.uncertain)
      hole.hear()
      yield* passing(b.put(["items", "b"], 1))
      assert.deepStrictEqual(yield* b.get, { n: 5, items: { b: 1 } })
      assert.deepStrictEqual(yield* b.get, yield* a.get)
    }))

  /** Three copies: `c`, whose publications take so long, does not hear what the others write, which is confirmed. */
  const withOneBehind = (delay: number) =>
    Effect.gen(function*() {
      const memory = yield* Backplane.makeMemory
      const holes = { a: leaky(memory), b: leaky(memory), c: leaky(memory) }
      const a = yield* shelf(holes.a.backplane)
      const b = yield* shelf(holes.b.backplane)
      const c = yield* shelf(slow(holes.c.backplane, delay).backplane)
      holes.c.stop()
      for (const state of [a, b]) yield* passing(state.update((draft) => void draft.n++))
      const ends = Effect.gen(function*() {
        for (let i = 0; i < 60; i++) {
          yield* settle
          yield* TestClock.adjust("200 millis")
        }
        for (const state of [a, b, c]) {
          assert.strictEqual((yield* state.get).n, 2)
          assert.deepStrictEqual(yield* state.position, yield* a.position)
        }
      })
      return { a, b, c, holes, memory, ends }
    })

  it.effect("an epoch does not begin from less than what others, who speak meanwhile, confirmed", () =>
    Effect.gen(function*() {
      const { a, c, ends, holes } = yield* withOneBehind(300)
      for (const hole of [holes.a, holes.b]) hole.stop()
      holes.c.hear()
      // hears that it missed something, and asks; those who know do not hear it
      yield* Effect.forkChild(Effect.ignore(c.put(["items", "c"], 1)))
      for (let i = 0; i < 16; i++) {
        yield* settle
        yield* TestClock.adjust("100 millis")
      }
      // its patience is over, what it would begin is on its way: now the others hear again
      for (const hole of [holes.a, holes.b]) hole.hear()
      yield* Effect.forkChild(Effect.ignore(a.put(["items", "a"], 1)))
      yield* ends
    }))

  it.effect("an epoch does not begin where what was said since somebody asked was not heard", () =>
    Effect.gen(function*() {
      const { c, ends, holes, memory } = yield* withOneBehind(2)
      // asks, and does not hear the answers
      holes.c.hear()
      yield* Effect.forkChild(Effect.ignore(c.put(["items", "c"], 1)))
      yield* settle
      yield* TestClock.adjust("2 millis")
      holes.c.stop()
      yield* settle
      yield* TestClock.adjust("200 millis")
      yield* settle
      // the others miss something too, and ask: that it does not hear either, and of that it is not told
      for (const hole of [holes.a, holes.b]) hole.stop()
      yield* memory.publish("shelf", "something")
      for (const hole of [holes.a, holes.b]) hole.resume()
      yield* settle
      yield* TestClock.adjust("100 millis")
      yield* settle
      holes.c.hear()
      yield* ends
    }))

  it.effect("who does not hear himself holds nobody up", () =>
    Effect.gen(function*() {
      const { a, b, c, holes } = yield* withOneBehind(2)
      // the only ones who know more can speak, and hear nothing any more
      for (const hole of [holes.a, holes.b]) hole.stop()
      holes.c.hear()
      for (const state of [a, b]) yield* Effect.forkChild(Effect.ignore(state.put(["items", "a"], 1)))
      const write = yield* Effect.forkChild(c.put(["items", "c"], 1))
      for (let i = 0; i < 50; i++) {
        yield* settle
        yield* TestClock.adjust("200 millis")
      }
      yield* Fiber.join(write)
      assert.deepStrictEqual((yield* c.get).items, { c: 1 })
      for (const hole of [holes.a, holes.b]) hole.hear()
      yield* passing(c.put(["items", "d"], 2))
      for (let i = 0; i < 20; i++) {
        yield* settle
        yield* TestClock.adjust("200 millis")
      }
      for (const state of [a, b]) assert.deepStrictEqual(yield* state.position, yield* c.position)
      assert.deepStrictEqual(yield* a.get, yield* c.get)
    }))

  it.effect.prop(
    "ends with equal copies, and nothing lost, whatever happens",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.gen(function*() {
        const random = generator(seed)
        const memory = yield* Backplane.makeMemory
        const backplanes = [leaky(memory), leaky(memory), leaky(memory)]
        const states = []
        for (const { backplane } of backplanes) states.push(yield* shelf(slow(backplane).backplane))
        let counted = 0
        let uncertain = 0
        for (let i = 0; i < 30; i++) {
          const state = states[random.int(3)]!
          const write = random.int(3) === 0
            ? state.put(["items", `k${random.int(5)}`], i)
            : Effect.matchEffect(state.update((draft) => void draft.n++), {
              onSuccess: () => Effect.sync(() => void counted++),
              onFailure: () => Effect.sync(() => void uncertain++)
            })
          yield* Effect.forkChild(Effect.ignore(write))
          if (random.int(4) === 0) yield* TestClock.adjust(random.int(5))
          if (random.int(10) === 0) backplanes[random.int(3)]!.stop()
          if (random.int(5) === 0) { for (const hole of backplanes) hole.hear() }
        }
        for (const hole of backplanes) hole.resume()
        for (let i = 0; i < 60; i++) {
          yield* settle
          yield* TestClock.adjust("200 millis")
        }
        const value = yield* states[0]!.get
        for (const state of states) {
          assert.deepStrictEqual(yield* state.get, value)
          assert.deepStrictEqual(yield* state.position, yield* states[0]!.position)
        }
        assert.isAtLeast(value.n, counted)
        assert.isAtMost(value.n, counted + uncertain)
      }),
    { arbitrary: { runs: 25 } }
  )

  it.effect("lets a client go on at another process, and gives it everything where that does not know its version", () =>
    Effect.gen(function*() {
      const backplane = yield* Backplane.makeMemory
      const line = leaky(backplane)
      const servers: Array<
        {
          readonly state: Effect.Success<ReturnType<typeof start>>
          readonly server: MemorySocket.MemoryServer["Service"]
        }
      > = []
      for (const plane of [backplane, line.backplane]) {
        const state = yield* start(plane)
        const server = yield* MemorySocket.makeServer()
        const run = yield* JugglerServer.make(undefined, { state, keepAlive: false, autoflush: "50 millis" })
        yield* Effect.forkScoped(server.server.run(run))
        servers.push({ state, server })
      }
      const [a, b] = servers as [typeof servers[0], typeof servers[0]]
      yield* a.state.set({ count: 0, log: Array.from({ length: 1_000 }, (_, i) => `entry ${i}`) })
      /** What a client that stopped somewhere is sent at a server. */
      const asks = (server: MemorySocket.MemoryServer["Service"], point: string) =>
        Effect.gen(function*() {
          const peer = yield* raw(server.connect())
          yield* peer.send(`2effect-wire/resume${point}`)
          yield* TestClock.adjust("50 millis")
          yield* settle
          const text = peer.frames.filter((frame) => frame[0] === "0" && frame.includes("\"state\""))
          yield* peer.close
          return JSON.parse(text[0]!.slice(1))
        })
      const first = yield* asks(a.server, "")
      const other = yield* asks(b.server, "")
      assert.deepStrictEqual([other.epoch, other.version], [first.epoch, first.version])
      assert.deepStrictEqual(yield* a.state.position, { epoch: first.epoch, version: first.version })
      const ways: Array<number> = []
      for (let i = 0; i < 5; i++) {
        yield* b.state.put(["log", 0], `new ${i}`)
        yield* a.state.put(["count"], i + 1)
        const { epoch, version } = yield* a.state.position
        ways.push(version)
        // it stopped in the middle of what the other process has flushed together
        const missed = yield* asks(b.server, ` ${epoch} ${version - 1}`)
        assert.deepStrictEqual(missed, {
          type: "state",
          diff: [{ op: "replace", path: "/count", value: i + 1 }],
          epoch,
          version,
          base: version - 1
        })
      }
      // a process that was behind, and took everything from another, knows nothing of what was between
      line.stop()
      for (let i = 0; i < 3; i++) yield* a.state.put(["log", "-"], `unheard ${i}`)
      line.resume()
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      const position = yield* a.state.position
      assert.deepStrictEqual(yield* b.state.position, position)
      const all = yield* asks(b.server, ` ${position.epoch} ${position.version - 1}`)
      assert.strictEqual(all.diff[0].path, "")
      assert.deepStrictEqual([all.epoch, all.version], [position.epoch, position.version])
      // and from there on knows again
      yield* a.state.put(["count"], 99)
      const rest = yield* asks(b.server, ` ${position.epoch} ${position.version}`)
      assert.deepStrictEqual([rest.base, rest.version], [position.version, position.version + 1])
    }))
})
