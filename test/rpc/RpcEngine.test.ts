/** The engine by itself, without a wire: requests go in decoded, outcomes come out. */
import { assert, it } from "@effect/vitest"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Queue,
  References,
  Schema,
  Scope,
  Stream,
  Tracer
} from "effect"
import { Progress, RpcConnection, RpcEngine, RpcMethods, RpcMetrics } from "effect-wire/rpc"
import { Rpc, RpcGroup, RpcMiddleware } from "effect/rpc"
import { TestClock } from "effect/testing"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

class Caller extends Context.Service<Caller, { readonly name: string }>()(
  "effect-wire/test/rpc/RpcEngine.test/Caller"
) {}
class Guard extends RpcMiddleware.Service<Guard, { provides: Caller }>()("effect-wire/test/rpc/RpcEngine.test/Guard", {
  error: Refused
}) {}

class Group extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("work", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("forked", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("stubborn", { success: Schema.String }),
  Rpc.make("refuse", { error: Refused }),
  Rpc.make("die"),
  Rpc.make("throws"),
  Rpc.make("misfit", { success: Schema.Finite }),
  Rpc.make("later", { success: Schema.String }),
  Rpc.make("numbers", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("queued", { success: Schema.Int, stream: true }),
  Rpc.make("queuedLater", { success: Schema.Int, stream: true }),
  Rpc.make("endless", { success: Schema.Int, stream: true }),
  Rpc.make("broken", { success: Schema.Int, error: Refused, stream: true }),
  Rpc.make("scoped"),
  Rpc.make("slowToClose"),
  Rpc.make("guarded", { payload: { key: Schema.String }, success: Schema.String }).middleware(Guard),
  Rpc.make("log"),
  Rpc.make("span", { success: Schema.NullOr(Schema.String) }),
  Rpc.make("reports")
) {}

/** What one test's handlers did, in order. */
const makeWorld = () => ({
  events: [] as Array<string>,
  gates: new Map<string, Deferred.Deferred<string>>(),
  later: Deferred.makeUnsafe<string>(),
  queue: Effect.runSync(Effect.tap(
    Queue.unbounded<number, Cause.Done>(),
    (queue) => Effect.andThen(Queue.offerAll(queue, [1, 2, 3]), Queue.end(queue))
  )),
  logs: [] as Array<unknown>
})
type World = ReturnType<typeof makeWorld>

const gate = (world: World, name: string) => {
  let found = world.gates.get(name)
  if (found === undefined) {
    found = Deferred.makeUnsafe<string>()
    world.gates.set(name, found)
  }
  return found
}

const handlers = (world: World) => {
  const event = (text: string) => Effect.sync(() => void world.events.push(text))
  const work = ({ name }: { readonly name: string }) =>
    Effect.gen(function*() {
      yield* event(`start ${name}`)
      return yield* Deferred.await(gate(world, name))
    }).pipe(Effect.onInterrupt(() => event(`interrupt ${name}`)))
  return Group.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    work,
    forked: (payload) => Rpc.fork(work(payload)),
    stubborn: () => Rpc.uninterruptible(Effect.delay(Effect.succeed("done"), "1 second")),
    refuse: () => Effect.fail(new Refused({ why: "no" })),
    die: () => Effect.die(new Error("secret")),
    throws: (): Effect.Effect<void> => {
      throw new Error("secret")
    },
    misfit: () => Effect.succeed(Number.NaN),
    later: () => Effect.succeed(world.later),
    numbers: ({ to }) => Stream.range(1, to),
    queued: () => Effect.succeed(world.queue),
    queuedLater: () =>
      Effect.gen(function*() {
        const queue = yield* Queue.unbounded<number, Cause.Done>()
        yield* Queue.offerAll(queue, [1, 2, 3])
        yield* Queue.end(queue)
        yield* Effect.sleep("1 second")
        return queue
      }),
    endless: () => Stream.forever(Stream.make(1, 2, 3)),
    broken: () => Stream.concat(Stream.make(1), Stream.fail(new Refused({ why: "broken" }))),
    scoped: () =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(event("open"), (_, exit) => event(`close ${exit._tag}`))
        yield* event("use")
      }),
    slowToClose: () =>
      Effect.gen(function*() {
        yield* Effect.acquireRelease(event("open"), () => Effect.andThen(Effect.sleep("1 second"), event("closed")))
        return yield* Effect.never
      }),
    guarded: ({ key }) => Effect.map(Caller, (caller) => `${caller.name} ${key}`),
    log: () => Effect.log("hello"),
    span: () => Effect.map(Effect.option(Effect.currentSpan), (span) => span._tag === "Some" ? span.value.name : null),
    reports: () => Progress.report({ operation: "half", amount: 0.5 })
  }).pipe(Layer.provideMerge(Layer.succeed(
    Guard,
    (effect, { payload }) =>
      (payload as { readonly key: string }).key === "open"
        ? Effect.provideService(effect, Caller, { name: "somebody" })
        : Effect.fail(new Refused({ why: "locked" }))
  )))
}

