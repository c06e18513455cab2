import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Schema } from "effect"
import {
  JsonPatch,
  JsonPointer,
  JugglerClient,
  JugglerGeneration,
  JugglerServer,
  JugglerState,
  JugglerView
} from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { generator } from "./generate.ts"
import { raw, settle } from "./wire.ts"

type Json = JsonPointer.Json

const served = (options: JugglerServer.Options) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, { keepAlive: false, ...options })))
    return (headers: Record<string, string> = {}) =>
      Effect.tap(
        JugglerClient.fromSocket(memory.connect({ headers }), { keepAlive: false, reconnect: false }),
        () => settle
      )
  })

const house = {
  rooms: { kitchen: { celsius: 20, list: [1, 2] }, hall: { celsius: 18, list: [] } },
  order: ["a", "b", "c"]
}

describe("JugglerView", () => {
  it.effect("a function runs once for each flush, however many changes and connections there are", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ n: 0, other: 0 })
      const changes: Array<JugglerView.Change> = []
      const view = JugglerView.make((value, change) => {
        changes.push(change)
        return { double: (value as { n: number }).n * 2 }
      })
      const connect = yield* served({ state, view })
      const clients = []
      for (let i = 0; i < 20; i++) clients.push(yield* connect())
      assert.strictEqual(changes.length, 1)
      for (let round = 1; round <= 6; round++) {
        for (let i = 0; i < 30; i++) yield* state.put(["n"], round * 100 + i)
        yield* TestClock.adjust("200 millis")
        yield* settle
      }
      assert.strictEqual(changes.length, 7)
      assert.deepStrictEqual(changes.at(-1), {
        changes: [{ op: "replace", path: ["n"], value: 629 }],
        previous: { double: 1058 }
      })
      for (const client of clients) assert.deepStrictEqual(yield* client.state.json, { double: 1258 })
      // nobody is told that nothing is new
      const before = yield* clients[0]!.state.version
      yield* state.put(["other"], 1)
      yield* TestClock.adjust("200 millis")
      yield* settle
      assert.strictEqual(yield* clients[0]!.state.version, before)
    }))

  it.effect("a function of a part does not run for what happens elsewhere", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(house)
      let runs = 0
      const view = JugglerView.make((value) => {
        runs++
        return value
      }, { of: ["rooms", "kitchen"] })
      const connect = yield* served({ state, view, autoflush: 0 })
      const client = yield* connect()
      for (let i = 0; i < 50; i++) yield* state.put(["rooms", "hall", "celsius"], i)
      assert.strictEqual(runs, 1)
      yield* state.put(["rooms", "kitchen", "celsius"], 25)
      yield* settle
      assert.strictEqual(runs, 2)
      assert.deepStrictEqual(yield* client.state.json, { celsius: 25, list: [1, 2] })
    }))

  it.effect("views with one key, and views of one part, are one", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(house)
      let runs = 0
      const connect = yield* served({
        state,
        autoflush: 0,
        view: ({ connection }) => {
          const room = connection.handshake.headers["room"]!
          return JugglerView.make((value) => {
            runs++
            return { room, celsius: JsonPointer.get(value, ["rooms", room, "celsius"])! }
          }, { key: room })
        }
      })
      const clients = []
      for (let i = 0; i < 10; i++) clients.push(yield* connect({ room: i % 2 === 0 ? "kitchen" : "hall" }))
      assert.strictEqual(runs, 2)
      yield* state.put(["rooms", "hall", "celsius"], 30)
      yield* settle
      assert.strictEqual(runs, 4)
      assert.deepStrictEqual(yield* clients[0]!.state.json, { room: "kitchen", celsius: 20 })
      assert.deepStrictEqual(yield* clients[1]!.state.json, { room: "hall", celsius: 30 })
    }))

  it.effect("1,000 clients with 10 different views cost 10 views", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ n: 0 })
      let runs = 0
      let next = 0
      const made = Array.from({ length: 10 }, (_, view) =>
        JugglerView.make((value) => {
          runs++
          return { view, value }
        }))
      const memory = yield* MemorySocket.makeServer()
      const run = yield* JugglerServer.make(undefined, {
        state,
        autoflush: 0,
        keepAlive: false,
        generation: JugglerGeneration.v06,
        view: () => made[next++ % 10]!
      })
      yield* Effect.forkScoped(memory.server.run(run))
      const peers = []
      for (let i = 0; i < 1_000; i++) peers.push(yield* raw(memory.connect()))
      yield* settle
      assert.strictEqual(runs, 10)
      yield* state.put(["n"], 1)
      yield* settle
      assert.strictEqual(runs, 20)
      for (const [i, { frames }] of peers.entries()) {
        assert.deepStrictEqual(frames.map((frame) => JSON.parse(frame).diff), [
          [{ op: "replace", path: "", value: { view: i % 10, value: { n: 0 } } }],
          [{ op: "replace", path: "/value/n", value: 1 }]
        ])
      }
    }))

  it.effect("a function that throws, or gives what is no JSON, closes those who are shown it, and nobody else", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ n: 0 })
      const bad = JugglerView.make((value) => {
        const { n } = value as { n: number }
        if (n === 1) throw new Error("no")
        return { n }
      })
      const connect = yield* served({
        state,
        autoflush: 0,
        view: ({ connection }) => connection.handshake.headers["bad"] === undefined ? JugglerView.at([]) : bad
      })
      const good = yield* connect()
      const one = yield* connect({ bad: "yes" })
      assert.deepStrictEqual(yield* one.state.json, { n: 0 })
      yield* state.put(["n"], 1)
      yield* settle
      assert.strictEqual((yield* Effect.flip(one.call("x", null))).reason._tag, "ConnectionError")
      assert.deepStrictEqual(yield* good.state.json, { n: 1 })
    }))

  it.effect("mirrors a part of one state into another", () =>
    Effect.gen(function*() {
      const source = yield* JugglerState.makeJson(house)
      const target = yield* JugglerState.makeJson({ echo: null, mine: 1 })
      const mirroring = yield* Effect.forkChild(JugglerView.mirror(source, ["rooms"], target, ["echo"]))
      yield* settle
      yield* source.put(["rooms", "hall", "list", "-"], { deep: [1] })
      yield* source.update((draft: any) => {
        delete draft.rooms.kitchen
        draft.order.push("d")
        draft.rooms.attic = { celsius: 1 }
      })
      assert.deepStrictEqual(yield* target.json, {
        echo: { hall: { celsius: 18, list: [{ deep: [1] }] }, attic: { celsius: 1 } },
        mine: 1
      })
      yield* source.set({ rooms: [1] })
      yield* source.put(["rooms", 0], 2)
      assert.deepStrictEqual(yield* target.json, { echo: [2], mine: 1 })
      yield* source.set(null)
      assert.deepStrictEqual(yield* target.json, { echo: null, mine: 1 })
      yield* target.set(1)
      yield* source.set({ rooms: 1 })
      assert.strictEqual((yield* Effect.flip(Fiber.join(mirroring)))._tag, "JsonPatchError")
    }))

  it.effect.prop(
    "every view shows what is there, after any history",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.scoped(Effect.gen(function*() {
        const random = generator(seed)
        const state = yield* JugglerState.makeJson({ a: random.json(3), b: [random.json(2), 1, { x: [1, 2, 3] }] })
        const parts = ["", "/a", "/b", "/b/0", "/b/1", "/b/2", "/b/2/x", "/a/x", "/a/0", "/a/b", "/c"]
        const autoflush = random.int(2) === 0 ? 0 : "50 millis"
        const connect = yield* served({
          state,
          autoflush,
          view: ({ connection }) => {
            const { made, part } = connection.handshake.headers
            return made === undefined
              ? JugglerView.at(JsonPointer.parse(part!)!)
              : JugglerView.make((value) => [value], { of: JsonPointer.parse(part!)!, key: part! })
          }
        })
        const clients = []
        for (const part of parts) {
          clients.push([part, yield* connect({ part }), (value: Json) => value] as const)
          if (random.int(3) === 0) {
            clients.push([part, yield* connect({ part, made: "yes" }), (value: Json): Json => [value]] as const)
          }
        }
        for (let step = 0; step < 15; step++) {
          const before = yield* state.json
          switch (random.int(5)) {
            case 0:
              yield* Effect.ignore(state.set(random.change(before)))
              break
            case 1:
              yield* Effect.ignore(state.update((draft: any) => {
                if (Array.isArray(draft?.b)) {
                  draft.b.unshift(random.json(1))
                  if (draft.b.length > 4) draft.b.splice(1, 1)
                }
              }))
              break
            default:
              yield* Effect.ignore(
                state.patch(Result.getOrThrow(JsonPatch.decode(random.patch(before, 1 + random.int(4)))))
              )
          }
          if (random.int(3) === 0) yield* TestClock.adjust("30 millis")
        }
        yield* TestClock.adjust("1 second")
        yield* settle
        const json = yield* state.json
        for (const [part, client, of] of clients) {
          assert.deepStrictEqual(
            yield* client.state.json,
            of(JsonPointer.get(json, JsonPointer.parse(part)!) ?? null),
            `${part} ${seed}`
          )
        }
      })),
    { arbitrary: { runs: 20 }, timeout: 60_000 }
  )
})
