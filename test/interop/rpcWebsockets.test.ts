/** npm `rpc-websockets`: its client against our server, our client against its server. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Queue, Stream } from "effect"
import { JsonRpcClient, type JsonRpcError } from "effect-wire/jsonrpc"
import { Client, Server } from "rpc-websockets"
import { Calculator, connect, eventually, gather, serve } from "./harness.ts"

const theirClient = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<Client>((resume) => {
      const client = new Client(url, { reconnect: false })
      client.once("open", () => resume(Effect.succeed(client)))
    }),
    (client) => Effect.sync(() => client.close())
  )

const failure = (task: Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({
    try: () => task,
    catch: (error) => error as { readonly code: number; readonly data: unknown }
  }))

it.live("its client calls our server", () =>
  Effect.gen(function*() {
    const { clients, seen, url } = yield* serve()
    const client = yield* theirClient(url)
    assert.strictEqual(yield* Effect.promise(() => client.call("add", { a: 1, b: 2 })), 3)
    assert.strictEqual(yield* Effect.promise(() => client.call("add", [1, 2])), 3)
    assert.strictEqual(yield* Effect.promise(() => client.call("nothing")), null)
    const declared = yield* failure(client.call("divide", [7, 0]))
    assert.strictEqual(declared.code, -32010)
    assert.deepStrictEqual(declared.data, { _tag: "DivisionByZero", dividend: 7 })
    assert.strictEqual((yield* failure(client.call("missing"))).code, -32601)
    assert.strictEqual((yield* failure(client.call("add", ["1", 2]))).code, -32602)
    yield* Effect.promise(() => client.notify("note", { text: "noted" }))
    assert.strictEqual(yield* Queue.take(seen.notes), "noted")
    const received: Array<unknown> = []
    client.on("weather", (params) => received.push(params))
    yield* clients.broadcast("weather", { degrees: 20 })
    yield* eventually(() => received.length === 1)
    assert.deepStrictEqual(received, [{ degrees: 20 }])
  }))

const theirServer = Effect.acquireRelease(
  Effect.callback<{ readonly server: Server; readonly url: string; readonly notes: Array<string> }>((resume) => {
    const notes: Array<string> = []
    const server = new Server({ port: 0, host: "127.0.0.1" })
    server.register("add", (params) => {
      const [a, b] = Array.isArray(params) ? params : [params["a"], params["b"]]
      return a + b
    })
    server.register("divide", ({ a, b }) => {
      if (b !== 0) return a / b
      throw { code: -32010, message: "DivisionByZero", data: { _tag: "DivisionByZero", dividend: a } }
    })
    server.register("nothing", () => undefined)
    server.register("note", ({ text }) => {
      notes.push(text)
    })
    server.event("weather")
    server.on("listening", () => {
      const { port } = server.wss.address() as { readonly port: number }
      resume(Effect.succeed({ server, notes, url: `ws://127.0.0.1:${port}` }))
    })
  }),
  ({ server }) =>
    Effect.sync(() => {
      for (const socket of server.wss.clients) socket.terminate()
      void server.close()
    })
)

it.live("our client calls its server", () =>
  Effect.gen(function*() {
    const { notes, url } = yield* theirServer
    const remote = yield* connect(url)
    const client = yield* JsonRpcClient.fromRemote(Calculator, remote)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    assert.strictEqual((yield* Effect.flip(client.divide({ a: 7, b: 0 })))._tag, "DivisionByZero")
    assert.deepStrictEqual(yield* remote.call("add", [1, 2]), 3)
    const [one, two] = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.add({ a: 3, b: 4 })])
    assert.deepStrictEqual([one, two], [3, 7])
    const missing = yield* Effect.flip(remote.call("missing"))
    assert.strictEqual((missing.reason as JsonRpcError.RemoteError).code, -32601)
    yield* remote.notify("note", { text: "noted" })
    yield* eventually(() => notes.length === 1)
    const sums = yield* Effect.forEach(
      Array.from({ length: 200 }, (_, i) => i),
      (i) => client.add({ a: i, b: 1 }),
      { concurrency: "unbounded" }
    )
    assert.strictEqual(sums[199], 200)
  }))

it.live("an answer without a result, which its server gives for undefined, is an answer", () =>
  Effect.gen(function*() {
    const { url } = yield* theirServer
    const remote = yield* connect(url)
    const client = yield* JsonRpcClient.fromRemote(Calculator, remote)
    assert.isNull(yield* remote.call("nothing"))
    assert.isUndefined(yield* client.nothing())
  }))

it.live("the events of its server, which are no JSON-RPC, are seen as frames and harm nothing", () =>
  Effect.gen(function*() {
    const { server, url } = yield* theirServer
    const remote = yield* connect(url)
    assert.deepStrictEqual(yield* remote.call("rpc.on", ["weather"]), { weather: "ok" })
    const frames = yield* gather(Stream.filter(remote.frames, (frame) => String(frame).includes("notification")), 1)
    yield* Effect.yieldNow
    server.of("/").emit("weather", 20 as never)
    assert.deepStrictEqual(yield* Fiber.join(frames), [`{"notification":"weather","params":[20]}`])
    assert.strictEqual(yield* remote.call("add", [1, 2]), 3)
  }))

it.live("a batch of its server's answers may be longer than the batches that we take", () =>
  Effect.gen(function*() {
    const { url } = yield* theirServer
    const client = yield* JsonRpcClient.fromRemote(Calculator, yield* connect(url))
    const sums = yield* JsonRpcClient.batch(Array.from({ length: 150 }, (_, i) => client.add({ a: i, b: 1 })))
    assert.strictEqual(sums[149], 150)
  }))
