/**
 * What every carrier promises, as one table of tests that runs over each of them: memory, WebSocket, TCP and Unix
 * sockets with a framing, TLS. The layer gives a server and a client socket that dials it.
 */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, type Layer, Queue, type Scope } from "effect"
import { Socket, SocketServer } from "effect/socket"

export interface Traits {
  /** Text frames arrive as text (else as UTF-8 bytes). */
  readonly text: boolean
  /** A close code of the application reaches the peer. */
  readonly closeCodes: boolean
}

const decoder = new TextDecoder()
const asText = (frame: string | Uint8Array) => typeof frame === "string" ? frame : decoder.decode(frame)

/** Reads until the connection ends, and hands out frames one at a time. */
const frames = (socket: Socket.Socket) =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const queue = yield* Queue.unbounded<string | Uint8Array, Socket.SocketError>()
    yield* pull.pipe(
      Effect.tap((batch) => Queue.offerAll(queue, batch)),
      Effect.forever,
      Effect.catch((error) => Queue.fail(queue, error)),
      Effect.forkScoped({ startImmediately: true })
    )
    return queue
  })

const take = (queue: Queue.Dequeue<string | Uint8Array, Socket.SocketError>, count: number) =>
  Effect.gen(function*() {
    const all: Array<string | Uint8Array> = []
    while (all.length < count) all.push(yield* Queue.take(queue))
    return all
  })

const echo = (socket: Socket.Socket) =>
  Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll))
  }).pipe(Effect.scoped, Effect.catchTag("SocketError", () => Effect.void))

const serve = <E, R>(handler: (socket: Socket.Socket) => Effect.Effect<void, E, R>) =>
  Effect.gen(function*() {
    const server = yield* SocketServer.SocketServer
    yield* server.run(handler).pipe(Effect.forkScoped({ startImmediately: true }))
  })

const closeCode = (error: unknown): number | undefined =>
  Socket.isSocketError(error) && error.reason._tag === "SocketCloseError" ? error.reason.code : undefined