const unwritable = "unwritable"

class TestRequest extends RpcEngine.EngineRequest {
  readonly outcomes: Array<readonly [string, unknown?, unknown?]>
  readonly chunks: Array<ReadonlyArray<unknown>> = []
  readonly reports: Array<Progress.Report> = []
  streams = false
  traceContext: Tracer.AnySpan | undefined = undefined

  constructor(
    key: string | undefined,
    method: RpcMethods.ServedMethod,
    payload: unknown,
    outcomes: Array<readonly [string, unknown?, unknown?]> = []
  ) {
    super(key, method, payload)
    this.outcomes = outcomes
  }
  override get trace() {
    return this.traceContext
  }
  override get progress() {
    return (report: Progress.Report) => void this.reports.push(report)
  }
  onElements(values: ReadonlyArray<unknown>) {
    this.chunks.push(values)
    return !this.streams || this.chunks.length < 3 ? Effect.void : Effect.never
  }
  onSuccess(encoded: unknown) {
    if (encoded === unwritable) throw new TypeError("it cannot be written")
    this.outcomes.push(["success", this.method.isStream ? this.chunks.flat() : encoded])
  }
  onFailure(error: unknown, _declared: RpcMethods.MethodError | undefined, encoded: unknown) {
    this.outcomes.push(["failure", error, encoded])
  }
  onInvalid(reason: { readonly message: string }) {
    this.outcomes.push(["invalid", reason.message])
  }
  onInterrupt(byPeer: boolean) {
    this.outcomes.push(["interrupt", byPeer])
  }
  onDefect(cause: Cause.Cause<unknown>) {
    this.outcomes.push(["defect", Cause.squash(cause)])
  }
}

const open = (options?: RpcEngine.Options) =>
  Effect.gen(function*() {
    const world = makeWorld()
    const context = yield* Layer.build(handlers(world))
    const methods = yield* Effect.provideContext(RpcMethods.serve(Group), context)
    const connection = yield* RpcConnection.make(undefined)
    const session = yield* RpcEngine.open(connection, options)
    let lastKey = 0
    const make = (name: string, params?: unknown, key: string | undefined = String(++lastKey)) => {
      const method = methods.get(name)!
      return new TestRequest(key, method, RpcMethods.toPayload(method, params))
    }
    const submit = (name: string, params?: unknown, key?: string) => {
      const request = make(name, params, key)
      session.submit(request)
      return request
    }
    const settle = (name: string, value = name) => Deferred.succeed(gate(world, name), value)
    return { world, session, make, submit, settle, connection }
  })

it.effect("a handler whose effect is done already is answered in the same turn, without a fiber", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    assert.deepStrictEqual(submit("add", [1, 2]).outcomes, [["success", 3]])
    assert.deepStrictEqual(submit("add", { a: 1, b: 2 }).outcomes, [["success", 3]])
    assert.strictEqual(session.active(), 0)
  }))

it.effect("requests start in the order in which they arrived and run side by side", () =>
  Effect.gen(function*() {
    const { session, settle, submit, world } = yield* open()
    const requests = ["a", "b", "c"].map((name) => submit("work", [name]))
    assert.deepStrictEqual(world.events, ["start a", "start b", "start c"])
    yield* settle("b")
    yield* Effect.yieldNow
    assert.deepStrictEqual(requests.map((request) => request.outcomes.length), [0, 1, 0])
    yield* settle("a")
    yield* settle("c")
    yield* session.idle
    assert.deepStrictEqual(requests.map((request) => request.outcomes), [
      [["success", "a"]],
      [["success", "b"]],
      [["success", "c"]]
    ])
  }))

