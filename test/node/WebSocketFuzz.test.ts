import { assert, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { NodeWebSocket } from "effect-wire/node"
import { Socket } from "effect/socket"
import type { AddressInfo } from "node:net"
import { WebSocketServer } from "ws"
import { codeOf, eventually, peer, rawUpgraded, serve } from "./webSocketHelpers.ts"

/** A small generator of numbers, so that a failure can be repeated. */
const numbers = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

/** A masked frame, valid or not, cut or not. */
const mutant = (random: () => number): Buffer => {
  const length = Math.floor(random() ** 3 * 70_000)
  const payload = Buffer.alloc(Math.min(length, 2000), random() < 0.5 ? 0x41 : Math.floor(random() * 256))
  const first = random() < 0.6 ? 0x81 : Math.floor(random() * 256)
  const masked = random() < 0.95 ? 0x80 : 0
  const said = random() < 0.9 ? payload.length : Math.floor(random() * 2 ** 40)
  const head = said < 126
    ? Buffer.from([first, masked | said])
    : said < 65_536
    ? Buffer.from([first, masked | 126, said >> 8, said & 255])
    : Buffer.concat([Buffer.from([first, masked | 127]), Buffer.alloc(8)])
  if (said >= 65_536) head.writeBigUInt64BE(BigInt(said), 2)
  const frame = Buffer.concat([head, Buffer.alloc(masked === 0 ? 0 : 4, 0), payload])
  for (let i = 0; i < 3 && random() < 0.3; i++) frame[Math.floor(random() * frame.length)] = Math.floor(random() * 256)
  return random() < 0.2 ? frame.subarray(0, Math.floor(random() * frame.length)) : frame
}

for (const mode of ["alone", "on a route"] as const) {
  it.effect(`3,000 mutated frames on 300 connections leave nothing behind (${mode})`, () =>
    Effect.gen(function*() {
      const { open, port } = yield* serve(mode)
      const random = numbers(mode.length)
      yield* Effect.forEach(
        Array.from({ length: 300 }),
        () =>
          Effect.scoped(Effect.gen(function*() {
            const socket = yield* rawUpgraded(port)
            socket.resume()
            for (let i = 0; i < 10; i++) socket.write(mutant(random))
            if (random() < 0.5) socket.end()
            else socket.destroy()
            yield* eventually(() => socket.destroyed)
          })),
        { concurrency: 20, discard: true }
      )
      yield* eventually(() => open() === 0)
      const client = yield* peer(port)
      client.ws.send("still here")
      yield* eventually(() => client.messages.length === 1)
      assert.deepStrictEqual(client.messages, ["still here"])
    }))

  it.effect(`the WebSocket of the platform is served, with a close code and a subprotocol (${mode})`, () =>
    Effect.gen(function*() {
      const { ends, port } = yield* serve(mode)
      const closed = yield* Effect.callback<{ code: number; protocol: string; messages: Array<unknown> }>((resume) => {
        const ws = new WebSocket(`ws://127.0.0.1:${port}/`, ["rockets"])
        ws.binaryType = "arraybuffer"
        const messages: Array<unknown> = []
        ws.addEventListener("open", () => {
          ws.send("text é€😀")
          ws.send(new Uint8Array([1, 2, 3]))
          ws.send("x".repeat(200_000))
        })
        ws.addEventListener("message", ({ data }) => {
          messages.push(typeof data === "string" ? data : Array.from(new Uint8Array(data)))
          if (messages.length === 3) ws.close(4321, "bye")
        })
        ws.addEventListener("close", ({ code }) => resume(Effect.succeed({ code, protocol: ws.protocol, messages })))
      })
      assert.deepStrictEqual(closed, {
        code: 4321,
        protocol: "rockets",
        messages: ["text é€😀", [1, 2, 3], "x".repeat(200_000)]
      })
      assert.strictEqual(codeOf(yield* Queue.take(ends)), 4321)
    }))
}

it.effect("our client talks to a server of the ws package, masks what it sends, and sees its close", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.callback<WebSocketServer>((resume) => {
        const server: WebSocketServer = new WebSocketServer({ port: 0, host: "127.0.0.1" }, () => {
          resume(Effect.succeed(server))
        })
      }),
      (server) => Effect.sync(() => server.close())
    )
    server.on("connection", (ws) =>
      ws.on("message", (data, isBinary) => {
        ws.send(data, { binary: isBinary })
        if (String(data) === "end") ws.close(4001, "ended")
      }))
    const socket = yield* NodeWebSocket.make(`127.0.0.1:${(server.address() as AddressInfo).port}`)
    const { pull } = yield* socket.reader
    const writer = yield* socket.writer
    const sent: Array<string | Uint8Array> = []
    for (const length of [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 65_535, 65_536, 300_000]) {
      sent.push("ü".repeat(length >> 1) + "x".repeat(length & 1), new Uint8Array(length).fill(7))
    }
    sent.push("end")
    yield* writer.writeAll(sent as [string])
    const back: Array<string | Uint8Array> = []
    while (back.length < sent.length) back.push(...(yield* pull))
    assert.deepStrictEqual(back.map((frame) => typeof frame === "string" ? frame : Uint8Array.from(frame)), sent)
    const error = yield* Effect.flip(pull)
    assert.deepStrictEqual(error.reason, new Socket.SocketCloseError({ code: 4001, closeReason: "ended" }))
  }))
