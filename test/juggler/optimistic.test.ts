import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { JugglerClient, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { settle } from "./wire.ts"

const Panel = Schema.Struct({
  counter: Schema.Finite,
  items: Schema.Array(Schema.Struct({ name: Schema.String }))
})

class Requests extends RpcGroup.make(
  Rpc.make("add", { payload: { name: Schema.String }, success: Schema.Int, error: Schema.String }),
  Rpc.make("increment", { payload: { by: Schema.Int } })
) {}

const { v06, v07 } = JugglerGeneration

/** A server whose answers wait for `gate`, which adds names in capitals and refuses empty ones. */
const served = (generation: JugglerGeneration.Generation, options?: JugglerServer.Options) =>
  Effect.gen(function*() {
    const state = yield* JugglerState.make({ schema: Panel, initial: { counter: 0, items: [] } })
    let gate = yield* Deferred.make<void>()
    const memory = yield* MemorySocket.makeServer()
    const run = yield* JugglerServer.make(Requests, { generation, state, autoflush: "100 millis", ...options }).pipe(
      Effect.provide(Requests.toLayer({
        add: ({ name }) =>
          Effect.gen(function*() {
            yield* Deferred.await(gate)
            if (name === "") return yield* Effect.fail("no name")
            yield* Effect.orDie(state.update((draft) => void draft.items.push({ name: name.toUpperCase() })))
            return 1
          }),
        increment: ({ by }) =>
          Effect.asVoid(Effect.orDie(state.update((draft) => {
            draft.counter += by
          })))
      }))
    )
    yield* Effect.forkScoped(memory.server.run(run))
    const client = yield* JugglerClient.fromSocket(memory.connect(), { generation, state: Panel, requests: Requests })
    yield* client.connect
    yield* settle
    const shown = Effect.map(client.state.get, ({ counter, items }) => [counter, ...items.map(({ name }) => name)])
    const open = Effect.suspend(() => Deferred.succeed(gate, undefined))
    return { client, open, shown, state, disconnect: client.redial }
  })

describe("optimistic requests", () => {
  for (const generation of [v06, v07]) {
    describe(`generation ${generation.name}`, () => {
      it.effect("show a guess at once, and what the server made of it when it says so", () =>
        Effect.gen(function*() {
          const { client, open, shown } = yield* served(generation)
          const fiber = yield* Effect.forkChild(
            client.requests.add({ name: "ann" }).pipe(client.predict((draft) => void draft.items.push({ name: "ann" })))
          )
          yield* settle
          assert.deepStrictEqual(yield* shown, [0, "ann"])
          yield* open
          assert.strictEqual(yield* Fiber.join(fiber), 1)
          // answered, and not yet flushed: nothing flickers
          assert.deepStrictEqual(yield* shown, [0, "ann"])
          yield* TestClock.adjust("100 millis")
          yield* settle
          assert.deepStrictEqual(yield* shown, [0, "ANN"])
          yield* TestClock.adjust("5 seconds")
          yield* settle
          assert.deepStrictEqual(yield* shown, [0, "ANN"])
        }))

      it.effect("are rebased on what the server says meanwhile", () =>
        Effect.gen(function*() {
          const { client, open, shown, state } = yield* served(generation)
          const fiber = yield* Effect.forkChild(
            client.requests.add({ name: "ann" }).pipe(client.predict((draft) => {
              draft.items.push({ name: `ann ${draft.items.length}` })
              draft.counter += 10
            }))
          )
          yield* settle
          yield* state.update((draft) => {
            draft.items.push({ name: "bob" })
            draft.counter = 1
          })
          yield* TestClock.adjust("100 millis")
          yield* settle
          assert.deepStrictEqual(yield* shown, [11, "bob", "ann 1"])
          yield* open
          yield* Fiber.join(fiber)
          yield* TestClock.adjust("100 millis")
          yield* settle
          assert.deepStrictEqual(yield* shown, [1, "bob", "ANN"])
        }))

      it.effect("are rolled back with their error, and where they are interrupted", () =>
        Effect.gen(function*() {
          const { client, open, shown } = yield* served(generation)
          const guess = client.predict((draft) => void draft.items.push({ name: "?" }))
          const failing = yield* Effect.forkChild(Effect.flip(guess(client.requests.add({ name: "" }))))
          const interrupted = yield* Effect.forkChild(guess(client.requests.add({ name: "x" })))
          yield* settle
          assert.deepStrictEqual(yield* shown, [0, "?", "?"])
          yield* Fiber.interrupt(interrupted)
          assert.deepStrictEqual(yield* shown, [0, "?"])
          yield* open
          assert.strictEqual(yield* Fiber.join(failing), "no name")
          assert.deepStrictEqual(yield* shown, [0])
        }))

      it.effect("go with the connection that carried them", () =>
        Effect.gen(function*() {
          const { client, disconnect, shown, state } = yield* served(generation)
          const fiber = yield* Effect.forkChild(Effect.flip(
            client.requests.add({ name: "ann" }).pipe(client.predict((draft) => void draft.items.push({ name: "ann" })))
          ))
          yield* settle
          yield* disconnect
          assert.strictEqual((yield* Fiber.join(fiber) as Effect.Effect<any>).reason._tag, "ConnectionError")
          assert.deepStrictEqual(yield* shown, [0])
          yield* state.update((draft) => {
            draft.counter = 5
          })
          yield* TestClock.adjust("10 seconds")
          yield* settle
          assert.deepStrictEqual(yield* shown, [5])
        }))
    })
  }

  it.effect("go after a second where the server shows no change and tells no version", () =>
    Effect.gen(function*() {
      const { client, shown } = yield* served(v06)
      yield* client.requests.increment({ by: 0 }).pipe(client.predict((draft) => {
        draft.counter = 7
      }))
      assert.deepStrictEqual(yield* shown, [7])
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* shown, [0])
    }))

  it.effect("whose recipe does not fit, or throws, show nothing until it does", () =>
    Effect.gen(function*() {
      const { client, open, shown, state } = yield* served(v07)
      const fiber = yield* Effect.forkChild(
        client.requests.add({ name: "ann" }).pipe(client.predict((draft) => {
          draft.items[0]!.name = "first"
        }))
      )
      yield* settle
      assert.deepStrictEqual(yield* shown, [0])
      yield* state.put(["items", "-"], { name: "bob" })
      yield* TestClock.adjust("100 millis")
      yield* settle
      assert.deepStrictEqual(yield* shown, [0, "first"])
      yield* open
      yield* Fiber.join(fiber)
      yield* TestClock.adjust("100 millis")
      yield* settle
      assert.deepStrictEqual(yield* shown, [0, "bob", "ANN"])
    }))
})
