/** JSON-RPC in a world: a server, two clients that come back; calls, cancels, notifications, batches, streams. */
import { Cause, Context, Effect, Exit, Layer, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcHttpClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Idempotency } from "effect-wire/rpc"
import { type History, Judge, RpcJudge, Simulation, World, WorldHttp } from "effect-wire/simulation"
import { Budget, Framing, Reconnect } from "effect-wire/socket"
import { HttpRouter } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { known } from "./known.ts"

const Key = { key: Schema.String }

/** Bytes that a server may hold for its peers. */
const Limit = Context.Reference<number>("effect-wire/test/simulation/worlds/jsonrpc/Limit", {
  defaultValue: () => Infinity
})

class Methods extends RpcGroup.make(
  Rpc.make("add", { payload: { ...Key, a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("slow", { payload: { ...Key, millis: Schema.Finite }, success: Schema.String }),
  Rpc.make("never", { payload: Key, success: Schema.String }),
  Rpc.make("put", { payload: Key, success: Schema.String }).annotate(JsonRpcClient.Idempotent, true),
  Rpc.make("mark", { payload: { run: Schema.String, n: Schema.Int } }),
  Rpc.make("count", { payload: { ...Key, to: Schema.Int, millis: Schema.Finite }, success: Schema.Int, stream: true }),
  Rpc.make("pay", { payload: { ...Key, millis: Schema.Finite }, success: Schema.String }).pipe(Idempotency.keyed),
  Rpc.make("feed", { payload: { ...Key, to: Schema.Int, millis: Schema.Finite }, success: Schema.Int, stream: true })
    .pipe(Idempotency.keyed)
) {}

/** Notes what the requests of the process hold by now. */
const held = Effect.gen(function*() {
  const limit = yield* Limit
  if (limit === Infinity) return
  yield* World.note("held", { what: "bytes of the budget", size: (yield* Budget.Budget).taken(), limit })
})

/** Notes that a request runs, and how it ends. */
const executes = <A, E, R>(key: string, effect: Effect.Effect<A, E, R>) =>
  Effect.onExit(
    World.note("executed", key).pipe(Effect.andThen(held), Effect.andThen(effect)),
    (exit) => World.note(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause) ? "aborted" : "finished", key)
  )

const counting = ({ key, millis, to }: { readonly key: string; readonly millis: number; readonly to: number }) =>
  Stream.range(1, to).pipe(
    Stream.mapEffect((n) => Effect.as(millis === 0 ? Effect.void : Effect.sleep(millis), n)),
    Stream.onStart(World.note("executed", key)),
    Stream.ensuring(World.note("finished", key))
  )

const Handlers = Methods.toLayer({
  add: ({ a, b, key }) => executes(key, Effect.succeed(a + b)),
  slow: ({ key, millis }) => executes(key, Effect.as(Effect.sleep(millis), key)),
  never: ({ key }) => executes(key, Effect.never),
  put: ({ key }) => Effect.as(World.note("put", key), key),
  mark: ({ n, run }) => World.note("marked", { run, n }),
  count: counting,
  pay: ({ key, millis }) => executes(key, Effect.as(Effect.sleep(millis), key)),
  feed: counting
})

const makeTyped = JsonRpcClient.make(Methods)

class Client extends Context.Service<Client, {
  readonly typed: Effect.Success<typeof makeTyped>
  readonly remote: JsonRpcClient.Client
}>()("effect-wire/test/simulation/worlds/jsonrpc/Client") {}

const key = (draw: { readonly int: (min: number, max: number) => number }) => draw.int(0, 2 ** 40).toString(36)

const counts = (name: "count" | "feed") =>
  Simulation.operation({
    input: (draw) => ({
      key: key(draw),
      to: draw.pick([0, 1, 5, 40]),
      millis: draw.pick([0, 0, 1, 50]),
      take: draw.pick([2, 100, 100]),
      read: draw.pick([0, 0, 20])
    }),
    run: ({ read, take, ...input }) =>
      Effect.gen(function*() {
        const { typed } = yield* Client
        const seen: Array<number> = []
        yield* typed[name](input).pipe(
          Stream.tap((n) => {
            seen.push(n)
            return Effect.andThen(
              World.note("element", { key: input.key, n }),
              read === 0 ? Effect.void : Effect.sleep(read)
            )
          }),
          Stream.take(take),
          Stream.runDrain
        )
        return seen.length
      })
  })

const operations = {
  add: Simulation.operation({
    weight: 3,
    input: (draw) => ({ key: key(draw), a: draw.int(0, 9), b: draw.int(0, 9) }),
    run: (input) => Effect.flatMap(Client, ({ typed }) => typed.add(input))
  }),
  slow: Simulation.operation({
    weight: 2,
    input: (draw) => ({ key: key(draw), millis: draw.pick([0, 1, 10, 100, 1000]) }),
    run: (input) => Effect.flatMap(Client, ({ typed }) => typed.slow(input))
  }),
  never: Simulation.operation({
    input: (draw) => ({ key: key(draw), patience: draw.pick([0, 1, 10, 100, 3000]) }),
    run: ({ key, patience }) =>
      Effect.flatMap(Client, ({ typed }) => Effect.as(Effect.timeoutOption(typed.never({ key }), patience), undefined))
  }),
  put: Simulation.operation({
    input: (draw) => ({ key: key(draw) }),
    run: (input) => Effect.flatMap(Client, ({ typed }) => typed.put(input))
  }),
  count: counts("count"),
  batch: Simulation.operation({
    input: (draw) => [key(draw), key(draw), key(draw)] as const,
    run: (keys) =>
      Effect.flatMap(Client, ({ typed }) =>
        JsonRpcClient.batch([
          typed.add({ key: keys[0], a: 1, b: 2 }),
          typed.slow({ key: keys[1], millis: 10 }),
          typed.add({ key: keys[2], a: 3, b: 4 })
        ]))
  }),
  /** Calls and notifications by turns, made in this order by one fiber. */
  marks: Simulation.operation({
    weight: 2,
    input: (draw) => ({ run: key(draw), kinds: [0, 0, 0, 0, 0].map(() => draw.chance(0.5)) }),
    run: ({ kinds, run }) =>
      Effect.gen(function*() {
        const { remote } = yield* Client
        for (const [n, isCall] of kinds.entries()) {
          const mark = isCall ? remote.call("mark", { run, n }) : remote.notify("mark", { run, n })
          yield* Effect.forkScoped(Effect.ignore(mark), { startImmediately: true })
        }
        yield* Effect.sleep(50)
      })
  }),
  reconnect: Simulation.operation({
    weight: 0.3,
    run: () => Effect.flatMap(Client, ({ remote }) => remote.connect)
  })
}

/** Calls that are executed once, and streams that go on, over lost connections. */
const keyedOperations = {
  ...operations,
  pay: Simulation.operation({
    weight: 5,
    input: (draw) => ({ key: key(draw), millis: draw.pick([0, 1, 10, 100, 1000]) }),
    run: (input) => Effect.flatMap(Client, ({ typed }) => typed.pay(input))
  }),
  feed: counts("feed")
}

/** Requests that are large: few of them fit into a small budget. */
const largeOperations = {
  ...operations,
  large: Simulation.operation({
    weight: 8,
    input: (draw) => ({ key: key(draw).padEnd(draw.pick([100, 1000, 4000]), "-"), millis: draw.pick([10, 100, 1000]) }),
    run: (input) => Effect.flatMap(Client, ({ typed }) => typed.slow(input))
  })
}

/** One operation's keys, by what it was called with. */
const keysOf = ({ input, operation }: History.Operation): ReadonlyArray<string> =>
  operation === "batch" ? input : typeof input?.key === "string" ? [input.key] : []

/** What an answer says is what its request asks for, and nobody else's. */
const answersAreTrue = Judge.eachOperation(
  "answers are true",
  "Answered exactly once, by a Result or an Error with the same `id`, unless the connection ends first",
  ({ input, operation, outcome, value }) => {
    if (outcome !== "Success") return undefined
    const expected = operation === "add"
      ? input.a + input.b
      : operation === "slow" || operation === "pay" || operation === "put"
      ? input.key
      : operation === "batch"
      ? [3, input[1], 7]
      : operation === "count" || operation === "feed"
      ? Math.min(input.to, input.take)
      : value
    return JSON.stringify(value) === JSON.stringify(expected) ? undefined : `answers ${JSON.stringify(value)}`
  }
)

/** A batch tells of its first failure only; `put` may be sent again. */
const isPlain = ({ operation }: History.Operation): boolean => operation !== "batch" && operation !== "put"

export const make = (options: {
  readonly name: string
  readonly wire: Wire.Wire
  readonly preempt?: boolean
  readonly bytes?: boolean
  readonly whileDisconnected?: "wait" | "fail"
  readonly maxInFlight?: number
  /** Calls are not given up by time: what hangs is seen. */
  readonly isEndless?: boolean
  readonly keyed?: boolean
  /** Over POST, each request a connection of its own. */
  readonly http?: boolean
  /** Bytes that the server may hold for its peers. */
  readonly budget?: number
}) => {
  const { bytes = false, wire } = options
  const serving = options.http === true
    ? HttpRouter.serve(JsonRpcServer.layerHttp(Methods, { path: "/rpc", wire }), { disableLogger: true }).pipe(
      Layer.provide(WorldHttp.layerServer)
    )
    : JsonRpcServer.layerSocketServer(Methods, { wire }).pipe(
      Layer.provide(Layer.effect(
        SocketServer.SocketServer,
        Effect.map(World.World, ({ server }) => bytes ? Framing.wrapServer(server, Framing.lines()) : server)
      ))
    )
  const budget = options.budget === undefined ? Layer.empty : Layer.merge(
    Budget.layer(options.budget, { maxConnectionBytes: options.budget }),
    Layer.succeed(Limit, options.budget)
  )
  const server = serving.pipe(
    Layer.provide(Handlers),
    Layer.provide(Idempotency.layerMemory()),
    Layer.provideMerge(budget)
  )
  const dialling = options.http === true
    ? JsonRpcHttpClient.layer({ url: "http://server/rpc", wire }).pipe(Layer.provide(WorldHttp.layerClient))
    : JsonRpcClient.layerSocket({
      wire,
      reconnect: Reconnect.schedule,
      whileDisconnected: options.whileDisconnected ?? "wait",
      ...options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight },
      ...options.isEndless === true ? { callTimeout: Infinity } : {}
    }).pipe(
      Layer.provide(Layer.effect(
        Socket.Socket,
        Effect.map(
          World.World,
          ({ socket }) => bytes ? Framing.wrap(socket("server", { bytes }), Framing.lines()) : socket("server")
        )
      ))
    )
  const client = Layer.effect(
    Client,
    Effect.gen(function*() {
      return { typed: yield* makeTyped, remote: yield* JsonRpcClient.JsonRpcClient }
    })
  ).pipe(Layer.provide(dialling))
  const own = options.keyed === true ? keyedOperations : options.budget !== undefined ? largeOperations : operations
  const node = Simulation.node({ layer: client, operations: own })
  const serverNode = Simulation.node({
    layer: server,
    left: Effect.gen(function*() {
      return { "bytes of the budget": (yield* Budget.Budget).taken() }
    })
  })
  return Simulation.make({
    name: options.name,
    nodes: { server: serverNode, ann: node, bob: node },
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft, Judge.withinBudget],
    judges: [
      RpcJudge.failuresAreTyped(["JsonRpcError", "Forgotten"]),
      RpcJudge.oneAnswer,
      RpcJudge.atMostOnce,
      RpcJudge.maybeExecuted((operation) => isPlain(operation) ? keysOf(operation) : []),
      answersAreTrue,
      RpcJudge.nothingAfterACancel,
      ...wire.cancellation === undefined && options.http !== true ? [] : [RpcJudge.nobodyWorksForNobody],
      RpcJudge.streamsAreWhole,
      ...options.preempt === false ? [RpcJudge.inOrder] : []
    ],
    preempt: options.preempt,
    settle: "90 seconds"
  })
}

