import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Queue, Schedule, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access, Authenticator, Identity } from "effect-wire/identity"
import { JsonRpcClient } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import type { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { TestClock } from "effect/testing"
import {
  Anything,
  Clock,
  CurrentCarrier,
  Faulty,
  Many,
  Ops,
  Rooms,
  serve,
  Strict,
  subscribed,
  suite,
  topics,
  Trades,
  Weather
} from "./TopicsTest.ts"

suite(
  "memory",
  (processes) => Effect.map(Backplane.makeMemory, (backplane) => Array.from({ length: processes }, () => backplane)),
  (name, effect) => it.effect(name, () => effect)
)

suite(
  "memory, WebSocket",
  (processes) => Effect.map(Backplane.makeMemory, (backplane) => Array.from({ length: processes }, () => backplane)),
  (name, effect) =>
    it.live(name, () =>
      Effect.provideService(effect, CurrentCarrier, {
        layer: NodeWebSocketServer.layer({ port: 0 }),
        connect: ({ address }) =>
          Effect.orDie(NodeWebSocket.make(`127.0.0.1:${(address as { readonly port: number }).port}`))
      }))
)

it.effect("a program subscribes by the client of its environment, typed", () =>
  Effect.gen(function*() {
    const one = yield* server()
    yield* one.topics.publish(Weather, { celsius: 3 })
    const client = yield* one.client()
    const first = yield* TopicsClient.subscribe(Weather).pipe(
      Stream.map(({ celsius }) => celsius + 1),
      Stream.runHead,
      Effect.provideService(JsonRpcClient.JsonRpcClient, client)
    )
    assert.deepStrictEqual(first, Option.some(4))
    // @ts-expect-error a value of another shape
    const wrongValue = () => one.topics.publish(Weather, { fahrenheit: 3 })
    // @ts-expect-error parameters of another shape
    const wrongParameters = () => TopicsClient.subscribe(Trades, { parameters: { symbol: 3 } })
    assert.isTrue(typeof wrongValue === typeof wrongParameters)
  }))

const server = (options?: Topics.Options) =>
  Effect.flatMap(Backplane.makeMemory, (backplane) => serve(backplane, options))

it.effect("untyped peers subscribe by a bare string, an array, an object", () =>
  Effect.gen(function*() {
    const peer = yield* (yield* server()).raw()
    const forms: ReadonlyArray<unknown> = [
      "clock",
      ["clock"],
      [["clock"]],
      { topic: "clock" },
      { topics: "clock" },
      { topics: ["clock"] },
      [{ topic: "clock" }],
      [[{ topic: "clock", notices: true }]]
    ]
    for (const form of forms) {
      assert.deepStrictEqual(yield* peer.result("subscribe", form), ["clock"], JSON.stringify(form))
      assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["clock"])
      assert.deepStrictEqual(yield* peer.result("unsubscribe", form), [], JSON.stringify(form))
    }
    assert.deepStrictEqual(yield* peer.result("subscribe", ["clock", "many1"]), ["clock", "many1"])
    assert.deepStrictEqual(yield* peer.result("subscribe", []), ["clock", "many1"])
    assert.deepStrictEqual(yield* peer.result("unsubscribe", ["clock", "unknown"]), ["many1"])
  }))

it.effect("unknown topics and names that objects have are left out silently", () =>
  Effect.gen(function*() {
    const peer = yield* (yield* server()).raw()
    assert.deepStrictEqual(
      yield* peer.result("subscribe", ["nope", "clock", "__proto__", "constructor", "", "toString"]),
      ["clock"]
    )
    assert.deepStrictEqual(yield* peer.result("unsubscribe", ["__proto__"]), ["clock"])
  }))

