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
  Rpc.make("hold", { payload: Schema.Tuple([Schema.Unknown]) }),
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
    hold: () => Effect.never,
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

it.effect("of requests that find no room each is refused, and nothing that comes behind them waits", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const { send, takeJson } = yield* connect(Group, layer, { concurrency: 2, maxWaiting: 3 })
    yield* send(...Array.from({ length: 100 }, (_, i) => request("wait", i + 1)))
    assert.deepStrictEqual(state.started, [1, 2])
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 5)
    for (let id = 6; id <= 100; id++) {
      assert.deepStrictEqual(yield* takeJson, {
        jsonrpc: "2.0",
        error: { code: -32000, message: "Too many requests", data: { retryable: true } },
        id
      })
    }
    const refused = Metric.withAttributes(RpcMetrics.requests, { method: "wait", outcome: "refused" })
    assert.strictEqual((yield* Metric.value(refused)).count, 95)
    yield* Deferred.succeed(state.gate, undefined)
    const answers: Array<number> = []
    while (answers.length < 5) answers.push((yield* takeJson).result)
    assert.deepStrictEqual(answers.sort((a, b) => a - b), [1, 2, 3, 4, 5])
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
    yield* send(request("wait", 7))
    assert.strictEqual((yield* takeJson).result, 7)
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

