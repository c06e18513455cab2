import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { JugglerClient, JugglerServer, JugglerState } from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { settle } from "./wire.ts"

const House = Schema.Struct({ rooms: Schema.Record(Schema.String, Schema.Struct({ celsius: Schema.Finite })) })
const initial = { rooms: { kitchen: { celsius: 20 }, hall: { celsius: 18 } } }

describe("selections", () => {
  it.effect("call back when their part has changed, and not when another has; a snapshot is the same until then", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.make({ schema: House, initial })
      for (const selection of [state.select(["rooms", "kitchen"]), state.select(({ rooms }) => rooms["kitchen"])]) {
        const seen: Array<unknown> = []
        const stop = selection.subscribe(() => {
          if (seen.at(-1) !== selection.getSnapshot()) seen.push(selection.getSnapshot())
        })
        const before = selection.getSnapshot()
        yield* state.put(["rooms", "hall", "celsius"], 1)
        assert.strictEqual(selection.getSnapshot(), before)
        yield* state.put(["rooms", "kitchen", "celsius"], 21)
        const after = selection.getSnapshot()
        assert.deepStrictEqual([before, after], [{ celsius: 20 }, { celsius: 21 }])
        assert.strictEqual(selection.getSnapshot(), after)
        stop()
        yield* state.put(["rooms", "kitchen", "celsius"], 20)
        assert.strictEqual(seen.at(-1), after)
      }
    }))

  it.effect("of a client are undefined until its first state, and then told of it", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.make({ schema: House, initial })
      const memory = yield* MemorySocket.makeServer()
      yield* Effect.forkScoped(memory.server.run(yield* JugglerServer.make(undefined, { state })))
      const client = yield* JugglerClient.fromSocket(memory.connect(), { state: House, connect: "lazy" })
      const kitchen = client.state.select(({ rooms }) => rooms["kitchen"]!.celsius)
      const seen: Array<number | undefined> = [kitchen.getSnapshot()]
      kitchen.subscribe(() => seen.push(kitchen.getSnapshot()))
      yield* client.connect
      yield* settle
      assert.deepStrictEqual(seen, [undefined, 20])
    }))
})
