/**
 * A client to measure, in a process of its own: `client.ts <kind> <port> <depth>`. For each line `run <ms>` on standard
 * input it keeps `depth` calls of `add` in flight for so long and prints calls, seconds and microseconds of CPU as JSON.
 */
import { NodeSocket } from "@effect/platform-node"
import { createORPCClient } from "@orpc/client"
import { RPCLink } from "@orpc/client/websocket"
import { createTRPCClient, createWSClient, wsLink } from "@trpc/client"
import { newWebSocketRpcSession } from "capnweb"
import { Effect, Layer, Schema, Scope } from "effect"
import { Rpc, RpcClient, RpcGroup, RpcSerialization } from "effect/rpc"
import jayson from "jayson/promise/index.js"
import { JSONRPCClient } from "json-rpc-2.0"
import { createInterface } from "node:readline"
import { Client as RpcWebSocketsClient } from "rpc-websockets"
import { WebSocket } from "ws"
import { JsonRpcClient } from "../../src/jsonrpc/index.ts"
import { NodeWebSocket } from "../../src/node/index.ts"

const kind = process.argv[2]!
const url = `ws://127.0.0.1:${process.argv[3]}`
const depth = Number(process.argv[4])

class Add extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}

let calls = 0
let stopped = false

/** Calls one after the other until it is stopped; `depth` of them run side by side. */
type Worker = () => PromiseLike<unknown>

const promises = (call: (i: number) => PromiseLike<unknown>): Worker => () => {
  const next = (): PromiseLike<unknown> | undefined => {
    calls++
    return stopped ? undefined : call(calls).then(next)
  }
  return Promise.all(Array.from({ length: depth }, next))
}

const effects = <E>(call: (i: number) => Effect.Effect<unknown, E>): Worker => () => {
  const worker = Effect.whileLoop({
    while: () => !stopped,
    body: () => call(calls),
    step: () => {
      calls++
    }
  })
  return Effect.runPromise(Effect.all(Array.from({ length: depth }, () => worker), { concurrency: "unbounded" }))
}

const open = () =>
  new Promise<WebSocket>((resolve) => {
    const ws = new WebSocket(url)
    ws.once("open", () => resolve(ws))
  })

const forever = <E>(effect: Effect.Effect<Worker, E, never>) => Effect.runPromise(effect)

const kinds: Record<string, () => Promise<Worker>> = {
  "promise map": () =>
    open().then((ws) => {
      const waiting = new Map<number, (result: unknown) => void>()
      let lastId = 0
      ws.on("message", (data) => {
        const { id, result } = JSON.parse(String(data))
        waiting.get(id)!(result)
        waiting.delete(id)
      })
      return promises((i) =>
        new Promise((resolve) => {
          const id = ++lastId
          waiting.set(id, resolve)
          ws.send(JSON.stringify({ jsonrpc: "2.0", method: "add", params: { a: i, b: 2 }, id }))
        })
      )
    }),
  "rpc-websockets": () =>
    new Promise((resolve) => {
      const client = new RpcWebSocketsClient(url)
      client.once("open", () => resolve(promises((i) => client.call("add", { a: i, b: 2 }))))
    }),
  "json-rpc-2.0": () =>
    open().then((ws) => {
      const client = new JSONRPCClient((request) => ws.send(JSON.stringify(request)))
      ws.on("message", (data) => client.receive(JSON.parse(String(data))))
      return promises((i) => client.request("add", { a: i, b: 2 }))
    }),
  jayson: () =>
    open().then((ws) => {
      const client = jayson.Client.websocket({ ws: ws as never })
      return promises((i) => client.request("add", { a: i, b: 2 }))
    }),
  capnweb: () =>
    open().then((ws) => {
      const remote: any = newWebSocketRpcSession(ws as never)
      return promises((i) => remote.add({ a: i, b: 2 }))
    }),
  orpc: () =>
    open().then((ws) => {
      const remote: any = createORPCClient(new RPCLink({ websocket: ws as never }))
      return promises((i) => remote.add({ a: i, b: 2 }))
    }),
  trpc: () => {
    const client = createWSClient({ url, WebSocket: WebSocket as never })
    const remote: any = createTRPCClient({ links: [wsLink({ client } as never)] })
    const worker = promises((i) => remote.add.query({ a: i, b: 2 }))
    return remote.add.query({ a: 1, b: 2 }).then(() => worker)
  },
  effect: () =>
    forever(
      Effect.gen(function*() {
        const protocol = RpcClient.layerProtocolSocket().pipe(
          Layer.provide([NodeSocket.layerWebSocket(url), RpcSerialization.layerJsonRpc()])
        )
        const scope = yield* Effect.scope
        const client = yield* Effect.provide(RpcClient.make(Add), yield* Layer.buildWithScope(protocol, scope))
        return effects((i) => client.add({ a: i, b: 2 }))
      }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()))
    ),
  "effect-wire typed": () =>
    forever(
      Effect.gen(function*() {
        const remote = yield* JsonRpcClient.fromSocket(yield* NodeWebSocket.make(url))
        const client = yield* JsonRpcClient.fromRemote(Add, remote)
        return effects((i) => client.add({ a: i, b: 2 }))
      }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()))
    ),
  "effect-wire untyped": () =>
    forever(
      Effect.gen(function*() {
        const remote = yield* JsonRpcClient.fromSocket(yield* NodeWebSocket.make(url))
        return effects((i) => remote.call("add", { a: i, b: 2 }))
      }).pipe(Effect.provideService(Scope.Scope, Scope.makeUnsafe()))
    )
}

void kinds[kind]!().then((worker) => {
  process.stdout.write("ready\n")
  createInterface({ input: process.stdin }).on("line", (line) => {
    const ms = Number(line.slice("run ".length))
    calls = 0
    stopped = false
    const began = performance.now()
    const before = process.cpuUsage()
    setTimeout(() => {
      stopped = true
    }, ms)
    void worker().then(() => {
      const { system, user } = process.cpuUsage(before)
      const seconds = (performance.now() - began) / 1000
      process.stdout.write(`result ${JSON.stringify({ calls, seconds, cpu: system + user })}\n`)
    })
  }).on("close", () => process.exit(0))
})
