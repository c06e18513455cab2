import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcPeer, type JsonRpcRemote, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { Progress } from "effect-wire/rpc"
import { FetchHttpClient, HttpBody, HttpClient } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { Gateway } from "./support/Gateway.ts"

const routes = [
  { path: "/rpc", wire: Wire.rockets, cancelled: -31002 },
  { path: "/lsp", wire: Wire.lsp, cancelled: -32800 },
  { path: "/aiohttp", wire: Wire.aiohttp, cancelled: undefined }
]

/** What a client answers. */
class Theirs extends RpcGroup.make(
  Rpc.make("double", { payload: { n: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("refuse", { error: JsonRpcError.RemoteError })
) {}
const TheirHandlers = Theirs.toLayer({
  double: ({ n }) => Effect.succeed(2 * n),
  refuse: () => Effect.fail(new JsonRpcError.RemoteError({ code: -7, message: "no" }))
})

const connect = (path: string, wire: Wire.Wire) =>
  Effect.gen(function*() {
    const socket = yield* NodeWebSocket.make(`${yield* Gateway}${path}`, {
      ...(wire.subprotocol === undefined ? {} : { protocols: wire.subprotocol })
    })
    const client = yield* JsonRpcClient.fromSocket(socket, { wire })
    yield* client.connect
    return client
  })

const failure = (client: JsonRpcRemote.Remote, method: string, params?: JsonRpcRemote.Params) =>
  Effect.map(
    Effect.flip(client.call(method, params)),
    ({ reason }) => reason._tag === "RemoteError" ? { code: reason.code, data: reason.data } : reason._tag
  )

layer(Gateway.layer, { excludeTestServices: true, timeout: "60 seconds" })("the contract", (it) => {
  for (const { wire, path } of routes) {
    it.effect(`answers every method (${path})`, () =>
      Effect.gen(function*() {
        const client = yield* connect(path, wire)
        const { call } = client
        assert.strictEqual(yield* call("ping"), "pong")
        assert.strictEqual(yield* call("ping", []), "pong")
        assert.deepStrictEqual(yield* call("echo", { value: { a: [1, null, "x"] } }), { a: [1, null, "x"] })
        assert.strictEqual(yield* call("echo", [null]), null)
        assert.strictEqual(yield* call("add", { a: 1, b: 2.5 }), 3.5)
        assert.strictEqual(yield* call("add", [1, 2]), 3)
        assert.strictEqual(yield* call("subtract", { minuend: 42, subtrahend: 23 }), 19)
        assert.strictEqual(yield* call("subtract", [42, 23]), 19)
        assert.strictEqual(yield* call("sum", [1, 2, 4]), 7)
        assert.strictEqual(yield* call("sum", []), 0)
        assert.deepStrictEqual(yield* call("get_data"), ["hello", 5])
        for (const method of ["update", "notify_hello", "notify_sum"]) {
          for (const params of [undefined, [1, "x"], { a: 1 }]) assert.strictEqual(yield* call(method, params), null)
        }
        assert.strictEqual(yield* call("divide", { dividend: 6, divisor: 3 }), 2)
        assert.deepStrictEqual(yield* failure(client, "divide", [6, 0]), { code: -32050, data: { dividend: 6 } })
        assert.strictEqual(yield* call("sleep", [0]), "slept")
        assert.deepStrictEqual(yield* call("app.users.getUsers"), [
          { id: 1, name: "alice" },
          { id: 2, name: "bob" },
          { id: 3, name: "root" }
        ])
        assert.deepStrictEqual(yield* call("render", [3, 0]), { steps: 3 })
      }))

    it.effect(`answers what is wrong by its code (${path})`, () =>
      Effect.gen(function*() {
        const client = yield* connect(path, wire)
        const code = (method: string, params?: JsonRpcRemote.Params) =>
          Effect.map(failure(client, method, params), (error) => typeof error === "string" ? error : error.code)
        assert.strictEqual(yield* code("nothing"), -32601)
        assert.strictEqual(yield* code("__proto__"), -32601)
        assert.strictEqual(yield* code("add", [1]), -32602)
        // what is too much the original of aiohttp-json-rpc ignores
        if (path === "/aiohttp") assert.strictEqual(yield* client.call("add", [1, 2, 3]), 3)
        else assert.strictEqual(yield* code("add", [1, 2, 3]), -32602)
        assert.strictEqual(yield* code("add", { a: 1, b: "2" }), -32602)
        assert.strictEqual(yield* code("sum", { a: 1 }), -32602)
        assert.strictEqual(yield* code("sleep", [60_001]), -32602)
        assert.strictEqual(yield* code("sleep", [-1]), -32602)
        assert.strictEqual(yield* code("render", [0, 0]), -32602)
        assert.strictEqual(yield* code("render", [1001, 0]), -32602)
        assert.strictEqual(yield* code("render", [1.5, 0]), -32602)
        assert.strictEqual(yield* code("render", [1, 1001]), -32602)
        assert.strictEqual(yield* code("crash"), -32603)
      }))

    it.effect(`notifies every client of a broadcast (${path})`, () =>
      Effect.gen(function*() {
        const client = yield* connect(path, wire)
        const method = `hello ${path}`
        const heard = yield* Effect.forEach(routes, (other) =>
          Effect.gen(function*() {
            const listener = yield* connect(other.path, other.wire)
            return yield* listener.notifications.pipe(
              Stream.filter((notification) => notification.method === method),
              Stream.runHead,
              Effect.forkScoped({ startImmediately: true })
            )
          }))
        const count = yield* client.call("broadcast", { method, params: { n: 1 } })
        assert.isAtLeast(Number(count), 4)
        for (const fiber of heard) {
          const notification = yield* Fiber.join(fiber)
          assert.deepStrictEqual(notification._tag === "Some" ? notification.value.params : undefined, { n: 1 })
        }
      }))

    it.effect(`calls its caller back, and passes its result or its error on (${path})`, () =>
      Effect.gen(function*() {
        const socket = yield* NodeWebSocket.make(`${yield* Gateway}${path}`)
        const { remote } = yield* JsonRpcPeer.make({ serves: Theirs, calls: RpcGroup.make(), connection: { wire } })
          .pipe(
            Effect.provide(TheirHandlers),
            Effect.provideService(Socket.Socket, socket)
          )
        assert.strictEqual(yield* remote.call("callback", { method: "double", params: { n: 21 } }), 42)
        assert.strictEqual(yield* remote.call("callback", ["double", [4]]), 8)
        const code = (method: string) =>
          Effect.map(failure(remote, "callback", [method]), (error) => typeof error === "string" ? error : error.code)
        assert.strictEqual(yield* code("refuse"), -7)
        assert.strictEqual(yield* code("not there"), -32601)
      }))
  }

  for (const { wire, path } of routes.slice(0, 2)) {
    it.effect(`tells the progress of a render and stops it when asked (${path})`, () =>
      Effect.gen(function*() {
        const client = yield* connect(path, wire)
        const reports: Array<Progress.Report> = []
        const keep = (report: Progress.Report) => Effect.sync(() => reports.push(report))
        yield* client.call("render", { steps: 4, delay: 1 }).pipe(Progress.tap(keep))
        assert.includeMembers(reports.map((report) => report.operation), ["step 1 of 4", "step 4 of 4"])
        assert.includeMembers(reports.map((report) => report.amount), [0.25, 0.5, 0.75, 1])
        const fiber = yield* Effect.forkChild(client.call("sleep", [60_000]))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* client.call("ping"), "pong")
      }))
  }

  for (const { cancelled, wire, path } of routes) {
    if (cancelled === undefined) continue
    it.effect(`answers a cancelled request once, with its wire's code (${path})`, () =>
      Effect.gen(function*() {
        const socket = yield* NodeWebSocket.make(`${yield* Gateway}${path}`)
        const { pull } = yield* socket.reader
        const writer = yield* socket.writer
        yield* writer.write(JSON.stringify({ jsonrpc: "2.0", method: "sleep", params: [60_000], id: 7 }))
        const { encode, method } = wire.cancellation!
        yield* writer.write(JSON.stringify({ jsonrpc: "2.0", method, params: encode(7) }))
        yield* writer.write(JSON.stringify({ jsonrpc: "2.0", method: "ping", id: 8 }))
        const answers: Array<any> = []
        while (answers.length < 2) {
          const frames = (yield* pull).map((frame) => JSON.parse(frame as string))
          // other tests broadcast
          answers.push(...frames.filter(({ id }) => id !== undefined))
        }
        assert.strictEqual(answers.length, 2)
        assert.strictEqual(answers.find(({ id }) => id === 7)?.error.code, cancelled)
        assert.strictEqual(answers.find(({ id }) => id === 8)?.result, "pong")
      }))
  }

  it.effect("answers POST, and a batch in one array", () =>
    Effect.gen(function*() {
      const http = yield* HttpClient.HttpClient
      const url = `http://${yield* Gateway}/rpc`
      const response = yield* http.post(url, {
        body: HttpBody.text(
          JSON.stringify([
            { jsonrpc: "2.0", method: "add", params: [1, 2], id: 1 },
            { jsonrpc: "2.0", method: "update", params: [1] },
            { jsonrpc: "2.0", method: "callback", params: ["x"], id: 2 }
          ]),
          "application/json"
        )
      })
      const answers = (yield* response.json) as unknown as Array<any>
      assert.strictEqual(answers.length, 2)
      assert.strictEqual(answers.find(({ id }) => id === 1).result, 3)
      assert.strictEqual(answers.find(({ id }) => id === 2).error.code, -32000)
      assert.strictEqual((yield* http.get(url)).status, 405)
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  it.effect("the other routes are plain HTTP", () =>
    Effect.gen(function*() {
      const http = yield* HttpClient.HttpClient
      const base = `http://${yield* Gateway}`
      const page = yield* http.get(base, { headers: { accept: "text/html,*/*;q=0.8" } })
      assert.match(page.headers["content-type"]!, /^text\/html/)
      assert.include(yield* page.text, "<!doctype html>")
      const described = yield* http.get(base, { headers: { authorization: "DEFAULT_TOKEN" } })
      assert.hasAllKeys((yield* described.json) as object, ["name", "author", "source"])
      const health = yield* http.get(`${base}/health`)
      assert.strictEqual(health.status, 200)
      assert.deepInclude((yield* health.json) as object, { status: "ok" })
      const metrics = yield* http.get(`${base}/metrics`)
      assert.match(metrics.headers["content-type"]!, /^text\/plain; version=0\.0\.4/)
      assert.match(yield* metrics.text, /^effect_wire_socket_connections \d+$/m)
      assert.strictEqual((yield* http.get(`${base}/nothing`)).status, 404)
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  it.effect("a foreign origin may not open a connection, the gateway's own and no origin may", () =>
    Effect.gen(function*() {
      const address = yield* Gateway
      const open = (origin: string | undefined, headers: Record<string, string> = {}) =>
        Effect.scoped(Effect.gen(function*() {
          const socket = yield* NodeWebSocket.make(`${address}/rpc`, {
            headers: { "user-agent": "Mozilla/5.0", ...headers },
            ...(origin === undefined ? {} : { origin })
          })
          yield* socket.reader
        })).pipe(Effect.match({ onFailure: () => "refused", onSuccess: () => "open" }))
      assert.strictEqual(yield* open(undefined), "open")
      assert.strictEqual(yield* open(`http://${address}`), "open")
      assert.strictEqual(yield* open("https://evil.example"), "refused")
      // a name that somebody else's DNS gave the address of this machine
      const rebound = { host: "evil.example", origin: "http://evil.example" }
      assert.strictEqual(yield* open(undefined, rebound), "refused")
      assert.strictEqual(yield* open(undefined, { host: "localhost:1" }), "open")
      assert.strictEqual(yield* open(undefined, { host: "[::1]:1" }), "open")
    }))
})
