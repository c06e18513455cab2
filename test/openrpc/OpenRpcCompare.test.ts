import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Schema as S } from "effect"
import { JsonRpcError } from "effect-wire/jsonrpc"
import { OpenRpc, OpenRpcCompare } from "effect-wire/openrpc"
import { Topic } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"

const info = { title: "Contract", version: "1" }
const documentOf = (group: RpcGroup.RpcGroup<any>, topics?: Topic.Group<any>): OpenRpcCompare.Document =>
  OpenRpc.fromGroup(group, topics === undefined ? { info } : { info, topics }) as unknown as OpenRpcCompare.Document

const Empty = RpcGroup.make() as unknown as RpcGroup.RpcGroup<any>

/** A schema and what becomes of it; whether the later one allows more, and whether it allows less. */
interface Case {
  readonly before: S.Codec<any, any>
  readonly after: S.Codec<any, any>
  readonly widens?: true
  readonly narrows?: true
}

const Circle = S.TaggedStruct("Circle", { r: S.Finite })
const Square = S.TaggedStruct("Square", { a: S.Finite })
interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: S.Codec<Tree> = S.Struct({ name: S.String, children: S.Array(S.suspend(() => Tree)) }).annotate({
  identifier: "Tree"
})
interface Twig {
  readonly name: string
  readonly size: number
  readonly children: ReadonlyArray<Twig>
}
const Twig: S.Codec<Twig> = S.Struct({ name: S.String, size: S.Finite, children: S.Array(S.suspend(() => Twig)) })
  .annotate({ identifier: "Tree" })
const Percent = S.Finite.check(S.isBetween({ minimum: 0, maximum: 100 }))

