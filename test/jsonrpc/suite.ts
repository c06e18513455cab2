/**
 * What a JSON-RPC client and server of ours do for each other, as one table of tests that runs over every carrier. The
 * layer gives a server and sockets that dial it. Nothing here waits for time but by `TestClock`.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Queue, Ref, Schema, Scope, Stream } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcError, JsonRpcPeer, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Progress, RpcConnection } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { TestClock } from "effect/testing"

export class Boom extends Schema.TaggedError<Boom>()(
  "Boom",
  { why: Schema.String, at: Schema.Int },
  JsonRpcError.wire({ code: -32010 })
) {}
export class Plain extends Schema.TaggedError<Plain>()("Plain", { x: Schema.Int }) {}
export class Other extends Schema.TaggedError<Other>()("Other", {}) {}

export class Methods extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("nothing"),
  Rpc.make("when", { payload: { at: Schema.DateTimeUtcFromString }, success: Schema.DateTimeUtcFromString }),
  Rpc.make("fail", { payload: { kind: Schema.String }, error: Schema.Union([Boom, Plain, Other]) }),
  Rpc.make("die"),
  /** Says when it starts and how it ends; waits for `release`. */
  Rpc.make("wait", { payload: { name: Schema.String }, success: Schema.String }),
  /** Reports three times, then waits like `wait`. */
  Rpc.make("work", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("report", { payload: { amounts: Schema.Array(Schema.Finite) }, success: Schema.String }),
  Rpc.make("note", { payload: { text: Schema.String } }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("countAndFail", { payload: { to: Schema.Int }, success: Schema.Int, error: Boom, stream: true }),
  Rpc.make("tick", { payload: { name: Schema.String }, success: Schema.Int, stream: true }),
  Rpc.make("askBack", { payload: { question: Schema.String }, success: Schema.String }),
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("me", { success: Schema.Int }),
  Rpc.make("app.users.getUsers", { payload: { from: Schema.Int, to: Schema.Int }, success: Schema.Array(Schema.Int) }),
  Rpc.make("app.version", { success: Schema.String })
) {}

/** What the server may call at its clients. */
export class Back extends RpcGroup.make(
  Rpc.make("answer", { payload: { question: Schema.String }, success: Schema.String, error: Boom }),
  Rpc.make("told", { payload: { text: Schema.String } })
) {}

export interface World {
  readonly events: Queue.Queue<string>
  readonly notes: Queue.Queue<string>
  readonly release: (name: string) => Effect.Effect<void>
  readonly handlers: Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Methods>>>
}

export const makeWorld: Effect.Effect<World> = Effect.gen(function*() {
  const events = yield* Queue.unbounded<string>()
  const notes = yield* Queue.unbounded<string>()
  const gates = yield* Ref.make<ReadonlyMap<string, Deferred.Deferred<string>>>(new Map())
  const gate = (name: string) =>
    Ref.modify(gates, (all) => {
      const found = all.get(name)
      if (found !== undefined) return [found, all]
      const made = Deferred.makeUnsafe<string>()
      return [made, new Map(all).set(name, made)]
    })
  const wait = (name: string) =>
    Queue.offer(events, `start ${name}`).pipe(
      Effect.andThen(Effect.flatMap(gate(name), Deferred.await)),
      Effect.onExit((exit) => Queue.offer(events, `${Exit.isSuccess(exit) ? "end" : "interrupt"} ${name}`))
    )
  const handlers = Methods.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    nothing: () => Effect.void,
    when: ({ at }) => Effect.succeed(at),
    fail: ({ kind }) =>
      Effect.fail(
        kind === "Boom" ? new Boom({ why: "because", at: 1 }) : kind === "Plain" ? new Plain({ x: 1 }) : new Other()
      ),
    die: () => Effect.die(new Error("secret")),
    wait: ({ name }) => wait(name),
    work: ({ name }) =>
      Effect.andThen(
        Effect.forEach([0.25, 0.5, 0.75], (amount) => Progress.report({ operation: name, amount })),
        wait(name)
      ),
    report: ({ amounts }) =>
      Effect.as(
        Effect.forEach(amounts, (amount) => Progress.report({ operation: `at ${amount}`, amount })),
        "reported"
      ),
    note: ({ text }) => Effect.asVoid(Queue.offer(notes, text)),
    count: ({ to }) => Stream.range(1, to),
    countAndFail: ({ to }) => Stream.concat(Stream.range(1, to), Stream.fail(new Boom({ why: "end", at: to }))),
    tick: ({ name }) => Stream.concat(Stream.range(1, 3), Stream.drain(Stream.fromEffect(wait(name)))),
    askBack: ({ question }) =>
      Effect.gen(function*() {
        const client = yield* JsonRpcClients.current
        const back = yield* JsonRpcClient.fromRemote(Back, client!)
        return yield* back.answer({ question })
      }).pipe(Effect.scoped, Effect.catch((error) => Effect.succeed(`${error._tag}`))),
    echo: ({ text }) => Effect.succeed(text),
    me: () => Effect.map(RpcConnection.current, (connection) => connection.id),
    "app.users.getUsers": ({ from, to }) => Effect.succeed(Array.from({ length: to - from + 1 }, (_, i) => from + i)),
    "app.version": () => Effect.succeed("1.0")
  })
  return { events, notes, handlers, release: (name) => Effect.flatMap(gate(name), Deferred.succeed(name)) }
})

