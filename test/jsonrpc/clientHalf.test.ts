/** The client half as an app notices it: order, reconnection, what ends and what is told. The table is in rpc/calls.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Logger, Queue, References, Schedule, Schema, Stream } from "effect"
import {
  JsonRpcClient,
  JsonRpcClients,
  JsonRpcError,
  JsonRpcPeer,
  type JsonRpcRemote,
  JsonRpcServer,
  JsonRpcTest,
  Wire
} from "effect-wire/jsonrpc"
import { Progress, RpcConnection } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { fromSocket } from "./raw.ts"

/** A server that writes down what it is sent, connection by connection, and answers as it is told. */
const recording = (
  answer: (message: any, connection: number) => string | undefined = () => undefined,
  options?: MemorySocket.ConnectOptions
) =>
  Effect.gen(function*() {
    const server = yield* MemorySocket.makeServer()
    const seen: Array<string> = []
    const frames: Array<string> = []
    let connections = 0
    yield* Effect.forkScoped(
      server.server.run((socket) =>
        Effect.scoped(Effect.gen(function*() {
          const connection = ++connections
          const { pull } = yield* socket.reader
          const writer = yield* socket.writer
          while (true) {
            for (const frame of yield* pull) {
              frames.push(String(frame))
              const parsed = JSON.parse(String(frame))
              for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
                seen.push(`${connection}:${message.method}`)
                const text = answer(message, connection)
                if (text === "cut") return
                if (text !== undefined) yield* writer.write(text)
              }
            }
          }
        }))
      ),
      { startImmediately: true }
    )
    return { socket: server.connect(options), seen, frames }
  })

const result = (message: any, value: unknown) => JSON.stringify({ jsonrpc: "2.0", id: message.id, result: value })

const reasonOf = (exit: Exit.Exit<unknown, unknown>): JsonRpcError.JsonRpcError["reason"] | undefined => {
  const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  return error instanceof JsonRpcError.JsonRpcError ? error.reason : undefined
}

const down = Socket.make({
  reader: Effect.fail(
    new Socket.SocketError({
      reason: new Socket.SocketOpenError({ kind: "Unknown", cause: new Error("nobody is there") })
    })
  ),
  writer: Effect.never
})

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("order", () => {
  for (const connect of ["lazy", "eager"] as const) {
    it.effect(`what is made before the line is up is sent as it was made (${connect})`, () =>
      Effect.gen(function*() {
        const { seen, socket } = yield* recording()
        const client = yield* JsonRpcClient.fromSocket(socket, { connect })
        yield* fork(client.call("login"))
        yield* client.notify("hello")
        yield* fork(JsonRpcClient.batch([client.call("a"), client.notify("b")]))
        yield* fork(client.call("c"))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(seen, ["1:login", "1:hello", "1:a", "1:b", "1:c"])
      }))
  }

  it.effect("what was sent and may be sent again goes back to its place before what waits", () =>
    Effect.gen(function*() {
      const { seen, socket } = yield* recording((message, connection) =>
        connection === 1 && message.method === "second" ? "cut" : undefined
      )
      const client = yield* JsonRpcClient.fromSocket(socket, { whileDisconnected: "wait" })
      yield* client.connect
      yield* fork(client.call("first", [], { idempotent: true }))
      yield* fork(client.call("second", [], { idempotent: true }))
      yield* TestClock.adjust(10)
      yield* client.notify("third")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["1:first", "1:second", "2:first", "2:second", "2:third"])
    }))

  it.effect("a call that is given up while it waits never leaves", () =>
    Effect.gen(function*() {
      const { seen, socket } = yield* recording()
      const client = yield* JsonRpcClient.fromSocket(socket, { connect: "lazy", wire: Wire.rockets })
      const given = yield* fork(client.call("given"))
      yield* fork(client.call("kept"))
      yield* Fiber.interrupt(given)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["1:kept"])
    }))

  it.effect("no more calls are under way than the server takes, the others follow in order", () =>
    Effect.gen(function*() {
      const { seen, socket } = yield* recording((message) => message.method === "a" ? result(message, 1) : undefined)
      const client = yield* JsonRpcClient.fromSocket(socket, { maxInFlight: 2 })
      yield* client.connect
      for (const method of ["w", "x", "y", "z"]) yield* fork(client.call(method))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(seen, ["1:w", "1:x"])
    }))
})

