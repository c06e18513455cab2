/** PROTOCOLS.md, "JSON-RPC 2.0", line by line: in the codec, and through a live server. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { JsonRpcCodec, JsonRpcError, JsonRpcMessage, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { connect } from "./raw.ts"

class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }, JsonRpcError.wire({ code: 7 })) {}

class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("subtract", { payload: { minuend: Schema.Finite, subtrahend: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("update", { payload: Schema.Array(Schema.Finite) }),
  Rpc.make("sum", { payload: Schema.Array(Schema.Finite), success: Schema.Finite }),
  Rpc.make("notify_hello", { payload: Schema.Array(Schema.Finite) }),
  Rpc.make("notify_sum", { payload: Schema.Array(Schema.Finite) }),
  Rpc.make("get_data", { success: Schema.Array(Schema.Union([Schema.String, Schema.Finite])) }),
  Rpc.make("echo", { payload: Schema.Record(Schema.String, Schema.Json), success: Schema.Json }),
  Rpc.make("any", { payload: Schema.Json, success: Schema.Json }),
  Rpc.make("one", { payload: { value: Schema.Json }, success: Schema.Json }),
  Rpc.make("bare", { payload: Schema.Tuple([Schema.String]), success: Schema.String })
    .annotate(JsonRpcServer.ScalarParams, true),
  Rpc.make("slow", { success: Schema.String }),
  Rpc.make("fail", { error: Failed }),
  Rpc.make("die"),
  Rpc.make("toString", { success: Schema.String }),
  Rpc.make("__proto__", { success: Schema.String }),
  Rpc.make("pair", {
    payload: { point: Schema.Struct({ x: Schema.Finite, y: Schema.Finite }) },
    success: Schema.Finite
  })
) {}

const Handlers = Group.toLayer({
  fence: () => Effect.void,
  subtract: ({ minuend, subtrahend }) => Effect.succeed(minuend - subtrahend),
  update: () => Effect.void,
  sum: (numbers) => Effect.succeed(numbers.reduce((a, b) => a + b, 0)),
  notify_hello: () => Effect.void,
  notify_sum: () => Effect.void,
  get_data: () => Effect.succeed(["hello", 5]),
  echo: (payload) => Effect.succeed(payload),
  any: (payload) => Effect.succeed(payload),
  one: ({ value }) => Effect.succeed(value),
  bare: ([value]) => Effect.succeed(value),
  slow: () => Effect.delay(Effect.succeed("slept"), "1 second"),
  fail: () => Effect.fail(new Failed({ why: "because" })),
  die: () => Effect.die(new Error("secret")),
  toString: () => Effect.succeed("string"),
  ["__proto__"]: () => Effect.succeed("proto"),
  pair: ({ point }) => Effect.succeed(point.x + point.y)
})

const raw = (options?: JsonRpcServer.Options) => connect(Group, Handlers, options)

const error = (code: number, message: string, id: unknown = null) => ({ jsonrpc: "2.0", error: { code, message }, id })
const result = (result: unknown, id: unknown) => ({ jsonrpc: "2.0", result, id })
const parseError = error(-32700, "Parse error")
const invalidRequest = error(-32600, "Invalid Request")

/** Without `data`, which the specification leaves to servers. */
const bare = (answer: any): any => {
  if (Array.isArray(answer)) return answer.map(bare)
  if (answer.error === undefined) return answer
  const { data: _, ...error } = answer.error
  return { ...answer, error }
}

