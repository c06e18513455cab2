import { assert } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Queue, Redacted, Schema, type Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access, Authenticator, Identity, Login } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"
import { type Socket, SocketServer } from "effect/socket"

export const Clock = Topic.make("clock", { payload: Schema.Int })
export const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })
export const Ops = Topic.make("ops", { payload: Schema.String }).pipe(Access.permissionRequired("ops"))
export const Trades = Topic.make("trades", {
  payload: Schema.Struct({ symbol: Schema.String, price: Schema.Finite }),
  parameters: Schema.Struct({ symbol: Schema.String }),
  matches: (trade, wanted) => trade.symbol === wanted.symbol
})
export const Anything = Topic.make("anything", { payload: Schema.Json })
export const Many = Array.from({ length: 130 }, (_, i) => Topic.make(`many${i}`, { payload: Schema.Int }))
export const Strict = Topic.make("strict", { payload: Schema.Int, slow: "disconnect" })
export const Own = Topic.state("own", { payload: Schema.Int, local: true })
export const Rooms = Topic.state("rooms", {
  payload: Schema.Struct({ room: Schema.String, celsius: Schema.Finite }),
  parameters: Schema.Struct({ room: Schema.String }),
  matches: (value, wanted) => value.room === wanted.room
})
export const Faulty = Topic.make("faulty", {
  payload: Schema.Int,
  parameters: Schema.Int,
  matches: (value, wanted) => {
    if (value === 13) throw new Error("a fault of the application")
    return value > wanted
  }
}).pipe(Access.userPassesTest(({ username }) => {
  if (username === "bob") throw new Error("a fault of the application")
  return true
}))
export const topics = Topic.group(Clock, Weather, Ops, Trades, Anything, Strict, Own, Rooms, Faulty, ...Many)

class Methods extends RpcGroup.make(
  Rpc.make("open", { success: Schema.String }),
  Rpc.make("secret", { success: Schema.String }).pipe(Access.loginRequired),
  Rpc.make("reset", { success: Schema.Boolean }).pipe(Access.permissionRequired("reset")),
  Rpc.make("slow", { success: Schema.NullOr(Schema.String) }).middleware(Access.Caller)
).merge(Login.Rpcs, Topics.Rpcs) {}

const users = new Map([
  ["alice", Identity.make("alice")],
  ["bob", Identity.make("bob", { permissions: ["ops", "reset"] })],
  ["root", Identity.make("root", { superuser: true })]
])
const Users = Authenticator.layer(Authenticator.make({
  password: ({ password, username }) =>
    Effect.succeed(Redacted.value(password) === `pw-${username}` ? users.get(username) : undefined)
}))

/** What holds the `slow` method until a test lets it go. */
export class Gate extends Context.Service<Gate, Queue.Queue<void>>()("effect-wire/test/topics/TopicsTest/Gate") {}

const Handlers = Methods.toLayer(Effect.gen(function*() {
  const gate = yield* Gate
  return {
    open: () => Effect.succeed("open"),
    secret: () => Effect.map(Identity.CurrentIdentity, (identity) => `secret of ${identity.username}`),
    reset: () => Effect.succeed(true),
    slow: () =>
      Effect.gen(function*() {
        yield* Queue.take(gate)
        return (yield* Identity.Caller).identity?.username ?? null
      })
  } as any
}))

/** What connects clients to a server in the tests: sockets in memory unless another carrier is provided. */
export interface Carrier {
  readonly layer: Layer.Layer<SocketServer.SocketServer, unknown>
  readonly connect: (server: SocketServer.SocketServer["Service"]) => Effect.Effect<Socket.Socket>
}
export const CurrentCarrier = Context.Reference<Carrier | undefined>(
  "effect-wire/test/topics/TopicsTest/CurrentCarrier",
  {
    defaultValue: () => undefined
  }
)

