/** PROTOCOLS.md, "HTTP POST", line by line, by a client that is none of ours. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Schedule, Schema } from "effect"
import { JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { RpcConnection } from "effect-wire/rpc"
import { Budget } from "effect-wire/socket"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import { connect } from "./raw.ts"

class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("note"),
  Rpc.make("gone"),
  Rpc.make("any", { payload: Schema.Json, success: Schema.Json }),
  Rpc.make("who", { success: Schema.NullOr(Schema.String) })
) {}
const Handlers = Group.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  note: () => Effect.void,
  gone: () => Effect.interrupt,
  any: (value) => Effect.succeed(value),
  who: () => Effect.map(RpcConnection.current, ({ handshake }) => handshake.remoteAddress ?? null)
})
const Routes = Layer.mergeAll(
  JsonRpcServer.layerHttp(Group, { path: "/rpc", bodyTimeout: "300 millis", maxBodyBytes: 1000 }),
  JsonRpcServer.layerHttp(Group, { path: "/mcp", wire: Wire.mcp }),
  JsonRpcServer.layerHttp(Group, { path: "/behind", trustedProxies: ["loopback"] })
).pipe(Layer.provide(Handlers))

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly allow: string | undefined
  readonly cors: string | undefined
  readonly body: string
}

type Ask = (options: {
  readonly method?: string
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Uint8Array
  /** Sends the headers and this much of the body, and no more. */
  readonly stall?: boolean
}) => Effect.Effect<Answer>

const test = (title: string, body: (ask: Ask) => Effect.Effect<void>) =>
  it.live(title, () =>
    Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      if (address._tag === "UnixPathAddress") return yield* Effect.die("a port is expected")
      yield* body((options) =>
        Effect.callback<Answer>((resume) => {
          const request = Http.request({
            port: address.port,
            path: options.path ?? "/rpc",
            method: options.method ?? "POST",
            headers: { "content-type": "application/json", ...options.headers }
          }, (response) => {
            let text = ""
            response.setEncoding("utf8")
            response.on("data", (chunk: string) => void (text += chunk))
            response.on("end", () => {
              resume(Effect.succeed({
                status: response.statusCode!,
                type: response.headers["content-type"],
                allow: response.headers.allow,
                cors: response.headers["access-control-allow-origin"],
                body: text
              }))
              request.destroy()
            })
          })
          request.on("error", () => {})
          if (options.body !== undefined) request.write(options.body)
          if (options.stall !== true) request.end()
          return Effect.sync(() => request.destroy())
        })
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(
        HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest),
          Layer.provideMerge(Logger.layer([])),
          Layer.fresh
        )
      )
    ))

const add = `{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}`
const three = `{"jsonrpc":"2.0","result":3,"id":1}`

