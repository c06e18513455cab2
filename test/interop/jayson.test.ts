/** npm `jayson`: its clients against our server, our clients against its servers, by WebSocket, POST and lines on TCP. */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { JsonRpcClient, type JsonRpcError, JsonRpcHttpClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeStreamSocket } from "effect-wire/node"
import { Framing } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import jayson from "jayson/promise/index.js"
import { createServer, type Server } from "node:http"
import type { AddressInfo, Server as NetServer } from "node:net"
import { WebSocket } from "ws"
import { Calculator, connect, handlers, serve, serveOn } from "./harness.ts"

interface Answer {
  readonly id: unknown
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly data?: unknown }
}

const ask = (task: Promise<unknown>) => Effect.promise(() => task as Promise<Answer>)

type Requests = Pick<InstanceType<typeof jayson.Client>, "request">

const calls = (client: Requests) =>
  Effect.gen(function*() {
    assert.strictEqual((yield* ask(client.request("add", { a: 1, b: 2 }))).result, 3)
    assert.strictEqual((yield* ask(client.request("add", [1, 2]))).result, 3)
    assert.isNull((yield* ask(client.request("nothing", []))).result)
    const declared = (yield* ask(client.request("divide", [7, 0]))).error!
    assert.strictEqual(declared.code, -32010)
    assert.deepStrictEqual(declared.data, { _tag: "DivisionByZero", dividend: 7 })
    assert.strictEqual((yield* ask(client.request("missing", []))).error!.code, -32601)
    assert.strictEqual((yield* ask(client.request("add", { a: "1", b: 2 }))).error!.code, -32602)
    const batch = yield* Effect.promise(() =>
      client.request([
        client.request("add", [1, 2], undefined, false),
        client.request("echo", { value: { deep: [null] } }, undefined, false),
        client.request("missing", [], undefined, false)
      ]) as Promise<Array<Answer>>
    )
    assert.sameDeepMembers(batch.map((answer) => answer.result ?? answer.error?.code), [3, { deep: [null] }, -32601])
  })

const theirWebSocketClient = (url: string, options?: { readonly notificationIdNull: boolean }) =>
  Effect.acquireRelease(
    Effect.callback<Requests & { readonly ws: WebSocket }>((resume) => {
      const ws = new WebSocket(url)
      ws.once("open", () => {
        const client = jayson.Client.websocket({ ...options, ws: ws as never })
        resume(Effect.succeed(Object.assign(client, { ws }) as never))
      })
    }),
    ({ ws }) => Effect.sync(() => ws.close())
  )

it.live("its WebSocket client calls our server", () =>
  Effect.gen(function*() {
    const { seen, url } = yield* serve()
    const client = yield* theirWebSocketClient(url)
    yield* calls(client)
    yield* Effect.promise(() => client.request("note", { text: "noted" }, null as never))
    assert.strictEqual(yield* Queue.take(seen.notes), "noted")
  }))

it.live("its notifications with a null id are notifications in the aiohttp wire", () =>
  Effect.gen(function*() {
    const { seen, url } = yield* serve(Wire.aiohttp)
    const client = yield* theirWebSocketClient(url, { notificationIdNull: true })
    const received: Array<string> = []
    client.ws.on("message", (data) => received.push(String(data)))
    void client.request("note", { text: "noted" }, null as never)
    assert.strictEqual(yield* Queue.take(seen.notes), "noted")
    assert.strictEqual((yield* ask(client.request("add", [1, 2]))).result, 3)
    assert.strictEqual(received.length, 1)
  }))

it.live("its HTTP client calls our server", () =>
  Effect.gen(function*() {
    const { layer, seen } = yield* handlers
    const routes = JsonRpcServer.layerHttp(Calculator, { path: "/rpc" }).pipe(Layer.provide(layer))
    yield* Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      const client = jayson.Client.http({
        host: "127.0.0.1",
        port: (address as { readonly port: number }).port,
        path: "/rpc"
      })
      yield* calls(client)
      yield* Effect.promise(() => client.request("note", { text: "noted" }, null as never))
      assert.strictEqual(yield* Queue.take(seen.notes), "noted")
    }).pipe(
      Effect.provide(
        HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
        )
      )
    )
  }))

const framing = Framing.lines()

it.live("its TCP client, which opens a connection for each request, calls our server", () =>
  Effect.gen(function*() {
    const { port, seen } = yield* serveOn(yield* NodeStreamSocket.makeServer({ framing }))
    const client = jayson.Client.tcp({ host: "127.0.0.1", port })
    yield* calls(client)
    yield* Effect.promise(() => client.request("note", { text: "noted" }, null as never))
    assert.strictEqual(yield* Queue.take(seen.notes), "noted")
  }))

const theirServer = new jayson.Server({
  add: (params: any) => Promise.resolve(Array.isArray(params) ? params[0] + params[1] : params.a + params.b),
  divide: ({ a, b }: { readonly a: number; readonly b: number }) =>
    b !== 0
      ? Promise.resolve(a / b)
      : Promise.reject({ code: -32010, message: "DivisionByZero", data: { _tag: "DivisionByZero", dividend: a } }),
  // it cannot answer undefined
  nothing: () => Promise.resolve(null)
})

const ourCalls = (remote: JsonRpcClient.Client) =>
  Effect.gen(function*() {
    const client = yield* JsonRpcClient.fromRemote(Calculator, remote)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    assert.strictEqual(yield* remote.call("add", [1, 2]), 3)
    assert.isUndefined(yield* client.nothing())
    assert.strictEqual((yield* Effect.flip(client.divide({ a: 7, b: 0 })))._tag, "DivisionByZero")
    const missing = yield* Effect.flip(remote.call("missing"))
    assert.strictEqual((missing.reason as JsonRpcError.RemoteError).code, -32601)
    assert.deepStrictEqual(
      yield* JsonRpcClient.batch([
        client.add({ a: 1, b: 2 }),
        remote.notify("add", [1, 1]),
        client.add({ a: 3, b: 4 })
      ]),
      [3, undefined, 7]
    )
  })

const listening = (server: Server | NetServer) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as AddressInfo).port)))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        if ("closeAllConnections" in server) server.closeAllConnections()
      })
  )

it.live("our client calls its WebSocket server", () =>
  Effect.gen(function*() {
    const http = createServer()
    const port = yield* listening(http)
    const server = theirServer.websocket({ server: http }) as unknown as { readonly clients: Set<WebSocket> }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const client of server.clients) client.terminate()
      })
    )
    yield* ourCalls(yield* connect(`ws://127.0.0.1:${port}`))
  }))

it.live("our client calls its HTTP server", () =>
  Effect.gen(function*() {
    const port = yield* listening(theirServer.http() as unknown as Server)
    yield* ourCalls(yield* JsonRpcHttpClient.make({ url: `http://127.0.0.1:${port}` }))
  }).pipe(Effect.provide(NodeHttpClient.layerNodeHttp)))

it.live("our client calls its TCP server", () =>
  Effect.gen(function*() {
    const port = yield* listening(theirServer.tcp() as unknown as NetServer)
    const client = yield* JsonRpcClient.fromSocket(yield* NodeStreamSocket.make({ port, framing }))
    yield* ourCalls(client)
  }))
