/**
 * Testing an app without a port and without waiting: the real encoding over sockets in memory, with latency, a connection
 * that breaks, and a clock that the test moves. In a test file, `it.effect` of `@effect/vitest` brings the clock.
 *
 * Run: npx tsx examples/testing-in-memory.ts
 * Prints: ok - a slow answer is given up after 5 seconds, and cancelled at the server
 * Prints: ok - a typed error comes back as itself
 * Prints: ok - a broken connection fails the call at once
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Layer, Ref, Schema } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer, JsonRpcTest, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { deepStrictEqual, strictEqual } from "node:assert/strict"

class NoTea extends Schema.TaggedError<NoTea>()("NoTea", {}, JsonRpcError.wire({ code: -32018 })) {}

class Kitchen extends RpcGroup.make(
  Rpc.make("cook", { success: Schema.String }),
  Rpc.make("tea", { error: NoTea })
) {}

const stopped = Ref.makeUnsafe(0)
const Handlers = Kitchen.toLayer({
  cook: () =>
    Effect.as(Effect.sleep("1 hour"), "dinner").pipe(Effect.onInterrupt(() => Ref.update(stopped, (n) => n + 1))),
  tea: () => Effect.fail(new NoTea())
})

const test = <E, R>(name: string, body: Effect.Effect<void, E, R>) =>
  Effect.andThen(Effect.provide(Effect.scoped(body), TestClock.layer()), Console.log(`ok - ${name}`))

/** A client of the handlers, wired in memory. */
const slow = Effect.gen(function*() {
  const client = yield* JsonRpcTest.makeClient(Kitchen, { wire: Wire.rockets })
  const call = yield* Effect.forkChild(Effect.timeoutOption(client.cook(), "5 seconds"))
  yield* TestClock.adjust("5 seconds")
  strictEqual((yield* Fiber.join(call))._tag, "None")
  yield* Effect.yieldNow
  strictEqual(yield* Ref.get(stopped), 1)
}).pipe(Effect.provide(Handlers))

const typed = Effect.gen(function*() {
  const client = yield* JsonRpcTest.makeClient(Kitchen)
  deepStrictEqual(yield* Effect.flip(client.tea()), new NoTea())
}).pipe(Effect.provide(Handlers))

/** A server and a client on a network that loses the connection with the first frame. */
const broken = Effect.gen(function*() {
  const client = yield* JsonRpcClient.make(Kitchen)
  const call = yield* Effect.forkChild(Effect.flip(client.cook()))
  yield* TestClock.adjust("1 second")
  const error = yield* Fiber.join(call)
  strictEqual(error.reason._tag, "ConnectionError")
}).pipe(Effect.provide(
  Layer.merge(
    JsonRpcServer.layerSocketServer(Kitchen).pipe(Layer.provide(Handlers)),
    JsonRpcClient.layerSocket()
  ).pipe(Layer.provide(MemorySocket.layerWith({ latency: "50 millis", cutAfter: 1 })))
))

Effect.gen(function*() {
  yield* test("a slow answer is given up after 5 seconds, and cancelled at the server", slow)
  yield* test("a typed error comes back as itself", typed)
  yield* test("a broken connection fails the call at once", broken)
}).pipe(NodeRuntime.runMain)