const cases: Record<string, Case> = {
  "nothing": { before: S.Struct({ a: S.String }), after: S.Struct({ a: S.String }) },
  "a recursive schema, unchanged": { before: Tree, after: Tree },
  "description only": { before: S.String, after: S.String.annotate({ description: "a name" }) },
  "order of properties": { before: S.Struct({ a: S.Int, b: S.Int }), after: S.Struct({ b: S.Int, a: S.Int }) },
  "order of alternatives": { before: S.Union([Circle, Square]), after: S.Union([Square, Circle]) },
  "order of literals": { before: S.Literals(["a", "b"]), after: S.Literals(["b", "a"]) },
  "union of literals instead of literals": {
    before: S.Literals(["a", "b"]),
    after: S.Union([S.Literal("a"), S.Literal("b")])
  },
  "an optional property is new": {
    before: S.Struct({ a: S.Int }),
    after: S.Struct({ a: S.Int, b: S.optionalKey(S.Int) })
  },
  "a required property is new": {
    before: S.Struct({ a: S.Int }),
    after: S.Struct({ a: S.Int, b: S.Int }),
    narrows: true
  },
  "a property becomes optional": {
    before: S.Struct({ a: S.Int }),
    after: S.Struct({ a: S.optionalKey(S.Int) }),
    widens: true
  },
  "a property is renamed": {
    before: S.Struct({ a: S.Int }),
    after: S.Struct({ b: S.Int }),
    widens: true,
    narrows: true
  },
  "a nested property is new and required": {
    before: S.Struct({ in: S.Struct({ a: S.Int }) }),
    after: S.Struct({ in: S.Struct({ a: S.Int, b: S.String }) }),
    narrows: true
  },
  "a property of another type": {
    before: S.Struct({ a: S.Int }),
    after: S.Struct({ a: S.String }),
    widens: true,
    narrows: true
  },
  "a literal is new": { before: S.Literals(["a", "b"]), after: S.Literals(["a", "b", "c"]), widens: true },
  "a literal becomes another": { before: S.Literal("a"), after: S.Literal("b"), widens: true, narrows: true },
  "literals become any text": { before: S.Literals(["a", "b"]), after: S.String, widens: true },
  "numbers as literals": { before: S.Literals([1, 2]), after: S.Literals([1, 2, 3]), widens: true },
  "text becomes number": { before: S.String, after: S.Finite, widens: true, narrows: true },
  "text becomes list": { before: S.String, after: S.Array(S.String), widens: true, narrows: true },
  "list becomes object": {
    before: S.Array(S.String),
    after: S.Record(S.String, S.String),
    widens: true,
    narrows: true
  },
  "boolean becomes text": { before: S.Boolean, after: S.String, widens: true, narrows: true },
  "integer becomes number": { before: S.Int, after: S.Finite, widens: true },
  "number or nothing": { before: S.Finite, after: S.NullOr(S.Finite), widens: true },
  "text or number": { before: S.String, after: S.Union([S.String, S.Finite]), widens: true },
  "number in place of text, beside null": {
    before: S.NullOr(S.String),
    after: S.NullOr(S.Finite),
    widens: true,
    narrows: true
  },
  "anything": { before: S.String, after: S.Json, widens: true },
  "anything for a struct": { before: S.Struct({ a: S.Int }), after: S.Json, widens: true },
  "a further tagged form": { before: S.Union([Circle]), after: S.Union([Circle, Square]), widens: true },
  "a tagged form becomes another": {
    before: S.Union([Circle, S.TaggedStruct("Dot", {})]),
    after: S.Union([Square, S.TaggedStruct("Dot", {})]),
    widens: true,
    narrows: true
  },
  "a tagged form has one property more": {
    before: S.Union([Circle, Square]),
    after: S.Union([S.TaggedStruct("Circle", { r: S.Finite, color: S.String }), Square]),
    narrows: true
  },
  "a tagged form has an optional property more": {
    before: S.Union([Circle, Square]),
    after: S.Union([S.TaggedStruct("Circle", { r: S.Finite, color: S.optionalKey(S.String) }), Square])
  },
  "a tagged form becomes the only one": { before: S.Union([Circle, Square]), after: Circle, narrows: true },
  "a longer text": {
    before: S.String.check(S.isMaxLength(10)),
    after: S.String.check(S.isMaxLength(20)),
    widens: true
  },
  "a text without a limit": { before: S.String.check(S.isMaxLength(10)), after: S.String, widens: true },
  "a shorter text is allowed": {
    before: S.String.check(S.isMinLength(3)),
    after: S.String.check(S.isMinLength(1)),
    widens: true
  },
  "a pattern": { before: S.String, after: S.String.check(S.isPattern(/^[a-z]+$/u)), narrows: true },
  "another pattern": {
    before: S.String.check(S.isPattern(/^[a-z]+$/u)),
    after: S.String.check(S.isPattern(/^[0-9]+$/u)),
    widens: true,
    narrows: true
  },
  "a larger maximum": {
    before: Percent,
    after: S.Finite.check(S.isBetween({ minimum: 0, maximum: 200 })),
    widens: true
  },
  "a smaller minimum": {
    before: Percent,
    after: S.Finite.check(S.isBetween({ minimum: -100, maximum: 100 })),
    widens: true
  },
  "a range that moves": {
    before: Percent,
    after: S.Finite.check(S.isBetween({ minimum: 50, maximum: 150 })),
    widens: true,
    narrows: true
  },
  "no range": { before: Percent, after: S.Finite, widens: true },
  "an excluded end is included": {
    before: S.Finite.check(S.isGreaterThan(0)),
    after: S.Finite.check(S.isGreaterThanOrEqualTo(0)),
    widens: true
  },
  "longer lists": {
    before: S.Array(S.Int).check(S.isMaxLength(2)),
    after: S.Array(S.Int).check(S.isMaxLength(4)),
    widens: true
  },
  "lists that may be empty": { before: S.NonEmptyArray(S.Int), after: S.Array(S.Int), widens: true },
  "items may be more": { before: S.Array(S.Int), after: S.Array(S.Finite), widens: true },
  "items have one property more": {
    before: S.Array(S.Struct({ a: S.Int })),
    after: S.Array(S.Struct({ a: S.Int, b: S.Int })),
    narrows: true
  },
  "a tuple with one more": {
    before: S.Tuple([S.String]),
    after: S.Tuple([S.String, S.Int]),
    widens: true,
    narrows: true
  },
  "a tuple with an optional one more": {
    before: S.Tuple([S.String]),
    after: S.Tuple([S.String, S.optionalKey(S.Int)]),
    widens: true
  },
  "a place of a tuple": {
    before: S.Tuple([S.String, S.Int]),
    after: S.Tuple([S.String, S.Finite]),
    widens: true
  },
  "values of a record": { before: S.Record(S.String, S.Int), after: S.Record(S.String, S.Finite), widens: true },
  "a record of other values": {
    before: S.Record(S.String, S.Int),
    after: S.Record(S.String, S.String),
    widens: true,
    narrows: true
  },
  "a recursive schema has one property more": { before: Tree, after: Twig, narrows: true }
}

