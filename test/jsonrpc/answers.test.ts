/**
 * Whatever a handler gives back, on every way to it: one answer each, nobody else is disturbed, the connection and the
 * process live. The table is crossed with the ways in: alone, in a batch, by POST, over Juggler.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Schema, SchemaGetter, Scope, Stream } from "effect"
import { JsonRpcError, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { JugglerGeneration, JugglerServer } from "effect-wire/juggler"
import { Progress, RpcConnection } from "effect-wire/rpc"
import { MemorySocket } from "effect-wire/socket"
import { HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { TestClock } from "effect/testing"
import { seeded } from "./mutate.ts"
import { connect, fromSocket, type Raw } from "./raw.ts"

const circular: Record<string, unknown> = {}
circular.self = circular

const deep = (): unknown => {
  let value: unknown = []
  for (let i = 0; i < 10_000; i++) value = [value]
  return value
}

const throwing = (): never => {
  throw new Error("secret")
}

/** Values that are no JSON, or hardly. */
const odd: ReadonlyArray<readonly [name: string, make: () => unknown]> = [
  ["a cycle", () => circular],
  ["a bigint", () => 12n],
  ["a bigint inside", () => ({ a: [1n] })],
  ["a throwing getter", () => Object.defineProperty({}, "x", { enumerable: true, get: throwing })],
  ["a throwing toJSON", () => ({ toJSON: throwing })],
  ["a toJSON that gives a cycle", () => ({ toJSON: () => circular })],
  ["a proxy that throws", () => new Proxy({}, { get: throwing, ownKeys: throwing, has: throwing })],
  ["a revoked proxy", () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }],
  ["something very deep", deep],
  ["a symbol", () => Symbol("x")],
  ["a function", () => throwing],
  ["nothing", () => undefined],
  ["NaN", () => NaN],
  ["a map", () => new Map([[1, 2n]])],
  ["an object without prototype", () => Object.create(null)],
  ["an error whose message throws", () => Object.defineProperty(new Error(), "message", { get: throwing })],
  ["a thenable", () => ({ then: throwing })],
  ["a sparse array", () => Object.assign([], { length: 3 })]
]

class Failed
  extends Schema.TaggedError<Failed>()("Failed", { cause: Schema.Any }, JsonRpcError.wire({ code: -32010 }))
{}

/** Takes its time to encode. */
const Slow = Schema.Any.pipe(
  Schema.decodeTo(Schema.Any, {
    decode: SchemaGetter.transform((value: unknown) => value),
    encode: SchemaGetter.transformEffect((value: unknown) => Effect.as(Effect.sleep("1 second"), value))
  })
)

/** A codec that throws what nobody expects. */
const Broken = Schema.Any.pipe(
  Schema.decodeTo(Schema.Any, {
    decode: SchemaGetter.transform((value: unknown) => value),
    encode: SchemaGetter.transform((value: unknown) => {
      if (value === "sound") return value
      throw new Error("secret")
    })
  })
)

class Group extends RpcGroup.make(
  Rpc.make("fence", { success: Schema.String }),
  Rpc.make("wait", { success: Schema.String }),
  Rpc.make("act", { payload: { how: Schema.String, what: Schema.Int }, success: Schema.Any, error: Failed }),
  Rpc.make("slowly", { payload: { how: Schema.String, what: Schema.Int }, success: Slow, error: Slow }),
  Rpc.make("broken", { payload: { how: Schema.String, what: Schema.Int }, success: Broken, error: Broken }),
  Rpc.make("untyped", { payload: { how: Schema.String, what: Schema.Int }, success: Schema.String }),
  Rpc.make("elements", {
    payload: { how: Schema.String, what: Schema.Int },
    success: Schema.Any,
    error: Failed,
    stream: true
  })
) {}

const hows = [
  "succeeds",
  "fails",
  "fails undeclared",
  "dies",
  "throws",
  "returns",
  "interrupts",
  "succeeds later",
  "fails later",
  "dies later",
  "reports",
  "deferred",
  "fork",
  "scope"
] as const

