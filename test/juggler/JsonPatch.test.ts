import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { JsonPatch, JsonPointer } from "effect-wire/juggler"
import { generator } from "./generate.ts"

type Json = JsonPointer.Json
type Reason = JsonPatch.JsonPatchError["reason"]

const applied = (document: Json, patch: unknown, limits?: Partial<JsonPatch.Limits>): Json =>
  Result.getOrThrow(JsonPatch.apply(document, patch, limits))

const refused = (document: Json, patch: unknown, limits?: Partial<JsonPatch.Limits>): JsonPatch.JsonPatchError => {
  const before = JSON.stringify(document)
  const result = JsonPatch.apply(document, patch, limits)
  assert.strictEqual(JSON.stringify(document), before, "the document was changed")
  return Result.getOrThrow(Result.flip(result))
}

const add = (path: string, value: Json) => ({ op: "add", path, value }) as const
const replace = (path: string, value: Json) => ({ op: "replace", path, value }) as const
const test = (path: string, value: Json) => ({ op: "test", path, value }) as const
const remove = (path: string) => ({ op: "remove", path }) as const
const move = (from: string, path: string) => ({ op: "move", from, path }) as const
const copy = (from: string, path: string) => ({ op: "copy", from, path }) as const

type Row = readonly [title: string, document: Json, patch: ReadonlyArray<unknown>, expected: Json]
type BadRow = readonly [title: string, document: Json, patch: unknown, reason: Reason]

// RFC 6902, appendix A
const appendix: ReadonlyArray<Row> = [
  ["A.1 adds an object member", { foo: "bar" }, [add("/baz", "qux")], { baz: "qux", foo: "bar" }],
  ["A.2 adds an array element", { foo: ["bar", "baz"] }, [add("/foo/1", "qux")], { foo: ["bar", "qux", "baz"] }],
  ["A.3 removes an object member", { baz: "qux", foo: "bar" }, [remove("/baz")], { foo: "bar" }],
  ["A.4 removes an array element", { foo: ["bar", "qux", "baz"] }, [remove("/foo/1")], { foo: ["bar", "baz"] }],
  ["A.5 replaces a value", { baz: "qux", foo: "bar" }, [replace("/baz", "boo")], { baz: "boo", foo: "bar" }],
  [
    "A.6 moves a value",
    { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
    [move("/foo/waldo", "/qux/thud")],
    { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } }
  ],
  [
    "A.7 moves an array element",
    { foo: ["all", "grass", "cows", "eat"] },
    [move("/foo/1", "/foo/3")],
    { foo: ["all", "cows", "eat", "grass"] }
  ],
  [
    "A.8 tests values",
    { baz: "qux", foo: ["a", 2, "c"] },
    [test("/baz", "qux"), test("/foo/1", 2)],
    { baz: "qux", foo: ["a", 2, "c"] }
  ],
  ["A.10 adds a nested object", { foo: "bar" }, [add("/child", { grandchild: {} })], {
    foo: "bar",
    child: { grandchild: {} }
  }],
  ["A.11 ignores unknown members", { foo: "bar" }, [{ ...add("/baz", "qux"), xyz: 123 }], { foo: "bar", baz: "qux" }],
  ["A.14 escapes ~ before the digit", { "/": 9, "~1": 10 }, [test("/~01", 10)], { "/": 9, "~1": 10 }],
  ["A.16 adds an array as one element", { foo: ["bar"] }, [add("/foo/-", ["abc", "def"])], {
    foo: ["bar", ["abc", "def"]]
  }]
]

const appendixErrors: ReadonlyArray<BadRow> = [
  ["A.9 a test that fails", { baz: "qux" }, [test("/baz", "bar")], "TestFailed"],
  ["A.12 a target that does not exist", { foo: "bar" }, [add("/baz/bat", "qux")], "NotFound"],
  ["A.13 a member that is missing", { foo: "bar" }, [{ op: "remove" }], "InvalidOperation"],
  ["A.15 a string is no number", { "/": 9, "~1": 10 }, [test("/~01", "10")], "TestFailed"]
]

