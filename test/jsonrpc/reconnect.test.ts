import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket, Reconnect } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"

class Group extends RpcGroup.make(
  Rpc.make("read", { success: Schema.Int }).annotate(JsonRpcClient.Idempotent, true),
  Rpc.make("write", { success: Schema.Int })
) {}

const make = (options: JsonRpcClient.Options) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    let runs = 0
    const handlers = yield* Layer.build(Group.toLayer({
      read: () => Effect.delay(Effect.sync(() => ++runs), "1 second"),
      write: () => Effect.delay(Effect.sync(() => ++runs), "1 second")
    }))
    const serve = yield* Effect.provideContext(JsonRpcServer.make(Group, { drainTimeout: 0 }), handlers)
    const start = Effect.forkChild(memory.server.run(serve))
    const connection = yield* JsonRpcClient.fromSocket(memory.connect(), options)
    const client = yield* JsonRpcClient.fromRemote(Group, connection)
    return { client, connection, start }
  })

it.effect("a lost connection fails what may not be sent again, and sends again what may", () =>
  Effect.gen(function*() {
    const { client, connection, start } = yield* make({ reconnect: Reconnect.schedule, whileDisconnected: "wait" })
    const server = yield* start
    yield* connection.connect
    const statuses: Array<string> = []
    yield* Effect.forkChild(Stream.runForEach(connection.status, (s) => Effect.sync(() => statuses.push(s._tag))))
    const read = yield* Effect.forkChild(client.read())
    const write = yield* Effect.forkChild(Effect.flip(client.write()))
    yield* TestClock.adjust("100 millis")
    yield* Fiber.interrupt(server)
    const error = yield* Fiber.join(write)
    assert.isTrue(error.reason._tag === "ConnectionError" && error.reason.maybeExecuted)
    const late = yield* Effect.forkChild(client.write())
    yield* start
    yield* TestClock.adjust("1 minute")
    assert.isNumber(yield* Fiber.join(read))
    assert.isNumber(yield* Fiber.join(late))
    assert.deepStrictEqual(statuses, ["Open", "Lost", "Dialling", "Open"])
  }))

it.effect("a client that is not to reconnect has ended when its connection is lost", () =>
  Effect.gen(function*() {
    const { client, connection, start } = yield* make({ reconnect: false })
    const server = yield* start
    yield* connection.connect
    yield* TestClock.adjust("1 milli")
    yield* Fiber.interrupt(server)
    yield* TestClock.adjust("1 minute")
    const error = yield* Effect.flip(client.read())
    assert.isTrue(error instanceof JsonRpcError.JsonRpcError && error.reason._tag === "ConnectionError")
    assert.isFalse(yield* connection.connected)
  }))

it.effect("calls made while there is no connection fail at once where that is asked for", () =>
  Effect.gen(function*() {
    const { client, connection, start } = yield* make({
      whileDisconnected: "fail",
      reconnect: Schedule.spaced("1 hour")
    })
    const server = yield* start
    yield* connection.connect
    yield* TestClock.adjust("1 milli")
    yield* Fiber.interrupt(server)
    yield* TestClock.adjust("1 second")
    const error = yield* Effect.flip(client.read())
    assert.isTrue(error.reason._tag === "ConnectionError" && !error.reason.maybeExecuted)
  }))

it.effect("a lazy client connects at the first call", () =>
  Effect.gen(function*() {
    const { client, connection, start } = yield* make({ connect: "lazy" })
    yield* start
    yield* TestClock.adjust("1 second")
    assert.isFalse(yield* connection.connected)
    const read = yield* Effect.forkChild(client.read())
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(yield* Fiber.join(read), 1)
    assert.isTrue(yield* connection.connected)
    yield* connection.disconnect
    assert.isFalse(yield* connection.connected)
  }))
