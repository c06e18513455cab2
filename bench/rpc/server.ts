/**
 * A server to measure, in a process of its own: `server.ts <kind> [methods]`. All serve `add({ a, b })`. It prints its
 * port, and answers `cpu` (microseconds used so far) and `memory` (bytes resident and bytes of heap, after a collection) on standard input.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { os } from "@orpc/server"
import { RPCHandler } from "@orpc/server/ws"
import { initTRPC } from "@trpc/server"
import { applyWSSHandler } from "@trpc/server/adapters/ws"
import { newWebSocketRpcSession, RpcTarget } from "capnweb"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import jayson from "jayson"
import { JSONRPCServer } from "json-rpc-2.0"
import { createServer } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import { createInterface } from "node:readline"
import { Server as RpcWebSocketsServer } from "rpc-websockets"
import { createMessageConnection, type Message, NullLogger } from "vscode-jsonrpc/node"
import { type WebSocket, WebSocketServer } from "ws"
import { JsonRpcServer, Wire } from "../../src/jsonrpc/index.ts"
import { NodeWebSocketServer } from "../../src/node/index.ts"

const kind = process.argv[2]!
const methods = Number(process.argv[3] ?? 1)
const ready = (port: number) => process.stdout.write(`port ${port}\n`)

createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "cpu") {
    const { system, user } = process.cpuUsage()
    process.stdout.write(`cpu ${user + system}\n`)
  } else if (line === "memory") {
    // the thorough kind, which also gives back the young generation
    const collect = globalThis.gc as ((options: object) => void) | undefined
    for (let i = 0; i < 2; i++) collect?.({ type: "major", flavor: "last-resort" })
    const { heapUsed, rss } = process.memoryUsage()
    process.stdout.write(`memory ${rss} ${heapUsed}\n`)
  }
}).on("close", () => process.exit(0))

const host = "127.0.0.1"

/** A `ws` server without anything above it. */
const bare = (onConnection: (ws: WebSocket) => void): WebSocketServer => {
  const server: WebSocketServer = new WebSocketServer(
    { port: 0, host, perMessageDeflate: false },
    () => ready((server.address() as AddressInfo).port)
  )
  server.on("connection", onConnection)
  return server
}

interface Pair {
  readonly a: number
  readonly b: number
}

class Adder extends RpcTarget {
  add({ a, b }: Pair): number {
    return a + b
  }
}

const answerOne = (m: any) => ({ jsonrpc: "2.0", result: m.params.a + m.params.b, id: m.id })
const answer = (text: string): string => {
  const value = JSON.parse(text)
  return JSON.stringify(Array.isArray(value) ? value.map(answerOne) : answerOne(value))
}

/** Holds what is sent in one turn of the event loop back until its end. */
const cork = (ws: WebSocket): () => void => {
  const socket = (ws as unknown as { readonly _socket: Socket })._socket
  let corked = false
  const uncork = () => {
    corked = false
    socket.uncork()
  }
  return () => {
    if (corked) return
    corked = true
    socket.cork()
    setImmediate(uncork)
  }
}

const pair = { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }
class Add extends RpcGroup.make(Rpc.make("add", pair)) {}
const names = Array.from({ length: methods - 1 }, (_, i) => `method${i}`)
const many = RpcGroup.make(...names.map((name) => Rpc.make(name, pair)))
const sum = ({ a, b }: { readonly a: number; readonly b: number }) => Effect.succeed(a + b)
const Handlers = Add.toLayer({ add: sum })
const FiberHandlers = Add.toLayer({ add: ({ a, b }) => Effect.sync(() => a + b) })
const ManyHandlers = many.toLayer(Object.fromEntries(names.map((name) => [name, sum])) as never) as Layer.Layer<any>

const report = Layer.effectDiscard(Effect.map(
  HttpServer.HttpServer,
  (server) => ready((server.address as { readonly port: number }).port)
))