it.effect("a full connection hears cancels: all of what fills it is interrupted, and a new call is answered", () =>
  Effect.gen(function*() {
    for (const count of [10, 1279, 1280, 1400]) {
      const { layer, state } = world()
      const { send, takeJson } = yield* connect(Group, layer, { wire: Wire.rockets, capacity: 10_000 })
      yield* send(...Array.from({ length: count }, (_, i) => request("wait", i)))
      yield* send(
        ...Array.from({ length: count }, (_, i) => `{"jsonrpc":"2.0","method":"cancel","params":{"id":${i}}}`)
      )
      yield* send(fence)
      const codes = new Map<number, number>()
      for (let answers = 0; answers <= count; answers++) {
        const code = (yield* takeJson).error?.code ?? 0
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
      assert.strictEqual(codes.get(-31002), Math.min(count, 1280))
      assert.strictEqual(codes.get(-32000) ?? 0, Math.max(0, count - 1280))
      assert.strictEqual(codes.get(0), 1)
      assert.isAtLeast(state.interrupted, Math.min(count, 256))
    }
  }))

it.effect("requests that wait are bounded by what they cost in memory, 8 MiB by default", () =>
  Effect.gen(function*() {
    for (
      const [params, most] of [[`["${"x".repeat(1_000_000)}"]`, 8], [`[[${"{},".repeat(100_000)}{}]]`, 1]] as const
    ) {
      const { layer } = world()
      const before = (yield* Metric.value(RpcMetrics.inFlight)).value
      const { send, takeJson } = yield* connect(Group, layer, { capacity: 100 })
      yield* send(...Array.from({ length: 20 }, (_, i) => request("hold", i, params)))
      assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value - before, most)
      for (let refused = most; refused < 20; refused++) assert.strictEqual((yield* takeJson).error.code, -32000)
      // it is still there for what is small
      yield* send(fence)
      assert.include(["fence", most], (yield* takeJson).id)
    }
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect("a burst of notifications waits its turn within the bytes of the connection", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const { send, takeJson } = yield* connect(Group, layer, { capacity: 10_000 })
    yield* send(...Array.from({ length: 5000 }, (_, i) => `{"jsonrpc":"2.0","method":"wait","params":[${i}]}`))
    yield* send(fence)
    yield* Deferred.succeed(state.gate, undefined)
    assert.strictEqual((yield* takeJson).id, "fence")
    assert.deepStrictEqual(state.started, Array.from({ length: 5000 }, (_, i) => i))
  }))

it.effect("while too much waits for a peer that does not read, requests wait their turn and cancels are heard", () =>
  Effect.gen(function*() {
    const { layer } = world()
    const run = yield* JsonRpcServer.make(Group, { highWaterMark: 250_000, wire: Wire.rockets }).pipe(
      Effect.provide(layer)
    )
    const [near, far] = yield* MemorySocket.makePair({ capacity: 2 })
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    const { pull } = yield* near.reader
    const { write } = yield* near.writer
    for (let i = 0; i < 50; i++) yield* write(request("large", i))
    const done = yield* Metric.value(
      Metric.withAttributes(RpcMetrics.requests, { method: "large", outcome: "success" })
    )
    assert.isBelow(done.count, 12)
    yield* write(`{"jsonrpc":"2.0","method":"cancel","params":{"id":49}}`)
    const answers: Array<string> = []
    while (answers.length < 50) answers.push(...(yield* pull) as ReadonlyArray<string>)
    assert.deepStrictEqual(
      answers.filter((answer) => answer.includes("-31002")).map((answer) => JSON.parse(answer).id),
      [
        49
      ]
    )
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))

it.effect(
  "a peer that reads nothing costs a constant: over 16 MiB its connection is closed with 1013",
  () =>
    Effect.gen(function*() {
      const { layer } = world()
      const clients = yield* JsonRpcClients.make
      const run = yield* JsonRpcServer.make(Group).pipe(
        Effect.provide(layer),
        Effect.provideService(JsonRpcClients.JsonRpcClients, clients)
      )
      const [near, far] = yield* MemorySocket.makePair({ capacity: 2 })
      yield* Effect.forkScoped(run(far), { startImmediately: true })
      const { pull } = yield* near.reader
      const text = "x".repeat(1_000_000)
      let told = 0
      for (let i = 0; i < 30; i++) {
        told += yield* clients.broadcast("x", [text])
        yield* Effect.yieldNow
      }
      assert.isBelow(told, 25)
      assert.strictEqual((yield* clients.all).length, 0)
      const error = yield* Effect.flip(Effect.forever(pull))
      assert.isTrue(error.reason._tag === "SocketCloseError" && error.reason.code === 1013)
    }).pipe(Effect.provide(Logger.layer([]))),
  60_000
)

it.effect("a stream towards a peer that knows no credits is an answer of at most 8 MiB, and fails alone", () =>
  Effect.gen(function*() {
    const { layer } = world()
    const { send, takeJson } = yield* connect(Group, layer)
    yield* send(request("endless", 1, "[]"), fence)
    const answers = [yield* takeJson, yield* takeJson].sort((a, b) => String(a.id).localeCompare(String(b.id)))
    assert.deepStrictEqual(answers[0].error, {
      code: -32000,
      message: "the stream is longer than 8388608 bytes, more than fits into one answer"
    })
    assert.strictEqual(answers[1].id, "fence")
  }))

it.effect("a stream waits for a peer that reads slowly", () =>
  Effect.gen(function*() {
    const { layer, state } = world()
    const run = yield* JsonRpcServer.make(Group, { wire: Wire.rockets }).pipe(Effect.provide(layer))
    const [near, far] = yield* MemorySocket.makePair({ capacity: 2 })
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    const { pull } = yield* near.reader
    const { write } = yield* near.writer
    yield* write(`{"jsonrpc":"2.0","method":"endless","id":1,"stream":{"credit":1000000}}`)
    for (let i = 0; i < 500; i++) yield* Effect.yieldNow
    const made = state.made
    for (let i = 0; i < 100; i++) yield* Effect.yieldNow
    assert.strictEqual(state.made, made)
    assert.isBelow(made, 500)
    let read = 0
    while (read <= made) {
      for (const frame of yield* pull) read += JSON.parse(frame as string).params.elements.length
    }
    yield* eventually(Effect.sync(() => state.made > made))
  }), 60_000)

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
    const some = yield* ask(12)
    assert.deepStrictEqual(some.map((result) => result._tag === "Success" && result.success), some.map((_, n) => 2 * n))
    // what is over the limit while the server waits for answers is refused, not left unanswered
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

it.effect(
  "nothing is left of 1,000 connections: no client, no request, no connection in memory",
  () =>
    Effect.gen(function*() {
      const server = yield* MemorySocket.makeServer()
      const clients = yield* JsonRpcClients.make
      const { handlers } = yield* makeWorld
      const refs: Array<WeakRef<object>> = []
      const run = yield* JsonRpcServer.make(Methods, { wire: Wire.rockets }).pipe(
        Effect.provide(handlers),
        Effect.provideService(JsonRpcClients.JsonRpcClients, {
          ...clients,
          server: Effect.map(clients.server, (registry) => ({
            ...registry,
            register: (client: JsonRpcClients.ConnectedClient) => {
              refs.push(new WeakRef(client.connection))
              return registry.register(client)
            }
          }))
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
    }).pipe(Effect.provide(Logger.layer([])), Effect.provideService(Metric.MetricRegistry, new Map())),
  60_000
)

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