it.effect("what is no name of a topic is refused by -32602, and the connection lives", () =>
  Effect.gen(function*() {
    const peer = yield* (yield* server()).raw()
    const wrong: ReadonlyArray<unknown> = [
      5,
      true,
      [null],
      [1],
      [[["clock"]]],
      {},
      { topics: 1 },
      { topic: ["clock"] },
      [{ topic: 1 }]
    ]
    for (const params of wrong) {
      const { error } = yield* peer.call("subscribe", params)
      assert.strictEqual(error.code, -32602, JSON.stringify(params))
    }
    const { error } = yield* peer.call("subscribe", { topic: "trades", parameters: { symbol: 1 } })
    assert.strictEqual(error.code, -32602)
    assert.strictEqual(error.data.topic, "trades")
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), [])
  }))

it.effect("a connection has at most 128 subscriptions, and a request over the limit adds none", () =>
  Effect.gen(function*() {
    const peer = yield* (yield* server()).raw()
    const names = Many.map((topic) => topic.name)
    assert.strictEqual((yield* peer.result("subscribe", names.slice(0, 127))).length, 127)
    const two = yield* peer.call("subscribe", names.slice(127, 129))
    assert.strictEqual(two.error.code, -32012)
    assert.strictEqual(two.error.data.limit, 128)
    assert.strictEqual((yield* peer.result("get_subscriptions")).length, 127)
    assert.strictEqual((yield* peer.result("subscribe", names[127])).length, 128)
    assert.strictEqual((yield* peer.call("subscribe", names[128])).error.code, -32012)
    // what is subscribed already is none more
    assert.strictEqual((yield* peer.result("subscribe", names.slice(0, 10))).length, 128)
    yield* peer.result("unsubscribe", names[0])
    assert.strictEqual((yield* peer.result("subscribe", names[128])).length, 128)
  }))

it.effect("what a caller may not use does not exist: not listed, and answered like an unknown method", () =>
  Effect.gen(function*() {
    const peer = yield* (yield* server()).raw()
    const unknown = yield* peer.call("no_such_method")
    assert.deepStrictEqual((yield* peer.call("secret")).error, unknown.error)
    assert.deepStrictEqual((yield* peer.call("reset", { wrong: 1 })).error, unknown.error)
    const open = ["open", "slow", "login", "authenticate", "logout", "whoami", ...Topics.Rpcs.requests.keys()]
    const methods = (user: string | undefined) =>
      Effect.gen(function*() {
        if (user !== undefined) assert.isTrue(yield* peer.result("login", [user, `pw-${user}`]))
        return new Set(yield* peer.result("get_methods"))
      })
    assert.deepStrictEqual(yield* methods(undefined), new Set(open))
    assert.deepStrictEqual(yield* methods("alice"), new Set([...open, "secret"]))
    assert.strictEqual(yield* peer.result("secret"), "secret of alice")
    assert.deepStrictEqual((yield* peer.call("reset")).error, unknown.error)
    assert.deepStrictEqual(yield* methods("bob"), new Set([...open, "secret", "reset"]))
    assert.deepStrictEqual(yield* methods("root"), new Set([...open, "secret", "reset"]))
    assert.isTrue(yield* peer.result("reset"))
    yield* peer.result("logout")
    assert.deepStrictEqual(yield* methods(undefined), new Set(open))
  }))

it.effect("requests in flight finish under the identity they began with", () =>
  Effect.gen(function*() {
    const { gate, raw } = yield* server()
    const peer = yield* raw()
    yield* peer.send({ jsonrpc: "2.0", id: "nobody", method: "slow" })
    yield* peer.result("login", ["alice", "pw-alice"])
    yield* peer.send({ jsonrpc: "2.0", id: "alice", method: "slow" })
    yield* peer.result("login", ["bob", "pw-bob"])
    yield* peer.send({ jsonrpc: "2.0", id: "bob", method: "slow" })
    yield* peer.result("logout")
    yield* Queue.offerAll(gate, [undefined, undefined, undefined])
    const answers = [yield* peer.next, yield* peer.next, yield* peer.next].map(({ id, result }) => [id, result])
    assert.deepStrictEqual(new Map(answers as any), new Map([["nobody", null], ["alice", "alice"], ["bob", "bob"]]))
  }))

