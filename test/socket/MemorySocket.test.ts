import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Handshake, MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { suite } from "./carrierSuite.ts"

suite("memory", MemorySocket.layerWith({ capacity: 16 }), { text: true, closeCodes: true })

describe("MemorySocket", () => {
  it.effect("latency delays every frame by the clock and keeps their order", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ latency: "50 millis" })
      yield* left.reader
      const { pull } = yield* right.reader
      const writer = yield* left.writer
      yield* writer.writeAll(["a", "b"])
      const pulling = yield* Effect.forkChild(pull, { startImmediately: true })
      yield* TestClock.adjust("49 millis")
      assert.isUndefined(pulling.pollUnsafe())
      yield* writer.write("c")
      yield* TestClock.adjust("1 millis")
      const first = yield* Fiber.join(pulling)
      assert.strictEqual(first[0], "a")
      yield* TestClock.adjust("49 millis")
      const rest = [...first.slice(1), ...(yield* pull)]
      if (rest.length < 2) rest.push(...(yield* pull))
      assert.deepStrictEqual(rest, ["b", "c"])
    }))

  it.effect("a cut after n frames of both directions is 1006 at both ends, after what had arrived", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ cutAfter: 3 })
      const a = yield* left.reader
      const b = yield* right.reader
      const toRight = yield* left.writer
      const toLeft = yield* right.writer
      yield* toRight.write("1")
      yield* toLeft.write("2")
      yield* toRight.write("3")
      const late = yield* Effect.flip(toRight.write("4"))
      assert.strictEqual(late.reason._tag, "SocketWriteError")
      assert.deepStrictEqual(yield* b.pull, ["1", "3"])
      assert.deepStrictEqual(yield* a.pull, ["2"])
      for (const { pull } of [a, b]) {
        const error = yield* Effect.flip(pull)
        assert.strictEqual(error.reason._tag, "SocketCloseError")
        assert.strictEqual(error.message, "1006")
      }
    }))

  it.effect("a socket that dials counts the frames of each connection anew", () =>
    Effect.gen(function*() {
      const { connect, server } = yield* MemorySocket.makeServer()
      yield* Effect.forkScoped(server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
        }))
      ))
      const socket = connect({ cutAfter: 2 })
      const writer = yield* socket.writer
      for (let i = 0; i < 3; i++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          yield* writer.write(`${i}`)
          assert.deepStrictEqual(yield* pull, [`${i}`])
          assert.strictEqual((yield* Effect.flip(pull)).message, "1006")
        }))
      }
    }))

  it.effect("a write beyond the capacity suspends until the peer has read", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ capacity: 2 })
      yield* left.reader
      const { pull } = yield* right.reader
      const writer = yield* left.writer
      yield* writer.writeAll(["1", "2"])
      const third = yield* Effect.forkChild(writer.write("3"), { startImmediately: true })
      assert.isUndefined(third.pollUnsafe())
      assert.deepStrictEqual(yield* pull, ["1", "2", "3"])
      yield* Fiber.join(third)
    }))

  it.effect("a writer that waits for room fails when the connection ends", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ capacity: 0 })
      yield* left.reader
      const writer = yield* left.writer
      const writing = yield* Effect.forkChild(writer.write("1"), { startImmediately: true })
      yield* Effect.scoped(right.reader)
      assert.strictEqual((yield* Effect.flip(Fiber.join(writing))).reason._tag, "SocketWriteError")
    }))

  it.effect("as a stream of bytes, text arrives encoded, split and merged", () =>
    Effect.gen(function*() {
      const [left, right] = yield* MemorySocket.makePair({ chunkSize: 3 })
      yield* left.reader
      const { pull } = yield* right.reader
      const writer = yield* left.writer
      yield* writer.writeAll(["ab", "cdé", new Uint8Array([1])])
      const chunks = yield* pull
      assert.deepStrictEqual(chunks.map((chunk) => Array.from(chunk as Uint8Array)), [
        [97, 98, 99],
        [100, 0xc3, 0xa9],
        [1]
      ])
    }))

  it.effect("the handler learns what the client said when it connected", () =>
    Effect.gen(function*() {
      const { connect, server } = yield* MemorySocket.makeServer()
      const seen = yield* Deferred.make<Handshake.Handshake>()
      yield* Effect.forkScoped(
        server.run(() => Effect.flatMap(Handshake.CurrentHandshake, (handshake) => Deferred.succeed(seen, handshake)))
      )
      yield* connect({ headers: { "X-Name": "a" }, remoteAddress: "10.0.0.1", url: "/rpc" }).reader
      const handshake = yield* Deferred.await(seen)
      assert.strictEqual(handshake.carrier, "memory")
      assert.strictEqual(handshake.headers["x-name"], "a")
      assert.strictEqual(handshake.remoteAddress, "10.0.0.1")
      assert.strictEqual(handshake.url, "/rpc")
    }))

  it.effect("a server that is gone refuses to be dialled", () =>
    Effect.gen(function*() {
      const { connect } = yield* Effect.scoped(MemorySocket.makeServer())
      const error = yield* Effect.flip(connect().reader)
      assert.strictEqual(error.reason._tag, "SocketOpenError")
    }))
})
