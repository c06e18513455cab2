/** What is asked and answered over POST is recorded on its route, and played again, from both ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Ref, Schema, type Scope } from "effect"
import { JsonRpcClient, JsonRpcHttpClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { Recording, Replay, Wiretap } from "effect-wire/wiretap"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"

class Shop extends RpcGroup.make(
  Rpc.make("price", { payload: { article: Schema.String }, success: Schema.Finite, error: Schema.String }),
  Rpc.make("login", { payload: { user: Schema.String, password: Schema.String }, success: Schema.Boolean }),
  Rpc.make("slow", { success: Schema.String }),
  Rpc.make("tell", { payload: { text: Schema.String } })
) {}

interface Version {
  readonly tea?: number
  readonly limit?: number
}

const handlers = ({ tea = 3 }: Version) =>
  Shop.toLayer({
    price: ({ article }) => article === "tea" ? Effect.succeed(tea) : Effect.fail(`no ${article}`),
    login: ({ password }) => Effect.succeed(password === "s3cret"),
    slow: () => Effect.as(Effect.sleep("3 seconds"), "late"),
    tell: () => Effect.void
  })

/** A server that is called without a port; its requests are recorded by the tap. */
const serve = (version: Version, tap?: Wiretap.Wiretap["Service"]) =>
  Effect.gen(function*() {
    const { limit: maxBodyBytes } = version
    const routes = JsonRpcServer.layerHttp(Shop, { path: "/rpc", maxBodyBytes }).pipe(Layer.provide(handlers(version)))
    const recorded = tap === undefined
      ? routes
      : Layer.provide(routes, Wiretap.layerRoutes.pipe(Layer.provide(Layer.succeed(Wiretap.Wiretap)(tap))))
    const context = yield* Effect.context<never>()
    const { dispose, handler } = HttpRouter.toWebHandler(recorded.pipe(Layer.provide(Layer.succeedContext(context))), {
      disableLogger: true
    })
    yield* Effect.addFinalizer(() => Effect.promise(dispose))
    return clientOf((request) => handler(request, context as never))
  })

const clientOf = (answer: (request: Request) => Promise<Response>) =>
  Layer.provide(
    FetchHttpClient.layer,
    Layer.succeed(FetchHttpClient.Fetch)(
      ((input: string, init: RequestInit) =>
        answer(new Request(input, { ...init, duplex: "half" } as RequestInit))) as typeof fetch
    )
  )

const url = "http://shop/rpc"

const customer = Effect.gen(function*() {
  const remote = yield* JsonRpcHttpClient.make({ url })
  const client = yield* JsonRpcClient.fromRemote(Shop, remote)
  assert.isTrue(yield* client.login({ user: "anna", password: "s3cret" }))
  const slow = yield* Effect.forkChild(client.slow())
  yield* Effect.yieldNow
  assert.strictEqual(yield* client.price({ article: "tea" }), 3)
  const refused: unknown = yield* Effect.flip(client.price({ article: "rum" }))
  assert.strictEqual(refused, "no rum")
  yield* JsonRpcClient.batch([client.price({ article: "tea" }), client.tell({ text: "thanks" })])
  yield* remote.notify("tell", { text: "bye" })
  assert.strictEqual(yield* Fiber.join(slow), "late")
})

const driven = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(
    effect,
    Effect.forever(Effect.andThen(Effect.promise(() => new Promise(setImmediate)), TestClock.adjust("100 millis")))
  )

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.scoped(Effect.provide(effect, TestClock.layer()))

const record = run(Effect.gen(function*() {
  const lines = yield* Ref.make("")
  const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
  yield* driven(Effect.provide(customer, yield* serve({}, tap)))
  yield* tap.flush
  return yield* Effect.flatMap(Ref.get(lines), Recording.parse)
}))

/** What was hidden is put back. */
const prepare: Replay.Options["prepare"] = (frame) =>
  frame.includes(`"login"`) ? frame.replace(/"params":"\*\*\*"/, `"params":{"user":"anna","password":"s3cret"}`) : frame

const played = (recording: Recording.Recording, version: Version) =>
  run(Effect.gen(function*() {
    const dial = yield* Effect.provide(Replay.post("http://shop"), yield* serve(version))
    return yield* driven(Replay.client(recording, dial, { prepare, patience: "1 second" }))
  }))

describe("Replay of POST", () => {
  it.effect("requests are recorded on their route, with their status and without secrets, and play again", () =>
    Effect.gen(function*() {
      const recording = yield* record
      const opened = recording.events.filter((event) => event.type === "open")
      assert.isAtLeast(opened.length, 5)
      assert.strictEqual(opened[0]!.carrier, "http")
      assert.match(opened[0]!.url, /\/rpc$/)
      const codes = recording.events.flatMap((event) => event.type === "close" ? [event.code] : [])
      assert.sameMembers(Array.from(new Set(codes)), [4200, 4204])
      assert.notInclude(Recording.format(recording), "s3cret")
      const report = yield* played(recording, {})
      assert.strictEqual(Replay.format(report), Replay.format({ ...report, differences: [] }))
      assert.isAtLeast(report.matched, 10)
    }))

  it.effect("another answer and another status are found; so is a server that is not there", () =>
    Effect.gen(function*() {
      const recording = yield* record
      assert.include(Replay.format(yield* played(recording, { tea: 4 })), "/result: expected 3, got 4")
      assert.include(Replay.format(yield* played(recording, { limit: 10 })), "/code: expected 4200, got 4413")
      const gone = yield* run(Effect.gen(function*() {
        const nobody = clientOf(() => Promise.reject(new TypeError("fetch failed")))
        const dial = yield* Effect.provide(Replay.post(url), nobody)
        return yield* driven(Replay.client(recording, dial, { patience: "1 second" }))
      }))
      assert.include(Replay.format(gone), "/code: expected 4200, got 1006")
    }))

  it.effect("a request that its client did not wait for is one whose connection it left", () =>
    run(Effect.gen(function*() {
      const lines = yield* Ref.make("")
      const tap = yield* Wiretap.make({ write: (more) => Ref.update(lines, (before) => before + more) })
      const exchange = tap.exchange({
        carrier: "http",
        remoteAddress: undefined,
        headers: {} as never,
        url: "/rpc",
        protocol: undefined
      }, "{}")
      exchange(undefined, undefined)
      yield* tap.flush
      const { events } = yield* Effect.flatMap(Ref.get(lines), Recording.parse)
      assert.deepInclude(events.at(-1), { type: "close", from: "client", code: 1006 })
    })))

  it.effect("the server of a recording answers whoever asks for the same, whatever the order", () =>
    Effect.gen(function*() {
      const recording = yield* record
      const report = yield* run(Effect.gen(function*() {
        const { handler, server } = yield* Replay.postServer
        const routes = HttpRouter.add("POST", "/rpc", handler)
        const { dispose, handler: answer } = HttpRouter.toWebHandler(routes, { disableLogger: true })
        yield* Effect.addFinalizer(() => Effect.promise(dispose))
        const client = yield* Effect.forkChild(Effect.provide(customer, clientOf((request) => answer(request))))
        const report = yield* driven(Replay.server(recording, server, { settle: 0 }))
        yield* driven(Fiber.join(client))
        return report
      }))
      assert.strictEqual(Replay.format(report), Replay.format({ ...report, differences: [] }))
    }))
})
