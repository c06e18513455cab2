import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import {
  JsonPatch,
  JsonPointer,
  JugglerClient,
  JugglerGeneration,
  JugglerServer,
  JugglerState
} from "effect-wire/juggler"
import { MemorySocket } from "effect-wire/socket"
import { TestClock } from "effect/testing"
import { generator } from "./generate.ts"
import { settle } from "./wire.ts"

type Json = JsonPointer.Json

const generations = Object.values(JugglerGeneration.all)
const autoflushes = [0, "50 millis", "off"] as const

/** One random history: writes of all kinds, clients that come at any time, time that passes or does not. */
const history = (seed: number, size: number) =>
  Effect.scoped(Effect.gen(function*() {
    const random = generator(seed)
    const initial: Json = { a: random.json(3), b: [random.json(2), 1, 2], pad: "x".repeat(size) }
    const state = yield* JugglerState.makeJson(initial)
    const servers = new Map<string, MemorySocket.MemoryServer["Service"]>()
    for (const generation of generations) {
      for (const autoflush of autoflushes) {
        const server = yield* MemorySocket.makeServer()
        const run = yield* JugglerServer.make(undefined, {
          generation,
          state,
          autoflush,
          segmentSize: 50,
          keepAlive: false
        })
        yield* Effect.forkScoped(server.server.run(run))
        servers.set(`${generation.name} ${autoflush}`, server)
      }
    }
    // a client whose state is shown on
    const relay = yield* JugglerClient.fromSocket(servers.get("0.7 0")!.connect(), { keepAlive: false })
    const second = yield* MemorySocket.makeServer()
    const run = yield* JugglerServer.make(undefined, {
      generation: JugglerGeneration.v06,
      state: relay.state,
      autoflush: "50 millis"
    })
    yield* Effect.forkScoped(second.server.run(run))
    servers.set("0.6 relay", second)
    yield* settle
    const clients: Array<readonly [string, JugglerClient.JugglerClient<Json, never, {}>]> = []
    for (let step = 0; step < 25; step++) {
      const before = yield* state.json
      switch (random.int(9)) {
        case 0: {
          const names = Array.from(servers.keys())
          const name = names[random.int(names.length)]!
          const client = yield* JugglerClient.fromSocket(servers.get(name)!.connect(), {
            generation: JugglerGeneration.all[name.split(" ")[0] as "0.5"],
            keepAlive: false
          })
          clients.push([name, client])
          yield* settle
          break
        }
        case 1:
          yield* TestClock.adjust(`${random.int(60)} millis`)
          yield* settle
          break
        case 2:
          yield* state.set(random.change(before))
          break
        case 3:
          yield* Effect.ignore(state.update((draft: any) => {
            if (typeof draft !== "object" || draft === null || Array.isArray(draft)) return
            draft.count = typeof draft.count === "number" ? draft.count + 1 : 0
            if (Array.isArray(draft.b)) {
              draft.b.unshift(random.json(1))
              draft.b.push({ deep: [1] })
              if (draft.b.length > 6) draft.b.splice(random.int(3), 2, "s")
            }
          }))
          break
        case 4:
          yield* Effect.ignore(state.put(["a", ["x", 0, "b", "-"][random.int(4)]!], random.json(2)))
          break
        case 5:
          for (let i = 0; i < 5; i++) yield* Effect.ignore(state.put(["n"], random.int(3)))
          break
        default:
          if (random.int(8) === 0) {
            yield* Effect.ignore(
              state.patch(Result.getOrThrow(JsonPatch.decode(random.patch(before, 1 + random.int(4)))))
            )
          } else {
            // below one member, so that the document stays as large as it is
            const inner = JsonPointer.get(before, ["a"]) ?? null
            const patch = random.patch(inner, 1 + random.int(4)).map((operation) => ({
              ...operation,
              path: `/a${operation.path}`,
              ..."from" in operation ? { from: `/a${operation.from}` } : {}
            }))
            yield* Effect.ignore(state.patch(Result.getOrThrow(JsonPatch.decode(patch))))
          }
      }
    }
    // those who are sent to on flush only are sent to now
    yield* TestClock.adjust("1 second")
    yield* settle
    const expected = yield* state.json
    for (const [name, client] of clients) {
      if (!name.endsWith("off")) assert.deepStrictEqual(yield* client.state.json, expected, name)
    }
    return clients.length
  }))

describe("following", () => {
  it.effect.prop(
    "every client ends with the state of the server, small documents",
    { seed: Schema.Int },
    ({ seed }) => history(seed, 10),
    { arbitrary: { runs: 30 }, timeout: 60_000 }
  )

  it.effect.prop(
    "every client ends with the state of the server, large documents",
    { seed: Schema.Int },
    ({ seed }) => history(seed, 5_000),
    { arbitrary: { runs: 30 }, timeout: 60_000 }
  )

  it.effect("loses a key that the server loses, in an object of many keys", () =>
    Effect.gen(function*() {
      const wide = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${i}`, i]))
      const state = yield* JugglerState.makeJson({ wide, big: "" })
      const memory = yield* MemorySocket.makeServer()
      const run = yield* JugglerServer.make(undefined, { state, autoflush: "20 millis" })
      yield* Effect.forkScoped(memory.server.run(run))
      const client = yield* JugglerClient.fromSocket(memory.connect())
      const flushed = Effect.andThen(settle, Effect.andThen(TestClock.adjust("30 millis"), settle))
      yield* flushed
      yield* state.update((draft) => {
        draft.wide.k0 = 999
        draft.big = "x".repeat(5_000)
      })
      yield* flushed
      yield* state.put(["wide", "extra"], "ghost")
      yield* flushed
      yield* state.set({ wide: { ...wide, k0: 999, k5: 7 }, big: "x".repeat(5_000) })
      yield* flushed
      assert.isFalse(Object.hasOwn((yield* client.state.json as Effect.Effect<any>).wide, "extra"))
      assert.deepStrictEqual(yield* client.state.json, yield* state.json)
    }))
})