// The specification's section 7. The answer is undefined where nothing comes back.
const examples: ReadonlyArray<readonly [name: string, sent: string, answer: unknown]> = [
  [
    "positional parameters",
    `{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`,
    result(19, 1)
  ],
  [
    "positional parameters, swapped",
    `{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`,
    result(-19, 2)
  ],
  [
    "named parameters",
    `{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`,
    result(19, 3)
  ],
  [
    "named parameters, swapped",
    `{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`,
    result(19, 4)
  ],
  ["a notification", `{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`, undefined],
  ["a notification of an unknown method", `{"jsonrpc": "2.0", "method": "foobar"}`, undefined],
  [
    "a non-existent method",
    `{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`,
    error(-32601, "Method not found", "1")
  ],
  ["invalid JSON", `{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, parseError],
  ["an invalid request object", `{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, invalidRequest],
  [
    "a batch of invalid JSON",
    `[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method"]`,
    parseError
  ],
  ["an empty array", `[]`, invalidRequest],
  ["an invalid batch that is not empty", `[1]`, [invalidRequest]],
  ["an invalid batch", `[1,2,3]`, [invalidRequest, invalidRequest, invalidRequest]],
  [
    "a batch",
    `[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]`,
    [
      result(7, "1"),
      result(19, "2"),
      invalidRequest,
      error(-32601, "Method not found", "5"),
      result(["hello", 5], "9")
    ]
  ],
  [
    "a batch of notifications",
    `[{"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}]`,
    undefined
  ]
]

describe("the examples of the specification, section 7", () => {
  for (const [name, sent, answer] of examples) {
    it(`${name}: the codec takes it apart`, () => {
      const decoded = JsonRpcCodec.decode(sent)
      const all = (Array.isArray(decoded) ? decoded : [decoded]) as ReadonlyArray<JsonRpcCodec.Message>
      const wire = Schema.is(JsonRpcMessage.Request)
      let parsed: unknown
      try {
        parsed = JSON.parse(sent)
      } catch {
        return assert.deepStrictEqual(bareInvalid(all[0]!), parseError.error)
      }
      const entries = Array.isArray(decoded) ? parsed as ReadonlyArray<unknown> : [parsed]
      for (let i = 0; i < entries.length; i++) {
        const message = all[i]!
        if (message._tag === "Call") {
          assert.strictEqual(wire(entries[i]), message.id !== undefined)
          assert.isTrue(Schema.is(JsonRpcMessage.Notification)(entries[i]))
        } else {
          assert.isFalse(Schema.is(JsonRpcMessage.Message)(entries[i]))
          assert.deepStrictEqual(bareInvalid(message), invalidRequest.error)
        }
      }
    })
    it.effect(`${name}: a server answers it`, () =>
      Effect.gen(function*() {
        const { exchange } = yield* raw()
        assert.deepStrictEqual((yield* exchange(sent)).map(bare), answer === undefined ? [] : [answer])
      }))
  }
})

const bareInvalid = (message: JsonRpcCodec.Message) => {
  if (message._tag !== "Invalid" || message.answer === undefined) return undefined
  return { code: message.answer.code, message: message.answer.message }
}

const request = (members: string) => `{"jsonrpc":"2.0",${members}}`

// What a server answers, by frame; undefined for nothing. `code` for an error.
type Case = readonly [name: string, frame: string | Uint8Array, answer: unknown]

const errorOf = (code: number, id: unknown = null) => ({ code, id })

const check = (answers: ReadonlyArray<any>, expected: unknown) => {
  const shape = (answer: any): any =>
    Array.isArray(answer)
      ? answer.map(shape)
      : answer.error === undefined
      ? answer
      : errorOf(answer.error.code, answer.id)
  assert.deepStrictEqual(answers.map(shape), expected === undefined ? [] : [expected])
}

const table = (title: string, cases: ReadonlyArray<Case>, options?: JsonRpcServer.Options) =>
  describe(title, () => {
    for (const [name, frame, answer] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          const { exchange } = yield* raw(options)
          check(yield* exchange(frame), answer)
        }))
    }
  })