const ours = (handlers: typeof Handlers) => {
  const group = methods > 1 ? Add.merge(many) : Add
  const routes = JsonRpcServer.layerHttp(group as typeof Add, {
    path: "/",
    wire: Wire.rockets,
    maxConnections: 10_000
  }).pipe(Layer.provide(handlers), Layer.provide(methods > 1 ? ManyHandlers : Layer.empty))
  Effect.runFork(Layer.launch(
    Layer.merge(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }), report).pipe(
      Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 0, maxConnections: 10_000 }))
    )
  ))
}

const kinds: Record<string, () => void> = {
  bare: () => void bare((ws) => ws.on("message", (data) => ws.send(answer(String(data))))),
  corked: () =>
    void bare((ws) => {
      const hold = cork(ws)
      ws.on("message", (data) => {
        hold()
        ws.send(answer(String(data)))
      })
    }),
  // for clients: as fast as it can be, and indifferent to what it does not know
  peer: () =>
    void bare((ws) => {
      const hold = cork(ws)
      ws.on("message", (data) => {
        const m = JSON.parse(String(data))
        if (m.method !== "add") return
        hold()
        ws.send(`{"jsonrpc":"2.0","result":${m.params.a + m.params.b},"id":${JSON.stringify(m.id)}}`)
      })
    }),
  "rpc-websockets": () => {
    const server = new RpcWebSocketsServer({ port: 0, host })
    server.register("add", ({ a, b }) => a + b)
    server.on("listening", () => ready((server.wss.address() as AddressInfo).port))
  },
  jayson: () => {
    const http = createServer()
    const server = new jayson.Server({ add: ({ a, b }: any, callback: any) => callback(null, a + b) })
    server.websocket({ server: http } as never)
    http.listen(0, host, () => ready((http.address() as AddressInfo).port))
  },
  "json-rpc-2.0": () => {
    const server = new JSONRPCServer()
    server.addMethod("add", ({ a, b }) => a + b)
    bare((ws) =>
      ws.on("message", (data) => {
        void server.receiveJSON(String(data)).then((answer) => {
          if (answer !== null) ws.send(JSON.stringify(answer))
        })
      })
    )
  },
  "vscode-jsonrpc": () => {
    const never = () => ({ dispose: () => {} })
    bare((ws) => {
      const connection = createMessageConnection(
        {
          onError: never,
          onPartialMessage: never,
          onClose: never,
          listen: (callback: (message: Message) => void) => {
            ws.on("message", (data) => callback(JSON.parse(String(data))))
            return never()
          },
          dispose: () => {}
        },
        {
          onError: never,
          onClose: never,
          write: (message: Message) => {
            ws.send(JSON.stringify(message))
            return Promise.resolve()
          },
          end: () => {},
          dispose: () => {}
        },
        NullLogger
      )
      connection.onRequest("add", ({ a, b }) => a + b)
      connection.listen()
    })
  },
  capnweb: () => void bare((ws) => void newWebSocketRpcSession(ws as never, new Adder())),
  orpc: () => {
    const add = os.handler(({ input }) => {
      const { a, b } = input as Pair
      return a + b
    })
    const handler = new RPCHandler({ add })
    bare((ws) => void handler.upgrade(ws, { context: {} }))
  },
  trpc: () => {
    const { procedure, router } = initTRPC.create()
    const add = procedure.input((input) => input as Pair).query(({ input: { a, b } }) => a + b)
    applyWSSHandler({ wss: bare(() => {}), router: router({ add }) })
  },
  effect: () =>
    void Effect.runFork(Layer.launch(
      Layer.merge(
        HttpRouter.serve(
          RpcServer.layerHttp({ group: Add, path: "/", protocol: "websocket" }).pipe(Layer.provide(Handlers)),
          { disableLogger: true, disableListenLog: true }
        ),
        report
      ).pipe(
        Layer.provide(RpcSerialization.layerJsonRpc()),
        Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host }))
      ) as never
    )),
  "effect-wire": () => ours(Handlers),
  "effect-wire (fibers)": () => ours(FiberHandlers)
}
kinds[kind]!()
