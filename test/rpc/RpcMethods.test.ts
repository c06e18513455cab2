/** Parameters and payloads: what a wire sends for a payload, and what it takes for one. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { JsonRpcTest } from "effect-wire/jsonrpc"
import { RpcMethods } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"

const method = (payload: Schema.Top | Schema.Struct.Fields | undefined) =>
  RpcMethods.fromRpc(Rpc.make("m", payload === undefined ? {} : { payload: payload as any }))

class Point extends Schema.Class<Point>("Point")({ x: Schema.Finite, y: Schema.Finite }) {}

const shapes: ReadonlyArray<
  readonly [name: string, payload: any, shape: RpcMethods.Shape, fields: ReadonlyArray<string>]
> = [
  ["no payload", undefined, "none", []],
  ["Void", Schema.Void, "none", []],
  ["fields", { b: Schema.Int, a: Schema.String }, "struct", ["b", "a"]],
  ["a struct", Schema.Struct({ a: Schema.Int }), "struct", ["a"]],
  ["a class", Point, "struct", ["x", "y"]],
  ["no fields", Schema.Struct({}), "struct", []],
  ["an array", Schema.Array(Schema.Int), "tuple", []],
  ["a tuple", Schema.Tuple([Schema.Int, Schema.String]), "tuple", []],
  ["a record", Schema.Record(Schema.String, Schema.Int), "record", []],
  ["a string", Schema.String, "scalar", []],
  ["a literal", Schema.Literal("x"), "scalar", []],
  ["a union of literals", Schema.Literals(["x", 1]), "scalar", []],
  ["a date", Schema.DateTimeUtcFromString, "scalar", []],
  ["a string or null", Schema.NullOr(Schema.String), "scalar", []],
  ["JSON", Schema.Json, "raw", []],
  ["unknown", Schema.Unknown, "raw", []],
  ["a string or a struct", Schema.Union([Schema.String, Schema.Struct({ a: Schema.Int })]), "raw", []]
]

describe("shapes", () => {
  for (const [name, payload, shape, fields] of shapes) {
    it(`${name} is ${shape}`, () => {
      const compiled = method(payload)
      assert.strictEqual(compiled.shape, shape)
      assert.deepStrictEqual(compiled.fields, fields)
    })
  }
})

const refused = (u: unknown) => u instanceof RpcMethods.PositionalError

describe("parameters that come", () => {
  const struct = method({ a: Schema.Int, b: Schema.optionalKey(Schema.Int) })
  const rows: ReadonlyArray<readonly [name: string, method: RpcMethods.Method, params: unknown, payload: unknown]> = [
    ["a struct by position", struct, [1, 2], { a: 1, b: 2 }],
    ["a struct with fewer", struct, [1], { a: 1 }],
    ["a struct without any", struct, undefined, {}],
    ["a struct by name", struct, { b: 2, a: 1 }, { b: 2, a: 1 }],
    ["a tuple", method(Schema.Tuple([Schema.Int])), [1], [1]],
    ["a tuple without any", method(Schema.Array(Schema.Int)), undefined, []],
    ["a scalar", method(Schema.String), ["x"], "x"],
    ["a record by name", method(Schema.Record(Schema.String, Schema.Int)), { a: 1 }, { a: 1 }],
    ["a record as the only one", method(Schema.Record(Schema.String, Schema.Int)), [{ a: 1 }], { a: 1 }],
    ["nothing", method(undefined), undefined, null],
    ["nothing, as an array", method(undefined), [], null],
    ["nothing, as an object", method(undefined), {}, null],
    ["anything", method(Schema.Json), [1, 2], [1, 2]]
  ]
  for (const [name, method, params, payload] of rows) {
    it(name, () => assert.deepStrictEqual(RpcMethods.toPayload(method, params), payload))
  }

  it("are refused when there are too many, or too few for a scalar", () => {
    assert.isTrue(refused(RpcMethods.toPayload(struct, [1, 2, 3])))
    assert.isTrue(refused(RpcMethods.toPayload(method(undefined), [1])))
    assert.isTrue(refused(RpcMethods.toPayload(method(undefined), { a: 1 })))
    assert.isTrue(refused(RpcMethods.toPayload(method(Schema.String), [])))
    assert.isTrue(refused(RpcMethods.toPayload(method(Schema.String), undefined)))
    assert.isTrue(refused(RpcMethods.toPayload(method(Schema.String), ["a", "b"])))
  })

  it("may be called __proto__ and change nothing", () => {
    const odd = method(Schema.Struct({ ["__proto__"]: Schema.Json }))
    const payload = RpcMethods.toPayload(odd, [{ polluted: true }]) as object
    assert.isUndefined((payload as any).polluted)
    assert.strictEqual(Object.getPrototypeOf(payload), Object.prototype)
  })
})

const rich = {
  a: Schema.Finite,
  b: Schema.optionalKey(Schema.String),
  c: Schema.NullOr(Schema.Boolean),
  d: Schema.optionalKey(Schema.Array(Schema.Struct({ x: Schema.Int }))),
  e: Schema.Json,
  f: Schema.optionalKey(Schema.NullOr(Schema.String)),
  g: Schema.Option(Schema.Int),
  h: Schema.BigInt,
  i: Schema.optionalKey(Schema.Literals(["x", "y"]))
}

class Echo extends RpcGroup.make(
  Rpc.make("rich", { payload: rich, success: Schema.Struct(rich) }),
  Rpc.make("list", { payload: Schema.Array(Schema.Json), success: Schema.Array(Schema.Json) }),
  Rpc.make("pair", {
    payload: Schema.Tuple([Schema.String, Schema.NullOr(Schema.Int)]),
    success: Schema.Tuple([Schema.String, Schema.NullOr(Schema.Int)])
  }),
  Rpc.make("record", {
    payload: Schema.Record(Schema.String, Schema.Json),
    success: Schema.Record(Schema.String, Schema.Json)
  }),
  Rpc.make("scalar", { payload: Schema.NullOr(Schema.String), success: Schema.NullOr(Schema.String) })
) {}
const Handlers = Echo.toLayer({
  rich: (payload) => Effect.succeed(payload),
  list: (payload) => Effect.succeed(payload),
  pair: (payload) => Effect.succeed(payload),
  record: (payload) => Effect.succeed(payload),
  scalar: (payload) => Effect.succeed(payload)
})

for (const positional of [false, true]) {
  it.effect.prop(
    `payloads and results of any shape arrive as they were (${positional ? "by position" : "by name"})`,
    {
      rich: Schema.Struct(rich),
      list: Schema.Array(Schema.Json),
      pair: Schema.Tuple([Schema.String, Schema.NullOr(Schema.Int)]),
      record: Schema.Record(Schema.String, Schema.Json),
      scalar: Schema.NullOr(Schema.String)
    },
    (values) =>
      Effect.gen(function*() {
        const client = yield* JsonRpcTest.makeClient(Echo, { positional, maxDepth: 10_000 })
        const same = (received: unknown, sent: unknown) => assert.strictEqual(inspect(received), inspect(sent))
        same(yield* client.rich(values.rich), values.rich)
        same(yield* client.list(values.list), values.list)
        same(yield* client.pair(values.pair), values.pair)
        same(yield* client.record(values.record), values.record)
        same(yield* client.scalar(values.scalar), values.scalar)
      }).pipe(Effect.scoped, Effect.provide(Handlers))
  )
}

// JSON has no -0, and keys of one object may come back in another order
const inspect = (value: unknown): string =>
  JSON.stringify(value, (_key, value: unknown) =>
    typeof value === "bigint"
      ? `${value}n`
      : typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
      : value)
