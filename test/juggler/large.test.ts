/** Large states that a client shows: what a change costs is counted in what is walked, not in time. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { JugglerConnection, JugglerGeneration, JugglerServer, JugglerState, JugglerView } from "effect-wire/juggler"
import { Budget } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { serveRaw, settle, stateOf } from "./wire.ts"

/** A raw peer of 0.5 whose data is shown to it again, with the server's side of its connection. */
const echoed = Effect.gen(function*() {
  const opened = yield* Deferred.make<JugglerConnection.JugglerConnection>()
  const peer = yield* serveRaw(
    yield* JugglerServer.make(undefined, {
      generation: JugglerGeneration.v05,
      onConnection: (connection) =>
        Effect.gen(function*() {
          yield* connection.local.set({ echo: null })
          yield* Deferred.succeed(opened, connection)
          return yield* JugglerView.mirror(connection.remote, [], connection.local, ["echo"])
        }).pipe(Effect.orDie)
    }),
    { capacity: 1e9 }
  )
  yield* peer.json({ type: "DATA", payload: [{ op: "replace", path: "", value: {} }] })
  return { peer, connection: yield* Deferred.await(opened) }
})

const data = (payload: ReadonlyArray<unknown>) => ({ type: "DATA", payload })

/** Adds keys, some for each message. */
const adds = (from: number, count: number) =>
  data(Array.from({ length: count }, (_, i) => ({ op: "add", path: `/key${from + i}`, value: from + i })))

/** The most keys of any object that was asked for its keys meanwhile. */
const widest = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const original = Object.keys
      const seen = { original, most: 0 }
      Object.keys = (value: object) => {
        const keys = original(value)
        seen.most = Math.max(seen.most, keys.length)
        return keys
      }
      return seen
    }),
    (seen) => Effect.map(effect, () => seen.most),
    ({ original }) =>
      Effect.sync(() => {
        Object.keys = original
      })
  )

describe("large states that a client shows", () => {
  it.effect("a change costs what it is, in the echo too: nothing is copied, frozen or asked for its keys", () =>
    Effect.gen(function*() {
      const { connection, peer } = yield* echoed
      for (let i = 0; i < 20; i++) yield* peer.json(adds(i * 1_000, 1_000))
      yield* TestClock.adjust("200 millis")
      yield* peer.take
      const shown = JugglerState.storeOf(connection.remote).document
      const echo = JugglerState.storeOf(connection.local).document
      const [own, again] = [shown.root, echo.peek(["echo"])]
      const most = yield* widest(Effect.gen(function*() {
        yield* peer.json(data([{ op: "replace", path: "/key7", value: "one" }]))
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(stateOf(yield* peer.take), [[{ op: "replace", path: "/echo/key7", value: "one" }]])
        // more than one patch takes
        yield* peer.json(adds(20_000, 900), adds(20_900, 900))
        yield* TestClock.adjust("200 millis")
        assert.deepStrictEqual(stateOf(yield* peer.take).map((patch: any) => patch.length), [1_000, 800])
      }))
      assert.isBelow(most, 1_001)
      assert.strictEqual(shown.root, own)
      assert.strictEqual(echo.peek(["echo"]), again)
      assert.isFalse(Object.isFrozen(own))
      assert.isFalse(Object.isFrozen(again))
    }))

  it.effect("a large value is looked at once, when it comes, and no more for the echo or when it goes", () =>
    Effect.gen(function*() {
      const { peer } = yield* echoed
      const value = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key${i}`, { n: i }]))
      yield* peer.json(data([{ op: "add", path: "/large", value }]))
      yield* TestClock.adjust("200 millis")
      assert.include(JSON.stringify(yield* peer.take), `"key4999":{"n":4999}`)
      const most = yield* widest(Effect.gen(function*() {
        yield* peer.json(data([{ op: "remove", path: "/large" }]))
        yield* TestClock.adjust("200 millis")
      }))
      assert.isBelow(most, 100)
    }))

  it.effect("who shows more than a connection may hold is told so, and more may be allowed", () => {
    const load = (count: number) =>
      Effect.gen(function*() {
        const { connection, peer } = yield* echoed
        for (let i = 0; i < count && peer.closed() === undefined; i++) yield* peer.json(adds(i * 1_000, 1_000))
        yield* settle
        return { code: peer.closed(), reason: peer.reason(), json: yield* connection.remote.json }
      })
    return Effect.gen(function*() {
      const budget = Budget.layer(100_000_000, { maxConnectionBytes: 1_000_000 })
      const over = yield* Effect.provide(load(20), budget)
      assert.strictEqual(over.code, 1013)
      assert.strictEqual(over.reason, "what is kept for it is more than one connection may hold")
      const within = yield* Effect.provide(load(20), Budget.layer(100_000_000, { maxConnectionBytes: 10_000_000 }))
      assert.isUndefined(within.code)
      assert.strictEqual(Object.keys(within.json as {}).length, 20_000)
    })
  })
})
