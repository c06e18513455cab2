/** PROTOCOLS.md, "Topics": what goes to subscribers is written as the wire of each writes it. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Queue, Redacted, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access, Authenticator, Identity, Login } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcClients, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"
import { fromSocket, type Raw } from "../jsonrpc/raw.ts"

const Clock = Topic.make("clock", { payload: Schema.Int })
const Text = Topic.state("text", { payload: Schema.String })
const Weather = Topic.make("weather", { payload: Schema.Struct({ celsius: Schema.Finite, wind: Schema.Finite }) })
const Anything = Topic.make("anything", { payload: Schema.Json })
const Kept = Topic.make("kept", { payload: Schema.Int, history: {} })
const Trades = Topic.make("trades", {
  payload: Schema.Struct({ symbol: Schema.String }),
  parameters: Schema.Struct({ symbol: Schema.String }),
  matches: (trade, wanted) => trade.symbol === wanted.symbol
})
const topics = Topic.group(Clock, Text, Weather, Anything, Kept, Trades)

class Methods extends RpcGroup.make(Rpc.make("fence")).merge(Topics.Rpcs, Login.Rpcs) {}

const Users = Authenticator.layer(Authenticator.make({
  password: ({ password }) => Effect.succeed(Redacted.value(password) === "pw" ? Identity.make("alice") : undefined)
}))

/** One server of these topics, with a carrier for each of these wires. */
const serve = (...wires: ReadonlyArray<Wire.Wire>) =>
  Effect.gen(function*() {
    const carriers = yield* Effect.forEach(wires, () => MemorySocket.makeServer())
    const context = yield* Layer.build(
      Layer.mergeAll(
        Layer.empty,
        ...wires.map((wire, i) =>
          JsonRpcServer.layerSocketServer(Methods, { wire }).pipe(
            Layer.provide(Layer.succeed(SocketServer.SocketServer, carriers[i]!.server))
          )
        )
      ).pipe(
        Layer.provide(
          Layer.mergeAll(
            Methods.toLayerHandler("fence", () => Effect.void),
            Login.layer,
            Topics.layerHandlers({ methods: Methods })
          )
        ),
        Layer.provideMerge(Layer.mergeAll(Access.layer, Users, Topics.layer(topics), JsonRpcClients.layerShared)),
        Layer.provide(Backplane.layerMemory)
      )
    )
    const services = yield* Effect.all({ topics: Topics.Topics, clients: JsonRpcClients.JsonRpcClients }).pipe(
      Effect.provideContext(context)
    )
    return { ...services, sockets: carriers.map((carrier) => carrier.connect()) }
  })

const ask = (peer: Raw, method: string, params: unknown) =>
  Effect.andThen(peer.send(JSON.stringify({ jsonrpc: "2.0", id: "ask", method, params })), peer.takeJson)

it.effect("each subscriber gets publications and notices as its wire writes them", () =>
  Effect.gen(function*() {
    const { sockets, topics } = yield* serve(Wire.standard, Wire.aiohttp, Wire.version1, Wire.cdp)
    const peers = yield* Effect.forEach(sockets, fromSocket)
    const names = ["clock", "weather", "anything", "text"]
    for (const peer of peers) {
      const answer = yield* ask(peer, "subscribe", [...names, { topic: "kept", positions: true, notices: true }])
      const notice = answer.id === "ask" ? yield* peer.takeJson : answer
      const params = Array.isArray(notice.params) ? notice.params[0] : notice.params
      assert.strictEqual(notice.method, "topic_position")
      assert.strictEqual(params.topic, "kept")
      if (answer !== notice) continue
      assert.deepStrictEqual((yield* peer.takeJson).result, [...names, "kept"])
    }
    yield* topics.publish(Clock, 1795266001028)
    yield* topics.publish(Weather, { celsius: 21, wind: 3 })
    yield* topics.publish(Anything, [7])
    yield* topics.publish(Anything, null)
    yield* topics.publish(Text, "foo")
    yield* topics.publish(Kept, 5)
    const received = yield* Effect.forEach(peers, (peer) =>
      Effect.map(Effect.all(Array.from({ length: 6 }, () => peer.take)), (texts) => texts.map((text) => text)))
    const v2 = (method: string, params: string) =>
      `{"jsonrpc":"2.0","method":"${method}","params":${params}}`
    const v1 = (method: string, params: string) => `{"method":"${method}","params":${params},"id":null}`
    const cdp = (method: string, params: string) => `{"method":"${method}","params":${params}}`
    const rows = (write: typeof v2, ...params: ReadonlyArray<string>) =>
      ["clock", "weather", "anything", "anything", "text", "topic_value"].map((name, i) => write(name, params[i]!))
    const weather = `{"celsius":21,"wind":3}`
    const kept = `{"topic":"kept","offset":1,"value":[5]}`
    assert.deepStrictEqual(received, [
      rows(v2, "[1795266001028]", weather, "[[7]]", "[null]", `["foo"]`, kept),
      rows(v2, "1795266001028", weather, "[7]", "null", `"foo"`, kept),
      rows(v1, "[1795266001028]", "[21,3]", "[[7]]", "[null]", `["foo"]`, `[${kept}]`),
      rows(cdp, "[1795266001028]", weather, "[[7]]", "[null]", `["foo"]`, kept)
    ])
  }).pipe(Effect.scoped))

