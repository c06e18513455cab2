import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { JugglerGeneration } from "effect-wire/juggler"
import { generator } from "./generate.ts"

type Message = JugglerGeneration.Message
const { v05, v06, v07 } = JugglerGeneration

/** One frame, both ways: what it means, and that it is written like this. */
const wires: ReadonlyArray<readonly [JugglerGeneration.Generation, string, Message]> = [
  [v05, `{"type":"DATA","payload":[{"op":"replace","path":"","value":1}]}`, {
    _tag: "State",
    patch: [{ op: "replace", path: "", value: 1 }]
  }],
  [v05, `{"type":"MESSAGE","payload":{"a":[1]}}`, { _tag: "Message", payload: { a: [1] } }],
  [v05, `{"type":"MESSAGE","payload":null}`, { _tag: "Message", payload: null }],
  [v05, `{"type":"PING","payload":{}}`, { _tag: "Ping", payload: "" }],
  [v05, `{"type":"PONG","payload":{}}`, { _tag: "Pong", payload: "" }],
  [
    v05,
    `{"type":"MESSAGE","payload":{"type":"rpc","id":1,"direction":"request","action":"add","args":[1,2]}}`,
    { _tag: "Request", id: 1, name: "add", data: [1, 2] }
  ],
  [
    v05,
    `{"type":"MESSAGE","payload":{"type":"rpc","id":1,"direction":"response","success":true,"result":3}}`,
    { _tag: "Response", id: 1, success: true, data: 3 }
  ],
  [v06, `{"type":"request","id":1,"name":"add","data":{"a":1}}`, {
    _tag: "Request",
    id: 1,
    name: "add",
    data: { a: 1 }
  }],
  [v06, `{"type":"response","id":1,"success":false,"data":"no"}`, {
    _tag: "Response",
    id: 1,
    success: false,
    data: "no"
  }],
  [v06, `{"type":"state","diff":[]}`, { _tag: "State", patch: [] }],
  [v06, `{"type":"notify","name":"n","data":null}`, { _tag: "Notify", name: "n", data: null }],
  [v07, `0{"type":"request","id":7,"name":"","data":null}`, { _tag: "Request", id: 7, name: "", data: null }],
  [v07, `0{"type":"state","diff":[{"op":"remove","path":"/a"}]}`, {
    _tag: "State",
    patch: [{ op: "remove", path: "/a" }]
  }],
  [v07, "2", { _tag: "Ping", payload: "" }],
  [v07, "2abc", { _tag: "Ping", payload: "abc" }],
  [v07, "3abc", { _tag: "Pong", payload: "abc" }]
]

/** Frames that are read only, since peers write them so. */
const lenient: ReadonlyArray<readonly [JugglerGeneration.Generation, string, Message]> = [
  [v05, `{"payload":{},"type":"PING","more":1}`, { _tag: "Ping", payload: "" }],
  [v05, `{"type":"PONG"}`, { _tag: "Pong", payload: "" }],
  [
    v05,
    `{"type":"MESSAGE","payload":{"type":"rpc","id":1,"direction":"response","success":true}}`,
    { _tag: "Response", id: 1, success: true, data: null }
  ],
  [v05, `{"type":"MESSAGE","payload":{"type":"rpc","id":"x"}}`, {
    _tag: "Message",
    payload: { type: "rpc", id: "x" }
  }],
  [v05, `{"type":"MESSAGE","payload":{"type":"rpc","id":1,"direction":"sideways"}}`, {
    _tag: "Message",
    payload: { type: "rpc", id: 1, direction: "sideways" }
  }],
  [v06, `{"type":"request","id":1,"name":"add"}`, { _tag: "Request", id: 1, name: "add", data: null }],
  [v06, ` { "type" : "state" , "diff" : 5 } `, { _tag: "State", patch: 5 }]
]

