/** PROTOCOLS.md, "Elements and Credit": the frames themselves, and streams between two ends that both know them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, JsonRpcTest, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { connect, fence, fromSocket } from "./raw.ts"

class Group extends RpcGroup.make(
  Rpc.make("fence"),
  Rpc.make("numbers", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("again", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }).annotate(
    JsonRpcClient.Idempotent,
    true
  ),
  Rpc.make("fail", { payload: { at: Schema.Int }, success: Schema.Int, error: Schema.String, stream: true }),
  Rpc.make("feed", { success: Schema.String, stream: true }),
  Rpc.make("rows", { payload: { n: Schema.Int, size: Schema.Int }, success: Schema.String, stream: true })
) {}

const world = () => {
  const state = { made: 0, interrupted: 0 }
  /** One element at a time, as fast as they are taken. */
  const numbers = (to: number) =>
    Stream.range(1, to).pipe(
      Stream.rechunk(1),
      Stream.tap(() =>
        Effect.suspend(() => {
          state.made++
          return state.made % 100 === 0 ? Effect.yieldNow : Effect.void
        })
      ),
      Stream.onExit((exit) => Effect.sync(() => void (Exit.hasInterrupts(exit) && state.interrupted++)))
    )
  const layer = Group.toLayer({
    fence: () => Effect.void,
    numbers: ({ to }) => numbers(to),
    again: ({ to }) => Stream.tap(numbers(to), () => Effect.yieldNow),
    fail: ({ at }) => Stream.concat(numbers(at), Stream.fail("declared")),
    feed: () => Stream.map(Stream.tick("1 second"), () => `${++state.made} `.padEnd(1000)),
    rows: ({ n, size }) => Stream.map(Stream.range(1, n), (i) => `${i}`.padEnd(size))
  })
  return { state, layer }
}

const wires = [Wire.standard, Wire.rockets, Wire.lsp, Wire.mcp, Wire.aiohttp]

const turns = (n: number) => Effect.repeat(Effect.yieldNow, Schedule.recurs(n))