table("JSON-RPC 2.0: Request", [
  [
    "a string, a number, a fraction and null are ids",
    `[${["\"a\"", 1, 1.5, null].map((id) => request(`"method":"get_data","id":${id}`)).join()}]`,
    [result(["hello", 5], "a"), result(["hello", 5], 1), result(["hello", 5], 1.5), result(["hello", 5], null)]
  ],
  [
    "members may come in any order, unknown ones are ignored",
    `{"id":1,"x":{},"params":[1,2],"method":"sum","jsonrpc":"2.0"}`,
    result(3, 1)
  ],
  [
    "of a member that comes twice the last counts",
    request(`"method":"nope","id":1,"method":"sum","params":[1],"id":2`),
    result(1, 2)
  ],
  ["absent parameters are no payload", request(`"method":"get_data","id":1`), result(["hello", 5], 1)],
  ["null parameters are no payload", request(`"method":"get_data","params":null,"id":1`), result(["hello", 5], 1)],
  ["an empty array is no payload", request(`"method":"get_data","params":[],"id":1`), result(["hello", 5], 1)],
  ["an empty object is no payload", request(`"method":"get_data","params":{},"id":1`), result(["hello", 5], 1)],
  [
    "parameters for a method without payload do not fit",
    request(`"method":"get_data","params":[1],"id":1`),
    errorOf(-32602, 1)
  ],
  [
    "named parameters for a method without payload do not fit",
    request(`"method":"get_data","params":{"a":1},"id":1`),
    errorOf(-32602, 1)
  ],
  ["too many by position do not fit", request(`"method":"subtract","params":[1,2,3],"id":1`), errorOf(-32602, 1)],
  ["too few by position do not fit", request(`"method":"subtract","params":[1],"id":1`), errorOf(-32602, 1)],
  ["a wrong type does not fit", request(`"method":"subtract","params":["1",2],"id":1`), errorOf(-32602, 1)],
  ["an array by position stands for a list", request(`"method":"sum","params":[1,2,3],"id":1`), result(6, 1)],
  ["an object by position is the field", request(`"method":"pair","params":[{"x":1,"y":2}],"id":1`), result(3, 1)],
  [
    "an object by name is the payload",
    request(`"method":"pair","params":{"point":{"x":1,"y":2}},"id":1`),
    result(3, 1)
  ],
  ["a scalar is an invalid request", request(`"method":"any","params":"x","id":1`), errorOf(-32600, 1)],
  ["a number is an invalid request", request(`"method":"any","params":0,"id":1`), errorOf(-32600, 1)],
  ["false is an invalid request", request(`"method":"any","params":false,"id":1`), errorOf(-32600, 1)],
  ["a scalar is taken where the method says so", request(`"method":"bare","params":"x","id":1`), result("x", 1)],
  ["a method without result answers null", request(`"method":"fence","id":1`), result(null, 1)],
  ["a wrong version is an invalid request", `{"jsonrpc":"1.0","method":"get_data","id":1}`, errorOf(-32600, 1)],
  ["no version is an invalid request", `{"method":"get_data","id":1}`, errorOf(-32600, 1)],
  ["a number is no version", `{"jsonrpc":2.0,"method":"get_data","id":1}`, errorOf(-32600, 1)],
  ["a method that is no string is an invalid request", request(`"method":["get_data"],"id":1`), errorOf(-32600, 1)],
  ["the empty string is a method", request(`"method":"","id":1`), errorOf(-32601, 1)],
  ["neither method nor answer is an invalid request", request(`"id":1`), errorOf(-32600, 1)],
  ["rpc.discover is a method that there is not", request(`"method":"rpc.discover","id":1`), errorOf(-32601, 1)],
  ["a typed error has its code", request(`"method":"fail","id":1`), errorOf(7, 1)]
])

it.effect("JSON-RPC 2.0: Request: 1 and \"1\" are different ids, and an id in flight is refused without disturbing it", () =>
  Effect.gen(function*() {
    const { exchange, takeJson } = yield* raw()
    check(yield* exchange(request(`"method":"slow","id":1`)), undefined)
    check(yield* exchange(request(`"method":"get_data","id":"1"`)), result(["hello", 5], "1"))
    check(yield* exchange(request(`"method":"get_data","id":1`)), errorOf(-32600, 1))
    check(yield* exchange(`[${request(`"method":"slow","id":2`)},${request(`"method":"slow","id":2`)}]`), undefined)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* takeJson, result("slept", 1))
    const batch = yield* takeJson
    assert.deepStrictEqual(batch.map((answer: any) => answer.error?.code ?? answer.result), [-32600, "slept"])
    check(yield* exchange(request(`"method":"get_data","id":1`)), result(["hello", 5], 1))
  }))

