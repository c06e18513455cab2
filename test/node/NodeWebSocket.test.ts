import { Context, Effect, Layer } from "effect"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { BrowserWebSocket, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { Socket, SocketServer } from "effect/socket"
import { createServer } from "node:http"
import { suite } from "../socket/carrierSuite.ts"

const client = Layer.effect(Socket.Socket)(Effect.gen(function*() {
  const { address } = yield* SocketServer.SocketServer
  if (address._tag === "UnixPathAddress") return yield* Effect.die("a port is expected")
  return yield* NodeWebSocket.make(`127.0.0.1:${address.port}/socket`)
}))

const alone = NodeWebSocketServer.layer({ path: "/socket" })

/** A route as a `SocketServer`, so that the table of all carriers runs over it. */
const mounted = Layer.effect(SocketServer.SocketServer)(Effect.gen(function*() {
  const context = yield* Effect.context<HttpServer.HttpServer>()
  const { address } = yield* HttpServer.HttpServer
  return SocketServer.SocketServer.of({
    address,
    run: (handler) =>
      Effect.contextWith((services: Context.Context<never>) =>
        Layer.launch(HttpRouter.serve(WebSocketRoute.layer("/socket", handler), {
          disableLogger: true,
          disableListenLog: true
        })).pipe(
          Effect.provideContext(Context.merge(services, context)),
          Effect.orDie
        )
      ) as Effect.Effect<never>
  })
})).pipe(Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 0 })))

const browser = Layer.effect(Socket.Socket)(Effect.gen(function*() {
  const { address } = yield* SocketServer.SocketServer
  return yield* BrowserWebSocket.make(`${address}/socket`)
}))

suite("a browser's WebSocket", Layer.provideMerge(browser, alone), { text: true, closeCodes: true })
suite("WebSocket", Layer.provideMerge(client, alone), { text: true, closeCodes: true })
suite("WebSocket on a route", Layer.provideMerge(client, mounted), { text: true, closeCodes: true })
