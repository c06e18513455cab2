import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Result, Schema, Stream } from "effect"
import { JsonPatch, JsonPointer, JugglerState } from "effect-wire/juggler"
import { generator } from "./generate.ts"

type Json = JsonPointer.Json

const Room = Schema.Struct({
  name: Schema.String,
  celsius: Schema.Finite,
  note: Schema.optionalKey(Schema.String),
  since: Schema.optionalKey(Schema.DateTimeUtcFromString)
})
const House = Schema.Struct({
  rooms: Schema.Array(Room),
  byName: Schema.Record(Schema.String, Room),
  mode: Schema.Literals(["day", "night"])
})
type House = typeof House.Type

const house: House = {
  rooms: [{ name: "kitchen", celsius: 20 }, { name: "hall", celsius: 18 }],
  byName: { bath: { name: "bath", celsius: 22, since: DateTime.makeUnsafe(0) } },
  mode: "day"
}

const makeHouse = JugglerState.make({ schema: House, initial: house })

/** Collects what a stream gives while the effect runs, settling after each step. */
const observing = <A, E>(
  stream: Stream.Stream<A, E>,
  steps: (seen: Array<A>, settle: Effect.Effect<void>) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const seen: Array<A> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(stream, (value) => Effect.sync(() => void seen.push(value)))
    )
    const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
    yield* settle
    yield* steps(seen, settle)
    yield* Fiber.interrupt(fiber)
    return seen
  })