const behave = (
  { how, what }: { readonly how: string; readonly what: number },
  fail = (value: unknown): unknown => new Failed({ cause: value })
): any => {
  const value = odd[what]![1]()
  switch (how as (typeof hows)[number]) {
    case "succeeds":
      return Effect.succeed(value)
    case "fails":
      return Effect.suspend(() => Effect.fail(fail(value)))
    case "fails undeclared":
      return Effect.fail(value)
    case "dies":
      return Effect.die(value)
    case "throws":
      throw value
    case "returns":
      return value
    case "interrupts":
      return Effect.interrupt
    case "succeeds later":
      return Effect.as(Effect.sleep("1 second"), value)
    case "fails later":
      return Effect.andThen(Effect.sleep("1 second"), Effect.suspend(() => Effect.fail(fail(value))))
    case "dies later":
      return Effect.andThen(Effect.sleep("1 second"), Effect.die(value))
    case "reports":
      return Effect.as(Progress.report({ operation: value as string, amount: value as number, value }), "reported")
    case "deferred": {
      const deferred = Deferred.makeUnsafe<unknown, unknown>()
      return Effect.as(
        Effect.forkDetach(Effect.andThen(Effect.sleep("1 second"), Deferred.succeed(deferred, value))),
        deferred
      )
    }
    case "fork":
      return Rpc.fork(Effect.andThen(Effect.sleep("1 second"), Effect.succeed(value)))
    case "scope":
      return Effect.as(Effect.addFinalizer(() => Effect.die(value)), value)
  }
}

const streamOf = ({ how, what }: { readonly how: string; readonly what: number }): any => {
  const value = odd[what]![1]()
  const later = how.endsWith("later")
  const first = later ? Stream.fromEffect(Effect.as(Effect.sleep("1 second"), 1)) : Stream.make(1)
  if (how.startsWith("succeeds")) return Stream.concat(first, Stream.make(value))
  if (how.startsWith("fails")) {
    return Stream.concat(
      first,
      Stream.fromEffect(Effect.suspend(() => Effect.fail(new Failed({ cause: value }))))
    )
  }
  if (how.startsWith("dies")) return Stream.concat(first, Stream.die(value))
  return behave({ how, what })
}

const methods = ["act", "slowly", "broken", "untyped", "elements"] as const

const gate = Deferred.makeUnsafe<string>()
const Handlers: Layer.Layer<Rpc.ToHandler<RpcGroup.Rpcs<typeof Group>>> = Group.toLayer({
  fence: () => Effect.succeed("fence"),
  wait: () => Deferred.await(gate),
  act: (payload: any) => behave(payload),
  slowly: (payload: any) => behave(payload, (value) => value),
  broken: (payload: any) => behave(payload, (value) => value),
  untyped: (payload: any) => behave(payload),
  elements: (payload: any) => streamOf(payload)
} as any) as any

interface Case {
  readonly method: (typeof methods)[number]
  readonly how: string
  readonly what: number
}

const cases: ReadonlyArray<Case> = methods.flatMap((method) =>
  hows.flatMap((how) => odd.map((_, what) => ({ method, how, what })))
)
const request = ({ how, method, what }: Case, id: number) =>
  `{"jsonrpc":"2.0","method":"${method}","params":{"how":"${how}","what":${what}},"id":${id}}`

/** Fails the test where anything reaches the process. */
const guarded = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const caught: Array<unknown> = []
      const listener = (error: unknown) => void caught.push(error)
      process.on("uncaughtException", listener)
      process.on("unhandledRejection", listener)
      return { caught, listener }
    }),
    ({ caught }) => Effect.tap(effect, () => Effect.sync(() => assert.deepStrictEqual(caught, []))),
    ({ listener }) =>
      Effect.sync(() => {
        process.off("uncaughtException", listener)
        process.off("unhandledRejection", listener)
      })
  ).pipe(Effect.provide(Logger.layer([
    Logger.map(Logger.formatLogFmt, () => {}),
    Logger.map(Logger.formatJson, () => {})
  ])))

const checkAnswer = (answer: any, one: Case) => {
  assert.strictEqual(answer.jsonrpc, "2.0")
  assert.isTrue("result" in answer !== "error" in answer)
  if ("error" in answer) {
    assert.isTrue(Number.isSafeInteger(answer.error.code), JSON.stringify({ answer, one }))
    assert.isString(answer.error.message)
    assert.notInclude(JSON.stringify(answer), "secret")
  }
}