const notifications = [
  `"method":"fence"`,
  `"method":"nope"`,
  `"method":"subtract","params":["x"]`,
  `"method":"subtract","params":"x"`,
  `"method":"fail"`,
  `"method":"die"`,
  `"method":"slow"`
]
table("JSON-RPC 2.0: Notification", [
  ...notifications.map((members): Case => [`${members} is not answered`, request(members), undefined]),
  ["nor in a batch", `[${notifications.map(request).join()}]`, undefined]
])

it.effect("JSON-RPC 2.0: Error: an unexpected failure tells a correlation id and nothing else", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw()
    const [answer] = yield* exchange(request(`"method":"die","id":1`))
    assert.deepStrictEqual(Object.keys(answer.error.data), ["correlationId"])
    assert.match(answer.error.data.correlationId, /^[0-9a-f]{8}$/)
    assert.deepStrictEqual({ ...answer.error, data: 0 }, { code: -32603, message: "Internal error", data: 0 })
    assert.notInclude(JSON.stringify(answer), "secret")
  }))

it.effect("JSON-RPC 2.0: Error: parameters that do not fit are named, with the reason", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw()
    const [answer] = yield* exchange(request(`"method":"pair","params":[{"x":1,"y":"2"}],"id":1`))
    assert.deepStrictEqual(answer.error.data.issues[0].path, ["point", "y"])
    assert.isString(answer.error.data.issues[0].message)
  }))

it.effect("JSON-RPC 2.0: Error: a typed error travels as code, message and data", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw()
    assert.deepStrictEqual(yield* exchange(request(`"method":"fail","id":1`)), [{
      jsonrpc: "2.0",
      error: { code: 7, message: "Failed", data: { _tag: "Failed", why: "because" } },
      id: 1
    }])
  }))

const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth)
const million = "[".repeat(1_000_000)
const utf8 = (text: string) => new TextEncoder().encode(text)

