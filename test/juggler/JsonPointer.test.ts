import { assert, describe, it } from "@effect/vitest"
import { JsonPointer } from "effect-wire/juggler"

describe("JsonPointer", () => {
  const document = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    "k\"l": 6,
    " ": 7,
    "m~n": 8
  }

  // RFC 6901, section 5
  const examples: ReadonlyArray<readonly [string, unknown]> = [
    ["", document],
    ["/foo", ["bar", "baz"]],
    ["/foo/0", "bar"],
    ["/", 0],
    ["/a~1b", 1],
    ["/c%d", 2],
    ["/e^f", 3],
    ["/g|h", 4],
    ["/i\\j", 5],
    ["/k\"l", 6],
    ["/ ", 7],
    ["/m~0n", 8]
  ]
  it.each(examples)("finds what the RFC says at %j", (pointer, expected) => {
    assert.deepStrictEqual(JsonPointer.get(document, JsonPointer.parse(pointer)!), expected as JsonPointer.Json)
    assert.strictEqual(JsonPointer.format(JsonPointer.parse(pointer)!), pointer)
  })

  it.each(["foo", "~", "/~", "/~2", "/a~", " /a"])("takes %j for no pointer", (pointer) => {
    assert.strictEqual(JsonPointer.parse(pointer), undefined)
  })

  it.each([
    ["/foo/00", "a leading zero"],
    ["/foo/01", "a leading zero"],
    ["/foo/-", "the end of an array"],
    ["/foo/-1", "a negative index"],
    ["/foo/1e0", "an exponent"],
    ["/foo/0x1", "a hexadecimal index"],
    ["/foo/2", "an index out of range"],
    ["/foo/ 1", "a blank"],
    ["/foo/", "an empty index"],
    ["/foo/1111111111111111111111", "an index beyond the integers"],
    ["/foo/0/0", "a step into a string"],
    ["/foo/0/length", "a property of a string"],
    ["/foo/length", "a property of an array"],
    ["/__proto__", "the prototype"],
    ["/constructor", "an inherited property"],
    ["/toString/name", "a property of an inherited function"]
  ])("finds nothing at %s: %s", (pointer) => {
    assert.strictEqual(JsonPointer.get(document, JsonPointer.parse(pointer)!), undefined)
  })

  it("unescapes ~01 to ~1, not to a slash", () => {
    assert.deepStrictEqual(JsonPointer.parse("/~01"), ["~1"])
  })
})