/** One process: a server with these topics on a backplane. */
export const serve = (backplane: Backplane.Backplane["Service"], options?: Topics.Options) =>
  Effect.gen(function*() {
    const carrier = yield* CurrentCarrier
    const gate = yield* Queue.unbounded<void>()
    const context = yield* JsonRpcServer.layerSocketServer(Methods).pipe(
      Layer.provide(Layer.mergeAll(Login.layer, Topics.layerHandlers({ methods: Methods }))),
      Layer.provide(Handlers as Layer.Layer<any, never, Gate>),
      Layer.provideMerge(Layer.mergeAll(Access.layer, Users, Topics.layer(topics, options))),
      Layer.provideMerge(
        carrier === undefined
          ? Layer.fresh(MemorySocket.layer)
          : Layer.fresh(carrier.layer as typeof MemorySocket.layer)
      ),
      Layer.provide(Layer.succeed(Backplane.Backplane, backplane)),
      Layer.provide(Layer.succeed(Gate, gate)),
      Layer.build,
      Effect.orDie
    )
    const memory = Context.getOption(context as Context.Context<any>, MemorySocket.MemoryServer).pipe(
      Option.getOrElse(() => undefined as never)
    )
    const connect = (options?: MemorySocket.ConnectOptions) =>
      carrier === undefined
        ? Effect.succeed(memory.connect(options))
        : carrier.connect(Context.get(context as Context.Context<any>, SocketServer.SocketServer))
    const service = Context.get(context as Context.Context<any>, Topics.Topics)
    return {
      topics: service,
      gate,
      memory,
      client: (options?: MemorySocket.ConnectOptions, clientOptions?: JsonRpcClient.Options) =>
        Effect.flatMap(connect(options), (socket) => JsonRpcClient.fromSocket(socket, clientOptions)),
      raw: (options?: MemorySocket.ConnectOptions) => Effect.flatMap(connect(options), raw)
    }
  })

/** A peer that writes and reads frames as text. */
const raw = Effect.fnUntraced(function*(socket: Socket.Socket) {
  const { pull } = yield* socket.reader
  const writer = yield* socket.writer
  const frames = yield* Queue.unbounded<any>()
  yield* pull.pipe(
    Effect.flatMap((batch) => Queue.offerAll(frames, batch.map((frame) => JSON.parse(frame as string)))),
    Effect.forever,
    Effect.catchCause(() => Queue.offer(frames, "closed")),
    Effect.forkScoped
  )
  let id = 0
  const send = (message: unknown) => Effect.orDie(writer.write(JSON.stringify(message)))
  /** Skips notifications until the answer comes. */
  const call = (method: string, params?: unknown) =>
    Effect.gen(function*() {
      const own = ++id
      yield* send({ jsonrpc: "2.0", id: own, method, ...(params === undefined ? {} : { params }) })
      const before: Array<any> = []
      while (true) {
        const frame = yield* Queue.take(frames)
        if (frame.id === own) return { result: frame.result, error: frame.error, before }
        before.push(frame)
      }
    })
  return {
    send,
    call,
    frames,
    next: Queue.take(frames),
    result: (method: string, params?: unknown) =>
      Effect.map(call(method, params), (answer) => answer.result ?? answer.error)
  }
})

const values = <A>(stream: Stream.Stream<A, unknown>, count: number) =>
  stream.pipe(Stream.take(count), Stream.runCollect, Effect.forkChild)

/** Waits until a topic has so many subscribers on a server. */
export const subscribed = (server: { readonly topics: Topics.Topics["Service"] }, topic: Topic.Any, count: number) =>
  server.topics.subscribers(topic).pipe(
    Effect.tap(Effect.yieldNow),
    Effect.repeat({ until: (connections) => connections.length === count })
  )

type Values<A> = Stream.Stream<TopicsClient.Event<A>, unknown, any>
const valuesOf = <A, E, R>(stream: Stream.Stream<TopicsClient.Event<A>, E, R>): Stream.Stream<A, E, R> =>
  (stream as Values<A>).pipe(
    Stream.filter((event) => event._tag === "Value"),
    Stream.map((event) => event.value)
  ) as Stream.Stream<A, E, R>

