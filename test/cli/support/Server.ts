/** Servers of every wire and carrier in this process, on free ports, which say what they saw. */
import { NodeServices } from "@effect/platform-node"
import { Context, Effect, Layer, Queue, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClients, JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeStreamSocket, NodeWebSocketServer } from "effect-wire/node"
import { OpenRpc } from "effect-wire/openrpc"
import { Progress } from "effect-wire/rpc"
import { Framing } from "effect-wire/socket"
import { Topic, Topics } from "effect-wire/topics"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { createServer } from "node:http"
import { join } from "node:path"
import { Program } from "./Program.ts"

class Methods extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("color", { payload: { name: Schema.Literals(["red", "green"]), dark: Schema.Boolean } }),
  Rpc.make("hang"),
  Rpc.make("work", { success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("tell", { payload: { text: Schema.String } }),
  Rpc.make("refuse", { error: JsonRpcError.RemoteError })
) {}
class All extends Methods.merge(OpenRpc.Rpcs).merge(Topics.Rpcs) {}

const Orders = Topic.make("orders", { payload: Schema.Int, history: {} })
const topics = Topic.group(Orders)

export class Servers extends Context.Service<Servers, {
  /** What became of `hang`: `began`, `interrupted`. */
  readonly hangs: Queue.Dequeue<string>
  /** What `tell` was told. */
  readonly told: Queue.Dequeue<string>
  /** `127.0.0.1:12345`; paths are `/rockets`, `/lsp` and so on. */
  readonly web: string
  readonly lines: number
  readonly headed: number
  readonly unix: string
  readonly broadcast: (method: string, params: ReadonlyArray<unknown>) => Effect.Effect<number>
  /** Publishes on the topic `orders`, which has a history. */
  readonly order: (number: number) => Effect.Effect<void>
}>()("effect-wire/test/cli/support/Server/Servers") {
  static readonly layer = Layer.effect(
    Servers,
    Effect.gen(function*() {
      const hangs = yield* Queue.unbounded<string>()
      const told = yield* Queue.unbounded<string>()
      const { directory } = yield* Program
      const shared = yield* Layer.build(JsonRpcClients.layerShared)
      const clients = Context.get(shared, JsonRpcClients.JsonRpcClients)
      const published = Layer.succeedContext(
        yield* Layer.build(Topics.layer(topics).pipe(Layer.provide(Backplane.layerMemory)))
      )
      const handlers = Layer.mergeAll(
        Methods.toLayer({
          add: ({ a, b }) => Effect.succeed(a + b),
          color: () => Effect.void,
          hang: () =>
            Effect.andThen(Queue.offer(hangs, "began"), Effect.never).pipe(
              Effect.onInterrupt(() => Queue.offer(hangs, "interrupted"))
            ),
          work: Effect.fnUntraced(function*() {
            yield* Progress.report({ operation: "half", amount: 0.5 })
            yield* Effect.sleep(10)
            yield* Progress.report({ operation: "all", amount: 1 })
            return "done"
          }),
          count: ({ to }) => Stream.range(1, to),
          tell: ({ text }) => Effect.asVoid(Queue.offer(told, text)),
          refuse: () => Effect.fail(new JsonRpcError.RemoteError({ code: -32050, message: "no", data: { why: "so" } }))
        }),
        OpenRpc.layerHandlers({ methods: All, topics, info: { title: "test", version: "1" } }),
        Layer.provide(Topics.layerHandlers({ methods: All }), published)
      )
      const route = (wire: Wire.Wire) => JsonRpcServer.layerHttp(All, { path: `/${wire.name}`, wire, drainTimeout: 0 })
      const Routes = Layer.mergeAll(
        route(Wire.standard),
        route(Wire.rockets),
        route(Wire.aiohttp),
        route(Wire.lsp),
        route(Wire.mcp),
        route(Wire.cdp),
        route(Wire.version1)
      ).pipe(Layer.provide(handlers), Layer.provide(Layer.succeedContext(shared)))
      const web = yield* Layer.build(
        HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0, gracefulShutdownTimeout: 0 }))
        )
      )
      const socketServer = (wire: Wire.Wire, options: NodeStreamSocket.ServerOptions) =>
        Effect.map(
          Layer.build(
            JsonRpcServer.layerSocketServer(All, { wire, drainTimeout: 0 }).pipe(
              Layer.provide(handlers),
              Layer.provideMerge(NodeStreamSocket.layerServer(options))
            )
          ),
          (context) => Context.get(context, SocketServer.SocketServer).address
        )
      const unix = join(directory, "server.sock")
      const lines = yield* socketServer(Wire.rockets, { framing: Framing.lines() })
      const headed = yield* socketServer(Wire.lsp, { framing: Framing.contentLength() })
      yield* socketServer(Wire.standard, { path: unix, framing: Framing.lines() })
      const port = (address: typeof lines) => "port" in address ? address.port : 0
      return {
        hangs,
        told,
        web: HttpServer.formatAddress(Context.get(web, HttpServer.HttpServer).address).replace("http://", ""),
        lines: port(lines),
        headed: port(headed),
        unix,
        broadcast: clients.broadcast,
        order: (number) => Effect.orDie(Effect.provide(Topics.publish(Orders, number), published))
      }
    })
  ).pipe(Layer.provideMerge(Program.layer), Layer.provide(NodeServices.layer))
}
