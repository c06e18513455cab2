/**
 * The engine against a model: random submissions, cancels and completions, by a seeded generator. Whatever the order of
 * events, requests start in the order in which they arrived, never too many at once, and each has one outcome.
 */
import { assert, it } from "@effect/vitest"
import { type Cause, Deferred, Effect, Exit, Fiber, Logger, Metric, Schema, Scope } from "effect"
import { RpcConnection, RpcEngine, RpcMethods, RpcMetrics } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { seeded } from "../jsonrpc/mutate.ts"

const kinds = ["at once", "wait", "fork", "stubborn", "deferred", "fail", "die", "closing"] as const
type Kind = (typeof kinds)[number]

class Failed extends Schema.TaggedError<Failed>()("Failed", {}) {}
class Group extends RpcGroup.make(
  Rpc.make("work", {
    payload: { n: Schema.Int, kind: Schema.Literals(kinds) },
    success: Schema.Int,
    error: Failed
  })
) {}

class Request extends RpcEngine.EngineRequest {
  readonly n: number
  readonly kind: Kind
  outcomes: Array<string> = []
  constructor(n: number, kind: Kind, method: RpcMethods.ServedMethod, key: string | undefined) {
    super(key, method, { n, kind })
    this.n = n
    this.kind = kind
  }
  onElements() {
    return Effect.void
  }
  onSuccess(value: unknown) {
    this.outcomes.push(`success ${value}`)
  }
  onFailure() {
    this.outcomes.push("failure")
  }
  onInvalid() {
    this.outcomes.push("invalid")
  }
  onInterrupt(byPeer: boolean) {
    this.outcomes.push(`interrupt ${byPeer}`)
  }
  onDefect(_cause: Cause.Cause<unknown>) {
    this.outcomes.push("defect")
  }
}

const run = (seed: number) =>
  Effect.gen(function*() {
    const random = seeded(seed)
    const below = (n: number) => Math.floor(random() * n)
    const started: Array<number> = []
    const gates = new Map<number, Deferred.Deferred<number, Failed>>()
    let running = 0
    let most = 0
    const concurrency = 1 + below(5)
    const handlers = Group.toLayer({
      work: ({ kind, n }): Rpc.ResultFrom<RpcGroup.Rpcs<typeof Group>, Scope.Scope> | Rpc.Wrapper<any> => {
        started.push(n)
        const gate = Deferred.makeUnsafe<number, Failed>()
        gates.set(n, gate)
        if (kind === "at once") return Effect.succeed(n)
        if (kind === "deferred") return Effect.succeed(gate)
        if (kind === "fail") return Effect.fail(new Failed())
        const body = Effect.suspend(() => {
          if (kind !== "fork") most = Math.max(most, ++running)
          const wait = kind === "die" ? Effect.andThen(Deferred.await(gate), Effect.die("x")) : Deferred.await(gate)
          return kind === "closing"
            ? Effect.andThen(Effect.addFinalizer(() => Effect.yieldNow), wait)
            : wait
        }).pipe(Effect.ensuring(Effect.sync(() => {
          if (kind !== "fork") running--
        })))
        return kind === "fork" ? Rpc.fork(body) : kind === "stubborn" ? Rpc.uninterruptible(body) : body
      }
    })
    const scope = yield* Scope.make()
    const methods = yield* RpcMethods.serve(Group).pipe(Effect.provide(handlers))
    const session = yield* Effect.flatMap(
      RpcConnection.make(undefined),
      (connection) => RpcEngine.open(connection, { concurrency })
    ).pipe(Scope.provide(scope))
    const requests: Array<Request> = []
    const cancelled = new Set<number>()
    for (let step = 0; step < 200; step++) {
      const what = random()
      if (what < 0.5) {
        const n = requests.length
        const request = new Request(
          n,
          kinds[below(kinds.length)]!,
          methods.get("work")!,
          random() < 0.9 ? `${n}` : undefined
        )
        requests.push(request)
        session.submit(request)
      } else if (what < 0.65 && requests.length > 0) {
        const n = below(requests.length)
        const open = requests[n]!.key !== undefined && requests[n]!.outcomes.length === 0
        assert.strictEqual(session.cancel(`${n}`), open)
        if (open) cancelled.add(n)
      } else if (what < 0.9 && gates.size > 0) {
        const all = Array.from(gates.values())
        yield* Deferred.succeed(all[below(all.length)]!, 7)
      } else {
        yield* Effect.yieldNow
      }
      assert.isAtMost(most, concurrency)
    }
    // each start is later in the order of arrival than the one before
    assert.deepStrictEqual(started, started.slice().sort((a, b) => a - b))
    if (random() < 0.3) {
      const open = requests.filter((request) => request.outcomes.length === 0)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      // what is uninterruptible is waited for
      for (const gate of gates.values()) yield* Deferred.succeed(gate, 7)
      yield* Fiber.join(closing)
      for (const request of open) assert.deepStrictEqual(request.outcomes, [])
    } else {
      while (session.active() > 0) {
        for (const gate of gates.values()) yield* Deferred.succeed(gate, 7)
        yield* Effect.yieldNow
      }
      yield* session.idle
      for (const { kind, n, outcomes } of requests) {
        const expected = kind === "at once"
          ? [`success ${n}`]
          : kind === "fail"
          ? ["failure"]
          : kind === "die"
          ? ["defect"]
          : ["success 7"]
        if (outcomes[0] === "interrupt true") assert.isTrue(cancelled.has(n))
        assert.deepStrictEqual(outcomes, outcomes[0] === "interrupt true" ? ["interrupt true"] : expected, kind)
      }
      yield* Scope.close(scope, Exit.void)
    }
    assert.strictEqual(session.active(), 0)
    assert.deepStrictEqual(Array.from(session.keys()), [])
    assert.strictEqual(running, 0)
    assert.strictEqual((yield* Metric.value(RpcMetrics.inFlight)).value, 0)
  }).pipe(
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.catchCause((cause) => Effect.die(new Error(`seed ${seed}`, { cause })))
  )

it.effect("2,000 random histories keep every promise", () =>
  Effect.gen(function*() {
    for (let seed = 1; seed <= 2000; seed++) yield* run(seed)
  }).pipe(Effect.provide(Logger.layer([]))), 60_000)
