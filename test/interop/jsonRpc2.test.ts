/** npm `json-rpc-2.0`: its client against our server, our client against its server, both ends of it against our peer. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { JsonRpcClient, JsonRpcPeer } from "effect-wire/jsonrpc"
import { NodeWebSocket } from "effect-wire/node"
import { JSONRPCClient, JSONRPCServer, JSONRPCServerAndClient } from "json-rpc-2.0"
import type { AddressInfo } from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import { Calculator, connect, handlers, serve } from "./harness.ts"

const open = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<WebSocket>((resume) => {
      const ws = new WebSocket(url)
      ws.once("open", () => resume(Effect.succeed(ws)))
    }),
    (ws) => Effect.sync(() => ws.close())
  )

const accept = (onConnection: (ws: WebSocket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: WebSocketServer; readonly url: string }>((resume) => {
      const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ server, url: `ws://127.0.0.1:${port}` }))
      })
      server.on("connection", onConnection)
    }),
    ({ server }) =>
      Effect.sync(() => {
        for (const client of server.clients) client.terminate()
        server.close()
      })
  )

it.live("its client calls our server", () =>
  Effect.gen(function*() {
    const { seen, url } = yield* serve()
    const ws = yield* open(url)
    const client = new JSONRPCClient((request) => ws.send(JSON.stringify(request)))
    ws.on("message", (data) => client.receive(JSON.parse(String(data))))
    const request = (method: string, params?: object) =>
      Effect.tryPromise({
        try: () => client.request(method, params as never) as Promise<unknown>,
        catch: (error) => error as { readonly code: number }
      })
    assert.strictEqual(yield* request("add", { a: 1, b: 2 }), 3)
    assert.strictEqual(yield* request("add", [1, 2]), 3)
    assert.isNull(yield* request("nothing"))
    assert.strictEqual((yield* Effect.flip(request("divide", [1, 0]))).code, -32010)
    client.notify("note", { text: "noted" })
    assert.strictEqual(yield* Queue.take(seen.notes), "noted")
    const answers = yield* Effect.promise(() =>
      client.requestAdvanced([
        { jsonrpc: "2.0", id: 10, method: "add", params: [1, 2] },
        { jsonrpc: "2.0", id: 11, method: "missing" }
      ]) as Promise<any>
    )
    assert.deepStrictEqual(answers.map((answer: { readonly id: unknown }) => answer.id), [10, 11])
  }))

it.live("our client calls its server", () =>
  Effect.gen(function*() {
    const server = new JSONRPCServer()
    server.addMethod("add", ({ a, b }) => a + b)
    server.addMethod("nothing", () => undefined)
    const { url } = yield* accept((ws) => {
      ws.on("message", (data) => {
        void server.receiveJSON(String(data)).then((answer) => answer !== null && ws.send(JSON.stringify(answer)))
      })
    })
    const client = yield* JsonRpcClient.fromRemote(Calculator, yield* connect(url))
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    assert.isUndefined(yield* client.nothing())
    const [sum, none] = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.nothing()])
    assert.deepStrictEqual([sum, none], [3, undefined])
  }))

it.live("both ends call and serve on one socket", () =>
  Effect.gen(function*() {
    const sums: Array<unknown> = []
    const { url } = yield* accept((ws) => {
      const both = new JSONRPCServerAndClient(
        new JSONRPCServer(),
        new JSONRPCClient((payload) => ws.send(JSON.stringify(payload)))
      )
      both.addMethod("add", ({ a, b }) => a + b)
      both.addMethod("greet", () =>
        both.request("add", { a: 20, b: 22 }).then((sum) => {
          sums.push(sum)
          return "hello"
        }))
      ws.on("message", (data) => void both.receiveAndSend(JSON.parse(String(data))))
    })
    const { layer } = yield* handlers
    const peer = yield* JsonRpcPeer.make({ serves: Calculator, calls: Calculator }).pipe(
      Effect.provide(Layer.merge(layer, NodeWebSocket.layer(url)))
    )
    assert.strictEqual(yield* peer.client.greet(), "hello")
    assert.deepStrictEqual(sums, [42])
  }))
