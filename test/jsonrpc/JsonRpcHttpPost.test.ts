/** PROTOCOLS.md, "HTTP POST", line by line, by a client that is none of ours. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import * as Http from "node:http"

class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("note"),
  Rpc.make("gone"),
  Rpc.make("any", { payload: Schema.Json, success: Schema.Json })
) {}
const Handlers = Group.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  note: () => Effect.void,
  gone: () => Effect.interrupt,
  any: (value) => Effect.succeed(value)
})
const Routes = Layer.mergeAll(
  JsonRpcServer.layerHttp(Group, { path: "/rpc", bodyTimeout: "300 millis", maxBodyBytes: 1000 }),
  JsonRpcServer.layerHttp(Group, { path: "/mcp", wire: Wire.mcp })
).pipe(Layer.provide(Handlers))

interface Answer {
  readonly status: number
  readonly type: string | undefined
  readonly allow: string | undefined
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