it.effect("our client hears every kind of value on every wire", () =>
  Effect.gen(function*() {
    const wires = [Wire.standard, Wire.aiohttp, Wire.version1, Wire.cdp, Wire.rockets, Wire.lsp, Wire.mcp]
    const { sockets, topics } = yield* serve(...wires)
    const clients = yield* Effect.forEach(
      sockets,
      (socket, i) => JsonRpcClient.fromSocket(socket, { wire: wires[i]! })
    )
    const heard = yield* Queue.unbounded<string>()
    const hear = <A>(client: JsonRpcClient.Client, wire: Wire.Wire, topic: Topic.Topic<string, A, any>) =>
      TopicsClient.subscribe(topic).pipe(
        Stream.provideService(JsonRpcClient.JsonRpcClient, client),
        Stream.runForEach((value) => Queue.offer(heard, `${wire.name} ${topic.name} ${JSON.stringify(value)}`)),
        Effect.forkScoped({ startImmediately: true })
      )
    const all = [Clock, Text, Weather, Anything, Kept] as ReadonlyArray<Topic.Topic<string, any, any>>
    for (const [i, client] of clients.entries()) for (const topic of all) yield* hear(client, wires[i]!, topic)
    for (const topic of all) {
      yield* topics.subscribers(topic).pipe(
        Effect.tap(Effect.yieldNow),
        Effect.repeat({ until: (connections) => connections.length === wires.length })
      )
    }
    const rows: ReadonlyArray<readonly [Topic.Topic<string, any, any>, unknown]> = [
      [Clock, 7],
      [Text, "foo"],
      [Weather, { celsius: 21, wind: 3 }],
      [Anything, [7]],
      [Anything, [[7]]],
      [Anything, "x"],
      [Anything, null],
      [Anything, { args: [], kwargs: {} }],
      [Kept, 9]
    ]
    for (const [topic, value] of rows) yield* topics.publish(topic, value)
    const seen = yield* Effect.all(Array.from({ length: rows.length * wires.length }, () => Queue.take(heard)))
    assert.deepStrictEqual(
      seen.sort(),
      wires.flatMap(({ name }) => rows.map(([topic, value]) => `${name} ${topic.name} ${JSON.stringify(value)}`)).sort()
    )
  }).pipe(Effect.scoped))

it.effect("aiohttp: our client asks for topics by nothing but their names, unless the contract wants more", () =>
  Effect.gen(function*() {
    const [near, far] = yield* MemorySocket.makePair()
    const client = yield* JsonRpcClient.fromSocket(near, { wire: Wire.aiohttp })
    const server = yield* fromSocket(far)
    const read = (topic: Topic.Topic<string, any, any>, parameters?: unknown) =>
      TopicsClient.subscribe(topic, parameters === undefined ? undefined : { parameters } as any).pipe(
        Stream.provideService(JsonRpcClient.JsonRpcClient, client),
        Stream.runHead,
        Effect.forkScoped({ startImmediately: true })
      )
    const first = yield* read(Text)
    const asked = yield* server.takeJson
    assert.deepStrictEqual([asked.method, asked.params], ["subscribe", ["text"]])
    yield* server.send(
      JSON.stringify({ jsonrpc: "2.0", id: asked.id, result: ["text"] }),
      `{"jsonrpc":"2.0","method":"text","params":"foo"}`
    )
    assert.deepStrictEqual(yield* Fiber.join(first), Option.some("foo"))
    assert.deepStrictEqual((yield* server.takeJson).params, ["text"])
    yield* read(Kept)
    assert.deepStrictEqual((yield* server.takeJson).params, [{ topic: "kept", notices: true, positions: true }])
  }).pipe(Effect.scoped))

it.effect("aiohttp: who has logged in is told of no login", () =>
  Effect.gen(function*() {
    const { sockets } = yield* serve(Wire.aiohttp, Wire.standard)
    const [peer, other] = [yield* fromSocket(sockets[0]!), yield* fromSocket(sockets[1]!)]
    const has = (peer: Raw) => Effect.map(ask(peer, "get_methods", undefined), ({ result }) => result.includes("login"))
    assert.isTrue(yield* has(peer))
    for (const one of [peer, other]) {
      assert.strictEqual((yield* ask(one, "login", { username: "alice", password: "pw" })).result, true)
    }
    assert.isFalse(yield* has(peer))
    assert.isTrue(yield* has(other))
    yield* ask(peer, "logout", undefined)
    assert.isTrue(yield* has(peer))
  }).pipe(Effect.scoped))

it.effect("a broadcast is written once for each wire", () =>
  Effect.gen(function*() {
    const { clients, sockets } = yield* serve(Wire.standard, Wire.aiohttp, Wire.version1, Wire.cdp)
    const peers = yield* Effect.forEach(sockets, fromSocket)
    for (const peer of peers) yield* ask(peer, "fence", undefined)
    assert.strictEqual(yield* clients.broadcast("news", "x"), 4)
    assert.deepStrictEqual(yield* Effect.forEach(peers, (peer) => peer.take), [
      `{"jsonrpc":"2.0","method":"news","params":["x"]}`,
      `{"jsonrpc":"2.0","method":"news","params":"x"}`,
      `{"method":"news","params":["x"],"id":null}`,
      `{"method":"news","params":["x"]}`
    ])
    for (const client of yield* clients.all) yield* client.notify("news", { a: 1 })
    assert.deepStrictEqual(yield* Effect.forEach(peers, (peer) => peer.take), [
      `{"jsonrpc":"2.0","method":"news","params":{"a":1}}`,
      `{"jsonrpc":"2.0","method":"news","params":{"a":1}}`,
      `{"method":"news","params":[{"a":1}],"id":null}`,
      `{"method":"news","params":{"a":1}}`
    ])
  }).pipe(Effect.scoped))
