// @effect-diagnostics asyncFunction:off globalConsole:off
/**
 * What a carrier costs by itself: an echo of short text messages over WebSocket, against bare `ws` loops and Effect's own
 * WebSocket socket; and what an idle connection holds. `npm run bench -- carriers`
 */
import { NodeHttpServer, NodeSocketServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { Outbox, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter } from "effect/http"
import { Socket, SocketServer } from "effect/socket"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { WebSocketServer } from "ws"
import { measure, median, open, type Result, serve, type Server, start } from "./support/load.ts"

const echo = (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const { writeAll } = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writeAll), { disableYield: true })
  })).pipe(Effect.catchTag("SocketError", () => Effect.void))

const echoOutbox = (socket: Socket.Socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const outbox = yield* Outbox.make(yield* socket.writer)
    return yield* Effect.forever(
      Effect.map(pull, (frames) => {
        for (const frame of frames) outbox.send(frame)
      }),
      { disableYield: true }
    )
  })).pipe(Effect.catchTag("SocketError", () => Effect.void))

const run = (layer: Layer.Layer<SocketServer.SocketServer, unknown>, handler = echo) =>
  Effect.gen(function*() {
    const server = yield* SocketServer.SocketServer
    serve((server.address as { readonly port: number }).port)
    return yield* server.run(handler)
  }).pipe(Effect.provide(layer), Effect.runFork)

const bare = (corked: boolean) => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false }, () => {
    serve((server.address() as AddressInfo).port)
  })
  server.on("connection", (ws) => {
    const net = (ws as unknown as { _socket: import("node:net").Socket })._socket
    let isCorked = false
    const uncork = () => {
      isCorked = false
      net.uncork()
    }
    ws.on("message", (data, isBinary) => {
      if (corked && !isCorked) {
        isCorked = true
        net.cork()
        setImmediate(uncork)
      }
      ws.send(isBinary ? data : data.toString())
    })
  })
}

const servers: Record<string, () => void> = {
  "bare ws": () => bare(false),
  "bare ws, corked": () => bare(true),
  "effect": () => {
    run(NodeSocketServer.layerWebSocket({ port: 0, host: "127.0.0.1", perMessageDeflate: false }))
  },
  "effect-wire": () => {
    run(NodeWebSocketServer.layer({ maxConnections: 10_000 }))
  },
  "effect-wire, outbox": () => {
    run(NodeWebSocketServer.layer({ maxConnections: 10_000 }), echoOutbox)
  },
  "effect-wire, route": () => {
    const http = createServer()
    http.on("listening", () => serve((http.address() as AddressInfo).port))
    Layer.launch(
      HttpRouter.serve(WebSocketRoute.layer("/", echo, { maxConnections: 10_000 }), {
        disableLogger: true,
        disableListenLog: true
      }).pipe(Layer.provide(NodeWebSocketServer.layerHttp(() => http, { port: 0, maxConnections: 10_000 })))
    ).pipe(Effect.runFork)
  },
  "effect, route": () => {
    const http = createServer()
    http.on("listening", () => serve((http.address() as AddressInfo).port))
    Layer.launch(
      HttpRouter.serve(
        HttpRouter.add("GET", "/", (request) => Effect.orDie(Effect.flatMap(request.upgrade, echo)) as never),
        { disableLogger: true, disableListenLog: true }
      ).pipe(Layer.provide(NodeHttpServer.layer(() => http, { port: 0, host: "127.0.0.1" })))
    ).pipe(Effect.runFork)
  }
}

const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith("--"))
const idleOnly = process.argv.includes("--idle")

if (process.argv.includes("--server")) servers[wanted[0]!]!()
else await main()

async function main() {
  const names = wanted.length > 0 ? Object.keys(servers).filter((name) => wanted.includes(name)) : Object.keys(servers)
  const message = JSON.stringify({ jsonrpc: "2.0", id: 12345, method: "add", params: { a: 1, b: 2 } })
  const file = fileURLToPath(import.meta.url)
  const rows: Array<Record<string, string>> = []
  let base: { deep: number; cpu: number; p99: number } | undefined
  for (const name of names) {
    if (idleOnly) {
      console.log(name, ((await idle(await start(file, [name]), 2000)) / 1024).toFixed(1))
      continue
    }
    const deep: Array<Result> = []
    const server = await start(file, [name])
    for (let i = 0; i < 3; i++) {
      deep.push(await measure(server, { path: "/", connections: 1, depth: 64, seconds: 1, messages: [message] }))
    }
    const single = await measure(server, { path: "/", connections: 1, depth: 1, seconds: 2, messages: [message] })
    server.stop()
    const perSecond = median(deep.map((result) => result.perSecond))
    const cpu = median(deep.map((result) => result.cpu))
    base ??= { deep: perSecond, cpu, p99: single.p99 }
    rows.push({
      "echo server": name,
      "frames/s, 64 in flight": Math.round(perSecond).toLocaleString("en"),
      "ratio": (perSecond / base.deep).toFixed(2),
      "CPU µs/frame": cpu.toFixed(2),
      "depth 1: frames/s": Math.round(single.perSecond).toLocaleString("en"),
      "p50 µs": single.p50.toFixed(0),
      "p99 µs": single.p99.toFixed(0),
      "idle kB/connection": ((await idle(await start(file, [name]), 2000)) / 1024).toFixed(1)
    })
  }
  if (rows.length > 0) console.table(Object.fromEntries(rows.map(({ "echo server": name, ...row }) => [name, row])))
}

/**
 * Resident bytes that one idle connection adds: the slope between `count` and twice as many, because the first connections
 * also grow the heap's young generation, which is no cost of a connection.
 */
async function idle(server: Server, count: number): Promise<number> {
  const sockets: Array<import("node:net").Socket> = []
  const grow = async () => {
    for (let i = 0; i < count; i += 50) {
      sockets.push(...await Promise.all(Array.from({ length: 50 }, () => open(server.port, "/"))))
    }
    await new Promise((resolve) => setTimeout(resolve, 500))
    return await server.memory()
  }
  const before = await grow()
  const after = await grow()
  for (const socket of sockets) socket.destroy()
  server.stop()
  return (after - before) / count
}
