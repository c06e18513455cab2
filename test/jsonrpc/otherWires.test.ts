/** PROTOCOLS.md, "JSON-RPC 1.0", "CDP", "Other wires": wires that are one value each, one of them defined here. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, Queue, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { fromSocket } from "./raw.ts"

class Methods extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("ping", { success: Schema.String }),
  Rpc.make("tell", { payload: Schema.String }),
  Rpc.make("fail", { success: Schema.String }),
  Rpc.make("forever"),
  Rpc.make("cancelJob", { success: Schema.String }).annotate(Wire.Alias, { rockets: "stopJob" })
) {}

const handlers = (events: Queue.Enqueue<string>) =>
  Methods.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    ping: () => Effect.succeed("pong"),
    tell: (text) => Effect.asVoid(Queue.offer(events, text)),
    fail: () => Effect.die("secret"),
    forever: () => Effect.onInterrupt(Effect.never, () => Queue.offer(events, "interrupted")),
    cancelJob: () => Effect.succeed("cancelled")
  })

/** A wire that nobody has: no `jsonrpc`, a word for a cancel. */
const terse: Wire.Wire = {
  ...Wire.standard,
  name: "terse",
  encode: {
    ...Wire.version2,
    request: (id, method, params) => JSON.stringify({ method, params }).replace(/}$/, `,"id":${id}}`),
    notification: (method, params) => JSON.stringify({ method, params })
  },
  anyVersion: true,
  cancellation: {
    method: "stop",
    encode: (id) => [id],
    decode: (params) => Array.isArray(params) ? params[0] : undefined,
    answer: undefined
  }
}

/** A server that speaks `wire`, and the lines that it logs. */
const serve = (wire: Wire.Wire) =>
  Effect.gen(function*() {
    const events = yield* Queue.unbounded<string>()
    const lines: Array<string> = []
    const logger = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    const [near, far] = yield* MemorySocket.makePair()
    const run = yield* JsonRpcServer.make(Methods, { wire }).pipe(Effect.provide(Layer.merge(handlers(events), logger)))
    yield* Effect.forkScoped(run(far), { startImmediately: true })
    return { events, lines, socket: near }
  })

for (const wire of [Wire.version1, terse, Wire.aiohttp, Wire.cdp]) {
  it.effect(`calls, notifications, failures, cancels, batches and aliases: both ends of ${wire.name}`, () =>
    Effect.gen(function*() {
      const { events, socket } = yield* serve(wire)
      const remote = yield* JsonRpcClient.fromSocket(socket, { wire })
      const client = yield* JsonRpcClient.fromRemote(Methods, remote)
      assert.strictEqual(yield* client.add({ a: 2, b: 3 }), 5)
      assert.deepStrictEqual(
        yield* JsonRpcClient.batch([client.add({ a: 1, b: 1 }), client.ping(), client.cancelJob()]),
        [2, "pong", "cancelled"]
      )
      yield* client.tell("heard", { discard: true })
      assert.strictEqual(yield* Queue.take(events), "heard")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(client.fail())))
      if (wire.cancellation === undefined) return
      const running = yield* Effect.forkChild(client.forever(), { startImmediately: true })
      yield* client.ping()
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* Queue.take(events), "interrupted")
    }).pipe(Effect.scoped))
}

it.effect("version 1: the frames as the specification of 2005 shows them, and answers as its servers give them", () =>
  Effect.gen(function*() {
    const { socket } = yield* serve(Wire.version1)
    const { exchange } = yield* fromSocket(socket)
    assert.deepStrictEqual(yield* exchange(`{"method":"add","params":[2,3],"id":1}`), [
      { result: 5, error: null, id: 1 }
    ])
    assert.deepStrictEqual(yield* exchange(`{"method":"nothing","params":[],"id":"x"}`), [
      { result: null, error: { code: -32601, message: "Method not found" }, id: "x" }
    ])
    assert.deepStrictEqual(yield* exchange(`{"method":"tell","params":["x"],"id":null}`), [])

    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near, { wire: Wire.version1 })
    const { pull } = yield* far.reader
    const writer = yield* far.writer
    const asked = yield* Effect.forkChild(client.call("getinfo", { verbose: true }))
    assert.deepStrictEqual(JSON.parse(String((yield* pull)[0])), {
      method: "getinfo",
      params: [{ verbose: true }],
      id: 1
    })
    yield* writer.write(`{"result":{"blocks":1},"error":null,"id":1}`)
    assert.deepStrictEqual(yield* Fiber.join(asked), { blocks: 1 })
    const failing = yield* Effect.forkChild(Effect.flip(client.call("x")))
    yield* pull
    yield* writer.write(`{"result":null,"error":"no such method","id":2}`)
    assert.match((yield* Fiber.join(failing)).message, /no such method/)
  }).pipe(Effect.scoped))

it.effect("version 1 answers batches as its messages in an array; CDP, which has none, refuses them", () =>
  Effect.gen(function*() {
    const calls = JSON.stringify([
      { method: "add", params: [2, 3], id: 1 },
      { method: "ping", params: [], id: null },
      { method: "nothing", params: [], id: 2 }
    ])
    const first = yield* fromSocket((yield* serve(Wire.version1)).socket)
    yield* first.send(calls)
    assert.deepStrictEqual(yield* first.takeJson, [
      { result: 5, error: null, id: 1 },
      { result: null, error: { code: -32601, message: "Method not found" }, id: 2 }
    ])
    const second = yield* fromSocket((yield* serve(Wire.cdp)).socket)
    yield* second.send(calls)
    assert.deepStrictEqual(yield* second.takeJson, {
      id: null,
      error: { code: -32600, message: "Invalid Request", data: "there are no batches" }
    })
  }).pipe(Effect.scoped))