table("bad input", [
  ["no JSON", "hello", errorOf(-32700)],
  ["nothing", "", errorOf(-32700)],
  ["white space", " \t\n ", errorOf(-32700)],
  ["half a message", `{"jsonrpc":"2.0","met`, errorOf(-32700)],
  ["two messages", `${request(`"method":"fence","id":1`)}${request(`"method":"fence","id":2`)}`, errorOf(-32700)],
  ["a string", `"hello"`, errorOf(-32600)],
  ["a number", `1`, errorOf(-32600)],
  ["null", `null`, errorOf(-32600)],
  ["true", `true`, errorOf(-32600)],
  ["an object without members", `{}`, errorOf(-32600)],
  ["a byte order mark", `\ufeff${request(`"method":"sum","params":[1],"id":1`)}`, result(1, 1)],
  ["two byte order marks", `\ufeff\ufeff${request(`"method":"sum","params":[1],"id":1`)}`, errorOf(-32700)],
  ["1,000,000 brackets", million, errorOf(-32600)],
  ["1,000,000 brackets, closed", nested(1_000_000), errorOf(-32600)],
  ["100,000 brackets, closed", nested(100_000), [errorOf(-32600)]],
  [
    "1,000,000 brackets as parameters",
    request(`"method":"any","params":${nested(1_000_000)},"id":1`),
    errorOf(-32600, 1)
  ],
  ["1,000,000 brackets in a notification", request(`"method":"any","params":${nested(1_000_000)}`), undefined],
  [
    "1,000,000 brackets in an unknown member",
    request(`"method":"fence","x":${nested(1_000_000)},"id":1`),
    errorOf(-32600, 1)
  ],
  [
    "1,000,000 brackets in an entry of a batch",
    `[${request(`"method":"any","params":${nested(1_000_000)},"id":1`)},${
      request(`"method":"sum","params":[1],"id":2`)
    }]`,
    errorOf(-32600)
  ],
  [
    "100,000 brackets in an entry of a batch",
    `[${request(`"method":"any","params":${nested(100_000)},"id":1`)},${
      request(`"method":"sum","params":[1],"id":2`)
    }]`,
    [errorOf(-32600, 1), result(1, 2)]
  ],
  ["1,000,000 brackets as an id", request(`"method":"any","id":${nested(1_000_000)}`), errorOf(-32600)],
  ["1,000,000 brackets as a method", request(`"method":${nested(1_000_000)},"id":1`), errorOf(-32600, 1)],
  ["1,000,000 brackets as a result", request(`"result":${nested(1_000_000)},"id":1`), undefined],
  [
    "1,000,000 brackets as the data of an error",
    request(`"error":{"code":1,"message":"","data":${nested(1_000_000)}},"id":1`),
    undefined
  ],
  [
    "a nesting of 127 in parameters",
    request(`"method":"any","params":${nested(127)},"id":1`),
    result(JSON.parse(nested(127)), 1)
  ],
  [
    "a nesting of 128 in parameters, which makes 129",
    request(`"method":"any","params":${nested(128)},"id":1`),
    errorOf(-32600, 1)
  ],
  [
    "brackets in a string do not nest",
    request(`"method":"sum","x":"${"[{".repeat(1000)}\\\\","params":[1],"id":1`),
    result(1, 1)
  ],
  ["a number beyond all numbers as parameter", request(`"method":"sum","params":[1e400],"id":1`), errorOf(-32602, 1)],
  [
    "a number of 100,000 digits as parameter",
    request(`"method":"sum","params":[${"9".repeat(100_000)}],"id":1`),
    errorOf(-32602, 1)
  ],
  ["a lone surrogate in a method", request(`"method":"\ud800","id":1`), errorOf(-32601, 1)],
  ["an escaped lone surrogate in an id", request(`"method":"fence","id":"\\udfff"`), result(null, "\udfff")],
  ["a lone surrogate in parameters", request(`"method":"one","params":["\ud800x"],"id":1`), result("\ud800x", 1)],
  ["a NUL in a method", request(`"method":"\\u0000","id":1`), errorOf(-32601, 1)],
  ["binary JSON", utf8(request(`"method":"sum","params":[1],"id":1`)), result(1, 1)],
  ["binary JSON that is no message", utf8("[]"), errorOf(-32600)],
  ["binary that is no JSON", utf8("hello"), undefined],
  ["binary that is no UTF-8", new Uint8Array([0xff, 0xfe, 0x7b]), undefined],
  ["binary of no length", new Uint8Array(), undefined],
  ["the method __proto__ where there is one", request(`"method":"__proto__","id":1`), result("proto", 1)],
  ["the method toString where there is one", request(`"method":"toString","id":1`), result("string", 1)],
  ["the method constructor", request(`"method":"constructor","id":1`), errorOf(-32601, 1)],
  ["the method hasOwnProperty", request(`"method":"hasOwnProperty","id":1`), errorOf(-32601, 1)],
  [
    "the parameter __proto__ of a method without payload",
    request(`"method":"fence","params":{"__proto__":{}},"id":1`),
    errorOf(-32602, 1)
  ],
  ["__proto__ instead of the members", `{"__proto__":{"jsonrpc":"2.0","method":"fence","id":1}}`, errorOf(-32600)],
  ["__proto__ instead of an id", `{"jsonrpc":"2.0","method":"fence","__proto__":{"id":1}}`, undefined],
  [
    "__proto__ instead of the parameters' fields",
    request(`"method":"subtract","params":{"__proto__":{"minuend":1,"subtrahend":1}},"id":1`),
    errorOf(-32602, 1)
  ],
  ["an object as id", request(`"method":"fence","id":{}`), errorOf(-32600)],
  ["an array as id", request(`"method":"fence","id":[1]`), errorOf(-32600)],
  ["a boolean as id", request(`"method":"fence","id":true`), errorOf(-32600)],
  ["a result for nobody", request(`"result":1,"id":77`), undefined],
  ["an error for nobody", request(`"error":{"code":1,"message":"x"},"id":77`), undefined],
  ["an error without an id", request(`"error":{"code":1,"message":"x"}`), undefined],
  ["a result with an object as id", request(`"result":1,"id":{}`), undefined],
  ["a result and an error", request(`"result":1,"error":{"code":1,"message":"x"},"id":1`), undefined],
  ["100 entries", `[${Array.from({ length: 100 }, () => request(`"method":"fence"`)).join()}]`, undefined],
  [
    "101 entries",
    `[${Array.from({ length: 101 }, (_, id) => request(`"method":"fence","id":${id}`)).join()}]`,
    errorOf(-32600)
  ],
  ["a batch in a batch", `[[${request(`"method":"fence","id":1`)}]]`, [errorOf(-32600)]],
  ["answers in a batch", `[${request(`"result":1,"id":77`)},${request(`"method":"fence"`)}]`, undefined]
])

