import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Queue, Schedule, Schema, type Scope, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Idempotency } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { fromSocket } from "../jsonrpc/raw.ts"

export class Refused extends Schema.TaggedError<Refused>()("Refused", { amount: Schema.Int }) {}

export class Shop extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.Struct({ receipt: Schema.Int }), error: Refused })
    .pipe(Idempotency.keyed),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, error: Refused, stream: true })
    .pipe(Idempotency.keyed),
  Rpc.make("plain", { success: Schema.Int })
) {}

/** A server whose connections are cut by stopping it; what executes its calls stays. */
export const make = Effect.fnUntraced(function*<E, R>(once: Layer.Layer<Idempotency.Once, E, R>, wire?: Wire.Wire) {
  const payments: Array<number> = []
  const streams = { begun: 0, made: 0 }
  const gate = Latch.makeUnsafe(true)
  const begun = yield* Queue.unbounded<number>()
  const interrupted = yield* Queue.unbounded<number>()
  const context = yield* Layer.build(
    Layer.merge(
      once,
      Shop.toLayer({
        pay: ({ amount }) =>
          Effect.gen(function*() {
            const receipt = payments.push(amount)
            yield* Queue.offer(begun, amount)
            yield* gate.await
            if (amount === 13) return yield* new Refused({ amount })
            if (amount === 99) return yield* Effect.die(new Error("a fault"))
            return { receipt }
          }).pipe(Effect.onInterrupt(() => Queue.offer(interrupted, amount))),
        count: ({ to }) =>
          Stream.suspend(() => {
            streams.begun++
            return Stream.range(1, to).pipe(
              Stream.rechunk(1),
              Stream.tap((n) => Effect.andThen(Effect.sync(() => streams.made = n), gate.await)),
              Stream.concat(to === 13 ? Stream.fail(new Refused({ amount: 13 })) : Stream.empty),
              Stream.onExit(() => Queue.offer(interrupted, to))
            )
          }),
        plain: () => Effect.sync(() => payments.push(0))
      })
    )
  ).pipe(Effect.orDie)
  const memory = yield* MemorySocket.makeServer()
  const serve = yield* Effect.provideContext(JsonRpcServer.make(Shop, { drainTimeout: 0, wire }), context)
  let running = yield* Effect.forkChild(memory.server.run(serve))
  const connect = (options?: JsonRpcClient.Options, cutAfter?: number) =>
    Effect.gen(function*() {
      const connection = yield* JsonRpcClient.fromSocket(
        memory.connect(cutAfter === undefined ? {} : { cutAfter }),
        { reconnect: Schedule.spaced("10 millis"), whileDisconnected: "wait", wire, ...options }
      )
      return { connection, shop: yield* JsonRpcClient.fromRemote(Shop, connection) }
    })
  return {
    payments,
    streams,
    gate,
    begun,
    interrupted,
    connect,
    raw: Effect.suspend(() => fromSocket(memory.connect())),
    /** Cuts every connection; the next are served. */
    cut: Effect.gen(function*() {
      yield* Fiber.interrupt(running)
      running = yield* Effect.forkDetach(memory.server.run(serve))
    })
  }
})