it.effect("an identity that expires takes its subscriptions with it, unless it was refreshed", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const peer = yield* one.raw()
    yield* peer.result("subscribe", "clock")
    const [connection] = yield* one.topics.subscribers(Clock)
    const bob = (expiresAt: number) => Identity.make("bob", { permissions: ["ops"], expiresAt })
    yield* Access.identify(connection!, bob(1000))
    assert.deepStrictEqual(yield* peer.result("subscribe", [{ topic: "ops", notices: true }]), ["clock", "ops"])
    yield* TestClock.adjust(500)
    yield* Access.identify(connection!, bob(2000))
    yield* TestClock.adjust(1000)
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["clock", "ops"])
    yield* TestClock.adjust(500)
    assert.deepStrictEqual(yield* peer.next, {
      jsonrpc: "2.0",
      method: "topic_ended",
      params: { topic: "ops", reason: "forbidden" }
    })
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["clock"])
  }))

it.effect("rights that are read anew end the subscriptions that they no longer allow, and no others", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const peer = yield* one.raw()
    yield* peer.result("login", ["bob", "pw-bob"])
    yield* peer.result("subscribe", ["ops", "clock"])
    const [connection] = yield* one.topics.subscribers(Ops)
    const rights = (permissions: ReadonlyArray<string>) =>
      Authenticator.refresh(connection!).pipe(
        Effect.provide(Authenticator.layer(Authenticator.make({
          find: () => Effect.succeed(Identity.make("bob", { permissions }))
        })))
      )
    yield* rights(["ops"])
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["ops", "clock"])
    assert.strictEqual((yield* peer.call("reset")).error.code, -32601)
    yield* rights([])
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["clock"])
    assert.notInclude(yield* peer.result("get_topics"), "ops")
  }))

it.effect("a stream of a topic that is not there, or is taken away, fails with its reason", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const missing = yield* Effect.flip(Stream.runDrain(TopicsClient.eventsOf(client, Ops)))
    assert.deepStrictEqual({ ...missing }, { ...new TopicsClient.TopicUnavailable({ topic: "ops", ended: false }) })
    yield* client.call("login", ["bob", "pw-bob"])
    const fiber = yield* Effect.forkChild(Effect.flip(Stream.runDrain(TopicsClient.eventsOf(client, Ops))))
    yield* subscribed(one, Ops, 1)
    yield* client.call("logout")
    assert.deepStrictEqual({ ...(yield* Fiber.join(fiber)) }, {
      ...new TopicsClient.TopicUnavailable({ topic: "ops", ended: true })
    })
    const unknown = Topic.make("unknown", { payload: Topics.Rpcs.requests.get("subscribe")!.successSchema as any })
    const error = yield* Effect.flip(Stream.runDrain(TopicsClient.eventsOf(client, unknown)))
    assert.strictEqual(error._tag, "TopicUnavailable")
  }))

it.effect("a state stream survives reconnection: the new value once, an unchanged one not again", () =>
  Effect.gen(function*() {
    const one = yield* server()
    yield* one.topics.publish(Weather, { celsius: 1 })
    // subscribe, its value and its answer: the connection is cut after three frames
    const client = yield* one.client({ cutAfter: 3 }, { reconnect: Schedule.spaced("1 second") })
    const seen: Array<number> = []
    yield* Effect.forkChild(
      Stream.runForEach(
        TopicsClient.eventsOf(client, Weather),
        (event) => Effect.sync(() => event._tag === "Value" && seen.push(event.value.celsius))
      )
    )
    yield* subscribed(one, Weather, 0).pipe(Effect.andThen(Effect.yieldNow), Effect.repeat({ times: 20 }))
    assert.deepStrictEqual(seen, [1])
    // nothing changed while it was away
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(seen, [1])
    yield* one.topics.publish(Weather, { celsius: 2 })
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(seen, [1, 2])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(seen, [1, 2])
  }))