const reversed = ({ after, before, narrows, widens }: Case): Case => ({
  before: after,
  after: before,
  ...(narrows === undefined ? {} : { widens: narrows }),
  ...(widens === undefined ? {} : { narrows: widens })
})

const table: ReadonlyArray<readonly [string, Case]> = Object.entries(cases).flatMap(([name, entry]) => [
  [name, entry] as const,
  [`back: ${name}`, reversed(entry)] as const
])

/** Where a value may stand, and which way it travels from there. */
const places: Record<string, {
  readonly document: (schema: S.Codec<any, any>) => OpenRpcCompare.Document
  readonly toServer: boolean
}> = {
  parameter: {
    document: (value) => documentOf(RpcGroup.make(Rpc.make("m", { payload: { value, z: S.Int } }))),
    toServer: true
  },
  result: { document: (success) => documentOf(RpcGroup.make(Rpc.make("m", { success }))), toServer: false },
  element: {
    document: (success) => documentOf(RpcGroup.make(Rpc.make("m", { success, stream: true }))),
    toServer: false
  },
  error: {
    document: (value) => {
      class Failed extends S.TaggedError<Failed>()("Failed", { value }, JsonRpcError.wire({ code: -32010 })) {}
      return documentOf(RpcGroup.make(Rpc.make("m", { error: Failed })))
    },
    toServer: false
  },
  topic: {
    document: (payload) => documentOf(Empty, Topic.group(Topic.make("t", { payload }))),
    toServer: false
  },
  wish: {
    document: (value) =>
      documentOf(
        Empty,
        Topic.group(Topic.make("t", { payload: S.Int, parameters: S.Struct({ value }), matches: () => true }))
      ),
    toServer: true
  }
}

for (const [place, { document, toServer }] of Object.entries(places)) {
  for (const [name, { after, before, narrows, widens }] of table) {
    it(`${place}: ${name}`, () => {
      const { changes, oldClients, oldServers } = OpenRpc.compare(document(before), document(after))
      const found = OpenRpcCompare.format(changes)
      assert.deepStrictEqual(
        { oldClients, oldServers },
        toServer
          ? { oldClients: narrows !== true, oldServers: widens !== true }
          : { oldClients: widens !== true, oldServers: narrows !== true },
        found
      )
      for (const change of changes) assert.isTrue(change.oldClients === oldClients || change.oldClients, found)
    })
  }
}

/** Whether all of many values that one schema encodes are decoded by the other. */
const decodes = (writer: S.Codec<any, any>, reader: S.Codec<any, any>) =>
  Effect.gen(function*() {
    const encode = S.encodeUnknownExit(S.toCodecJson(writer))
    const decode = S.decodeUnknownExit(S.toCodecJson(reader))
    const samples = yield* Arbitrary.sampleEffect(Arbitrary.schema(writer), { count: 200, size: 60, seed: 7 })
    return samples.every((value: unknown) => {
      const encoded = encode(value)
      return Exit.isFailure(encoded) || Exit.isSuccess(decode(JSON.parse(JSON.stringify(encoded.value))))
    })
  })

