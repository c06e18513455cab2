import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Redacted, Schema, type Scope, Stream } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { JugglerClient } from "effect-wire/juggler"
import { NodeWebSocket } from "effect-wire/node"
import { Topic, TopicsClient } from "effect-wire/topics"
import { FetchHttpClient, HttpBody, HttpClient, HttpClientRequest } from "effect/http"
import { createRequire } from "node:module"
import { WebSocket } from "ws"
import { Panel, Requests } from "../../examples/gateway/panel.ts"
import { EmbeddedPostgres } from "../node/support/EmbeddedPostgres.ts"
import { Gateway, start } from "./support/Gateway.ts"

const { validateOpenRPCDocument } = createRequire(import.meta.url)("@open-rpc/schema-utils-js")

const Clock = Topic.make("clock", { payload: Schema.Finite })
const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })

const connectTo = (address: string, path: string) =>
  Effect.gen(function*() {
    const socket = yield* NodeWebSocket.make(`${address}${path}`)
    const wire = path === "/lsp" ? Wire.lsp : path === "/aiohttp" ? Wire.aiohttp : Wire.rockets
    const client = yield* JsonRpcClient.fromSocket(socket, { wire })
    yield* client.connect
    return client
  })
const connect = (path: string) => Effect.flatMap(Gateway, (address) => connectTo(address, path))

const code = (client: JsonRpcClient.Client, method: string, params?: ReadonlyArray<unknown>) =>
  Effect.map(
    Effect.flip(client.call(method, params)),
    ({ reason }) => reason._tag === "RemoteError" ? reason.code : reason._tag
  )

/** Opens a WebSocket with these headers; gives the status with which it was refused, or `"open"`. */
const upgrade = (headers: Record<string, string>): Effect.Effect<number | "open", never, Gateway | Scope.Scope> =>
  Effect.flatMap(Gateway, (address) =>
    Effect.callback<number | "open">((resume) => {
      const ws = new WebSocket(`ws://${address}/rpc`, ["rockets"], {
        headers: { "user-agent": "Mozilla/5.0", ...headers }
      })
      ws.on("open", () => {
        ws.close()
        resume(Effect.succeed("open"))
      })
      ws.on("unexpected-response", (_request, response) => {
        resume(Effect.succeed(response.statusCode ?? 0))
      })
      ws.on("error", () => {})
    }))

