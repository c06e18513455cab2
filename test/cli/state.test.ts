import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { createServer } from "node:http"
import { Program } from "./support/Program.ts"

const Panel = Schema.Struct({ counter: Schema.Finite, items: Schema.Record(Schema.String, Schema.Json) })
class Actions extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("increment", { payload: { by: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("set", { payload: { path: Schema.Array(Schema.String), value: Schema.Json } })
) {}

/** One state, shown to all three generations, at `/0.5`, `/0.6`, `/0.7`. */
const serve = Effect.gen(function*() {
  const state = yield* JugglerState.make({ schema: Panel, initial: { counter: 0, items: {} } })
  const Handlers = Actions.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    increment: ({ by }) =>
      Effect.orDie(Effect.gen(function*() {
        yield* state.update((draft) => {
          draft.counter += by
        })
        return (yield* state.get).counter
      })),
    set: ({ path, value }) => Effect.orDie(state.put(["items", ...path], value))
  })
  const [first, ...rest] = Object.values(JugglerGeneration.all).map((generation) =>
    JugglerServer.layerHttp(Actions, { path: `/${generation.name}`, generation, state, autoflush: "10 millis" })
  )
  const context = yield* Layer.build(
    HttpRouter.serve(Layer.mergeAll(first!, ...rest).pipe(Layer.provide(Handlers)), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0, gracefulShutdownTimeout: 0 }))
    )
  )
  const url = yield* Effect.provide(HttpServer.addressFormattedWith(Effect.succeed), context)
  return { state, url: url.replace("http", "ws") }
})

const lines = (text: string) => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

layer(Program.layer, { excludeTestServices: true, timeout: "60 seconds" })("state", (it) => {
  it.effect(
    "a server of any generation is told by what it says, read, called and changed",
    () =>
      Effect.gen(function*() {
        const { run } = yield* Program
        const { url } = yield* serve
        for (const generation of ["0.5", "0.6", "0.7"]) {
          const at = `${url}/${generation}`
          assert.deepStrictEqual(yield* run(["state", "get", at, "/counter"]), { code: 0, stdout: "0\n", stderr: "" })
          const args = generation === "0.5" ? ["1", "2"] : ["a=1", "b=2"]
          assert.strictEqual((yield* run(["state", "call", at, "add", ...args])).stdout, "3\n", generation)
        }
        const set = yield* run(["state", "set", `${url}/0.6`, "/kitchen", "{\"celsius\": 21}"])
        assert.deepStrictEqual(set, { code: 0, stdout: "", stderr: "" })
        const got = yield* run(["state", "get", `${url}/0.7`, "/items", "--json", "--generation", "0.7"])
        assert.deepStrictEqual(JSON.parse(got.stdout), { kitchen: { celsius: 21 } })
      }),
    120_000
  )

  it.effect("follows the state as JSON, a part of it, and as patches, until Ctrl-C", () =>
    Effect.gen(function*() {
      const { start } = yield* Program
      const { state, url } = yield* serve
      const whole = yield* start(["state", "follow", `${url}/0.5`])
      const part = yield* start(["state", "follow", `${url}/0.6`, "--at", "/counter", "--count", "2"])
      const patches = yield* start(["state", "follow", `${url}/0.7`, "--patches", "--count", "2"])
      yield* whole.printed(/"counter":0/)
      yield* part.printed(/0\n/)
      yield* patches.printed(/replace/)
      yield* state.update((draft) => {
        draft.counter = 5
      })
      yield* whole.printed(/"counter":5/)
      whole.signal("SIGINT")
      assert.strictEqual((yield* whole.ran).code, 130)
      assert.strictEqual((yield* part.ran).stdout, "0\n5\n")
      assert.deepStrictEqual(lines((yield* patches.ran).stdout), [
        [{ op: "replace", path: "", value: { counter: 0, items: {} } }],
        [{ op: "replace", path: "/counter", value: 5 }]
      ])
    }), 120_000)

  it.effect("what is not there, or is no Juggler, is told", () =>
    Effect.gen(function*() {
      const { run } = yield* Program
      const { url } = yield* serve
      const missing = yield* run(["state", "get", `${url}/0.7`, "/nothing"])
      assert.deepStrictEqual([missing.code, missing.stdout], [7, ""])
      assert.strictEqual((yield* run(["state", "get", `${url}/0.7`, "counter"])).code, 2)
      assert.strictEqual((yield* run(["state", "call", `${url}/0.7`, "nothing"])).code, 1)
      const other = yield* run(["state", "get", `${url}/0.7`, "--generation", "0.5", "--timeout", "500ms"])
      assert.include([3, 4, 5], other.code)
      assert.match(other.stderr, /--generation/)
    }), 120_000)
})