it.effect("the table says what values do: those of the one are decoded by the other exactly where it says so", () =>
  Effect.gen(function*() {
    for (const [name, { after, before, narrows, widens }] of table) {
      assert.strictEqual(yield* decodes(before, after), narrows !== true, `${name}: the later decodes the earlier`)
      assert.strictEqual(yield* decodes(after, before), widens !== true, `${name}: the earlier decodes the later`)
    }
  }))

class Full extends S.TaggedError<Full>()("Full", {}, JsonRpcError.wire({ code: -32010 })) {}
class FullToo extends S.TaggedError<FullToo>()("Full", {}, JsonRpcError.wire({ code: -32011 })) {}
const ping = Rpc.make("ping", { success: S.String })
const two = Rpc.make("two", { payload: { a: S.Int, b: S.Int } })
const optional = { x: S.optionalKey(S.Int), y: S.optionalKey(S.Int) }
const plain = Topic.make("t", { payload: S.Int })
const state = Topic.state("t", { payload: S.Int })
const methods = (...rpcs: ReadonlyArray<Rpc.Any>) => documentOf(RpcGroup.make(...rpcs as Array<any>))
const topics = (...list: ReadonlyArray<any>) => documentOf(Empty, Topic.group(...list))

/** What becomes of methods and topics: the rules that apply, and who goes on working. */
const structural: ReadonlyArray<
  readonly [
    string,
    OpenRpcCompare.Document,
    OpenRpcCompare.Document,
    ReadonlyArray<OpenRpcCompare.Rule>,
    boolean,
    boolean
  ]
> = [
  ["a method is new", methods(ping), methods(ping, two), ["method-added"], true, false],
  ["a method is gone", methods(ping, two), methods(ping), ["method-removed"], false, true],
  [
    "a method is deprecated",
    methods(ping),
    methods(ping.pipe(OpenRpc.describe({ deprecated: true }))),
    ["method-deprecated"],
    true,
    true
  ],
  ["a summary", methods(ping), methods(ping.pipe(OpenRpc.describe({ summary: "answers pong" }))), [], true, true],
  [
    "parameters change places",
    methods(two),
    methods(Rpc.make("two", { payload: { b: S.Int, a: S.Int } })),
    ["param-moved"],
    false,
    false
  ],
  [
    "a required parameter is new",
    methods(two),
    methods(Rpc.make("two", { payload: { a: S.Int, b: S.Int, c: S.Int } })),
    ["param-added"],
    false,
    true
  ],
  [
    "an optional parameter is new",
    methods(two),
    methods(Rpc.make("two", { payload: { a: S.Int, b: S.Int, c: S.optionalKey(S.Int) } })),
    ["param-added"],
    true,
    true
  ],
  [
    "an optional parameter is gone",
    methods(Rpc.make("o", { payload: optional })),
    methods(Rpc.make("o", { payload: { x: optional.x } })),
    ["param-removed"],
    true,
    true
  ],
  [
    "a required parameter is gone",
    methods(two),
    methods(Rpc.make("two", { payload: { a: S.Int } })),
    ["param-removed"],
    true,
    false
  ],
  [
    "a parameter may be left out",
    methods(two),
    methods(Rpc.make("two", { payload: { a: S.Int, b: S.optionalKey(S.Int) } })),
    ["param-optional"],
    true,
    false
  ],
  [
    "a parameter must be given",
    methods(Rpc.make("o", { payload: { x: optional.x } })),
    methods(Rpc.make("o", { payload: { x: S.Int } })),
    ["param-required"],
    false,
    true
  ],
  [
    "a parameter by position is new",
    methods(Rpc.make("p", { payload: S.Tuple([S.Int]) })),
    methods(Rpc.make("p", { payload: S.Tuple([S.Int, S.optionalKey(S.Int)]) })),
    ["param-added"],
    true,
    false
  ],
  [
    "any number of parameters",
    methods(Rpc.make("p", { payload: S.Array(S.Int) })),
    methods(Rpc.make("p", { payload: S.Array(S.Finite) })),
    ["type-changed"],
    true,
    false
  ],
  [
    "a result becomes a stream",
    methods(Rpc.make("s", { success: S.Int })),
    methods(Rpc.make("s", { success: S.Int, stream: true })),
    ["result-stream"],
    false,
    false
  ],
  [
    "an error is new",
    methods(ping),
    methods(Rpc.make("ping", { success: S.String, error: Full })),
    ["error-added"],
    true,
    true
  ],
  [
    "an error is gone",
    methods(Rpc.make("ping", { success: S.String, error: Full })),
    methods(ping),
    ["error-removed"],
    true,
    true
  ],
  [
    "an error has another code",
    methods(Rpc.make("ping", { success: S.String, error: Full })),
    methods(Rpc.make("ping", { success: S.String, error: FullToo })),
    ["error-code"],
    false,
    false
  ],
  ["a topic is new", topics(), topics(plain), ["topic-added"], true, false],
  ["a topic is gone", topics(plain), topics(), ["topic-removed"], false, true],
  ["a topic keeps its value", topics(plain), topics(state), ["topic-state"], true, false],
  ["a topic no longer keeps its value", topics(state), topics(plain), ["topic-state"], false, true],
  [
    "a topic takes wishes",
    topics(plain),
    topics(
      Topic.make("t", {
        payload: S.Int,
        parameters: S.Struct({ over: S.Int }),
        matches: (value, { over }) => value > over
      })
    ),
    ["topic-parameters"],
    true,
    true
  ]
]
for (const [name, before, after, rules, oldClients, oldServers] of structural) {
  it(name, () => {
    const comparison = OpenRpc.compare(before, after)
    assert.deepStrictEqual(comparison.changes.map(({ rule }) => rule), rules, OpenRpcCompare.format(comparison.changes))
    assert.deepStrictEqual([comparison.oldClients, comparison.oldServers], [oldClients, oldServers])
  })
}