for (const wire of [Wire.version1, Wire.cdp, Wire.aiohttp]) {
  it.effect(`streams come by credits between two ends of ours, and as one answer elsewhere (${wire.name})`, () =>
    Effect.gen(function*() {
      class Streams extends RpcGroup.make(Rpc.make("numbers", { success: Schema.Int, stream: true })) {}
      const run = yield* JsonRpcServer.make(Streams, { wire }).pipe(
        Effect.provide(Streams.toLayer({ numbers: () => Stream.range(1, 300) }))
      )
      const [near, far] = yield* MemorySocket.makePair()
      yield* Effect.forkScoped(run(far), { startImmediately: true })
      const remote = yield* JsonRpcClient.fromSocket(near, { wire })
      const client = yield* JsonRpcClient.fromRemote(Streams, remote)
      assert.strictEqual((yield* Stream.runCollect(client.numbers())).length, 300)
      const [left, right] = yield* MemorySocket.makePair()
      yield* Effect.forkScoped(run(right), { startImmediately: true })
      const peer = yield* fromSocket(left)
      yield* peer.send(wire.encode.request("1", "numbers", undefined))
      assert.strictEqual((yield* peer.takeJson).result.length, 300)
    }).pipe(Effect.scoped))
}

it.effect("a wire may take notifications without the member jsonrpc", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near, { wire: { ...Wire.standard, anyVersion: true } })
    const heard = yield* Effect.forkScoped(Stream.runHead(client.notifications), { startImmediately: true })
    yield* far.reader
    yield* (yield* far.writer).write(`{"method":"Page.loadEventFired","params":{}}`)
    const first = yield* Fiber.join(heard)
    assert.strictEqual(first._tag === "Some" && first.value.method, "Page.loadEventFired")
  }).pipe(Effect.scoped))

it.effect("aiohttp: calls as the original's context sends them, surplus parameters, too few", () =>
  Effect.gen(function*() {
    const { socket } = yield* serve(Wire.aiohttp)
    const { exchange } = yield* fromSocket(socket)
    const call = (method: string, params: unknown) =>
      Effect.map(
        exchange(JSON.stringify({ jsonrpc: "2.0", method, params, id: 1 })),
        ([answer]) => (answer as any).result ?? (answer as any).error.code
      )
    assert.strictEqual(yield* call("ping", { args: [], kwargs: {} }), "pong")
    assert.strictEqual(yield* call("ping", [1, 2]), "pong")
    assert.strictEqual(yield* call("ping", { x: 1 }), "pong")
    assert.strictEqual(yield* call("add", [2, 3, 4]), 5)
    assert.strictEqual(yield* call("add", { a: 2, b: 3, c: 4 }), 5)
    assert.strictEqual(yield* call("add", [2]), -32602)
  }).pipe(Effect.scoped))

it.effect("a peer that speaks another wire is named in the log, once a connection", () =>
  Effect.gen(function*() {
    for (
      const [frame, wire] of [
        [`{"jsonrpc":"2.0","method":"cancel","params":{"id":1}}`, "rockets"],
        [`{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}}`, "lsp"],
        [`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, "mcp"],
        [`{"method":"ping","id":1}`, "version1 or cdp"],
        [`{"jsonrpc":"2.0","method":"cancel","params":{"order":7}}`, undefined]
      ] as const
    ) {
      const { lines, socket } = yield* serve(Wire.standard)
      const { exchange } = yield* fromSocket(socket)
      yield* exchange(frame)
      yield* exchange(frame)
      assert.deepStrictEqual(
        lines,
        wire === undefined ? [] : [`the peer seems to speak the wire "${wire}", this end speaks "standard"`]
      )
    }
  }).pipe(Effect.scoped))

it.effect("a name that a wire reserves is refused with what to do, and has another name there", () =>
  Effect.gen(function*() {
    class Reserved extends RpcGroup.make(Rpc.make("progressOf")) {}
    const refused = yield* Effect.exit(
      JsonRpcServer.make(Reserved, { wire: Wire.rockets }).pipe(
        Effect.provide(Reserved.toLayer({ progressOf: () => Effect.void }))
      )
    )
    assert.match(String(refused), /reserves the method name "progressOf".*Wire\.Alias, \{ rockets: "…" \}/)
    const { socket } = yield* serve(Wire.rockets)
    const { exchange } = yield* fromSocket(socket)
    assert.deepStrictEqual(yield* exchange(`{"jsonrpc":"2.0","method":"stopJob","id":1}`), [
      { jsonrpc: "2.0", result: "cancelled", id: 1 }
    ])
    const again = yield* serve(Wire.rockets)
    const client = yield* JsonRpcClient.fromRemote(
      Methods,
      yield* JsonRpcClient.fromSocket(again.socket, { wire: Wire.rockets })
    )
    assert.strictEqual(yield* client.cancelJob(), "cancelled")
  }).pipe(Effect.scoped))