const basic = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`
})

layer(Gateway.layer.pipe(Layer.provideMerge(FetchHttpClient.layer)), {
  excludeTestServices: true,
  timeout: "60 seconds"
})("callers and topics of the gateway", (it) => {
  for (const path of ["/rpc", "/lsp", "/aiohttp"]) {
    it.effect(`a caller may do what its identity allows, and nothing else exists for it (${path})`, () =>
      Effect.gen(function*() {
        const client = yield* connect(path)
        const { call } = client
        assert.deepStrictEqual(yield* call("whoami"), { username: null, permissions: [] })
        for (const method of ["secret", "admin.reset", "root.only"]) {
          assert.strictEqual(yield* code(client, method), -32601)
          assert.notInclude(yield* call("get_methods"), method)
        }
        assert.isFalse(yield* call("login", ["alice", "wrong"]))
        assert.isFalse(yield* call("login", { username: "nobody", password: "wonderland" }))
        assert.isTrue(yield* call("login", { username: "alice", password: "wonderland" }))
        assert.strictEqual(yield* call("secret"), "42")
        assert.strictEqual(yield* code(client, "admin.reset"), -32601)
        assert.isTrue(yield* call("login", ["bob", "builder"]))
        assert.deepStrictEqual(yield* call("whoami"), { username: "bob", permissions: ["ops", "reset"] })
        assert.isTrue(yield* call("admin.reset"))
        assert.strictEqual(yield* code(client, "root.only"), -32601)
        assert.include(yield* call("get_topics"), "ops")
        assert.isTrue(yield* call("login", ["root", "toor"]))
        assert.isTrue(yield* call("root.only"))
        assert.isTrue(yield* call("admin.reset"))
        assert.isTrue(yield* call("logout"))
        assert.deepStrictEqual(yield* call("get_topics"), ["clock", "weather"])
        assert.strictEqual(yield* code(client, "secret"), -32601)
      }))
  }

  it.effect("the handshake of a WebSocket says who its caller is", () =>
    Effect.gen(function*() {
      const login = (password: string) => ({ basicAuth: { username: "bob", password: Redacted.make(password) } })
      const who = (options: NodeWebSocket.Options) =>
        Effect.gen(function*() {
          const socket = yield* NodeWebSocket.make(`${yield* Gateway}/rpc`, options)
          const client = yield* JsonRpcClient.fromSocket(socket, { wire: Wire.rockets })
          return yield* client.call("whoami")
        })
      assert.deepStrictEqual(yield* who(login("builder")), { username: "bob", permissions: ["ops", "reset"] })
      assert.deepStrictEqual(yield* who(login("wrong")), { username: null, permissions: [] })
    }))

  it.effect("topics: the clock ticks, the weather is remembered, ops tells of logins to those who may know", () =>
    Effect.gen(function*() {
      const first = yield* connect("/rpc")
      const second = yield* connect("/aiohttp")
      const ticks = yield* Effect.forkChild(TopicsClient.eventsOf(first, Clock).pipe(Stream.take(2), Stream.runCollect))
      assert.isNull(yield* first.call("set_weather", [21.5]))
      const weather = yield* TopicsClient.eventsOf(second, Weather).pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(weather, [{ _tag: "Value", value: { celsius: 21.5 } }])
      yield* first.call("login", ["bob", "builder"])
      const notifications = yield* Queue.unbounded<JsonRpcClient.Notification>()
      yield* Effect.forkChild(
        Stream.runForEach(
          first.notifications,
          (one) => one.method === "ops" ? Queue.offer(notifications, one) : Effect.void
        )
      )
      assert.include(yield* first.call("subscribe", ["ops"]), "ops")
      assert.notInclude(yield* second.call("subscribe", ["ops"]), "ops")
      yield* second.call("login", ["alice", "wonderland"])
      yield* second.call("logout")
      // other tests log in and out as well
      const until = (event: string) =>
        Queue.take(notifications).pipe(Effect.repeat({
          until: ({ params }) => JSON.stringify(params) === JSON.stringify({ event, username: "alice" })
        }))
      yield* until("login")
      yield* until("logout")
      const [a, b] = yield* Fiber.join(ticks)
      if (a?._tag !== "Value" || b?._tag !== "Value") return assert.fail("the clock does not tick")
      assert.closeTo(b.value - a.value, 1000, 400)
    }))

  it.effect("describes itself by OpenRPC, by method and by route, to each caller what it may use", () =>
    Effect.gen(function*() {
      const http = yield* HttpClient.HttpClient
      const url = `http://${yield* Gateway}/openrpc.json`
      const names = (document: any) => document.methods.map((method: any) => method.name)
      const open: any = yield* Effect.flatMap(http.get(url), (response) => response.json)
      assert.isTrue(validateOpenRPCDocument(open))
      assert.include(names(open), "divide")
      assert.notInclude(names(open), "secret")
      const request = HttpClientRequest.get(url).pipe(HttpClientRequest.setHeaders(basic("bob", "builder")))
      const bob: any = yield* Effect.flatMap(http.execute(request), (response) => response.json)
      assert.include(names(bob), "admin.reset")
      assert.notInclude(names(bob), "root.only")
      const client = yield* connect("/rpc")
      yield* client.call("login", ["root", "toor"])
      const root = yield* client.call("rpc.discover")
      assert.isTrue(validateOpenRPCDocument(root))
      assert.include(names(root), "root.only")
    }))

  it.effect("a page of another site cannot open a WebSocket, whatever its browser sends along", () =>
    Effect.gen(function*() {
      const address = yield* Gateway
      assert.strictEqual(yield* upgrade({}), "open")
      assert.strictEqual(yield* upgrade({ origin: `http://${address}` }), "open")
      for (const origin of ["https://evil.example", "null", `http://${address}.evil.example`, "http://localhost:1"]) {
        assert.strictEqual(yield* upgrade({ origin }), 403, origin)
        assert.strictEqual(yield* upgrade({ origin, ...basic("root", "toor"), cookie: "session=x" }), 403, origin)
      }
    }))

  it.effect("a form or a script of another site cannot forge a POST", () =>
    Effect.gen(function*() {
      const http = yield* HttpClient.HttpClient
      const address = yield* Gateway
      const post = (headers: Record<string, string>, type = "application/json") =>
        http.execute(
          HttpClientRequest.post(`http://${address}/rpc`).pipe(
            HttpClientRequest.setHeaders(headers),
            HttpClientRequest.setBody(HttpBody.text(`{"jsonrpc":"2.0","id":1,"method":"whoami"}`, type))
          )
        )
      const mine = yield* Effect.flatMap(post(basic("bob", "builder")), (response) => response.json)
      assert.strictEqual((mine as any).result.username, "bob")
      // what forms can send without a preflight
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        assert.strictEqual((yield* post(basic("bob", "builder"), type)).status, 415, type)
      }
      assert.strictEqual((yield* post({ ...basic("bob", "builder"), origin: "https://evil.example" })).status, 403)
      assert.strictEqual((yield* post({ origin: `http://${address}` })).status, 200)
    }))

  it.effect("a login with a password of a megabyte is wrong, like any other wrong one", () =>
    Effect.gen(function*() {
      const client = yield* connect("/rpc")
      assert.isFalse(yield* client.call("login", ["nobody else", "p".repeat(1_000_000)]))
      assert.strictEqual(yield* client.call("ping"), "pong")
    }))
})

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: "60 seconds" })("two gateways", (it) => {
  it.effect(
    "on one PostgreSQL are one for topics, and the one that is killed takes nothing with it",
    () =>
      Effect.gen(function*() {
        const DATABASE_URL = yield* (yield* EmbeddedPostgres).database
        const first = yield* start({ DATABASE_URL })
        const second = yield* start({ DATABASE_URL })
        const a = yield* connectTo(yield* first.address, "/rpc")
        const b = yield* connectTo(yield* second.address, "/rpc")
        yield* a.call("set_weather", [1])
        const heard = yield* Queue.unbounded<number>()
        yield* Effect.forkChild(
          Stream.runForEach(TopicsClient.eventsOf(b, Weather), (event) =>
            event._tag === "Value" ? Queue.offer(heard, event.value.celsius) : Effect.void)
        )
        assert.strictEqual(yield* Queue.take(heard), 1)
        for (const celsius of [2, 3]) {
          yield* a.call("set_weather", [celsius])
          assert.strictEqual(yield* Queue.take(heard), celsius)
        }
        first.kill("SIGKILL")
        yield* b.call("set_weather", [4])
        assert.strictEqual(yield* Queue.take(heard), 4)
      }),
    120_000
  )

  it.effect(
    "on one PostgreSQL have one panel",
    () =>
      Effect.gen(function*() {
        const DATABASE_URL = yield* (yield* EmbeddedPostgres).database
        const open = (address: string) =>
          Effect.gen(function*() {
            const socket = yield* NodeWebSocket.make(`${address}/juggler/0.7`)
            return yield* JugglerClient.fromSocket(socket, {
              state: Panel,
              requests: Requests,
              notifications: { incremented: Schema.Finite }
            })
          })
        const first = yield* open(yield* (yield* start({ DATABASE_URL })).address)
        const second = yield* open(yield* (yield* start({ DATABASE_URL })).address)
        yield* Effect.all([first.state.get, second.state.get])
        const notified = yield* Effect.forkChild(Stream.runCollect(Stream.take(second.notifications, 1)))
        yield* Effect.sleep("50 millis")
        assert.strictEqual(yield* first.requests.increment({ by: 2 }), 2)
        assert.deepStrictEqual(yield* Fiber.join(notified), [{ name: "incremented", data: 2 }])
        yield* Effect.all(
          [first, second, first, second].map((client) => client.requests.increment({ by: 1 })),
          { concurrency: "unbounded" }
        )
        yield* second.requests.set({ path: ["a"], value: 1 })
        for (const client of [first, second]) {
          const seen = client.state.changes.pipe(
            Stream.takeUntil(({ counter, items }) => counter === 6 && items["a"] === 1)
          )
          yield* Stream.runDrain(seen)
        }
      }),
    120_000
  )
})