it.effect("256 requests run at once and the next waits its turn", () =>
  Effect.gen(function*() {
    const { session, settle, submit, world } = yield* open()
    for (let i = 0; i < 300; i++) submit("work", [`${i}`])
    assert.strictEqual(world.events.length, 256)
    assert.strictEqual(session.active(), 300)
    yield* settle("7")
    yield* Effect.yieldNow
    assert.deepStrictEqual(world.events.slice(256), ["start 256"])
  }))

it.effect("with a concurrency of 1 requests run one after the other, the quick ones too", () =>
  Effect.gen(function*() {
    const { settle, submit, world } = yield* open({ concurrency: 1 })
    submit("work", ["a"])
    const quick = submit("add", [1, 2])
    submit("work", ["b"])
    const last = submit("add", [3, 4])
    assert.deepStrictEqual(quick.outcomes, [])
    yield* settle("a")
    yield* Effect.yieldNow
    assert.deepStrictEqual(quick.outcomes, [["success", 3]])
    assert.deepStrictEqual(world.events, ["start a", "start b"])
    assert.deepStrictEqual(last.outcomes, [])
    yield* settle("b")
    yield* Effect.yieldNow
    assert.deepStrictEqual(last.outcomes, [["success", 7]])
  }))

it.effect("when 1,024 wait the next is refused, and one is taken again as soon as one of them starts", () =>
  Effect.gen(function*() {
    const { make, session, settle, world } = yield* open()
    for (let i = 0; i < 256 + 1024; i++) assert.isTrue(session.submit(make("work", [`${i}`])))
    const refused = make("work", ["refused"])
    assert.isFalse(session.submit(refused))
    assert.deepStrictEqual(refused.outcomes, [])
    yield* settle("0")
    yield* Effect.yieldNow
    assert.strictEqual(world.events.at(-1), "start 256")
    assert.isTrue(session.submit(make("work", ["taken"])))
  }))

it.effect("what runs and waits is bounded in bytes, but one request is taken whatever it weighs", () =>
  Effect.gen(function*() {
    const { make, session, settle } = yield* open({ maxRequestBytes: 10_000 })
    const weighing = (bytes: number, name: string) => {
      const request = make("work", [name])
      Object.defineProperty(request, "maxWeight", { value: bytes })
      return request
    }
    assert.isTrue(session.submit(weighing(20_000, "large")))
    assert.isFalse(session.submit(weighing(1, "small")))
    yield* settle("large")
    yield* session.idle
    for (const name of ["a", "b", "c"]) assert.isTrue(session.submit(weighing(3_000, name)))
    assert.isFalse(session.submit(weighing(3_000, "d")))
    yield* settle("b")
    yield* Effect.yieldNow
    assert.isTrue(session.submit(weighing(3_000, "d")))
  }))

it.effect("a cancel reaches a request that waits: it never starts, is answered at once, and leaves room", () =>
  Effect.gen(function*() {
    const { make, session, settle, submit, world } = yield* open({ concurrency: 1, maxWaiting: 2 })
    const first = submit("work", ["a"])
    const second = submit("work", ["b"], "b")
    const third = submit("work", ["c"])
    assert.isFalse(session.submit(make("work", ["d"])))
    assert.isTrue(session.cancel("b"))
    assert.deepStrictEqual(second.outcomes, [["interrupt", true]])
    assert.isUndefined(session.find("b"))
    assert.isFalse(session.cancel("b"))
    assert.strictEqual(session.active(), 2)
    const fourth = submit("work", ["d"])
    yield* settle("a")
    yield* settle("c")
    yield* settle("d")
    yield* session.idle
    assert.deepStrictEqual(world.events, ["start a", "start c", "start d"])
    assert.deepStrictEqual(second.outcomes, [["interrupt", true]])
    assert.deepStrictEqual([first, third, fourth].map((request) => request.outcomes.length), [1, 1, 1])
    assert.strictEqual(session.active(), 0)
  }))

