import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Access, Authenticator, Identity, Login } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcError, JsonRpcServer } from "effect-wire/jsonrpc"
import { OpenRpc, OpenRpcCodegen } from "effect-wire/openrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic } from "effect-wire/topics"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"

// required, not imported: its types are sources that do not pass our compiler options
const { parseOpenRPCDocument, validateOpenRPCDocument } = createRequire(import.meta.url)("@open-rpc/schema-utils-js")

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
}).annotate({ identifier: "Tree" })
const Point = Schema.Struct({
  x: Schema.Finite,
  y: Schema.Finite.annotate({ description: "upwards" })
}).annotate({ identifier: "Point", description: "A place in the plane" })

class DivisionByZero extends Schema.TaggedError<DivisionByZero>("effect-wire/test/openrpc/OpenRpc.test/DivisionByZero")(
  "DivisionByZero",
  { dividend: Schema.Finite },
  JsonRpcError.wire({ code: -32050, message: "division by zero" })
) {}
class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {}, JsonRpcError.wire({ code: -32051 })) {}

const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) }).pipe(
  OpenRpc.describe({ summary: "The weather now" })
)
const Trades = Topic.make("trades", {
  payload: Schema.Struct({ symbol: Schema.String }),
  parameters: Schema.Struct({ symbol: Schema.String }),
  matches: (trade, wanted) => trade.symbol === wanted.symbol
})
const Ops = Topic.make("ops", { payload: Schema.Int }).pipe(Access.permissionRequired("ops"))

class Contract extends RpcGroup.make(
  Rpc.make("ping", { success: Schema.String }),
  Rpc.make("nothing"),
  Rpc.make("divide", {
    payload: { dividend: Schema.Finite, divisor: Schema.Finite },
    success: Schema.Finite,
    error: DivisionByZero
  }).pipe(OpenRpc.describe({
    summary: "Divides",
    description: "By anything but zero.\nNot by zero.",
    tags: ["math"],
    examples: [{ name: "half", params: { dividend: 1, divisor: 2 }, result: 0.5 }]
  })),
  Rpc.make("find", {
    payload: {
      near: Point,
      limit: Schema.optionalKey(Schema.Int),
      kind: Schema.optionalKey(Schema.Literals(["a", "b"]))
    },
    success: Schema.Array(Point),
    error: Schema.Union([NotFound, DivisionByZero])
  }),
  Rpc.make("optional.first", { payload: { a: Schema.optionalKey(Schema.String), b: Schema.Int } }),
  Rpc.make("sum", { payload: Schema.Array(Schema.Finite), success: Schema.Finite }),
  Rpc.make("pair", { payload: Schema.Tuple([Schema.String, Schema.Int]), success: Schema.NullOr(Schema.String) }).pipe(
    OpenRpc.describe({ params: ["name", "age"] })
  ),
  Rpc.make("one", { payload: Schema.String, success: Schema.Json }),
  Rpc.make("free", { payload: Schema.Json, success: Schema.Json }),
  Rpc.make("table", { payload: Schema.Record(Schema.String, Schema.Finite) }),
  Rpc.make("grow", { payload: { tree: Tree }, success: Tree }).pipe(OpenRpc.describe({ deprecated: true })),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("secret", { success: Schema.String }).pipe(Access.loginRequired),
  Rpc.make("reset", { success: Schema.Boolean }).pipe(Access.permissionRequired("reset"))
).merge(Login.Rpcs, OpenRpc.Rpcs).annotate(Topic.Published, Topic.group(Weather, Trades, Ops)) {}

const options = { info: { title: "Test contract", version: "1.2.3", description: "For tests" } }

