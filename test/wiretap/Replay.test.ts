import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Ref, type Scope, Stream } from "effect"
import { JsonRpcClient, JsonRpcPeer, Wire } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Recording, Replay, Wiretap } from "effect-wire/wiretap"
import { Socket, SocketServer } from "effect/socket"
import { TestClock } from "effect/testing"
import { Customer, plants, Shop, shop } from "./shop.ts"

/** A server in memory with one version of the shop. */
const serve = (version: Parameters<typeof shop>[0]) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    yield* Layer.build(shop(version).pipe(Layer.provide(Layer.succeed(SocketServer.SocketServer)(memory.server))))
    return memory
  })

const Answers = Customer.toLayer({
  sure: ({ question }) => Effect.succeed(question === "Sure?"),
  news: () => Effect.void
})

/** What one customer does in some rounds of half a minute. */
const customer = (name: string, rounds: number, socket: Socket.Socket) =>
  Effect.gen(function*() {
    const { client } = yield* JsonRpcPeer.make({
      serves: Customer,
      calls: Shop,
      connection: { wire: Wire.rockets }
    }).pipe(Effect.provide(Answers))
    for (let i = 0; i < rounds; i++) {
      const receipt = yield* Effect.option(client.order({ article: i % 3 > 0 ? "tea" : name, count: i % 4 }))
      if (Option.isSome(receipt)) yield* client.receipt({ id: receipt.value.id })
      yield* Effect.all([client.price({ article: "tea" }), client.stock()], { concurrency: "unbounded" })
      yield* Effect.ignore(client.price({ article: "none" }))
      yield* Stream.runDrain(client.offers({ count: i % 10 === 3 ? 200 : i % 5 }))
      if (i % 10 === 0) yield* client.bake()
      if (i % 10 === 5) yield* Effect.timeoutOption(client.bake(), "25 seconds")
      if (i % 20 === 7) yield* client.close()
      yield* Effect.sleep("30 seconds")
    }
  }).pipe(Effect.provideService(Socket.Socket, socket), Effect.scoped)

const customers = (rounds: number, dial: () => Socket.Socket) =>
  Effect.all([customer("anna", rounds, dial()), customer("bert", rounds, dial())], { concurrency: 2, discard: true })

/** Two customers. */
const record = Effect.fnUntraced(function*(rounds: number) {
  const lines = yield* Ref.make("")
  const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
  const memory = yield* serve(undefined)
  const both = yield* Effect.forkChild(customers(rounds, () => tap.socket(memory.connect())))
  yield* TestClock.adjust("90 minutes")
  yield* Fiber.join(both)
  yield* tap.flush
  return yield* Effect.flatMap(Ref.get(lines), Recording.parse)
})

const hour = 120

/** What ends by itself: a replay waits in virtual time. */
const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.scoped(Effect.provide(effect, TestClock.layer()))

const played = (recording: Recording.Recording, version: Parameters<typeof shop>[0], options?: Replay.Options) =>
  Effect.gen(function*() {
    const memory = yield* serve(version)
    return yield* driven(Replay.client(recording, () => memory.connect(), options))
  })

/** Moves the clock while the replay waits. */
const driven = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(effect, Effect.forever(Effect.andThen(Effect.yieldNow, TestClock.adjust("1 second"))))