const digits = [
  "9007199254740993",
  "-9007199254740993",
  "12345678901234567890",
  "9223372036854775807",
  "1e400",
  "0.1000000000000000055511151231257827",
  "9".repeat(1000)
]

for (const id of digits) {
  it.effect(`the id ${id.slice(0, 40)} is echoed digit for digit`, () =>
    Effect.gen(function*() {
      const { send, take } = yield* raw()
      yield* send(request(`"method":"sum","params":[1,2],"id":${id}`))
      assert.strictEqual(yield* take, `{"jsonrpc":"2.0","result":3,"id":${id}}`)
      yield* send(`{"params":{"id":3},"x":[{"id":4}],"id" : ${id} ,"method":"nope","jsonrpc":"2.0"}`)
      assert.include(yield* take, `,"id":${id}}`)
      yield* send(`{"jsonrpc":"2.0","id":5,"\\u0069d":${id}}`)
      assert.include(yield* take, `,"id":${id}}`)
      yield* send(
        `[{"jsonrpc":"2.0","method":"fence"},{"x":[{"id":1},2],"jsonrpc":"2.0","method":"fence","id":${id}},{"id":"x"}]`
      )
      assert.include(yield* take, `"result":null,"id":${id}}`)
    }))
}

it.effect("ids beyond 2^53 that are the same number are different ids, cancelled by their digits, named in progress", () =>
  Effect.gen(function*() {
    const { exchange, pending, send, take, takeJson } = yield* raw({ wire: Wire.rockets })
    const ids = ["9007199254740993", "9007199254740992", "9007199254740994"]
    for (const id of ids) yield* send(request(`"method":"slow","id":${id}`))
    check(yield* exchange(request(`"method":"cancel","params":{"id":9007199254740995}`)), undefined)
    yield* send(request(`"method":"cancel","params":{"id":9007199254740993}`))
    assert.include(yield* take, `"id":9007199254740993}`)
    yield* send(`[${request(`"method":"cancel","params":{"id":9007199254740992}`)}]`)
    assert.include(yield* take, `"id":9007199254740992}`)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* takeJson, result("slept", 9007199254740994))
    assert.deepStrictEqual(yield* pending, [])
  }))

it.effect("__proto__ and constructor as keys of a payload are data, and nothing else changes", () =>
  Effect.gen(function*() {
    const { send, take } = yield* raw()
    const data = `{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1}`
    for (const method of ["echo", "any"]) {
      yield* send(request(`"method":"${method}","params":${data},"id":1`))
      assert.strictEqual(yield* take, `{"jsonrpc":"2.0","result":${data},"id":1}`)
    }
    assert.isUndefined(({} as any).polluted)
  }))

it.effect("an answer that comes after the cancel is dropped, and the connection goes on", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw({ wire: Wire.rockets })
    check(yield* exchange(request(`"method":"slow","id":1`)), undefined)
    check(yield* exchange(request(`"method":"cancel","params":{"id":1}`)), errorOf(-31002, 1))
    yield* TestClock.adjust("2 seconds")
    check(yield* exchange(request(`"method":"cancel","params":{"id":1}`)), undefined)
  }))

const cancels: ReadonlyArray<Case> = [
  ["of an unknown id", request(`"method":"cancel","params":{"id":7}`), undefined],
  ["without parameters", request(`"method":"cancel"`), undefined],
  ["without an id in the parameters", request(`"method":"cancel","params":{}`), undefined],
  ["by position", request(`"method":"cancel","params":[1]`), undefined],
  ["of an object", request(`"method":"cancel","params":{"id":{}}`), undefined],
  ["of null", request(`"method":"cancel","params":{"id":null}`), undefined],
  ["of __proto__", request(`"method":"cancel","params":{"__proto__":{"id":1}}`), undefined],
  ["with an id of its own", request(`"method":"cancel","params":{"id":1},"id":2`), errorOf(-32601, 2)]
]
describe("Rockets: Cancel", () => {
  for (const [name, frame, answer] of cancels) {
    it.effect(`${name} cancels nothing`, () =>
      Effect.gen(function*() {
        const { exchange, takeJson } = yield* raw({ wire: Wire.rockets })
        check(yield* exchange(request(`"method":"slow","id":1`)), undefined)
        check(yield* exchange(frame), answer)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* takeJson, result("slept", 1))
      }))
  }
})