describe("HTTP POST", () => {
  const answered: ReadonlyArray<readonly [string, string | Uint8Array, number, string]> = [
    ["a request", add, 200, three],
    ["a notification", `{"jsonrpc":"2.0","method":"note"}`, 204, ""],
    ["a notification that is wrong", `{"jsonrpc":"2.0","method":"nope","params":[1]}`, 204, ""],
    ["an answer, which nobody asked for", `{"jsonrpc":"2.0","result":1,"id":1}`, 204, ""],
    ["no JSON", `{`, 200, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}`],
    ["nothing", ``, 200, `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}`],
    [
      "no UTF-8",
      new Uint8Array([0xff, 0xfe]),
      200,
      `{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}`
    ],
    ["a batch", `[${add},{"jsonrpc":"2.0","method":"note"}]`, 200, `[${three}]`],
    ["a batch of notifications", `[{"jsonrpc":"2.0","method":"note"}]`, 204, ""],
    [
      "a large id",
      add.replace(`"id":1`, `"id":12345678901234567890`),
      200,
      three.replace(`"id":1`, `"id":12345678901234567890`)
    ]
  ]
  for (const [name, body, status, text] of answered) {
    test(`answers ${name}`, (ask) =>
      Effect.gen(function*() {
        const answer = yield* ask({ body })
        assert.deepStrictEqual([answer.status, answer.body], [status, text])
        if (status === 200) assert.strictEqual(answer.type, "application/json")
      }))
  }

  test("answers a request that the server interrupts, also where a cancel would have no answer", (ask) =>
    Effect.gen(function*() {
      const answer = yield* ask({ path: "/mcp", body: `{"jsonrpc":"2.0","method":"gone","id":1}` })
      assert.strictEqual(JSON.parse(answer.body).error.code, -32000)
    }))

  for (
    const type of [
      "application/json; charset=utf-8",
      "APPLICATION/JSON",
      "application/json-rpc",
      "application/jsonrequest"
    ]
  ) {
    test(`takes ${type}`, (ask) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask({ body: add, headers: { "content-type": type } })).body, three)
      }))
  }
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""]) {
    test(`refuses the type "${type}" with 415`, (ask) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask({ body: add, headers: { "content-type": type } })).status, 415)
      }))
  }

  for (
    const [headers, status] of [
      [{ "content-encoding": "gzip" }, 415],
      [{ "content-encoding": "br, identity" }, 415],
      [{ "content-encoding": "identity" }, 200],
      [{ "content-type": "application/json; charset=utf-16" }, 415],
      [{ "content-type": "application/json; charset=iso-8859-1" }, 415],
      [{ "content-type": "application/json; Charset=\"UTF-8\"" }, 200]
    ] as const
  ) {
    test(`answers ${status} to ${JSON.stringify(headers)}`, (ask) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* ask({ body: add, headers })).status, status)
      }))
  }

  test("knows its peer by the address that a trusted proxy tells, and believes nobody else", (ask) =>
    Effect.gen(function*() {
      const who = (path: string) =>
        Effect.map(
          ask({ path, body: `{"jsonrpc":"2.0","id":1,"method":"who"}`, headers: { "x-forwarded-for": "203.0.113.7" } }),
          ({ body }) => JSON.parse(body).result
        )
      assert.strictEqual(yield* who("/behind"), "203.0.113.7")
      assert.include(["127.0.0.1", "::1"], yield* who("/rpc"))
    }))

  test("gives numbers back as they came, or refuses those that no number holds", (ask) =>
    Effect.gen(function*() {
      const echo = (value: string) =>
        Effect.map(
          ask({ path: "/mcp", body: `{"jsonrpc":"2.0","id":12345678901234567890,"method":"any","params":[${value}]}` }),
          ({ body }) => body
        )
      for (const value of ["9007199254740991", "1e+300", `"1e400"`, `"12345678901234567890"`, "0.1"]) {
        assert.strictEqual(yield* echo(value), `{"jsonrpc":"2.0","result":[${value}],"id":12345678901234567890}`)
      }
      for (const value of ["1e400", "-1e400", "9007199254740993", `{"a":[12345678901234567890]}`]) {
        const { error, id } = JSON.parse(yield* echo(value))
        assert.deepStrictEqual([error.code, id], [-32602, 12345678901234567000])
        assert.match(error.data.issues[0].message, /^there is -?[0-9e]+, which is no number that JavaScript can hold/)
      }
    }))

  test("does not read a byte order mark", (ask) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask({ body: `\ufeff${add}` })).body, three)
    }))

  for (const method of ["GET", "PUT", "PATCH", "DELETE"]) {
    test(`refuses ${method} with 405, and says what is allowed`, (ask) =>
      Effect.gen(function*() {
        const answer = yield* ask({ method })
        assert.deepStrictEqual([answer.status, answer.allow], [405, "GET, POST"])
      }))
  }

  test("refuses a foreign origin with 403, takes its own and none", (ask) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask({ body: add, headers: { origin: "http://evil.example" } })).status, 403)
      assert.strictEqual((yield* ask({ body: add, headers: { origin: "null" } })).status, 403)
      const own = yield* ask({ body: add, headers: { origin: "http://here.example", host: "here.example" } })
      assert.strictEqual(own.status, 200)
    }))

  test("answers the preflight of an allowed origin, whose pages may read the answer; refuses that of a foreign one", (ask) =>
    Effect.gen(function*() {
      const own = { origin: "http://here.example", host: "here.example" }
      const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "content-type" }
      const asked = yield* ask({ method: "OPTIONS", headers: { ...own, ...preflight } })
      assert.deepStrictEqual([asked.status, asked.cors], [204, own.origin])
      assert.strictEqual((yield* ask({ body: add, headers: own })).cors, own.origin)
      const foreign = yield* ask({ method: "OPTIONS", headers: { origin: "http://evil.example", ...preflight } })
      assert.deepStrictEqual([foreign.status, foreign.cors], [403, undefined])
    }))

  test("refuses a body over the limit with 413: one that says so before it is read, one that does not as it comes", (ask) =>
    Effect.gen(function*() {
      const said = yield* ask({ headers: { "content-length": "1001" }, body: "[", stall: true })
      assert.strictEqual(said.status, 413)
      const unsaid = yield* ask({
        headers: { "transfer-encoding": "chunked" },
        body: `"${"x".repeat(2000)}`,
        stall: true
      })
      assert.strictEqual(unsaid.status, 413)
    }))

  test("refuses a body that does not come with 408", (ask) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask({ headers: { "content-length": "100" }, body: "[", stall: true })).status, 408)
    }))
})

