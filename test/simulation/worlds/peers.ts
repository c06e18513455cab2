/**
 * Both directions in a world: a server that asks its caller back, calls every client and tells all of them; clients that
 * serve what they are asked.
 */
import { Cause, Context, Effect, Exit, Layer, Option, Schema } from "effect"
import { JsonRpcClient, JsonRpcClients, JsonRpcPeer, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { Judge, RpcJudge, Simulation, World } from "effect-wire/simulation"
import { Framing, Reconnect } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"
import { Socket, SocketServer } from "effect/socket"
import { known } from "./known.ts"
import { Numbers } from "./shared.ts"

/** What the server answers: it asks whoever calls, and answers what was answered. */
class Asking extends RpcGroup.make(
  Rpc.make("relay", { payload: { key: Schema.String, millis: Schema.Finite }, success: Schema.String }),
  Rpc.make("echo", { payload: { key: Schema.String }, success: Schema.String })
) {}

/** What the clients answer. */
class Answering extends RpcGroup.make(
  Rpc.make("ask", { payload: { key: Schema.String, millis: Schema.Finite }, success: Schema.String }),
  Rpc.make("news", { payload: { n: Schema.Int } })
) {}

/** Notes that a request runs, and how it ends. */
const executes = <A, E, R>(key: string, effect: Effect.Effect<A, E, R>) =>
  Effect.onExit(
    Effect.andThen(World.note("executed", key), effect),
    (exit) => World.note(Exit.isFailure(exit) && Cause.hasInterrupts(exit.cause) ? "aborted" : "finished", key)
  )

/** Asks a client, as a typed client of what it answers. */
const ask = (remote: JsonRpcClients.ConnectedClient, input: { readonly key: string; readonly millis: number }) =>
  Effect.scoped(Effect.flatMap(JsonRpcClient.fromRemote(Answering, remote), (client) => client.ask(input)))

const handlers = Asking.toLayer({
  relay: ({ key, millis }) =>
    executes(
      `relay ${key}`,
      Effect.gen(function*() {
        const caller = (yield* JsonRpcClients.current)!
        return yield* Effect.orElseSucceed(ask(caller, { key, millis }), () => "not answered")
      })
    ),
  echo: ({ key }) => Effect.succeed(key)
})

class Peer extends Context.Service<Peer, JsonRpcPeer.Peer<RpcGroup.Rpcs<typeof Asking>>>()(
  "effect-wire/test/simulation/worlds/peers/Peer"
) {}

const key = (draw: { readonly int: (min: number, max: number) => number }) => draw.int(0, 2 ** 40).toString(36)

const times = [0, 1, 10, 100, 1000]

/** Whoever is asked answers, with its own name and the key that it was asked with; or nobody does. */
const answersAreTrue = Judge.eachOperation(
  "answers are true",
  "the ids of the two directions are independent",
  ({ input, node, operation, outcome, value }) => {
    if (outcome !== "Success" || operation === "tellAll") return undefined
    const answers = new Set(
      operation === "echo"
        ? [input.key]
        : operation === "relay"
        ? [`${node}/${input.key}`, "not answered"]
        : [`ann/${input.key}`, `bob/${input.key}`, "nothing in time", "lost"]
    )
    const wrong = [value].flat().find((answer) => !answers.has(answer))
    return wrong === undefined ? undefined : `answers ${JSON.stringify(wrong)}`
  }
)

const shared = Layer.sync(Numbers, () => ({ next: 0 }))

const make = (name: string, options: {
  readonly wire: Wire.Wire
  readonly bytes?: boolean
  readonly preempt?: boolean
}) => {
  const { bytes = false, preempt = true, wire } = options
  const server = JsonRpcServer.layerSocketServer(Asking, { wire }).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(Layer.mergeAll(JsonRpcClients.layer, Layer.effect(Numbers, Numbers))),
    Layer.provide(Layer.effect(
      SocketServer.SocketServer,
      Effect.map(World.World, ({ server }) => bytes ? Framing.wrapServer(server, Framing.lines()) : server)
    ))
  )
  const answering = Answering.toLayer(Effect.map(World.World, ({ node, note }) => ({
    ask: ({ key, millis }) => executes(`${key} at ${node}`, Effect.as(Effect.sleep(millis), `${node}/${key}`)),
    news: ({ n }) => Effect.sync(() => note("marked", { run: `news at ${node}`, n }))
  })))
  const client = Layer.effect(
    Peer,
    JsonRpcPeer.make({
      serves: Answering,
      calls: Asking,
      connection: { wire, reconnect: Reconnect.schedule, whileDisconnected: "wait" }
    })
  ).pipe(
    Layer.provide(answering),
    Layer.provide(Layer.effect(
      Socket.Socket,
      Effect.map(
        World.World,
        ({ socket }) => bytes ? Framing.wrap(socket("server", { bytes }), Framing.lines()) : socket("server")
      )
    ))
  )
  const node = Simulation.node({
    layer: client,
    operations: {
      relay: Simulation.operation({
        weight: 4,
        input: (draw) => ({ key: key(draw), millis: draw.pick(times) }),
        run: (input) => Effect.flatMap(Peer, ({ client }) => client.relay(input))
      }),
      echo: Simulation.operation({
        input: (draw) => ({ key: key(draw) }),
        run: (input) => Effect.flatMap(Peer, ({ client }) => client.echo(input))
      })
    }
  })
  return Simulation.make({
    name,
    shared,
    nodes: {
      server: Simulation.node({
        layer: server,
        operations: {
          askAll: Simulation.operation({
            weight: 3,
            input: (draw) => ({ key: key(draw), millis: draw.pick(times), patience: draw.pick([1, 50, 60_000]) }),
            run: ({ patience, ...input }) =>
              Effect.gen(function*() {
                const clients = yield* (yield* JsonRpcClients.JsonRpcClients).all
                return yield* Effect.forEach(clients, (client) =>
                  ask(client, input).pipe(
                    Effect.timeoutOption(patience),
                    Effect.map(Option.getOrElse(() => "nothing in time")),
                    Effect.orElseSucceed(() => "lost")
                  ), { concurrency: "unbounded" })
              })
          }),
          tellAll: Simulation.operation({
            weight: 3,
            interruptible: false,
            run: () =>
              Effect.gen(function*() {
                const clients = yield* JsonRpcClients.JsonRpcClients
                const numbers = yield* Numbers
                return yield* clients.broadcast("news", { n: ++numbers.next })
              })
          })
        },
        left: Effect.gen(function*() {
          return { clients: (yield* (yield* JsonRpcClients.JsonRpcClients).all).length }
        })
      }),
      ann: node,
      bob: node
    },
    links: [["ann", "server"], ["bob", "server"]],
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [
      RpcJudge.failuresAreTyped(["JsonRpcError"]),
      RpcJudge.oneAnswer,
      RpcJudge.atMostOnce,
      answersAreTrue,
      RpcJudge.nothingAfterACancel,
      ...wire.cancellation === undefined ? [] : [RpcJudge.nobodyWorksForNobody],
      ...preempt ? [] : [RpcJudge.inOrder]
    ],
    preempt,
    settle: "90 seconds"
  })
}

export const apps = {
  standard: make("Peers", { wire: Wire.standard }),
  rockets: make("Peers, Rockets", { wire: Wire.rockets, preempt: false }),
  lsp: make("Peers, LSP, over bytes", { wire: Wire.lsp, bytes: true, preempt: false })
}