describe("Elements and Credit: the frames", () => {
  it.effect("elements come as asked for, each once, and the answer is empty", () =>
    Effect.gen(function*() {
      const { layer, state } = world()
      const { takeJson, send } = yield* connect(Group, layer)
      yield* send(`{"jsonrpc":"2.0","method":"numbers","params":[5],"id":1,"stream":{"credit":2}}`)
      assert.deepStrictEqual(yield* takeJson, {
        jsonrpc: "2.0",
        method: "$/elements",
        params: { id: 1, elements: [1, 2] }
      })
      yield* turns(50)
      assert.strictEqual(state.made, 2)
      yield* send(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"credit":2}}`)
      assert.deepStrictEqual((yield* takeJson).params, { id: 1, elements: [3, 4] })
      yield* send(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"credit":10}}`)
      assert.deepStrictEqual((yield* takeJson).params, { id: 1, elements: [5] })
      assert.deepStrictEqual(yield* takeJson, { jsonrpc: "2.0", result: [], id: 1 })
    }))

  it.effect("a stream that ends in its first turn is its answer, one that goes on leaves out what its reader has", () =>
    Effect.gen(function*() {
      const { layer } = world()
      const { exchange, send, takeJson } = yield* connect(Group, layer)
      const ask = (stream: string) => `{"jsonrpc":"2.0","method":"rows","params":[3,1],"id":1,"stream":${stream}}`
      assert.deepStrictEqual(yield* exchange(ask(`{"credit":10}`)), [{
        jsonrpc: "2.0",
        result: ["1", "2", "3"],
        id: 1
      }])
      yield* send(ask(`{"credit":10,"from":2}`))
      assert.deepStrictEqual((yield* takeJson).params, { id: 1, elements: ["3"] })
      assert.deepStrictEqual((yield* takeJson).result, [])
      assert.deepStrictEqual(yield* exchange(ask(`{"credit":10,"from":3}`)), [{ jsonrpc: "2.0", result: [], id: 1 }])
    }))

  it.effect("a failure comes after the elements before it", () =>
    Effect.gen(function*() {
      const { layer } = world()
      const { send, takeJson } = yield* connect(Group, layer)
      yield* send(`{"jsonrpc":"2.0","method":"fail","params":[2],"id":1,"stream":{"credit":2}}`)
      assert.deepStrictEqual((yield* takeJson).params, { id: 1, elements: [1, 2] })
      yield* send(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"credit":1}}`)
      assert.strictEqual((yield* takeJson).error.data, "declared")
    }))

  it.effect("a credit of 0 ends it; what is no credit, or for nobody, is ignored", () =>
    Effect.gen(function*() {
      const { layer, state } = world()
      const { exchange, send, takeJson } = yield* connect(Group, layer)
      yield* send(`{"jsonrpc":"2.0","method":"numbers","params":[100],"id":1,"stream":{"credit":1}}`)
      assert.deepStrictEqual((yield* takeJson).params.elements, [1])
      for (
        const params of [`{"id":2,"credit":1}`, `{"id":1,"credit":-1}`, `{"id":1,"credit":1e999}`, `[]`, `{"id":"1"}`]
      ) {
        assert.deepStrictEqual(yield* exchange(`{"jsonrpc":"2.0","method":"$/credit","params":${params}}`), [])
      }
      yield* send(`{"jsonrpc":"2.0","method":"$/credit","params":{"id":1,"credit":0}}`, fence)
      assert.strictEqual((yield* takeJson).id, "fence")
      assert.strictEqual(state.interrupted, 1)
    }))

  it.effect("what asks for nothing sensible is answered whole", () =>
    Effect.gen(function*() {
      const { layer } = world()
      const { exchange } = yield* connect(Group, layer)
      for (const stream of ["1", "{}", `{"credit":0}`, `{"credit":-5}`, `{"credit":"x"}`, "null", "[]"]) {
        const [answer] = yield* exchange(`{"jsonrpc":"2.0","method":"rows","params":[2,1],"id":1,"stream":${stream}}`)
        assert.deepStrictEqual(answer.result, ["1", "2"])
      }
    }))
})

describe("a stream between two ends that both know credits", () => {
  for (const wire of wires) {
    it.effect(`gives every element once, in order, and then its failure (${wire.name})`, () =>
      Effect.gen(function*() {
        const { layer } = world()
        const client = yield* JsonRpcTest.makeClient(Group, { wire }).pipe(Effect.provide(layer))
        assert.strictEqual(
          yield* Stream.runFold(client.numbers({ to: 3000 }), () => 0, (last, n) => n === last + 1 ? n : NaN),
          3000
        )
        assert.deepStrictEqual(yield* Effect.flip(Stream.runDrain(client.fail({ at: 300 }))), "declared")
      }))

    it.effect(`makes no more than its reader's window, and ends when nobody reads on (${wire.name})`, () =>
      Effect.gen(function*() {
        const { layer, state } = world()
        const client = yield* JsonRpcTest.makeClient(Group, { wire }).pipe(Effect.provide(layer))
        const taken = Deferred.makeUnsafe<void>()
        let count = 0
        const reading = yield* client.numbers({ to: 1_000_000 }).pipe(
          Stream.runForEach(() => {
            if (++count < 29) return turns(3)
            Deferred.doneUnsafe(taken, Exit.void)
            return Effect.never
          }),
          Effect.forkChild
        )
        yield* Deferred.await(taken)
        yield* turns(2000)
        assert.strictEqual(count, 29)
        assert.isAtMost(state.made, 29 + 16 + 64)
        yield* Fiber.interrupt(reading)
        yield* turns(20)
        assert.strictEqual(state.interrupted, 1)
      }))

    it.effect(`goes on where it stopped, after a reconnection (${wire.name})`, () =>
      Effect.gen(function*() {
        const { layer } = world()
        const server = yield* MemorySocket.makeServer()
        const run = yield* JsonRpcServer.make(Group, { wire }).pipe(Effect.provide(layer))
        yield* Effect.forkScoped(server.server.run(run), { startImmediately: true })
        let dials = 0
        const [first, second] = [server.connect({ cutAfter: 7 }), server.connect()]
        const socket = Socket.make({
          reader: Effect.suspend(() => (dials++ === 0 ? first : second).reader),
          writer: Effect.suspend(() => (dials <= 1 ? first : second).writer)
        })
        const remote = yield* JsonRpcClient.fromSocket(socket, {
          wire,
          reconnect: Schedule.recurs(3),
          whileDisconnected: "wait"
        })
        const client = yield* JsonRpcClient.fromRemote(Group, remote)
        const all = yield* Stream.runCollect(client.again({ to: 500 }))
        assert.deepStrictEqual(all, Array.from({ length: 500 }, (_, i) => i + 1))
        assert.strictEqual(dials, 2)
      }))
  }

  it.effect("has no bound on its number or its bytes, and disturbs nobody", () =>
    Effect.gen(function*() {
      const { layer } = world()
      const client = yield* JsonRpcTest.makeClient(Group).pipe(Effect.provide(layer))
      assert.strictEqual(yield* Stream.runCount(client.rows({ n: 120_000, size: 10 })), 120_000)
      const [count] = yield* Effect.all([
        Stream.runCount(client.rows({ n: 20_000, size: 1000 })),
        Effect.forEach(Array.from({ length: 100 }), () => client.fence(), { discard: true })
      ], { concurrency: "unbounded" })
      assert.strictEqual(count, 20_000)
    }), 60_000)

  it.effect("a feed of a whole day takes no more memory than one of an hour", () =>
    Effect.gen(function*() {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as () => void
      const { layer, state } = world()
      const client = yield* JsonRpcTest.makeClient(Group).pipe(Effect.provide(layer))
      let taken = 0
      const reading = yield* Effect.forkChild(
        Stream.runForEach(client.feed(), (row) => Effect.sync(() => assert.strictEqual(parseInt(row), ++taken)))
      )
      const hour = Effect.gen(function*() {
        for (let minute = 0; minute < 60; minute++) yield* TestClock.adjust("1 minute")
        yield* turns(50)
        collect()
        return process.memoryUsage().heapUsed
      })
      const afterOne = yield* hour
      let after = afterOne
      for (let hours = 1; hours < 24; hours++) after = yield* hour
      assert.isAtLeast(taken, 24 * 60 * 60)
      assert.strictEqual(state.made, taken)
      // what it gave meanwhile were 83 million characters
      assert.isBelow(after - afterOne, 8_000_000)
      yield* Fiber.interrupt(reading)
    }), 120_000)
})

