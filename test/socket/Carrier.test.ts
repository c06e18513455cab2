import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Framing, MessagePortSocket } from "effect-wire/socket"
import { MessageChannel } from "node:worker_threads"
import { messagePorts, pipes } from "./carriers.ts"
import { suite } from "./carrierSuite.ts"

suite("message ports", messagePorts, { text: true, closeCodes: true })
suite("pipes with Content-Length", pipes(Framing.contentLength({ maxFrameSize: 2 ** 21, output: "bytes" })), {
  text: false,
  closeCodes: false
})
suite("pipes with lines", pipes(Framing.lines({ maxFrameSize: 2 ** 21, output: "bytes" })), {
  text: false,
  closeCodes: false
})

it.live("the far end of a port may be anybody's: it posts strings, and its silence holds no writer", () =>
  Effect.gen(function*() {
    const { port1, port2 } = new MessageChannel()
    const heard: Array<unknown> = []
    port2.on("message", (message) => {
      heard.push(message)
      if (message === "hello") port2.postMessage("hello yourself")
      if (message === "bye") port2.close()
    })
    const socket = yield* MessagePortSocket.make(port1)
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    yield* writer.write("hello")
    assert.deepStrictEqual([...(yield* pull)], ["hello yourself"])
    for (let i = 0; i < 40; i++) yield* writer.write("x".repeat(100_000))
    yield* writer.write("bye")
    const error = yield* Effect.flip(Effect.forever(pull))
    assert.strictEqual(error.reason._tag === "SocketCloseError" && error.reason.code, 1006)
    assert.lengthOf(heard.filter((message) => typeof message === "string"), 42)
    // the connection of a port is over for good
    assert.strictEqual((yield* Effect.flip(Effect.scoped(socket.reader))).reason._tag, "SocketOpenError")
  }).pipe(Effect.scoped))