const bad: ReadonlyArray<readonly [JugglerGeneration.Generation, string | Uint8Array, number]> = [
  [v05, "", 1007],
  [v05, "{", 1007],
  [v05, "null", 1002],
  [v05, "[]", 1002],
  [v05, `"text"`, 1002],
  [v05, `{"payload":{}}`, 1002],
  [v05, `{"type":"DATA"}`, 1002],
  [v05, `{"type":"MESSAGE"}`, 1002],
  [v05, `{"type":"data","payload":[]}`, 1002],
  [v05, `{"type":"toString","payload":[]}`, 1002],
  [v05, `{"__proto__":{"type":"PING"},"payload":{}}`, 1002],
  [v05, `{"type":"request","id":1,"name":"add","data":[]}`, 1002],
  [v05, new Uint8Array([123, 125]), 1003],
  [v06, "", 1007],
  [v06, `{"type":"request","id":1.5,"name":"add"}`, 1002],
  [v06, `{"type":"request","id":"1","name":"add"}`, 1002],
  [v06, `{"type":"request","id":1,"name":null}`, 1002],
  [v06, `{"type":"request","name":"add"}`, 1002],
  [v06, `{"type":"response","id":1,"success":1}`, 1002],
  [v06, `{"type":"DATA","payload":[]}`, 1002],
  [v06, `{"type":"notify"}`, 1002],
  [v06, new Uint8Array(), 1003],
  [v07, "", 1002],
  [v07, "4", 1002],
  [v07, "{}", 1002],
  [v07, "0", 1007],
  [v07, "0{", 1007],
  [v07, "é", 1002],
  [v07, new Uint8Array([48, 123, 125]), 1003]
]

