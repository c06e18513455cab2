/** JSON-RPC in a world: a server, two clients that come back, calls that take their time. */
import { Context, Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { Judge, Simulation, World } from "effect-wire/simulation"
import { Reconnect } from "effect-wire/socket"
import { Rpc, RpcGroup } from "effect/rpc"

export class Calculator extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("slow", { payload: { key: Schema.String, millis: Schema.Finite }, success: Schema.String })
) {}

const Handlers = Calculator.toLayer({
  add: ({ a, b }) => Effect.succeed(a + b),
  slow: ({ key, millis }) => World.note("executed", key).pipe(Effect.andThen(Effect.sleep(millis)), Effect.as(key))
})

const Server = JsonRpcServer.layerSocketServer(Calculator).pipe(
  Layer.provide(Handlers),
  Layer.provide(World.layerServer)
)

const makeClient = JsonRpcClient.make(Calculator)
class Client
  extends Context.Service<Client, Effect.Success<typeof makeClient>>()("effect-wire/test/simulation/rpcWorld/Client")
{}

const ClientLayer = Layer.effect(Client, makeClient).pipe(
  Layer.provide(JsonRpcClient.layerSocket({ reconnect: Reconnect.schedule })),
  Layer.provide(World.layerSocket("server"))
)

const client = Simulation.node({
  layer: ClientLayer,
  operations: {
    add: Simulation.operation({
      weight: 3,
      input: (draw) => ({ a: draw.int(0, 9), b: draw.int(0, 9) }),
      run: (input) => Effect.flatMap(Client, (client) => client.add(input))
    }),
    slow: Simulation.operation({
      input: (draw) => ({ key: draw.int(0, 1e9).toString(36), millis: draw.pick([0, 10, 1000]) }),
      run: (input) => Effect.flatMap(Client, (client) => client.slow(input))
    })
  }
})

/**
 * Effect's `RpcClient` interrupts a fiber that it has not made yet when a call is interrupted right after a yield that
 * the scheduler forces inside of it: a defect in place of an interruption.
 */
const interruptedInTheMiddle = /^Fiber.runLoop: Not a valid effect: (self|function)/

export const app = Simulation.make({
  name: "JSON-RPC",
  defaults: [Judge.nothingHangs, Judge.noDefectsBut(interruptedInTheMiddle), Judge.nothingLeft],
  nodes: { server: Simulation.node({ layer: Server }), ann: client, bob: client }
})