describe("the end", () => {
  class Server extends RpcGroup.make(Rpc.make("slow"), Rpc.make("go")) {}
  class Back extends RpcGroup.make(Rpc.make("bye")) {}

  const makePeer = (bye: (remote: JsonRpcClient.Client) => Effect.Effect<void>) =>
    Effect.gen(function*() {
      const memory = yield* MemorySocket.makeServer()
      const serve = yield* JsonRpcServer.make(Server).pipe(Effect.provide(Server.toLayer({
        slow: () => Effect.never,
        go: () =>
          Effect.flatMap(
            JsonRpcClients.current,
            (client) => Effect.asVoid(Effect.forkDetach(Effect.ignore(client!.call("bye"))))
          )
      })))
      yield* Effect.forkScoped(memory.server.run(serve), { startImmediately: true })
      let remote: JsonRpcClient.Client | undefined
      const peer = yield* JsonRpcPeer.make({ serves: Back, calls: Server }).pipe(
        Effect.provide(Back.toLayer({ bye: () => Effect.suspend(() => bye(remote!)) })),
        Effect.provideService(Socket.Socket, memory.connect())
      )
      remote = peer.remote
      yield* remote.connect
      return remote
    })

  for (
    const [how, bye] of [
      ["", (remote: JsonRpcClient.Client) => remote.disconnect],
      [" that cannot be interrupted", (remote: JsonRpcClient.Client) => Effect.uninterruptible(remote.disconnect)],
      [" that gives up waiting", (remote: JsonRpcClient.Client) => Effect.ignore(Effect.timeout(remote.disconnect, 1))]
    ] as const
  ) {
    it.effect(`disconnecting in a handler${how} leaves nothing pending`, () =>
      Effect.gen(function*() {
        const remote = yield* makePeer(bye)
        const slow = yield* fork(Effect.exit(remote.call("slow")))
        yield* fork(Effect.ignore(remote.call("go")))
        yield* TestClock.adjust("2 seconds")
        const reason = reasonOf(slow.pollUnsafe()?._tag === "Success" ? (slow.pollUnsafe() as any).value : Exit.void)
        assert.isTrue(reason?._tag === "ConnectionError" && reason.kind === "Ended" && reason.maybeExecuted)
        assert.isFalse(yield* remote.connected)
        assert.isTrue((yield* Effect.flip(remote.call("go"))).reason._tag === "ConnectionError")
        assert.strictEqual(remote.port!.caller.inFlight, 0)
      }))
  }

  it.effect("connect and status tell the truth: after a cut, after the end, before the first use", () =>
    Effect.gen(function*() {
      const { socket } = yield* recording(() => "cut")
      for (const whileDisconnected of ["wait", "fail"] as const) {
        const client = yield* JsonRpcClient.fromSocket(socket, {
          whileDisconnected,
          reconnect: Schedule.spaced("1 hour")
        })
        yield* client.connect
        yield* Effect.ignore(client.call("x"))
        yield* TestClock.adjust(1)
        assert.isFalse(yield* client.connected)
        const connecting = yield* fork(Effect.exit(client.connect))
        assert.strictEqual(connecting.pollUnsafe() === undefined, whileDisconnected === "wait")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual((yield* Fiber.join(connecting))._tag, whileDisconnected === "wait" ? "Success" : "Failure")
        yield* client.disconnect
        assert.strictEqual((yield* Effect.exit(client.connect))._tag, "Failure")
        assert.deepStrictEqual(
          (yield* Stream.runCollect(client.status)).map((status) => status._tag),
          ["Ended"]
        )
      }
      const unused = yield* JsonRpcClient.fromSocket(socket, { connect: "lazy" })
      assert.strictEqual((yield* Stream.runCollect(Stream.take(unused.status, 1)))[0]?._tag, "Idle")
      yield* unused.disconnect
      assert.deepStrictEqual((yield* Stream.runCollect(unused.status)).map((status) => status._tag), ["Ended"])
    }))

  it.effect("the first dial is no disconnection: what is called meanwhile waits for it, then fails with it", () =>
    Effect.gen(function*() {
      const { socket } = yield* recording((message) => result(message, message.method), { latency: 50 })
      const client = yield* JsonRpcClient.fromSocket(socket, { connect: "lazy", whileDisconnected: "fail" })
      const both = yield* fork(Effect.all([client.call("a"), client.call("b")], { concurrency: 2 }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(both), ["a", "b"])

      const nobody = yield* JsonRpcClient.fromSocket(down)
      const error = yield* Effect.flip(nobody.call("list"))
      assert.strictEqual(error.message, "list: cannot connect: nobody is there")
      assert.isTrue(error.reason._tag === "ConnectionError" && error.reason.kind === "Offline")
    }).pipe(Effect.provide(Logger.layer([]))))

  it.effect("what waits for a connection is bounded in bytes, and calls in number", () =>
    Effect.gen(function*() {
      const client = yield* JsonRpcClient.fromSocket(down, {
        whileDisconnected: "wait",
        reconnect: Schedule.spaced("1 hour")
      })
      yield* TestClock.adjust(1)
      const text = "x".repeat(1000)
      const exits = yield* Effect.forEach(
        Array.from({ length: 2000 }),
        () => Effect.exit(client.notify("tick", [text]))
      )
      const refused = exits.filter(Exit.isFailure)
      assert.isAbove(refused.length, 1000)
      const reason = reasonOf(refused[0]!)
      assert.isTrue(reason?._tag === "ConnectionError" && reason.kind === "Full" && !reason.maybeExecuted)

      const { socket } = yield* recording()
      const open = yield* JsonRpcClient.fromSocket(socket)
      yield* open.connect
      yield* Effect.forEach(Array.from({ length: 1024 }), () => fork(open.call("x")))
      const full = yield* Effect.flip(open.call("one too many"))
      assert.strictEqual(full.message, "one too many: 1024 calls wait for an answer already")
    }).pipe(Effect.provide(Logger.layer([]))))

  it.effect("a call without an answer ends after a minute and is cancelled; progress extends it", () =>
    Effect.gen(function*() {
      const [near, far] = yield* MemorySocket.makePair()
      const peer = yield* fromSocket(far)
      const client = yield* JsonRpcClient.fromSocket(near, { wire: Wire.rockets })
      const call = yield* fork(Effect.flip(client.call("x").pipe(Progress.tap(() => Effect.void))))
      yield* peer.take
      yield* TestClock.adjust("50 seconds")
      yield* peer.send(`{"jsonrpc":"2.0","method":"progress","params":{"id":1,"operation":"","amount":0.5}}`)
      yield* TestClock.adjust("50 seconds")
      assert.isUndefined(call.pollUnsafe())
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(call)
      assert.strictEqual(error.message, "x: no answer within 60 s")
      assert.strictEqual((yield* peer.takeJson).method, "cancel")
    }))
})

describe("onConnect", () => {
  it.effect("runs on each connection before anything else is sent", () =>
    Effect.gen(function*() {
      const { seen, socket } = yield* recording((message, connection) =>
        connection === 1 && message.method === "boom" ? "cut" : result(message, message.method)
      )
      const client = yield* JsonRpcClient.fromSocket(socket, {
        whileDisconnected: "wait",
        onConnect: (remote) => remote.call("login", ["ann"])
      })
      const first = yield* fork(client.call("a"))
      yield* client.notify("boom")
      yield* TestClock.adjust(50)
      yield* Fiber.join(first)
      const later = yield* fork(client.call("b"))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(later), "b")
      assert.deepStrictEqual(seen, ["1:login", "1:a", "1:boom", "2:login", "2:b"])
    }))

  it.effect("its failure is the connection's, so is its silence", () =>
    Effect.gen(function*() {
      for (
        const [onConnect, message] of [
          // @effect-diagnostics-next-line globalErrorInEffectFailure:off
          [() => Effect.fail(new Error("wrong password")), "list: cannot connect: wrong password"],
          [(remote: JsonRpcRemote.Remote) => remote.call("login"), "list: cannot connect: login: Denied"],
          [() => Effect.die("a bug"), "list: cannot connect: a bug"],
          [() => Effect.never, "list: cannot connect: the connection did not open in time"]
        ] as const
      ) {
        const { seen, socket } = yield* recording((message) =>
          JSON.stringify({ jsonrpc: "2.0", id: message.id, error: { code: 1, message: "login: Denied" } })
        )
        const client = yield* JsonRpcClient.fromSocket(socket, { onConnect, reconnect: false })
        const call = yield* fork(Effect.flip(client.call("list")))
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* Fiber.join(call)).message, message)
        assert.notInclude(seen, "1:list")
        const [status] = yield* Stream.runCollect(client.status)
        assert.strictEqual(status?._tag, "Ended")
      }
    }))

  it.effect("its remote belongs to that connection only", () =>
    Effect.gen(function*() {
      const { seen, socket } = yield* recording((message) => message.method === "boom" ? "cut" : undefined)
      const kept: Array<JsonRpcRemote.Remote> = []
      const client = yield* JsonRpcClient.fromSocket(socket, {
        onConnect: (remote) => Effect.sync(() => kept.push(remote))
      })
      yield* client.connect
      yield* client.notify("boom")
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* client.connected)
      assert.strictEqual((yield* Effect.flip(kept[0]!.call("late"))).reason._tag, "ConnectionError")
      assert.strictEqual((yield* Effect.flip(kept[0]!.notify("late"))).reason._tag, "ConnectionError")
      yield* fork(kept[1]!.call("now"))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(seen, ["1:boom", "2:now"])
    }))
})

