/** The reading side: what follows what, whatever readers come and go; what a reader never sees; what a break leaves. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Queue, Schedule, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access, Authenticator, Identity, Login } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { TestClock } from "effect/testing"
import { fromSocket } from "../jsonrpc/raw.ts"
import { Clock, serve, subscribed, Trades, Weather } from "./TopicsTest.ts"

const server = Effect.flatMap(Backplane.makeMemory, (backplane) => serve(backplane))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const Quotes = {
  payload: Schema.Struct({ symbol: Schema.String, price: Schema.Int }),
  parameters: Schema.Struct({ symbol: Schema.String }),
  matches: (value: { readonly symbol: string }, wanted: { readonly symbol: string }) => value.symbol === wanted.symbol
}

it.effect("readers of a plain topic that follow one another in a turn hear each value once", () =>
  Effect.gen(function*() {
    const one = yield* server
    const client = yield* one.client()
    const heard = yield* Queue.unbounded<number>()
    yield* fork(Effect.gen(function*() {
      for (let i = 0; i < 3; i++) {
        yield* TopicsClient.eventsOf(client, Clock).pipe(
          Stream.take(1),
          Stream.runForEach((event) => Queue.offer(heard, event._tag === "Value" ? event.value : -1))
        )
      }
    }))
    yield* subscribed(one, Clock, 1)
    for (let i = 1; i <= 3; i++) {
      yield* one.topics.publish(Clock, i)
      assert.strictEqual(yield* Queue.take(heard), i)
    }
    yield* subscribed(one, Clock, 0)
  }))

it.effect("each reader of a state topic that comes after another has the kept value, once", () =>
  Effect.gen(function*() {
    const one = yield* server
    const client = yield* one.client()
    yield* one.topics.publish(Weather, { celsius: 1 })
    const first = TopicsClient.eventsOf(client, Weather).pipe(Stream.take(1), Stream.runCollect)
    const value = [{ _tag: "Value", value: { celsius: 1 } }] as const
    for (let i = 0; i < 3; i++) assert.deepStrictEqual(yield* first, value as any)
    yield* subscribed(one, Weather, 0)
    assert.deepStrictEqual(yield* first, value as any)
    const both = yield* Effect.all([first, first], { concurrency: 2 })
    assert.deepStrictEqual(both, [value, value] as any)
  }))

it.effect("commands of one topic go out one after the other, and only those that are needed", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const peer = yield* fromSocket(far)
    const client = yield* JsonRpcClient.fromSocket(near)
    const read = fork(Stream.runDrain(TopicsClient.eventsOf(client, Clock)))
    const first = yield* read
    const asked = yield* peer.takeJson
    assert.strictEqual(asked.method, "subscribe")
    // comes and goes while the server has not answered
    yield* Fiber.interrupt(first)
    const second = yield* read
    yield* Fiber.interrupt(second)
    yield* TestClock.adjust(1)
    assert.deepStrictEqual(yield* peer.pending, [])
    yield* peer.send(`{"jsonrpc":"2.0","id":${asked.id},"result":["clock"]}`)
    const left = yield* peer.takeJson
    assert.deepStrictEqual([left.method, left.params], ["unsubscribe", ["clock"]])
    yield* read
    yield* TestClock.adjust(1)
    assert.deepStrictEqual(yield* peer.pending, [])
    yield* peer.send(`{"jsonrpc":"2.0","id":${left.id},"result":[]}`)
    assert.strictEqual((yield* peer.takeJson).method, "subscribe")
  }))

it.effect("what is for another reader takes no room, and is not missed", () =>
  Effect.gen(function*() {
    const State = Topic.state("quote", Quotes)
    const Plain = Topic.make("quotes", Quotes)
    const read = (isAlone: boolean) =>
      Effect.gen(function*() {
        const [near, far] = yield* MemorySocket.makePair()
        const peer = yield* fromSocket(far)
        const client = yield* JsonRpcClient.fromSocket(near)
        const gate = yield* Queue.unbounded<void>()
        const heard: Array<unknown> = []
        const A = { parameters: { symbol: "A" }, capacity: 2 }
        const B = { parameters: { symbol: "B" } }
        yield* fork(Stream.runForEach(TopicsClient.eventsOf(client, State, A), (event) =>
          Effect.andThen(Effect.sync(() => heard.push(event)), Queue.take(gate))))
        yield* fork(Stream.runForEach(TopicsClient.eventsOf(client, Plain, A), (event) =>
          Effect.andThen(
            Effect.sync(() =>
              heard.push(event)
            ),
            Queue.take(gate)
          )))
        if (!isAlone) {
          yield* fork(Stream.runDrain(TopicsClient.eventsOf(client, State, B)))
          yield* fork(Stream.runDrain(TopicsClient.eventsOf(client, Plain, B)))
        }
        const publish = (topic: string, symbol: string, price: number) =>
          peer.send(`{"jsonrpc":"2.0","method":"${topic}","params":{"symbol":"${symbol}","price":${price}}}`)
        for (const topic of ["quote", "quotes"]) {
          for (const price of [0, 1]) {
            yield* publish(topic, "A", price)
            yield* TestClock.adjust(1)
          }
          for (let i = 0; i < 5; i++) {
            yield* publish(topic, "B", i)
          }
        }
        yield* TestClock.adjust(1)
        yield* Queue.offerAll(gate, Array.from({ length: 10 }))
        yield* TestClock.adjust(1)
        return heard
      })
    const alone = yield* Effect.scoped(read(true))
    assert.strictEqual(alone.length, 4)
    assert.deepStrictEqual(yield* Effect.scoped(read(false)), alone)
  }))

it.effect("a subscription is made again on each connection, after onConnect: a login is not lost with a line", () =>
  Effect.gen(function*() {
    const Ops = Topic.state("ops", { payload: Schema.Int }).pipe(Access.loginRequired)
    const group = Login.Rpcs.merge(Topics.Rpcs)
    const context = yield* JsonRpcServer.layerSocketServer(group).pipe(
      Layer.provide(Layer.mergeAll(Login.layer, Topics.layerHandlers({ methods: group }))),
      Layer.provideMerge(Layer.merge(Topics.layer(Topic.group(Ops)), Layer.fresh(MemorySocket.layer))),
      Layer.provide(Access.layer),
      Layer.provide(Authenticator.layer(Authenticator.make({ password: () => Effect.succeed(Identity.make("ann")) }))),
      Layer.provide(Backplane.layerMemory),
      Layer.build
    )
    yield* Effect.gen(function*() {
      const memory = yield* MemorySocket.MemoryServer
      let logins = 0
      const client = yield* JsonRpcClient.fromSocket(memory.connect({ cutAfter: 8 }), {
        reconnect: Schedule.spaced("1 second"),
        onConnect: (remote) => Effect.tap(remote.call("login", ["ann", "x"]), () => Effect.sync(() => logins++))
      })
      const heard: Array<number> = []
      yield* fork(
        Stream.runForEach(
          TopicsClient.eventsOf(client, Ops),
          (event) => Effect.sync(() => event._tag === "Value" && heard.push(event.value))
        )
      )
      for (let i = 1; i <= 12; i++) {
        yield* Topics.publish(Ops, i)
        yield* TestClock.adjust("2 seconds")
      }
      assert.isAtLeast(logins, 3)
      assert.strictEqual(heard[heard.length - 1], 12)
      assert.deepStrictEqual(heard, [...new Set(heard)].sort((a, b) => a - b))
    }).pipe(Effect.provideContext(context))
  }))

it.effect("streams that wait go on over a logout and a new login: once and in order, or told; others fail", () =>
  Effect.gen(function*() {
    const Ops = Topic.make("ops", { payload: Schema.Int, history: {} }).pipe(Access.loginRequired)
    const Plain = Topic.make("plain", { payload: Schema.Int }).pipe(Access.loginRequired)
    const Level = Topic.state("level", { payload: Schema.Int }).pipe(Access.loginRequired)
    const group = Login.Rpcs.merge(Topics.Rpcs)
    const context = yield* JsonRpcServer.layerSocketServer(group).pipe(
      Layer.provide(Layer.mergeAll(Login.layer, Topics.layerHandlers({ methods: group }))),
      Layer.provideMerge(Layer.merge(Topics.layer(Topic.group(Ops, Plain, Level)), Layer.fresh(MemorySocket.layer))),
      Layer.provide(Access.layer),
      Layer.provide(
        Authenticator.layer(Authenticator.make({ password: ({ username }) => Effect.succeed(Identity.make(username)) }))
      ),
      Layer.provide(Backplane.layerMemory),
      Layer.build
    )
    yield* Effect.gen(function*() {
      const memory = yield* MemorySocket.MemoryServer
      const client = yield* JsonRpcClient.fromSocket(memory.connect())
      const heard = new Map<string, Array<number | string>>()
      const fibers = new Map<string, Fiber.Fiber<unknown, unknown>>()
      const read = (name: string, topic: Topic.Topic<string, number>, whileUnavailable: "wait" | "fail") =>
        Effect.gen(function*() {
          const values: Array<number | string> = []
          heard.set(name, values)
          fibers.set(
            name,
            yield* fork(Stream.runForEach(
              TopicsClient.eventsOf(client, topic, { whileUnavailable }),
              (event) => Effect.sync(() => values.push(event._tag === "Value" ? event.value : `missed ${event.count}`))
            ))
          )
          yield* TestClock.adjust(1)
        })
      const publish = (n: number) =>
        Effect.andThen(
          Effect.forEach([Ops, Plain, Level], (topic) => Topics.publish(topic, n), { discard: true }),
          TestClock.adjust(1)
        )
      // before anybody has logged in
      yield* read("refused", Ops, "fail")
      yield* read("ops", Ops, "wait")
      yield* read("plain", Plain, "wait")
      yield* read("level", Level, "wait")
      yield* publish(1)
      for (const name of heard.keys()) assert.deepStrictEqual(heard.get(name), [], name)
      const refused = yield* Effect.flip(Fiber.join(fibers.get("refused")!))
      assert.deepInclude(refused, { _tag: "TopicUnavailable", ended: false })
      yield* client.call("login", ["ann", "x"])
      yield* TestClock.adjust(1)
      yield* read("fails", Ops, "fail")
      yield* publish(2)
      yield* client.call("logout")
      yield* TestClock.adjust(1)
      const ended = yield* Effect.flip(Fiber.join(fibers.get("fails")!))
      assert.deepInclude(ended, { _tag: "TopicUnavailable", ended: true })
      yield* publish(3)
      yield* publish(4)
      assert.deepStrictEqual(heard.get("ops"), [2])
      yield* client.call("login", ["bob", "x"])
      yield* TestClock.adjust(1)
      yield* publish(5)
      // another login that may hear it, too, is no break
      yield* client.call("login", ["ann", "x"])
      yield* publish(6)
      assert.deepStrictEqual(heard.get("ops"), [2, 3, 4, 5, 6])
      assert.deepStrictEqual(heard.get("plain"), [2, "missed undefined", 5, 6])
      assert.deepStrictEqual(heard.get("level"), [1, 2, 4, 5, 6])
    }).pipe(Effect.provideContext(context))
  }))

it.effect("a reader waits for a connection, whatever becomes of calls", () =>
  Effect.gen(function*() {
    const one = yield* server
    let there = false
    const socket = one.memory.connect()
    const client = yield* JsonRpcClient.fromSocket(
      { ...socket, reader: Effect.suspend(() => there ? socket.reader : Effect.never) } as typeof socket,
      { openTimeout: "1 second", reconnect: Schedule.spaced("1 second") }
    )
    const first = yield* fork(TopicsClient.eventsOf(client, Trades).pipe(Stream.take(1), Stream.runCollect))
    yield* TestClock.adjust("5 seconds")
    assert.isUndefined(first.pollUnsafe())
    there = true
    yield* TestClock.adjust("5 seconds")
    yield* subscribed(one, Trades, 1)
    assert.isUndefined(first.pollUnsafe())
    yield* client.disconnect
    assert.strictEqual((yield* Fiber.await(first))._tag, "Failure")
  }))