/** What a peer receives until each of the requests has its answer; there may be no second one. */
const answersTo = (
  peer: Pick<Raw, "takeJson">,
  ids: ReadonlyArray<number>
) =>
  Effect.gen(function*() {
    const answers = new Map<number, any>()
    const reading = yield* Effect.forkChild(Effect.gen(function*() {
      while (answers.size < ids.length) {
        const frame = yield* peer.takeJson
        for (const message of Array.isArray(frame) ? frame : [frame]) {
          if (message.method !== undefined) continue
          assert.isFalse(answers.has(message.id), `two answers to ${message.id}`)
          answers.set(message.id, message)
        }
      }
    }))
    for (let i = 0; i < 5; i++) yield* TestClock.adjust("1 second")
    yield* Fiber.join(reading)
    return answers
  })

describe("whatever a handler gives back", () => {
  for (const wire of [Wire.standard, Wire.rockets]) {
    it.effect(
      `each request has one answer, and others are not disturbed (${wire.name})`,
      () =>
        guarded(Effect.gen(function*() {
          const peer = yield* connect(Group, Handlers, { wire, concurrency: 10_000, maxRequestBytes: Infinity })
          yield* peer.send(`{"jsonrpc":"2.0","method":"wait","id":-1}`)
          for (const [id, one] of cases.entries()) yield* peer.send(request(one, id))
          const answers = yield* answersTo(peer, cases.map((_, id) => id))
          for (const [id, one] of cases.entries()) checkAnswer(answers.get(id), one)
          assert.deepStrictEqual(yield* peer.pending, [])
          yield* peer.send(`{"jsonrpc":"2.0","method":"fence","id":"fence"}`)
          assert.strictEqual((yield* peer.takeJson).result, "fence")
        })),
      120_000
    )
  }

  it.effect("in batches, and streams by credits", () =>
    guarded(Effect.gen(function*() {
      const peer = yield* connect(Group, Handlers, {
        wire: Wire.rockets,
        concurrency: 10_000,
        maxRequestBytes: Infinity,
        maxBatch: 2000
      })
      const random = seeded(7)
      const sent: Array<number> = []
      while (sent.length < cases.length) {
        const size = 1 + Math.floor(random() * 40)
        const batch: Array<string> = []
        for (let i = 0; i < size && sent.length < cases.length; i++) {
          const text = request(cases[sent.length]!, sent.length)
          batch.push(random() < 0.5 ? text : text.replace("{", `{"stream":{"credit":${3 + Math.floor(random() * 3)}},`))
          sent.push(sent.length)
        }
        yield* peer.send(`[${batch.join(",")}]`)
      }
      const answers = yield* answersTo(peer, sent)
      for (const [id, one] of cases.entries()) checkAnswer(answers.get(id), one)
    })), 60_000)

  it.effect("by POST", () =>
    guarded(Effect.gen(function*() {
      for (let from = 0; from < cases.length; from += 90) {
        const some = cases.slice(from, from + 90)
        const response = yield* HttpClient.execute(
          HttpClientRequest.post("/", { body: undefined as any }).pipe(
            HttpClientRequest.bodyText(
              `[${some.map((one, i) => request(one, from + i)).join(",")}]`,
              "application/json"
            )
          )
        )
        const answers = (yield* response.json) as Array<any>
        assert.deepStrictEqual(answers.map(({ id }) => id).sort((a, b) => a - b), some.map((_, i) => from + i))
        for (const answer of answers) checkAnswer(answer, cases[answer.id]!)
      }
    })).pipe(
      Effect.provide(
        HttpRouter.serve(JsonRpcServer.layerHttp(Group, { path: "/", maxRequestBytes: Infinity }), {
          disableListenLog: true,
          disableLogger: true
        }).pipe(Layer.provide(Handlers), Layer.provideMerge(NodeHttpServer.layerTest))
      ),
      TestClock.withLive
    ), 60_000)

  it.effect("over Juggler", () =>
    guarded(Effect.gen(function*() {
      for (const generation of [JugglerGeneration.v05, JugglerGeneration.v07]) {
        const run = yield* JugglerServer.make(Group, { generation, concurrency: 10_000, maxRequestBytes: Infinity })
          .pipe(
            Effect.provide(Handlers)
          )
        const [near, far] = yield* MemorySocket.makePair({ capacity: 10_000 })
        yield* Effect.forkScoped(run(far), { startImmediately: true })
        const peer = yield* fromSocket(near)
        const receive = generation.receiver(undefined)
        const send = (id: number, name: string, data: any) =>
          Effect.forEach(generation.encode({ _tag: "Request", id, name, data }), (frame) => peer.send(frame))
        for (const [id, { how, method, what }] of cases.entries()) yield* send(id + 1, method, { how, what })
        const answers = new Map<number, string>()
        const reading = yield* Effect.forkChild(Effect.gen(function*() {
          while (answers.size < cases.length) {
            const message = receive(yield* peer.take)
            if (message?._tag !== "Response") continue
            assert.isFalse(answers.has(message.id), `two answers to ${message.id}`)
            answers.set(message.id, JSON.stringify(message.data))
          }
        }))
        for (let i = 0; i < 5; i++) yield* TestClock.adjust("1 second")
        yield* Fiber.join(reading)
      }
    })), 60_000)

  it.effect("random values, with something odd in any place", () =>
    guarded(Effect.gen(function*() {
      const random = seeded(11)
      const below = (n: number) => Math.floor(random() * n)
      const any = (depth: number): unknown => {
        const kind = below(depth > 3 ? 3 : 5)
        if (kind === 0) return odd[below(odd.length)]![1]()
        if (kind === 1) return below(1000) / 10
        if (kind === 2) return `${below(1000)}`
        const parts = Array.from({ length: below(4) }, () => any(depth + 1))
        return kind === 3 ? parts : Object.fromEntries(parts.map((part, i) => [i === 0 ? "__proto__" : `k${i}`, part]))
      }
      for (let round = 0; round < 300; round++) {
        const value = any(0)
        const handlers = Group.toLayer({
          fence: () => Effect.succeed("fence"),
          wait: () => Effect.die(value),
          act: () => Effect.fail(new Failed({ cause: value })),
          slowly: () => value,
          broken: () => Effect.fail(value),
          untyped: () => Effect.succeed(value),
          elements: () => Stream.make(1, value)
        } as any)
        yield* Effect.scoped(Effect.gen(function*() {
          const peer = yield* connect(Group, handlers as typeof Handlers)
          for (const [id, method] of methods.entries()) yield* peer.send(request({ method, how: "", what: 0 }, id))
          yield* peer.send(`{"jsonrpc":"2.0","method":"wait","id":${methods.length}}`)
          const answers = yield* answersTo(peer, [...methods.keys(), methods.length])
          for (const answer of answers.values()) checkAnswer(answer, cases[0]!)
        }))
      }
    })), 60_000)
})

