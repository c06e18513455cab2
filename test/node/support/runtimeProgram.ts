// @effect-diagnostics globalConsole:off
/**
 * What must be the same on every runtime, from source and from a minified bundle: prints one JSON line of facts.
 */
import { Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import { PasswordHash } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodePasswordHash, NodeStreamSocket, NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Framing, WebSocketRoute } from "effect-wire/socket"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { createServer } from "node:http"
import { connect, type Socket as NetSocket } from "node:net"

class Methods extends RpcGroup.make(
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String })
) {}
const Handlers = Methods.toLayer({ echo: ({ text }) => Effect.succeed(text) })

let open = 0
const Watched = WebSocketRoute.layer("/watched", (socket) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    open++
    yield* Effect.addFinalizer(() => Effect.sync(() => open--))
    return yield* Effect.forever(pull)
  })))
const Routes = Layer.merge(JsonRpcServer.layerHttp(Methods, { path: "/rpc" }).pipe(Layer.provide(Handlers)), Watched)
const Http = HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0 }))
)
const Alone = JsonRpcServer.layerSocketServer(Methods).pipe(
  Layer.provide(Handlers),
  Layer.provideMerge(NodeWebSocketServer.layer())
)
const framing = Framing.lines()
const Tcp = JsonRpcServer.layerSocketServer(Methods).pipe(
  Layer.provide(Handlers),
  Layer.provideMerge(NodeStreamSocket.layerServer({ framing }))
)

const text = "äöü€😀".repeat(20_000)
const roundTrip = (socket: Layer.Layer<Socket.Socket, unknown>) =>
  Effect.gen(function*() {
    const client = yield* JsonRpcClient.make(Methods)
    const answers = yield* Effect.all([client.echo({ text: "a" }), client.echo({ text: "b" }), client.echo({ text })], {
      concurrency: "unbounded"
    })
    return answers[0] === "a" && answers[1] === "b" && answers[2] === text
  }).pipe(
    Effect.provide(JsonRpcClient.layerSocket().pipe(Layer.provide(socket))),
    Effect.scoped,
    Effect.timeout("20 seconds"),
    Effect.exit,
    Effect.map((exit) => Exit.isSuccess(exit) ? exit.value : String(exit.cause))
  )

const eventually = (condition: () => boolean, tries = 500): Effect.Effect<boolean> =>
  Effect.suspend(() =>
    condition()
      ? Effect.succeed(true)
      : tries === 0
      ? Effect.succeed(false)
      : Effect.andThen(Effect.sleep(10), eventually(condition, tries - 1))
  )

const upgraded = (port: number) =>
  Effect.callback<NetSocket>((resume) => {
    const net = connect(port, "127.0.0.1", () => {
      net.write(
        "GET /watched HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      )
      net.once("data", () => resume(Effect.succeed(net)))
    })
    net.on("error", () => {})
  })

const portOf = (address: unknown) => (address as { readonly port: number }).port

const program = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const http = yield* Layer.buildWithScope(Http, scope)
  const alone = yield* Layer.buildWithScope(Alone, scope)
  const tcp = yield* Layer.buildWithScope(Tcp, scope)
  const port = portOf(yield* Effect.provide(Effect.map(HttpServer.HttpServer, (server) => server.address), http))
  const alonePort = portOf(yield* Effect.provide(Effect.map(SocketServer.SocketServer, (s) => s.address), alone))
  const tcpPort = portOf(yield* Effect.provide(Effect.map(SocketServer.SocketServer, (s) => s.address), tcp))
  const url = `ws://127.0.0.1:${port}/rpc`
  const facts: Record<string, unknown> = {}
  facts["route, our client"] = yield* roundTrip(NodeWebSocket.layer(url))
  facts["route, the runtime's client"] = yield* roundTrip(
    Socket.layerWebSocket(url).pipe(Layer.provide(Socket.layerWebSocketConstructorGlobal))
  )
  facts["alone, our client"] = yield* roundTrip(NodeWebSocket.layer(`ws://127.0.0.1:${alonePort}`))
  facts["tcp"] = yield* roundTrip(NodeStreamSocket.layer({ port: tcpPort, framing }))

  for (const how of ["ends", "resets"] as const) {
    const net = yield* upgraded(port)
    const opened = yield* eventually(() => open === 1)
    if (how === "ends") net.destroy()
    else net.resetAndDestroy()
    facts[`a peer that ${how} is noticed`] = opened && (yield* eventually(() => open === 0))
  }

  facts["password"] = yield* Effect.gen(function*() {
    const hashes = yield* PasswordHash.PasswordHash
    return yield* hashes.verify(Redacted.make("secret"), yield* hashes.hash(Redacted.make("secret")))
  }).pipe(Effect.provide(NodePasswordHash.layer({ logN: 4 })))
  return facts
})

process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ uncaught: String(error) }))
  process.exit(1)
})
const scope = Scope.makeUnsafe()
Effect.runPromise(Scope.provide(program, scope)).then((facts) => {
  console.log(JSON.stringify(facts))
  process.exit(0)
}, (error) => {
  console.log(JSON.stringify({ failed: String(error) }))
  process.exit(1)
})
