import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, Option, Schema, Stream } from "effect"
import { JugglerClient, JugglerClients, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { Budget, MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { settle } from "./wire.ts"

const { v05, v06, v07 } = JugglerGeneration

class Full extends Schema.TaggedError<Full>()("Full", { room: Schema.Int }) {}

class Requests extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("book", {
    payload: { at: Schema.DateTimeUtcFromString },
    success: Schema.DateTimeUtcFromString,
    error: Full
  }),
  Rpc.make("never"),
  Rpc.make("three", { success: Schema.Int, stream: true })
) {}

const Handlers = Requests.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  book: ({ at }) => at.epochMilliseconds === 0 ? Effect.fail(new Full({ room: 7 })) : Effect.succeed(at),
  never: () => Effect.never,
  three: () => Stream.make(1, 2, 3)
})

const House = Schema.Struct({
  celsius: Schema.Finite,
  rooms: Schema.Array(Schema.Struct({ name: Schema.String })),
  since: Schema.DateTimeUtcFromString
})

const house: typeof House.Type = {
  celsius: 20,
  rooms: [{ name: "kitchen" }, { name: "hall" }],
  since: Schema.decodeSync(Schema.DateTimeUtcFromString)("2020-01-01T00:00:00.000Z")
}

const served = (options: JugglerServer.Options, socket?: MemorySocket.Options) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer(socket)
    const run = yield* Effect.provide(JugglerServer.make(Requests, options), Handlers)
    yield* Effect.forkScoped(memory.server.run(run))
    return memory
  })

const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function*() {
    const seen: Array<A> = []
    yield* Effect.forkScoped(Stream.runForEach(stream, (value) => Effect.sync(() => void seen.push(value))))
    yield* settle
    return seen
  })