it.effect("an access rule that throws is an internal error of that request", () =>
  guarded(Effect.gen(function*() {
    const peer = yield* connect(Group, Handlers).pipe(
      Effect.provideService(RpcConnection.MethodAccess, (rpc) => rpc._tag === "fence" || throwing())
    )
    yield* peer.send(`{"jsonrpc":"2.0","method":"wait","id":1}`, `{"jsonrpc":"2.0","method":"fence","id":2}`)
    assert.strictEqual((yield* peer.takeJson).error.code, -32603)
    assert.strictEqual((yield* peer.takeJson).result, "fence")
  })))

it.effect("an orderly stop waits for what is encoded, success and failure alike", () =>
  Effect.gen(function*() {
    const Later = RpcGroup.make(Rpc.make("succeed", { success: Slow }), Rpc.make("fail", { error: Slow }))
    const LaterHandlers = Later.toLayer({ succeed: () => Effect.succeed("value"), fail: () => Effect.fail("declared") })
    const scope = yield* Scope.make()
    const server = yield* Scope.provide(MemorySocket.makeServer(), scope)
    const run = yield* JsonRpcServer.make(Later).pipe(Effect.provide(LaterHandlers))
    yield* server.server.run(run).pipe(Effect.forkIn(scope))
    const peer = yield* fromSocket(server.connect())
    yield* peer.send(`{"jsonrpc":"2.0","method":"succeed","id":1}`, `{"jsonrpc":"2.0","method":"fail","id":2}`)
    yield* TestClock.adjust("100 millis")
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* peer.takeJson).result, "value")
    assert.strictEqual((yield* peer.takeJson).error.data, "declared")
    yield* Fiber.join(closing)
  }))
