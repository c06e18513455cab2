/** The registries of connected clients: one for each server, unless the app says otherwise. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { JsonRpcClients, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { fromSocket } from "./raw.ts"

class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("tell", { success: Schema.Int }),
  Rpc.make("count", { success: Schema.Int })
) {}
const Handlers = Group.toLayer(Effect.map(JsonRpcClients.JsonRpcClients, (clients) => ({
  fence: () => Effect.void,
  tell: () => clients.broadcast("told"),
  count: () => Effect.map(clients.all, (all) => all.length)
})))

/** Two servers, one layer of handlers and one of clients, as an app writes it down. */
const two = (layer: Layer.Layer<JsonRpcClients.JsonRpcClients>) =>
  Effect.gen(function*() {
    const servers = [yield* MemorySocket.makeServer(), yield* MemorySocket.makeServer()] as const
    const serve = ({ server }: MemorySocket.MemoryServer["Service"]) =>
      JsonRpcServer.layerSocketServer(Group).pipe(
        Layer.provide(Handlers),
        Layer.provideMerge(layer),
        Layer.provide(Layer.succeed(SocketServer.SocketServer, server))
      )
    const context = yield* Layer.build(Layer.mergeAll(serve(servers[0]), serve(servers[1])))
    const [a, b] = [yield* fromSocket(servers[0].connect()), yield* fromSocket(servers[1].connect())]
    const ask = (peer: typeof a, method: string) =>
      Effect.andThen(peer.send(`{"jsonrpc":"2.0","id":1,"method":"${method}"}`), peer.takeJson)
    yield* ask(b, "fence")
    yield* ask(a, "fence")
    return { a, b, ask, context }
  })

it.effect("two servers that were given one layer have a registry each, and share no client", () =>
  Effect.gen(function*() {
    const { a, ask, b, context } = yield* two(JsonRpcClients.layer)
    yield* a.send(`{"jsonrpc":"2.0","id":1,"method":"tell"}`)
    const [first, second] = [yield* a.takeJson, yield* a.takeJson]
    assert.deepStrictEqual([first.method, second.result], ["told", 1])
    assert.deepStrictEqual(yield* b.pending, [])
    assert.strictEqual((yield* ask(b, "count")).result, 1)
    // nobody says of which server
    const clients = yield* JsonRpcClients.JsonRpcClients.pipe(Effect.provideContext(context))
    assert.strictEqual((yield* Effect.exit(clients.all))._tag, "Failure")
  }))

it.effect("servers share their clients where the app says so", () =>
  Effect.gen(function*() {
    const { a, ask, b, context } = yield* two(JsonRpcClients.layerShared)
    assert.strictEqual((yield* ask(a, "count")).result, 2)
    const clients = yield* JsonRpcClients.JsonRpcClients.pipe(Effect.provideContext(context))
    assert.strictEqual(yield* clients.broadcast("told"), 2)
    assert.strictEqual((yield* b.takeJson).method, "told")
  }))
