import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Progress } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"

class Boom extends Schema.TaggedError<Boom>()("Boom", { why: Schema.String }, JsonRpcError.wire({ code: -32010 })) {}
class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("slow", { success: Schema.String }),
  Rpc.make("fail", { error: Boom }),
  Rpc.make("a.b", { success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true })
) {}
let interrupted = 0
const Handlers = Group.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  slow: () =>
    Effect.gen(function*() {
      yield* Progress.report({ operation: "half", amount: 0.5 })
      yield* Effect.sleep("10 seconds")
      return "slept"
    }).pipe(Effect.onInterrupt(() => Effect.sync(() => interrupted++))),
  fail: () => Effect.fail(new Boom({ why: "because" })),
  "a.b": () => Effect.succeed("nested"),
  count: ({ to }) => Stream.range(1, to)
})
const Server = JsonRpcServer.layerSocketServer(Group, { wire: Wire.rockets }).pipe(Layer.provide(Handlers))
const App = Layer.merge(Server, JsonRpcClient.layerSocket({ wire: Wire.rockets })).pipe(
  Layer.provideMerge(MemorySocket.layer)
)
it.effect("a typed, an untyped and a nested client of one connection agree", () =>
  Effect.gen(function*() {
    const client = yield* JsonRpcClient.make(Group)
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    const boom = yield* Effect.flip(client.fail())
    assert.deepStrictEqual(boom, new Boom({ why: "because" }))
    const reports: Array<Progress.Report> = []
    const fiber = yield* Effect.forkChild(client.slow().pipe(Progress.tap((r) => Effect.sync(() => reports.push(r)))))
    yield* TestClock.adjust("1 second")
    assert.strictEqual(reports.length, 1)
    yield* Fiber.interrupt(fiber)
    yield* TestClock.adjust("1 second")
    assert.strictEqual(interrupted, 1)
    const [x, y] = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client["a.b"]()])
    assert.strictEqual(x + y, "3nested")
    const all = yield* Stream.runCollect(client.count({ to: 5 }))
    assert.deepStrictEqual(all, [1, 2, 3, 4, 5])
    const untyped = yield* JsonRpcClient.JsonRpcClient
    const ns = JsonRpcClient.namespace(untyped)
    assert.strictEqual(yield* ns.add!(4, 5), 9)
    assert.strictEqual(yield* JsonRpcClient.nest(client, ".").a.b(), "nested")
    const error = yield* Effect.flip(untyped.call("nope"))
    assert.strictEqual(error.reason._tag, "RemoteError")
    const bad = yield* Effect.flip(untyped.call("add", { a: "x" }))
    assert.strictEqual(bad.reason._tag === "RemoteError" && bad.reason.code, -32602)
    const raw = yield* untyped.call("count", [3])
    assert.deepStrictEqual(raw, [1, 2, 3])
  }).pipe(Effect.provide(App)))
