/**
 * The program against servers that others wrote, as they are on npm, and over TLS with a certificate that nobody signed:
 * rpc-websockets, jayson, vscode-jsonrpc.
 */
import { assert, layer } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import jayson from "jayson"
import { readFileSync, writeFileSync } from "node:fs"
import * as Https from "node:https"
import * as Net from "node:net"
import { join } from "node:path"
import { Server } from "rpc-websockets"
import {
  createMessageConnection,
  NullLogger,
  ProgressType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter
} from "vscode-jsonrpc/node"
import { Program } from "./support/Program.ts"

const ca = join(import.meta.dirname, "../node/tls/cert.pem")
const tls = { cert: readFileSync(ca), key: readFileSync(join(import.meta.dirname, "../node/tls/key.pem")) }

const listening = <S extends Net.Server>(
  server: S,
  close = () => void server.close()
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(close)
  )

/** `rpc-websockets` on an HTTPS server, or on a port of its own. */
const rpcWebSockets = (secure: boolean) =>
  Effect.gen(function*() {
    const http = secure ? Https.createServer(tls) : undefined
    const server = new Server(http === undefined ? { port: 0, host: "127.0.0.1" } : { server: http })
    const told = yield* Queue.unbounded<string>()
    server.register("add", (params) => {
      const [a, b] = Array.isArray(params) ? params : [params["a"], params["b"]]
      return a + b
    })
    server.register("divide", () => {
      throw { code: -32010, message: "by zero", data: { dividend: 7 } }
    })
    server.register("tell", ({ text }) => {
      Queue.offerUnsafe(told, text)
    })
    const port = http === undefined
      ? yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          server.on("listening", () => resume(Effect.succeed((server.wss.address() as Net.AddressInfo).port)))
        }),
        () => Effect.promise(() => server.close())
      )
      : yield* listening(http, () => {
        void server.close()
        http.closeAllConnections()
        http.close()
      })
    return { told, url: `${secure ? "wss" : "ws"}://127.0.0.1:${port}` }
  })

const theirMethods = () => ({
  add: (params: any, callback: (error: unknown, result?: unknown) => void) =>
    callback(null, Array.isArray(params) ? params[0] + params[1] : params.a + params.b),
  divide: (_: unknown, callback: (error: unknown) => void) =>
    callback({ code: -32010, message: "by zero", data: { dividend: 7 } })
})

