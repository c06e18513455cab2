/** Keyed calls over HTTP POST: what is lost on its way is called again by our client, and executed once. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Logger, Schema } from "effect"
import { JsonRpcClient, type JsonRpcError, JsonRpcHttpClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { Idempotency } from "effect-wire/rpc"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse, HttpRouter } from "effect/http"
import { Rpc, type RpcClient, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"

class Shop extends RpcGroup.make(
  Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.Int }).pipe(Idempotency.keyed),
  Rpc.make("plain", { success: Schema.Int })
) {}

/** What becomes of each request, in their order; the rest gets through. */
type Fate = "answer lost" | "request lost" | "502" | "through"

const lossy = (fates: Array<Fate>, bodies: Array<string>) => (client: HttpClient.HttpClient) =>
  HttpClient.transform(client, (answered, request) => {
    const fate = fates.shift() ?? "through"
    const lost = Effect.fail(
      new HttpClientError.HttpClientError({
        reason: new HttpClientError.TransportError({ request, cause: new Error("cut") })
      })
    )
    bodies.push(bodyOf(request))
    if (fate === "request lost") return lost
    if (fate === "502") return Effect.succeed(HttpClientResponse.fromWeb(request, new Response("", { status: 502 })))
    return fate === "through" ? answered : Effect.andThen(Effect.flatMap(answered, ({ text }) => text), lost)
  })

const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): string =>
  body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""

const test = (
  name: string,
  fates: ReadonlyArray<Fate>,
  body: (
    world: {
      readonly client: RpcClient.FromGroup<typeof Shop, JsonRpcError.JsonRpcError>
      readonly paid: Array<number>
      readonly bodies: Array<string>
    }
  ) => Effect.Effect<void, unknown>,
  once: Layer.Layer<Idempotency.Once> = Idempotency.layerMemory()
) => {
  const paid: Array<number> = []
  const bodies: Array<string> = []
  const Handlers = Shop.toLayer({
    pay: ({ amount }) => Effect.sync(() => paid.push(amount)),
    plain: () => Effect.sync(() => paid.push(0))
  })
  const Routes = JsonRpcServer.layerHttp(Shop, { path: "/rpc" }).pipe(Layer.provide([Handlers, once]))
  const Http = HttpRouter.serve(Routes, { disableLogger: true }).pipe(Layer.provideMerge(NodeHttpServer.layerTest))
  it.live(name, () =>
    Effect.gen(function*() {
      const http = lossy([...fates], bodies)(yield* HttpClient.HttpClient)
      const remote = yield* Effect.provideService(
        JsonRpcHttpClient.make({ url: "/rpc", callTimeout: "3 seconds" }),
        HttpClient.HttpClient,
        http
      )
      yield* body({ client: yield* JsonRpcClient.fromRemote(Shop, remote), paid, bodies })
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Http.pipe(Layer.provideMerge(Logger.layer([])))))))
}

test(
  "a call whose answer is lost has it, and was executed once",
  ["answer lost", "502", "answer lost"],
  (world) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* world.client.pay({ amount: 5 }), 1)
      assert.deepStrictEqual(world.paid, [5])
      assert.lengthOf(world.bodies, 4)
      assert.include(world.bodies[0], `"method":"pay"`)
      assert.include(world.bodies[1], `"method":"$/again"`)
    })
)

test(
  "a call whose request is lost is executed when it comes again",
  ["request lost"],
  (world) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* world.client.pay({ amount: 7 }), 1)
      assert.deepStrictEqual(world.paid, [7])
    })
)

test(
  "a call that never gets through fails after its time, and says that it may have been executed",
  Array(50).fill("502"),
  (
    world
  ) =>
    Effect.gen(function*() {
      const error = (yield* Effect.flip(world.client.pay({ amount: 7 }))) as JsonRpcError.JsonRpcError
      const { reason } = error
      assert.isTrue(reason._tag === "ConnectionError" && reason.kind === "Timeout" && reason.maybeExecuted)
      assert.isAbove(world.bodies.length, 2)
      const tried = world.bodies.length
      yield* Effect.sleep("400 millis")
      assert.isAtMost(world.bodies.length, tried + 1)
    })
)

test("a call without a key is not called again", ["answer lost"], (world) =>
  Effect.gen(function*() {
    const error = (yield* Effect.flip(world.client.plain())) as JsonRpcError.JsonRpcError
    assert.strictEqual(error.reason._tag, "ConnectionError")
    assert.lengthOf(world.bodies, 1)
  }))

test("who gives up is not called again for", Array(50).fill("502"), (world) =>
  Effect.gen(function*() {
    yield* Effect.timeoutOption(world.client.pay({ amount: 1 }), "250 millis")
    const tried = world.bodies.length
    yield* Effect.sleep("600 millis")
    assert.strictEqual(world.bodies.length, tried)
  }))

it.effect("the pause that a server asks for ends with the call", () =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    let asleep = 0
    const counting: Clock.Clock = Object.create(clock, {
      sleep: {
        value: (...args: Parameters<Clock.Clock["sleep"]>) =>
          Effect.suspend(() => {
            asleep++
            return Effect.ensuring(clock.sleep(...args), Effect.sync(() => asleep--))
          })
      }
    })
    const busy = HttpClient.make((request) =>
      Effect.succeed(
        HttpClientResponse.fromWeb(request, new Response("", { status: 503, headers: { "retry-after": "3600" } }))
      )
    )
    const remote = yield* JsonRpcHttpClient.make({ url: "http://shop/rpc", callTimeout: "3 seconds" }).pipe(
      Effect.provideService(HttpClient.HttpClient, busy),
      Effect.provideService(Clock.Clock, counting)
    )
    const client = yield* JsonRpcClient.fromRemote(Shop, remote)
    const call = yield* Effect.forkChild(Effect.flip(client.pay({ amount: 1 })))
    yield* TestClock.adjust("1 second")
    assert.isAbove(asleep, 0)
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual((yield* Fiber.join(call))._tag, "JsonRpcError")
    assert.strictEqual(asleep, 0)
  }))
