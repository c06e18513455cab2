import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Schema, Scope, Stream } from "effect"
import { Access, Identity } from "effect-wire/identity"
import {
  JsonPointer,
  JugglerClients,
  JugglerConnection,
  JugglerError,
  JugglerGeneration,
  JugglerServer,
  JugglerState,
  JugglerView
} from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { raw, serveRaw, settle, stateOf } from "./wire.ts"

type Json = JsonPointer.Json
const { v05, v06, v07 } = JugglerGeneration

class Actions extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("fail", { payload: { text: Schema.String }, error: Schema.String }),
  Rpc.make("typed", { error: Schema.Struct({ _tag: Schema.tag("Full"), room: Schema.Int, message: Schema.String }) }),
  Rpc.make("crash"),
  Rpc.make("wait", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("whoami", { success: Schema.String })
) {}

const running = (log: Array<string>, gate: Deferred.Deferred<void>) =>
  Actions.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    fail: ({ text }) => Effect.fail(text),
    typed: () => Effect.fail({ _tag: "Full" as const, room: 5, message: "no room" }),
    crash: () => Effect.die(new Error("secret")),
    wait: ({ name }) =>
      Effect.sync(() => void log.push(`start ${name}`)).pipe(
        Effect.andThen(Deferred.await(gate)),
        Effect.onInterrupt(() => Effect.sync(() => void log.push(`stop ${name}`))),
        Effect.as(name)
      ),
    whoami: () => Effect.map(Effect.service(JugglerConnection.CurrentJuggler), (c) => c?.generation.name ?? "nobody")
  })

const serve = (options: JugglerServer.Options, log: Array<string> = [], gate = Deferred.makeUnsafe<void>()) =>
  Effect.provide(JugglerServer.make(Actions, options), running(log, gate))

const rpc = (id: number, action: string, ...args: ReadonlyArray<Json>) => ({
  type: "MESSAGE",
  payload: { type: "rpc", id, direction: "request", action, args }
})
const rpcAnswer = (id: number, success: boolean, result: Json) => ({
  type: "MESSAGE",
  payload: { type: "rpc", id, direction: "response", success, result }
})
const request = (id: number, name: string, data: Json = null) => ({ type: "request", id, name, data })
const response = (id: number, success: boolean, data: Json) => ({ type: "response", id, success, data })