export const suite = (
  name: string,
  layer: Layer.Layer<SocketServer.SocketServer | Socket.Socket, unknown>,
  traits: Traits
): void => {
  const test = (
    title: string,
    body: Effect.Effect<void, unknown, SocketServer.SocketServer | Socket.Socket | Scope.Scope>
  ) => it.effect(`${title} (${name})`, () => body.pipe(Effect.scoped, Effect.provide(layer)))

  test(
    "frames arrive whole and in order, whatever turn they were written in",
    Effect.gen(function*() {
      yield* serve(echo)
      const socket = yield* Socket.Socket
      const queue = yield* frames(socket)
      const writer = yield* socket.writer
      const sent: Array<string> = []
      for (let i = 0; i < 500; i++) {
        const frame = `frame ${i} ${"é€😀".repeat(i % 7)}`
        sent.push(frame)
        if (i % 3 === 0) yield* writer.write(frame)
        else if (i % 3 === 1) {
          sent.push(`second ${i}`)
          yield* writer.writeAll([frame, `second ${i}`])
        } else {
          yield* writer.write(frame)
          yield* Effect.yieldNow
        }
      }
      assert.deepStrictEqual((yield* take(queue, sent.length)).map(asText), sent)
    })
  )

  test(
    "bytes arrive as they were, and text as text where the carrier knows the difference",
    Effect.gen(function*() {
      yield* serve(echo)
      const socket = yield* Socket.Socket
      const queue = yield* frames(socket)
      const writer = yield* socket.writer
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i).filter((byte) => byte !== 10 && byte !== 13)
      yield* writer.writeAll(["text", bytes, "more text"])
      const [first, second, third] = yield* take(queue, 3)
      assert.deepStrictEqual(asText(first!), "text")
      assert.deepStrictEqual(Array.from(second as Uint8Array), Array.from(bytes))
      assert.deepStrictEqual(asText(third!), "more text")
      assert.strictEqual(typeof first, traits.text ? "string" : "object")
    })
  )

  test(
    "frames up to just under the limit of 1 MiB arrive",
    Effect.gen(function*() {
      yield* serve(echo)
      const socket = yield* Socket.Socket
      const queue = yield* frames(socket)
      const writer = yield* socket.writer
      const large = "x".repeat(1024 * 1024 - 64)
      const medium = "y".repeat(70_000)
      yield* writer.writeAll([large, "small", medium, "z".repeat(126), "z".repeat(125)])
      const back = (yield* take(queue, 5)).map(asText)
      assert.deepStrictEqual(back.map((frame) => frame.length), [large.length, 5, 70_000, 126, 125])
      assert.strictEqual(back[0], large)
    })
  )

  test(
    "the end of the server's handler is an error of the client's reader",
    Effect.gen(function*() {
      yield* serve((socket) => Effect.scoped(Effect.asVoid(Effect.flatMap(socket.reader, ({ pull }) => pull))))
      const socket = yield* Socket.Socket
      const queue = yield* frames(socket)
      const writer = yield* socket.writer
      yield* writer.write("one")
      const error = yield* Effect.flip(Queue.take(queue))
      assert.isTrue(Socket.isSocketError(error))
      assert.strictEqual(closeCode(error), 1000)
    })
  )

  test(
    "closing the client's scope fails its suspended pull and ends the server's reader",
    Effect.gen(function*() {
      const ended = yield* Deferred.make<Socket.SocketError>()
      yield* serve((socket) =>
        Effect.scoped(Effect.flatMap(socket.reader, ({ pull }) => Effect.forever(pull))).pipe(
          Effect.catch((error) => Effect.asVoid(Deferred.succeed(ended, error as Socket.SocketError)))
        )
      )
      const socket = yield* Socket.Socket
      const pulling = yield* Deferred.make<Effect.Effect<unknown, Socket.SocketError>>()
      const open = yield* Effect.scoped(Effect.gen(function*() {
        const { pull } = yield* socket.reader
        const fiber = yield* Effect.forkDetach(pull, { startImmediately: true })
        yield* Deferred.succeed(pulling, Fiber.join(fiber))
        return fiber
      }))
      const exit = yield* Fiber.await(open)
      assert.isTrue(Exit.isFailure(exit))
      assert.isTrue(Socket.isSocketError(yield* Effect.flip(yield* Deferred.await(pulling))))
      assert.isTrue(Socket.isSocketError(yield* Deferred.await(ended)))
    })
  )

  test(
    "the same client socket connects again, and writes wait for the connection",
    Effect.gen(function*() {
      yield* serve(echo)
      const socket = yield* Socket.Socket
      const writer = yield* socket.writer
      for (let i = 0; i < 3; i++) {
        const early = yield* Effect.forkChild(writer.write(`hello ${i}`), { startImmediately: true })
        assert.isUndefined(early.pollUnsafe())
        yield* Effect.scoped(Effect.gen(function*() {
          const queue = yield* frames(socket)
          assert.strictEqual(asText(yield* Queue.take(queue)), `hello ${i}`)
          yield* Fiber.join(early)
        }))
      }
    })
  )

  test(
    "many connections are served side by side",
    Effect.gen(function*() {
      let served = 0
      yield* serve((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          yield* writer.write(`hello ${served++}`)
          return yield* Effect.forever(pull)
        })).pipe(Effect.catchTag("SocketError", () => Effect.void))
      )
      const socket = yield* Socket.Socket
      const greetings = new Set<string>()
      for (let i = 0; i < 8; i++) {
        const { pull } = yield* socket.reader
        greetings.add(asText((yield* pull)[0]))
      }
      assert.strictEqual(greetings.size, 8)
    })
  )

  test(
    "a writer suspends while the peer does not read, and goes on when it does",
    Effect.gen(function*() {
      const goOn = yield* Deferred.make<void>()
      const total = 32 * 1024 * 1024
      const received = yield* Deferred.make<number>()
      yield* serve((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const { pull } = yield* socket.reader
          yield* Deferred.await(goOn)
          let bytes = 0
          while (bytes < total) {
            for (const frame of yield* pull) bytes += frame.length
          }
          yield* Deferred.succeed(received, bytes)
        }))
      )
      const socket = yield* Socket.Socket
      yield* frames(socket)
      const writer = yield* socket.writer
      const block = new Uint8Array(512 * 1024).fill(65)
      let written = 0
      const sending = yield* Effect.gen(function*() {
        while (written < total) {
          yield* writer.write(block)
          written += block.length
        }
      }).pipe(Effect.forkChild({ startImmediately: true }))
      // The writer must stop by itself: wait until it has not moved for many turns of the event loop.
      let last = -1
      for (let still = 0; still < 60;) {
        yield* turn
        still = written === last ? still + 1 : 0
        last = written
      }
      assert.isBelow(written, total)
      yield* Deferred.succeed(goOn, undefined)
      yield* Fiber.join(sending)
      assert.strictEqual(yield* Deferred.await(received), total)
    })
  )

  if (traits.closeCodes) {
    test(
      "a close code and its reason reach the peer, after what was written before",
      Effect.gen(function*() {
        yield* serve((socket) =>
          Effect.scoped(Effect.gen(function*() {
            const { pull } = yield* socket.reader
            const writer = yield* socket.writer
            yield* writer.writeAll(["a", "b"])
            yield* writer.write(new Socket.CloseEvent(4001, "go away"))
            return yield* Effect.forever(pull)
          })).pipe(Effect.catchTag("SocketError", () => Effect.void))
        )
        const socket = yield* Socket.Socket
        const queue = yield* frames(socket)
        assert.deepStrictEqual((yield* take(queue, 2)).map(asText), ["a", "b"])
        const error = yield* Effect.flip(Queue.take(queue))
        assert.strictEqual(closeCode(error), 4001)
        assert.strictEqual((error.reason as Socket.SocketCloseError).closeReason, "go away")
      })
    )
    test(
      "an interrupted handler closes with 1001, a failed one with 1011",
      Effect.gen(function*() {
        yield* serve((socket) =>
          Effect.scoped(Effect.gen(function*() {
            const { pull } = yield* socket.reader
            const [word] = yield* pull
            if (word === "interrupt") return yield* Effect.interrupt
            return yield* Effect.fail("broken")
          }))
        )
        const socket = yield* Socket.Socket
        const writer = yield* socket.writer
        for (const [word, code] of [["interrupt", 1001], ["fail", 1011]] as const) {
          yield* Effect.scoped(Effect.gen(function*() {
            const queue = yield* frames(socket)
            yield* writer.write(word)
            assert.strictEqual(closeCode(yield* Effect.flip(Queue.take(queue))), code)
          }))
        }
      })
    )
  }
}

/** One turn of the event loop, by its own timers and not by the test clock. */
const turn = Effect.callback<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 1)
  return Effect.sync(() => clearTimeout(timer))
})
