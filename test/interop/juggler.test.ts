import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { JsonPointer, JugglerClients, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Gateway from "../../examples/gateway/juggler.ts"
import * as Their from "./juggler.ts"

type Json = JsonPointer.Json

/** The gateway's Juggler on a free port. */
const gateway = Effect.gen(function*() {
  const context = yield* Layer.build(
    Layer.fresh(Gateway.routes()).pipe(
      (routes) => HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }),
      Layer.provideMerge(Layer.fresh(Gateway.PanelState.layer)),
      Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0, maxFrameSize: 1_048_576 })),
      Layer.provide(Logger.layer([]))
    )
  )
  return yield* Effect.provideContext(
    Effect.gen(function*() {
      const { address } = yield* HttpServer.HttpServer
      const port = address._tag === "UnixPathAddress" ? 0 : address.port
      return { port, panel: yield* Gateway.PanelState }
    }),
    context
  )
})

const url = (port: number, path: string) => `ws://127.0.0.1:${port}${path}`

describe("@hat-open/juggler", () => {
  describe("0.5.7", () => {
    it.live("follows our data and is followed, by its own patches", () =>
      Effect.gen(function*() {
        const { panel, port } = yield* gateway
        const their = yield* Their.connect("0.5", url(port, "/ws"), 10)
        yield* their.until(() => their.inner.remoteData?.counter === 0)
        their.inner.setLocalData({ list: [1, 2, 3], deep: { a: { b: "é" } }, same: 1 })
        yield* their.until(() => their.inner.remoteData?.echo?.list?.length === 3)
        their.inner.setLocalData({ list: [0, 1, 3, { x: 1 }], deep: { a: { c: null } }, same: 1 })
        yield* their.until(() => their.inner.remoteData?.echo?.list?.length === 4)
        assert.deepStrictEqual(their.inner.remoteData.echo, {
          list: [0, 1, 3, { x: 1 }],
          deep: { a: { c: null } },
          same: 1
        })
        yield* panel.put(["counter"], 5)
        yield* their.until(() => their.inner.remoteData.counter === 5)
        their.inner.setLocalData([])
        yield* their.until(() => Array.isArray(their.inner.remoteData.echo))
        their.inner.setLocalData(null)
        yield* their.until(() => their.inner.remoteData.echo === null)
      }).pipe(Effect.scoped))

    it.live("sends and receives messages in order", () =>
      Effect.gen(function*() {
        const { port } = yield* gateway
        const their = yield* Their.connect("0.5", url(port, "/ws"))
        const seen: Array<Json> = []
        their.on("message", (message) => seen.push(message))
        const sent: ReadonlyArray<Json> = [1, "two", { three: [3] }, null, "x".repeat(100_000)]
        for (const message of sent) their.inner.send(message)
        yield* their.until(() => seen.length === sent.length)
        assert.deepStrictEqual(seen, sent.map((echo) => ({ echo })))
      }).pipe(Effect.scoped))

    it.live("calls us and is called", () =>
      Effect.gen(function*() {
        const { port } = yield* gateway
        const container = new Their.Container()
        const messages: Array<Json> = []
        const app = yield* Their.application("0.5", (module) =>
          new module.Application(
            null,
            "remote",
            {
              mul: (a: number, b: number) => a * b,
              no: () => {
                throw new Error("no")
              },
              nothing: () => {}
            },
            container,
            url(port, "/ws"),
            10,
            60_000
          ))
        app.addEventListener("message", (event: { detail: Json }) => messages.push(event.detail))
        yield* Effect.callback<void>((resume) => app.addEventListener("connected", () => resume(Effect.void)))
        assert.strictEqual(yield* Effect.promise<any>(() => app.rpc.add(2, 3)), 5)
        assert.strictEqual(yield* Effect.promise<any>(() => app.rpc.increment(2)), 2)
        const failure = (action: string, ...args: ReadonlyArray<Json>) =>
          Effect.promise(() => app.rpc[action](...args).then(() => "it succeeded", (error: unknown) => error))
        assert.strictEqual(yield* failure("fail", "sorry"), "sorry")
        assert.strictEqual(yield* failure("unknown"), "invalid action")
        for (const [call, args] of [["mul", [6, 7]], ["no", []], ["nothing", []]]) app.send({ call, args })
        yield* Effect.callback<void>((resume) => {
          const check = () => messages.length === 3 && resume(Effect.void)
          app.addEventListener("message", check)
          check()
        })
        assert.deepStrictEqual(messages, [{ result: 42 }, { error: "Error: no" }, { result: null }])
        assert.strictEqual(container.get("remote") !== null, true)
      }).pipe(Effect.scoped))

    it.live("is not closed by us after 30 s of silence: we send it no ping", () =>
      Effect.sync(() => assert.isFalse(JugglerGeneration.v05.pings)))
  })

  for (const generation of ["0.6", "0.7"] as const) {
    describe(generation === "0.6" ? "0.6.18" : "0.7.0", () => {
      const path = `/juggler/${generation}`

      it.live("follows our state, requests and is notified", () =>
        Effect.gen(function*() {
          const { panel, port } = yield* gateway
          const their = yield* Their.connect(generation, url(port, path))
          const other = yield* Their.connect(
            generation === "0.6" ? "0.7" : "0.6",
            url(port, `/juggler/${generation === "0.6" ? "0.7" : "0.6"}`)
          )
          const notified: Array<Json> = []
          other.on("notify", (notification) => notified.push(notification))
          yield* their.until(() => their.inner.state?.counter === 0)
          const ask = (name: string, data: Json) =>
            Effect.promise<any>(() =>
              their.inner.send(name, data).then((ok: Json) => ["ok", ok], (no: Json) => ["no", no])
            )
          assert.deepStrictEqual(yield* ask("add", { a: 2, b: 3 }), ["ok", 5])
          assert.deepStrictEqual(yield* ask("increment", { by: 3 }), ["ok", 3])
          assert.deepStrictEqual(yield* ask("fail", { text: "sorry" }), ["no", "sorry"])
          assert.strictEqual((yield* ask("unknown", null))[0], "no")
          assert.strictEqual((yield* ask("add", { a: "x" }))[0], "no")
          assert.deepStrictEqual(yield* ask("", { ping: true }), ["ok", { ping: true }])
          assert.deepStrictEqual(yield* ask("set", { path: ["a"], value: [1, { b: 2 }] }), ["ok", null])
          assert.deepStrictEqual(yield* ask("set", { path: ["a", 1, "b"], value: 3 }), ["ok", null])
          assert.deepStrictEqual(yield* ask("set", { path: ["x", "y", "z~/"], value: null }), ["ok", null])
          assert.strictEqual((yield* ask("set", { path: ["__proto__", "p"], value: 1 }))[0], "no")
          const state = { counter: 3, items: { a: [1, { b: 3 }], x: { y: { "z~/": null } } } }
          yield* their.until(() => their.inner.state.items.x !== undefined)
          yield* other.until(() => other.inner.state?.items.x !== undefined)
          assert.deepStrictEqual(their.inner.state, state)
          assert.deepStrictEqual(other.inner.state, state)
          yield* other.until(() => notified.length === 1)
          assert.deepStrictEqual(notified, [{ name: "incremented", data: 3 }])
          yield* panel.update((draft) => {
            draft.items.a.unshift("head")
            delete draft.items.x
          })
          yield* their.until(() => their.inner.state.items.x === undefined)
          assert.deepStrictEqual(their.inner.state.items, { a: ["head", 1, { b: 3 }] })
        }).pipe(Effect.scoped))

      it.live("follows and echoes 5 MB", () =>
        Effect.gen(function*() {
          const text = "0123456789é😀".repeat(400_000)
          const state = yield* JugglerState.makeJson({ text })
          const port = yield* serving(
            JugglerServer.layerHttp(undefined, {
              path: "/ws",
              generation: JugglerGeneration.all[generation],
              state,
              defaultAction: (_name, data) => Effect.succeed(data)
            })
          )
          const their = yield* Their.connect(generation, url(port, "/ws"))
          yield* their.until(() => their.inner.state !== null)
          assert.isTrue(their.inner.state.text === text)
          if (generation === "0.7") {
            const sent = "0123456789".repeat(500_000)
            const answer = yield* Effect.promise<any>(() => their.inner.send("echo", sent))
            assert.isTrue(answer === sent)
          }
        }).pipe(Effect.scoped))

      it.live("connects again and starts from null", () =>
        Effect.gen(function*() {
          const { panel, port } = yield* gateway
          const container = new Their.Container()
          const app = yield* Their.application(generation, (module) =>
            new module.Application("remote", container, [url(port, path)], 20))
          const until = (condition: () => boolean) =>
            Effect.callback<void>((resume) => {
              const check = () =>
                condition() && resume(Effect.void)
              container.addEventListener("change", check)
              check()
            })
          yield* until(() => container.values.get("remote")?.counter === 0)
          app.disconnect()
          yield* until(() => container.values.get("remote") === null)
          yield* panel.put(["counter"], 8)
          yield* until(() => container.values.get("remote")?.counter === 8)
        }).pipe(Effect.scoped))
    })
  }

  it.live("0.7.0 pings us and is answered, and answers our pings", () =>
    Effect.gen(function*() {
      const state = yield* JugglerState.makeJson({ n: 1 })
      const port = yield* serving(
        JugglerServer.layerHttp(undefined, {
          path: "/ws",
          generation: JugglerGeneration.v07,
          state,
          keepAlive: { delay: "100 millis", timeout: "1500 millis" }
        })
      )
      // the first pings after 100 ms of silence and gives up 1.5 s later; the second only answers
      const their = yield* Their.connect("0.7", url(port, "/ws"), 100, 1_500)
      const silent = yield* Their.connect("0.7", url(port, "/ws"), null, 1_500)
      yield* Effect.sleep("2500 millis")
      assert.strictEqual(their.inner.readyState, 1)
      assert.strictEqual(silent.inner.readyState, 1)
    }).pipe(Effect.scoped))
})

const serving = <E, R>(layer: Layer.Layer<never, E, R | HttpRouter.HttpRouter>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      HttpRouter.serve(layer as Layer.Layer<never, never, HttpRouter.HttpRouter>, {
        disableLogger: true,
        disableListenLog: true
      }).pipe(
        Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { port: 0, maxFrameSize: 16_000_000 })),
        Layer.provide(JugglerClients.layer)
      )
    )
    const { address } = yield* Effect.provideContext(Effect.service(HttpServer.HttpServer), context)
    return address._tag === "UnixPathAddress" ? 0 : address.port
  })