// the cases of the json-patch-tests project, in our words
const cases: ReadonlyArray<Row> = [
  ["an empty patch changes no object", { foo: 1 }, [], { foo: 1 }],
  ["an empty patch changes no array", ["foo"], [], ["foo"]],
  ["add replaces a member that exists", { foo: null }, [add("/foo", 1)], { foo: 1 }],
  ["add into an empty array", [], [add("/0", "foo")], ["foo"]],
  ["a numeric string stays a string", {}, [add("/foo", "1")], { foo: "1" }],
  ["replace of a scalar document", "foo", [replace("", "bar")], "bar"],
  ["an array replaces an object document", {}, [add("", [])], []],
  ["an object replaces an array document", [], [add("", {})], {}],
  ["- appends to a root array", [], [add("/-", "hi")], ["hi"]],
  ["/ is the member with the empty key", {}, [add("/", 1)], { "": 1 }],
  ["a trailing slash is an empty key", { foo: {} }, [add("/foo/", 1)], { foo: { "": 1 } }],
  ["add of an array as a member", { foo: 1 }, [add("/bar", [1, 2])], { foo: 1, bar: [1, 2] }],
  ["add into an element", { baz: [{ qux: "a" }] }, [add("/baz/0/foo", "b")], { baz: [{ qux: "a", foo: "b" }] }],
  ["add of true", { foo: 1 }, [add("/bar", true)], { foo: 1, bar: true }],
  ["add of false", { foo: 1 }, [add("/bar", false)], { foo: 1, bar: false }],
  ["add of null", { foo: 1 }, [add("/bar", null)], { foo: 1, bar: null }],
  ["0 can be a key", { foo: 1 }, [add("/0", "bar")], { "foo": 1, "0": "bar" }],
  ["add at the end by index", ["a", "b"], [add("/2", "c")], ["a", "b", "c"]],
  ["add in the middle", ["a", "b"], [add("/1", "c")], ["a", "c", "b"]],
  ["add at the head", ["a", "b"], [add("/0", "c")], ["c", "a", "b"]],
  ["1e0 can be a key", { "1e0": "foo" }, [test("/1e0", "foo")], { "1e0": "foo" }],
  ["an array that is added is not flattened", ["a", "b"], [add("/1", ["c", "d"])], ["a", ["c", "d"], "b"]],
  ["remove of a member", { foo: 1, bar: [1, 2] }, [remove("/bar")], { foo: 1 }],
  ["remove inside an element", { baz: [{ qux: "a" }] }, [remove("/baz/0/qux")], { baz: [{}] }],
  ["remove of the first element", [1, 2, 3, 4], [remove("/0")], [2, 3, 4]],
  ["removes see what earlier ones left", [1, 2, 3, 4], [remove("/1"), remove("/2")], [1, 3]],
  ["replace of a member by an array", { foo: 1 }, [replace("/foo", [1, 2])], { foo: [1, 2] }],
  ["replace inside an element", { baz: [{ qux: "a" }] }, [replace("/baz/0/qux", "b")], { baz: [{ qux: "b" }] }],
  ["replace of an element", ["foo"], [replace("/0", "bar")], ["bar"]],
  ["replace of an empty string by 0", [""], [replace("/0", 0)], [0]],
  ["replace of an empty string by false", [""], [replace("/0", false)], [false]],
  ["replace of an empty string by null", [""], [replace("/0", null)], [null]],
  ["an array that replaces is not flattened", ["a", "b"], [replace("/1", ["c"])], ["a", ["c"]]],
  ["replace of the document", { foo: "bar" }, [replace("", { baz: "qux" })], { baz: "qux" }],
  ["null is a value to test", { foo: null }, [test("/foo", null)], { foo: null }],
  ["null is a value to replace", { foo: null }, [replace("/foo", "x")], { foo: "x" }],
  ["null is a value to move", { foo: null }, [move("/foo", "/bar")], { bar: null }],
  ["null is a value to copy", { foo: null }, [copy("/foo", "/bar")], { foo: null, bar: null }],
  ["null is a value to remove", { foo: null }, [remove("/foo")], {}],
  ["test ignores the order of keys", { foo: { a: 1, b: 2 } }, [test("/foo", { b: 2, a: 1 })], { foo: { a: 1, b: 2 } }],
  ["test of the whole document", { foo: 1 }, [test("", { foo: 1 })], { foo: 1 }],
  ["test of the empty key", { "": 1 }, [test("/", 1)], { "": 1 }],
  ["a move to the same place changes nothing", { foo: 1 }, [move("/foo", "/foo")], { foo: 1 }],
  ["a move into an array", { baz: [{ qux: "a" }] }, [move("/baz/0/qux", "/baz/1")], { baz: [{}, "a"] }],
  ["a copy of an element", { baz: [{ qux: "a" }] }, [copy("/baz/0", "/boo")], {
    baz: [{ qux: "a" }],
    boo: { qux: "a" }
  }],
  ["- appends levels down", [1, [2, [3]]], [add("/1/1/-", { foo: [4] })], [1, [2, [3, { foo: [4] }]]]],
  ["keys are case-sensitive", { foo: "bar" }, [add("/FOO", "BAR")], { foo: "bar", FOO: "BAR" }],
  ["a move of a part to the root", { foo: [1] }, [move("/foo", "")], [1]],
  ["a copy of the root into itself", { a: 1 }, [copy("", "/b")], { a: 1, b: { a: 1 } }],
  ["remove of the root leaves null", { a: 1 }, [remove("")], null]
]

