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
    yield* untyped.connect
    yield* Effect.forkChild(client.forever(), { startImmediately: true })
    yield* Effect.forkChild(client.forever(), { startImmediately: true })
    const error = yield* Effect.flip(
      JsonRpcClient.batch(Array.from({ length: 101 }, (_, i) => client.add({ a: i, b: 1 })))
    )
    assert.strictEqual(error.reason._tag === "RemoteError" && error.reason.code, -32600)
    assert.strictEqual(untyped.port!.caller.inFlight, 2)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
  }).pipe(Effect.provide(Layer.fresh(App))))

it.effect("a batch made before the connection is open goes out in one frame, its notifications too", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const remote = yield* JsonRpcClient.fromSocket(near, { connect: "lazy" })
    yield* Effect.forkChild(JsonRpcClient.batch([remote.call("a"), remote.notify("b"), remote.call("c")]))
    const { pull } = yield* far.reader
    assert.deepStrictEqual(yield* pull, [
      `[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"},{"jsonrpc":"2.0","id":2,"method":"c"}]`
    ])
  }))