describe("Replay", () => {
  it.effect("an hour of two clients plays again without a difference", () =>
    Effect.gen(function*() {
      const recording = yield* run(record(hour))
      assert.isAbove(recording.events.at(-1)!.at, 3_600_000)
      const same = yield* run(played(recording, undefined))
      assert.strictEqual(Replay.format(same), Replay.format({ ...same, differences: [] }))
      assert.isAbove(same.matched, 1500)
    }), 60_000)

  it.effect("every planted change of the server is found", () =>
    Effect.gen(function*() {
      const recording = yield* run(record(12))
      assert.isAtLeast(plants.length, 20)
      for (const plant of plants) {
        const report = yield* run(played(recording, plant, { patience: "1 second" }))
        assert.isNotEmpty(report.differences, plant)
      }
    }), 60_000)

  it.effect("the server of an hour is played for the same clients", () =>
    Effect.gen(function*() {
      const recording = yield* run(record(hour))
      const report = yield* run(Effect.gen(function*() {
        const memory = yield* MemorySocket.makeServer()
        const both = yield* Effect.forkChild(customers(hour, () => memory.connect()))
        const report = yield* driven(Replay.server(recording, memory.server))
        yield* driven(Fiber.join(both))
        return report
      }))
      assert.strictEqual(Replay.format(report), Replay.format({ ...report, differences: [] }))
      assert.isAbove(report.matched, 1400)
    }), 60_000)

  it.effect("clients that ask for something else are told from those of the recording", () =>
    Effect.gen(function*() {
      const ask = (article: string, socket: Socket.Socket) =>
        Effect.gen(function*() {
          const client = yield* JsonRpcClient.make(Shop)
          return yield* client.price({ article })
        }).pipe(
          Effect.provide(
            JsonRpcClient.layerSocket().pipe(Layer.provide(Layer.succeed(Socket.Socket)(socket))),
            { local: true }
          ),
          Effect.scoped
        )
      const lines = yield* Ref.make("")
      const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
      yield* ask("tea", tap.socket((yield* serve(undefined)).connect()))
      yield* tap.flush
      const recording = yield* Effect.flatMap(Ref.get(lines), Recording.parse)
      const memory = yield* MemorySocket.makeServer()
      const played = yield* Effect.forkChild(driven(Replay.server(recording, memory.server)))
      assert.strictEqual(yield* ask("coffee", memory.connect()), 3)
      const report = yield* Fiber.join(played)
      assert.deepStrictEqual(report.differences.flatMap((difference) => difference.deviations), [
        { path: "/params/article", expected: "tea", actual: "coffee" }
      ])
    }))

  it.effect("as a test: it fails with what is different, or two versions are compared", () =>
    Effect.gen(function*() {
      const recording = yield* run(record(12))
      const versions = (version: Parameters<typeof shop>[0]) => Effect.map(serve(version), (memory) => memory.connect)
      const error = yield* run(Effect.gen(function*() {
        const connect = yield* versions("another total")
        return yield* Effect.flip(driven(Replay.expect(recording, () => connect())))
      }))
      assert.include(error.message, "connection 1 at 0 ms: changed answer 1\n  /result/total: expected 0, got 1")
      const between = (a: Parameters<typeof shop>[0], b: Parameters<typeof shop>[0]) =>
        run(Effect.gen(function*() {
          const [before, after] = [yield* versions(a), yield* versions(b)]
          return yield* driven(Replay.diff(recording, () => before(), () => after()))
        }))
      assert.isEmpty((yield* between("another total", "another total")).differences)
      assert.isNotEmpty((yield* between("another total", "a line more")).differences)
    }), 60_000)

  it.effect("a server that cannot be reached, or is silent, is reported and not waited for in vain", () =>
    Effect.gen(function*() {
      const recording: Recording.Recording = {
        started: "2026-01-01T00:00:00.000Z",
        events: [
          { at: 0, connection: 1, type: "open", carrier: "memory", url: "", headers: {}, protocol: "" },
          { at: 0, connection: 1, type: "frame", from: "client", text: "not JSON" },
          { at: 1, connection: 1, type: "frame", from: "server", text: "what?" },
          { at: 2, connection: 1, type: "close", from: "server", code: 1007, reason: "" }
        ]
      }
      const gone = yield* run(Effect.gen(function*() {
        const memory = yield* Effect.scoped(MemorySocket.makeServer())
        return yield* driven(Replay.client(recording, () => memory.connect()))
      }))
      assert.deepStrictEqual(gone.differences.map(({ kind, message }) => `${kind} ${message}`), [
        "missing text",
        "changed close"
      ])
      const silent = yield* run(Effect.gen(function*() {
        const memory = yield* MemorySocket.makeServer()
        return yield* driven(Replay.client(recording, () => memory.connect()))
      }))
      assert.deepStrictEqual(silent.differences.map(({ kind, message }) => `${kind} ${message}`), [
        "missing text",
        "missing close"
      ])
    }))
})
