import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Queue, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { Idempotency } from "effect-wire/rpc"
import { type ConnectionGroup, MemorySocket, Reconnect } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"
import type { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { fromSocket } from "../jsonrpc/raw.ts"

const Orders = Topic.make("orders", { payload: Schema.Int, history: {} })
class Methods extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.Int }).pipe(Idempotency.keyed)
).merge(Topics.Rpcs) {}

/** One gateway of several, until its scope closes. */
const gateway = Effect.fnUntraced(function*(
  backplane: Backplane.Backplane["Service"],
  once: Layer.Layer<Idempotency.Once>,
  paid: Array<number>,
  drain: ConnectionGroup.Drain
) {
  const scope = yield* Scope.make()
  const memory = yield* Scope.provide(MemorySocket.makeServer({ drain }), scope)
  const Server = Layer.effectDiscard(Effect.gen(function*() {
    const serve = yield* JsonRpcServer.make(Methods)
    yield* Effect.forkScoped(memory.server.run(serve))
  })).pipe(
    Layer.provide([
      Topics.layerHandlers({ methods: Methods }),
      Methods.toLayerHandler("pay", ({ amount }) => Effect.delay(Effect.sync(() => paid.push(amount)), "5 millis")),
      once
    ]),
    Layer.provideMerge(Topics.layer(Topic.group(Orders))),
    Layer.provide(Layer.succeed(Backplane.Backplane, backplane))
  )
  yield* Layer.buildWithScope(Layer.fresh(Server), scope)
  return { memory, stop: Scope.close(scope, Exit.void) }
})

/** Dials the gateway that serves at the moment. */
const moving = (current: () => MemorySocket.MemoryServer["Service"]): Socket.Socket => {
  let socket = current().connect()
  return {
    ...socket,
    reader: Effect.suspend(() => {
      socket = current().connect()
      return socket.reader
    }),
    writer: Effect.suspend(() => socket.writer)
  }
}

it.effect(
  "1,000 clients that move from one gateway to the other and back lose nothing, and are sent away over a time",
  () =>
    Effect.gen(function*() {
      const clients = 1000
      const backplane = yield* Backplane.makeMemory
      const once = Layer.succeedContext(yield* Layer.build(Idempotency.layerMemory()))
      yield* TestClock.adjust("1 second")
      const paid: Array<number> = []
      const open = () => gateway(backplane, once, paid, { over: "10 seconds", retryAfter: "200 millis" })
      let current = yield* open()
      const heard = Array.from({ length: clients }, () => [] as Array<number>)
      const missed: Array<unknown> = []
      const lost: Array<number> = []
      const answers: Array<number> = []
      for (let i = 0; i < clients; i++) {
        const client = yield* JsonRpcClient.fromSocket(moving(() => current.memory), { whileDisconnected: "wait" })
        const methods = yield* JsonRpcClient.fromRemote(Methods, client)
        yield* Effect.forkChild(Stream.runForEach(client.status, (status) =>
          Effect.gen(function*() {
            if (status._tag === "Lost") lost.push(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
          })))
        yield* Effect.forkChild(
          Stream.runForEach(
            TopicsClient.eventsOf(client, Orders),
            (event) => Effect.sync(() => event._tag === "Value" ? heard[i]!.push(event.value) : missed.push(event))
          )
        )
        yield* Effect.forkChild(Effect.forever(Effect.gen(function*() {
          yield* Effect.sleep("2500 millis")
          answers.push(yield* methods.pay({ amount: i }))
        })))
      }
      yield* TestClock.adjust("1 second")
      let published = 0
      for (let move = 0; move < 2; move++) {
        const before = current
        current = yield* open()
        lost.length = 0
        const stopping = yield* Effect.forkChild(before.stop)
        const start = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        while (stopping.pollUnsafe() === undefined) {
          yield* backplane.publish("topic:orders", `[${++published}]`)
          yield* TestClock.adjust("500 millis")
        }
        yield* Fiber.join(stopping)
        // all are back before the next move
        yield* TestClock.adjust("2 seconds")
        // evenly: about half are gone after half of the time
        const early = lost.filter((time) => time - start <= 5000).length
        assert.strictEqual(lost.length, clients)
        assert.isTrue(early > clients * 0.4 && early < clients * 0.6, `${early}`)
      }
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(missed, [])
      for (const values of heard) {
        assert.deepStrictEqual(values, Array.from({ length: published }, (_, i) => i + 1))
      }
      // each call that was answered was executed once
      assert.strictEqual(new Set(answers).size, answers.length)
      assert.isAtLeast(paid.length, answers.length)
      assert.isAtMost(paid.length - answers.length, clients)
    }),
  60_000
)

it.effect("a peer is told in its close frame when to come back; our clients come back then", () =>
  Effect.gen(function*() {
    const backplane = yield* Backplane.makeMemory
    const once = Idempotency.layerMemory()
    const drain = { retryAfter: "4 seconds", retryWithin: "2 seconds" } as const
    let current = yield* gateway(backplane, once, [], drain)
    const foreign = yield* fromSocket(current.memory.connect())
    const client = yield* JsonRpcClient.fromSocket(moving(() => current.memory))
    yield* client.connect
    const statuses = yield* Queue.unbounded<Reconnect.Status>()
    yield* Effect.forkChild(Stream.runForEach(client.status, (status) => Queue.offer(statuses, status)))
    yield* TestClock.adjust("1 second")
    const stopping = yield* Effect.forkChild(current.stop)
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(stopping)
    const error = yield* Effect.flip(foreign.take)
    assert.isTrue(error.reason._tag === "SocketCloseError" && error.reason.code === 1012, String(error))
    assert.match(
      error.reason._tag === "SocketCloseError" ? error.reason.closeReason ?? "" : "",
      /^retry-after: [45]\.\d{3}$/
    )
    current = yield* gateway(backplane, once, [], drain)
    yield* TestClock.adjust("2 seconds")
    assert.isFalse(yield* client.connected)
    yield* TestClock.adjust("4 seconds")
    assert.isTrue(yield* client.connected)
    const seen = yield* Queue.takeAll(statuses)
    const lost = seen.find((status) => status._tag === "Lost")
    assert.isTrue(lost?._tag === "Lost" && lost.nextDial >= 5000 && lost.nextDial <= 8000)
  }))
