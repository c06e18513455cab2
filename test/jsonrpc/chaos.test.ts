/**
 * Client and server over connections that are cut at random places, by a seeded generator: every call ends; what may not
 * be run twice is not; what is said not to have been executed was not; what may be sent again gets its answer.
 */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Metric, Schedule, Schema } from "effect"
import { JsonRpcClient, JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { RpcMetrics } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket } from "effect/socket"
import { TestClock } from "effect/testing"
import { seeded } from "./mutate.ts"

const payload = { n: Schema.Int, ms: Schema.Int }

class Group extends RpcGroup.make(
  Rpc.make("once", { payload, success: Schema.Int }),
  Rpc.make("again", { payload, success: Schema.Int }).annotate(JsonRpcClient.Idempotent, true)
) {}

const run = (seed: number) =>
  Effect.scoped(Effect.gen(function*() {
    const random = seeded(seed)
    const below = (n: number) => Math.floor(random() * n)
    const executed = new Map<number, number>()
    const work = ({ ms, n }: { readonly n: number; readonly ms: number }) =>
      Effect.suspend(() => {
        executed.set(n, (executed.get(n) ?? 0) + 1)
        return ms === 0 ? Effect.succeed(n) : Effect.as(Effect.sleep(ms), n)
      })
    const memory = yield* MemorySocket.makeServer()
    const serve = yield* JsonRpcServer.make(Group, {
      wire: Wire.rockets,
      concurrency: 1 + below(4)
    }).pipe(Effect.provide(Group.toLayer({ once: work, again: work })))
    yield* Effect.forkScoped(memory.server.run(serve), { startImmediately: true })
    // every connection lasts a little longer than the one before, so that what is sent again arrives at last
    let attempt = 0
    const waits = random() < 0.75
    let socket: Socket.Socket | undefined
    const latency = below(3) * 5
    const dial = Effect.suspend(() => {
      socket = memory.connect({ cutAfter: 3 + below(30) + 10 * attempt++, latency, capacity: 1 + below(20) })
      return socket.reader
    })
    const connection = yield* JsonRpcClient.fromSocket(
      Socket.make({ reader: dial, writer: Effect.suspend(() => socket!.writer) }),
      {
        wire: Wire.rockets,
        reconnect: Schedule.spaced("50 millis"),
        whileDisconnected: waits ? "wait" : "fail",
        connect: random() < 0.5 ? "lazy" : "eager"
      }
    )
    const client = yield* JsonRpcClient.fromRemote(Group, connection)
    const calls: Array<{ n: number; again: boolean; fiber: Fiber.Fiber<number, unknown>; interrupted: boolean }> = []
    for (let step = 0; step < 60; step++) {
      const what = random()
      if (what < 0.6) {
        const n = calls.length
        const again = random() < 0.5
        const call = client[again ? "again" : "once"]({ n, ms: below(3) * 20 })
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        calls.push({ n, again, fiber, interrupted: false })
      } else if (what < 0.7) {
        const [a, b] = [calls.length, calls.length + 1]
        const batch = JsonRpcClient.batch([client.once({ n: a, ms: 0 }), client.again({ n: b, ms: 10 })], {
          mode: "result"
        })
        const fiber = yield* Effect.forkChild(batch, { startImmediately: true })
        calls.push({ n: a, again: false, fiber: yield* part(fiber, 0), interrupted: false })
        calls.push({ n: b, again: true, fiber: yield* part(fiber, 1), interrupted: false })
      } else if (what < 0.8 && calls.length > 0) {
        const call = calls[below(calls.length)]!
        if (call.fiber.pollUnsafe() === undefined) call.interrupted = true
        call.fiber.interruptUnsafe()
      } else {
        yield* TestClock.adjust(below(40))
      }
    }
    for (let i = 0; i < 400 && calls.some((call) => call.fiber.pollUnsafe() === undefined); i++) {
      yield* TestClock.adjust("50 millis")
    }
    for (const { again, fiber, interrupted, n } of calls) {
      const exit = fiber.pollUnsafe()
      if (exit === undefined) return yield* Effect.die(new Error(`call ${n} does not end`))
      const times = executed.get(n) ?? 0
      if (!again) assert.isAtMost(times, 1)
      if (Exit.isSuccess(exit)) {
        assert.strictEqual(exit.value, n)
        assert.isAtLeast(times, 1)
        continue
      }
      if (interrupted) continue
      assert.isFalse(again && waits, `a call that may be sent again failed: ${Cause.pretty(exit.cause)}`)
      const error = Cause.squash(exit.cause)
      assert.isTrue(error instanceof JsonRpcError.JsonRpcError && error.reason._tag === "ConnectionError")
      const { reason } = error as JsonRpcError.JsonRpcError
      if (reason._tag === "ConnectionError" && !reason.maybeExecuted) assert.strictEqual(times, 0)
    }
    assert.strictEqual(connection.port!.caller.inFlight, 0)
    yield* connection.disconnect
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
  })).pipe(
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.catchCause((cause) => Effect.die(new Error(`seed ${seed}: ${Cause.pretty(cause)}`)))
  )

const part = (fiber: Fiber.Fiber<ReadonlyArray<any>, unknown>, index: number) =>
  Effect.forkChild(
    Effect.flatMap(Fiber.join(fiber), (results) => Effect.fromResult(results[index])) as Effect.Effect<number, unknown>,
    { startImmediately: true }
  )

it.effect("300 histories of cut connections keep every promise", () =>
  Effect.gen(function*() {
    for (let seed = 1; seed <= 300; seed++) yield* run(seed)
  }).pipe(Effect.provide(Logger.layer([]))), 60_000)
