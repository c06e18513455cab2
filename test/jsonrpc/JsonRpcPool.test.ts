/** Remotes over several connections: JsonRpcPool and JsonRpcFailover. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Logger, Queue, Schedule, Schema } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcFailover, JsonRpcPool, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"

class Group extends RpcGroup.make(
  Rpc.make("who", { success: Schema.String }),
  Rpc.make("write", { success: Schema.String }),
  Rpc.make("read", { success: Schema.String }).annotate(JsonRpcClient.Idempotent, true)
) {}

/** A server that can be taken away and put back; `write` and `read` wait for a permit. */
const makeServer = (name: string) =>
  Effect.gen(function*() {
    const memory = yield* MemorySocket.makeServer()
    const permits = yield* Queue.unbounded<void>()
    const serve = yield* JsonRpcServer.make(Group, { drainTimeout: 0 }).pipe(Effect.provide(Group.toLayer({
      who: () => Effect.succeed(name),
      write: () => Effect.as(Queue.take(permits), name),
      read: () => Effect.as(Queue.take(permits), name)
    })))
    let there = false
    let running: Fiber.Fiber<unknown, unknown> | undefined
    const socket = memory.connect()
    return {
      name,
      permits,
      socket: Socket.make({
        reader: Effect.suspend(() =>
          there
            ? socket.reader
            : Effect.fail(
              new Socket.SocketError({
                reason: new Socket.SocketOpenError({ kind: "Unknown", cause: new Error(`${name} is down`) })
              })
            )
        ),
        writer: socket.writer
      }),
      up: Effect.gen(function*() {
        there = true
        running = yield* Effect.forkChild(memory.server.run(serve), { startImmediately: true })
      }),
      down: Effect.suspend(() => {
        there = false
        return Fiber.interrupt(running!)
      })
    }
  })

const dial = (options?: JsonRpcClient.Options) => (server: { readonly socket: Socket.Socket }) =>
  JsonRpcClient.fromSocket(server.socket, { reconnect: Schedule.spaced("1 second"), ...options })

const test = (name: string, body: Effect.Effect<void, unknown, import("effect").Scope.Scope>) =>
  it.effect(name, () => Effect.provide(body, Logger.layer([])))

const fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("a pool", () => {
  test(
    "gives each call to the open connection with the fewest calls under way",
    Effect.gen(function*() {
      const servers = yield* Effect.forEach(["a", "b"], makeServer)
      for (const server of servers) yield* server.up
      const pool = yield* JsonRpcPool.make(2, (index) => dial()(servers[index]!))
      const client = yield* JsonRpcClient.fromRemote(Group, pool)
      yield* TestClock.adjust(1)
      const calls = yield* Effect.forEach(Array.from({ length: 4 }), () => fork(client.write()))
      for (const { permits } of servers) yield* Queue.offerAll(permits, [undefined, undefined])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual((yield* Effect.forEach(calls, Fiber.join)).sort(), ["a", "a", "b", "b"])
      yield* servers[0]!.down
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Effect.all([client.who(), client.who(), client.who()]), ["b", "b", "b"])
    })
  )
  test(
    "tries a lost idempotent call elsewhere, and no other",
    Effect.gen(function*() {
      const [a, b] = yield* Effect.all([makeServer("a"), makeServer("b")])
      yield* a.up
      const pool = JsonRpcPool.fromClients([yield* dial()(a), yield* dial()(b)])
      const client = yield* JsonRpcClient.fromRemote(Group, pool)
      yield* TestClock.adjust(1)
      const read = yield* fork(client.read())
      const write = yield* fork(Effect.flip(client.write()))
      yield* TestClock.adjust(1)
      yield* b.up
      yield* TestClock.adjust("1 second")
      yield* a.down
      yield* Queue.offer(b.permits, undefined)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(read), "b")
      const { reason } = yield* Fiber.join(write)
      assert.isTrue(reason._tag === "ConnectionError" && reason.maybeExecuted)
      yield* b.down
      const gone = yield* Effect.flip(client.who())
      assert.include(gone.message, "who: ")
      const nobody = yield* Effect.flip(JsonRpcPool.fromClients([]).call("x"))
      assert.isTrue(nobody instanceof JsonRpcError.JsonRpcError)
    })
  )
})

describe("a fail-over", () => {
  test(
    "uses the preferred address while it is there, the next while it is not",
    Effect.gen(function*() {
      const servers = yield* Effect.all([makeServer("first"), makeServer("second")])
      const [first, second] = servers
      yield* second.up
      const remote = yield* JsonRpcFailover.make(servers, dial({ connect: "lazy" }))
      const client = yield* JsonRpcClient.fromRemote(Group, remote)
      assert.strictEqual(yield* client.who(), "second")
      yield* first.up
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* client.who(), "first")
      const read = yield* fork(client.read())
      const write = yield* fork(Effect.flip(client.write()))
      yield* TestClock.adjust(1)
      yield* first.down
      yield* Queue.offer(second.permits, undefined)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(read), "second")
      const { reason } = yield* Fiber.join(write)
      assert.isTrue(reason._tag === "ConnectionError" && reason.maybeExecuted)
      yield* second.down
      assert.strictEqual(
        (yield* Effect.flip(client.who())).message,
        "the connection was lost: closed with 1001 (going away)"
      )
    })
  )
  test(
    "of addresses that are all down fails with what the last one said",
    Effect.gen(function*() {
      const servers = yield* Effect.all([makeServer("first"), makeServer("second")])
      const remote = yield* JsonRpcFailover.make(servers, dial({ reconnect: false }))
      assert.strictEqual((yield* Effect.flip(remote.call("x"))).message, "cannot connect: second is down")
      assert.strictEqual((yield* Effect.flip(remote.notify("x"))).message, "cannot connect: second is down")
      const nowhere = JsonRpcFailover.fromClients([])
      assert.strictEqual((yield* Effect.flip(nowhere.call("x"))).message, "there is no address")
    })
  )
})