describe("a stream of a server that knows no credits", () => {
  const foreign = (
    answer: (
      request: any,
      send: (...frames: ReadonlyArray<unknown>) => Effect.Effect<void, Socket.SocketError>
    ) => Effect.Effect<void, Socket.SocketError>
  ) =>
    Effect.gen(function*() {
      const [near, far] = yield* MemorySocket.makePair()
      const peer = yield* fromSocket(far)
      const asked: Array<any> = []
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(peer.takeJson, (request) => {
        asked.push(request)
        return answer(request, (...frames) => peer.send(...frames.map((frame) => JSON.stringify(frame))))
      })))
      const remote = yield* JsonRpcClient.fromSocket(near, { wire: Wire.lsp })
      return { asked, client: yield* JsonRpcClient.fromRemote(Group, remote) }
    })

  it.effect("is the array of its answer; the server hears of no credits", () =>
    Effect.gen(function*() {
      const { asked, client } = yield* foreign(({ id }, send) => send({ jsonrpc: "2.0", id, result: [1, 2, 3] }))
      assert.deepStrictEqual(yield* Stream.runCollect(client.numbers({ to: 3 })), [1, 2, 3])
      assert.deepStrictEqual(asked.map(({ method }) => method), ["numbers"])
    }))

  it.effect("is its partial results, where the wire has them", () =>
    Effect.gen(function*() {
      const { asked, client } = yield* foreign(({ id, params }, send) =>
        send(
          { jsonrpc: "2.0", method: "$/progress", params: { token: params.partialResultToken, value: [1, 2] } },
          { jsonrpc: "2.0", method: "$/progress", params: { token: params.partialResultToken, value: [3] } },
          { jsonrpc: "2.0", id, result: [] }
        )
      )
      assert.deepStrictEqual(yield* Stream.runCollect(client.numbers({ to: 3 })), [1, 2, 3])
      assert.strictEqual(asked.length, 1)
    }))
})
