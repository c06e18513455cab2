import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Layer, Ref, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { MemorySocket } from "effect-wire/socket"
import { Recording, Wiretap } from "effect-wire/wiretap"
import { HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import { eventually } from "../jsonrpc/suite.ts"

class Door extends RpcGroup.make(
  Rpc.make("login", { payload: { user: Schema.String, word: Schema.String }, success: Schema.Boolean }),
  Rpc.make("wait", { success: Schema.String })
) {}
const Handlers = Door.toLayer({
  login: () => Effect.succeed(true),
  wait: () => Effect.as(Effect.sleep("1 hour"), "late")
})

/** A tap whose recording is read as events. */
const makeTap = (options?: Wiretap.Options) =>
  Effect.gen(function*() {
    const lines = yield* Ref.make("")
    const tap = yield* Wiretap.make({ ...options, write: (more) => Ref.update(lines, (before) => before + more) })
    const recording = Effect.andThen(tap.flush, Effect.flatMap(Ref.get(lines), Recording.parse))
    return { tap, recording }
  })

const texts = (recording: Recording.Recording) =>
  recording.events.flatMap((event) => event.type === "frame" && "text" in event ? [`${event.from}: ${event.text}`] : [])

/** What a client and a server of JSON-RPC say over the memory, recorded by one of them. */
const conversation = (side: Recording.Side) =>
  Effect.scoped(Effect.gen(function*() {
    const { recording, tap } = yield* makeTap()
    const memory = yield* MemorySocket.makeServer()
    const server = side === "server" ? tap.server(memory.server) : memory.server
    const plain = memory.connect({ url: "/rpc?token=t0p", headers: { authorization: "Basic abc", host: "here" } })
    const socket = side === "client" ? tap.socket(plain) : plain
    yield* Effect.gen(function*() {
      const client = yield* JsonRpcClient.make(Door)
      yield* client.login({ user: "anna", word: "s3cret" })
      const call = yield* Effect.forkChild(client.wait())
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.interrupt(call)
      yield* TestClock.adjust("1 second")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          JsonRpcServer.layerSocketServer(Door, { wire: Wire.rockets }).pipe(
            Layer.provide([Handlers, Layer.succeed(SocketServer.SocketServer)(server)])
          ),
          JsonRpcClient.layerSocket({ wire: Wire.rockets }).pipe(Layer.provide(Layer.succeed(Socket.Socket)(socket)))
        ),
        { local: true }
      )
    )
    return yield* recording
  }))