it.effect("a plain stream survives reconnection and says that something may have been missed", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client({ cutAfter: 3 }, { reconnect: Schedule.spaced("1 second") })
    const seen: Array<unknown> = []
    yield* Effect.forkChild(
      Stream.runForEach(
        TopicsClient.eventsOf(client, Clock),
        (event) => Effect.sync(() => seen.push(event._tag === "Value" ? event.value : event.count))
      )
    )
    yield* subscribed(one, Clock, 1)
    yield* one.topics.publish(Clock, 1)
    yield* subscribed(one, Clock, 0)
    yield* one.topics.publish(Clock, 2)
    yield* TestClock.adjust("1 second")
    yield* subscribed(one, Clock, 1)
    yield* one.topics.publish(Clock, 3)
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(seen.slice(0, 3), [1, undefined, 3])
  }))

it.effect("a stream ends with the client, and the server is told when a stream ends", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const first = yield* Effect.forkChild(Stream.runDrain(TopicsClient.eventsOf(client, Clock)))
    const second = yield* Effect.forkChild(Stream.runDrain(TopicsClient.eventsOf(client, Clock)))
    yield* subscribed(one, Clock, 1)
    yield* Fiber.interrupt(first)
    yield* subscribed(one, Clock, 1)
    yield* Fiber.interrupt(second)
    yield* subscribed(one, Clock, 0)
    const third = yield* Effect.forkChild(Effect.flip(Stream.runDrain(TopicsClient.eventsOf(client, Clock))))
    yield* subscribed(one, Clock, 1)
    yield* client.disconnect
    assert.strictEqual((yield* Fiber.join(third))._tag, "JsonRpcError")
    yield* subscribed(one, Clock, 0)
  }))

it.effect("streams of one topic with different wishes share a subscription and get what each wants", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const reader = (symbol: string | undefined) =>
      TopicsClient.eventsOf(client, Trades, symbol === undefined ? {} : { parameters: { symbol } }).pipe(
        Stream.map((event) => event._tag === "Value" ? event.value.symbol : "missed"),
        Stream.takeUntil((symbol) => symbol.startsWith("end")),
        Stream.runCollect,
        Effect.forkChild
      )
    const b = yield* reader("B")
    yield* subscribed(one, Trades, 1)
    const all = yield* reader(undefined)
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
    const a = yield* reader("A")
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
    yield* Effect.forEach(["A", "B", "C", "end"], (symbol) => one.topics.publish(Trades, { symbol, price: 1 }))
    assert.deepStrictEqual(yield* Fiber.join(all), ["A", "B", "C", "end"])
    assert.strictEqual((yield* one.topics.subscribers(Trades)).length, 1)
    yield* Fiber.interruptAll([a, b])
    yield* subscribed(one, Trades, 0)
  }))

it.effect("values of every shape arrive as they were, in valid JSON-RPC", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const peer = yield* one.raw()
    yield* peer.result("subscribe", "anything")
    const published = [1, "text", null, true, [], [1], [[1, 2]], {}, { a: [1] }, "🦉"]
    const fiber = yield* TopicsClient.eventsOf(client, Anything).pipe(
      Stream.map((event) => event._tag === "Value" ? event.value : event),
      Stream.take(published.length),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* subscribed(one, Anything, 2)
    yield* Effect.forEach(published, (value) => one.topics.publish(Anything, value))
    assert.deepStrictEqual(yield* Fiber.join(fiber), published)
    for (const value of published) {
      const { params } = yield* peer.next
      assert.deepStrictEqual(
        params,
        typeof value === "object" && value !== null && !Array.isArray(value) ? value : [value]
      )
    }
  }))