it.effect("a document is valid OpenRPC 1.3 and 1.4, recursive schemas included", () =>
  Effect.gen(function*() {
    for (const openrpc of ["1.3.2", "1.4.0"] as const) {
      const document = OpenRpc.fromGroup(Contract, {
        ...options,
        openrpc,
        servers: [{ url: "http://localhost:8080/rpc" }]
      })
      assert.isTrue(validateOpenRPCDocument(document as any), openrpc)
      const parsed: any = yield* Effect.promise(() =>
        parseOpenRPCDocument(JSON.stringify(document), { dereference: false, validate: true })
      )
      assert.strictEqual(parsed.methods.length, Contract.requests.size)
    }
    const broken = { ...OpenRpc.fromGroup(Contract, options), methods: [{ name: "x" }] }
    assert.notStrictEqual(validateOpenRPCDocument(broken as any), true)
  }))

const methodOf = (document: OpenRpc.Document, name: string) => document.methods.find((method) => method.name === name)!

it.effect("methods are described: parameters in both forms, results, errors with codes, examples", () =>
  Effect.sync(() => {
    const document = OpenRpc.fromGroup(Contract, options)
    assert.deepStrictEqual(methodOf(document, "divide"), {
      name: "divide",
      summary: "Divides",
      description: "By anything but zero.\nNot by zero.",
      tags: [{ name: "math" }],
      paramStructure: "either",
      params: [
        { name: "dividend", required: true, schema: { type: "number" } },
        { name: "divisor", required: true, schema: { type: "number" } }
      ],
      result: { name: "result", schema: { type: "number" } },
      errors: [{ code: -32050, message: "division by zero" }],
      "x-errors": [{
        code: -32050,
        message: "division by zero",
        name: "DivisionByZero",
        schema: { $ref: "#/components/schemas/effect-wire_test_openrpc_OpenRpc.test_DivisionByZero" }
      }],
      examples: [{
        name: "half",
        params: [{ name: "dividend", value: 1 }, { name: "divisor", value: 2 }],
        result: { name: "result", value: 0.5 }
      }]
    })
    assert.deepStrictEqual(methodOf(document, "ping").params, [])
    assert.deepStrictEqual(methodOf(document, "nothing").result.schema, { type: "null" })
    assert.deepStrictEqual(
      methodOf(document, "find").params.map(({ name, required }) => [name, required]),
      [["near", true], ["limit", false], ["kind", false]]
    )
    assert.deepStrictEqual(methodOf(document, "find").errors?.map(({ code }) => code), [-32051, -32050])
    // positions would not be those of the document
    assert.strictEqual(methodOf(document, "optional.first").paramStructure, "by-name")
    assert.deepStrictEqual(methodOf(document, "optional.first").params.map(({ name }) => name), ["b", "a"])
    assert.deepStrictEqual(methodOf(document, "sum")["x-rest-params"], { type: "number" })
    assert.deepStrictEqual(methodOf(document, "pair").params.map(({ name }) => name), ["name", "age"])
    assert.strictEqual(methodOf(document, "pair").paramStructure, "by-position")
    assert.strictEqual(methodOf(document, "count")["x-stream"], true)
    assert.strictEqual(methodOf(document, "grow").deprecated, true)
    const tree = document.components.schemas.Tree as any
    assert.deepStrictEqual(tree.properties.children.items, { $ref: "#/components/schemas/Tree" })
    assert.deepStrictEqual(document["x-topics"]?.map(({ name, state }) => [name, state]), [
      ["weather", true],
      ["trades", false],
      ["ops", false]
    ])
    assert.notInclude(JSON.stringify(document), "\"x-rules\"")
  }))

it.effect("an example that does not fit its schema is a mistake of the contract", () =>
  Effect.sync(() => {
    const group = RpcGroup.make(
      Rpc.make("a", { payload: { n: Schema.Int } }).pipe(
        OpenRpc.describe({ examples: [{ name: "wrong", params: { n: "x" } }] })
      )
    )
    assert.throws(() => OpenRpc.fromGroup(group, options), /example/)
  }))