/** The promises of topics, over any backplane; `make(n)` gives n processes that share one. */
export const suite = <R>(
  name: string,
  make: (processes: number) => Effect.Effect<ReadonlyArray<Backplane.Backplane["Service"]>, never, Scope.Scope | R>,
  test: (name: string, effect: Effect.Effect<void, unknown, Scope.Scope | R>) => void
) => {
  test(
    `a value reaches the subscribers of every process, in one order (${name})`,
    Effect.gen(function*() {
      const servers = yield* Effect.forEach(yield* make(3), (backplane) => serve(backplane))
      const readers = yield* Effect.forEach(servers, (server) =>
        Effect.gen(function*() {
          const client = yield* server.client()
          return yield* values(valuesOf(TopicsClient.eventsOf(client, Clock)), 40)
        }))
      yield* Effect.forEach(servers, (server) => subscribed(server, Clock, 1))
      yield* Effect.forEach(
        [0, 1],
        (p) => Effect.forEach(Array.from({ length: 20 }), (_, i) => servers[p]!.topics.publish(Clock, p * 100 + i)),
        {
          concurrency: "unbounded"
        }
      )
      const [a, b, c] = yield* Effect.forEach(readers, Fiber.join)
      assert.deepStrictEqual(a, b)
      assert.deepStrictEqual(a, c)
      assert.deepStrictEqual(a!.filter((n) => n < 100), Array.from({ length: 20 }, (_, i) => i))
    })
  )

  test(
    `a state topic gives its current value first, and none missed or doubled after it (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const first = yield* serve(a!)
      yield* first.topics.publish(Weather, { celsius: 0 })
      // a process that starts later knows the value too
      const second = yield* serve(b!)
      const publisher = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 50 }),
          (_, i) => Effect.andThen(first.topics.publish(Weather, { celsius: i + 1 }), Effect.yieldNow)
        )
      )
      const peer = yield* second.raw()
      yield* peer.send({ jsonrpc: "2.0", id: "s", method: "subscribe", params: "weather" })
      const seen: Array<number> = []
      let answered = false
      while (!answered || seen.at(-1) !== 50) {
        const frame = yield* peer.next
        if (frame.id === "s") {
          answered = true
          assert.deepStrictEqual(frame.result, ["weather"])
          assert.strictEqual(seen.length, 1, "the current value comes before the answer")
        } else seen.push(frame.params.celsius)
      }
      assert.deepStrictEqual(seen, Array.from({ length: seen.length }, (_, i) => seen[0]! + i))
      yield* Fiber.join(publisher)
      assert.deepStrictEqual(yield* second.topics.last(Weather), { celsius: 50 })
    })
  )

  test(
    `a forbidden topic does not exist until its subscriber logs in, on every process (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const first = yield* serve(a!)
      const second = yield* serve(b!)
      const peer = yield* second.raw()
      assert.notInclude(yield* peer.result("get_topics"), "ops")
      assert.deepStrictEqual(yield* peer.result("subscribe", ["ops", "clock"]), ["clock"])
      assert.isTrue(yield* peer.result("login", ["bob", "pw-bob"]))
      assert.include(yield* peer.result("get_topics"), "ops")
      assert.deepStrictEqual(yield* peer.result("subscribe", "ops"), ["clock", "ops"])
      yield* first.topics.publish(Ops, "hello")
      assert.deepStrictEqual(yield* peer.next, { jsonrpc: "2.0", method: "ops", params: ["hello"] })
      assert.isTrue(yield* peer.result("logout"))
      assert.deepStrictEqual(yield* peer.result("get_subscriptions"), ["clock"])
      yield* first.topics.publish(Ops, "not for you")
      yield* first.topics.publish(Clock, 1)
      assert.deepStrictEqual(yield* peer.next, { jsonrpc: "2.0", method: "clock", params: [1] })
    })
  )

  test(
    `a local topic stays in its process (${name})`,
    Effect.gen(function*() {
      const [first, second] = yield* Effect.forEach(yield* make(2), (backplane) => serve(backplane))
      const peer = yield* second!.raw()
      yield* peer.result("subscribe", ["own", "clock"])
      yield* first!.topics.publish(Own, 1)
      yield* first!.topics.publish(Clock, 2)
      assert.deepStrictEqual(yield* peer.next, { jsonrpc: "2.0", method: "clock", params: [2] })
      assert.strictEqual(yield* first!.topics.last(Own), 1)
      assert.strictEqual(yield* second!.topics.last(Own), undefined)
    })
  )

  test(
    `what a subscriber wants is chosen by the server (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const first = yield* serve(a!)
      const second = yield* serve(b!)
      const peer = yield* second.raw()
      assert.deepStrictEqual(
        yield* peer.result("subscribe", { topic: "trades", parameters: { symbol: "B" } }),
        ["trades"]
      )
      yield* Effect.forEach(["A", "B", "C", "B"], (symbol, price) => first.topics.publish(Trades, { symbol, price }))
      assert.deepStrictEqual((yield* peer.next).params, { symbol: "B", price: 1 })
      assert.deepStrictEqual((yield* peer.next).params, { symbol: "B", price: 3 })
    })
  )
}