it("a change says in words where it is, what it is, whom it breaks, and why", () => {
  const before = documentOf(
    RpcGroup.make(Rpc.make("render", { success: S.Struct({ format: S.Literals(["png", "jpg"]) }) }))
  )
  const after = documentOf(
    RpcGroup.make(Rpc.make("render", { success: S.Struct({ format: S.Literals(["png", "webp"]) }) }))
  )
  assert.strictEqual(
    OpenRpcCompare.format(OpenRpc.compare(before, after).changes),
    [
      "breaks old clients methods.render.result.format: also \"webp\"",
      "                   a further value is allowed (value-added): a new server may give what old clients cannot decode",
      "breaks old servers methods.render.result.format: no longer \"jpg\"",
      "                   a value is no longer allowed (value-removed): an old server may give what new clients cannot decode"
    ].join("\n")
  )
})

it("documents of others are compared too: references, by-position parameters, errors without schemas, unknown members", () => {
  const document = (type: string, code: number): OpenRpcCompare.Document => ({
    methods: [{
      name: "m",
      params: [{ $ref: "#/components/contentDescriptors/P" }],
      result: { name: "r", schema: { $ref: "#/components/schemas/R" } },
      errors: [{ code, message: "no" }],
      servers: []
    }],
    components: {
      contentDescriptors: { P: { name: "p", required: true, schema: { type: "string" } } },
      schemas: {
        R: { type: ["null", "object"], properties: { a: { type }, self: { $ref: "#/components/schemas/R" } } }
      }
    }
  })
  assert.deepStrictEqual(OpenRpc.compare(document("string", 1), document("string", 1)).changes, [])
  assert.deepStrictEqual(
    OpenRpc.compare(document("string", 1), document("number", 2)).changes.map(({ path, rule }) => [rule, path]),
    [["type-changed", "methods.m.result.a"], ["error-removed", "methods.m.errors.1"], [
      "error-added",
      "methods.m.errors.2"
    ]]
  )
  for (const odd of [{ methods: [] }, { methods: [null, 1, { name: "x" }] }]) {
    assert.deepStrictEqual(OpenRpc.compare(odd, odd).changes, [])
  }
})
