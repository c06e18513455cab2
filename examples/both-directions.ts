/**
 * One socket, two directions: each side serves methods and calls those of the other. The server asks its caller a question
 * while it answers, and tells every client the news.
 *
 * Run: npx tsx examples/both-directions.ts
 * Prints: the server asks: Delete everything?
 * Prints: the client's answer was no, so nothing was deleted
 * Prints: news for everybody: nothing was deleted
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Deferred, Effect, Exit, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcPeer, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Rpc, RpcGroup } from "effect/rpc"

/** What the server answers. */
class ServerMethods extends RpcGroup.make(
  Rpc.make("deleteAll", { success: Schema.String })
) {}

/** What the clients answer. */
class ClientMethods extends RpcGroup.make(
  Rpc.make("confirm", { payload: { question: Schema.String }, success: Schema.Boolean }),
  Rpc.make("news", { payload: { text: Schema.String } })
) {}

const Handlers = ServerMethods.toLayer(Effect.gen(function*() {
  const clients = yield* JsonRpcClients.JsonRpcClients
  return ServerMethods.of({
    deleteAll: () =>
      Effect.scoped(Effect.gen(function*() {
        // the client whose request this is, as a typed client of its own methods
        const caller = (yield* JsonRpcClients.current)!
        const client = yield* JsonRpcClient.fromRemote(ClientMethods, caller)
        const sure = yield* client.confirm({ question: "Delete everything?" })
        const text = sure ? "everything was deleted" : "nothing was deleted"
        yield* clients.broadcast("news", { text })
        return `the client's answer was ${sure ? "yes" : "no"}, so ${text}`
      })).pipe(Effect.orDie)
  })
}))

const Server = JsonRpcServer.layerSocketServer(ServerMethods).pipe(
  Layer.provide(Handlers),
  Layer.provide(JsonRpcClients.layer),
  Layer.provideMerge(NodeWebSocketServer.layer())
)

const Socket = NodeWebSocket.layerFromServer()

const program = Effect.gen(function*() {
  const heard = yield* Deferred.make<void>()
  const ClientHandlers = ClientMethods.toLayer({
    confirm: ({ question }) => Effect.as(Console.log(`the server asks: ${question}`), false),
    news: ({ text }) =>
      Effect.andThen(Console.log(`news for everybody: ${text}`), Deferred.done(heard, Exit.void)).pipe(Effect.asVoid)
  })
  const { client } = yield* JsonRpcPeer.make({ serves: ClientMethods, calls: ServerMethods }).pipe(
    Effect.provide(ClientHandlers)
  )
  yield* Console.log(yield* client.deleteAll())
  yield* Deferred.await(heard)
})

program.pipe(Effect.scoped, Effect.provide(Socket.pipe(Layer.provideMerge(Server))), NodeRuntime.runMain)