it.effect("an outcome that the wire cannot write down is a defect of its own request only", () =>
  Effect.gen(function*() {
    const { session, settle, submit } = yield* open()
    const broken = submit("work", ["broken"])
    const sound = submit("work", ["sound"])
    yield* settle("broken", unwritable)
    yield* settle("sound")
    yield* session.idle
    assert.strictEqual(broken.outcomes[0]![0], "defect")
    assert.deepStrictEqual(sound.outcomes, [["success", "sound"]])
  }))

it.effect("a cancel interrupts a running request once, however often it comes, and it is answered once", () =>
  Effect.gen(function*() {
    const { session, settle, submit, world } = yield* open()
    const request = submit("work", ["a"], "a")
    assert.isTrue(session.cancel("a"))
    session.cancel("a")
    yield* Effect.yieldNow
    session.cancel("a")
    yield* settle("a")
    yield* session.idle
    assert.deepStrictEqual(world.events, ["start a", "interrupt a"])
    assert.deepStrictEqual(request.outcomes, [["interrupt", true]])
    assert.isFalse(session.cancel("a"))
    assert.isFalse(session.cancel("unknown"))
  }))

it.effect("a result and a cancel in the same turn make one answer, whichever comes first", () =>
  Effect.gen(function*() {
    const { session, settle, submit } = yield* open()
    const resultFirst = submit("work", ["a"], "a")
    yield* settle("a")
    session.cancel("a")
    const cancelFirst = submit("work", ["b"], "b")
    session.cancel("b")
    yield* settle("b")
    yield* session.idle
    assert.strictEqual(resultFirst.outcomes.length, 1)
    assert.deepStrictEqual(cancelFirst.outcomes, [["interrupt", true]])
  }))

it.effect("Rpc.fork takes no place among those that run at once, and keeps the order", () =>
  Effect.gen(function*() {
    const { session, settle, submit, world } = yield* open({ concurrency: 1 })
    const forked = submit("forked", { name: "f" }, "f")
    submit("work", ["a"])
    submit("work", ["b"])
    assert.deepStrictEqual(world.events, ["start f", "start a"])
    assert.strictEqual(session.active(), 3)
    const idle = yield* Effect.forkChild(session.idle, { startImmediately: true })
    yield* settle("a")
    yield* settle("b")
    yield* Effect.yieldNow
    assert.isUndefined(idle.pollUnsafe())
    assert.isDefined(session.find("f"))
    yield* settle("f")
    yield* Fiber.join(idle)
    assert.deepStrictEqual(forked.outcomes, [["success", "f"]])
  }))

it.effect("Rpc.fork can be cancelled", () =>
  Effect.gen(function*() {
    const { session, submit, world } = yield* open({ concurrency: 1 })
    const forked = submit("forked", { name: "f" }, "f")
    session.cancel("f")
    yield* session.idle
    assert.deepStrictEqual(forked.outcomes, [["interrupt", true]])
    assert.deepStrictEqual(world.events, ["start f", "interrupt f"])
  }))

it.effect("Rpc.uninterruptible finishes in spite of a cancel and is answered with its result", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    const request = submit("stubborn", undefined, "s")
    session.cancel("s")
    yield* TestClock.adjust("1 second")
    yield* session.idle
    assert.deepStrictEqual(request.outcomes, [["success", "done"]])
  }))

it.effect("a handler may give a Deferred, which is awaited, also by a cancel", () =>
  Effect.gen(function*() {
    const { session, submit, world } = yield* open()
    const cancelled = submit("later", undefined, "c")
    const request = submit("later")
    assert.deepStrictEqual(request.outcomes, [])
    session.cancel("c")
    yield* Deferred.succeed(world.later, "now")
    yield* session.idle
    assert.deepStrictEqual(request.outcomes, [["success", "now"]])
    assert.deepStrictEqual(cancelled.outcomes, [["interrupt", true]])
  }))

