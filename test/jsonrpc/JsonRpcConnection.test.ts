/** PROTOCOLS.md, "JSON-RPC 2.0" (limits) and "Closing": what one connection may use, and what is left of it afterwards. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Inspectable, Logger, Metric, References, Schema, Scope, Stream } from "effect"
import {
  JsonRpcClient,
  JsonRpcClients,
  type JsonRpcError,
  JsonRpcPeer,
  JsonRpcServer,
  JsonRpcTest,
  Wire
} from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { RpcMetrics } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { connect, fence, fromSocket } from "./raw.ts"
import { eventually, makeWorld, Methods } from "./suite.ts"

class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("wait", { payload: { n: Schema.Int }, success: Schema.Int }),
  Rpc.make("large", { payload: { n: Schema.Int }, success: Schema.String }),
  Rpc.make("endless", { success: Schema.String, stream: true })
) {}

const world = () => {
  const state = { started: [] as Array<number>, interrupted: 0, made: 0, gate: Deferred.makeUnsafe<void>() }
  const layer = Group.toLayer({
    fence: () => Effect.void,
    wait: ({ n }) =>
      Effect.suspend(() => {
        state.started.push(n)
        return Effect.as(Deferred.await(state.gate), n)
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => state.interrupted++))),
    large: ({ n }) => Effect.sync(() => `${n}`.padEnd(100_000, "x")),
    endless: () =>
      Stream.forever(Stream.make(1)).pipe(Stream.map(() => {
        state.made++
        return "x".repeat(10_000)
      }))
  })
  return { state, layer }
}

const request = (method: string, id: number, params = `[${id}]`) =>
  `{"jsonrpc":"2.0","method":"${method}","params":${params},"id":${id}}`

it.effect("a server stops reading when as many requests wait as may, and goes on when they start", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const { send, takeJson } = yield* connect(Group, layer, { concurrency: 2, maxWaiting: 3, capacity: 4 })
    const inFlight = Effect.map(Metric.value(RpcMetrics.inFlight), (gauge) => gauge.value)
    const writing = yield* Effect.forkChild(send(...Array.from({ length: 100 }, (_, i) => request("wait", i + 1))), {
      startImmediately: true
    })
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    assert.deepStrictEqual(state.started, [1, 2])
    assert.strictEqual(yield* inFlight, 5)
    assert.isUndefined(writing.pollUnsafe())
    yield* Deferred.succeed(state.gate, undefined)
    yield* Fiber.join(writing)
    const answers: Array<number> = []
    while (answers.length < 100) answers.push((yield* takeJson).result)
    assert.deepStrictEqual(answers.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i + 1))
    assert.strictEqual(yield* inFlight, 0)
    assert.deepStrictEqual(state.started, Array.from({ length: 100 }, (_, i) => i + 1))
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("frames that arrive together are bounded one by one", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const { send } = yield* connect(Group, layer, { concurrency: 2, maxWaiting: 3 })
    yield* send(...Array.from({ length: 500 }, (_, i) => request("wait", i + 1)))
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 5)
    yield* Deferred.succeed(state.gate, undefined)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("256 run and 1,024 wait by default", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const { send } = yield* connect(Group, layer, { capacity: 10_000 })
    yield* send(...Array.from({ length: 2000 }, (_, i) => request("wait", i + 1)))
    for (let i = 0; i < 20; i++) yield* Effect.yieldNow
    assert.strictEqual(state.started.length, 256)
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 1280)
    yield* Deferred.succeed(state.gate, undefined)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("a server does not read on while too much waits for a peer that does not read", () =>
  Effect.gen(function*() {
    const { layer } = world()
    const run = yield* JsonRpcServer.make(Group, { highWaterMark: 250_000 }).pipe(Effect.provide(layer))
    const [near, far] = yield* MemorySocket.makePair({ capacity: 2 })
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    const { pull } = yield* near.reader
    const { write } = yield* near.writer
    const sending = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 50 }, (_, i) => request("large", i)), write, { discard: true }),
      { startImmediately: true }
    )
    for (let i = 0; i < 50; i++) yield* Effect.yieldNow
    const done = yield* Metric.value(
      Metric.withAttributes(RpcMetrics.requests, { method: "large", outcome: "success" })
    )
    assert.isBelow(done.count, 12)
    assert.isUndefined(sending.pollUnsafe())
    let answers = 0
    while (answers < 50) answers += (yield* pull).length
    yield* Fiber.join(sending)
    assert.strictEqual(answers, 50)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("a stream waits for a peer that reads slowly", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const run = yield* JsonRpcServer.make(Group, { wire: Wire.rockets }).pipe(Effect.provide(layer))
    const [near, far] = yield* MemorySocket.makePair({ capacity: 2 })
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    const { pull } = yield* near.reader
    const { write } = yield* near.writer
    yield* write(request("endless", 1, "[]"))
    for (let i = 0; i < 500; i++) yield* Effect.yieldNow
    const made = state.made
    for (let i = 0; i < 100; i++) yield* Effect.yieldNow
    assert.strictEqual(state.made, made)
    assert.isBelow(made, 500)
    for (let read = 0; read <= made;) read += (yield* pull).length
    yield* eventually(Effect.sync(() => state.made > made))
  }))

it.effect("a full server that calls its client back still reads the answers: nobody waits for the other for ever", () =>
  Effect.gen(function*() {
    const Asking = RpcGroup.make(Rpc.make("ask", { payload: { n: Schema.Int }, success: Schema.Int }))
    const Answering = RpcGroup.make(Rpc.make("double", { payload: { n: Schema.Int }, success: Schema.Int }))
    const run = yield* JsonRpcServer.make(Asking, { concurrency: 2, maxWaiting: 10 }).pipe(
      Effect.provide(Asking.toLayer({
        ask: ({ n }) =>
          Effect.gen(function*() {
            yield* Effect.yieldNow
            const client = yield* JsonRpcClients.current
            return (yield* Effect.orDie(client!.call("double", { n }))) as number
          })
      }))
    )
    const [near, far] = yield* MemorySocket.makePair()
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    const { client } = yield* JsonRpcPeer.make({ serves: Answering, calls: Asking }).pipe(
      Effect.provide(Answering.toLayer({ double: ({ n }) => Effect.succeed(2 * n) })),
      Effect.provideService(Socket.Socket, near)
    )
    const ask = (count: number) =>
      Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) => Effect.result(client.ask({ n })), {
        concurrency: "unbounded"
      })
    const some = yield* ask(20)
    assert.deepStrictEqual(some.map((result) => result._tag === "Success" && result.success), some.map((_, n) => 2 * n))
    // what is over twice the limit while the server waits for answers is refused, not left unanswered
    const many = yield* ask(200)
    for (const [n, result] of many.entries()) {
      if (result._tag === "Success") assert.strictEqual(result.success, 2 * n)
      else assert.isTrue(result.failure.reason._tag === "RemoteError" && result.failure.reason.code === -32000)
    }
    assert.isTrue(many.some((result) => result._tag === "Failure"))
  }))

it.effect("a connection that closes interrupts what it asked for, and nothing is left", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const scope = yield* Scope.make()
    const { send } = yield* Scope.provide(connect(Group, layer), scope)
    yield* send(request("wait", 1), request("wait", 2))
    yield* Effect.yieldNow
    assert.deepStrictEqual(state.started, [1, 2])
    yield* Scope.close(scope, Exit.void)
    assert.strictEqual(state.interrupted, 2)
  }))

it.effect("a frame over the limit closes the WebSocket with 1009, and interrupts what the connection asked for", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const server = yield* NodeWebSocketServer.make()
    const run = yield* JsonRpcServer.make(Group).pipe(Effect.provide(layer))
    yield* Effect.forkScoped(server.run(run), { startImmediately: true })
    if (server.address._tag === "UnixPathAddress") return yield* Effect.die("a port is expected")
    const { send, take } = yield* fromSocket(yield* NodeWebSocket.make(`127.0.0.1:${server.address.port}`))
    yield* send(request("wait", 1), fence)
    assert.include(yield* take, "fence")
    yield* send(`"${"x".repeat(1024 * 1024)}"`)
    const error = yield* Effect.flip(take)
    assert.isTrue(error.reason._tag === "SocketCloseError" && error.reason.code === 1009)
    yield* eventually(Effect.sync(() => state.interrupted === 1))
  }))

it.effect("JsonRpcTest wires a typed client to handlers through the real encoding", () =>
  Effect.gen(function*() {
    const { handlers, release } = yield* makeWorld
    const client = yield* JsonRpcTest.makeClient(Methods, { wire: Wire.rockets }).pipe(Effect.provide(handlers))
    assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    const fiber = yield* Effect.forkChild(client.wait({ name: "a" }))
    yield* release("a")
    assert.strictEqual(yield* Fiber.join(fiber), "a")
  }))

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

it.effect("nothing is left of 1,000 connections: no client, no request, no connection in memory", () =>
  Effect.gen(function*() {
    const server = yield* MemorySocket.makeServer()
    const clients = yield* JsonRpcClients.make
    const { handlers } = yield* makeWorld
    const refs: Array<WeakRef<object>> = []
    const run = yield* JsonRpcServer.make(Methods, { wire: Wire.rockets }).pipe(
      Effect.provide(handlers),
      Effect.provideService(JsonRpcClients.JsonRpcClients, {
        ...clients,
        register: (client) => {
          refs.push(new WeakRef(client.connection))
          return clients.register(client)
        }
      })
    )
    yield* Effect.forkScoped(server.server.run(run), { startImmediately: true })
    const one = (i: number) =>
      Effect.scoped(Effect.gen(function*() {
        const remote = yield* JsonRpcClient.fromSocket(server.connect(), { wire: Wire.rockets })
        const client = yield* JsonRpcClient.fromRemote(Methods, remote)
        assert.strictEqual(yield* client.add({ a: i, b: 1 }), i + 1)
        // what is under way when the connection goes: a call, a stream, a batch
        yield* Effect.forkScoped(Effect.exit(client.wait({ name: "x" })), { startImmediately: true })
        yield* Effect.forkScoped(Effect.exit(Stream.runDrain(client.tick({ name: "y" }))), { startImmediately: true })
        yield* Effect.forkScoped(
          Effect.exit(JsonRpcClient.batch([client.wait({ name: "z" }), client.add({ a: 1, b: 1 })])),
          { startImmediately: true }
        )
        yield* Effect.yieldNow
        assert.isAtLeast((yield* clients.all).length, 1)
      }))
    for (let i = 0; i < 1000; i += 20) {
      yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => i + n), one, {
        concurrency: "unbounded",
        discard: true
      })
    }
    yield* eventually(Effect.map(clients.all, (left) => left.length === 0))
    assert.strictEqual(refs.length, 1000)
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
    const alive = () => {
      gc()
      return refs.filter((ref) => ref.deref() !== undefined).length
    }
    yield* eventually(Effect.sync(() => alive() <= 2))
  }).pipe(Effect.provide(Logger.layer([])), Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("what a peer is told of an unexpected failure is found in the log, with its cause, method and connection", () => {
  const lines: Array<{ readonly message: unknown; readonly annotations: Readonly<Record<string, unknown>> }> = []
  const logger = Logger.make(({ cause, fiber, message }) => {
    lines.push({ message: [message, cause], annotations: fiber.getRef(References.CurrentLogAnnotations) })
  })
  return Effect.gen(function*() {
    const { handlers } = yield* makeWorld
    const remote = yield* JsonRpcTest.makeRemote(Methods).pipe(Effect.provide(handlers))
    const error = yield* Effect.flip(remote.call("die"))
    const { correlationId } = (error.reason as JsonRpcError.RemoteError).data as { readonly correlationId: string }
    const line = lines.find((line) => line.annotations.correlationId === correlationId)
    assert.strictEqual(line?.annotations.method, "die")
    assert.include(Inspectable.toStringUnknown(line?.message), "secret")
    // parameters that do not fit are the caller's affair
    const before = lines.length
    yield* Effect.flip(remote.call("add", ["x"]))
    yield* Effect.flip(remote.call("nope"))
    assert.strictEqual(lines.length, before)
  }).pipe(Effect.provide(Logger.layer([logger])))
})