describe("JugglerServer", () => {
  describe("state", () => {
    it.effect("shows a new connection the whole at once, and null by nothing", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1 })
        const peer = yield* serveRaw(yield* serve({ generation: v06, state }))
        assert.deepStrictEqual(yield* peer.take, [{
          type: "state",
          diff: [{ op: "replace", path: "", value: { a: 1 } }]
        }])
        const nothing = yield* JugglerState.makeJson(null)
        const other = yield* serveRaw(yield* serve({ generation: v05, state: nothing }))
        assert.deepStrictEqual(yield* other.take, [])
      }))

    it.effect("gathers the changes of the autoflush delay in one patch", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1, b: [1] })
        const peer = yield* serveRaw(yield* serve({ generation: v05, state }))
        yield* peer.take
        yield* state.put(["a"], 2)
        yield* TestClock.adjust("150 millis")
        yield* state.put(["a"], 3)
        yield* state.put(["b", "-"], 2)
        assert.deepStrictEqual(yield* peer.take, [])
        yield* TestClock.adjust("50 millis")
        const patches = stateOf(yield* peer.take)
        assert.strictEqual(patches.length, 1)
        assert.sameDeepMembers(patches[0] as Array<Json>, [
          { op: "replace", path: "/a", value: 3 },
          { op: "add", path: "/b/1", value: 2 }
        ])
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* peer.take, [])
        yield* state.put(["a"], 4)
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(stateOf(yield* peer.take), [[{ op: "replace", path: "/a", value: 4 }]])
      }))

    it.effect("sends nothing for what was taken back within the delay", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1, c: { d: 1 } })
        const peer = yield* serveRaw(yield* serve({ generation: v05, state }))
        yield* peer.take
        yield* state.set({ a: 2, c: { d: 1 } })
        yield* state.set({ b: 1 })
        yield* state.set({ a: 1, c: { d: 1 } })
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* peer.take, [])
        yield* state.set({ c: { d: 1 }, a: 1 })
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* peer.take, [])
      }))

    it.effect("sends every change by itself when the delay is zero", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ a: 1 })
        const peer = yield* serveRaw(yield* serve({ generation: v06, state, autoflush: 0 }))
        yield* peer.take
        for (const a of [2, 3, 3, 4]) yield* state.put(["a"], a)
        assert.deepStrictEqual(
          stateOf(yield* peer.take),
          [2, 3, 4].map((value) => [{ op: "replace", path: "/a", value }])
        )
      }))

    it.effect("sends on flush only when autoflush is off", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({
            generation: v05,
            autoflush: "off",
            onConnection: (connection) => Deferred.succeed(connected, connection)
          })
        )
        const connection = yield* Deferred.await(connected)
        yield* connection.set({ a: 1 })
        yield* connection.set({ a: 2 })
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* peer.take, [])
        yield* connection.flush
        assert.deepStrictEqual(stateOf(yield* peer.take), [[{ op: "replace", path: "", value: { a: 2 } }]])
        yield* connection.flush
        assert.deepStrictEqual(yield* peer.take, [])
      }))

    it.effect("flushes at once what waits for the delay, and completes when it is written", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({ generation: v05, onConnection: (connection) => Deferred.succeed(connected, connection) })
        )
        const connection = yield* Deferred.await(connected)
        yield* connection.set(5)
        yield* connection.flush
        assert.strictEqual(stateOf(yield* peer.take).length, 1)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* peer.take, [])
      }))

    it.effect("fails to set, flush, send and receive after the close, but gives what came before", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({ generation: v05, onConnection: (connection) => Deferred.succeed(connected, connection) })
        )
        const connection = yield* Deferred.await(connected)
        yield* peer.json({ type: "MESSAGE", payload: 1 }, { type: "MESSAGE", payload: [2] })
        yield* peer.close
        yield* connection.closed
        assert.strictEqual(yield* connection.receive, 1)
        assert.deepStrictEqual(yield* connection.receive, [2])
        for (
          const effect of [
            connection.receive,
            connection.set(1),
            connection.flush,
            connection.send(1),
            connection.call("x", [])
          ]
        ) {
          const error = yield* Effect.flip(effect as Effect.Effect<unknown, JugglerError.JugglerError>)
          assert.strictEqual(error.reason._tag, "ConnectionError")
        }
        assert.deepStrictEqual(yield* Stream.runCollect(connection.messages), [])
      }))

    it.effect("shows the same state in three generations at once, each change framed for each", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ n: 0, pad: "x".repeat(100) })
        const peers = []
        for (const generation of [v05, v06, v07]) {
          peers.push(yield* serveRaw(yield* serve({ generation, state, segmentSize: 64 })))
        }
        for (const peer of peers) peer.frames.length = 0
        yield* state.put(["n"], 1)
        yield* TestClock.adjust("200 millis")
        yield* settle
        const patch = `[{"op":"replace","path":"/n","value":1}]`
        assert.deepStrictEqual(peers.map((peer) => peer.frames), [
          [`{"type":"DATA","payload":${patch}}`],
          [`{"type":"state","diff":${patch}}`],
          [`0{"type":"state","diff":${patch}}`]
        ])
      }))

    it.effect("gives each connection its view, and compares the view only", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ rooms: { a: { t: 1 }, b: { t: 2 } } })
        const run = yield* serve({
          generation: v06,
          state,
          view: ({ connection }) => JugglerView.at(["rooms", connection.handshake.headers["room"]!])
        })
        const memory = yield* MemorySocket.makeServer()
        yield* Effect.forkScoped(memory.server.run(run))
        const a = yield* raw(memory.connect({ headers: { room: "a" } }))
        const b = yield* raw(memory.connect({ headers: { room: "b" } }))
        const nobody = yield* raw(memory.connect({ headers: { room: "constructor" } }))
        yield* settle
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(stateOf(yield* a.take), [[{ op: "replace", path: "", value: { t: 1 } }]])
        assert.deepStrictEqual(stateOf(yield* b.take), [[{ op: "replace", path: "", value: { t: 2 } }]])
        yield* state.put(["rooms", "b", "t"], 3)
        yield* settle
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(yield* a.take, [])
        const [patch] = stateOf(yield* b.take)
        assert.deepStrictEqual(patch, [{ op: "replace", path: "/t", value: 3 }])
        assert.deepStrictEqual(yield* nobody.take, [])
      }))

    it.effect("sends a state that is larger than what may wait to each of many, once", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ n: 0, text: "x".repeat(10_000) })
        const run = yield* serve({ generation: v06, state, highWaterMark: 1_000, autoflush: 0 })
        const sockets = []
        for (let i = 0; i < 5; i++) {
          const [server, client] = yield* MemorySocket.makePair({ capacity: 1 })
          yield* Effect.forkScoped(run(server))
          sockets.push(client)
        }
        yield* settle
        yield* state.put(["n"], 1)
        for (const socket of sockets) {
          const peer = yield* raw(socket)
          yield* settle
          assert.strictEqual(stateOf(yield* peer.take).length, 2)
        }
      }))

    it.effect("holds patches back from a peer that does not read, and then sends the newest whole", () =>
      Effect.gen(function*() {
        const state = yield* JugglerState.makeJson({ n: 0, text: "x".repeat(10_000) })
        const [server, client] = yield* MemorySocket.makePair({ capacity: 1 })
        yield* Effect.forkScoped((yield* serve({ generation: v06, state, highWaterMark: 1_000, autoflush: 0 }))(server))
        yield* settle
        for (let i = 1; i <= 500; i++) {
          yield* state.put(["n"], i)
          yield* Effect.yieldNow
        }
        yield* settle
        const peer = yield* raw(client)
        yield* settle
        const messages = yield* peer.take
        assert.isBelow(messages.length, 100)
        let value: Json = null
        for (const patch of stateOf(messages)) {
          for (const operation of patch as Array<any>) {
            if (operation.path === "") value = operation.value
            else (value as { n: number }).n = operation.value
          }
        }
        assert.deepStrictEqual(value, { n: 500, text: "x".repeat(10_000) })
      }))
  })

  describe("requests", () => {
    it.effect("are answered by the handlers of an ordinary group, in every generation", () =>
      Effect.gen(function*() {
        const old = yield* serveRaw(yield* serve({ generation: v05 }))
        yield* old.json(rpc(1, "add", 1, 2), rpc(2, "fail", "sorry"), rpc(3, "typed"), rpc(4, "whoami"))
        assert.deepStrictEqual(yield* old.take, [
          rpcAnswer(1, true, 3),
          rpcAnswer(2, false, "sorry"),
          rpcAnswer(3, false, "no room"),
          rpcAnswer(4, true, "0.5")
        ])
        const peer = yield* serveRaw(yield* serve({ generation: v06 }))
        yield* peer.json(
          request(1, "add", { a: 1, b: 2 }),
          request(2, "fail", { text: "sorry" }),
          request(3, "typed"),
          request(4, "whoami"),
          request(5, "add", [3, 4])
        )
        assert.deepStrictEqual(yield* peer.take, [
          response(1, true, 3),
          response(2, false, "sorry"),
          response(3, false, { _tag: "Full", room: 5, message: "no room" }),
          response(4, true, "0.6"),
          response(5, true, 7)
        ])
      }))

    it.effect("fail for unknown names, wrong arguments and defects, without a word about the inside", () =>
      Effect.gen(function*() {
        const peer = yield* serveRaw(yield* serve({ generation: v05 }))
        yield* peer.json(rpc(1, "toString"), rpc(2, "add", 1, "x"), rpc(3, "add", 1, 2, 3), rpc(4, "crash"))
        const answers = yield* peer.take
        assert.deepStrictEqual(answers[0], rpcAnswer(1, false, "invalid action"))
        for (const answer of answers.slice(1)) assert.isFalse(answer.payload.success)
        assert.include(answers[1].payload.result, "invalid arguments")
        assert.include(answers[2].payload.result, "invalid arguments")
        assert.include(answers[3].payload.result, "internal error")
        assert.notInclude(answers[3].payload.result, "secret")
      }))

    it.effect("go to the default action when no procedure has the name", () =>
      Effect.gen(function*() {
        const options: JugglerServer.Options = {
          generation: v05,
          defaultAction: (name, data) => name === "bad" ? Effect.fail("bad one") : Effect.succeed([name, data])
        }
        const peer = yield* serveRaw(yield* serve(options))
        yield* peer.json(rpc(1, "anything", 1, { a: 2 }), rpc(2, "bad"), rpc(3, "add", 1, 1))
        assert.sameDeepMembers(Array.from(yield* peer.take), [
          rpcAnswer(1, true, ["anything", [1, { a: 2 }]]),
          rpcAnswer(2, false, "bad one"),
          rpcAnswer(3, true, 2)
        ])
      }))

    it.effect("that the caller may not make do not exist for that caller", () =>
      Effect.gen(function*() {
        const Group = RpcGroup.make(
          Rpc.make("open", { success: Schema.String }),
          Rpc.make("secret", { success: Schema.String }).pipe(Access.permissionRequired("ops"))
        )
        const Handlers = Group.toLayer({ open: () => Effect.succeed("yes"), secret: () => Effect.succeed("42") })
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const run = yield* JugglerServer.make(Group, {
          generation: v06,
          defaultAction: () => Effect.succeed("by default"),
          onConnection: (connection) => Deferred.succeed(connected, connection)
        }).pipe(Effect.provide(Layer.mergeAll(Handlers, Access.layer)))
        const peer = yield* serveRaw((socket) => Effect.provide(run(socket), Access.layer))
        yield* peer.json(request(1, "open"), request(2, "secret"))
        assert.deepStrictEqual(yield* peer.take, [response(1, true, "yes"), response(2, true, "by default")])
        const { connection } = yield* Deferred.await(connected)
        connection.set(Identity.Cell, Identity.make("root", { permissions: ["ops"] }))
        yield* peer.json(request(3, "secret"))
        assert.deepStrictEqual(yield* peer.take, [response(3, true, "42")])
      }))

    it.effect("that the default action answers are interrupted with the connection, too", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const peer = yield* serveRaw(
          yield* serve({
            generation: v06,
            defaultAction: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push("stopped")))
          })
        )
        yield* peer.json(request(1, "forever"))
        yield* peer.close
        yield* settle
        assert.deepStrictEqual(log, ["stopped"])
      }))

    it.effect("with an empty name are answered with their own data", () =>
      Effect.gen(function*() {
        const peer = yield* serveRaw(yield* serve({ generation: v06, defaultAction: () => Effect.die("seen") }))
        yield* peer.json(request(1, "", { x: 1 }))
        assert.deepStrictEqual(yield* peer.take, [response(1, true, { x: 1 })])
      }))

    it.effect("run side by side, or one after the other", () =>
      Effect.gen(function*() {
        for (const concurrency of [256, 1]) {
          const log: Array<string> = []
          const gate = yield* Deferred.make<void>()
          const peer = yield* serveRaw(yield* serve({ generation: v06, concurrency }, log, gate))
          yield* peer.json(request(1, "wait", { name: "a" }), request(2, "wait", { name: "b" }))
          assert.deepStrictEqual(log, concurrency === 1 ? ["start a"] : ["start a", "start b"])
          yield* Deferred.succeed(gate, undefined)
          assert.deepStrictEqual(yield* peer.take, [response(1, true, "a"), response(2, true, "b")])
        }
      }))

    it.effect("are interrupted when the connection closes", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const peer = yield* serveRaw(yield* serve({ generation: v06 }, log))
        yield* peer.json(request(1, "wait", { name: "a" }))
        yield* peer.close
        yield* settle
        assert.deepStrictEqual(log, ["start a", "stop a"])
      }))

    it.effect("may finish when the server closes, which then says 1001", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const run = yield* serve({ generation: v06 }, [], gate)
        const [server, client] = yield* MemorySocket.makePair()
        const scope = yield* Scope.make()
        yield* Effect.forkIn(run(server), scope)
        const peer = yield* raw(client)
        yield* settle
        yield* peer.json(request(1, "wait", { name: "a" }))
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* settle
        yield* peer.json(request(2, "add", { a: 1, b: 1 }))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* peer.take, [
          response(2, false, "the server is closing"),
          response(1, true, "a")
        ])
        assert.strictEqual(peer.closed(), 1001)
      }))
  })

  describe("symmetric", () => {
    it.effect("follows the data of the client and answers messages in order", () =>
      Effect.gen(function*() {
        const seen: Array<Json> = []
        const peer = yield* serveRaw(
          yield* serve({
            generation: v05,
            autoflush: 0,
            onConnection: (connection) =>
              Effect.gen(function*() {
                yield* Effect.forkScoped(
                  Stream.runForEach(
                    connection.remote.changes,
                    (value) => Effect.andThen(Effect.sync(() => seen.push(value)), connection.set({ echo: value }))
                  )
                )
                yield* Stream.runForEach(connection.messages, (message) => connection.send({ echo: message }))
              })
          })
        )
        yield* peer.take
        yield* peer.json({ type: "DATA", payload: [{ op: "replace", path: "", value: { a: [1] } }] })
        yield* peer.json({
          type: "DATA",
          payload: [
            { op: "test", path: "/a/0", value: 1 },
            { op: "add", path: "/a/-", value: 2 },
            { op: "move", from: "/a/0", path: "/b" },
            { op: "copy", from: "/b", path: "/c" },
            { op: "remove", path: "/b" },
            { op: "replace", path: "/a/0", value: 3 }
          ]
        })
        assert.deepStrictEqual(seen, [null, { a: [1] }, { a: [3], c: 1 }])
        yield* peer.take
        yield* peer.json(...[1, "two", null].map((payload) => ({ type: "MESSAGE", payload })))
        assert.deepStrictEqual(
          yield* peer.take,
          [1, "two", null].map((echo) => ({ type: "MESSAGE", payload: { echo } }))
        )
      }))

    it.effect("lets the handler take what came before the end", () =>
      Effect.gen(function*() {
        const taken: Array<Json> = []
        const [server, client] = yield* MemorySocket.makePair()
        const run = yield* serve({
          generation: v05,
          onConnection: (connection) =>
            Stream.runForEach(connection.messages, (message) =>
              Effect.andThen(Effect.yieldNow, Effect.sync(() => void taken.push(message))))
        })
        const fiber = yield* Effect.forkChild(run(server))
        const peer = yield* raw(client)
        const frames = Array.from({ length: 20 }, (_, payload) =>
          JSON.stringify({ type: "MESSAGE", payload }))
        yield* Effect.forkChild(peer.send(...frames))
        yield* Effect.yieldNow
        yield* peer.close
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(taken, Array.from({ length: taken.length }, (_, i) => i))
        assert.isAbove(taken.length, 0)
      }))

    it.effect("calls the client, and gives its results and failures", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({ generation: v05, onConnection: (connection) => Deferred.succeed(connected, connection) })
        )
        const connection = yield* Deferred.await(connected)
        const first = yield* Effect.forkChild(connection.call("sum", [1, 2]))
        const second = yield* Effect.forkChild(Effect.flip(connection.call("fail", [])))
        assert.deepStrictEqual(yield* peer.take, [rpc(1, "sum", 1, 2), rpc(2, "fail")])
        yield* peer.json(rpcAnswer(2, false, "Error: no"), rpcAnswer(99, true, 1), rpcAnswer(1, true, 3))
        assert.strictEqual(yield* Fiber.join(first), 3)
        const error = yield* Fiber.join(second)
        assert.deepInclude(error.reason, { _tag: "RemoteError", data: "Error: no" })
        const third = yield* Effect.forkChild(Effect.flip(connection.call("never", [])))
        yield* settle
        yield* peer.close
        assert.deepInclude((yield* Fiber.join(third)).reason, { _tag: "ConnectionError", uncertain: true })
      }))

    it.effect("refuses to send what JSON cannot hold", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({ generation: v05, onConnection: (connection) => Deferred.succeed(connected, connection) })
        )
        const connection = yield* Deferred.await(connected)
        for (const bad of [NaN, [Infinity], { a: undefined }, undefined, new Map()]) {
          const sent = yield* Effect.flip(connection.send(bad as Json))
          const called = yield* Effect.flip(connection.call("x", bad as Json))
          assert.deepStrictEqual([sent.reason._tag, called.reason._tag], ["ProtocolError", "ProtocolError"])
        }
        assert.deepStrictEqual(yield* peer.take, [])
      }))

    it.effect("answers a ping and by default sends none", () =>
      Effect.gen(function*() {
        const peer = yield* serveRaw(yield* serve({ generation: v05 }))
        yield* peer.json({ type: "PING", payload: {} })
        assert.deepStrictEqual(yield* peer.take, [{ type: "PONG", payload: {} }])
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* peer.take, [])
        assert.strictEqual(peer.closed(), undefined)
      }))
  })

  describe("keep-alive", () => {
    const keepAlive = { delay: Duration.seconds(10), timeout: Duration.seconds(3) }

    it.effect("pings after silence and closes when nothing comes", () =>
      Effect.gen(function*() {
        for (const generation of [v05, v07]) {
          const peer = yield* serveRaw(yield* serve({ generation, keepAlive }))
          yield* TestClock.adjust("10 seconds")
          yield* settle
          assert.deepStrictEqual(peer.frames, generation.encode({ _tag: "Ping", payload: "" }) as Array<string>)
          yield* TestClock.adjust("3 seconds")
          yield* settle
          assert.strictEqual(peer.closed(), 1001)
        }
      }))

    it.effect("takes any frame for life", () =>
      Effect.gen(function*() {
        const peer = yield* serveRaw(yield* serve({ generation: v07, keepAlive }))
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("11 seconds")
          yield* peer.send(i % 2 === 0 ? "3" : "1")
          yield* TestClock.adjust("2 seconds")
        }
        assert.strictEqual(peer.closed(), undefined)
        assert.isAtLeast(peer.frames.length, 4)
      }))

    it.effect("answers a ping with its payload, between the segments of a message too", () =>
      Effect.gen(function*() {
        const peer = yield* serveRaw(yield* serve({ generation: v07, keepAlive: false }))
        const [first, ...rest] = v07.encode({ _tag: "Request", id: 1, name: "add", data: { a: 1, b: 2 } }, 10)
        yield* peer.send(first!, "2hello", ...rest)
        yield* settle
        assert.deepStrictEqual(peer.frames, ["3hello", `0${JSON.stringify(response(1, true, 3))}`])
      }))
  })

  describe("bad input", () => {
    const bad: ReadonlyArray<
      readonly [string, JugglerGeneration.Generation, ReadonlyArray<string | Uint8Array>, number]
    > = [
      ["a binary frame", v05, [new Uint8Array([123])], 1003],
      ["an unknown type", v05, [`{"type":"HELLO","payload":1}`], 1002],
      ["invalid JSON", v05, [`{"type"`], 1007],
      ["an empty frame", v05, [""], 1007],
      ["an empty frame of 0.7", v07, [""], 1002],
      ["a patch that is none", v05, [`{"type":"DATA","payload":{"op":"add"}}`], 1002],
      ["a patch that does not apply", v05, [`{"type":"DATA","payload":[{"op":"remove","path":"/a"}]}`], 1002],
      [
        "a patch of 1,001 operations",
        v05,
        [JSON.stringify({
          type: "DATA",
          payload: Array.from({ length: 1_001 }, () => ({ op: "replace", path: "", value: 1 }))
        })],
        1002
      ],
      [
        "a patch that copies itself to exponential size",
        v05,
        [JSON.stringify({
          type: "DATA",
          payload: [
            { op: "replace", path: "", value: { a: ["x"] } },
            ...Array.from({ length: 50 }, (_, i) => ({ op: "copy", from: "", path: `/k${i}` }))
          ]
        })],
        1002
      ],
      [
        "a patch that pollutes",
        v05,
        [`{"type":"DATA","payload":[{"op":"add","path":"","value":{"__proto__":{}}}]}`],
        1002
      ],
      ["a state from a client of 0.6", v06, [`{"type":"state","diff":[]}`], 1002],
      ["a response from a client of 0.6", v06, [`{"type":"response","id":1,"success":true,"data":1}`], 1002],
      ["a message of another generation", v06, [`{"type":"PING","payload":{}}`], 1002],
      ["an id that is under way", v06, [
        JSON.stringify(request(1, "wait", { name: "a" })),
        JSON.stringify(request(1, "wait", { name: "b" }))
      ], 1002],
      ["a last segment that is no message", v07, ["1{", "0["], 1007],
      ["a message that never ends", v07, Array.from({ length: 20 }, () => "1" + "x".repeat(1_000)), 1009]
    ]
    it.effect.each(bad)(
      "%s closes that connection and no other",
      ([, generation, frames, code]) =>
        Effect.gen(function*() {
          const state = yield* JugglerState.makeJson({ n: 1 })
          const run = yield* serve({
            generation,
            state,
            autoflush: 0,
            limits: { maxMessageSize: 200_000, ...(code === 1009 ? { maxMessageSize: 10_000 } : {}) }
          })
          const good = yield* serveRaw(run)
          const peer = yield* serveRaw(run)
          yield* peer.send(...frames)
          yield* settle
          assert.strictEqual(peer.closed(), code)
          good.frames.length = 0
          yield* state.put(["n"], 2)
          yield* settle
          assert.strictEqual(good.frames.length, 1)
          assert.strictEqual(good.closed(), undefined)
        })
    )

    it.effect("of a patch leaves nothing of it applied", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const peer = yield* serveRaw(
          yield* serve({ generation: v05, onConnection: (connection) => Deferred.succeed(connected, connection) })
        )
        const connection = yield* Deferred.await(connected)
        yield* peer.json({ type: "DATA", payload: [{ op: "add", path: "", value: { a: 1 } }] })
        yield* peer.json({
          type: "DATA",
          payload: [{ op: "replace", path: "/a", value: 2 }, { op: "test", path: "/a", value: 1 }]
        })
        assert.strictEqual(peer.closed(), 1002)
        assert.deepStrictEqual(yield* connection.remote.json, { a: 1 })
      }))

    it.effect("of messages that nobody takes pauses the reading", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const [server, client] = yield* MemorySocket.makePair({ capacity: 5 })
        yield* Effect.forkScoped(
          (yield* serve({
            generation: v05,
            maxMessages: 10,
            onConnection: (connection) => Deferred.succeed(connected, connection)
          }))(server)
        )
        const peer = yield* raw(client)
        const connection = yield* Deferred.await(connected)
        const sending = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 100 }, (_, i) => i), (payload) => peer.json({ type: "MESSAGE", payload }))
        )
        yield* settle
        yield* settle
        assert.strictEqual(sending.pollUnsafe(), undefined)
        const received: Array<Json> = []
        for (let i = 0; i < 100; i++) received.push(yield* connection.receive)
        assert.deepStrictEqual(received, Array.from({ length: 100 }, (_, i) => i))
        yield* Fiber.join(sending)
      }))

    it.effect("that is a peer which never reads makes send wait", () =>
      Effect.gen(function*() {
        const connected = yield* Deferred.make<JugglerConnection.JugglerConnection>()
        const [server, client] = yield* MemorySocket.makePair({ capacity: 1 })
        yield* Effect.forkScoped(
          (yield* serve({
            generation: v05,
            maxSending: 16,
            onConnection: (connection) => Deferred.succeed(connected, connection)
          }))(server)
        )
        const scope = yield* Scope.make()
        yield* Scope.provide(client.reader, scope)
        const connection = yield* Deferred.await(connected)
        let sent = 0
        const sending = yield* Effect.forkChild(
          Effect.flip(Effect.forever(Effect.andThen(connection.send("x"), Effect.sync(() => void sent++))))
        )
        yield* settle
        assert.isBelow(sent, 40)
        assert.strictEqual(sending.pollUnsafe(), undefined)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(sending)).reason._tag, "ConnectionError")
      }))
  })

  it.effect("notifies all clients of 0.6 and 0.7", () =>
    Effect.gen(function*() {
      const clients = yield* JugglerClients.make
      const peers = []
      for (const generation of [v05, v06, v07]) {
        const run = yield* Effect.provideService(serve({ generation }), JugglerClients.JugglerClients, clients)
        peers.push(yield* serveRaw(run))
      }
      assert.strictEqual((yield* clients.all).length, 3)
      assert.strictEqual(yield* clients.notify("tick", { n: 1 }), 2)
      yield* settle
      const text = `{"type":"notify","name":"tick","data":{"n":1}}`
      assert.deepStrictEqual(peers.map((peer) => peer.frames), [[], [text], ["0" + text]])
      for (const peer of peers) yield* peer.close
      yield* settle
      assert.strictEqual((yield* clients.all).length, 0)
    }))
})
