import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { BasicAuth } from "effect-wire/identity"
import {
  JugglerClient,
  JugglerConnection,
  JugglerGeneration,
  JugglerServer,
  JugglerState,
  StaticFiles
} from "effect-wire/juggler"
import { NodeHtpasswd, NodeStreamSocket, NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Framing, TrustedProxies } from "effect-wire/socket"
import { Headers, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const serve = (
  routes: Layer.Layer<never, any, any>,
  evaluate: () => Http.Server = () => Http.createServer()
) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      HttpRouter.serve(routes as Layer.Layer<never, never, HttpRouter.HttpRouter>, {
        disableLogger: true,
        disableListenLog: true
      }).pipe(
        Layer.provideMerge(NodeWebSocketServer.layerHttp(evaluate, { port: 0 }))
      )
    )
    const { address } = yield* Effect.provideContext(Effect.service(HttpServer.HttpServer), context)
    return address._tag === "UnixPathAddress" ? 0 : address.port
  })

interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: string
}

/** A request whose path is sent as it is. */
const get = (port: number, path: string, headers: Record<string, string> = {}, method = "GET") =>
  Effect.callback<Answer>((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, path, headers, method }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (data) => (body += data))
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, body }))
      )
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end()
  })

const files = Effect.acquireRelease(
  Effect.sync(() => {
    const base = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-static-"))
    const root = Path.join(base, "root")
    Fs.mkdirSync(Path.join(root, "sub"), { recursive: true })
    Fs.mkdirSync(Path.join(base, "root-beside"))
    Fs.writeFileSync(Path.join(base, "secret.txt"), "secret")
    Fs.writeFileSync(Path.join(base, "root-beside", "secret.txt"), "secret")
    Fs.writeFileSync(Path.join(root, "index.html"), "<h1>hello</h1>")
    Fs.writeFileSync(Path.join(root, "digits.txt"), "0123456789")
    Fs.writeFileSync(Path.join(root, "sub", "a b.txt"), "blank")
    for (const directory of [".git", ".well-known"]) {
      Fs.mkdirSync(Path.join(root, directory))
      Fs.writeFileSync(Path.join(root, directory, "config"), "[core]")
    }
    Fs.writeFileSync(Path.join(root, ".env"), "PASSWORD=secret")
    Fs.symlinkSync(Path.join(base, "secret.txt"), Path.join(root, "link.txt"))
    Fs.symlinkSync(base, Path.join(root, "out"))
    Fs.symlinkSync(Path.join(root, "digits.txt"), Path.join(root, "inside.txt"))
    return { base, root }
  }),
  ({ base }) => Effect.sync(() => Fs.rmSync(base, { recursive: true }))
)

describe("StaticFiles", () => {
  it.live("serves files inside the root and nothing else", () =>
    Effect.gen(function*() {
      const { root } = yield* files
      const port = yield* serve(StaticFiles.layer({ root }))
      assert.deepInclude(yield* get(port, "/index.html"), { status: 200, body: "<h1>hello</h1>" })
      assert.deepInclude(yield* get(port, "/sub/a%20b.txt?x=1"), { status: 200, body: "blank" })
      assert.deepInclude(yield* get(port, "/inside.txt"), { status: 200, body: "0123456789" })
      assert.deepInclude(yield* get(port, "/.well-known/config"), { status: 200, body: "[core]" })
      for (
        const path of [
          "/link.txt",
          "/.env",
          "/%2eenv",
          "/.git/config",
          "/out/secret.txt",
          "/out/root/index.html/../../secret.txt",
          "/../secret.txt",
          "/%2e%2e/secret.txt",
          "/..%2fsecret.txt",
          "/sub/../../secret.txt",
          "/sub/..%2f..%2fsecret.txt",
          "/../root-beside/secret.txt",
          "/..%5csecret.txt",
          "//etc/passwd",
          "/%00",
          "/index.html%00.txt",
          "/%ff",
          "/sub",
          "/sub/",
          "/nothing",
          "/index.html/",
          `/${"x".repeat(5_000)}`
        ]
      ) {
        const answer = yield* get(port, path)
        assert.strictEqual(answer.status, 404, path)
        assert.notInclude(answer.body, "secret", path)
      }
    }).pipe(Effect.scoped))

  it.live("knows ranges, etags, HEAD, types, the index and caches", () =>
    Effect.gen(function*() {
      const { root } = yield* files
      const port = yield* serve(StaticFiles.layer({ root }))
      const whole = yield* get(port, "/digits.txt")
      assert.include(whole.headers["content-type"], "text/plain")
      assert.deepInclude(yield* get(port, "/digits.txt", { range: "bytes=2-4" }), { status: 206, body: "234" })
      assert.deepInclude(yield* get(port, "/digits.txt", { range: "bytes=-2" }), { status: 206, body: "89" })
      assert.strictEqual((yield* get(port, "/digits.txt", { range: "bytes=20-" })).status, 416)
      const etag = whole.headers.etag!
      assert.deepInclude(yield* get(port, "/digits.txt", { "if-none-match": etag }), { status: 304, body: "" })
      assert.strictEqual((yield* get(port, "/digits.txt", {}, "HEAD")).headers["content-length"], "10")
      const index = yield* get(port, "/")
      assert.deepStrictEqual([index.status, index.headers.location], [302, "/index.html"])
      const other = yield* serve(StaticFiles.layer({ root, indexPath: null, cache: false }))
      assert.strictEqual((yield* get(other, "/")).status, 404)
      assert.strictEqual((yield* get(other, "/digits.txt")).headers["cache-control"], "no-cache")
    }).pipe(Effect.scoped))
})