/** Makes a client socket of its own for each client. */
export class Dial extends Context.Service<Dial, Effect.Effect<Socket.Socket>>()(
  "effect-wire/test/jsonrpc/suite/Dial"
) {}

type Carrier = Layer.Layer<SocketServer.SocketServer | Dial, unknown>

export interface Options {
  readonly wire?: Wire.Wire
  readonly server?: JsonRpcServer.Options
  readonly client?: JsonRpcClient.Options
}

/** A server with its clients' registry, and one client that may be called back. */
export const make = (carrier: Carrier, options: Options = {}) =>
  Effect.gen(function*() {
    const wire = options.wire ?? Wire.rockets
    const world = yield* makeWorld
    const clients = yield* JsonRpcClients.make
    const context = yield* Layer.build(Layer.fresh(carrier))
    const server = Context.get(context, SocketServer.SocketServer)
    const run = yield* JsonRpcServer.make(Methods, { wire, ...options.server }).pipe(
      Effect.provide(world.handlers),
      Effect.provideService(JsonRpcClients.JsonRpcClients, clients)
    )
    const serving = yield* Effect.forkScoped(server.run(run), { startImmediately: true })
    const told = yield* Queue.unbounded<string>()
    const dial = Context.get(context, Dial)
    const connect = JsonRpcPeer.make({
      serves: Back,
      calls: Methods,
      connection: { wire, ...options.client }
    }).pipe(
      Effect.provideServiceEffect(Socket.Socket, dial),
      Effect.provide(Back.toLayer({
        answer: ({ question }) =>
          question === "boom"
            ? Effect.fail(new Boom({ why: "asked", at: 0 }))
            : Effect.succeed(`${question}? yes`),
        told: ({ text }) => Effect.asVoid(Queue.offer(told, text))
      }))
    )
    return { ...world, clients, serving, dial, connect, told, wire }
  })

const event = (world: World) => Queue.take(world.events)

const reasonOf = (error: unknown) => error instanceof JsonRpcError.JsonRpcError ? error.reason : undefined

const remoteCode = (error: unknown): number | undefined => {
  const reason = reasonOf(error)
  return reason?._tag === "RemoteError" ? reason.code : undefined
}

const makeOn = make

