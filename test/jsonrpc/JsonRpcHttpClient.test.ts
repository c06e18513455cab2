/** PROTOCOLS.md, "HTTP POST", with our client at the other end. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Queue, Schema, type Scope, Stream, Tracer } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcHttpClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { HttpBody, HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { Boom, makeWorld, Methods, Plain, type World } from "./suite.ts"

class Traced extends RpcGroup.make(Rpc.make("trace", { success: Schema.NullOr(Schema.String) })) {}

const http = (world: World) => {
  const routes = Layer.mergeAll(
    JsonRpcServer.layerHttp(Methods, { path: "/rpc", wire: Wire.rockets, maxBatch: 10 }).pipe(
      Layer.provide(world.handlers)
    ),
    JsonRpcServer.layerHttp(Traced, { path: "/traced" }).pipe(
      Layer.provide(Traced.toLayer({
        trace: () =>
          Effect.map(
            Effect.option(Effect.currentParentSpan),
            (span) => span._tag === "Some" ? span.value.traceId : null
          )
      }))
    ),
    HttpRouter.add("POST", "/broken", HttpServerResponse.empty({ status: 503 })),
    HttpRouter.add("POST", "/refusing", HttpServerResponse.empty({ status: 403 })),
    HttpRouter.add("POST", "/mute", HttpServerResponse.text("", { contentType: "application/json" })),
    HttpRouter.add("POST", "/other", HttpServerResponse.text("<html>"))
  )
  return HttpRouter.serve(routes, { disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
}

const test = <E>(
  title: string,
  body: (world: World) => Effect.Effect<void, E, HttpClient.HttpClient | Scope.Scope>
) =>
  it.live(
    title,
    () =>
      Effect.flatMap(makeWorld, (world) =>
        body(world).pipe(
          Effect.scoped,
          Effect.provide(Layer.fresh(http(world).pipe(Layer.provideMerge(Logger.layer([])))))
        ))
  )

const connect = (url = "/rpc") =>
  Effect.gen(function*() {
    const remote = yield* JsonRpcHttpClient.make({ url })
    return { remote, client: yield* JsonRpcClient.fromRemote(Methods, remote) }
  })

const reasonOf = (error: unknown) => error instanceof JsonRpcError.JsonRpcError ? error.reason : undefined

test("typed calls, typed errors, streams and undeclared errors are those of every carrier", () =>
  Effect.gen(function*() {
    const { client, remote } = yield* connect()
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    assert.isUndefined(yield* client.nothing())
    assert.deepStrictEqual(yield* Effect.flip(client.fail({ kind: "Boom" })), new Boom({ why: "because", at: 1 }))
    assert.deepStrictEqual(yield* Stream.runCollect(client.count({ to: 3 })), [1, 2, 3])
    const died = reasonOf(yield* Effect.flip(client.die()))
    assert.isTrue(died?._tag === "RemoteError" && died.code === -32603)
    const missing = reasonOf(yield* Effect.flip(remote.call("nope")))
    assert.isTrue(missing?._tag === "RemoteError" && missing.code === -32601)
    assert.isTrue(yield* remote.connected)
  }))

test("a batch is one request, notifications too; nobody can be called back", (world) =>
  Effect.gen(function*() {
    const { client, remote } = yield* connect()
    const results = yield* JsonRpcClient.batch([
      client.add({ a: 1, b: 2 }),
      client.note({ text: "hello" }, { discard: true }),
      client.askBack({ question: "who" }).pipe(Effect.exit),
      client.fail({ kind: "Plain" })
    ], { mode: "result" })
    assert.deepStrictEqual(results[0]._tag === "Success" && results[0].success, 3)
    assert.strictEqual(results[1]._tag, "Success")
    assert.deepStrictEqual(results[3]._tag === "Failure" && results[3].failure, new Plain({ x: 1 }))
    assert.strictEqual(yield* Queue.take(world.notes), "hello")
    yield* remote.notify("note", ["alone"])
    assert.strictEqual(yield* Queue.take(world.notes), "alone")
  }))

test("a batch that is refused as a whole fails every call of it with the server's error", () =>
  Effect.gen(function*() {
    const { client } = yield* connect()
    const results = yield* JsonRpcClient.batch(Array.from({ length: 11 }, (_, i) => client.add({ a: i, b: 1 })), {
      mode: "result"
    })
    for (const result of results) {
      const reason = result._tag === "Failure" ? reasonOf(result.failure) : undefined
      assert.isTrue(reason?._tag === "RemoteError" && reason.code === -32600)
    }
  }))

test("interrupting a call aborts its request, which interrupts the handler", (world) =>
  Effect.gen(function*() {
    const { client, remote } = yield* connect()
    const fiber = yield* Effect.forkChild(client.wait({ name: "a" }))
    assert.strictEqual(yield* Queue.take(world.events), "start a")
    yield* Fiber.interrupt(fiber)
    assert.strictEqual(yield* Queue.take(world.events), "interrupt a")
    assert.strictEqual(remote.port!.caller.inFlight, 0)
    assert.strictEqual(yield* client.add({ a: 1, b: 1 }), 2)
  }))

test("interrupting all calls of a batch aborts its request", (world) =>
  Effect.gen(function*() {
    const { client } = yield* connect()
    const fiber = yield* Effect.forkChild(JsonRpcClient.batch([client.wait({ name: "a" }), client.wait({ name: "b" })]))
    assert.deepStrictEqual([yield* Queue.take(world.events), yield* Queue.take(world.events)], ["start a", "start b"])
    yield* Fiber.interrupt(fiber)
    const ends = [yield* Queue.take(world.events), yield* Queue.take(world.events)]
    assert.deepStrictEqual(ends.sort(), ["interrupt a", "interrupt b"])
  }))

test("a closed client fails what is under way and aborts it", (world) =>
  Effect.gen(function*() {
    const { client, remote } = yield* connect()
    const pending = yield* Effect.forkChild(Effect.flip(client.wait({ name: "a" })))
    assert.strictEqual(yield* Queue.take(world.events), "start a")
    yield* remote.disconnect
    const reason = reasonOf(yield* Fiber.join(pending))
    assert.isTrue(reason?._tag === "ConnectionError" && reason.maybeExecuted)
    assert.strictEqual(yield* Queue.take(world.events), "interrupt a")
    const late = reasonOf(yield* Effect.flip(client.add({ a: 1, b: 1 })))
    assert.isTrue(late?._tag === "ConnectionError" && !late.maybeExecuted)
    assert.isFalse(yield* remote.connected)
  }))

test("what is no JSON-RPC says what it was, and whether the request may have been executed", () =>
  Effect.gen(function*() {
    const failure = (url: string) =>
      Effect.flatMap(connect(url), ({ client }) => Effect.map(Effect.flip(client.add({ a: 1, b: 1 })), reasonOf))
    const broken = yield* failure("/broken")
    assert.isTrue(broken?._tag === "ConnectionError" && broken.maybeExecuted)
    const refused = yield* failure("/refusing")
    assert.isTrue(refused?._tag === "ConnectionError" && !refused.maybeExecuted)
    assert.strictEqual((yield* failure("/mute"))?._tag, "ProtocolError")
    assert.strictEqual((yield* failure("/other"))?._tag, "ProtocolError")
    const nobody = yield* failure("http://127.0.0.1:1/rpc")
    assert.strictEqual(nobody?._tag, "ConnectionError")
  }))

const traceId = "0af7651916cd43dd8448eb211c80319c"

test("the header traceparent is the trace of every request that has none of its own", () =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const ask = (headers: Record<string, string>, extra = "") =>
      client.post("/traced", {
        headers,
        body: HttpBody.text(`{"jsonrpc":"2.0","method":"trace"${extra},"id":1}`, "application/json")
      }).pipe(
        Effect.flatMap((response) => response.json),
        Effect.map((answer: any) => answer.result),
        Effect.provideService(Tracer.DisablePropagation, true)
      )
    assert.strictEqual(yield* ask({ traceparent: `00-${traceId}-b7ad6b7169203331-01` }), traceId)
    const own = "1af7651916cd43dd8448eb211c80319c"
    assert.strictEqual(
      yield* ask(
        { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
        `,"traceparent":"00-${own}-b7ad6b7169203331-01"`
      ),
      own
    )
  }))