it.effect("a value that does not fit the schema of the client fails its stream", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const Wrong = Topic.make("anything", { payload: Weather.payload })
    const fiber = yield* Effect.forkChild(Effect.result(Stream.runCollect(TopicsClient.eventsOf(client, Wrong))))
    yield* subscribed(one, Anything, 1)
    yield* one.topics.publish(Anything, { celsius: 1 })
    yield* one.topics.publish(Anything, { fahrenheit: 1 })
    const result = yield* Fiber.join(fiber)
    assert.strictEqual(
      result._tag === "Failure" && result.failure._tag === "JsonRpcError" && result.failure.reason._tag,
      "ProtocolError"
    )
  }))

it.effect("publishing a topic that is not the server's is a defect, not a publication", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const exit = yield* Effect.exit(
      one.topics.publish(Topic.make("clock", { payload: Weather.payload }), { celsius: 1 })
    )
    assert.isTrue(Exit.isFailure(exit))
  }))

it.effect("storms of subscribe and unsubscribe leave what the last of them says", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const peer = yield* one.raw()
    for (let i = 0; i < 2000; i++) {
      yield* peer.send({
        jsonrpc: "2.0",
        method: i % 2 === 0 ? "subscribe" : "unsubscribe",
        params: ["clock", "weather"]
      })
    }
    assert.deepStrictEqual(yield* peer.result("get_subscriptions"), [])
    assert.strictEqual((yield* one.topics.subscribers(Clock)).length, 0)
    const client = yield* one.client()
    for (let i = 0; i < 200; i++) {
      const fiber = yield* Effect.forkChild(Stream.runDrain(TopicsClient.eventsOf(client, Clock)))
      if (i % 3 === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
    }
    yield* subscribed(one, Clock, 0)
    const fiber = yield* Effect.forkChild(Stream.runHead(TopicsClient.eventsOf(client, Clock)))
    yield* subscribed(one, Clock, 1)
    yield* one.topics.publish(Clock, 7)
    assert.deepStrictEqual(yield* Fiber.join(fiber), Option.some({ _tag: "Value", value: 7 } as const))
  }))

it.effect("a connection that goes takes its subscriptions with it", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const scope = yield* Scope.make()
    const peer = yield* Scope.provide(one.raw(), scope)
    yield* peer.result("subscribe", ["clock", "weather"])
    assert.strictEqual((yield* one.topics.subscribers(Clock)).length, 1)
    yield* Scope.close(scope, Exit.void)
    yield* subscribed(one, Clock, 0)
    yield* subscribed(one, Weather, 0)
  }))

it.effect("two topics of one name are a mistake", () =>
  Effect.sync(() => {
    assert.throws(() => Topic.group(Clock, Clock))
    assert.strictEqual(topics.topics.get("clock"), Clock)
  }))

/** A peer that reads only when it is told to. */
const lazyReader = (one: { readonly memory: MemorySocket.MemoryServer["Service"] }) =>
  Effect.gen(function*() {
    const socket = one.memory.connect({ capacity: 1 })
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    const waiting: Array<any> = []
    const next = Effect.gen(function*() {
      while (waiting.length === 0) {
        for (const frame of yield* pull) waiting.push(JSON.parse(frame as string))
      }
      return waiting.shift()
    })
    return { send: (message: unknown) => writer.write(JSON.stringify(message)), next }
  })

const slowOptions = { highWaterMark: 200, slowCapacity: 5 }

