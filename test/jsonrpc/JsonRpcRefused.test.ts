import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"

class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("forever")
) {}
const Handlers = Group.toLayer({ add: ({ a, b }) => Effect.succeed(a + b), forever: () => Effect.never })
const App = Layer.merge(
  JsonRpcServer.layerSocketServer(Group).pipe(Layer.provide(Handlers)),
  JsonRpcClient.layerSocket()
).pipe(Layer.provideMerge(MemorySocket.layer))

it.effect("the calls of a batch that the server refuses as a whole fail, other calls go on", () =>
  Effect.gen(function*() {
    const client = yield* JsonRpcClient.make(Group)
    const untyped = yield* JsonRpcClient.JsonRpcClient
    yield* Effect.forkChild(client.forever())
    yield* Effect.forkChild(client.forever())
    const error = yield* Effect.flip(
      JsonRpcClient.batch(Array.from({ length: 101 }, (_, i) => client.add({ a: i, b: 1 })))
    )
    assert.strictEqual(error.reason._tag === "RemoteError" && error.reason.code, -32600)
    assert.strictEqual(untyped.caller.inFlight, 2)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
  }).pipe(Effect.provide(Layer.fresh(App))))