describe("JugglerState", () => {
  it.effect("gives back what was set, decoded and as JSON", () =>
    Effect.gen(function*() {
      const state = yield* makeHouse
      assert.deepStrictEqual(yield* state.get, house)
      assert.deepStrictEqual(yield* state.at(["byName", "bath", "since"]), "1970-01-01T00:00:00.000Z")
      yield* state.set({ ...house, mode: "night" })
      assert.strictEqual((yield* state.get).mode, "night")
      assert.strictEqual(yield* state.at(["mode"]), "night")
      assert.strictEqual(yield* state.at(["nothing", "here"]), undefined)
    }))

  it.effect("shares between decoded values what did not change", () =>
    Effect.gen(function*() {
      const state = yield* makeHouse
      const first = yield* state.get
      yield* state.update((draft) => {
        draft.rooms[1]!.celsius = 19
      })
      const second = yield* state.get
      assert.strictEqual(second.rooms[0], first.rooms[0])
      assert.strictEqual(second.byName, first.byName)
      assert.notStrictEqual(second.rooms, first.rooms)
      assert.strictEqual(first.rooms[1]!.celsius, 18)
      assert.strictEqual(second.rooms[1]!.celsius, 19)
      yield* state.set({ ...second, mode: "night" })
      const third = yield* state.get
      assert.strictEqual(third.rooms, second.rooms)
      assert.strictEqual(third.byName["bath"], first.byName["bath"])
    }))

  it.effect("never changes a value that was read", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: { b: [1, 2, { c: 3 }] }, d: 1 })
      const whole = yield* state.json
      const part = yield* state.at(["a", "b"])
      const texts = [JSON.stringify(whole), JSON.stringify(part)]
      yield* state.put(["a", "b", 2, "c"], 4)
      yield* state.put(["a", "b", "-"], 5)
      yield* state.patch([{ op: "move", from: ["a", "b", 0], path: ["e"] }, { op: "copy", from: ["a"], path: ["f"] }])
      yield* state.put(["f", "b", 0], 9)
      assert.deepStrictEqual([JSON.stringify(whole), JSON.stringify(part)], texts)
      assert.deepStrictEqual(yield* state.json, { a: { b: [2, { c: 4 }, 5] }, d: 1, e: 1, f: { b: [9, { c: 4 }, 5] } })
    }))

  it.prop("gives immutable values whoever looks at what, whenever", { seed: Schema.Int }, ({ seed }) => {
    const random = generator(seed)
    const initial = random.json(4)
    const state = Effect.runSync(JugglerState.makeJson(initial))
    const looked: Array<readonly [Json | undefined, string]> = []
    let expected = initial
    for (let i = 0; i < 12; i++) {
      const patch = random.patch(expected, 1 + random.int(3))
      const after = JsonPatch.apply(expected, patch)
      const result = Effect.runSync(Effect.result(state.patch(Result.getOrThrow(JsonPatch.decode(patch)))))
      assert.strictEqual(Result.isSuccess(result), Result.isSuccess(after))
      if (Result.isSuccess(after)) expected = after.success
      if (random.int(2) === 0) {
        const pointers = [[], ["a"], [0], ["b", "c"], [1, 0], ["c"]]
        const value = Effect.runSync(state.at(pointers[random.int(pointers.length)]!))
        looked.push([value, JSON.stringify(value)])
      }
      if (random.int(4) === 0) {
        const next = random.change(expected)
        Effect.runSync(state.set(next))
        expected = next
      }
    }
    for (const [value, text] of looked) assert.strictEqual(JSON.stringify(value), text)
    assert.deepStrictEqual(Effect.runSync(state.json), expected)
  }, { arbitrary: { runs: 500 } })

  it.effect("is not changed by those who gave or were given a value", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ items: [] })
      const given = { n: 1, deep: { m: 1 } }
      yield* state.update((draft) => void draft.items.push(given))
      yield* state.put(["put"], given)
      yield* state.patch([{ op: "add", path: ["patched"], value: given }])
      yield* state.patch([{ op: "add", path: ["kept"], value: Object.freeze({ inner: given }) }])
      const place: Array<string | number> = ["at"]
      yield* state.put(place, given)
      const version = yield* state.version
      const text = JSON.stringify(yield* state.json)
      given.n = 2
      given.deep.m = 2
      place[0] = "elsewhere"
      assert.strictEqual(JSON.stringify(yield* state.json), text)
      // neither can a reader change what others read
      const read = (yield* state.json) as any
      assert.throws(() => read.items[0].deep.m = 99, TypeError)
      assert.throws(() => read.items.push(1), TypeError)
      const part = (yield* state.at(["put"])) as any
      assert.throws(() => part.n = 99, TypeError)
      assert.strictEqual(JSON.stringify(yield* state.json), text)
      assert.strictEqual(yield* state.version, version)
      // what is set belongs to the state
      const whole = { a: { b: [1] } }
      yield* state.set(whole)
      assert.throws(() => whole.a.b.push(2), TypeError)
      const decoded = yield* makeHouse.pipe(Effect.flatMap((state) => state.get))
      assert.throws(() => (decoded.byName as any)["bath"].name = "x", TypeError)
    }))

  it.effect("sees what was changed in an instance of a class that it once gave", () =>
    Effect.gen(function*() {
      class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite }) {}
      const state = yield* JugglerState.make({
        schema: Schema.Struct({ points: Schema.Array(Point) }),
        initial: { points: [new Point({ x: 1 })] }
      })
      const value = yield* state.get
      ;(value.points[0] as { x: number }).x = 5
      yield* state.set({ ...value })
      assert.deepStrictEqual(yield* state.json, { points: [{ x: 5 }] })
    }))

  it.effect("gives each commit to those who do the same elsewhere, and the whole to those who fall behind", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: [1], b: 1 })
      const copy = yield* JugglerState.makeJson(null)
      const seen: Array<number> = []
      const fiber = yield* Effect.forkChild(
        Stream.runForEach(
          state.commits({ maxCommits: 2 }),
          ({ changes, version }) => Effect.andThen(copy.patch(changes), Effect.sync(() => void seen.push(version)))
        )
      )
      const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
      yield* settle
      yield* state.update((draft) => {
        draft.a.unshift(0)
        draft.b = 2
      })
      yield* settle
      yield* state.patch([{ op: "move", from: ["a", 0], path: ["a", "-"] }, { op: "test", path: ["b"], value: 2 }])
      yield* settle
      assert.deepStrictEqual(yield* copy.json, yield* state.json)
      for (let i = 0; i < 5; i++) yield* state.put(["b"], 10 + i)
      yield* settle
      assert.deepStrictEqual(yield* copy.json, { a: [1, 0], b: 14 })
      assert.deepStrictEqual(seen, [1, 2, 3, 8])
      yield* Fiber.interrupt(fiber)
    }))

  describe("update", () => {
    const recipes: ReadonlyArray<readonly [string, (draft: any) => unknown, Json, number]> = [
      ["writes a field", (d) => void (d.a.x = 5), { a: { x: 5 }, list: [1, { y: 2 }, 3] }, 1],
      ["adds a field", (d) => void (d.b = { z: [] }), { a: { x: 1 }, list: [1, { y: 2 }, 3], b: { z: [] } }, 1],
      ["deletes a field", (d) => void delete d.a, { list: [1, { y: 2 }, 3] }, 1],
      ["removes by undefined", (d) => void (d.a.x = undefined), { a: {}, list: [1, { y: 2 }, 3] }, 1],
      ["ignores equal scalars", (d) => void (d.a.x = 1), { a: { x: 1 }, list: [1, { y: 2 }, 3] }, 0],
      ["counts up", (d) => d.a.x++, { a: { x: 2 }, list: [1, { y: 2 }, 3] }, 1],
      ["pushes", (d) => d.list.push(4, 5), { a: { x: 1 }, list: [1, { y: 2 }, 3, 4, 5] }, 2],
      ["unshifts", (d) => d.list.unshift(0), { a: { x: 1 }, list: [0, 1, { y: 2 }, 3] }, 1],
      ["pops and shifts", (d) => void (d.list.pop(), d.list.shift()), { a: { x: 1 }, list: [{ y: 2 }] }, 1],
      ["splices", (d) => d.list.splice(-2, 1, "a", "b"), { a: { x: 1 }, list: [1, "a", "b", 3] }, 2],
      ["cuts by length", (d) => void (d.list.length = 1), { a: { x: 1 }, list: [1] }, 2],
      ["reverses", (d) => d.list.reverse(), { a: { x: 1 }, list: [3, { y: 2 }, 1] }, 2],
      ["sorts", (d) => d.list.sort(() => 0), { a: { x: 1 }, list: [1, { y: 2 }, 3] }, 0],
      ["fills", (d) => d.list.fill(0, 1), { a: { x: 1 }, list: [1, 0, 0] }, 1],
      [
        "follows an element that moves",
        (d) => {
          const element = d.list[1]
          d.list.shift()
          element.y = 7
          d.list.unshift("a", "b")
          element.z = true
        },
        { a: { x: 1 }, list: ["a", "b", { y: 7, z: true }, 3] },
        1
      ],
      [
        "lets what was removed be changed and put back",
        (d) => {
          const element = d.list.splice(1, 1)[0]
          element.y = 9
          d.done = [element]
          element.y = 10
        },
        { a: { x: 1 }, list: [1, 3], done: [{ y: 10 }] },
        2
      ],
      [
        "knows a draft that is assigned elsewhere",
        (d) => {
          d.b = d.a
          d.b.x = 2
          d.c = [...d.list, { inner: d.a }]
        },
        { a: { x: 2 }, list: [1, { y: 2 }, 3], b: { x: 2 }, c: [1, { y: 2 }, 3, { inner: { x: 2 } }] },
        3
      ],
      [
        "reads like a value",
        (d) => {
          d.read = [
            Object.keys(d),
            "a" in d,
            "toString" in d,
            Array.isArray(d.list),
            d.list.map((x: any) => typeof x),
            d.list.findIndex((x: any) => x.y === 2),
            JSON.stringify(d.a),
            d.list.includes(3),
            { ...d.a },
            Object.entries(d.a),
            d.missing === undefined
          ]
        },
        {
          a: { x: 1 },
          list: [1, { y: 2 }, 3],
          read: [["a", "list"], true, false, true, ["number", "object", "number"], 1, "{\"x\":1}", true, { x: 1 }, [[
            "x",
            1
          ]], true]
        },
        1
      ]
    ]
    it.effect.each(recipes)("%s", ([, recipe, expected, operations]) =>
      Effect.gen(function*() {
        const initial = { a: { x: 1 }, list: [1, { y: 2 }, 3] }
        const state = yield* JugglerState.makeJson(initial)
        const patch = yield* state.update((draft) => void recipe(draft))
        assert.deepStrictEqual(yield* state.json, expected)
        assert.strictEqual(patch.length, operations)
        assert.deepStrictEqual(Result.getOrThrow(JsonPatch.apply(initial, JsonPatch.encode(patch))), expected)
        assert.deepStrictEqual(initial, { a: { x: 1 }, list: [1, { y: 2 }, 3] })
      }))

    it.effect("takes everything back when the recipe throws or writes what is refused", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1, list: [1, 2] })
        const version = yield* state.version
        const exit = yield* Effect.exit(state.update((draft: any) => {
          draft.a = 2
          draft.list.unshift(0)
          throw new Error("no")
        }))
        assert.isTrue(exit._tag === "Failure")
        for (const bad of [NaN, Infinity, () => 1, new Map(), JSON.parse(`{"__proto__":1}`), 1n]) {
          const error = yield* Effect.flip(state.update((draft: any) => {
            draft.list.push(3)
            draft.a = { bad }
          }))
          assert.oneOf(error.reason, ["NotJson", "ForbiddenKey"])
        }
        const hole = yield* Effect.flip(state.update((draft: any) => void (draft.list[5] = 1)))
        assert.strictEqual(hole.reason, "NotJson")
        assert.deepStrictEqual(yield* state.json, { a: 1, list: [1, 2] })
        assert.strictEqual(yield* state.version, version)
      }))

    it.effect("refuses a draft that was kept", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1 })
        let kept: any
        yield* state.update((draft) => void (kept = draft))
        assert.throws(() => {
          kept.a = 2
        }, /over/)
        assert.deepStrictEqual(yield* state.json, { a: 1 })
      }))

    it.effect("pollutes no prototype", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: {} })
        const error = yield* Effect.flip(state.update((draft: any) => {
          draft["__proto__"] = { polluted: true }
        }))
        assert.strictEqual(error.reason, "ForbiddenKey")
        const patch = yield* state.update((draft: any) => {
          draft.a.constructor = { prototype: { polluted: true } }
        })
        assert.strictEqual(patch.length, 1)
        assert.isUndefined(({} as { polluted?: boolean }).polluted)
      }))
  })

  it.effect("refuses at set what JSON cannot hold, and changes nothing", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: { b: 1 } })
      const cycle: Record<string, unknown> = {}
      cycle["self"] = { cycle }
      const bad: ReadonlyArray<readonly [unknown, JsonPatch.JsonPatchError["reason"]]> = [
        [{ a: { b: NaN } }, "NotJson"],
        [{ a: { b: [Infinity] } }, "NotJson"],
        [{ a: { b: -Infinity } }, "NotJson"],
        [cycle, "Cyclic"],
        [{ a: { b: 1 }, c: undefined }, "NotJson"],
        [{ a: { b: new Map() } }, "NotJson"],
        [JSON.parse(`{"a":{"__proto__":{"x":1}}}`), "ForbiddenKey"],
        [JSON.parse(`{"__proto__":{"x":1}}`), "ForbiddenKey"],
        [{ a: { b: "x".repeat(40_000_000) } }, "TooLarge"]
      ]
      for (const [value, reason] of bad) {
        const error = yield* Effect.flip(state.set(value as Json))
        assert.strictEqual((error as JsonPatch.JsonPatchError).reason, reason)
      }
      const named = yield* Effect.flip(state.set({ a: { b: NaN } }))
      assert.include(named.message, "NaN is no JSON number")
      assert.deepStrictEqual(yield* state.json, { a: { b: 1 } })
      assert.strictEqual((yield* Effect.flip(JugglerState.makeJson({ a: NaN }))).reason, "NotJson")
    }))

  it.effect("refuses what the schema refuses, by set, put, patch and recipe", () =>
    Effect.gen(function*() {
      const state = yield* makeHouse
      yield* state.get
      assert.strictEqual((yield* Effect.flip(state.set({ ...house, mode: "noon" as "day" })))._tag, "SchemaError")
      assert.strictEqual((yield* Effect.flip(state.put(["mode"], "noon"))).reason, "NotJson")
      assert.strictEqual((yield* Effect.flip(state.put(["rooms", 0, "celsius"], "warm"))).reason, "NotJson")
      assert.strictEqual((yield* Effect.flip(state.put(["rooms", "-"], { name: "x" }))).reason, "NotJson")
      assert.strictEqual((yield* Effect.flip(state.put(["byName", "x", "since"], "never"))).reason, "NotFound")
      assert.strictEqual((yield* Effect.flip(state.put(["byName", "bath", "since"], "never"))).reason, "NotJson")
      assert.strictEqual((yield* Effect.flip(state.remove(["mode"]))).reason, "NotJson")
      assert.strictEqual(
        (yield* Effect.flip(state.patch([{ op: "move", from: ["mode"], path: ["rooms", 0, "note"] }]))).reason,
        "NotJson"
      )
      const error = yield* Effect.flip(state.update((draft) => {
        draft.rooms.push({ name: "attic", celsius: 3 })
        draft.rooms[0]!.celsius = "hot" as never
      }))
      assert.strictEqual(error.reason, "NotJson")
      assert.deepStrictEqual(yield* state.get, house)
      yield* state.put(["rooms", 0, "note"], "warm")
      yield* state.remove(["rooms", 0, "note"])
      yield* state.put(["byName", "bath", "since"], "2020-01-01T00:00:00.000Z")
      assert.deepStrictEqual((yield* state.get).byName["bath"]!.since, DateTime.makeUnsafe("2020-01-01T00:00:00.000Z"))
    }))

  it.effect("holds copy and move to the schema, with the places of that moment", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({
        names: Schema.Array(Schema.String),
        numbers: Schema.Array(Schema.Finite),
        mode: Schema.String,
        pair: Schema.Tuple([Schema.String, Schema.Finite])
      })
      const initial = { names: [], numbers: [1], mode: "day", pair: ["a", 1] } as const
      const refused: ReadonlyArray<ReadonlyArray<JsonPatch.Change>> = [
        [{ op: "copy", from: ["numbers", 0], path: ["names", "-"] }],
        [{ op: "move", from: ["numbers", 0], path: ["names", 0] }, { op: "add", path: ["names", 0], value: "x" }],
        [{ op: "move", from: ["mode"], path: ["names", 0] }],
        [{ op: "move", from: ["pair", 0], path: ["pair", 1] }],
        [{ op: "remove", path: ["pair", 0] }, { op: "add", path: ["pair", 1], value: "x" }]
      ]
      for (const changes of refused) {
        const state = yield* JugglerState.make({ schema, initial })
        assert.strictEqual((yield* Effect.flip(state.patch(changes))).reason, "NotJson")
        assert.deepStrictEqual(yield* state.get, initial)
      }
      const state = yield* JugglerState.make({ schema, initial })
      // what counts is what it comes to
      yield* state.patch([{ op: "remove", path: ["mode"] }, { op: "add", path: ["mode"], value: "night" }])
      yield* state.patch([{ op: "remove", path: ["pair", 0] }, { op: "add", path: ["pair", 0], value: "b" }])
      yield* state.update((draft) => {
        delete (draft as { mode?: string }).mode
        draft.mode = "dusk"
      })
      assert.deepStrictEqual(yield* state.get, { ...initial, mode: "dusk", pair: ["b", 1] })
    }))

  const Part = Schema.Struct({ n: Schema.Finite, s: Schema.optionalKey(Schema.String) })
  const fitting = Schema.Struct({
    list: Schema.Array(Part),
    texts: Schema.Array(Schema.String),
    map: Schema.Record(Schema.String, Part),
    either: Schema.Union([Schema.String, Part]),
    few: Schema.Array(Schema.Finite).check(Schema.isMaxLength(3)),
    note: Schema.optionalKey(Schema.String)
  })

  it.prop("takes a patch exactly if what it comes to fits the schema", { seed: Schema.Int }, ({ seed }) => {
    const random = generator(seed)
    const initial = { list: [{ n: 1, s: "a" }, { n: 2 }], texts: ["a"], map: { a: { n: 1 } }, either: "x", few: [1, 2] }
    const places: ReadonlyArray<ReadonlyArray<string | number>> = [
      ["list"],
      ["list", 0],
      ["list", 1],
      ["list", 0, "n"],
      ["list", 1, "s"],
      ["texts", 0],
      ["texts"],
      ["map", "a"],
      ["map", "b"],
      ["either"],
      ["either", "n"],
      ["few", 0],
      ["few", 2],
      ["few", 3],
      ["note"]
    ]
    const values: ReadonlyArray<Json> = [1, "t", { n: 5 }, { n: 5, s: "s" }, { n: "no" }, [], [1, 2], [{ n: 1 }]]
    const oneOf = <A>(items: ReadonlyArray<A>): A => items[random.int(items.length)]!
    const fits = Schema.is(fitting)
    const state = Effect.runSync(JugglerState.make({ schema: fitting, initial }))
    for (let i = 0; i < 6; i++) {
      const changes = Array.from({ length: 1 + random.int(4) }, (): JsonPatch.Change => {
        const op = oneOf(["add", "replace", "remove", "move", "copy"] as const)
        if (op === "remove") return { op, path: oneOf(places) }
        if (op === "move" || op === "copy") return { op, from: oneOf(places), path: oneOf(places) }
        return { op, path: oneOf(places), value: oneOf(values) }
      })
      const before = Effect.runSync(state.json)
      const plain = JsonPatch.apply(before, JsonPatch.encode(changes))
      const taken = Effect.runSync(Effect.result(state.patch(changes)))
      assert.strictEqual(
        Result.isSuccess(taken),
        Result.isSuccess(plain) && fits(plain.success),
        JSON.stringify(changes)
      )
      if (Result.isSuccess(taken)) assert.deepStrictEqual(Effect.runSync(state.json), Result.getOrThrow(plain))
      else assert.deepStrictEqual(Effect.runSync(state.json), before)
    }
  }, { arbitrary: { runs: 150 } })

  it.effect("moves and changes a large part again and again without walking or copying it", () =>
    Effect.gen(function*() {
      const wide = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`key${i}`, i]))
      const state = yield* JugglerState.makeJson({ a: wide, deep: {} })
      const patch = Array.from({ length: 500 }, (_, i): ReadonlyArray<JsonPatch.Change> => [
        { op: "move", from: [i % 2 === 0 ? "a" : "b"], path: [i % 2 === 0 ? "b" : "a"] },
        { op: "replace", path: [i % 2 === 0 ? "b" : "a", "key7"], value: -i }
      ]).flat()
      yield* state.patch(patch.slice(0, 2))
      yield* state.patch(patch.slice(2, 4))
      yield* state.patch(patch.slice(4))
      const deeper = Array.from({ length: 500 }, (): ReadonlyArray<JsonPatch.Change> => [
        { op: "move", from: ["a"], path: ["deep", "a"] },
        { op: "move", from: ["deep", "a"], path: ["a"] }
      ]).flat()
      assert.strictEqual((yield* Effect.flip(state.patch(deeper))).reason, "TooLarge")
      assert.strictEqual(yield* state.at(["a", "key7"]), -499)
      assert.strictEqual(wide["key7"], 7)
    }))

  it.effect("gives the changes as they come, and the newest only to a slow reader", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(0)
      const seen = yield* observing(state.changes, (seen, settle) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(seen, [0])
          yield* state.set(1)
          yield* settle
          yield* state.set(2)
          yield* state.set(3)
          yield* state.set(4)
          yield* settle
          yield* state.set(4)
          yield* settle
        }))
      assert.deepStrictEqual(seen, [0, 1, 4])
    }))

  it.effect("finds what changed in a wide object, whatever was done to it before, and by which way", () =>
    Effect.gen(function*() {
      const random = generator(7)
      const entries = (): Array<readonly [string, Json]> => Array.from({ length: 1_500 }, (_, i) => [`key${i}`, i])
      const state = yield* JugglerState.makeJson({ wide: Object.fromEntries(entries()) })
      const client = { json: yield* state.json }
      yield* Effect.forkScoped(Stream.runForEach(state.commits(), ({ changes }) =>
        Effect.sync(() => {
          client.json = Result.getOrThrow(JsonPatch.apply(client.json, JsonPatch.encode(changes)))
        })))
      yield* Effect.yieldNow
      for (let step = 0; step < 300; step++) {
        const key = `key${random.int(1_600)}`
        const { wide } = (yield* state.json) as { readonly wide: { readonly [key: string]: Json } }
        switch (random.int(5)) {
          case 0:
            yield* state.put(["wide", key], step)
            break
          case 1:
            yield* Effect.ignore(state.remove(["wide", key]))
            break
          case 2: {
            const others = Object.entries(wide).filter(([name]) => name !== key)
            others.splice(random.int(others.length), random.int(3), [`new${step}`, step])
            yield* state.set({ wide: Object.fromEntries(others) })
            break
          }
          case 3:
            yield* state.set({ wide: { ...wide, [key]: step } })
            break
          default:
            // another order
            yield* state.set({ wide: Object.fromEntries(Object.entries(wide).reverse()) })
        }
        yield* Effect.yieldNow
      }
      yield* Effect.yieldNow
      assert.deepStrictEqual(client.json, yield* state.json)
      assert.deepStrictEqual(
        Object.keys((client.json as any).wide).sort(),
        Object.keys((yield* state.at(["wide"])) as object).sort()
      )
    }))

  it.effect("gives no change to a reader that holds the value already, whatever it holds it from", () =>
    Effect.gen(function*() {
      const Counter = Schema.Struct({ at: Schema.DateFromString, n: Schema.Finite })
      const at = new Date(0)
      const state = yield* JugglerState.make({ schema: Counter, initial: { at, n: 1 } })
      for (const [held, expected] of [[{ at: new Date(0), n: 1 }, [2]], [{ at, n: 7 }, [1, 2]]] as const) {
        yield* state.put(["n"], 1)
        const seen = yield* observing(
          state.changes.holding(held),
          (_, settle) => Effect.andThen(settle, Effect.andThen(state.put(["n"], 2), settle))
        )
        assert.deepStrictEqual(seen.map(({ n }) => n), expected.slice())
      }
      assert.strictEqual(
        (yield* Effect.flip(Stream.runHead(state.changes.holding({ at, n: "?" } as never))))._tag,
        "SchemaError"
      )
    }))

  it.effect("gives commits to a reader that holds something: what leads from there first, or nothing", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: { b: 1 }, list: [1, 2] })
      for (
        const [holding, expected] of [
          [{ list: [1, 2], a: { b: 1 } }, []],
          [{ a: { b: 0 }, list: [1, 2] }, [[{ op: "replace", path: ["a", "b"], value: 1 }]]],
          [NaN, [[{ op: "replace", path: [], value: { a: { b: 1 }, list: [1, 2] } }]]]
        ] as const
      ) {
        const seen = yield* observing(
          state.commits({ holding: holding as never }),
          (_, settle) => Effect.andThen(settle, Effect.andThen(state.put(["n"], 1), settle))
        )
        assert.deepStrictEqual(seen.map(({ changes }): unknown => changes), [
          ...expected,
          [{ op: "add", path: ["n"], value: 1 }]
        ])
        yield* state.remove(["n"])
      }
    }))

  it.effect("selects a part by pointer and gives it only when it changes", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ a: { b: 1 }, c: 1, list: [1] })
      const seen = yield* observing(state.select(["a"]), (_, settle) =>
        Effect.gen(function*() {
          yield* state.put(["c"], 2)
          yield* settle
          yield* state.put(["a", "b"], 2)
          yield* settle
          yield* state.put(["a", "b"], 2)
          yield* state.put(["list", "-"], 2)
          yield* settle
          yield* state.remove(["a"])
          yield* settle
          yield* state.put(["a"], [])
          yield* settle
          yield* state.set({ a: 1 })
          yield* settle
        }))
      assert.deepStrictEqual(seen, [{ b: 1 }, { b: 2 }, undefined, [], 1])
    }))

  it.effect("selects a part of an array that moves under the pointer", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ list: [1, 2, 3] })
      const seen = yield* observing(state.select(["list", 0]), (_, settle) =>
        Effect.gen(function*() {
          yield* state.update((draft: any) => draft.list.unshift(0))
          yield* settle
          yield* state.put(["list", 1], 7)
          yield* settle
        }))
      assert.deepStrictEqual(seen, [1, 0])
    }))

  it.effect("selects by a function of the decoded value", () =>
    Effect.gen(function*() {
      const state = yield* makeHouse
      const seen = yield* observing(state.select((value) => value.rooms[0]), (_, settle) =>
        Effect.gen(function*() {
          yield* state.put(["mode"], "night")
          yield* settle
          yield* state.put(["rooms", 1, "celsius"], 5)
          yield* settle
          yield* state.put(["rooms", 0, "celsius"], 6)
          yield* settle
        }))
      assert.deepStrictEqual(seen, [{ name: "kitchen", celsius: 20 }, { name: "kitchen", celsius: 6 }])
    }))

  it.effect("keeps one order of many writers", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ count: 0, log: [] })
      yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => i),
        (i) =>
          Effect.andThen(
            Effect.yieldNow,
            state.update((draft: any) => {
              draft.count++
              draft.log.push(i)
            })
          ),
        { concurrency: "unbounded", discard: true }
      )
      const value = (yield* state.json) as { count: number; log: Array<number> }
      assert.strictEqual(value.count, 50)
      assert.strictEqual(new Set(value.log).size, 50)
      assert.strictEqual(yield* state.version, 51)
    }))
})
