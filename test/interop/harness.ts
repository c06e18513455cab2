/** What the tests against other people's clients and servers share: one contract, its handlers, our server, our client. */
import { Deferred, Effect, Layer, Logger, Queue, Schedule, Schema, type Scope, Stream } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcError, JsonRpcServer, type Wire } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { Progress } from "effect-wire/rpc"
import { Rpc, RpcGroup } from "effect/rpc"
import { SocketServer } from "effect/socket"

export class DivisionByZero extends Schema.TaggedError<DivisionByZero>()(
  "DivisionByZero",
  { dividend: Schema.Finite },
  JsonRpcError.wire({ code: -32010 })
) {}

const pair = { a: Schema.Finite, b: Schema.Finite }

export class Calculator extends RpcGroup.make(
  Rpc.make("add", { payload: pair, success: Schema.Finite }),
  Rpc.make("divide", { payload: pair, success: Schema.Finite, error: DivisionByZero }),
  Rpc.make("echo", { payload: { value: Schema.Json }, success: Schema.Json }),
  Rpc.make("nothing"),
  Rpc.make("note", { payload: { text: Schema.String } }),
  /** Reports `steps` times, then answers. */
  Rpc.make("work", { payload: { steps: Schema.Int }, success: Schema.String }),
  /** Reports once and goes on until it is interrupted. */
  Rpc.make("forever"),
  Rpc.make("app.users.count", { payload: { active: Schema.Boolean }, success: Schema.Int }),
  Rpc.make("broken"),
  /** Calls the caller's own `name` and answers what it said. */
  Rpc.make("greet", { success: Schema.String })
) {}

/** What the handlers of one test saw. */
export interface Seen {
  readonly notes: Queue.Queue<string>
  readonly interrupted: Deferred.Deferred<void>
}

export const handlers = Effect.gen(function*() {
  const seen: Seen = { notes: yield* Queue.unbounded<string>(), interrupted: yield* Deferred.make<void>() }
  const layer = Calculator.toLayer({
    add: ({ a, b }) => Effect.succeed(a + b),
    divide: ({ a, b }) => b === 0 ? Effect.fail(new DivisionByZero({ dividend: a })) : Effect.succeed(a / b),
    echo: ({ value }) => Effect.succeed(value),
    nothing: () => Effect.void,
    note: ({ text }) => Effect.asVoid(Queue.offer(seen.notes, text)),
    work: ({ steps }) =>
      Effect.gen(function*() {
        for (let i = 1; i <= steps; i++) {
          yield* Progress.report({ operation: `step ${i}`, amount: i / steps })
          yield* Effect.yieldNow
        }
        return "done"
      }),
    forever: () =>
      Effect.andThen(Progress.report({ operation: "begun", amount: 0.5 }), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(seen.interrupted, undefined))
      ),
    "app.users.count": ({ active }) => Effect.succeed(active ? 2 : 3),
    broken: () => Effect.die(new Error("secret")),
    greet: () =>
      Effect.gen(function*() {
        const client = yield* JsonRpcClients.current
        return `hello ${yield* Effect.orDie(client!.call("name", ["full"])) as Effect.Effect<string>}`
      })
  })
  return { seen, layer }
})

/** What our peers offer in the tests in which the other end calls. */
export class Caller extends RpcGroup.make(
  Rpc.make("name", { payload: Schema.Tuple([Schema.String]), success: Schema.String })
) {}

export interface Serving {
  readonly port: number
  readonly url: string
  readonly seen: Seen
  readonly clients: JsonRpcClients.JsonRpcClients["Service"]
}

/** Our server, on WebSocket, until the scope closes. */
export const serve = (
  wire?: Wire.Wire,
  options?: NodeWebSocketServer.Options
): Effect.Effect<Serving, SocketServer.SocketServerError, Scope.Scope> =>
  Effect.flatMap(
    NodeWebSocketServer.make({
      ...options,
      protocols: wire?.subprotocol === undefined ? undefined : [wire.subprotocol]
    }),
    (server) => serveOn(server, wire)
  )

/** Our server on any carrier, until the scope closes. */
export const serveOn = (
  server: SocketServer.SocketServer["Service"],
  wire?: Wire.Wire
): Effect.Effect<Serving, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { layer, seen } = yield* handlers
    const clients = yield* JsonRpcClients.make
    yield* Layer.build(
      JsonRpcServer.layerSocketServer(Calculator, { wire }).pipe(
        Layer.provide(layer),
        Layer.provide(Layer.succeed(SocketServer.SocketServer, server)),
        Layer.provide(Layer.succeed(JsonRpcClients.JsonRpcClients, clients)),
        // the defect of `broken` is logged, as it should be
        Layer.provide(Logger.layer([]))
      )
    )
    const { port } = server.address as { readonly port: number }
    return { port, url: `ws://127.0.0.1:${port}`, seen, clients }
  })

/** Our client of somebody's WebSocket server, until the scope closes. */
export const connect = (url: string, options?: JsonRpcClient.Options): Effect.Effect<
  JsonRpcClient.Client,
  unknown,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const socket = yield* NodeWebSocket.make(url)
    const client = yield* JsonRpcClient.fromSocket(socket, options)
    yield* client.connect
    return client
  })

/** Waits, for real, until something is so. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => condition() ? Effect.void : Effect.fail("not yet")).pipe(
    Effect.retry(Schedule.spaced("5 millis")),
    Effect.timeout("5 seconds"),
    Effect.orDie
  )

/** The first `n` elements of a stream, gathered from now on. */
export const gather = <A, E, R>(stream: Stream.Stream<A, E, R>, n: number) =>
  Effect.forkScoped(Stream.runCollect(Stream.take(stream, n)))