it.effect("who reads a plain topic too slowly gets the newest and the number of those dropped", () =>
  Effect.gen(function*() {
    const one = yield* server(slowOptions)
    const peer = yield* lazyReader(one)
    yield* peer.send({ jsonrpc: "2.0", id: 1, method: "subscribe", params: [{ topic: "clock", notices: true }] })
    yield* peer.next
    for (let i = 1; i <= 100; i++) {
      yield* one.topics.publish(Clock, i)
      yield* Effect.yieldNow
    }
    const seen: Array<number> = []
    let missed = 0
    while (seen.at(-1) !== 100) {
      const frame = yield* peer.next
      if (frame.method === "topic_gap") {
        assert.strictEqual(frame.params.topic, "clock")
        missed += frame.params.missed
        assert.isBelow(seen.length, 20)
      } else seen.push(frame.params[0])
    }
    assert.isAbove(missed, 50)
    assert.strictEqual(seen.length + missed, 100)
    assert.deepStrictEqual(seen.slice(-5), [96, 97, 98, 99, 100])
    // and it is a reader like any other again
    yield* one.topics.publish(Clock, 101)
    assert.deepStrictEqual((yield* peer.next).params, [101])
  }))

it.effect("who reads a state topic too slowly gets the newest value", () =>
  Effect.gen(function*() {
    const one = yield* server(slowOptions)
    const peer = yield* lazyReader(one)
    yield* peer.send({ jsonrpc: "2.0", id: 1, method: "subscribe", params: "weather" })
    yield* peer.next
    for (let i = 1; i <= 100; i++) {
      yield* one.topics.publish(Weather, { celsius: i })
      yield* Effect.yieldNow
    }
    const seen: Array<number> = []
    while (seen.at(-1) !== 100) seen.push((yield* peer.next).params.celsius)
    assert.isBelow(seen.length, 20)
    assert.deepStrictEqual(seen, [...new Set(seen)].sort((a, b) => a - b))
  }))

it.effect("who reads too slowly is disconnected where the topic says so, and others are not", () =>
  Effect.gen(function*() {
    const one = yield* server(slowOptions)
    const peer = yield* lazyReader(one)
    const other = yield* one.raw()
    yield* peer.send({ jsonrpc: "2.0", id: 1, method: "subscribe", params: "strict" })
    yield* peer.next
    yield* other.result("subscribe", "strict")
    for (let i = 1; i <= 100; i++) {
      yield* one.topics.publish(Strict, i)
      yield* Effect.yieldNow
    }
    assert.strictEqual((yield* one.topics.subscribers(Strict)).length, 1)
    for (let i = 1; i <= 100; i++) assert.deepStrictEqual((yield* other.next).params, [i])
    const error = yield* Effect.flip(Effect.forever(peer.next))
    yield* TestClock.adjust("1 second")
    assert.strictEqual(error._tag, "SocketError")
  }))

it.effect("a reader of a stream that is slower than its values gets the newest and how many it missed", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    const proceed = yield* Queue.unbounded<void>()
    const fiber = yield* TopicsClient.eventsOf(client, Clock, { capacity: 3 }).pipe(
      Stream.tap((event) => event._tag === "Value" && event.value === 1 ? Queue.take(proceed) : Effect.void),
      Stream.map((event) => event._tag === "Value" ? event.value : `missed ${event.count}`),
      Stream.takeUntil((value) => value === 10),
      Stream.runCollect,
      Effect.forkChild
    )
    yield* subscribed(one, Clock, 1)
    yield* one.topics.publish(Clock, 1)
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
    yield* Effect.forEach([2, 3, 4, 5, 6, 7, 8, 9, 10], (n) => one.topics.publish(Clock, n))
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 20 }))
    yield* Queue.offer(proceed, undefined)
    assert.deepStrictEqual(yield* Fiber.join(fiber), [1, "missed 6", 8, 9, 10])
  }))

