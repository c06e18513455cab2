import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted } from "effect"
import { MessageQueue, SciroccoServer } from "effect-wire/queue"
import { Budget } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { execFile, spawnSync } from "node:child_process"
import { createServer } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"

const token = "the token"

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: any
}

interface Ask {
  readonly node?: string | undefined
  readonly headers?: Record<string, string>
  readonly body?: BodyInit
  readonly token?: string | null
}

class Server extends Context.Service<Server, {
  readonly port: number
  readonly ask: (method: string, path: string, ask?: Ask) => Effect.Effect<Answer>
}>()("effect-wire/test/queue/scirocco/SciroccoServer.test/Server") {}

const makeServer = Effect.map(HttpServer.HttpServer, ({ address }): Server["Service"] => {
  const port = "port" in address ? address.port : 0
  return {
    port,
    ask: (method, path, { body, headers, node = "aa", token: shown = token } = {}) =>
      Effect.promise((signal) =>
        fetch(`http://127.0.0.1:${port}${path}`, {
          method,
          signal,
          ...(body === undefined ? {} : { body }),
          headers: {
            ...(shown === null ? {} : { authorization: shown }),
            ...(node === "" ? {} : { "Scirocco-Node-Source": node }),
            ...headers
          }
        }).then((response) =>
          response.text().then((text) => ({
            status: response.status,
            headers: response.headers,
            text,
            get json() {
              return JSON.parse(text)
            }
          }))
        )
      )
  }
})