const authenticator = Authenticator.layer(Authenticator.make({
  token: ({ token }) =>
    Effect.succeed(Redacted.value(token) === "t" ? Identity.make("bob", { permissions: ["ops"] }) : undefined)
}))
const Handlers = Contract.toLayer({
  grow: () => Effect.never
} as any) as Layer.Layer<any>
const Shared = Layer.mergeAll(Access.layer, authenticator)

const listed = (document: any) => ({
  methods: new Set(document.methods.map((method: any) => method.name)),
  topics: (document["x-topics"] ?? []).map((topic: any) => topic.name)
})

it.effect("rpc.discover tells each caller what it may use, and no more", () =>
  Effect.gen(function*() {
    const client = yield* JsonRpcClient.JsonRpcClient
    const all = [...Contract.requests.keys()]
    const nobody = listed(yield* client.call("rpc.discover"))
    assert.deepStrictEqual(nobody.methods, new Set(all.filter((name) => name !== "secret" && name !== "reset")))
    assert.deepStrictEqual(nobody.topics, ["weather", "trades"])
    yield* client.call("authenticate", ["t"])
    const document = yield* client.call("rpc.discover")
    assert.isTrue(validateOpenRPCDocument(document as any))
    assert.deepStrictEqual(listed(document).methods, new Set(all.filter((name) => name !== "reset")))
    assert.deepStrictEqual(listed(document).topics, ["weather", "trades", "ops"])
    assert.notInclude(JSON.stringify(document), "reset")
  }).pipe(Effect.provide(
    Layer.mergeAll(
      JsonRpcServer.layerSocketServer(Contract).pipe(
        Layer.provide(Layer.mergeAll(Login.layer, OpenRpc.layerHandlers({ ...options, methods: Contract }))),
        Layer.provide(Handlers),
        Layer.provide(Shared)
      ),
      JsonRpcClient.layerSocket()
    ).pipe(Layer.provide(MemorySocket.layer))
  )))

it.live("the route gives the document of what the caller may use", () =>
  Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const response = yield* http.get("/openrpc.json")
    assert.strictEqual(response.status, 200)
    assert.match(response.headers["content-type"]!, /^application\/json/)
    const nobody = yield* response.json
    assert.isTrue(validateOpenRPCDocument(nobody as any))
    assert.deepStrictEqual(listed(nobody).topics, ["weather", "trades"])
    const request = HttpClientRequest.get("/openrpc.json").pipe(HttpClientRequest.bearerToken("t"))
    const bob = yield* Effect.flatMap(http.execute(request), (response) => response.json)
    assert.deepStrictEqual(listed(bob).topics, ["weather", "trades", "ops"])
    assert.isTrue(listed(bob).methods.has("secret"))
    assert.isFalse(listed(bob).methods.has("reset"))
  }).pipe(Effect.provide(
    HttpRouter.serve(OpenRpc.layerHttp(Contract, options).pipe(Layer.provide(Shared)), { disableLogger: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layerTest)
    )
  )))

const words = (source: string) => source.replace(/[\s,;()]+/g, "")

it.effect("a document becomes a contract that a person would have written, and gives the same document again", () =>
  Effect.gen(function*() {
    const document = OpenRpc.fromGroup(Contract, options)
    const source = yield* OpenRpcCodegen.generate(JSON.parse(JSON.stringify(document)))
    const path = Path.join(import.meta.dirname, "fixtures/generatedContract.ts")
    if (process.env.UPDATE_FIXTURES !== undefined) Fs.writeFileSync(path, source)
    assert.strictEqual(words(Fs.readFileSync(path, "utf8")), words(source))
    const generated: any = yield* Effect.promise(() => import("./fixtures/generatedContract.ts"))
    const again = OpenRpc.fromGroup(generated.TestContract, options)
    const plain = (one: any) => ({
      topics: one["x-topics"],
      // the generated contract has the optional fields last, so that positions are those of the document
      methods: one.methods.map(({ errors: _, examples: __, paramStructure, "x-errors": typed, ...method }: any) => ({
        ...method,
        paramStructure: method.name === "optional.first" ? undefined : paramStructure,
        typed: typed?.map(({ code, message, name }: any) => [code, message, name])
      }))
    })
    assert.deepStrictEqual(plain(JSON.parse(JSON.stringify(again))), plain(JSON.parse(JSON.stringify(document))))
  }))

it.effect("documents of others become contracts: references, optional parameters, positions, hostile names", () =>
  Effect.gen(function*() {
    const source = yield* OpenRpcCodegen.generate({
      openrpc: "1.2.6",
      info: { title: "pet store 2" },
      methods: [
        {
          name: "list */ pets",
          summary: "evil */ console.log(1) /*",
          params: [{ $ref: "#/components/contentDescriptors/Limit" }],
          result: { name: "pets", schema: { type: "array", items: { $ref: "#/components/schemas/Pet" } } },
          errors: [{ $ref: "#/components/errors/Gone" }]
        },
        {
          name: "__proto__",
          paramStructure: "by-position",
          params: [
            { name: "a", required: true, schema: { type: "string" } },
            { name: "b", schema: { type: "integer", minimum: 1 } }
          ]
        },
        { name: "odd", params: [{ name: "a-b", required: true, schema: { enum: ["`${x}`", "\u2028"] } }] }
      ],
      components: {
        schemas: {
          Pet: { type: "object", required: ["id"], properties: { id: { type: "integer" }, tag: { type: "string" } } }
        },
        contentDescriptors: { Limit: { name: "limit", schema: { type: "integer" } } },
        errors: { Gone: { code: 410, message: "gone" } }
      }
    })
    assert.include(source, "export class PetStore2 extends RpcGroup.make(")
    assert.include(
      source,
      "export const Pet = Schema.Struct({ id: Schema.Int, tag: Schema.optionalKey(Schema.String) })"
    )
    assert.include(source, "payload: { limit: Schema.optionalKey(Schema.Int) }")
    assert.include(source, "Fails with 410 gone")
    assert.include(
      source,
      "Schema.Tuple([Schema.String, Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))])"
    )
    assert.include(source, "[\"a-b\"]: ")
    assert.notInclude(source, "* evil */ console")
  }))

it.effect("what is no document, or has no counterpart, is a typed error", () =>
  Effect.gen(function*() {
    const method = (extra: object) => ({ openrpc: "1.3.2", info: { title: "x", version: "1" }, methods: [extra] })
    const result = (schema: object) => method({ name: "m", params: [], result: { name: "r", schema } })
    const documents: ReadonlyArray<unknown> = [
      null,
      1,
      {},
      { openrpc: "1.3.2" },
      method({ params: [] }),
      method({ $ref: "#/components/nowhere" }),
      method({ $ref: "http://elsewhere/x" }),
      method({ name: "m", params: [{ name: "a", schema: {} }, { name: "a", schema: {} }] }),
      result({ $ref: "#/components/schemas/Missing" })
    ]
    for (const document of documents) {
      const error = yield* Effect.flip(OpenRpcCodegen.generate(document))
      assert.strictEqual(error._tag, "CodegenError", JSON.stringify(document))
    }
  }))

it.effect("an error of a document whose schema has no tag becomes an annotated schema", () =>
  Effect.gen(function*() {
    const source = yield* OpenRpcCodegen.generate({
      openrpc: "1.3.2",
      info: { title: "calculator" },
      methods: [{
        name: "divide",
        params: [],
        "x-errors": [{
          code: -32050,
          message: "division by zero",
          name: "DivisionByZero",
          schema: { type: "object", required: ["dividend"], properties: { dividend: { type: "number" } } }
        }]
      }]
    })
    assert.match(source, /export const DivisionByZero = [\s\S]*JsonRpcError\.wire\(\{\s+code: -32050/)
  }))