export const apps = {
  standard: make({ name: "JSON-RPC", wire: Wire.standard }),
  rockets: make({ name: "JSON-RPC, Rockets", wire: Wire.rockets }),
  order: make({ name: "JSON-RPC, order", wire: Wire.rockets, preempt: false }),
  fail: make({
    name: "JSON-RPC, no waiting",
    wire: Wire.rockets,
    preempt: false,
    isEndless: true,
    whileDisconnected: "fail"
  }),
  endless: make({ name: "JSON-RPC, no time limit", wire: Wire.rockets, isEndless: true }),
  narrow: make({ name: "JSON-RPC, few at once", wire: Wire.rockets, preempt: false, isEndless: true, maxInFlight: 4 }),
  lsp: make({ name: "JSON-RPC, LSP, over bytes", wire: Wire.lsp, bytes: true }),
  mcp: make({ name: "JSON-RPC, MCP", wire: Wire.mcp, preempt: false }),
  aiohttp: make({ name: "JSON-RPC, aiohttp", wire: Wire.aiohttp }),
  cdp: make({ name: "JSON-RPC, CDP", wire: Wire.cdp }),
  version1: make({ name: "JSON-RPC 1.0", wire: Wire.version1 }),
  http: make({ name: "JSON-RPC over POST", wire: Wire.standard, http: true }),
  budget: make({ name: "JSON-RPC, a small budget", wire: Wire.rockets, preempt: false, budget: 20_000 }),
  keyed: make({ name: "JSON-RPC, keyed calls", wire: Wire.rockets, preempt: false, keyed: true })
}