it.effect("parameters that do not fit are told as such", () =>
  Effect.gen(function*() {
    const { submit } = yield* open()
    assert.strictEqual(submit("add", { a: 1 }).outcomes[0]![0], "invalid")
    assert.strictEqual(submit("add", ["x", 1]).outcomes[0]![0], "invalid")
    assert.deepStrictEqual(submit("add", [1, 2, 3]).outcomes, [["invalid", "takes at most 2 parameters, got 3"]])
    assert.deepStrictEqual(submit("refuse", [1]).outcomes, [["invalid", "takes no parameters, got 1"]])
  }))

it.effect("declared failures, defects, throws and results that do not fit are four different things", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    const outcome = (name: string) => submit(name).outcomes[0]!
    assert.deepStrictEqual(outcome("refuse"), ["failure", new Refused({ why: "no" }), { _tag: "Refused", why: "no" }])
    assert.strictEqual(outcome("die")[0], "defect")
    assert.strictEqual(outcome("throws")[0], "defect")
    assert.strictEqual(outcome("misfit")[0], "defect")
    assert.strictEqual(session.active(), 0)
  }))

it.effect("a stream method is answered with its elements, from a Stream, from a Queue at once or later", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    const stream = submit("numbers", [4])
    const queue = submit("queued")
    const later = submit("queuedLater")
    yield* TestClock.adjust("1 second")
    yield* session.idle
    assert.deepStrictEqual(stream.outcomes, [["success", [1, 2, 3, 4]]])
    assert.deepStrictEqual(queue.outcomes, [["success", [1, 2, 3]]])
    assert.deepStrictEqual(later.outcomes, [["success", [1, 2, 3]]])
    const broken = submit("broken")
    yield* session.idle
    assert.deepStrictEqual(broken.outcomes, [[
      "failure",
      new Refused({ why: "broken" }),
      { _tag: "Refused", why: "broken" }
    ]])
  }))

it.effect("a wire that takes elements as they come holds the stream back, and a cancel ends it", () =>
  Effect.gen(function*() {
    const { make, session } = yield* open()
    const request = make("endless", undefined, "e")
    request.streams = true
    session.submit(request)
    yield* Effect.yieldNow
    assert.deepStrictEqual(request.chunks.flat().slice(0, 6), [1, 2, 3, 1, 2, 3])
    assert.strictEqual(request.chunks.length, 3)
    session.cancel("e")
    yield* session.idle
    assert.deepStrictEqual(request.outcomes, [["interrupt", true]])
  }))

it.effect("the scope of a request closes after its answer, with its exit", () =>
  Effect.gen(function*() {
    const { session, submit, world } = yield* open()
    const request = submit("scoped")
    yield* session.idle
    assert.deepStrictEqual(request.outcomes, [["success", null]])
    assert.deepStrictEqual(world.events, ["open", "use", "close Success"])
  }))

it.effect("a middleware sees the payload, provides services and refuses with its own error", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    const good = submit("guarded", ["open"])
    const bad = submit("guarded", ["shut"])
    yield* session.idle
    assert.deepStrictEqual(good.outcomes, [["success", "somebody open"]])
    assert.deepStrictEqual(bad.outcomes, [[
      "failure",
      new Refused({ why: "locked" }),
      { _tag: "Refused", why: "locked" }
    ]])
  }))

it.effect("when the connection closes every request is interrupted, none is answered, and all have ended", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { session, submit, world } = yield* Scope.provide(open({ concurrency: 3 }), scope)
    const requests = ["a", "b", "c", "waiting"].map((name) => submit("work", [name]))
    const idle = yield* Effect.forkChild(session.idle, { startImmediately: true })
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual(world.events.slice(3), ["interrupt a", "interrupt b", "interrupt c"])
    assert.deepStrictEqual(requests.flatMap((request) => request.outcomes), [])
    yield* Fiber.join(idle)
    assert.strictEqual(session.active(), 0)
    const late = submit("work", ["late"])
    assert.deepStrictEqual(late.outcomes, [])
    assert.strictEqual(world.events.length, 6)
  }))

it.effect("the connection's end waits for scopes that take their time to close", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { submit, world } = yield* Scope.provide(open(), scope)
    submit("slowToClose")
    yield* Effect.yieldNow
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* TestClock.adjust("999 millis")
    assert.isUndefined(closing.pollUnsafe())
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(closing)
    assert.deepStrictEqual(world.events, ["open", "closed"])
  }))