/** The table over a carrier, and over another wire that can cancel and report. */
export const suite = (name: string, carrier: Carrier, wire: Wire.Wire = Wire.rockets): void => {
  const make = (carrier: Carrier, options: Options = {}) => makeOn(carrier, { wire, ...options })
  const test = (title: string, body: Effect.Effect<void, unknown, Scope.Scope>) =>
    it.effect(`${title} (${name})`, () => body.pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

  test(
    "typed calls take payloads and give results through the schemas of the contract",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { client } = yield* connect
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
      assert.isUndefined(yield* client.nothing())
      const at = yield* Schema.decodeEffect(Schema.DateTimeUtcFromString)("2026-01-02T03:04:05.000Z")
      assert.deepStrictEqual(yield* client.when({ at }), at)
    })
  )

  test(
    "typed errors come back as themselves, the undeclared as RemoteError with nothing inside",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { client, remote } = yield* connect
      assert.deepStrictEqual(yield* Effect.flip(client.fail({ kind: "Boom" })), new Boom({ why: "because", at: 1 }))
      assert.deepStrictEqual(yield* Effect.flip(client.fail({ kind: "Plain" })), new Plain({ x: 1 }))
      assert.deepStrictEqual(yield* Effect.flip(client.fail({ kind: "Other" })), new Other())
      const died = reasonOf(yield* Effect.flip(client.die()))
      assert.isTrue(died?._tag === "RemoteError" && died.code === -32603 && !JSON.stringify(died).includes("secret"))
      assert.strictEqual(remoteCode(yield* Effect.flip(remote.call("nope"))), -32601)
      assert.strictEqual(remoteCode(yield* Effect.flip(remote.call("add", ["x"]))), -32602)
      const untyped = reasonOf(yield* Effect.flip(remote.call("fail", ["Boom"])))
      assert.deepStrictEqual(
        untyped?._tag === "RemoteError" && [untyped.code, untyped.message, untyped.data],
        [-32010, "Boom", { _tag: "Boom", why: "because", at: 1 }]
      )
      const caught = yield* remote.call("nope").pipe(
        Effect.catchReason("JsonRpcError", "RemoteError", (error) => Effect.succeed(error.message))
      )
      assert.strictEqual(caught, "Method not found")
    })
  )

  test(
    "a result that does not fit the contract is a ProtocolError",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { remote } = yield* connect
      const wrong = yield* JsonRpcClient.fromRemote(
        RpcGroup.make(Rpc.make("app.version", { success: Schema.Int })),
        remote
      )
      assert.strictEqual(reasonOf(yield* Effect.flip(wrong["app.version"]()))?._tag, "ProtocolError")
    })
  )

  test(
    "payloads travel by position where that is asked for",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { remote } = yield* connect
      const client = yield* JsonRpcClient.fromRemote(Methods, remote, { positional: true })
      assert.strictEqual(yield* client.add({ a: 5, b: 2 }), 7)
      assert.deepStrictEqual(yield* client["app.users.getUsers"]({ from: 1, to: 3 }), [1, 2, 3])
    })
  )

  test(
    "a batch goes out in one frame, comes back in one, and its results are typed by position",
    Effect.gen(function*() {
      const { connect, notes } = yield* make(carrier)
      const { client, remote } = yield* connect
      yield* remote.connect
      const frames = yield* Queue.unbounded<string | Uint8Array>()
      yield* Effect.forkScoped(Stream.runForEach(remote.frames, (frame) => Queue.offer(frames, frame)), {
        startImmediately: true
      })
      const [sum, nothing, version] = yield* JsonRpcClient.batch([
        client.add({ a: 1, b: 2 }),
        remote.notify("note", ["in a batch"]),
        client["app.version"]()
      ])
      const typed: readonly [number, void, string] = [sum, nothing, version]
      assert.deepStrictEqual(typed, [3, undefined, "1.0"])
      assert.strictEqual(yield* Queue.take(notes), "in a batch")
      const frame = JSON.parse(yield* Effect.map(Queue.take(frames), asText))
      assert.deepStrictEqual(frame.map((answer: any) => answer.result), [3, "1.0"])
      const mixed = yield* JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.fail({ kind: "Plain" })], {
        mode: "result"
      })
      assert.strictEqual(mixed[0]._tag === "Success" && mixed[0].success, 3)
      assert.deepStrictEqual(mixed[1]._tag === "Failure" && mixed[1].failure, new Plain({ x: 1 }))
      assert.deepStrictEqual(
        yield* Effect.flip(JsonRpcClient.batch([client.add({ a: 1, b: 2 }), client.fail({ kind: "Plain" })])),
        new Plain({ x: 1 })
      )
      assert.deepStrictEqual(yield* JsonRpcClient.batch([]), [])
    })
  )

  test(
    "the first failure of a batch cancels its other calls, and so does an interruption",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client } = yield* far.connect
      const failing = yield* Effect.forkChild(Effect.flip(
        JsonRpcClient.batch([client.wait({ name: "a" }), Effect.delay(Effect.fail("enough"), "1 second")])
      ))
      assert.strictEqual(yield* event(far), "start a")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(failing), "enough")
      assert.strictEqual(yield* event(far), "interrupt a")
      const fiber = yield* Effect.forkChild(
        JsonRpcClient.batch([client.wait({ name: "b" }), client.wait({ name: "c" })])
      )
      assert.deepStrictEqual([yield* event(far), yield* event(far)], ["start b", "start c"])
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([yield* event(far), yield* event(far)].sort(), ["interrupt b", "interrupt c"])
    })
  )

  test(
    "notifications are delivered and not answered, typed and untyped",
    Effect.gen(function*() {
      const { connect, notes } = yield* make(carrier)
      const { client, remote } = yield* connect
      yield* client.note({ text: "typed" }, { discard: true })
      yield* remote.notify("note", { text: "untyped" })
      yield* remote.notify("nope")
      yield* remote.notify("add", ["x"])
      assert.deepStrictEqual([yield* Queue.take(notes), yield* Queue.take(notes)], ["typed", "untyped"])
      assert.strictEqual(remote.port!.caller.inFlight, 0)
      assert.strictEqual(yield* client.add({ a: 1, b: 1 }), 2)
    })
  )

  test(
    "an interrupted call interrupts its handler, once; the connection goes on",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client, remote } = yield* far.connect
      const fiber = yield* Effect.forkChild(client.wait({ name: "a" }))
      assert.strictEqual(yield* event(far), "start a")
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* event(far), "interrupt a")
      const untyped = yield* Effect.forkChild(remote.call("wait", ["b"]))
      assert.strictEqual(yield* event(far), "start b")
      yield* Fiber.interrupt(untyped)
      assert.strictEqual(yield* event(far), "interrupt b")
      assert.strictEqual(yield* client.add({ a: 1, b: 1 }), 2)
      assert.deepStrictEqual(yield* Queue.clear(far.events), [])
      assert.strictEqual(remote.port!.caller.inFlight, 0)
    })
  )

  test(
    "a timeout is an interruption",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client } = yield* far.connect
      const fiber = yield* Effect.forkChild(Effect.timeoutOption(client.wait({ name: "a" }), "5 seconds"))
      assert.strictEqual(yield* event(far), "start a")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
      assert.strictEqual(yield* event(far), "interrupt a")
    })
  )

  test(
    "progress is heard by tap, in order and before the result",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { client } = yield* connect
      const heard: Array<string> = []
      const result = yield* client.report({ amounts: [0.25, 0.5, 1] }).pipe(
        Progress.tap((report) => Effect.sync(() => heard.push(`${report.operation} ${report.amount}`)))
      )
      assert.strictEqual(result, "reported")
      assert.deepStrictEqual(heard, ["at 0.25 0.25", "at 0.5 0.5", "at 1 1"])
      // nobody listens: the same handler, and nothing else happens
      assert.strictEqual(yield* client.report({ amounts: [0.5] }), "reported")
    })
  )

  test(
    "a failing tap cancels the call and is its failure",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client } = yield* far.connect
      const error = yield* Effect.flip(client.work({ name: "a" }).pipe(Progress.tap(() => Effect.fail("enough"))))
      assert.strictEqual(error, "enough")
      assert.deepStrictEqual([yield* event(far), yield* event(far)], ["start a", "interrupt a"])
    })
  )

  test(
    "a call with its progress is a stream, which ends in the result and whose end cancels the call",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client } = yield* far.connect
      const all = yield* Stream.runCollect(Progress.stream(client.report({ amounts: [0.5, 1] })))
      assert.deepStrictEqual(all.map((item) => item._tag === "Progress" ? item.report.amount : item.value), [
        0.5,
        1,
        "reported"
      ])
      const some = yield* Stream.runCollect(Stream.take(Progress.stream(client.work({ name: "a" })), 2))
      assert.deepStrictEqual(some.map((item) => item._tag), ["Progress", "Progress"])
      assert.deepStrictEqual([yield* event(far), yield* event(far)], ["start a", "interrupt a"])
      const failure = yield* Effect.flip(Stream.runDrain(Progress.stream(client.fail({ kind: "Plain" }))))
      assert.deepStrictEqual(failure, new Plain({ x: 1 }))
    })
  )

  test(
    "the progress of a batch is the mean of its calls",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { client } = yield* connect
      const amounts: Array<number> = []
      yield* JsonRpcClient.batch([client.report({ amounts: [0.5, 1] }), client.report({ amounts: [0.5, 1] })]).pipe(
        Progress.tap((report) => Effect.sync(() => amounts.push(report.amount)))
      )
      assert.deepStrictEqual(amounts, [0.25, 0.5, 0.75, 1])
    })
  )

  test(
    "a stream method gives its elements in order, its failure after them, and is interrupted when nobody reads on",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client, remote } = yield* far.connect
      assert.deepStrictEqual(yield* Stream.runCollect(client.count({ to: 5 })), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(yield* remote.call("count", [3]), [1, 2, 3])
      const seen: Array<number> = []
      const failure = yield* client.countAndFail({ to: 3 }).pipe(
        Stream.runForEach((n) => Effect.sync(() => seen.push(n))),
        Effect.flip
      )
      assert.deepStrictEqual(failure, new Boom({ why: "end", at: 3 }))
      assert.deepStrictEqual(seen, [1, 2, 3])
      // the elements are there before the end is
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(client.tick({ name: "t" }), 3)), [1, 2, 3])
      assert.deepStrictEqual([yield* event(far), yield* event(far)], ["start t", "interrupt t"])
      assert.strictEqual(remote.port!.caller.inFlight, 0)
    })
  )

  test(
    "the server calls its client back on the same connection, typed, with ids of its own",
    Effect.gen(function*() {
      const { connect } = yield* make(carrier)
      const { client } = yield* connect
      const answers = yield* Effect.forEach(
        ["a", "b", "boom"],
        (question) => client.askBack({ question }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers, ["a? yes", "b? yes", "Boom"])
    })
  )

  test(
    "a server lists its clients, notifies one, some or all, calls one, and forgets those that are gone",
    Effect.gen(function*() {
      const { clients, connect, told } = yield* make(carrier)
      const first = yield* connect
      const scope = yield* Scope.make()
      const second = yield* Scope.provide(connect, scope)
      const [a, b] = [yield* first.client.me(), yield* second.client.me()]
      const all = yield* clients.all
      assert.deepStrictEqual(all.map((one) => one.connection.id), [a, b])
      assert.isNumber(all[0]!.connection.connectedAt)
      assert.strictEqual(yield* clients.broadcast("told", { text: "all" }), 2)
      assert.strictEqual(yield* clients.broadcast("told", ["some"], (one) => one.connection.id === b), 1)
      const one = yield* clients.get(a)
      yield* one!.notify("told", ["one"])
      const heard = [yield* Queue.take(told), yield* Queue.take(told), yield* Queue.take(told), yield* Queue.take(told)]
      assert.deepStrictEqual(heard.sort(), ["all", "all", "one", "some"])
      assert.strictEqual(yield* one!.call("answer", ["who"]), "who? yes")
      const Seen = Context.Reference("effect-wire/test/jsonrpc/suite/Seen", { defaultValue: () => 0 })
      one!.connection.set(Seen, 7)
      assert.deepStrictEqual([one!.connection.get(Seen), (yield* clients.get(b))!.connection.get(Seen)], [7, 0])
      yield* Scope.close(scope, Exit.void)
      yield* eventually(Effect.map(clients.all, (left) => left.length === 1))
      assert.isUndefined(yield* clients.get(b))
    })
  )

  test(
    "notifications of the server and raw frames are streams",
    Effect.gen(function*() {
      const { clients, connect } = yield* make(carrier)
      const { client, remote } = yield* connect
      const notifications = yield* Effect.forkChild(Stream.runCollect(Stream.take(remote.notifications, 2)), {
        startImmediately: true
      })
      const frames = yield* Effect.forkChild(Stream.runCollect(Stream.take(remote.frames, 3)), {
        startImmediately: true
      })
      yield* client.report({ amounts: [0.5] }).pipe(Progress.tap(() => Effect.void))
      yield* clients.broadcast("told", ["x"])
      yield* clients.broadcast("other")
      const heard = yield* Fiber.join(notifications)
      assert.deepStrictEqual(heard.map(({ method, params }) => [method, params]), [["told", ["x"]], [
        "other",
        undefined
      ]])
      const texts = (yield* Fiber.join(frames)).map((frame) => JSON.parse(asText(frame)))
      const words = texts.map((frame) => frame.method ?? frame.result)
      assert.deepStrictEqual(words, [wire.progress?.method, "reported", "told"])
    })
  )

  test(
    "a disconnected client fails what is under way, which may have been executed, and what comes later, which was not",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client, remote } = yield* far.connect
      const pending = yield* Effect.forkChild(Effect.flip(client.wait({ name: "a" })))
      assert.strictEqual(yield* event(far), "start a")
      assert.isTrue(yield* remote.connected)
      yield* remote.disconnect
      assert.isFalse(yield* remote.connected)
      const early = reasonOf(yield* Fiber.join(pending))
      assert.isTrue(early?._tag === "ConnectionError" && early.maybeExecuted)
      assert.strictEqual(yield* event(far), "interrupt a")
      const late = reasonOf(yield* Effect.flip(client.add({ a: 1, b: 1 })))
      assert.isTrue(late?._tag === "ConnectionError" && !late.maybeExecuted)
      const notified = reasonOf(yield* Effect.flip(remote.notify("note", ["x"])))
      assert.isTrue(notified?._tag === "ConnectionError" && !notified.maybeExecuted)
      yield* eventually(Effect.map(far.clients.all, (left) => left.length === 0))
    })
  )

  test(
    "a server that stops lets requests finish, refuses new ones, and then closes",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client, remote } = yield* far.connect
      const pending = yield* Effect.forkChild(client.wait({ name: "a" }))
      assert.strictEqual(yield* event(far), "start a")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(far.serving), { startImmediately: true })
      yield* eventually(
        Effect.map(
          Effect.exit(client.add({ a: 1, b: 1 })),
          (exit) => Exit.isFailure(exit) && remoteCode(Cause.squash(exit.cause)) === -32000
        )
      )
      yield* far.release("a")
      assert.strictEqual(yield* Fiber.join(pending), "a")
      yield* Fiber.join(stopping)
      yield* eventually(Effect.map(remote.connected, (connected) => !connected))
    })
  )

  test(
    "a server that stops interrupts what does not finish in time",
    Effect.gen(function*() {
      const far = yield* make(carrier)
      const { client } = yield* far.connect
      const pending = yield* Effect.forkChild(Effect.flip(client.wait({ name: "a" })))
      assert.strictEqual(yield* event(far), "start a")
      const stopping = yield* Effect.forkChild(Fiber.interrupt(far.serving), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      yield* Fiber.join(stopping)
      assert.strictEqual(yield* event(far), "interrupt a")
      assert.isDefined(reasonOf(yield* Fiber.join(pending)))
    })
  )

  test(
    "untyped calls go through a namespace, typed clients nest",
    Effect.gen(function*() {
      const { connect, notes } = yield* make(carrier)
      const { client, remote } = yield* connect
      const untyped = JsonRpcClient.namespace(remote) as any as Untyped
      assert.deepStrictEqual(yield* untyped.app.users.getUsers(1, 2), [1, 2])
      assert.deepStrictEqual(yield* untyped.app.users.getUsers({ from: 1, to: 2 }), [1, 2])
      assert.strictEqual(yield* untyped.app.version(), "1.0")
      assert.strictEqual(yield* JsonRpcClient.namespace(remote).add!(2, 3), 5)
      const sending = JsonRpcClient.namespace(remote, { notification: true })
      yield* sending.note!("quietly")
      assert.strictEqual(yield* Queue.take(notes), "quietly")
      const nested = JsonRpcClient.nest(client, ".")
      assert.deepStrictEqual(yield* nested.app.users.getUsers({ from: 2, to: 3 }), [2, 3])
      assert.strictEqual(yield* nested.app.version(), "1.0")
      assert.strictEqual(yield* nested.add({ a: 1, b: 2 }), 3)
    })
  )

  test(
    "ten thousand calls at once, more than every buffer takes, are all answered, also those that call back",
    Effect.gen(function*() {
      const limits = { maxCalls: Infinity, maxQueued: 64 * 1024 * 1024 }
      const { connect } = yield* make(carrier, { client: limits, server: limits })
      const { client, remote } = yield* connect
      const text = "x".repeat(1000)
      const answers = yield* Effect.forEach(
        Array.from({ length: 10_000 }, (_, n) => n),
        (n) => remote.call("echo", [`${n}${text}`]),
        { concurrency: "unbounded" }
      )
      for (const [n, answer] of answers.entries()) assert.strictEqual(answer, `${n}${text}`)
      const asked = yield* Effect.forEach(
        Array.from({ length: 1500 }, (_, n) => n),
        (n) => client.askBack({ question: `${n}` }),
        { concurrency: "unbounded" }
      )
      for (const [n, answer] of asked.entries()) assert.strictEqual(answer, `${n}? yes`)
    })
  )

  test(
    "a hundred clients are served side by side, each with its own connection",
    Effect.gen(function*() {
      const { clients, connect } = yield* make(carrier)
      const ids = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, i) => i),
        (i) =>
          Effect.scoped(Effect.gen(function*() {
            const { client } = yield* connect
            assert.strictEqual(yield* client.add({ a: i, b: 1 }), i + 1)
            return yield* client.me()
          })),
        { concurrency: 10 }
      )
      assert.strictEqual(new Set(ids).size, 100)
      yield* eventually(Effect.map(clients.all, (left) => left.length === 0))
    })
  )
}

type Call = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, JsonRpcError.JsonRpcError>
interface Untyped {
  readonly app: { readonly version: Call; readonly users: { readonly getUsers: Call } }
}

const decoder = new TextDecoder()
const asText = (frame: string | Uint8Array): string => typeof frame === "string" ? frame : decoder.decode(frame)

/** Waits by turns of the event loop, not by the test clock. */
export const eventually = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (let i = 0; i < 2000; i++) {
      if (yield* condition) return
      yield* Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), 1)
        return Effect.sync(() => clearTimeout(timer))
      })
    }
    assert.fail("it did not come true")
  })