table("aiohttp-json-rpc", [
  ["a string stands for an array of it", request(`"method":"one","params":"x","id":1`), result("x", 1)],
  ["a number stands for an array of it", request(`"method":"sum","params":3,"id":1`), result(3, 1)],
  ["false stands for an array of it", request(`"method":"one","params":false,"id":1`), result(false, 1)],
  ["an id of null makes a notification", request(`"method":"sum","params":[1],"id":null`), undefined],
  ["also of an unknown method", request(`"method":"nope","id":null`), undefined]
], { wire: Wire.aiohttp })

table("LSP: Progress", [
  ["an unknown $/ notification is ignored", request(`"method":"$/unknown"`), undefined],
  ["an unknown $/ request is no method", request(`"method":"$/unknown","id":1`), errorOf(-32601, 1)]
], { wire: Wire.lsp })

it.effect("limits are options", () =>
  Effect.gen(function*() {
    const { exchange } = yield* raw({ maxBatch: 1, maxDepth: 3 })
    check(yield* exchange(`[1,2]`), errorOf(-32600))
    check(yield* exchange(request(`"method":"any","params":[[]],"id":1`)), result([[]], 1))
    check(yield* exchange(request(`"method":"any","params":[[[]]],"id":1`)), errorOf(-32600, 1))
  }))

// Properties

const sameId = (text: string | undefined, id: unknown) => assert.deepStrictEqual(JSON.parse(text!), normal(id))
const normal = (value: unknown) => JSON.parse(JSON.stringify(value))

it.effect.prop(
  "a request that is encoded decodes to itself",
  { message: JsonRpcMessage.Request },
  ({ message }) =>
    Effect.sync(() => {
      const text = JsonRpcCodec.encodeRequest(JSON.stringify(message.id), message.method, message.params)
      assert.isTrue(Schema.is(JsonRpcMessage.Request)(JSON.parse(text)))
      const decoded = JsonRpcCodec.decode(text, { maxDepth: 10_000 }) as JsonRpcCodec.Call
      assert.strictEqual(decoded._tag, "Call")
      sameId(decoded.id, message.id)
      assert.strictEqual(decoded.method, message.method)
      assert.deepStrictEqual(decoded.params, message.params === undefined ? undefined : normal(message.params))
    })
)

it.effect.prop(
  "a notification that is encoded decodes to itself",
  { message: JsonRpcMessage.Notification },
  ({ message }) =>
    Effect.sync(() => {
      const decoded = JsonRpcCodec.decode(JsonRpcCodec.encodeNotification(message.method, message.params), {
        maxDepth: 10_000
      }) as JsonRpcCodec.Call
      assert.isUndefined(decoded.id)
      assert.strictEqual(decoded.method, message.method)
      assert.deepStrictEqual(decoded.params, message.params === undefined ? undefined : normal(message.params))
    })
)

it.effect.prop(
  "a result that is encoded decodes to itself",
  { message: JsonRpcMessage.Success },
  ({ message }) =>
    Effect.sync(() => {
      const text = JsonRpcCodec.encodeResult(JSON.stringify(message.id), message.result)
      assert.isTrue(Schema.is(JsonRpcMessage.Success)(JSON.parse(text)))
      const decoded = JsonRpcCodec.decode(text, { maxDepth: 10_000 }) as JsonRpcCodec.Result
      assert.strictEqual(decoded._tag, "Result")
      sameId(decoded.id, message.id)
      assert.deepStrictEqual(decoded.result, Object.is(message.result, -0) ? -0 : normal(message.result))
    })
)