describe("batches", () => {
  it.effect("go out whatever their members are", () =>
    Effect.gen(function*() {
      const { frames, socket } = yield* recording((message) => result(message, 7))
      const client = yield* JsonRpcClient.fromSocket(socket)
      yield* client.connect
      yield* JsonRpcClient.batch([client.notify("note", [1]), client.notify("note", [2])])
      yield* JsonRpcClient.batch([Effect.void, client.notify("alone")])
      const mixed = yield* fork(JsonRpcClient.batch([Effect.succeed(1), client.call("x"), client.notify("y")]))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(mixed), [1, 7, undefined])
      yield* JsonRpcClient.batch([])
      assert.deepStrictEqual(frames, [
        `[{"jsonrpc":"2.0","method":"note","params":[1]},{"jsonrpc":"2.0","method":"note","params":[2]}]`,
        `{"jsonrpc":"2.0","method":"alone"}`,
        `[{"jsonrpc":"2.0","id":1,"method":"x"},{"jsonrpc":"2.0","method":"y"}]`
      ])
    }))

  it.effect("report progress to the end, also with members that make no call or report nothing", () =>
    Effect.gen(function*() {
      const [near, far] = yield* MemorySocket.makePair()
      const peer = yield* fromSocket(far)
      const client = yield* JsonRpcClient.fromSocket(near, { wire: Wire.rockets })
      const amounts: Array<number> = []
      const batch = yield* fork(
        JsonRpcClient.batch([Effect.succeed(1), client.call("silent"), client.call("loud")]).pipe(
          Progress.tap(({ amount }) => Effect.sync(() => amounts.push(Math.round(amount * 100))))
        )
      )
      yield* peer.take
      const report = (amount: number) =>
        `{"jsonrpc":"2.0","method":"progress","params":{"id":2,"operation":"","amount":${amount}}}`
      yield* peer.send(report(0.5), `{"jsonrpc":"2.0","id":1,"result":1}`)
      yield* TestClock.adjust(1)
      yield* peer.send(report(1), `{"jsonrpc":"2.0","id":2,"result":2}`)
      yield* Fiber.join(batch)
      assert.deepStrictEqual(amounts, [50, 100])
    }))
})

