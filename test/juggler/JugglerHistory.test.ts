import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, Stream } from "effect"
import { JsonPatch, JsonPointer, JugglerClient, JugglerHistory, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { generator } from "./generate.ts"
import { settle } from "./wire.ts"

type Json = JsonPointer.Json

const counted = (history: JugglerHistory.Options = {}) =>
  JugglerState.make({ schema: Schema.Struct({ n: Schema.Finite }), initial: { n: 0 }, history })

const anything = (
  initial: Json,
  history: JugglerHistory.Options = {},
  limits?: Partial<JsonPatch.Limits>
): Effect.Effect<JugglerState.HistoryState<Json, any>> =>
  Effect.orDie(JugglerState.make<Json, any>({ schema: Schema.Json, initial, history, limits }))

const stepsOf = (state: JugglerState.HistoryState<any, any>) => state.history.steps.getSnapshot()

describe("JugglerHistory", () => {
  it.effect("undoes and redoes step by step; a write does away with what could be redone", () =>
    Effect.gen(function*() {
      const state = yield* counted()
      for (const n of [1, 2, 3]) yield* state.put(["n"], n)
      const { history } = state
      const seen: Array<unknown> = []
      const note = Effect.map(state.get, ({ n }) => seen.push([n, stepsOf(state)]))
      for (const move of [history.undo, history.undo, history.redo, history.undo, history.undo]) {
        assert.isTrue(yield* move)
        yield* note
      }
      assert.deepStrictEqual(seen, [
        [2, { undo: 2, redo: 1 }],
        [1, { undo: 1, redo: 2 }],
        [2, { undo: 2, redo: 1 }],
        [1, { undo: 1, redo: 2 }],
        [0, { undo: 0, redo: 3 }]
      ])
      assert.isFalse(yield* history.undo)
      yield* state.put(["n"], 9)
      assert.isFalse(yield* history.redo)
      assert.deepStrictEqual(stepsOf(state), { undo: 1, redo: 0 })
    }))

  it.effect("is a change like any other for all who follow: versions go on, and patches travel", () =>
    Effect.gen(function*() {
      const state = yield* anything({ a: 1, list: [1, 2, 3] })
      const memory = yield* MemorySocket.makeServer()
      yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, { state, autoflush: 0 })))
      const client = yield* JugglerClient.fromSocket(memory.connect())
      yield* client.connect
      yield* settle
      yield* state.update((draft) => {
        draft.list.unshift(0)
        delete draft.a
      })
      const version = yield* state.version
      for (
        const [move, expected] of [
          [state.history.undo, { a: 1, list: [1, 2, 3] }],
          [state.history.redo, { list: [0, 1, 2, 3] }]
        ] as const
      ) {
        yield* move
        yield* settle
        assert.deepStrictEqual(yield* state.json, expected)
        assert.deepStrictEqual(yield* client.state.json, expected)
      }
      assert.strictEqual(yield* state.version, version + 2)
    }))

  it.effect("gives the state as it was at a version, which shares what is still the same, and goes back there in one step", () =>
    Effect.gen(function*() {
      const state = yield* anything({ n: 0, rest: { big: [1, 2] } })
      const first = yield* state.version
      for (const n of [1, 2, 3]) yield* state.put(["n"], n)
      yield* state.history.undo
      const values: Array<unknown> = []
      for (let version = first; version <= (yield* state.version); version++) {
        values.push(((yield* state.history.at(version)) as any).n)
      }
      assert.deepStrictEqual(values, [0, 1, 2, 3, 2])
      const past: any = yield* state.history.at(first)
      assert.strictEqual(past.rest, ((yield* state.get) as any).rest)
      assert.isTrue(Object.isFrozen(past))
      assert.isUndefined(yield* state.history.at(99))
      assert.isTrue(yield* state.history.restore(first + 1))
      assert.strictEqual(yield* state.at(["n"]), 1)
      assert.isFalse(yield* state.history.restore(99))
      assert.isTrue(yield* state.history.undo)
      assert.strictEqual(yield* state.at(["n"]), 2)
    }))

  it.effect("keeps as many commits, and bytes, as it may: what is older is forgotten", () =>
    Effect.gen(function*() {
      const state = yield* counted({ maxCommits: 3 })
      const first = yield* state.version
      for (let n = 1; n <= 10; n++) yield* state.put(["n"], n)
      assert.deepStrictEqual(stepsOf(state), { undo: 3, redo: 0 })
      assert.strictEqual(yield* state.history.oldest, first + 7)
      assert.isUndefined(yield* state.history.at(first + 6))
      assert.deepStrictEqual(yield* state.history.at(first + 7), { n: 7 })
      for (let i = 0; i < 3; i++) assert.isTrue(yield* state.history.undo)
      assert.isFalse(yield* state.history.undo)
      assert.deepStrictEqual(yield* state.get, { n: 7 })

      const small = yield* anything({}, { maxBytes: 10_000 })
      for (let n = 1; n <= 100; n++) yield* small.put([`key${n}`], "x".repeat(1_000))
      const { undo } = stepsOf(small)!
      assert.isAtLeast(undo, 5)
      assert.isAtMost(undo, 10)
      yield* small.put(["huge"], "x".repeat(20_000))
      assert.deepStrictEqual(stepsOf(small), { undo: 0, redo: 0 })
      assert.isFalse(yield* small.history.undo)
    }))

  it.effect("takes what comes in quick succession as one step, where it is told so, until it is cut", () =>
    Effect.gen(function*() {
      const state = yield* anything({ text: "" }, { groupWithin: "500 millis" })
      const type = (text: string) => state.put(["text"], text)
      yield* type("h")
      yield* TestClock.adjust("400 millis")
      yield* type("he")
      yield* TestClock.adjust("400 millis")
      yield* type("hey")
      yield* TestClock.adjust("500 millis")
      yield* type("hey ")
      yield* state.history.cut
      yield* type("hey y")
      yield* type("hey yo")
      const seen: Array<unknown> = []
      while (yield* state.history.undo) seen.push(yield* state.at(["text"]))
      assert.deepStrictEqual(seen, ["hey ", "hey", ""])
      while (yield* state.history.redo);
      assert.strictEqual(yield* state.at(["text"]), "hey yo")
      // what is written after an undo is never put to what was undone
      yield* state.history.undo
      yield* type("other")
      yield* state.history.undo
      assert.strictEqual(yield* state.at(["text"]), "hey ")
    }))

  it.effect("tells screens how many steps there are, and streams them", () =>
    Effect.gen(function*() {
      const state = yield* counted()
      const seen: Array<unknown> = []
      const stop = state.history.steps.subscribe(() => seen.push(stepsOf(state)))
      yield* state.put(["n"], 1)
      yield* state.put(["n"], 1)
      yield* state.history.undo
      yield* state.history.clear
      yield* state.history.clear
      stop()
      yield* state.put(["n"], 2)
      assert.deepStrictEqual(seen, [{ undo: 1, redo: 0 }, { undo: 0, redo: 1 }, { undo: 0, redo: 0 }])
      assert.deepStrictEqual(yield* Stream.runHead(state.history.steps).pipe(Effect.map((head) => head._tag)), "Some")
    }))

  it.effect("goes back to what was, even where the way there would be over the limits of the state", () =>
    Effect.gen(function*() {
      const state = yield* anything({ a: "x".repeat(900) }, {}, { maxSize: 1_200 })
      yield* state.set({ b: "y".repeat(900) })
      yield* state.update((draft) => {
        delete draft.b
        draft.c = "z".repeat(900)
      })
      yield* state.history.undo
      yield* state.history.undo
      assert.deepStrictEqual(Object.keys((yield* state.json) as object), ["a"])
      yield* state.history.redo
      yield* state.history.redo
      assert.deepStrictEqual(Object.keys((yield* state.json) as object), ["c"])
      assert.strictEqual((yield* Effect.flip(state.put(["d"], "x".repeat(900)))).reason, "TooLarge")
    }))

  it.effect("comes back to every version of any history of sets, recipes and patches, and forth again", () =>
    Effect.gen(function*() {
      for (let seed = 1; seed <= 300; seed++) {
        const random = generator(seed)
        const state = yield* anything(random.json(4), { maxCommits: 10_000, maxBytes: 1e9 })
        const text = Effect.map(state.json, canonical)
        const first = yield* state.version
        const known = [yield* text]
        const line = [known[0]!]
        let at = 0
        for (let step = 0; step < 25; step++) {
          const before = yield* state.json
          const version = yield* state.version
          const kind = random.int(8)
          let travelled = true
          if (kind === 0 && (yield* state.history.undo)) at--
          else if (kind === 1 && (yield* state.history.redo)) at++
          else travelled = false
          if (travelled) assert.notStrictEqual(yield* state.version, version)
          else if (kind < 4) yield* state.set(random.change(before))
          else if (kind < 6) yield* Effect.ignore(state.update((draft) => scramble(draft, random.int)))
          else {
            const patch = Result.getOrThrow(JsonPatch.decode(random.patch(before, 1 + random.int(4))))
            yield* Effect.ignore(state.patch(patch))
          }
          if ((yield* state.version) === version) continue
          known.push(yield* text)
          if (!travelled) {
            at++
            line.length = at
            line.push(yield* text)
          }
          assert.strictEqual(yield* text, line[at], `seed ${seed}, step ${step}`)
        }
        for (let i = 0; i < known.length; i++) {
          assert.strictEqual(canonical((yield* state.history.at(first + i))!), known[i], `seed ${seed}, version ${i}`)
        }
        while (yield* state.history.undo) assert.strictEqual(yield* text, line[--at], `seed ${seed}`)
        while (yield* state.history.redo) assert.strictEqual(yield* text, line[++at], `seed ${seed}`)
        assert.strictEqual(at, line.length - 1)
        const goal = random.int(known.length)
        assert.isTrue(yield* state.history.restore(first + goal))
        assert.strictEqual(yield* text, known[goal])
      }
    }))
})

/** The same text for equal values, whatever the order of their keys. */
const canonical = (value: Json): string =>
  JSON.stringify(value, (_, inner) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
      : inner)

/** Moves, copies and removes what it finds. */
const scramble = (draft: any, int: (below: number) => number): void => {
  if (typeof draft !== "object" || draft === null) return
  const keys = Object.keys(draft)
  const key = () => keys[int(keys.length)]!
  if (keys.length === 0) return
  if (Array.isArray(draft)) {
    if (int(2) === 0) draft.unshift(draft[int(draft.length)])
    else draft.splice(int(draft.length), 1 + int(2), { moved: draft[int(draft.length)] })
    return
  }
  if (int(2) === 0) draft[`n${int(3)}`] = draft[key()]
  else delete draft[key()]
  scramble(draft[key()], int)
}