it.effect.prop(
  "an error that is encoded decodes to itself",
  { message: JsonRpcMessage.Failure },
  ({ message }) =>
    Effect.sync(() => {
      const text = JsonRpcCodec.encodeError(JSON.stringify(message.id), message.error)
      assert.isTrue(Schema.is(JsonRpcMessage.Failure)(JSON.parse(text)))
      const decoded = JsonRpcCodec.decode(text, { maxDepth: 10_000 }) as JsonRpcCodec.Failure
      assert.strictEqual(decoded._tag, "Failure")
      sameId(decoded.id, message.id)
      assert.deepStrictEqual(decoded.error, normal(message.error))
    })
)

it.effect.prop(
  "a batch decodes to its messages, in order",
  { messages: Arbitrary.array(Arbitrary.schema(JsonRpcMessage.Request), { minLength: 1, maxLength: 10 }) },
  ({ messages }) =>
    Effect.sync(() => {
      const texts = messages.map((message) =>
        JsonRpcCodec.encodeRequest(JSON.stringify(message.id), message.method, message.params)
      )
      const decoded = JsonRpcCodec.decode(JsonRpcCodec.encodeBatch(texts), { maxDepth: 10_000 })
      assert.deepStrictEqual<unknown>(decoded, texts.map((text) => JsonRpcCodec.decode(text, { maxDepth: 10_000 })))
    })
)

it.effect.prop(
  "any text decodes to something, and what is to be answered is encoded",
  { text: Schema.String },
  ({ text }) =>
    Effect.sync(() => {
      for (const frame of [text, JSON.stringify(text), `[${text}]`, request(`"method":${JSON.stringify(text)}`)]) {
        const decoded = JsonRpcCodec.decode(frame)
        for (const message of (Array.isArray(decoded) ? decoded : [decoded]) as ReadonlyArray<JsonRpcCodec.Message>) {
          if (message._tag !== "Invalid" || message.answer === undefined) continue
          assert.isTrue(
            Schema.is(JsonRpcMessage.Failure)(JSON.parse(JsonRpcCodec.encodeError(message.id, message.answer)))
          )
        }
      }
    })
)

const empties = (count: number) => `[${Array.from({ length: count }, () => "{}").join(",")}]`

it("what would cost more memory than it may is refused unread: by its id, silently, or as a whole", () => {
  const maxWeight = 100_000
  const decoded = (text: string) => JsonRpcCodec.decode(text, { maxWeight }) as JsonRpcCodec.Message
  assert.strictEqual(decoded(request(`"method":"any","params":${empties(1_000)},"id":1`))._tag, "Call")
  const heavy = `"params":${empties(2_000)}`
  const refused = (id: string) => ({
    _tag: "Invalid",
    id,
    answer: { ...invalidRequest.error, data: "the message takes more than 100000 bytes of memory" }
  })
  assert.deepStrictEqual<unknown>(decoded(request(`"method":"any",${heavy},"id":1`)), refused("1"))
  assert.deepStrictEqual<unknown>(decoded(request(`"id" : "\\u0061b", ${heavy},"method":"any"`)), refused("null"))
  assert.deepStrictEqual<unknown>(decoded(request(`"id" : "a", ${heavy},"method":"any"`)), refused(`"a"`))
  assert.deepStrictEqual<unknown>(decoded(`[${request(`"method":"any",${heavy},"id":1`)}]`), refused("null"))
  assert.deepStrictEqual<unknown>(decoded(request(`"method":"any",${heavy}`)), {
    _tag: "Invalid",
    id: "null",
    answer: undefined
  })
  assert.deepStrictEqual<unknown>(decoded(request(`"result":${empties(2_000)},"id":7`)), {
    _tag: "Invalid",
    id: "7",
    answer: undefined
  })
})

it("a result of -0 keeps its sign", () => {
  assert.strictEqual(JsonRpcCodec.encodeResult("1", -0), `{"jsonrpc":"2.0","result":-0,"id":1}`)
  const decoded = JsonRpcCodec.decode(`{"jsonrpc":"2.0","result":-0,"id":1}`) as JsonRpcCodec.Result
  assert.isTrue(Object.is(decoded.result, -0))
})