const errors: ReadonlyArray<BadRow> = [
  ["an index beyond the end", { bar: [1, 2] }, [add("/bar/8", "5")], "NotFound"],
  ["an index one beyond the end", ["a", "b"], [add("/3", "c")], "NotFound"],
  ["a negative index", { bar: [1, 2] }, [add("/bar/-1", "5")], "NotFound"],
  ["a key of an array", ["a"], [add("/bar", 42)], "NotFound"],
  ["an exponent for an index, test", ["a", "b"], [test("/1e0", "b")], "NotFound"],
  ["an exponent for an index, add", ["a", "b"], [add("/1e0", "b")], "NotFound"],
  ["an exponent for an index, replace", [""], [replace("/1e0", false)], "NotFound"],
  ["an exponent for an index, remove", [1, 2], [remove("/1e0")], "NotFound"],
  ["an exponent on the way", { baz: [{ qux: "a" }] }, [remove("/baz/1e0/qux")], "NotFound"],
  ["an exponent for an index, copy", { baz: [1, 2] }, [copy("/baz/1e0", "/boo")], "NotFound"],
  ["an exponent for an index, move", { baz: [1, 2] }, [move("/baz/1e0", "/foo")], "NotFound"],
  ["leading zeros 00", ["a", "b"], [test("/00", "a")], "NotFound"],
  ["leading zeros 01", ["a", "b"], [test("/01", "b")], "NotFound"],
  ["leading zeros when adding", ["a"], [add("/01", "b")], "NotFound"],
  ["a parent that is missing", { bar: "baz" }, [replace("/foo/bar", false)], "NotFound"],
  ["replace of a member that is missing", {}, [replace("/foo", 1)], "NotFound"],
  ["remove of a member that is missing", { foo: 1 }, [remove("/baz")], "NotFound"],
  ["remove of an index out of range", ["a", "b"], [remove("/2")], "NotFound"],
  ["a test of another value", { foo: { bar: [1, 2] } }, [test("/foo", [1, 2])], "TestFailed"],
  ["a test of something that is missing", {}, [test("/foo", null)], "NotFound"],
  ["add without value", [1], [{ op: "add", path: "/-" }], "InvalidOperation"],
  ["replace without value", [1], [{ op: "replace", path: "/0" }], "InvalidOperation"],
  ["test without value", [null], [{ op: "test", path: "/0" }], "InvalidOperation"],
  ["test without value where it is falsy", [false], [{ op: "test", path: "/0" }], "InvalidOperation"],
  ["copy without from", [1], [{ op: "copy", path: "/-" }], "InvalidOperation"],
  ["move without from", { foo: 1 }, [{ op: "move", path: "" }], "InvalidOperation"],
  ["an unknown op", { foo: 1 }, [{ op: "spam", path: "/foo", value: 1 }], "InvalidOperation"],
  ["no op", {}, [{ path: "/a", value: 1 }], "InvalidOperation"],
  ["an op by prototype", {}, [Object.create({ op: "add", path: "/a", value: 1 })], "InvalidOperation"],
  ["an op that is no text", {}, [{ op: 1, path: "/a", value: 1 }], "InvalidOperation"],
  ["a path that is no text", {}, [{ op: "add", path: ["a"], value: 1 }], "InvalidOperation"],
  ["a path without slash", {}, [add("a", 1)], "InvalidPointer"],
  ["a path with a bad escape", {}, [add("/~2", 1)], "InvalidPointer"],
  ["operations that are no objects", {}, [null], "InvalidOperation"],
  ["a patch that is no array", {}, { op: "add" }, "InvalidOperation"],
  ["a patch that is text", {}, "patch", "InvalidOperation"],
  ["- to replace", [1], [replace("/-", 2)], "NotFound"],
  ["- to remove", [1], [remove("/-")], "NotFound"],
  ["- to test", [1], [test("/-", 1)], "NotFound"],
  ["- to copy from", { a: [1] }, [copy("/a/-", "/b")], "NotFound"],
  ["- on the way", [[1]], [add("/-/0", 2)], "NotFound"],
  ["a pointer through a string", { a: "text" }, [replace("/a/0", "T")], "NotFound"],
  ["a pointer through a number", { a: 1 }, [add("/a/b", 1)], "NotFound"],
  ["a pointer through null", { a: null }, [add("/a/b", 1)], "NotFound"],
  ["the length of an array", { a: [1] }, [replace("/a/length", 0)], "NotFound"],
  ["a move into itself", { a: { b: {} } }, [move("/a", "/a/b/c")], "InvalidOperation"],
  ["a move of the root into itself", { a: 1 }, [move("", "/b")], "InvalidOperation"],
  ["__proto__ as a key", {}, [add("/__proto__", { polluted: true })], "ForbiddenKey"],
  ["__proto__ on the way", {}, [add("/__proto__/polluted", true)], "NotFound"],
  ["__proto__ to copy to", { a: { polluted: true } }, [copy("/a", "/__proto__")], "ForbiddenKey"],
  ["__proto__ to move to", { a: { polluted: true } }, [move("/a", "/__proto__")], "ForbiddenKey"],
  [
    "__proto__ inside a value",
    {},
    JSON.parse(`[{"op":"add","path":"/a","value":{"b":[{"__proto__":{"polluted":true}}]}}]`),
    "ForbiddenKey"
  ],
  ["the constructor's prototype", {}, [add("/constructor/prototype/polluted", true)], "NotFound"],
  ["NaN", {}, [add("/a", [NaN])], "NotJson"],
  ["an infinity", {}, [add("/a", -Infinity)], "NotJson"],
  ["a class instance", {}, [add("/a", new Map() as never)], "NotJson"],
  ["undefined inside a value", {}, [add("/a", { b: undefined } as never)], "NotJson"],
  ["a hole in an array", {}, [add("/a", Array(3) as never)], "NotJson"],
  ["a function", {}, [add("/a", (() => 1) as never)], "NotJson"]
]