it.effect("a gap of the backplane is told to subscribers that asked for it", () =>
  Effect.gen(function*() {
    let hear: (event: Backplane.Event) => void = () => {}
    const backplane = Backplane.make({
      publish: () => Effect.succeed(1),
      last: () => Effect.succeed(undefined),
      listen: (channel, onEvent) =>
        Effect.sync(() => {
          if (channel === "topic:clock") hear = onEvent
          return { sequence: 0, epoch: "one", last: undefined, history: [] }
        })
    })
    const one = yield* serve(backplane)
    const [peer, naive] = [yield* one.raw(), yield* one.raw()]
    yield* naive.result("subscribe", "clock")
    yield* peer.result("subscribe", { topic: "clock", notices: true })
    hear({ _tag: "Gap", channel: "topic:clock", after: 0, sequence: 3, missed: 3, epoch: "one" })
    hear({ _tag: "Publication", channel: "topic:clock", sequence: 4, payload: "[4]" })
    hear({ _tag: "Gap", channel: "topic:clock", after: 4, sequence: 0, missed: undefined, epoch: "two" })
    assert.deepStrictEqual((yield* peer.next).params, { topic: "clock", missed: 3 })
    assert.deepStrictEqual((yield* peer.next).params, [4])
    assert.deepStrictEqual((yield* peer.next).params, { topic: "clock", missed: null })
    assert.deepStrictEqual((yield* naive.next).params, [4])
    assert.strictEqual(yield* Queue.size(naive.frames), 0)
  }))

it.effect("readers of one state topic with different wishes see no value twice", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client()
    yield* one.topics.publish(Rooms, { room: "A", celsius: 1 })
    const seen: Record<string, Array<string>> = { A: [], all: [] }
    const reader = (name: string, parameters: { readonly room: string } | undefined) =>
      Effect.forkChild(Stream.runForEach(
        TopicsClient.eventsOf(client, Rooms, parameters === undefined ? {} : { parameters }),
        (event) =>
          Effect.sync(() => event._tag === "Value" && seen[name]!.push(`${event.value.room}${event.value.celsius}`))
      ))
    const settle = Effect.yieldNow.pipe(Effect.repeat({ times: 30 }))
    yield* reader("A", { room: "A" })
    yield* subscribed(one, Rooms, 1)
    yield* settle
    yield* reader("all", undefined)
    yield* settle
    assert.deepStrictEqual(seen, { A: ["A1"], all: ["A1"] })
    yield* one.topics.publish(Rooms, { room: "B", celsius: 2 })
    yield* settle
    yield* one.topics.publish(Rooms, { room: "A", celsius: 3 })
    yield* settle
    assert.deepStrictEqual(seen, { A: ["A1", "A3"], all: ["A1", "B2", "A3"] })
  }))

it.effect("a test or a wish of the application that throws refuses, and disturbs nobody else", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const [alice, bob] = [yield* one.raw(), yield* one.raw()]
    yield* alice.result("login", ["alice", "pw-alice"])
    yield* bob.result("login", ["bob", "pw-bob"])
    assert.notInclude(yield* bob.result("get_topics"), "faulty")
    assert.deepStrictEqual(yield* bob.result("subscribe", "faulty"), [])
    assert.deepStrictEqual(yield* alice.result("subscribe", { topic: "faulty", parameters: 1 }), ["faulty"])
    for (const n of [0, 13, 2]) yield* one.topics.publish(Faulty, n)
    assert.deepStrictEqual((yield* alice.next).params, [2])
    assert.strictEqual(yield* bob.result("open"), "open")
  }))

it.effect("a reader that goes while its subscription is asked for leaves it to those that came meanwhile", () =>
  Effect.gen(function*() {
    const one = yield* server()
    const client = yield* one.client({ latency: "10 millis" })
    const first = yield* Effect.forkChild(Stream.runDrain(TopicsClient.eventsOf(client, Clock)))
    yield* TestClock.adjust(1)
    const second = yield* Effect.forkChild(Stream.runHead(TopicsClient.eventsOf(client, Clock)))
    yield* TestClock.adjust(1)
    yield* Fiber.interrupt(first)
    yield* TestClock.adjust("50 millis")
    assert.strictEqual((yield* one.topics.subscribers(Clock)).length, 1)
    yield* one.topics.publish(Clock, 5)
    yield* TestClock.adjust("50 millis")
    assert.deepStrictEqual(yield* Fiber.join(second), Option.some({ _tag: "Value", value: 5 } as const))
  }))