describe("Wiretap", () => {
  for (const side of ["client", "server"] as const) {
    it.effect(`the ${side} records both directions, in virtual time, without secrets`, () =>
      Effect.gen(function*() {
        const recording = yield* conversation(side)
        assert.strictEqual(recording.started, "1970-01-01T00:00:00.000Z")
        assert.deepStrictEqual(texts(recording), [
          `client: {"jsonrpc":"2.0","id":1,"method":"login","params":"***"}`,
          `server: {"jsonrpc":"2.0","result":true,"id":1}`,
          `client: {"jsonrpc":"2.0","id":2,"method":"wait"}`,
          `client: {"jsonrpc":"2.0","method":"cancel","params":{"id":2}}`,
          `server: {"jsonrpc":"2.0","error":{"code":-31002,"message":"Request aborted"},"id":2}`
        ])
        assert.deepStrictEqual(recording.events.map((event) => event.at), [0, 0, 0, 0, 30_000, 30_000, 31_000])
        const [opened] = recording.events
        assert.deepStrictEqual(opened, {
          at: 0,
          connection: 1,
          type: "open",
          carrier: side === "server" ? "memory" : "unknown",
          url: side === "server" ? "/rpc?token=***" : "",
          headers: side === "server" ? { authorization: "***", host: "here" } : {},
          protocol: ""
        })
        const closed = recording.events.at(-1)
        assert.deepInclude(closed, { type: "close", from: "client", code: 1000 })
        assert.notInclude(Recording.format(recording), "s3cret")
      }))
  }

  it.effect("nothing is kept while nobody watches; who watches sees what happens from then on", () =>
    Effect.gen(function*() {
      const tap = yield* Wiretap.make()
      const [left, right] = yield* MemorySocket.makePair()
      const { pull } = yield* tap.socket(left).reader
      const writer = yield* right.writer
      yield* writer.write("before")
      yield* pull
      const seen = yield* Effect.forkChild(Stream.runCollect(Stream.take(tap.events, 2)))
      yield* Effect.yieldNow
      yield* writer.write("after")
      yield* pull
      yield* tap.flush
      const events = yield* Fiber.join(seen)
      assert.deepStrictEqual(
        events.map((event) => event.type === "frame" && "text" in event ? event.text : event.type),
        [
          "open",
          "after"
        ]
      )
    }))

  it.effect("a writer that is too slow loses frames of the recording, and nothing else", () =>
    Effect.gen(function*() {
      const { recording, tap } = yield* makeTap({ maxWaiting: 10_000 })
      const [left, right] = yield* MemorySocket.makePair()
      const { pull } = yield* tap.socket(left).reader
      const writer = yield* right.writer
      for (let i = 0; i < 100; i++) yield* writer.write("x".repeat(1000))
      assert.strictEqual((yield* pull).length, 100)
      const { events } = yield* recording
      const frames = events.filter((event) => event.type === "frame").length
      assert.deepInclude(events.at(-1), { type: "lost", frames: 100 - frames, length: (100 - frames) * 1000 })
      assert.strictEqual(yield* tap.lost, 100 - frames)
      assert.isTrue(frames > 5 && frames < 10)
    }))

  it.effect("a recording that cannot be written ends; the connection goes on", () =>
    Effect.gen(function*() {
      const tap = yield* Wiretap.make({ write: () => Effect.fail("the disk is full") })
      const [left, right] = yield* MemorySocket.makePair()
      const { pull } = yield* tap.socket(left).reader
      const writer = yield* right.writer
      yield* writer.write("one")
      yield* tap.flush
      assert.deepStrictEqual(yield* pull, ["one"])
    }))

  it.effect("bytes stay bytes, and hide what they hold", () =>
    Effect.gen(function*() {
      const { recording, tap } = yield* makeTap()
      const [left, right] = yield* MemorySocket.makePair()
      const server = tap.socket(left, { side: "server" })
      yield* server.reader
      const { pull } = yield* right.reader
      const writer = yield* server.writer
      const secret = new TextEncoder().encode(`{"password":"x"}`)
      const others = new Uint8Array([0, 255, 128])
      yield* writer.writeAll([secret, others])
      assert.deepStrictEqual(yield* pull, [secret, others])
      const { events } = yield* recording
      assert.deepStrictEqual(
        events.flatMap((event) => event.type === "frame" && "bytes" in event ? [event.bytes] : []),
        [
          btoa(`{"password":"***"}`),
          "AP+A"
        ]
      )
    }))

  it.live("WebSockets on routes, and as a file", () =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* fileSystem.makeTempFileScoped()
      const App = HttpRouter.serve(
        JsonRpcServer.layerHttp(Door, { path: "/rpc" }).pipe(
          Layer.provide(Handlers),
          Layer.provide(Wiretap.layerRoutes)
        ),
        { disableListenLog: true, disableLogger: true }
      ).pipe(
        Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0 })),
        Layer.provide(Wiretap.layerFile(path))
      )
      yield* Effect.gen(function*() {
        const client = yield* JsonRpcClient.make(Door)
        assert.isTrue(yield* client.login({ user: "anna", word: "s3cret" }))
      }).pipe(
        Effect.provide(Layer.provideMerge(
          JsonRpcClient.layerSocket().pipe(Layer.provide(NodeWebSocket.layerFromHttpServer("/rpc"))),
          App
        )),
        Effect.scoped
      )
      const recording = yield* Effect.flatMap(fileSystem.readFileString(path), Recording.parse)
      assert.deepInclude(recording.events[0], { type: "open", carrier: "websocket", url: "/rpc" })
      assert.deepStrictEqual(texts(recording), [
        `client: {"jsonrpc":"2.0","id":1,"method":"login","params":"***"}`,
        `server: {"jsonrpc":"2.0","result":true,"id":1}`
      ])
    }).pipe(Effect.provide(NodeFileSystem.layer)))

  it.live("a proxy between ends that know nothing of it, over WebSockets", () =>
    Effect.gen(function*() {
      const { recording, tap } = yield* makeTap()
      const behind = yield* NodeWebSocketServer.make()
      yield* Effect.forkScoped(behind.run((socket) =>
        Effect.gen(function*() {
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          for (;;) {
            for (const frame of yield* pull) {
              if (frame === "leave") yield* writer.write(new Socket.CloseEvent(4001, "as asked"))
              else yield* writer.write(frame)
            }
          }
        }).pipe(Effect.scoped, Effect.ignore)
      ))
      const front = yield* NodeWebSocketServer.make()
      const url = (server: SocketServer.SocketServer["Service"]) =>
        server.address._tag === "UnixPathAddress" ? "" : `ws://127.0.0.1:${server.address.port}`
      yield* Effect.forkScoped(
        Wiretap.proxy(front, () => NodeWebSocket.make(url(behind))).pipe(Effect.provideService(Wiretap.Wiretap, tap))
      )
      const client = yield* NodeWebSocket.make(url(front))
      const { pull } = yield* client.reader
      const writer = yield* client.writer
      yield* writer.writeAll(["a", "b"])
      let seen: ReadonlyArray<string | Uint8Array> = []
      while (seen.length < 2) seen = [...seen, ...yield* pull]
      assert.deepStrictEqual(seen, ["a", "b"])
      yield* writer.write("leave")
      const error = yield* Effect.flip(pull)
      assert.deepInclude(error.reason, { _tag: "SocketCloseError", code: 4001, closeReason: "as asked" })
      yield* eventually(Effect.map(recording, ({ events }) => events.at(-1)?.type === "close"))
      const { events } = yield* recording
      assert.deepInclude(events.at(-1), { type: "close", from: "server", code: 4001, reason: "as asked" })
      assert.deepStrictEqual(texts({ started: "", events }), [
        "client: a",
        "client: b",
        "server: a",
        "server: b",
        "client: leave"
      ])
    }))
})