const nested = (levels: number): Json => {
  let value: Json = 1
  for (let i = 0; i < levels; i++) value = { a: value }
  return value
}

describe("JsonPatch", () => {
  describe("apply", () => {
    it.each([...appendix, ...cases])("%s", (_title, document, patch, expected) => {
      const before = JSON.stringify(document)
      assert.deepStrictEqual(applied(document, patch), expected)
      assert.strictEqual(JSON.stringify(document), before)
    })

    it.each([...appendixErrors, ...errors])("refuses %s", (_title, document, patch, reason) => {
      assert.strictEqual(refused(document, patch).reason, reason)
      assert.isUndefined(({} as { polluted?: boolean }).polluted)
    })

    it("names the operation that failed and undoes those before it", () => {
      const document = { list: [1, 2, 3], a: { b: 1 } }
      const error = refused(document, [
        add("/list/0", 0),
        remove("/a/b"),
        move("/list/3", "/a/c"),
        copy("/a", "/b"),
        replace("/a/c", 5),
        replace("/b/c", 6),
        test("/missing", 1)
      ])
      assert.strictEqual(error.operation, 6)
      assert.include(error.message, "NotFound at operation 6")
    })

    it("takes constructor, prototype and toString for ordinary keys", () => {
      const document = applied({}, [
        add("/constructor", { prototype: {} }),
        add("/constructor/prototype/polluted", true),
        add("/toString", 1)
      ])
      assert.deepStrictEqual(document, { constructor: { prototype: { polluted: true } }, toString: 1 } as never)
      assert.isUndefined(({} as { polluted?: boolean }).polluted)
    })

    it("refuses 1,001 operations and applies 1,000", () => {
      const patch = Array.from({ length: 1_001 }, (_, i) => add(`/${i}`, i))
      assert.strictEqual(refused({}, patch).reason, "TooManyOperations")
      assert.strictEqual(Object.keys(applied({}, patch.slice(1)) as object).length, 1_000)
      assert.strictEqual(Object.keys(applied({}, patch, { maxOperations: 2_000 }) as object).length, 1_001)
    })

    it("refuses a patch that copies itself to exponential size", () => {
      const patch = Array.from({ length: 60 }, (_, i) => copy("", `/${i}`))
      assert.strictEqual(refused({ text: "0123456789" }, patch).reason, "TooLarge")
      const list = Array.from({ length: 60 }, () => copy("/a", "/a/-"))
      assert.oneOf(refused({ a: ["x"] }, list).reason, ["TooLarge", "TooDeep"])
    })

    it("refuses 10,000 levels, in a value, in a pointer and by copying", () => {
      assert.strictEqual(refused({}, [add("/a", nested(10_000))]).reason, "TooDeep")
      assert.strictEqual(refused({}, [add("/a".repeat(10_000), 1)]).reason, "TooDeep")
      assert.strictEqual(refused({}, [test("", nested(10_000))]).reason, "TooDeep")
      assert.strictEqual(refused(nested(100), [copy("", "/a".repeat(60) + "/b")]).reason, "TooDeep")
      assert.strictEqual(
        refused({ x: nested(100), y: nested(60) }, [move("/x", "/y" + "/a".repeat(59) + "/b")]).reason,
        "TooDeep"
      )
      assert.deepStrictEqual(applied({}, [add("/a", nested(3))], { maxDepth: 4 }), { a: nested(3) })
      assert.strictEqual(refused({}, [add("/a", nested(4))], { maxDepth: 4 }).reason, "TooDeep")
    })

    it("survives a document of 10,000 levels that it was given", () => {
      const document = { a: nested(10_000), b: 1 }
      assert.strictEqual((applied(document, [replace("/b", 2)]) as { b: number }).b, 2)
      const copied = JsonPatch.apply(document, [copy("/a", "/c")])
      assert.strictEqual(Result.isFailure(copied) && copied.failure.reason, "TooDeep")
      assert.deepStrictEqual(applied(document, [remove("/a")]), { b: 1 })
    })

    it("refuses what makes the document larger than allowed", () => {
      assert.strictEqual(refused({}, [add("/a", "x".repeat(100))], { maxSize: 100 }).reason, "TooLarge")
      assert.strictEqual(
        refused({}, [add("/a", "x".repeat(60)), add("/b", "x".repeat(60))], { maxSize: 100 }).reason,
        "TooLarge"
      )
      assert.strictEqual(
        refused({}, [add("/a", ["x".repeat(60)]), copy("/a", "/b")], { maxSize: 100 }).reason,
        "TooLarge"
      )
    })

    it("refuses a cyclic value", () => {
      const cycle: Record<string, unknown> = { a: [] }
      ;(cycle["a"] as Array<unknown>).push(cycle)
      assert.strictEqual(refused({}, [add("/x", cycle as Json)]).reason, "Cyclic")
    })

    it("shares what it does not touch", () => {
      const document = { a: { x: 1 }, b: { list: [{ y: 1 }, { y: 2 }] } }
      const next = applied(document, [replace("/b/list/1/y", 3)]) as typeof document
      assert.strictEqual(next.a, document.a)
      assert.strictEqual(next.b.list[0], document.b.list[0])
      assert.notStrictEqual(next.b.list, document.b.list)
    })

    it("keeps a copy apart from what it was copied from", () => {
      assert.deepStrictEqual(
        applied({ a: { x: [1] } }, [copy("/a", "/b"), add("/a/x/-", 2), replace("/b/x/0", 3)]),
        { a: { x: [1, 2] }, b: { x: [3] } }
      )
    })

    it.prop("agrees with the plain algorithm, or leaves everything as it was", { seed: Schema.Int }, ({ seed }) => {
      const random = generator(seed)
      const document = random.json(4)
      const patch = random.patch(document, 1 + random.int(4))
      const before = JSON.stringify(document)
      const result = JsonPatch.apply(document, patch)
      assert.strictEqual(JSON.stringify(document), before)
      const expected = plainly(JSON.parse(before), patch)
      if (Result.isFailure(result)) assert.isUndefined(expected, result.failure.message)
      else assert.deepStrictEqual(result.success, (expected as { value: Json }).value)
    }, { arbitrary: { runs: 2_000 } })
  })

  it("becomes changes and text again", () => {
    const patch: JsonPatch.JsonPatch = [
      { op: "add", path: "/a~1b/0", value: 1 },
      { op: "move", from: "/a~1b/0", path: "/~0" },
      { op: "copy", from: "", path: "/x" },
      { op: "test", path: "/~0", value: 1 },
      { op: "remove", path: "/x" },
      { op: "replace", path: "", value: null }
    ]
    const changes = Result.getOrThrow(JsonPatch.decode(patch))
    assert.deepStrictEqual(changes[1], { op: "move", from: ["a/b", "0"], path: ["~"] })
    assert.deepStrictEqual(JsonPatch.encode(changes), patch)
    for (const bad of [null, {}, [null], [{ op: "remove", path: ["a"] }]]) {
      assert.strictEqual(Result.getOrThrow(Result.flip(JsonPatch.decode(bad))).reason, "InvalidOperation")
    }
    assert.strictEqual(
      Result.getOrThrow(Result.flip(JsonPatch.decode([{ op: "remove", path: "a" }]))).reason,
      "InvalidPointer"
    )
  })

  describe("diff", () => {
    const between = (from: Json, to: Json, limits?: Partial<JsonPatch.Limits>) => {
      const patch = Result.getOrThrow(JsonPatch.diff(from, to, limits))
      assert.deepStrictEqual(applied(from, patch), to)
      return patch
    }

    it("is empty for equal values", () => {
      assert.deepStrictEqual(between({ a: [1, { b: null }] }, { a: [1, { b: null }] }), [])
      assert.deepStrictEqual(between({ a: 1, b: 2 }, { b: 2, a: 1 }), [])
      assert.deepStrictEqual(between(null, null), [])
    })

    it("finds a key that is gone after its owner changed the object", () => {
      const wide = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${i}`, i]))
      const changed: Record<string, number> = { ...wide, x: 1 }
      JsonPatch.diff(wide, changed)
      changed["y"] = 2
      assert.deepStrictEqual(Result.getOrThrow(JsonPatch.diff(changed, { ...wide, x: 1 })), [{
        op: "remove",
        path: "/y"
      }])
    })

    it("names one member that changed, appeared or went", () => {
      const big = { x: "a long enough text to be worth an operation of its own", y: [1, 2, 3], z: { w: true } }
      assert.deepStrictEqual(between(big, { ...big, z: { w: false } }), [replace("/z/w", false)])
      assert.deepStrictEqual(between(big, { ...big, "q/r~": 1 }), [add("/q~1r~0", 1)])
      assert.deepStrictEqual(between({ ...big, "q/r~": 1 }, big), [remove("/q~1r~0")])
    })

    it("replaces at the root what is of another kind", () => {
      assert.deepStrictEqual(between(null, { a: 1 }), [replace("", { a: 1 })])
      assert.deepStrictEqual(between([1], { 0: 1 }), [replace("", { 0: 1 })])
      assert.deepStrictEqual(between({ a: 1 }, null), [replace("", null)])
    })

    const items = Array.from({ length: 10_000 }, (_, i) => ({ id: i, name: `item ${i}`, tags: ["a", "b"] }))
    const fresh = () => JSON.parse(JSON.stringify(items)) as Array<typeof items[0]>

    it("finds one insertion at the head of 10,000 items, shared or parsed anew", () => {
      const item = { id: -1, name: "new", tags: [] }
      assert.deepStrictEqual(between(items, [item, ...items]), [add("/0", item)])
      assert.deepStrictEqual(between(items, [item, ...fresh()]), [add("/0", item)])
    })

    it("finds one removal, a move and a changed field in 10,000 items", () => {
      assert.deepStrictEqual(between(items, items.slice(1)), [remove("/0")])
      assert.deepStrictEqual(between(items, [...items.slice(1), items[0]!]), [
        remove("/0"),
        add("/9999", items[0]!)
      ])
      const changed = fresh()
      changed[5_000]!.name = "changed"
      assert.deepStrictEqual(between(items, changed), [replace("/5000/name", "changed")])
    })

    it("finds an insertion, a removal and a change that are far apart", () => {
      const changed = fresh()
      changed.splice(8_000, 1)
      changed[5_000]!.name = "changed"
      changed.splice(100, 0, { id: -1, name: "new", tags: [] })
      assert.deepStrictEqual(between(items, changed), [
        add("/100", { id: -1, name: "new", tags: [] }),
        replace("/5001/name", "changed"),
        remove("/8001")
      ])
    })

    it("falls back to replace for values that have nothing in common", () => {
      const other = Array.from({ length: 10_000 }, (_, i) => `text ${i}`)
      assert.deepStrictEqual(between(items, other).map(({ op, path }) => [op, path]), [["replace", ""]])
      const many = Object.fromEntries(other.map((text, i) => [text, i]))
      const others = Object.fromEntries(other.map((text, i) => [text, -i - 1]))
      assert.strictEqual(between({ many, rest: items }, { many: others, rest: items }).length, 1)
    })

    it("never needs more operations than the other end applies", () => {
      const from = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`k${i}`, "x".repeat(100)]))
      const to = Object.fromEntries(Object.entries(from).map(([key, value], i) => [key, i % 4 === 0 ? i : value]))
      assert.strictEqual(between(from, to).length, 1)
      const groups = (mark: number) =>
        Object.fromEntries(Array.from({ length: 4 }, (_, g) => [
          `g${g}`,
          Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`k${i}`, i < 400 ? mark : "x".repeat(80)]))
        ]))
      assert.isAtMost(between(groups(1), groups(2)).length, 1_000)
    })

    it("does not enter what is shared", () => {
      const trap = new Proxy({}, {
        ownKeys: () => {
          throw new Error("entered")
        }
      }) as Json
      assert.deepStrictEqual(
        Result.getOrThrow(JsonPatch.diff({ trap, a: [trap], b: 1 }, { trap, a: [trap], b: 2 })).length,
        1
      )
    })

    it.each<readonly [string, unknown, Reason]>([
      ["NaN", { a: { b: NaN } }, "NotJson"],
      ["an infinity", [[Infinity]], "NotJson"],
      ["undefined", { a: undefined }, "NotJson"],
      ["a set", { a: new Set([1]) }, "NotJson"],
      ["a bigint", { a: 1n }, "NotJson"],
      ["__proto__", JSON.parse(`{"a":{"__proto__":1}}`), "ForbiddenKey"],
      ["10,000 levels", { a: nested(10_000) }, "TooDeep"]
    ])("refuses %s", (_title, to, reason) => {
      for (const from of [null, {}, { a: {} }, { a: { b: 1 } }, [[1]], { a: nested(200) }]) {
        const result = JsonPatch.diff(from, to as Json)
        assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason, reason)
      }
    })

    it("refuses cycles, also where both values have them", () => {
      const cycle = () => {
        const value: Record<string, unknown> = { b: 1 }
        value["a"] = { c: value }
        return value as Json
      }
      for (const from of [null, { a: { c: {} } }, cycle()]) {
        const result = JsonPatch.diff(from, cycle())
        assert.strictEqual(Result.getOrThrow(Result.flip(result)).reason, "Cyclic")
      }
    })

    it.prop("applied to the first value it gives the second", { seed: Schema.Int }, ({ seed }) => {
      const random = generator(seed)
      const from = random.json(4)
      let to = from
      for (let i = random.int(4); i >= 0; i--) to = random.change(to)
      assert.deepStrictEqual(applied(from, Result.getOrThrow(JsonPatch.diff(from, to))), to)
      const parsed = JSON.parse(JSON.stringify(to))
      assert.deepStrictEqual(applied(from, Result.getOrThrow(JsonPatch.diff(from, parsed))), to)
      const unrelated = random.json(4)
      assert.deepStrictEqual(applied(from, Result.getOrThrow(JsonPatch.diff(from, unrelated))), unrelated)
    }, { arbitrary: { runs: 2_000 } })

    it.prop(
      "finds the way between long lists, whether they share their items or not",
      { seed: Schema.Int },
      ({ seed }) => {
        const random = generator(seed)
        const from = Array.from(
          { length: 200 + random.int(200) },
          (_, id) => random.int(5) === 0 ? id % 7 : { id: id % 150 }
        )
        const to = from.slice()
        for (let i = random.int(12); i >= 0; i--) {
          const at = random.int(to.length)
          const kind = random.int(5)
          if (kind === 0) to.splice(at, random.int(4))
          else if (kind === 1) to.splice(at, 0, random.json(2) as any)
          else if (kind === 2) to.splice(random.int(to.length), 0, to[at]!)
          else if (kind === 3) to[at] = { id: -i }
          else to.push(to.shift()!)
        }
        const short = Result.getOrThrow(JsonPatch.diff(from, to))
        assert.deepStrictEqual(applied(from, short), to)
        assert.isBelow(short.length, 90)
        const parsed = to.map((item, i) => i % 2 === 0 ? item : structuredClone(item))
        assert.deepStrictEqual(applied(from, Result.getOrThrow(JsonPatch.diff(from, parsed))), to)
      },
      { arbitrary: { runs: 300 } }
    )
  })
})

/** RFC 6902 by copying everything, with nothing clever in it. */
const plainly = (document: Json, patch: ReadonlyArray<JsonPatch.Operation>): { value: Json } | undefined => {
  const state = { root: structuredClone(document) as unknown }
  const resolve = (tokens: ReadonlyArray<string>): { value: unknown } | undefined => {
    let value = state.root
    for (const token of tokens) {
      if (typeof value !== "object" || value === null) return undefined
      if (Array.isArray(value) && !(/^(0|[1-9]\d*)$/.test(token) && Number(token) < value.length)) return undefined
      if (!Object.hasOwn(value, token)) return undefined
      value = (value as Record<string, unknown>)[token]
    }
    return { value }
  }
  const put = (tokens: ReadonlyArray<string>, value: unknown, insert: boolean): boolean => {
    if (tokens.length === 0) {
      state.root = value
      return true
    }
    const parent = resolve(tokens.slice(0, -1))?.value
    const token = tokens.at(-1)!
    if (typeof parent !== "object" || parent === null) return false
    if (Array.isArray(parent)) {
      const index = token === "-" && insert ? parent.length : /^(0|[1-9]\d*)$/.test(token) ? Number(token) : -1
      if (index < 0 || index > parent.length || (!insert && index === parent.length)) return false
      parent.splice(index, insert ? 0 : 1, value)
      return true
    }
    if (!insert && !Object.hasOwn(parent, token)) return false
    ;(parent as Record<string, unknown>)[token] = value
    return true
  }
  const take = (tokens: ReadonlyArray<string>): { value: unknown } | undefined => {
    const found = resolve(tokens)
    if (found === undefined) return undefined
    if (tokens.length === 0) state.root = null
    else {
      const parent = resolve(tokens.slice(0, -1))!.value
      if (Array.isArray(parent)) parent.splice(Number(tokens.at(-1)), 1)
      else delete (parent as Record<string, unknown>)[tokens.at(-1)!]
    }
    return found
  }
  for (const operation of patch) {
    const path = JsonPointer.parse(operation.path)!
    switch (operation.op) {
      case "add":
      case "replace":
        if (!put(path, structuredClone(operation.value), operation.op === "add")) return undefined
        break
      case "remove":
        if (take(path) === undefined) return undefined
        break
      case "copy": {
        const found = resolve(JsonPointer.parse(operation.from)!)
        if (found === undefined || !put(path, structuredClone(found.value), true)) return undefined
        break
      }
      case "move": {
        const from = JsonPointer.parse(operation.from)!
        const into = from.length < path.length && from.every((token, i) => token === path[i])
        if (into || resolve(from) === undefined) return undefined
        if (operation.from === operation.path) break
        const found = take(from)!
        if (!put(path, found.value, true)) return undefined
        break
      }
      case "test":
        return undefined
    }
  }
  return { value: state.root as Json }
}
