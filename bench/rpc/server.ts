/** A server under test, in a process of its own: `server.ts <kind>`. Prints its port; answers `cpu` on standard input. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup, RpcSerialization, RpcServer } from "effect/rpc"
import { createServer } from "node:http"
import { createInterface } from "node:readline"
import { WebSocketServer } from "ws"
import { Dialect, JsonRpcServer } from "../../src/jsonrpc/index.ts"
import { NodeWebSocketServer } from "../../src/node/index.ts"

const kind = process.argv[2]!
const methods = Number(process.argv[3] ?? 1)
const ready = (port: number) => process.stdout.write(`port ${port}\n`)

createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "cpu") {
    const { system, user } = process.cpuUsage()
    process.stdout.write(`cpu ${user + system}\n`)
  } else if (line === "memory") {
    globalThis.gc?.()
    globalThis.gc?.()
    process.stdout.write(`memory ${process.memoryUsage().rss}\n`)
  }
})
process.stdin.on("end", () => process.exit(0))

class Add extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}
const many = RpcGroup.make(
  ...Array.from(
    { length: methods - 1 },
    (_, i) => Rpc.make(`method${i}`, { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
  )
)
const add = ({ a, b }: { readonly a: number; readonly b: number }) => Effect.succeed(a + b)
const Handlers = Add.toLayer({ add })
const ManyHandlers = many.toLayer(
  Object.fromEntries(Array.from({ length: methods - 1 }, (_, i) => [`method${i}`, add])) as never
) as Layer.Layer<any>

const report = Layer.effectDiscard(Effect.map(HttpServer.HttpServer, (server) => ready((server.address as any).port)))

const answer = (text: string): string => {
  const value = JSON.parse(text)
  if (Array.isArray(value)) {
    return JSON.stringify(value.map((m) => ({ jsonrpc: "2.0", result: m.params.a + m.params.b, id: m.id })))
  }
  return JSON.stringify({ jsonrpc: "2.0", result: value.params.a + value.params.b, id: value.id })
}

const kinds: Record<string, () => unknown> = {
  bare: () => {
    const server: WebSocketServer = new WebSocketServer(
      { port: 0, host: "127.0.0.1", perMessageDeflate: false },
      () => ready((server.address() as any).port)
    )
    server.on("connection", (ws) => ws.on("message", (data) => ws.send(answer(data.toString()))))
  },
  corked: () => {
    const server: WebSocketServer = new WebSocketServer(
      { port: 0, host: "127.0.0.1", perMessageDeflate: false },
      () => ready((server.address() as any).port)
    )
    server.on("connection", (ws) => {
      const socket = (ws as any)._socket
      let corked = false
      ws.on("message", (data) => {
        if (!corked) {
          corked = true
          socket.cork()
          setImmediate(() => {
            corked = false
            socket.uncork()
          })
        }
        ws.send(answer(data.toString()))
      })
    })
  },
  "effect-wire": () => {
    const group = methods > 1 ? Add.merge(many) : Add
    const routes = JsonRpcServer.layerHttp(group as typeof Add, {
      path: "/",
      dialect: Dialect.rockets,
      maxConnections: 10_000
    }).pipe(
      Layer.provide(Handlers),
      Layer.provide(methods > 1 ? ManyHandlers : Layer.empty)
    )
    return Effect.runFork(Layer.launch(
      Layer.merge(HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }), report).pipe(
        Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 0, maxConnections: 10_000 }))
      )
    ))
  },
  effect: () =>
    Effect.runFork(Layer.launch(
      Layer.merge(
        HttpRouter.serve(
          RpcServer.layerHttp({ group: Add, path: "/", protocol: "websocket" }).pipe(Layer.provide(Handlers)),
          { disableLogger: true, disableListenLog: true }
        ),
        report
      ).pipe(
        Layer.provide(RpcSerialization.layerJsonRpc()),
        Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
      ) as never
    ))
}
kinds[kind]!()