class Who extends RpcGroup.make(Rpc.make("address", { success: Schema.NullOr(Schema.String) })) {}

const WhoHandlers = Who.toLayer({
  address: () =>
    Effect.map(
      Effect.service(JugglerConnection.CurrentJuggler),
      (juggler) => juggler?.connection.handshake.remoteAddress ?? null
    )
})

describe("JugglerServer on HTTP", () => {
  it.live("asks for name and password before the upgrade, and guards files beside it", () =>
    Effect.gen(function*() {
      const { base, root } = yield* files
      const file = Path.join(base, "htpasswd")
      // "secret", as `htpasswd -m` writes it
      Fs.writeFileSync(file, "gui:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n")
      const basicAuth: BasicAuth.Options = { realm: "plant", verify: NodeHtpasswd.fromFile(file) }
      const state = yield* JugglerState.makeJson({ n: 1 })
      const guarded = HttpRouter.use((router) =>
        Effect.flatMap(
          StaticFiles.make({ root }),
          (handler) => router.add("GET", "/*", BasicAuth.guard(handler, basicAuth))
        )
      )
      const port = yield* serve(Layer.mergeAll(
        JugglerServer.layerHttp(undefined, { state, basicAuth, generation: JugglerGeneration.v06 }),
        guarded,
        HttpRouter.add("GET", "/extra", HttpServerResponse.text("an additional route"))
      ))
      const refused = yield* get(port, "/index.html")
      assert.strictEqual(refused.status, 401)
      assert.include(refused.headers["www-authenticate"], "Basic realm=\"plant\"")
      assert.strictEqual((yield* get(port, "/ws", { connection: "upgrade", upgrade: "websocket" })).status, 401)
      const authorization = `Basic ${Buffer.from("gui:secret").toString("base64")}`
      assert.strictEqual((yield* get(port, "/index.html", { authorization })).status, 200)
      const wrong = `Basic ${Buffer.from("gui:wrong").toString("base64")}`
      assert.strictEqual((yield* get(port, "/index.html", { authorization: wrong })).status, 401)
      assert.strictEqual((yield* get(port, "/extra")).body, "an additional route")
      const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}/ws`, {
        basicAuth: { username: "gui", password: Redacted.make("secret") }
      })
      const client = yield* JugglerClient.fromSocket(socket, {
        generation: JugglerGeneration.v06,
        state: Schema.Struct({ n: Schema.Int })
      })
      assert.deepStrictEqual(yield* client.state.get, { n: 1 })
    }).pipe(Effect.scoped))

  it.live("believes trusted proxies, and nobody else, about the address of the peer", () =>
    Effect.gen(function*() {
      const ask = (trustedProxies: ReadonlyArray<string>, headers: Record<string, string>) =>
        Effect.gen(function*() {
          const port = yield* serve(Layer.provide(JugglerServer.layerHttp(Who, { trustedProxies }), WhoHandlers))
          const socket = yield* NodeWebSocket.make(`127.0.0.1:${port}/ws`, { headers })
          const client = yield* JugglerClient.fromSocket(socket, { requests: Who })
          yield* client.connect
          return yield* client.requests.address()
        })
      assert.strictEqual(yield* ask([], { "x-forwarded-for": "1.2.3.4" }), "127.0.0.1")
      assert.strictEqual(yield* ask(["loopback"], { "x-forwarded-for": "9.9.9.9, 1.2.3.4" }), "1.2.3.4")
      assert.strictEqual(yield* ask(["loopback"], { forwarded: "for=\"[2001:db8::1]:80\";proto=http" }), "2001:db8::1")
    }).pipe(Effect.scoped))

  it.live("speaks TLS from one PEM file that holds key and certificate", () =>
    Effect.gen(function*() {
      const pem = Fs.readFileSync(fileURLToPath(new URL("tls/key.pem", import.meta.url))).toString() +
        Fs.readFileSync(fileURLToPath(new URL("tls/cert.pem", import.meta.url))).toString()
      const state = yield* JugglerState.makeJson("safe")
      const port = yield* serve(
        JugglerServer.layerHttp(undefined, { state }),
        () => Https.createServer({ key: pem, cert: pem }) as unknown as Http.Server
      )
      const socket = yield* NodeWebSocket.make(`wss://127.0.0.1:${port}/ws`, { tls: { rejectUnauthorized: false } })
      const client = yield* JugglerClient.fromSocket(socket, { state: Schema.String })
      assert.strictEqual(yield* client.state.get, "safe")
    }).pipe(Effect.scoped))
})