describe("JugglerClient", () => {
  for (const generation of [v05, v06, v07]) {
    describe(`generation ${generation.name}`, () => {
      it.effect("follows the state, decoded, with structure shared between values", () =>
        Effect.gen(function*() {
          const state = yield* JugglerState.make({ schema: House, initial: house })
          const memory = yield* served({ generation, state, autoflush: 0 })
          const client = yield* JugglerClient.fromSocket(memory.connect(), { generation, state: House })
          const seen = yield* collect(client.state.changes)
          yield* state.update((draft) => {
            draft.rooms.push({ name: "attic" })
          })
          yield* settle
          yield* state.set({ ...(yield* state.get), celsius: 25 })
          yield* settle
          assert.deepStrictEqual(seen, [
            house,
            { ...house, rooms: [...house.rooms, { name: "attic" }] },
            { ...house, celsius: 25, rooms: [...house.rooms, { name: "attic" }] }
          ])
          assert.strictEqual(seen[1]!.rooms[0], seen[0]!.rooms[0])
          assert.strictEqual(seen[2]!.rooms, seen[1]!.rooms)
          assert.strictEqual(yield* client.state.get, seen[2])
        }))

      it.effect("calls procedures with payloads, results and errors typed", () =>
        Effect.gen(function*() {
          const memory = yield* served({ generation })
          const client = yield* JugglerClient.fromSocket(memory.connect(), { generation, requests: Requests })
          yield* client.connect
          assert.strictEqual(yield* client.requests.add({ a: 1, b: 2 }), 3)
          assert.deepStrictEqual(yield* client.requests.book({ at: house.since }), house.since)
          assert.deepStrictEqual(yield* Stream.runCollect(client.requests.three()), [1, 2, 3])
          const at = Schema.decodeSync(Schema.DateTimeUtcFromString)("1970-01-01T00:00:00.000Z")
          const error = yield* Effect.flip(client.requests.book({ at }))
          if (generation === v05) {
            assert.strictEqual(error._tag === "JugglerError" && error.reason._tag, "RemoteError")
          } else assert.deepStrictEqual(error, new Full({ room: 7 }))
          const unknown = yield* Effect.flip(client.call("toString", generation === v05 ? [] : null))
          assert.strictEqual(unknown.reason._tag, "RemoteError")
          if (generation !== v05) yield* client.ping
        }))

      it.effect("fails at once what is under way when the connection goes, and everything while there is none", () =>
        Effect.gen(function*() {
          const memory = yield* served({ generation })
          const client = yield* JugglerClient.fromSocket(memory.connect(), {
            generation,
            requests: Requests,
            reconnect: false
          })
          yield* client.connect
          const never = yield* Effect.forkChild(Effect.flip(client.requests.never()))
          yield* settle
          yield* client.redial
          const error = yield* Fiber.join(never)
          assert.deepInclude((error as { reason: object }).reason, { _tag: "ConnectionError" })
          yield* settle
          const later = yield* Effect.flip(client.requests.add({ a: 1, b: 2 }))
          assert.strictEqual(later.reason._tag, "ConnectionError")
          assert.strictEqual((yield* Effect.flip(client.connect)).reason._tag, "ConnectionError")
        }))

      it.effect("dials again and goes from the last value to the first of the new connection", () =>
        Effect.gen(function*() {
          const state = yield* JugglerState.makeJson({ a: { x: 1 }, b: { y: [1] } })
          const memory = yield* served({ generation, state, autoflush: 0 })
          const client = yield* JugglerClient.fromSocket(memory.connect(), {
            generation,
            state: Schema.Struct({ a: Schema.Json, b: Schema.Json })
          })
          const statuses = yield* collect(client.status)
          const seen = yield* collect(client.state.changes)
          yield* client.redial
          yield* settle
          yield* state.put(["a", "x"], 2)
          yield* settle
          yield* TestClock.adjust("200 millis")
          yield* settle
          yield* state.put(["a", "x"], 3)
          yield* settle
          assert.deepStrictEqual(seen, [1, 2, 3].map((x) => ({ a: { x }, b: { y: [1] } })))
          assert.strictEqual(seen[1]!.b, seen[0]!.b)
          assert.includeMembers(statuses.map(({ _tag }) => _tag), ["Dialling", "Open", "Lost"])
          yield* client.redial
          yield* TestClock.adjust("10 seconds")
          yield* settle
          assert.strictEqual(seen.length, 3)
        }))
    })
  }

  it.effect("starts from null where it has no schema", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson(null)
      const memory = yield* served({ generation: v06, state, autoflush: 0 })
      const client = yield* JugglerClient.fromSocket(memory.connect(), { generation: v06 })
      const seen = yield* collect(client.state.changes)
      yield* state.set(5)
      yield* settle
      assert.deepStrictEqual(seen, [null, 5])
    }))

  it.effect("shows its own data, which survives the connection (0.5)", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const memory = yield* served({
        generation: v05,
        onConnection: ({ remote }) =>
          Stream.runForEach(remote.changes, (value) => Effect.sync(() => void seen.push(value)))
      })
      const local = yield* JugglerState.makeJson({ cursor: 1 })
      const client = yield* JugglerClient.fromSocket(memory.connect(), { generation: v05, local, autoflush: 0 })
      yield* client.connect
      yield* settle
      yield* client.local.put(["cursor"], 2)
      yield* client.flush
      yield* settle
      yield* client.redial
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(seen.filter((value) => value !== null), [{ cursor: 1 }, { cursor: 2 }, { cursor: 2 }])
    }))

  it.effect("takes messages and is called (0.5)", () =>
    Effect.gen(function*() {
      const result = yield* Deferred.make<unknown>()
      const memory = yield* served({
        generation: v05,
        onConnection: (connection) =>
          Effect.gen(function*() {
            const message = yield* connection.receive
            yield* connection.send([message, message])
            const sum = yield* connection.call("add", [3, 4])
            const other = yield* connection.call("other", [1])
            const error = yield* Effect.flip(connection.call("bad", []))
            yield* Deferred.succeed(result, [sum, other, error.reason])
          })
      })
      const serves = yield* Effect.provide(JugglerClient.serving(Requests), Handlers)
      const client = yield* JugglerClient.fromSocket(memory.connect(), {
        generation: v05,
        serves,
        defaultAction: (name, data) => name === "bad" ? Effect.fail("no") : Effect.succeed([name, data])
      })
      yield* client.connect
      yield* client.send("hello")
      const head = yield* Stream.runHead(client.messages)
      assert.deepStrictEqual(Option.getOrUndefined(head), ["hello", "hello"])
      const [sum, other, reason] = (yield* Deferred.await(result)) as Array<any>
      assert.strictEqual(sum, 7)
      assert.deepStrictEqual(other, ["other", [1]])
      assert.deepInclude(reason, { _tag: "RemoteError", data: "no" })
    }))

  it.effect("gives the notifications of the contract, decoded", () =>
    Effect.gen(function*() {
      const clients = yield* JugglerClients.make
      const memory = yield* Effect.provideService(served({ generation: v07 }), JugglerClients.JugglerClients, clients)
      const client = yield* JugglerClient.fromSocket(memory.connect(), {
        notifications: { tick: Schema.Int, at: Schema.DateTimeUtcFromString }
      })
      yield* client.connect
      const seen = yield* collect(client.notifications)
      yield* clients.notify("tick", 1)
      yield* clients.notify("tick", "wrong")
      yield* clients.notify("unknown", 1)
      yield* clients.notify("at", "2020-01-01T00:00:00.000Z")
      yield* settle
      assert.deepStrictEqual(seen, [{ name: "tick", data: 1 }, { name: "at", data: house.since }])
    }))

  it.effect("refuses what the generation does not have", () =>
    Effect.gen(function*() {
      const memory = yield* served({ generation: v06 })
      const client = yield* JugglerClient.fromSocket(memory.connect(), { generation: v06 })
      yield* client.connect
      assert.strictEqual((yield* Effect.flip(client.send(1))).reason._tag, "ProtocolError")
      const symmetric = yield* JugglerClient.fromSocket(memory.connect(), { generation: v05 })
      assert.strictEqual((yield* Effect.flip(symmetric.ping)).reason._tag, "ProtocolError")
    }))

  it.effect("gives up a connection whose server is silent (0.7)", () =>
    Effect.gen(function*() {
      const memory = yield* MemorySocket.makeServer()
      yield* Effect.forkScoped(
        memory.server.run((socket) => Effect.scoped(Effect.andThen(socket.reader, Effect.never)))
      )
      const client = yield* JugglerClient.fromSocket(memory.connect(), { reconnect: false })
      yield* client.connect
      const statuses = yield* collect(client.status)
      yield* TestClock.adjust("5 seconds")
      yield* settle
      yield* TestClock.adjust("5 seconds")
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.strictEqual(statuses.at(-1)?._tag, "Ended")
    }))

  it.effect("fails its state, and nothing else, when the server shows what does not fit the schema", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ celsius: "warm" })
      const memory = yield* served({ generation: v07, state })
      const client = yield* JugglerClient.fromSocket(memory.connect(), { state: House, requests: Requests })
      yield* client.connect
      assert.strictEqual((yield* Effect.flip(client.state.get))._tag, "SchemaError")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.state.changes)))._tag, "SchemaError")
      assert.strictEqual(yield* client.requests.add({ a: 1, b: 1 }), 2)
    }))

  it.effect("works with latency, over a segmented message of 5 MB", () =>
    Effect.gen(function*() {
      const text = "0123456789".repeat(500_000)
      const state = yield* JugglerState.makeJson({ text })
      const memory = yield* served({
        generation: v07,
        state,
        autoflush: 0,
        defaultAction: (_, data) => Effect.succeed(data)
      })
      const client = yield* JugglerClient.fromSocket(memory.connect())
      yield* client.connect
      const answer = yield* client.call("echo", { text })
      assert.strictEqual((answer as { text: string }).text.length, 5_000_000)
      assert.strictEqual(((yield* client.state.json) as { text: string }).text.length, 5_000_000)
    }).pipe(Effect.provide(Budget.layer(268_435_456, { maxConnectionBytes: 33_554_432 }))))

  it.effect("ten thousand requests at once, more than every buffer takes, are all answered", () =>
    Effect.gen(function*() {
      const Echo = RpcGroup.make(Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }))
      const memory = yield* MemorySocket.makeServer()
      const run = yield* JugglerServer.make(Echo, { generation: v07 }).pipe(
        Effect.provide(Echo.toLayer({ echo: ({ text }) => Effect.succeed(text) }))
      )
      yield* Effect.forkScoped(memory.server.run(run))
      const client = yield* JugglerClient.fromSocket(memory.connect(), { generation: v07, maxCalls: 10_000 })
      yield* client.connect
      const text = "x".repeat(1000)
      const answers = yield* Effect.forEach(
        Array.from({ length: 10_000 }),
        () => client.call("echo", { text }),
        { concurrency: "unbounded" }
      )
      assert.isTrue(answers.every((answer) => answer === text))
    }))

  for (const [mine, theirs] of [[v07, v06], [v06, v07], [v07, v05], [v05, v07]] as const) {
    it.effect(`says that the server speaks another generation: ${mine.name} at ${theirs.name}`, () =>
      Effect.gen(function*() {
        const lines: Array<string> = []
        const logger = Logger.make(({ message }) => void lines.push(String(message)))
        const state = yield* JugglerState.makeJson({ a: 1 })
        const memory = yield* served({ generation: theirs, state })
        const client = yield* Effect.provide(
          JugglerClient.fromSocket(memory.connect(), { generation: mine, reconnect: false, requests: Requests }),
          Logger.layer([logger])
        )
        yield* settle
        const errors = [yield* Effect.flip(client.connect), yield* Effect.flip(client.requests.add({ a: 1, b: 2 }))]
        for (const error of errors) assert.include(error.message, `generation ${theirs.name}`)
        assert.include(lines.join("\n"), `generation ${theirs.name}`)
      }))
  }

  it.effect("requests that are made while there is no connection wait for it, with their guesses, within a bound", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ list: [] as Array<number> })
      const Lists = RpcGroup.make(Rpc.make("push", { payload: { n: Schema.Int } }))
      const memory = yield* MemorySocket.makeServer()
      const run = yield* JugglerServer.make(Lists, { generation: v07, state, autoflush: 0 }).pipe(
        Effect.provide(Lists.toLayer({ push: ({ n }) => Effect.orDie(state.put(["list", "-"], n)) }))
      )
      yield* Effect.forkScoped(memory.server.run(run))
      const client = yield* JugglerClient.fromSocket(memory.connect(), {
        requests: Lists,
        whileDisconnected: "wait",
        maxCalls: 3
      })
      yield* client.connect
      yield* settle
      yield* client.redial
      yield* settle
      const push = (n: number) => client.requests.push({ n }).pipe(client.predict((draft) => void draft.list.push(n)))
      for (const n of [1, 2, 3]) yield* Effect.forkChild(push(n))
      yield* settle
      const refused = yield* Effect.flip(push(4))
      assert.deepInclude(refused.reason, { kind: "Full", uncertain: false })
      assert.deepStrictEqual(yield* client.state.json, { list: [1, 2, 3] })
      assert.deepStrictEqual(yield* state.json, { list: [] })
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* state.json, { list: [1, 2, 3] })
      assert.deepStrictEqual(yield* client.state.json, { list: [1, 2, 3] })
    }))
})