it.effect("POSTs under way are bounded in number and in bytes; what is over it is answered 503 at once", () =>
  Effect.gen(function*() {
    const Slow = RpcGroup.make(Rpc.make("slow", { payload: Schema.Unknown }))
    let running = 0
    let most = 0
    const gate = Deferred.makeUnsafe<void>()
    const handlers = Slow.toLayer({
      slow: () =>
        Effect.acquireUseRelease(
          Effect.sync(() => void (most = Math.max(most, ++running))),
          () => Deferred.await(gate),
          () => Effect.sync(() => void running--)
        )
    })
    const client = yield* Layer.build(
      HttpRouter.serve(
        Layer.mergeAll(
          JsonRpcServer.layerHttp(Slow, { path: "/few", maxConnections: 4 }),
          Layer.provide(JsonRpcServer.layerHttp(Slow, { path: "/small" }), Budget.layer(3_000_000))
        ).pipe(Layer.provide(handlers)),
        { disableListenLog: true, disableLogger: true }
      ).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
    )
    const post = (path: string, size: number) =>
      HttpClient.execute(
        HttpClientRequest.post(path).pipe(
          HttpClientRequest.bodyText(
            `{"jsonrpc":"2.0","id":1,"method":"slow","params":["${"x".repeat(size)}"]}`,
            "application/json"
          )
        )
      ).pipe(Effect.map(({ headers, status }) => [status, headers["retry-after"]]), Effect.provideContext(client))
    for (const [path, size, count, taken] of [["/few", 10, 20, 4], ["/small", 200_000, 10, 3]] as const) {
      const posts = yield* Effect.forEach(Array.from({ length: count }), () => Effect.forkScoped(post(path, size)))
      const refused = yield* Effect.forEach(
        Array.from({ length: count - taken }),
        () =>
          Effect.suspend((): Effect.Effect<ReadonlyArray<unknown>, unknown> => {
            const index = posts.findIndex((fiber) => fiber.pollUnsafe() !== undefined)
            return index < 0 ? Effect.fail("none yet") : Fiber.join(posts.splice(index, 1)[0]!)
          }).pipe(Effect.retry(Schedule.spaced("10 millis")))
      )
      for (const one of refused) assert.deepStrictEqual(one, [503, "1"])
      assert.strictEqual(running, taken)
      assert.strictEqual(posts.length, taken)
      for (const fiber of posts) yield* Fiber.interrupt(fiber)
      yield* Effect.suspend(() => running === 0 ? Effect.void : Effect.fail("still")).pipe(
        Effect.retry(Schedule.spaced("10 millis"))
      )
    }
    assert.strictEqual(most, 4)
  }).pipe(TestClock.withLive))

it.effect("invalid parameters list every issue", () =>
  Effect.gen(function*() {
    const Many = RpcGroup.make(
      Rpc.make("many", { payload: { a: Schema.Int, b: Schema.String, c: Schema.Struct({ d: Schema.Boolean }) } })
    )
    const { exchange } = yield* connect(
      RpcGroup.make(Rpc.make("fence")).merge(Many),
      Many.toLayer({ many: () => Effect.void }).pipe(
        Layer.merge(RpcGroup.make(Rpc.make("fence")).toLayer({ fence: () => Effect.void }))
      )
    )
    const [answer] = yield* exchange(`{"jsonrpc":"2.0","id":1,"method":"many","params":{"a":"x","c":{"d":1}}}`)
    assert.deepStrictEqual(answer.error.data.issues.map(({ path }: any) => path.join(".")), ["a", "b", "c.d"])
    const long = JSON.stringify(Array.from({ length: 1000 }, () => "x"))
    const List = RpcGroup.make(Rpc.make("fence"), Rpc.make("list", { payload: Schema.Array(Schema.Int) }))
    const other = yield* connect(List, List.toLayer({ fence: () => Effect.void, list: () => Effect.void }))
    const [many] = yield* other.exchange(`{"jsonrpc":"2.0","id":1,"method":"list","params":${long}}`)
    assert.strictEqual(many.error.data.issues.length, 100)
  }))