/** What is promised of keyed calls, over any store. `pass` lets time go by. */
export const suite = <R>(
  name: string,
  once: (options?: Idempotency.Options) => Layer.Layer<Idempotency.Once, unknown, R>,
  test: (name: string, effect: Effect.Effect<void, unknown, R | Scope.Scope>) => void,
  pass: Effect.Effect<void>
) => {
  const settle = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.raceFirst(Fiber.join(fiber), Effect.forever(pass))

  test(
    `a call whose connection is lost while it runs is executed once, and its caller has the answer (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once())
      yield* pass
      const { shop } = yield* server.connect()
      yield* shop.plain()
      yield* server.gate.close
      const paying = yield* Effect.forkChild(shop.pay({ amount: 5 }))
      yield* Effect.raceFirst(Queue.take(server.begun), Effect.forever(pass))
      for (let i = 0; i < 3; i++) {
        yield* server.cut
        yield* pass
      }
      yield* server.gate.open
      assert.deepStrictEqual(yield* settle(paying), { receipt: 2 })
      assert.deepStrictEqual(server.payments, [0, 5])
    })
  )

  test(
    `many calls over connections that are cut all the time are executed once each, failures too (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once())
      yield* pass
      const { shop } = yield* server.connect({ maxInFlight: 4 }, 5)
      const amounts = Array.from({ length: 60 }, (_, i) => i % 7 === 3 ? 13 : 100 + i)
      const exits = yield* settle(
        yield* Effect.forkChild(
          Effect.forEach(amounts, (amount) => Effect.exit(shop.pay({ amount })), { concurrency: 6 })
        )
      )
      assert.deepStrictEqual(server.payments.toSorted((a, b) => a - b), amounts.toSorted((a, b) => a - b))
      for (const [i, exit] of exits.entries()) {
        if (amounts[i] === 13) {
          assert.deepStrictEqual(exit, Exit.fail(new Refused({ amount: 13 })))
        } else {
          assert.isTrue(Exit.isSuccess(exit), String(exit))
          if (Exit.isSuccess(exit)) assert.strictEqual(server.payments[exit.value.receipt - 1], amounts[i])
        }
      }
    })
  )

  test(
    `a repeated call has the first one's answer; with another payload it is refused; an unknown old one is not run (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once())
      yield* pass
      const peer = yield* server.raw
      const ask = (id: number, method: string, params: unknown, extra?: object) =>
        Effect.andThen(peer.send(JSON.stringify({ jsonrpc: "2.0", id, method, params, ...extra })), peer.takeJson)
      const pay = { method: "pay", params: { amount: 7 } }
      assert.deepStrictEqual((yield* ask(1, "pay", pay.params, { once: { key: "k" } })).result, { receipt: 1 })
      assert.deepStrictEqual((yield* ask(2, "$/again", { ...pay, once: { key: "k", age: 1 } })).result, { receipt: 1 })
      // who repeats by the method's own name has it, too
      assert.deepStrictEqual((yield* ask(3, "pay", [7], { once: { key: "k" } })).result, { receipt: 1 })
      const other = yield* ask(4, "pay", { amount: 8 }, { once: { key: "k" } })
      assert.strictEqual(other.error.code, -32014)
      assert.strictEqual(other.error.data.reason, "OtherPayload")
      const old = yield* ask(5, "$/again", { ...pay, once: { key: "never heard of", age: 3_600_000 } })
      assert.strictEqual(old.error.data.reason, "Forgotten")
      // one that was lost on its way there is executed
      assert.deepStrictEqual(
        (yield* ask(6, "$/again", { ...pay, once: { key: "lost", age: 0 } })).error?.data.reason ?? "executed",
        "executed"
      )
      assert.strictEqual(
        (yield* ask(7, "$/again", { method: "no such", once: { key: "x", age: 0 } })).error.code,
        -32601
      )
      assert.strictEqual((yield* ask(8, "$/again", [1])).error.code, -32602)
      assert.deepStrictEqual(server.payments, [7, 7])
      // without a key it is an ordinary call
      assert.deepStrictEqual((yield* ask(9, "pay", [7])).result, { receipt: 3 })
    })
  )

  test(
    `a defect keeps nothing, a cancel of the last who waits ends the execution (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once(), Wire.rockets)
      yield* pass
      const { connection, shop } = yield* server.connect()
      const exit = yield* Effect.exit(shop.pay({ amount: 99 }))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(server.payments, [99])
      yield* server.gate.close
      const paying = yield* Effect.forkChild(shop.pay({ amount: 6 }))
      yield* Effect.raceFirst(Effect.andThen(Queue.take(server.begun), Queue.take(server.begun)), Effect.forever(pass))
      assert.isTrue(yield* connection.connected)
      yield* Fiber.interrupt(paying)
      assert.strictEqual(yield* Effect.raceFirst(Queue.take(server.interrupted), Effect.forever(pass)), 6)
    })
  )

  test(
    `a stream goes on from the same run, each element once and in order, its failure too (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once())
      yield* pass
      const { shop } = yield* server.connect({}, 4)
      const heard: Array<number> = []
      const counted = yield* settle(
        yield* Effect.forkChild(
          Effect.exit(Stream.runForEach(shop.count({ to: 500 }), (n) => Effect.sync(() => heard.push(n))))
        )
      )
      assert.isTrue(Exit.isSuccess(counted), String(counted))
      assert.deepStrictEqual(heard, Array.from({ length: 500 }, (_, i) => i + 1))
      const begun = server.streams.begun
      assert.strictEqual(begun, 1)
      const failing: Array<number> = []
      const failed = yield* settle(
        yield* Effect.forkChild(
          Effect.flip(Stream.runForEach(shop.count({ to: 13 }), (n) => Effect.sync(() => failing.push(n))))
        )
      )
      assert.deepStrictEqual(failed, new Refused({ amount: 13 }))
      assert.deepStrictEqual(failing, Array.from({ length: 13 }, (_, i) => i + 1))
    })
  )

  test(
    `a stream whose client stays away ends; who comes too late has what was received, then an error (${name})`,
    Effect.gen(function*() {
      const server = yield* make(once({ linger: "1 second" }))
      yield* pass
      const peer = yield* server.raw
      yield* peer.send(JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "count",
        params: { to: 100_000 },
        stream: { credit: 3 },
        once: { key: "s" }
      }))
      let received = 0
      while (received < 3) received += (yield* peer.takeJson).params.elements.length
      // no more is made than its window takes
      assert.isBelow(server.streams.made, 200)
      yield* server.cut
      assert.strictEqual(yield* Effect.raceFirst(Queue.take(server.interrupted), Effect.forever(pass)), 100_000)
      const late = yield* server.raw
      yield* late.send(JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "$/again",
        params: {
          method: "count",
          params: { to: 100_000 },
          stream: { credit: 3, from: 3 },
          once: { key: "s", age: 5000 }
        }
      }))
      assert.strictEqual((yield* late.takeJson).error.data.reason, "Forgotten")
      assert.strictEqual(server.streams.begun, 1)
    })
  )
}