/** `vscode-jsonrpc` on TCP, with `Content-Length` headers. */
const languageServer = Effect.gen(function*() {
  const cancelled = yield* Queue.unbounded<string>()
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer((socket) => {
    sockets.add(socket)
    const connection = createMessageConnection(
      new StreamMessageReader(socket),
      new StreamMessageWriter(socket),
      NullLogger
    )
    connection.onRequest("add", ({ a, b }: { readonly a: number; readonly b: number }) => a + b)
    connection.onRequest("divide", () => new ResponseError(-32010, "by zero", { dividend: 7 }))
    connection.onRequest(
      "scan",
      ({ workDoneToken }: { readonly workDoneToken: string }, token) =>
        connection.sendProgress(new ProgressType(), workDoneToken, { kind: "report", percentage: 50, message: "half" })
          .then(() =>
            new Promise((resolve) =>
              token.onCancellationRequested(() => {
                Queue.offerUnsafe(cancelled, "scan")
                resolve(new ResponseError(-32800, "cancelled"))
              })
            )
          )
    )
    connection.onNotification("tell", () => connection.sendNotification("told", { by: "server" }))
    connection.listen()
  })
  const port = yield* listening(server, () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { cancelled, url: `lsp+tcp://127.0.0.1:${port}` }
})

layer(Program.layer, { excludeTestServices: true, timeout: "60 seconds" })("servers that others wrote", (it) => {
  it.effect("rpc-websockets: calls, errors, notifications and a batch", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { told, url } = yield* rpcWebSockets(false)
      assert.deepStrictEqual(yield* run(["call", url, "add", "a=1", "b=2"]), { code: 0, stdout: "3\n", stderr: "" })
      const refused = yield* run(["call", url, "divide", "--json"])
      assert.strictEqual(refused.code, 1)
      assert.include(JSON.parse(refused.stderr).error, { kind: "Refused", message: "by zero (-32010)", code: -32010 })
      assert.strictEqual((yield* run(["call", url, "ad", "1", "2"])).code, 7)
      yield* run(["notify", url, "tell", "text=hello"])
      assert.strictEqual(yield* Queue.take(told), "hello")
      const batch = yield* run(["batch", url, "add 1 2", "add 3 4"])
      assert.strictEqual(batch.code, 0)
      assert.match(batch.stdout, /3[\s\S]*7/)
    }), 120_000)

  it.effect("jayson: over HTTP, HTTPS, TCP and TLS", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const plain = yield* listening(new jayson.Server(theirMethods() as never).http() as unknown as Net.Server)
      const secure = yield* listening(new jayson.Server(theirMethods() as never).https(tls) as unknown as Net.Server)
      const lines = yield* listening(new jayson.Server(theirMethods() as never).tcp() as unknown as Net.Server)
      const tlsLines = yield* listening(new jayson.Server(theirMethods() as never).tls(tls) as unknown as Net.Server)
      for (
        const [url, ...trust] of [
          [`http://127.0.0.1:${plain}/`],
          [`https://127.0.0.1:${secure}/`, "--ca", ca],
          [`https://localhost:${secure}/`, "--insecure"],
          [`tcp://127.0.0.1:${lines}`],
          [`tls://127.0.0.1:${tlsLines}`, "--ca", ca],
          [`tls://127.0.0.1:${tlsLines}`, "--insecure"]
        ]
      ) {
        const called = yield* run(["call", url!, "add", "a=1", "b=2", ...trust])
        assert.deepStrictEqual([called.code, called.stdout], [0, "3\n"], `${url} ${called.stderr}`)
        if (!trust.includes("--insecure")) assert.strictEqual(called.stderr, "")
        const refused = yield* run(["call", url!, "divide", ...trust])
        assert.strictEqual(refused.code, 1)
        assert.include(refused.stderr, "by zero")
      }
    }), 120_000)

  it.effect("vscode-jsonrpc: calls, errors, notifications, progress, and Ctrl-C cancels", () =>
    Effect.gen(function*() {
      const { run, start } = yield* Program
      const { cancelled, url } = yield* languageServer
      assert.deepStrictEqual(yield* run(["call", url, "add", "a=1", "b=2"]), { code: 0, stdout: "3\n", stderr: "" })
      const refused = yield* run(["call", url, "divide", "--json"])
      assert.include(JSON.parse(refused.stderr).error, { kind: "Refused", message: "by zero (-32010)", code: -32010 })
      const scan = yield* start(["call", url, "scan", "{}", "--progress"])
      yield* scan.printed(/half/)
      scan.signal("SIGINT")
      assert.strictEqual(yield* Queue.take(cancelled), "scan")
      assert.strictEqual((yield* scan.ran).code, 130)
    }), 120_000)

  it.effect(
    "a certificate that nobody known has signed is told, and taken by --ca or --insecure",
    () =>
      Effect.gen(function*() {
        const { directory, run } = yield* Program
        const { url } = yield* rpcWebSockets(true)
        const unknown = yield* run(["call", url, "add", "1", "2"])
        assert.strictEqual(unknown.code, 3)
        assert.match(unknown.stderr, /SELF_SIGNED[\s\S]*try: --ca <file\.pem>.*--insecure/)
        const told = yield* run(["call", url, "add", "1", "2", "--json"])
        assert.strictEqual(JSON.parse(told.stderr).error.kind, "Unreachable")
        assert.deepStrictEqual(yield* run(["call", url, "add", "1", "2", "--ca", ca]), {
          code: 0,
          stdout: "3\n",
          stderr: ""
        })
        const insecure = yield* run(["call", url, "add", "1", "2", "--insecure"])
        assert.deepStrictEqual([insecure.code, insecure.stdout], [0, "3\n"])
        assert.match(insecure.stderr, /insecure/)
        assert.strictEqual((yield* run(["bench", url, "add", "1", "2", "--duration", "200ms", "--ca", ca])).code, 0)

        writeFileSync(join(directory, "no.pem"), "nothing\n")
        const none = yield* run(["call", url, "add", "1", "2", "--ca", "no.pem"])
        assert.deepStrictEqual([none.code, none.stdout], [2, ""])
        assert.match(none.stderr, /no\.pem holds no certificate in PEM/)
        assert.strictEqual((yield* run(["call", url, "add", "1", "2", "--ca", "missing.pem"])).code, 2)

        const plain = yield* run(["call", url.replace("wss:", "ws:"), "add", "1", "2"])
        assert.strictEqual(plain.code, 3)
        assert.match(plain.stderr, /try: wss:\/\//)
        const { url: open } = yield* rpcWebSockets(false)
        const coded = yield* run(["call", open.replace("ws:", "wss:"), "add", "1", "2"])
        assert.strictEqual(coded.code, 5)
        assert.match(coded.stderr, /try: ws:\/\//)
      }),
    120_000
  )
})