describe("JugglerGeneration", () => {
  it.each(wires.map(([generation, frame, message]) => [generation.name, frame, message, generation] as const))(
    "%s reads and writes %s",
    (_name, frame, message, generation) => {
      assert.deepStrictEqual(generation.receiver()(frame), message)
      assert.deepStrictEqual(generation.encode(message), [frame])
    }
  )

  it.each(lenient.map(([generation, frame, message]) => [generation.name, frame, message, generation] as const))(
    "%s reads %s",
    (_name, frame, message, generation) => {
      assert.deepStrictEqual(generation.receiver()(frame), message)
    }
  )

  it.each(bad.map(([generation, frame, code]) => [generation.name, frame, code, generation] as const))(
    "%s refuses %j with %i",
    (_name, frame, code, generation) => {
      const result = generation.receiver()(frame)
      assert.strictEqual(result?._tag === "Malformed" ? result.code : result, code)
    }
  )

  it("refuses messages that are nested too deeply or too long", () => {
    const deep = `{"type":"MESSAGE","payload":${"[".repeat(100_000)}${"]".repeat(100_000)}}`
    const result = v05.receiver()(deep)
    assert.strictEqual(result?._tag === "Malformed" && result.code, 1002)
    const long = v05.receiver({ maxMessageSize: 20 })(`{"type":"MESSAGE","payload":"xxxxxxxxxxxx"}`)
    assert.strictEqual(long?._tag === "Malformed" && long.code, 1009)
  })

  it("refuses numbers that come out different, or are beyond every number", () => {
    for (const value of ["1e400", "[12345678901234567890]", `{"a":-9007199254740993}`]) {
      const result = v05.receiver()(`{"type":"MESSAGE","payload":${value}}`)
      assert.strictEqual(result?._tag === "Malformed" && result.code, 1002)
    }
    for (const value of [`"1e400"`, "1e300", "12345678901234567000", "9007199254740991", `"12345678901234567890"`]) {
      assert.strictEqual(v05.receiver()(`{"type":"MESSAGE","payload":${value}}`)?._tag, "Message")
    }
  })

  describe("segments", () => {
    const message: Message = { _tag: "Notify", name: "n", data: "x".repeat(1_000) + "😀".repeat(100) }

    it.each([1, 2, 3, 7, 64, 100_000])("of %i characters are put together again", (size) => {
      const frames = v07.encode(message, size)
      const receive = v07.receiver()
      frames.forEach((frame, i) => {
        assert.isAtMost(frame.length, size + 1)
        assert.strictEqual(frame[0], i === frames.length - 1 ? "0" : "1")
        assert.deepStrictEqual(receive(frame), i === frames.length - 1 ? message : undefined)
      })
    })

    it("are never cut inside a character", () => {
      for (const size of [2, 3, 5, 64]) {
        for (const frame of v07.encode(message, size)) {
          assert.strictEqual(new TextDecoder().decode(new TextEncoder().encode(frame)), frame)
        }
      }
    })

    it("may have pings between them", () => {
      const receive = v07.receiver()
      const [first, ...rest] = v07.encode(message, 600)
      assert.strictEqual(receive(first!), undefined)
      assert.deepStrictEqual(receive("2x"), { _tag: "Ping", payload: "x" })
      assert.deepStrictEqual(rest.map(receive).at(-1), message)
    })

    it("may be empty", () => {
      const receive = v07.receiver()
      assert.strictEqual(receive("1"), undefined)
      assert.strictEqual(receive("1"), undefined)
      assert.deepStrictEqual(receive(v07.encode(message)[0]!), message)
    })

    it("are capped in size and in number, also when the last never comes", () => {
      const bySize = v07.receiver({ maxMessageSize: 100 })
      let result: unknown
      for (let i = 0; i < 11; i++) result = bySize("1" + "x".repeat(10))
      assert.deepInclude(result, { _tag: "Malformed", code: 1009 })
      const byNumber = v07.receiver({ maxSegments: 10 })
      for (let i = 0; i < 11; i++) result = byNumber("1")
      assert.deepInclude(result, { _tag: "Malformed", code: 1009 })
    })
  })

  it("says which messages come from which end", () => {
    const tags = ["State", "Message", "Request", "Response", "Notify", "Ping", "Pong"] as const
    const allowed = (generation: JugglerGeneration.Generation, from: "server" | "client") =>
      tags.filter((tag) => generation.allows(tag, from))
    assert.deepStrictEqual(allowed(v05, "client"), ["State", "Message", "Request", "Response", "Ping", "Pong"])
    assert.deepStrictEqual(allowed(v05, "server"), allowed(v05, "client"))
    assert.deepStrictEqual(allowed(v06, "client"), ["Request"])
    assert.deepStrictEqual(allowed(v06, "server"), ["State", "Response", "Notify"])
    assert.deepStrictEqual(allowed(v07, "client"), ["Request", "Ping", "Pong"])
    assert.deepStrictEqual(allowed(v07, "server"), ["State", "Response", "Notify", "Ping", "Pong"])
  })

  it.prop("reads back what it writes, and survives frames that were damaged", { seed: Schema.Int }, ({ seed }) => {
    const random = generator(seed)
    const messages: ReadonlyArray<Message> = [
      { _tag: "State", patch: random.patch(random.json(3), 3) },
      { _tag: "Request", id: random.int(1000), name: String(random.json(0)), data: [random.json(3)] },
      { _tag: "Response", id: random.int(1000), success: random.int(2) === 0, data: random.json(3) },
      { _tag: "Notify", name: String(random.json(0)), data: random.json(3) },
      { _tag: "Message", payload: [random.json(3)] }
    ]
    for (const generation of [v05, v06, v07]) {
      for (const message of messages) {
        if (!generation.allows(message._tag, "server") && !generation.allows(message._tag, "client")) continue
        const frames = generation.encode(message, 1 + random.int(50))
        const receive = generation.receiver()
        assert.deepStrictEqual(frames.map(receive).at(-1), message)
        const text = frames.join("")
        const at = random.int(text.length)
        const damaged = text.slice(0, at) + String.fromCharCode(random.int(128)) + text.slice(at + random.int(3))
        const result = generation.receiver()(damaged)
        assert.isTrue(result === undefined || typeof result._tag === "string")
      }
    }
  }, { arbitrary: { runs: 300 } })

  it("says which generation the peer seems to speak, where it is another", () => {
    for (const mine of Object.values(JugglerGeneration.all)) {
      for (const theirs of Object.values(JugglerGeneration.all)) {
        for (
          const message of [{ _tag: "State", patch: [] }, { _tag: "Response", id: 1, success: true, data: 1 }] as const
        ) {
          const read = mine.receiver()(theirs.encode(message)[0]!)
          const other = read?._tag === "Malformed" ? /generation (0\.\d)/.exec(read.detail)?.[1] : undefined
          assert.strictEqual(other, mine === theirs ? undefined : theirs.name)
        }
      }
    }
    const ping = JugglerGeneration.v06.receiver()(JugglerGeneration.v07.encode({ _tag: "Ping", payload: "" })[0]!)
    assert.include((ping as { detail: string }).detail, "generation 0.7")
  })
})