describe("errors", () => {
  it.effect("an error that names no request fails no call that is not certainly meant, and is logged", () =>
    Effect.gen(function*() {
      const lines = yield* Queue.unbounded<string>()
      const logger = Logger.make(({ logLevel, message }) => void Queue.offerUnsafe(lines, `${logLevel} ${message}`))
      yield* Effect.gen(function*() {
        const [near, far] = yield* MemorySocket.makePair()
        const peer = yield* fromSocket(far)
        const client = yield* JsonRpcClient.fromSocket(near)
        const error = (code: number) => `{"jsonrpc":"2.0","error":{"code":${code},"message":"no"},"id":null}`
        const transfer = yield* fork(client.call("transfer"))
        yield* peer.take
        yield* client.notify("bad")
        yield* peer.take
        yield* peer.send(error(-32601), error(-32600), `{"jsonrpc":"2.0","result":"transferred","id":1}`)
        assert.strictEqual(yield* Fiber.join(transfer), "transferred")
        assert.strictEqual(yield* Queue.size(lines), 2)
        // what cannot be anything else
        const only = yield* fork(Effect.exit(client.call("only")))
        yield* peer.take
        yield* peer.send(error(-32600))
        assert.strictEqual(reasonOf(yield* Fiber.join(only))?._tag, "RemoteError")
      }).pipe(Effect.provide(Logger.layer([logger])))
    }))

  it.effect("a client that keeps failing to connect says so once, then at longer intervals, then that it is back", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
      const { socket } = yield* recording()
      let there = false
      const flaky = Socket.make({
        reader: Effect.suspend(() => there ? socket.reader : down.reader),
        writer: socket.writer
      })
      yield* Effect.gen(function*() {
        yield* JsonRpcClient.fromSocket(flaky, { reconnect: Schedule.spaced("1 second") })
        yield* TestClock.adjust("10 minutes")
        there = true
        yield* TestClock.adjust("10 seconds")
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(lines.flat(), [
        ...Array.from({ length: 4 }, () => "Warn cannot connect: nobody is there"),
        "Info connected again"
      ])
    }))

  it.effect("of wrong parameters everything that is wrong is said", () =>
    Effect.gen(function*() {
      class Group extends RpcGroup.make(
        Rpc.make("echo", { payload: { x: Schema.Int, y: Schema.Int, z: Schema.Int }, success: Schema.Int })
      ) {}
      const remote = yield* JsonRpcTest.makeRemote(Group).pipe(
        Effect.provide(Group.toLayer({ echo: ({ x }) => Effect.succeed(x) }))
      )
      const { reason } = yield* Effect.flip(remote.call("echo", { x: "a", y: 1.5 }))
      assert.deepStrictEqual(
        reason._tag === "RemoteError" && (reason.data as any).issues.map(({ path }: any) => path),
        [["x"], ["y"], ["z"]]
      )
    }))

  it.effect("a call that access refuses is logged at debug", () =>
    Effect.gen(function*() {
      class Group extends RpcGroup.make(Rpc.make("own", { success: Schema.String })) {}
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel} ${message}`))
      const [near, far] = yield* MemorySocket.makePair()
      const run = yield* JsonRpcServer.make(Group).pipe(
        Effect.provide(Group.toLayer({ own: () => Effect.succeed("x") })),
        Effect.provideService(RpcConnection.MethodAccess, () => false),
        Effect.provide(Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Trace")))
      )
      yield* Effect.forkScoped(run(near))
      const client = yield* JsonRpcClient.fromSocket(far)
      assert.strictEqual((yield* Effect.flip(client.call("own"))).message, "Method not found")
      assert.deepStrictEqual(lines, ["Debug access refused"])
    }))
})

describe("remotes of the app's own", () => {
  class Group extends RpcGroup.make(
    Rpc.make("add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }),
    Rpc.make("count", { success: Schema.Int, stream: true }),
    Rpc.make("fail", { error: Schema.String.annotate(JsonRpcError.wire({ code: 7 })) })
  ) {}
  const made = (log: Array<string>): JsonRpcRemote.Remote => ({
    call: (method, params, options) =>
      Effect.suspend((): Effect.Effect<Schema.Json, JsonRpcError.JsonRpcError> => {
        log.push(`${method} ${JSON.stringify(params)} ${JSON.stringify(options)}`)
        if (method === "fail") {
          return Effect.fail(
            new JsonRpcError.JsonRpcError({
              reason: new JsonRpcError.RemoteError({ code: 7, message: "no", data: "declared" })
            })
          )
        }
        return method === "count" ? Effect.succeed([1, 2, 3]) : Effect.succeed(5)
      }),
    notify: (method, params) => Effect.sync(() => void log.push(`note ${method} ${JSON.stringify(params)}`))
  })

  it.effect("carry typed calls, streams, failures and notifications", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const client = yield* JsonRpcClient.fromRemote(Group, made(log))
      assert.strictEqual(yield* client.add({ a: 2, b: 3 }, { headers: { "x-a": "1" } }), 5)
      assert.deepStrictEqual(yield* Stream.runCollect(client.count()), [1, 2, 3])
      assert.strictEqual(yield* Effect.flip(client.fail()), "declared")
      yield* client.add({ a: 1, b: 1 }, { discard: true })
      assert.deepStrictEqual(log, [
        `add {"a":2,"b":3} {"idempotent":false,"stream":false,"headers":{"x-a":"1"}}`,
        `count undefined {"idempotent":false,"stream":true}`,
        `fail undefined {"idempotent":false,"stream":false}`,
        `note add {"a":1,"b":1}`
      ])
    }))

  it.effect("are interrupted with the call", () =>
    Effect.gen(function*() {
      let interrupted = false
      const client = yield* JsonRpcClient.fromRemote(Group, {
        call: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true))),
        notify: () => Effect.void
      })
      const fiber = yield* fork(client.add({ a: 1, b: 1 }))
      yield* Fiber.interrupt(fiber)
      assert.isTrue(interrupted)
    }))

  it.effect("headers of a call are refused where the wire has none, not forgotten", () =>
    Effect.gen(function*() {
      const { socket } = yield* recording()
      const remote = yield* JsonRpcClient.fromSocket(socket)
      const client = yield* JsonRpcClient.fromRemote(Group, remote)
      const error = yield* Effect.flip(client.add({ a: 1, b: 1 }, { headers: { authorization: "x" } }))
      assert.strictEqual(error.reason._tag, "ProtocolError")
      assert.strictEqual(
        (yield* Effect.flip(remote.call("x", [], { headers: { a: "b" } }))).reason._tag,
        "ProtocolError"
      )
    }))
})