/** A server on a port of its own. Its queue runs by the real clock, as the sockets do. */
const layer = (options?: Partial<SciroccoServer.Options>) =>
  Layer.effect(Server, makeServer).pipe(
    Layer.provideMerge(HttpRouter.serve(SciroccoServer.layer({ token: Redacted.make(token), ...options }), {
      disableLogger: true,
      disableListenLog: true
    })),
    Layer.provideMerge(Layer.fresh(MessageQueue.layerMemory())),
    Layer.provideMerge(Layer.fresh(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
  )

const test = (
  title: string,
  body: (
    ask: Server["Service"]["ask"],
    server: Server["Service"]
  ) => Effect.Effect<unknown, unknown, MessageQueue.MessageQueue>,
  options?: Partial<SciroccoServer.Options>,
  run: typeof it.live | typeof it.live.skip = it.live
) =>
  run(title, () =>
    Effect.gen(function*() {
      const server = yield* Server
      return yield* body(server.ask, server)
    }).pipe(Effect.provide(layer(options))))

const text = { "Content-Type": "text/plain", "Scirocco-Node-Destination": "bb" }
const json = { "Content-Type": "application/json", "Scirocco-Node-Destination": "bb" }
const binary = { "Content-Type": "application/octet-stream", "Scirocco-Node-Destination": "bb" }

describe("SciroccoServer", () => {
  test("every request needs the token, bare or as Bearer", (ask) =>
    Effect.gen(function*() {
      for (const wrong of [null, "", "wrong", "the tokeN", "the token and more", "Basic the token", "Bearer wrong"]) {
        const answer = yield* ask("GET", "/messageQueue", { token: wrong })
        assert.strictEqual(answer.status, 403)
        assert.isString(answer.json.message)
      }
      assert.strictEqual((yield* ask("GET", "/messageQueue")).status, 204)
      assert.strictEqual((yield* ask("GET", "/messageQueue", { token: `Bearer ${token}` })).status, 204)
      assert.strictEqual((yield* ask("DELETE", "/globalDataSpace", { token: "no" })).status, 403)
    }))

  test(
    "wrong tokens are limited by the address that they come from, behind a proxy of ours that of its client",
    (ask) =>
      Effect.gen(function*() {
        const from = (address: string, shown: string | null) =>
          Effect.map(
            ask("GET", "/messageQueue", { token: shown, headers: { "x-forwarded-for": address } }),
            ({ headers, status }) => [status, headers.get("retry-after") !== null]
          )
        for (let i = 0; i < 3; i++) assert.deepStrictEqual(yield* from("203.0.113.1", "wrong"), [403, false])
        assert.deepStrictEqual(yield* from("203.0.113.1", "wrong"), [429, true])
        assert.deepStrictEqual(yield* from("203.0.113.1", token), [429, true])
        assert.deepStrictEqual(yield* from("203.0.113.1", null), [403, false])
        assert.deepStrictEqual(yield* from("203.0.113.2", token), [204, false])
      }),
    { attempts: { perAddress: 3 }, trustedProxies: ["loopback"] }
  )

  test("a charset that nobody knows is answered 415, what is wrong in a known one 400; a byte order mark is no JSON", (ask) =>
    Effect.gen(function*() {
      const push = (type: string, body: BodyInit) =>
        Effect.map(
          ask("POST", "/messageQueue", { body, headers: { ...text, "Content-Type": type } }),
          ({ status }) => status
        )
      assert.strictEqual(yield* push("text/plain; charset=klingon", "x"), 415)
      assert.strictEqual(yield* push("text/plain; charset=utf-8", new Uint8Array([0xff])), 400)
      assert.strictEqual(yield* push("text/plain; charset=windows-1252", new Uint8Array([0xff])), 201)
      assert.strictEqual(yield* push("application/json", "\ufeff[1]"), 201)
      const batch = `\ufeff[{"node_destination":"bb","payload":1}]`
      assert.strictEqual((yield* ask("POST", "/messageQueue/batch", { body: batch })).status, 201)
    }))

  it.live("bodies under way count against the budget of the process; what has no room is answered 503", () =>
    Effect.gen(function*() {
      const { ask } = yield* Server
      const budget = yield* Budget.Budget
      const push = (length: number) => ask("POST", "/messageQueue", { body: "x".repeat(length), headers: text })
      assert.strictEqual((yield* push(40_000)).status, 201)
      const refused = yield* push(60_000)
      assert.deepStrictEqual([refused.status, refused.headers.get("retry-after")], [503, "1"])
      const batch = `[${Array.from({ length: 900 }, () => `{"payload":[[],[]]}`).join(",")}]`
      assert.strictEqual((yield* ask("POST", "/messageQueue/batch", { body: batch })).status, 503)
      assert.strictEqual(budget.taken(), 0)
    }).pipe(Effect.provide(Layer.provideMerge(layer(), Budget.layer(100_000)))))

  test("the app may let in whom it knows besides", (ask) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("GET", "/messageQueue", { token: "alice" })).status, 204)
      assert.strictEqual((yield* ask("GET", "/messageQueue", { token: "mallory" })).status, 403)
    }), { authorize: (request) => Effect.succeed(request.headers["authorization"] === "alice") })

  test("GET / describes the service", (ask) =>
    Effect.gen(function*() {
      const answer = yield* ask("GET", "/")
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(Object.keys(answer.json), ["name", "author", "source"])
    }))

  test("a push answers 201 with the location, the metadata as headers and the payload", (ask) =>
    Effect.gen(function*() {
      const answer = yield* ask("POST", "/messageQueue", {
        headers: { ...json, "Content-Type": "Application/JSON; charset=utf-8", "Scirocco-Topic": "a topic" },
        body: "{\"a\": 1}"
      })
      assert.strictEqual(answer.status, 201)
      const id = answer.headers.get("Scirocco-Id")!
      assert.match(id, /^[0-9a-f]{24}$/)
      assert.strictEqual(answer.headers.get("Location"), `/messages/${id}`)
      assert.strictEqual(answer.headers.get("Scirocco-Node-Source"), "aa")
      assert.strictEqual(answer.headers.get("Scirocco-Node-Destination"), "bb")
      assert.strictEqual(answer.headers.get("Scirocco-Topic"), "a topic")
      assert.strictEqual(answer.headers.get("Scirocco-Status"), "pending")
      assert.strictEqual(answer.headers.get("Scirocco-Tries"), "0")
      assert.strictEqual(answer.headers.get("Scirocco-Payload-Type"), "application/json")
      assert.isFalse(Number.isNaN(Date.parse(answer.headers.get("Scirocco-Created-Time")!)))
      for (const absent of ["Update", "Scheduled", "Processing", "Processed", "Error"]) {
        assert.strictEqual(answer.headers.get(`Scirocco-${absent}-Time`), null)
      }
      assert.deepStrictEqual(answer.json, { a: 1 })
    }))

  test("push, pull and ack, as clients of the original do", (ask) =>
    Effect.gen(function*() {
      const pushed = yield* ask("POST", "/messageQueue", { headers: text, body: "hello" })
      const id = pushed.headers.get("Scirocco-Id")!
      assert.strictEqual((yield* ask("GET", "/messageQueue")).status, 204)
      const pulled = yield* ask("GET", "/messageQueue", { node: "bb" })
      assert.strictEqual(pulled.status, 200)
      assert.strictEqual(pulled.headers.get("Scirocco-Id"), id)
      assert.strictEqual(pulled.headers.get("Scirocco-Status"), "processing")
      assert.strictEqual(pulled.headers.get("Scirocco-Tries"), "1")
      assert.isNotNull(pulled.headers.get("Scirocco-Processing-Time"))
      assert.strictEqual(pulled.text, "hello")
      assert.strictEqual((yield* ask("GET", "/messageQueue", { node: "bb" })).status, 204)
      const byOther = yield* ask("PATCH", `/messageQueue/${id}/ack`)
      assert.strictEqual(byOther.status, 404)
      assert.deepStrictEqual(byOther.json, { message: "Resource not found." })
      const acked = yield* ask("PATCH", `/messageQueue/${id}/ack`, { node: "bb" })
      assert.strictEqual(acked.status, 200)
      assert.strictEqual(acked.headers.get("Scirocco-Status"), "processed")
      assert.isNotNull(acked.headers.get("Scirocco-Processed-Time"))
      assert.strictEqual(acked.text, "hello")
      assert.strictEqual((yield* ask("PATCH", `/messageQueue/${id}/ack`, { node: "bb" })).status, 404)
    }))

  test("a binary payload answers its push as bytes, and comes back as a JSON string of its base64", (ask) =>
    Effect.gen(function*() {
      const bytes = Uint8Array.from([0, 255, 10, 13, 128])
      const pushed = yield* ask("POST", "/messageQueue", {
        headers: { ...binary, "Scirocco-Payload-Type": "image/x-odd" },
        body: bytes
      })
      assert.strictEqual(pushed.status, 201)
      const pulled = yield* ask("GET", "/messageQueue", { node: "bb" })
      assert.strictEqual(pulled.headers.get("Scirocco-Payload-Type"), "image/x-odd")
      assert.strictEqual(pulled.json, Buffer.from(bytes).toString("base64"))
      const id = pulled.headers.get("Scirocco-Id")
      assert.strictEqual((yield* ask("GET", `/messages/${id}`)).json, Buffer.from(bytes).toString("base64"))
      const [listed] = (yield* ask("GET", "/messages")).json
      assert.strictEqual(listed.payload, Buffer.from(bytes).toString("base64"))
      assert.strictEqual(listed.payload_type, "image/x-odd")
    }))

  test("text is read in its charset; without one it is UTF-8, or Latin-1 byte for byte", (ask) =>
    Effect.gen(function*() {
      const push = (contentType: string, bytes: ReadonlyArray<number>) =>
        ask("POST", "/messageQueue", {
          headers: { ...text, "Content-Type": contentType },
          body: Uint8Array.from(bytes)
        })
      assert.strictEqual((yield* push("text/plain; charset=ISO-8859-1", [0xe9])).text, "é")
      assert.strictEqual((yield* push("text/plain;charset=\"utf-8\"", [0xc3, 0xa9])).text, "é")
      const every = Array.from({ length: 256 }, (_, byte) => byte)
      for (const body of [[0xe9], [0xc3], [0xff, 0xfe, 0x41], [0xed, 0xa0, 0x80], [0xc0, 0x80], every]) {
        const answer = yield* push("text/plain", body)
        assert.strictEqual(answer.status, 201)
        assert.strictEqual(answer.text, Buffer.from(body).toString("latin1"))
        const refused = yield* push("text/plain; charset=utf-8", body)
        assert.strictEqual(refused.status, 400)
        assert.isDefined(refused.json.errors.payload)
      }
      assert.strictEqual((yield* push("text/plain; charset=klingon", [65])).status, 415)
    }))

  test(
    "header names of the wire are spelled as the original spells them, on every answer",
    (ask, server) =>
      Effect.gen(function*() {
        const names = (answer: string) =>
          answer.split("\r\n").map((line) => line.split(":", 1)[0]!).filter((name) => /^scirocco-/i.test(name))
        const say = (method: string, path: string, node: string, headers: ReadonlyArray<string> = [], body = "") =>
          raw(server.port, [
            `${method} ${path} HTTP/1.1`,
            "Host: x",
            `Authorization: ${token}`,
            `Scirocco-Node-Source: ${node}`,
            ...headers,
            `Content-Length: ${body.length}`,
            "",
            body
          ])
        const message = [
          "Scirocco-Id",
          "Scirocco-Node-Source",
          "Scirocco-Node-Destination",
          "Scirocco-Status",
          "Scirocco-Tries",
          "Scirocco-Payload-Type",
          "Scirocco-Payload-Kind",
          "Scirocco-Priority",
          "Scirocco-Max-Tries",
          "Scirocco-Topic",
          "Scirocco-Created-Time"
        ]
        const pushed = yield* say("POST", "/messageQueue", "aa", [
          "Content-Type: text/plain",
          "Scirocco-Node-Destination: bb",
          "Scirocco-Topic: t"
        ], "x")
        assert.deepStrictEqual(names(pushed), message)
        assert.deepStrictEqual(names(yield* say("GET", "/messageQueue", "bb")), [
          ...message,
          "Scirocco-Processing-Time",
          "Scirocco-Lease",
          "Scirocco-Lease-Expires"
        ])
        const id = /Scirocco-Id: (\w+)/.exec(pushed)![1]
        assert.deepStrictEqual(names(yield* say("HEAD", `/messages/${id}`, "aa")), [
          ...message,
          "Scirocco-Processing-Time"
        ])
        assert.include(yield* say("PATCH", `/messageQueue/${id}/ack`, "bb"), "Scirocco-Processed-Time: ")
        assert.include(yield* say("GET", "/messages?limit=1", "aa"), "Scirocco-Cursor: ")
        assert.match(pushed, /^HTTP\/1.1 201 Created\r\n/)
        assert.include(pushed.toLowerCase(), "\r\ncontent-length: 1\r\n")
        yield* ask("DELETE", "/globalDataSpace")
      })
  )

  const withPython = spawnSync("python3", ["--version"]).status === 0 ? it.live : it.live.skip
  test(
    "a client in Python that compares header names, as the original's does, works with it",
    (_, { port }) =>
      Effect.gen(function*() {
        const story = yield* python(["http://127.0.0.1:" + port, "af123", token])
        assert.isDefined(story.pushed.id)
        assert.strictEqual(story.received.length, 5)
        for (const { acked, metadata } of story.received) {
          assert.strictEqual(acked, "processed")
          assert.match(metadata.id, /^[0-9a-f]{24}$/)
          assert.strictEqual(metadata.node_source, "af123")
          assert.strictEqual(metadata.node_destination, "af123")
          assert.strictEqual(metadata.status, "processing")
          assert.strictEqual(metadata.tries, "1")
          assert.isString(metadata.created_time)
          assert.isString(metadata.processing_time)
        }
        const every = Buffer.from(Uint8Array.from({ length: 256 }, (_, byte) => byte)).toString("base64")
        assert.deepStrictEqual(story.received.map((one: any) => [one.metadata.payload_type, one.payload]), [
          ["application/json", { type: "message", n: Number("12345678901234567890") }],
          ["text/plain", "plain words: café"],
          ["application/json", "a JSON string: café"],
          ["text/plain", "0123456789"],
          ["image/x-odd", every]
        ])
        assert.include(story.text, "\"n\": 12345678901234567890")
        assert.strictEqual(story.listed.length, 6)
        assert.strictEqual(story.one[1].status, "processed")
        assert.strictEqual(story.updated[2], "now naïve")
        assert.deepStrictEqual(story.deleted[2], { ok: 1, n: 1 })
      }),
    {},
    withPython
  )

  test("numbers come back digit for digit, and those that JSON cannot hold are refused", (ask) =>
    Effect.gen(function*() {
      const push = (body: string) => ask("POST", "/messageQueue", { headers: json, body })
      const exact =
        "{\"id\":12345678901234567890,\"pi\":3.14159265358979323846264338,\"ten\":[1e3,-0,0.10],\"s\":\"1e999\"}"
      assert.strictEqual((yield* push(exact)).text, exact)
      const pulled = yield* ask("GET", "/messageQueue", { node: "bb" })
      assert.strictEqual(pulled.text, exact)
      assert.include((yield* ask("GET", "/messages", { node: "bb" })).text, `"payload":${exact}`)
      assert.strictEqual((yield* push("[-0]")).text, "[-0]")
      yield* ask("GET", "/messageQueue", { node: "bb" })
      for (const body of ["1e400", "[-1e999]", "{\"a\":{\"b\":1" + "0".repeat(400) + "}}"]) {
        const refused = yield* push(body)
        assert.strictEqual(refused.status, 400)
        assert.isDefined(refused.json.errors.payload)
      }
      const batch = `[{"node_destination":"bb","payload_type":"x","payload":${exact}},
        {"payload": 18014398509481985 , "node_destination":"bb"}]`
      assert.strictEqual((yield* ask("POST", "/messageQueue/batch", { headers: json, body: batch })).status, 201)
      const several = yield* ask("GET", "/messageQueue?max=10", { node: "bb" })
      assert.include(several.text, `"payload":${exact}`)
      assert.include(several.text, "\"payload\":18014398509481985}")
      // A program reads the nearest number; the text and the value cannot part.
      const queue = yield* MessageQueue.MessageQueue
      const [message] = (yield* queue.list({ node: "bb" })).messages
      const value = message!.payload.value as { id: number }
      assert.strictEqual(value.id, Number("12345678901234567890"))
      assert.throws(() => void (value.id = 1), TypeError)
      assert.strictEqual((yield* Effect.flip(queue.push("bb", { a: [Infinity] }))).reason._tag, "InvalidMessage")
      assert.strictEqual((yield* queue.push("bb", { a: null, b: 1e300 })).status, "pending")
    }))

  test("times beyond the calendar are refused, and harm no list", (ask) =>
    Effect.gen(function*() {
      yield* ask("POST", "/messageQueue", { headers: text, body: "x" })
      const pulled = yield* ask("GET", "/messageQueue", { node: "bb" })
      const id = pulled.headers.get("Scirocco-Id")
      const lease = { "Scirocco-Lease": pulled.headers.get("Scirocco-Lease")!, "Content-Type": "application/json" }
      const say = (word: string, body: string) =>
        ask("PATCH", `/messageQueue/${id}/${word}`, { node: "bb", headers: lease, body })
      for (const millis of ["8.6e15", "8639000000000000", "1e300", "1e999"]) {
        assert.strictEqual((yield* say("nack", `{"delay": ${millis}}`)).status, 400)
        assert.strictEqual((yield* say("extend", `{"lease": ${millis}}`)).status, 400)
      }
      for (const delay of ["8639000000000000", "9".repeat(400)]) {
        const headers = { ...text, "Scirocco-Status": "scheduled", "Scirocco-Delay": delay }
        assert.strictEqual((yield* ask("POST", "/messageQueue", { headers, body: "x" })).status, 400)
        const lease = { "Scirocco-Lease-Time": delay }
        assert.strictEqual((yield* ask("GET", "/messageQueue", { node: "bb", headers: lease })).status, 400)
      }
      for (const node of ["aa", "bb"]) assert.strictEqual((yield* ask("GET", "/messages", { node })).status, 200)
      assert.strictEqual((yield* say("nack", "{\"delay\": 1000}")).status, 200)
    }))

  test("several messages are pushed, pulled and acknowledged in one request each", (ask) =>
    Effect.gen(function*() {
      const batch = (body: unknown) => ask("POST", "/messageQueue/batch", { headers: json, body: JSON.stringify(body) })
      const pushed = yield* batch([
        { node_destination: "bb", payload: { a: 1 }, topic: "t", priority: 2 },
        { node_destination: "bb", payload: "text", payload_kind: "text", payload_type: "letter", ordering_key: "k" },
        { node_destination: "bb", payload: "AP8=", payload_kind: "binary" },
        { node_destination: "bb", payload: null, delay: 3_600_000 }
      ])
      assert.strictEqual(pushed.status, 201)
      assert.deepStrictEqual(pushed.json.map((one: any) => [one.status, one.payload_kind, one.payload]), [
        ["pending", "json", { a: 1 }],
        ["pending", "text", "text"],
        ["pending", "binary", "AP8="],
        ["scheduled", "json", null]
      ])
      const pulled = yield* ask("GET", "/messageQueue?max=10", { node: "bb" })
      assert.deepStrictEqual(pulled.json.map((one: any) => one.payload), [{ a: 1 }, "text", "AP8="])
      const held = pulled.json.map((one: any) => ({ id: one._id, lease: one.lease }))
      const acked = yield* ask("PATCH", "/messageQueue/ack", {
        node: "bb",
        headers: json,
        body: JSON.stringify([...held, { id: "ff", lease: "x" }, { id: held[0].id, lease: "another" }])
      })
      assert.deepStrictEqual(acked.json, { ok: 1, n: 3, lost: ["ff", held[0].id] })
      assert.strictEqual((yield* ask("GET", "/messageQueue?max=10", { node: "bb" })).status, 204)
      // All or none, and what is wrong is named.
      for (
        const [field, entry] of [
          ["node_destination", { payload: 1 }],
          ["node_destination", { node_destination: "no hex", payload: 1 }],
          ["payload", { node_destination: "bb" }],
          ["payload", { node_destination: "bb", payload: "?", payload_kind: "binary" }],
          ["payload", { node_destination: "bb", payload: 1, payload_kind: "odd" }],
          ["priority", { node_destination: "bb", payload: 1, priority: 1e9 }],
          ["scheduled_time", { node_destination: "bb", payload: 1, scheduled_time: "soon" }]
        ] as const
      ) {
        const refused = yield* batch([{ node_destination: "bb", payload: 1 }, entry])
        assert.strictEqual(refused.status, 400)
        assert.deepStrictEqual(Object.keys(refused.json.errors), [field])
      }
      assert.strictEqual((yield* batch("x")).status, 400)
      assert.strictEqual((yield* batch([{ node_destination: "bb", payload: "x".repeat(102_401) }])).status, 413)
      assert.strictEqual((yield* ask("GET", "/messageQueue?max=0", { node: "bb" })).status, 400)
      assert.strictEqual((yield* ask("GET", "/messageQueue?max=1", { node: "bb" })).status, 204)
    }))

  test("a push that is not right is told what is wrong", (ask) =>
    Effect.gen(function*() {
      const push = (headers: Record<string, string>, body: BodyInit = "x", node = "aa") =>
        ask("POST", "/messageQueue", { node, headers: { ...text, ...headers }, body })
      for (const contentType of ["text/html", "application/xml", "multipart/form-data; boundary=x", "nonsense"]) {
        const answer = yield* push({ "Content-Type": contentType })
        assert.strictEqual(answer.status, 400)
        for (const name of ["application/json", "text/plain", "application/octet-stream"]) {
          assert.include(answer.json.message, name)
        }
      }
      const field = (answer: Answer) => [answer.status, ...Object.keys(answer.json.errors)]
      const noDestination = yield* ask("POST", "/messageQueue", {
        headers: { "Content-Type": "text/plain" },
        body: "x"
      })
      assert.deepStrictEqual(field(noDestination), [400, "node_destination"])
      for (const bad of ["xyz", "", "a b", "' OR 1=1", "é", "a".repeat(129)]) {
        assert.deepStrictEqual(field(yield* push({ "Scirocco-Node-Destination": bad })), [400, "node_destination"])
      }
      assert.deepStrictEqual(field(yield* push({}, "x", "xyz")), [400, "node_source"])
      assert.deepStrictEqual(field(yield* push({}, "x", "")), [400, "node_source"])
      assert.deepStrictEqual(field(yield* push({ "Scirocco-Payload-Type": "t".repeat(31) })), [400, "payload_type"])
      assert.strictEqual((yield* push({ "Scirocco-Payload-Type": "t".repeat(30) })).status, 201)
      assert.deepStrictEqual(field(yield* push({ "Scirocco-Priority": "high" })), [400, "priority"])
      assert.deepStrictEqual(field(yield* push({ "Scirocco-Topic": "é" })), [400, "topic"])
      for (const bad of ["", "{", "{\"a\":1}}", "undefined", "NaN", "'x'"]) {
        assert.deepStrictEqual(field(yield* push({ "Content-Type": "application/json" }, bad)), [400, "payload"])
      }
      assert.strictEqual((yield* push({ "Scirocco-Status": "nonsense" })).headers.get("Scirocco-Status"), "pending")
    }))

  test("a scheduled message needs a time that is one and has not passed", (ask) =>
    Effect.gen(function*() {
      const push = (time?: string) =>
        ask("POST", "/messageQueue", {
          headers: {
            ...text,
            "Scirocco-Status": "scheduled",
            ...(time === undefined ? {} : { "Scirocco-Scheduled-Time": time })
          },
          body: "later"
        })
      const without = yield* push()
      assert.strictEqual(without.status, 400)
      assert.strictEqual(
        without.json.message,
        "An scheduled message requires the scheduled time header to be set."
      )
      const bad = [
        "",
        "soon",
        "2099-02-30T00:00:00Z",
        "2099-13-01T00:00:00Z",
        "2099-01-01T25:00:00Z",
        "1 2 3",
        "99999999999999999999",
        "2099-01-01T00:00:00 Mars",
        "1999-12-31T23:59:59Z",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "0",
        "-1"
      ]
      for (const time of bad) {
        const answer = yield* push(time)
        assert.strictEqual(answer.status, 400, time)
        assert.isDefined(answer.json.errors.scheduled_time, time)
      }
      const time = Date.UTC(2099, 0, 1, 12, 30, 15)
      const good = [
        "2099-01-01T12:30:15Z",
        "2099-01-01T12:30:15",
        "2099-01-01 12:30:15.000",
        "2099-01-01T14:30:15+02:00",
        "2099-01-01T14:30:15+0200",
        "Thu, 01 Jan 2099 12:30:15 GMT",
        "Thu Jan 01 2099 12:30:15 GMT+0000 (Coordinated Universal Time)",
        String(time)
      ]
      for (const spelled of good) {
        const answer = yield* push(spelled)
        assert.strictEqual(answer.status, 201, spelled)
        assert.strictEqual(answer.headers.get("Scirocco-Status"), "scheduled")
        assert.strictEqual(Date.parse(answer.headers.get("Scirocco-Scheduled-Time")!), time, spelled)
      }
      assert.strictEqual((yield* ask("GET", "/messageQueue", { node: "bb" })).status, 204)
    }))

  test(
    "payloads at the limit pass, and over it are refused with 413, however their length is told",
    (ask, server) =>
      Effect.gen(function*() {
        const push = (headers: Record<string, string>, body: BodyInit, extra?: object) =>
          ask("POST", "/messageQueue", { headers, body, ...extra })
        assert.strictEqual((yield* push(text, "x".repeat(102_400))).status, 201)
        assert.strictEqual((yield* push(json, JSON.stringify("x".repeat(102_398)))).status, 201)
        assert.strictEqual((yield* push(binary, new Uint8Array(1_024_000))).status, 201)
        for (const [headers, size] of [[text, 102_401], [json, 102_401], [binary, 1_024_001], [json, 1e12]] as const) {
          const answer = yield* raw(server.port, [
            "POST /messageQueue HTTP/1.1",
            "Host: x",
            `Authorization: ${token}`,
            "Scirocco-Node-Source: aa",
            ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
            `Content-Length: ${size}`,
            "",
            ""
          ])
          // Nothing of the body was sent: it is refused before it is read.
          assert.match(answer, /^HTTP\/1.1 413 /)
        }
        const chunked = yield* raw(server.port, [
          "POST /messageQueue HTTP/1.1",
          "Host: x",
          `Authorization: ${token}`,
          "Scirocco-Node-Source: aa",
          ...Object.entries(text).map(([name, value]) => `${name}: ${value}`),
          "Transfer-Encoding: chunked",
          "",
          `20000\r\n${"x".repeat(0x20000)}\r\n`
        ])
        assert.match(chunked, /^HTTP\/1.1 413 /)
        assert.strictEqual((yield* ask("GET", "/messages", { node: "bb" })).json.length, 3)
      })
  )

  test("a body that does not come is not waited for", (_, server) =>
    Effect.gen(function*() {
      const answer = yield* raw(server.port, [
        "POST /messageQueue HTTP/1.1",
        "Host: x",
        `Authorization: ${token}`,
        "Scirocco-Node-Source: aa",
        ...Object.entries(text).map(([name, value]) => `${name}: ${value}`),
        "Content-Length: 10",
        "",
        "slow"
      ])
      assert.match(answer, /^HTTP\/1.1 408 /)
      assert.deepStrictEqual((yield* (yield* MessageQueue.MessageQueue).list()).messages, [])
    }), { bodyTimeout: "100 millis" })

  test("headers with line breaks never reach the queue", (_, server) =>
    Effect.gen(function*() {
      const answer = yield* raw(server.port, [
        "POST /messageQueue HTTP/1.1",
        "Host: x",
        `Authorization: ${token}`,
        "Scirocco-Node-Source: aa",
        "Scirocco-Topic: one\rtwo",
        ...Object.entries(text).map(([name, value]) => `${name}: ${value}`),
        "Content-Length: 1",
        "",
        "x"
      ])
      assert.match(answer, /^HTTP\/1.1 400 /)
      const queue = yield* MessageQueue.MessageQueue
      assert.deepStrictEqual((yield* queue.list()).messages, [])
      // Nor do they leave it: a cause with line breaks is one header.
      yield* queue.push("bb", "x", { source: "aa" })
      const [delivery] = yield* queue.pullMany("bb")
      yield* queue.nack(delivery!, { cause: "first line\r\nSet-Cookie: é😀" })
      const again = yield* server.ask("GET", "/messageQueue", { node: "bb" })
      assert.strictEqual(decodeURIComponent(again.headers.get("Scirocco-Error")!), "first line\r\nSet-Cookie: é😀")
      assert.strictEqual(again.headers.get("Set-Cookie"), null)
    }))

  test("ids that are not hexadecimal, or another node's, are not found", (ask) =>
    Effect.gen(function*() {
      const id = (yield* ask("POST", "/messageQueue", { headers: text, body: "x" })).headers.get("Scirocco-Id")!
      for (const path of ["zz", "1'%20OR%20'1'='1", "%00", "..%2f", "ffffffffffffffffffffffff", "a".repeat(65)]) {
        assert.strictEqual((yield* ask("GET", `/messages/${path}`)).status, 404)
        assert.strictEqual((yield* ask("PATCH", `/messages/${path}`, { headers: text, body: "x" })).status, 404)
        assert.strictEqual((yield* ask("PATCH", `/messageQueue/${path}/ack`)).status, 404)
      }
      assert.strictEqual((yield* ask("GET", `/messages/${id.toUpperCase()}`)).status, 200)
      assert.strictEqual((yield* ask("GET", `/messages/${id}`, { node: "bb" })).status, 200)
      assert.strictEqual((yield* ask("GET", `/messages/${id}`, { node: "cc" })).status, 404)
      assert.strictEqual((yield* ask("GET", `/messages/${id}`, { node: "" })).status, 404)
      assert.strictEqual((yield* ask("PATCH", `/messages/${id}`, { node: "bb", headers: text, body: "y" })).status, 404)
      assert.deepStrictEqual((yield* ask("DELETE", `/messages/${id}`, { node: "bb" })).json, { ok: 1, n: 0 })
      assert.strictEqual((yield* ask("GET", `/messages/${id}`, { node: "no hex" })).status, 400)
    }))

  test("the sender replaces and removes what waits; the answer counts", (ask) =>
    Effect.gen(function*() {
      const push = () => ask("POST", "/messageQueue", { headers: text, body: "x" })
      const id = (yield* push()).headers.get("Scirocco-Id")!
      const updated = yield* ask("PATCH", `/messages/${id}`, { headers: json, body: "[1]" })
      assert.strictEqual(updated.status, 200)
      assert.deepStrictEqual(updated.json, [1])
      assert.strictEqual(updated.headers.get("Scirocco-Payload-Type"), "text/plain")
      assert.isNotNull(updated.headers.get("Scirocco-Update-Time"))
      assert.deepStrictEqual((yield* ask("DELETE", `/messages/${id}`)).json, { ok: 1, n: 1 })
      assert.deepStrictEqual((yield* ask("DELETE", `/messages/${id}`)).json, { ok: 1, n: 0 })
      yield* push()
      yield* push()
      yield* push()
      yield* ask("GET", "/messageQueue", { node: "bb" })
      assert.deepStrictEqual((yield* ask("DELETE", "/messages", { node: "bb" })).json, { ok: 1, n: 0 })
      assert.deepStrictEqual((yield* ask("DELETE", "/messages")).json, { ok: 1, n: 2 })
      assert.deepStrictEqual((yield* ask("DELETE", "/globalDataSpace")).json, { ok: 1, n: 1 })
    }))

  test("a list has at most so many, oldest first, and 204 when it is empty", (ask) =>
    Effect.gen(function*() {
      assert.strictEqual((yield* ask("GET", "/messages")).status, 204)
      for (const n of [1, 2, 3, 4, 5, 6, 7]) yield* ask("POST", "/messageQueue", { headers: json, body: String(n) })
      const payloads = (answer: Answer) => answer.json.map((message: any) => message.payload)
      assert.deepStrictEqual(payloads(yield* ask("GET", "/messages")), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(payloads(yield* ask("GET", "/messages?limit=100", { node: "bb" })), [1, 2, 3, 4, 5])
      const first = yield* ask("GET", "/messages?limit=2")
      assert.deepStrictEqual(payloads(first), [1, 2])
      const next = yield* ask("GET", `/messages?limit=2&cursor=${first.headers.get("Scirocco-Cursor")}`)
      assert.deepStrictEqual(payloads(next), [3, 4])
      for (const bad of ["0", "-1", "x", "1e9", "1'"]) {
        assert.strictEqual((yield* ask("GET", `/messages?limit=${bad}`)).status, 400)
      }
      assert.strictEqual((yield* ask("GET", "/messages", { node: "" })).status, 204)
    }), { maxList: 5 })

  test("a cursor that no page gave is refused, by name", (ask) =>
    Effect.gen(function*() {
      yield* ask("POST", "/messageQueue", { headers: json, body: "1" })
      for (const odd of ["abc", "", "-1", "1.5", "1e3", "0x1", "1'", "%00", "9".repeat(30), "Infinity"]) {
        const answer = yield* ask("GET", `/messages?cursor=${odd}`)
        assert.strictEqual(answer.status, 400, odd)
        assert.deepStrictEqual(Object.keys(answer.json.errors), ["cursor"])
      }
      // One beyond the end is a page without messages.
      assert.strictEqual((yield* ask("GET", "/messages?cursor=999999999999999")).status, 204)
    }))

  test(
    "a message that was pulled over a connection that is cut comes back, and its former holder is refused",
    (ask, { port }) =>
      Effect.gen(function*() {
        const id = (yield* ask("POST", "/messageQueue", { headers: json, body: "1" })).headers.get("Scirocco-Id")
        const line = `Authorization: ${token}\r\nHost: x\r\nScirocco-Node-Source: bb`
        // Reads its answer and is gone, without a word: what it was given is its own until the lease ends.
        const first = yield* raw(port, ["GET /messageQueue HTTP/1.1", line, "Scirocco-Lease-Time: 0.3", "", ""])
        const lease = (answer: string) => /^Scirocco-Lease: (.*)$/m.exec(answer)![1]!.trim()
        assert.include(first, `Scirocco-Id: ${id}`)
        assert.strictEqual((yield* ask("GET", "/messageQueue", { node: "bb" })).status, 204)
        const again = yield* ask("GET", "/messageQueue?wait=10", { node: "bb" })
        assert.strictEqual(again.headers.get("Scirocco-Id"), id)
        assert.strictEqual(again.headers.get("Scirocco-Tries"), "2")
        // An ack that is still under way when its connection dies is heard, and it is not the holder's.
        const ack = (shown: string) =>
          raw(port, [`PATCH /messageQueue/${id}/ack HTTP/1.1`, line, `Scirocco-Lease: ${shown}`, "", ""])
        assert.match(yield* ack(lease(first)), /^HTTP\/1.1 409 /)
        yield* cut(port, [
          `PATCH /messageQueue/${id}/ack HTTP/1.1`,
          line,
          `Scirocco-Lease: ${lease(first)}`,
          "",
          ""
        ])
        assert.strictEqual((yield* ask("GET", `/messages/${id}`)).headers.get("Scirocco-Status"), "processing")
        assert.match(yield* ack(again.headers.get("Scirocco-Lease")!), /^HTTP\/1.1 200 /)
        assert.match(yield* ack(again.headers.get("Scirocco-Lease")!), /^HTTP\/1.1 409 /)
      })
  )

  test("a pull may wait, and one whose client goes away holds nothing", (ask) =>
    Effect.gen(function*() {
      const gone = yield* Effect.forkChild(ask("GET", "/messageQueue?wait=30", { node: "bb" }))
      yield* Effect.sleep("50 millis")
      yield* Fiber.interrupt(gone)
      const waiting = yield* Effect.forkChild(ask("GET", "/messageQueue?wait=30", { node: "bb" }))
      yield* Effect.sleep("50 millis")
      yield* ask("POST", "/messageQueue", { headers: text, body: "x" })
      assert.strictEqual((yield* Fiber.join(waiting)).text, "x")
      assert.strictEqual((yield* ask("GET", "/messageQueue?wait=0.05", { node: "bb" })).status, 204)
      assert.strictEqual((yield* ask("GET", "/messageQueue?wait=long", { node: "bb" })).status, 400)
    }))

  test("with the lease header the holder alone acknowledges, extends and gives back", (ask) =>
    Effect.gen(function*() {
      yield* ask("POST", "/messageQueue", { headers: text, body: "x" })
      const pull = () => ask("GET", "/messageQueue", { node: "bb", headers: { "Scirocco-Lease-Time": "0.05" } })
      const first = yield* pull()
      const id = first.headers.get("Scirocco-Id")!
      assert.isNotNull(first.headers.get("Scirocco-Lease-Expires"))
      yield* Effect.sleep("60 millis")
      const second = yield* ask("GET", "/messageQueue", { node: "bb" })
      assert.strictEqual(second.headers.get("Scirocco-Tries"), "2")
      const say = (word: string, by: Answer, body?: string) =>
        ask("PATCH", `/messageQueue/${id}/${word}`, {
          node: "bb",
          headers: { "Scirocco-Lease": by.headers.get("Scirocco-Lease")!, "Content-Type": "application/json" },
          ...(body === undefined ? {} : { body })
        })
      for (const word of ["ack", "nack", "extend", "reject", "release"]) {
        assert.strictEqual((yield* say(word, first)).status, 409)
      }
      assert.strictEqual((yield* say("extend", second, "{\"lease\": 60000}")).status, 200)
      assert.strictEqual((yield* say("extend", second, "{\"lease\": \"long\"}")).status, 400)
      const nacked = yield* say("nack", second, "{\"cause\": \"not now\"}")
      assert.strictEqual(nacked.headers.get("Scirocco-Status"), "pending")
      assert.strictEqual(nacked.headers.get("Scirocco-Error"), "not%20now")
    }))

  test("HEAD changes nothing, OPTIONS says what there is, unknown routes are not found", (ask) =>
    Effect.gen(function*() {
      const id = (yield* ask("POST", "/messageQueue", { headers: text, body: "x" })).headers.get("Scirocco-Id")!
      const head = yield* ask("HEAD", `/messages/${id}`)
      assert.strictEqual(head.status, 200)
      assert.strictEqual(head.headers.get("Scirocco-Id"), id)
      assert.strictEqual(head.text, "")
      assert.strictEqual((yield* ask("HEAD", "/messageQueue", { node: "bb" })).status, 405)
      assert.strictEqual((yield* ask("GET", `/messages/${id}`)).headers.get("Scirocco-Status"), "pending")
      const options = yield* ask("OPTIONS", "/messageQueue", { token: null })
      assert.strictEqual(options.status, 204)
      assert.strictEqual(options.headers.get("Allow"), "GET, POST, OPTIONS")
      assert.strictEqual((yield* ask("GET", "/nothing")).status, 404)
      assert.strictEqual((yield* ask("PUT", "/messages")).status, 404)
    }))

  test("10,000 pulls wait on an empty queue, and one message ends one of them", (ask) =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const fibers = yield* Effect.forEach(Array.from({ length: 10_000 }), () =>
        Effect.forkChild(queue.pull("bb", { wait: "5 minutes" })))
      yield* Effect.sleep("50 millis")
      const answer = yield* ask("POST", "/messageQueue", { headers: text, body: "x" })
      assert.strictEqual(answer.status, 201)
      yield* Effect.sleep("50 millis")
      assert.strictEqual(
        fibers.filter((fiber) =>
          fiber.pollUnsafe() !== undefined
        ).length,
        1
      )
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual((yield* ask("GET", "/messageQueue", { node: "bb" })).status, 204)
    }))
})

/** What a server answers to these bytes, until it closes or has answered. */
const raw = (port: number, lines: ReadonlyArray<string>) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(lines.join("\r\n")))
    socket.on("data", (data) => {
      answer += data.toString("latin1")
      if (answer.includes("\r\n\r\n")) {
        resume(Effect.succeed(answer))
        socket.destroy()
      }
    })
    socket.on("error", (error) => resume(answer === "" ? Effect.die(error) : Effect.succeed(answer)))
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

/** Sends these bytes and cuts the connection, before any answer. */
const cut = (port: number, lines: ReadonlyArray<string>) =>
  Effect.callback<void>((resume) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(lines.join("\r\n"), () => socket.resetAndDestroy()))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.void))
  })

/** The story of `client.py`, as it was printed and as a value. */
const python = (args: ReadonlyArray<string>) =>
  Effect.callback<any>((resume) => {
    const child = execFile(
      "python3",
      [join(import.meta.dirname, "client.py"), ...args],
      { timeout: 25_000 },
      (error, out, said) =>
        resume(error === null ? Effect.succeed({ ...JSON.parse(out), text: out }) : Effect.die(new Error(said)))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })
