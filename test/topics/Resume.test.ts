/** Topics with a history: nothing is missed, or it is said; old and foreign clients notice nothing. */
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Queue, Schedule, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { Topic, TopicsClient } from "effect-wire/topics"
import { TestClock } from "effect/testing"
import { client, Evens, Level, Orders, serve, type Server, suite } from "./ResumeTest.ts"

const tick = TestClock.adjust("20 millis")

suite(
  "memory",
  (processes) => Effect.map(Backplane.makeMemory, (backplane) => Array.from({ length: processes }, () => backplane)),
  (name, effect) => it.effect(name, () => effect),
  tick
)

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

it.effect("clients that know no positions hear what they always heard", () =>
  Effect.gen(function*() {
    const server = yield* serve(yield* Backplane.makeMemory)
    yield* server.topics.publish(Level, 1)
    const peer = yield* server.raw
    yield* peer.send(
      `{"jsonrpc":"2.0","id":1,"method":"subscribe","params":["orders",{"topic":"level","notices":true}]}`
    )
    assert.strictEqual(yield* peer.take, `{"jsonrpc":"2.0","method":"level","params":[1]}`)
    assert.strictEqual(yield* peer.take, `{"jsonrpc":"2.0","result":["orders","level"],"id":1}`)
    yield* server.topics.publish(Orders, 2)
    yield* server.topics.publish(Level, 3)
    assert.strictEqual(yield* peer.take, `{"jsonrpc":"2.0","method":"orders","params":[2]}`)
    assert.strictEqual(yield* peer.take, `{"jsonrpc":"2.0","method":"level","params":[3]}`)
    // nothing that is the same is begun anew
    yield* peer.send(`{"jsonrpc":"2.0","id":2,"method":"subscribe","params":{"topic":"level","notices":true}}`)
    assert.strictEqual(yield* peer.take, `{"jsonrpc":"2.0","result":["orders","level"],"id":2}`)
  }))

it.effect("the position, what was missed, and what comes follow without a seam", () =>
  Effect.gen(function*() {
    const server = yield* serve(yield* Backplane.makeMemory)
    yield* Effect.forEach([1, 2, 3], (n) => server.topics.publish(Orders, n))
    const first = yield* server.raw
    const ask = (id: number, position?: unknown) =>
      JSON.stringify({
        jsonrpc: "2.0",
        id,
        method: "subscribe",
        params: { topic: "orders", notices: true, positions: true, ...(position === undefined ? {} : { position }) }
      })
    yield* first.send(ask(1))
    const begun = (yield* first.takeJson).params
    assert.deepStrictEqual(begun, { topic: "orders", epoch: begun.epoch, offset: 3, recovered: false })
    const second = yield* server.raw
    yield* second.send(ask(1, { epoch: begun.epoch, offset: 1 }))
    assert.deepStrictEqual((yield* second.takeJson).params, { ...begun, offset: 1, recovered: true })
    assert.strictEqual(
      yield* second.take,
      `{"jsonrpc":"2.0","method":"topic_value","params":{"topic":"orders","offset":2,"value":[2]}}`
    )
    assert.strictEqual((yield* second.takeJson).params.offset, 3)
    assert.deepStrictEqual((yield* second.takeJson).result, ["orders"])
    yield* server.topics.publish(Orders, 4)
    assert.deepStrictEqual((yield* second.takeJson).params, { topic: "orders", offset: 4, value: [4] })
  }))

it.effect("a server that starts anew in memory has another epoch: readers are told from where to where, and go on", () =>
  Effect.gen(function*() {
    const start = Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* Effect.flatMap(Backplane.makeMemory, (backplane) => serve(backplane)).pipe(
        Scope.provide(scope)
      )
      return { scope, server }
    })
    let running = yield* start
    const servers = (): ReadonlyArray<Server> => [running.server]
    const one = yield* client(servers, 3)
    const heard = yield* Queue.unbounded<TopicsClient.Event<number>>()
    yield* fork(Stream.runForEach(TopicsClient.eventsOf(one, Orders), (event) => Queue.offer(heard, event)))
    yield* tick
    yield* Effect.forEach([1, 2], (n) => running.server.topics.publish(Orders, n))
    yield* tick
    yield* Scope.close(running.scope, Exit.void)
    running = yield* start
    // before it is back
    yield* running.server.topics.publish(Orders, 3)
    yield* Effect.forEach([1, 2, 3, 4], () => tick)
    yield* running.server.topics.publish(Orders, 4)
    yield* tick
    const events = yield* Queue.takeN(heard, 5)
    assert.deepStrictEqual(events.map((event) => event._tag === "Value" ? event.value : "missed"), [
      1,
      2,
      "missed",
      3,
      4
    ])
    const missed = events[2]!
    if (missed._tag !== "Missed") return assert.fail("no gap")
    assert.strictEqual(missed.from?.offset, 2)
    assert.strictEqual(missed.to?.offset, 0)
    assert.notStrictEqual(missed.from?.epoch, missed.to?.epoch)
  }))

it.effect("a server without a history of the topic: what may have been missed is told as ever", () =>
  Effect.gen(function*() {
    const Plain = Topic.make("orders", { payload: Orders.payload })
    const server = yield* serve(yield* Backplane.makeMemory, undefined, Topic.group(Plain))
    const one = yield* JsonRpcClient.fromSocket(server.memory.connect({ cutAfter: 4 }), {
      reconnect: Schedule.spaced("10 millis")
    })
    const heard: Array<unknown> = []
    yield* fork(Stream.runForEach(TopicsClient.eventsOf(one, Orders), (event) => Effect.sync(() => heard.push(event))))
    for (const n of [1, 2, 3]) {
      yield* tick
      yield* server.topics.publish(Plain, n)
    }
    yield* tick
    assert.deepStrictEqual(heard, [
      { _tag: "Value", value: 1 },
      { _tag: "Value", value: 2 },
      { _tag: "Missed", count: undefined },
      { _tag: "Value", value: 3 }
    ])
  }))

it.effect("readers of one subscription each go on from their own position", () =>
  Effect.gen(function*() {
    const server = yield* serve(yield* Backplane.makeMemory)
    const one = yield* JsonRpcClient.fromSocket(server.memory.connect())
    const live: Array<number> = []
    const positions: Array<TopicsClient.Position> = []
    yield* fork(Stream.runForEach(TopicsClient.eventsOf(one, Orders), (event) =>
      Effect.sync(() => {
        if (event._tag === "Missed") return
        live.push(event.value)
        positions.push(event.position!)
      })))
    yield* tick
    yield* Effect.forEach([1, 2, 3, 4], (n) => server.topics.publish(Orders, n))
    yield* tick
    const late: Array<number> = []
    yield* fork(Stream.runForEach(TopicsClient.eventsOf(one, Orders, { from: positions[1] }), (event) =>
      Effect.sync(() => {
        if (event._tag === "Value") late.push(event.value)
      })))
    yield* tick
    yield* server.topics.publish(Orders, 5)
    yield* tick
    assert.deepStrictEqual(live, [1, 2, 3, 4, 5])
    assert.deepStrictEqual(late, [3, 4, 5])
  }))

it.effect("who wants few of many keeps up with the history: what was not for it is not missed", () =>
  Effect.gen(function*() {
    const server = yield* serve(yield* Backplane.makeMemory)
    const one = yield* JsonRpcClient.fromSocket(server.memory.connect({ cutAfter: 8 }), {
      reconnect: Schedule.spaced("10 millis")
    })
    const heard: Array<unknown> = []
    yield* fork(
      Stream.runForEach(
        TopicsClient.eventsOf(one, Evens, { parameters: 500 }),
        (event) => Effect.sync(() => heard.push(event._tag === "Value" ? event.value : "missed"))
      )
    )
    yield* tick
    for (let i = 1; i <= 2000; i++) {
      yield* server.topics.publish(Evens, i)
      if (i % 20 === 0) yield* tick
    }
    assert.deepStrictEqual(heard, [500, 1000, 1500, 2000])
  }))

/** A peer that reads only when it is asked to. */
const lazyReader = Effect.fnUntraced(function*(server: Server) {
  const socket = server.memory.connect({ capacity: 1 })
  const { pull } = yield* socket.reader
  const writer = yield* socket.writer
  const waiting: Array<any> = []
  const next = Effect.gen(function*() {
    while (waiting.length === 0) for (const frame of yield* pull) waiting.push(JSON.parse(frame as string))
    return waiting.shift()
  })
  return { send: (message: unknown) => writer.write(JSON.stringify(message)), next }
})

it.effect("slow readers read from the history, and are told what went out of it before it came to them", () =>
  Effect.gen(function*() {
    const server = yield* serve(yield* Backplane.makeMemory, { highWaterMark: 200, slowCapacity: 1 })
    const peer = yield* lazyReader(server)
    const naive = yield* lazyReader(server)
    const topic = { topic: "orders", notices: true }
    yield* peer.send({ jsonrpc: "2.0", id: 1, method: "subscribe", params: { ...topic, positions: true } })
    yield* naive.send({ jsonrpc: "2.0", id: 1, method: "subscribe", params: topic })
    const { epoch } = (yield* peer.next).params
    yield* peer.next
    yield* naive.next
    const publish = (from: number, to: number) =>
      Effect.forEach(
        Array.from({ length: to - from + 1 }, (_, i) => from + i),
        (n) => Effect.andThen(server.topics.publish(Orders, n), Effect.yieldNow)
      )
    // as much as the history holds, many times what a buffer would
    yield* publish(1, 100)
    for (let i = 1; i <= 100; i++) {
      assert.deepStrictEqual((yield* peer.next).params, { topic: "orders", offset: i, value: [i] })
      assert.deepStrictEqual((yield* naive.next).params, [i])
    }
    yield* publish(101, 300)
    const seen: Array<number> = []
    let gap: any
    while (seen.at(-1) !== 300) {
      const { method, params } = yield* peer.next
      if (method === "topic_value") seen.push(params.offset)
      else gap = params
    }
    assert.deepStrictEqual(gap, { topic: "orders", epoch, offset: 200, recovered: false })
    const early = seen.length - 100
    assert.deepStrictEqual(seen, [
      ...Array.from({ length: early }, (_, i) => 101 + i),
      ...Array.from({ length: 100 }, (_, i) => 201 + i)
    ])
    let count = 0
    let missed = 0
    while (count + missed < 200) {
      const { method, params } = yield* naive.next
      if (method === "topic_gap") missed += params.missed
      else count++
    }
    assert.isAbove(missed, 50)
    assert.isAtMost(missed, 100)
  }))

it.effect("1,000 slow subscribers cost one history: what waits for each is a frame or two, whatever is published", () =>
  Effect.gen(function*() {
    const Reports = Topic.make("reports", { payload: Schema.String, history: { values: 500, bytes: 4_000_000 } })
    const server = yield* serve(yield* Backplane.makeMemory, { highWaterMark: 2000 }, Topic.group(Reports))
    const subscribe = { jsonrpc: "2.0", id: 1, method: "subscribe", params: { topic: "reports", positions: true } }
    const readers = yield* Effect.forEach(Array.from({ length: 1000 }), () => lazyReader(server))
    for (const reader of readers) {
      yield* reader.send(subscribe)
      yield* reader.next
      yield* reader.next
    }
    const waiting = Effect.map(
      server.topics.subscribers(Reports),
      (connections) => connections.map((connection) => connection.outbox!.waiting())
    )
    const text = "x".repeat(1000)
    const publish = (count: number) =>
      Effect.forEach(
        Array.from({ length: count }),
        () => Effect.andThen(server.topics.publish(Reports, text), Effect.yieldNow),
        { discard: true }
      )
    yield* publish(20)
    const early = yield* waiting
    assert.strictEqual(early.length, 1000)
    assert.isAtMost(Math.max(...early), 2000 + 1100)
    yield* publish(400)
    assert.deepStrictEqual(yield* waiting, early)
    // and each has all of it nevertheless
    for (const reader of [readers[0]!, readers[999]!]) {
      for (let offset = 1; offset <= 420; offset++) assert.strictEqual((yield* reader.next).params.offset, offset)
    }
  }))