describe("JugglerServer on TCP", () => {
  for (const generation of Object.values(JugglerGeneration.all)) {
    it.live(`speaks generation ${generation.name}, one frame a line`, () =>
      Effect.gen(function*() {
        const context = yield* Layer.build(NodeStreamSocket.layerServer({ framing: Framing.lines(), port: 0 }))
        const server = yield* Effect.provideContext(Effect.service(SocketServer.SocketServer), context)
        const state = yield* JugglerState.makeJson({ text: "é😀", n: 1 })
        yield* Effect.forkScoped(server.run(yield* JugglerServer.make(undefined, { generation, state, autoflush: 0 })))
        const port = server.address._tag === "UnixPathAddress" ? 0 : server.address.port
        const socket = yield* NodeStreamSocket.make({ framing: Framing.lines(), port, host: "127.0.0.1" })
        const client = yield* JugglerClient.fromSocket(socket, {
          generation,
          binary: "text",
          state: Schema.Struct({ text: Schema.String, n: Schema.Int })
        })
        assert.deepStrictEqual(yield* client.state.get, { text: "é😀", n: 1 })
        yield* state.put(["n"], 2)
        yield* Stream.runDrain(client.state.changes.pipe(Stream.takeUntil(({ n }) => n === 2)))
      }).pipe(Effect.scoped))
  }
})

describe("TrustedProxies", () => {
  const address = (list: ReadonlyArray<string>, remote: string | undefined, headers: Record<string, string>) =>
    TrustedProxies.remoteAddress(
      { remoteAddress: remote, headers: Headers.fromInput(headers) },
      TrustedProxies.fromList(list)
    )
  const rows: ReadonlyArray<
    readonly [string, ReadonlyArray<string>, string | undefined, Record<string, string>, string | undefined]
  > = [
    ["nobody", [], "10.0.0.1", { "x-forwarded-for": "1.1.1.1" }, "10.0.0.1"],
    ["the nearest", ["10.0.0.0/8"], "10.9.9.9", { "x-forwarded-for": "6.6.6.6, 1.1.1.1" }, "1.1.1.1"],
    ["a chain", ["10.0.0.0/8"], "10.0.0.1", { "x-forwarded-for": "6.6.6.6, 1.1.1.1, 10.0.0.2" }, "1.1.1.1"],
    ["a chain of none but ours", ["10.0.0.0/8"], "10.0.0.1", { "x-forwarded-for": "10.0.0.3, 10.0.0.2" }, "10.0.0.3"],
    ["an IPv4 address in IPv6", ["10.0.0.1"], "::ffff:10.0.0.1", { "x-forwarded-for": "1.1.1.1" }, "1.1.1.1"],
    ["an IPv6 network", ["fd00::/8"], "fd12::1", { "x-forwarded-for": "2001:db8::5" }, "2001:db8::5"],
    ["with ports", ["loopback"], "::1", { "x-forwarded-for": "1.1.1.1:8080" }, "1.1.1.1"],
    ["Forwarded before X-Forwarded-For", ["loopback"], "::1", {
      "forwarded": "for=2.2.2.2",
      "x-forwarded-for": "1.1.1.1"
    }, "2.2.2.2"],
    ["an obfuscated name", ["loopback"], "::1", { forwarded: "for=_hidden" }, undefined],
    ["nonsense", ["loopback"], "::1", { "x-forwarded-for": "<script>" }, undefined],
    ["no header", ["loopback"], "127.0.0.1", {}, "127.0.0.1"],
    ["no address", ["loopback"], undefined, { "x-forwarded-for": "1.1.1.1" }, undefined],
    ["bad entries", ["10.0.0.0/99", "x", "300.1.1.1"], "10.0.0.1", { "x-forwarded-for": "1.1.1.1" }, "10.0.0.1"],
    ["a network of odd length", ["172.16.0.0/12"], "172.31.255.1", { "x-forwarded-for": "1.1.1.1" }, "1.1.1.1"],
    ["the edge of a network", ["172.16.0.0/12"], "172.32.0.1", { "x-forwarded-for": "1.1.1.1" }, "172.32.0.1"]
  ]
  it.each(rows)("believes %s", (_title, list, remote, headers, expected) => {
    assert.strictEqual(address(list, remote, headers), expected)
  })
})
