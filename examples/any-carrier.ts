/**
 * One program, four carriers: in memory, WebSocket, TCP (one message a line) and HTTP. The program and the handlers do not
 * change; only the layers under them do.
 *
 * Run: npx tsx examples/any-carrier.ts
 * Prints: memory     2 + 3 = 5
 * Prints: WebSocket  2 + 3 = 5
 * Prints: TCP        2 + 3 = 5
 * Prints: HTTP       2 + 3 = 5
 */
import { NodeHttpClient, NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcHttpClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeStreamSocket, NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Framing, MemorySocket } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { createServer } from "node:http"

class Adder extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite })
) {}
const Handlers = Adder.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })

const program = (carrier: string) =>
  Effect.scoped(Effect.gen(function*() {
    const client = yield* JsonRpcClient.make(Adder)
    yield* Console.log(`${carrier.padEnd(10)} 2 + 3 = ${yield* client.add({ a: 2, b: 3 })}`)
  }))

// Sockets: a server and a client that know nothing of what carries them.
const Server = JsonRpcServer.layerSocketServer(Adder).pipe(Layer.provide(Handlers))
const Client = JsonRpcClient.layerSocket()

const Memory = Layer.merge(Server, Client).pipe(Layer.provide(MemorySocket.layer))

const WebSocket = Client.pipe(
  Layer.provide(NodeWebSocket.layerFromServer()),
  Layer.merge(Server),
  Layer.provide(NodeWebSocketServer.layer())
)

const Tcp = Client.pipe(
  Layer.provide(Layer.unwrap(Effect.map(SocketServer.SocketServer, ({ address }) =>
    NodeStreamSocket.layer({
      ...(address._tag === "UnixPathAddress" ? { path: address.path } : { port: address.port }),
      framing: Framing.lines()
    })))),
  Layer.merge(Server),
  Layer.provide(NodeStreamSocket.layerServer({ framing: Framing.lines() }))
)

// HTTP: each call is one POST.
const Http = Layer.unwrap(
  HttpServer.addressFormattedWith((url) => Effect.succeed(JsonRpcHttpClient.layer({ url: `${url}/rpc` })))
).pipe(
  Layer.merge(
    HttpRouter.serve(JsonRpcServer.layerHttp(Adder, { path: "/rpc" }).pipe(Layer.provide(Handlers)), {
      disableLogger: true,
      disableListenLog: true
    })
  ),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
  Layer.provide(NodeHttpClient.layerUndici)
)

Effect.gen(function*() {
  yield* Effect.provide(program("memory"), Memory)
  yield* Effect.provide(program("WebSocket"), WebSocket)
  yield* Effect.provide(program("TCP"), Tcp)
  yield* Effect.provide(program("HTTP"), Http)
}).pipe(NodeRuntime.runMain)
