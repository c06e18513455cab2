import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { JugglerConnection, JugglerGeneration, JugglerServer } from "effect-wire/juggler"
import { Budget } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { serveRaw, settle } from "./wire.ts"

const { v05 } = JugglerGeneration

/** A raw peer of 0.5, with the server's side of its connection. */
const connected = (options: JugglerServer.Options = {}) =>
  Effect.gen(function*() {
    const opened = yield* Deferred.make<JugglerConnection.JugglerConnection>()
    const peer = yield* serveRaw(
      yield* JugglerServer.make(undefined, {
        generation: v05,
        onConnection: (connection) => Effect.andThen(Deferred.succeed(opened, connection), Effect.never),
        ...options
      })
    )
    return { peer, connection: yield* Deferred.await(opened) }
  })

const message = (payload: unknown) => JSON.stringify({ type: "MESSAGE", payload })

describe("bounds", () => {
  it.effect("calls that a peer does not answer are bounded in number and in time", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected()
      const calls: Array<Fiber.Fiber<any, any>> = []
      for (let i = 0; i < 1_024; i++) calls.push(yield* Effect.forkChild(Effect.flip(connection.call("x", [i]))))
      yield* settle
      const { reason } = yield* Effect.flip(connection.call("x", []))
      assert.deepInclude(reason, { _tag: "ConnectionError", kind: "Full", uncertain: false })
      yield* TestClock.adjust("30 seconds")
      yield* peer.json({ type: "MESSAGE", payload: { type: "rpc", id: 1, direction: "response", success: false } })
      assert.strictEqual((yield* Fiber.join(calls[0]!)).reason._tag, "RemoteError")
      const late = yield* Effect.forkChild(Effect.flip(connection.call("late", [])))
      yield* settle
      yield* TestClock.adjust("30 seconds")
      for (const call of calls.slice(1)) {
        assert.deepInclude((yield* Fiber.join(call)).reason, { kind: "Timeout", uncertain: true })
      }
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("30 seconds")
      assert.deepInclude((yield* Fiber.join(late)).reason, { kind: "Timeout" })
    }))

  it.effect("messages that nobody takes are bounded in characters too, and do not hide the answer to a call", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* connected({ highWaterMark: 1_000 })
      yield* peer.send(message("x".repeat(2_000)))
      yield* peer.send(`{"type":"PING","payload":{}}`)
      // reading pauses after the batch in which too much came
      assert.deepStrictEqual(peer.frames.length, 0)
      const call = yield* Effect.forkChild(connection.call("x", []))
      yield* settle
      yield* peer.json({
        type: "MESSAGE",
        payload: { type: "rpc", id: 1, direction: "response", success: true, result: 7 }
      })
      assert.strictEqual(yield* Fiber.join(call), 7)
      assert.include(peer.frames, `{"type":"PONG","payload":{}}`)
    }))

  it.effect("what clients show counts against the budget of the process, as long as they are there", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.Budget
      const [first, second] = [yield* connected(), yield* connected()]
      const show = (value: unknown) => ({ type: "DATA", payload: [{ op: "replace", path: "", value }] })
      yield* first.peer.json(show("x".repeat(4_000)))
      assert.isAbove(budget.taken(), 4_000)
      yield* second.peer.json(show("x".repeat(19_000)))
      assert.strictEqual(second.peer.closed(), 1013)
      yield* first.peer.json(show(null))
      assert.isBelow(budget.taken(), 100)
      yield* first.peer.json(show("x".repeat(4_000)))
      assert.isUndefined(first.peer.closed())
      yield* first.peer.close
      yield* settle
      assert.strictEqual(budget.taken(), 0)
    }).pipe(Effect.provide(Budget.layer(20_000))))

  it.effect("messages that nobody takes, and halves of messages, count against the share of their connection", () =>
    Effect.gen(function*() {
      const budget = yield* Budget.Budget
      const { connection, peer } = yield* connected()
      yield* peer.send(message("x".repeat(4_000)))
      yield* settle
      assert.isAbove(budget.taken(), 4_000)
      yield* connection.receive
      assert.isBelow(budget.taken(), 100)
      yield* peer.send(message("x".repeat(4_000)))
      yield* peer.send(message("x".repeat(7_000)))
      yield* settle
      assert.strictEqual(peer.closed(), 1013)
      // what was not taken is there for a moment longer
      yield* TestClock.adjust("1 second")
      const segments = yield* serveRaw(
        yield* JugglerServer.make(undefined, { generation: JugglerGeneration.v07 })
      )
      yield* segments.send(`1${"x".repeat(3_000)}`)
      yield* settle
      assert.isAbove(budget.taken(), 3_000)
      yield* segments.send(`1${"x".repeat(3_000)}`, `0`)
      yield* settle
      assert.strictEqual(segments.closed(), 1007)
      assert.strictEqual(budget.taken(), 0)
    }).pipe(Effect.provide(Budget.layer(1_000_000, { maxConnectionBytes: 10_000 }))))

  it.effect("a message that would cost more memory than a connection may hold is refused before it is parsed", () =>
    Effect.gen(function*() {
      const { peer } = yield* connected()
      const value = Array.from({ length: 120_000 }, () => ({}))
      yield* peer.json({ type: "DATA", payload: [{ op: "replace", path: "", value }] })
      yield* settle
      assert.strictEqual(peer.closed(), 1009)
    }))
})