it.effect("a handler reports progress to whoever asked for its request", () =>
  Effect.gen(function*() {
    const { session, submit } = yield* open()
    const request = submit("reports")
    yield* session.idle
    assert.deepStrictEqual(request.reports, [{ operation: "half", amount: 0.5 }])
  }))

it.effect("log lines of a handler name its method and its connection", () => {
  const lines: Array<Readonly<Record<string, unknown>>> = []
  const logger = Logger.make((options) => {
    lines.push(options.fiber.getRef(References.CurrentLogAnnotations))
  })
  return Effect.gen(function*() {
    const { connection, session, submit } = yield* open()
    submit("log")
    submit("log")
    yield* session.idle
    const expected = { app: "test", "rpc.method": "log", "rpc.connection": connection.id }
    assert.deepStrictEqual(lines, [expected, expected])
  }).pipe(Effect.annotateLogs("app", "test"), Effect.provide(Logger.layer([logger])))
})

const spans = () => {
  const ended: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      ended.push(span)
      return span
    }
  })
  return { ended, tracer }
}

it.effect("each request has a span named by its method where the app provided a tracer", () => {
  const { ended, tracer } = spans()
  return Effect.gen(function*() {
    const { session, submit } = yield* open({ spanPrefix: "rpc", spanAttributes: { zone: 1 } })
    const request = submit("span")
    yield* session.idle
    assert.deepStrictEqual(request.outcomes, [["success", "rpc.span"]])
    assert.strictEqual(ended[0]!.kind, "server")
    assert.strictEqual(ended[0]!.attributes.get("rpc.method"), "span")
    assert.strictEqual(ended[0]!.attributes.get("zone"), 1)
  }).pipe(Effect.withTracer(tracer))
})

it.effect("a span belongs to the trace of the caller where the wire brought one, and else there is none", () =>
  Effect.gen(function*() {
    const { make, session, submit } = yield* open()
    const plain = submit("span")
    const traced = make("span")
    const traceId = "0af7651916cd43dd8448eb211c80319c"
    traced.traceContext = Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331", sampled: true })
    session.submit(traced)
    yield* session.idle
    assert.deepStrictEqual(plain.outcomes, [["success", null]])
    assert.deepStrictEqual(traced.outcomes, [["success", "span"]])
  }))

it.effect("requests are counted by method and outcome, timed, and counted while they are in flight", () => {
  const registry = new Map()
  return Effect.gen(function*() {
    const { session, settle, submit } = yield* open({ concurrency: 2 })
    const count = (method: string, outcome: RpcMetrics.Outcome) =>
      Effect.map(
        Metric.value(Metric.withAttributes(RpcMetrics.requests, { method, outcome })),
        (state) => state.count
      )
    submit("add", [1, 2])
    submit("add", [1, 2])
    submit("add", ["x"])
    submit("refuse")
    submit("die")
    submit("work", ["a"])
    submit("work", ["b"], "b")
    submit("work", ["c"], "c")
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 3)
    session.cancel("c")
    session.cancel("b")
    yield* TestClock.adjust("15 millis")
    yield* settle("a")
    yield* session.idle
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
    assert.strictEqual(yield* count("add", "success"), 2)
    assert.strictEqual(yield* count("add", "invalid"), 1)
    assert.strictEqual(yield* count("refuse", "failure"), 1)
    assert.strictEqual(yield* count("die", "defect"), 1)
    assert.strictEqual(yield* count("work", "success"), 1)
    assert.strictEqual(yield* count("work", "interrupted"), 2)
    const state = yield* Metric.value(Metric.withAttributes(RpcMetrics.duration, { method: "work" }))
    assert.deepStrictEqual([state.count, state.min, state.max, state.sum], [3, 0, 0.015, 0.015])
    assert.deepStrictEqual(state.buckets.filter(([le]) => le === 0.01 || le === 0.02), [[0.01, 2], [0.02, 3]])
  }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
})

it.effect("a connection that closes takes its requests out of the count", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const { submit } = yield* Scope.provide(open({ concurrency: 1 }), scope)
    for (const name of ["a", "b", "c"]) submit("work", [name])
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 3)
    yield* Scope.close(scope, Exit.void)
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
