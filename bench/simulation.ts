// @effect-diagnostics asyncFunction:off globalConsole:off
/**
 * What a history costs: two clients, one server, 50 calls and up to 10 faults, judged, on one core; beside it what the same
 * calls cost outside a world, in memory. `npm run bench -- simulation`
 */
import { Context, Effect, Layer, Schema } from "effect"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { Judge, RpcJudge, Simulation, World } from "effect-wire/simulation"
import { Rpc, RpcGroup } from "effect/rpc"
import { known } from "../test/simulation/worlds/known.ts"

class Adder extends RpcGroup.make(
  Rpc.make("add", { payload: { key: Schema.String, a: Schema.Int, b: Schema.Int }, success: Schema.Int })
) {}

const makeClient = JsonRpcClient.make(Adder)

class Client
  extends Context.Service<Client, Effect.Success<typeof makeClient>>()("effect-wire/bench/simulation/Client")
{}

const Handlers = Adder.toLayer({
  add: ({ a, b, key }) => Effect.as(World.note("executed", key), a + b)
})

const client = Simulation.node({
  layer: Layer.effect(Client, makeClient).pipe(
    Layer.provide(JsonRpcClient.layerSocket()),
    Layer.provide(World.layerSocket("server"))
  ),
  operations: {
    add: Simulation.operation({
      input: (draw) => ({ key: draw.int(0, 2 ** 40).toString(36), a: draw.int(0, 9), b: draw.int(0, 9) }),
      run: (input) => Effect.flatMap(Client, (client) => client.add(input))
    })
  }
})

const app = Simulation.make({
  name: "calls",
  nodes: {
    server: Simulation.node({
      layer: JsonRpcServer.layerSocketServer(Adder).pipe(
        Layer.provide(Handlers),
        Layer.provide(World.layerServer)
      )
    }),
    ann: client,
    bob: client
  },
  defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
  judges: [
    RpcJudge.oneAnswer,
    RpcJudge.atMostOnce,
    RpcJudge.maybeExecuted(({ input }) => [input.key]),
    Judge.eachOperation(
      "answers are true",
      "Answered exactly once",
      ({ input, outcome, value }) =>
        outcome === "Success" && value !== input.a + input.b ? `answers ${value}` : undefined
    )
  ]
})

const seconds = Number(process.argv[2] ?? 20)

/** Histories and CPU seconds of this process: what V8 does on other threads counts as well. */
const explore = async (from: number, histories: number) => {
  const before = process.cpuUsage()
  const report = await Effect.runPromise(Simulation.explore(app, { from, seeds: histories }))
  if (report.failure !== undefined) throw new Error(report.failure.story)
  const { system, user } = process.cpuUsage(before)
  return { histories: report.histories, steps: report.steps, cpu: (user + system) / 1e6 }
}

await explore(1_000_000, 500)
let cpu = 0
let histories = 0
let steps = 0
const rates: Array<number> = []
while (cpu < seconds) {
  const round = await explore(histories + 1, 500)
  cpu += round.cpu
  histories += round.histories
  steps += round.steps
  rates.push(round.histories / round.cpu * 60)
}
rates.sort((a, b) => a - b)
console.log(
  `histories of 50 calls, up to 10 faults: ${Math.round(histories / cpu * 60)} a minute of CPU (${
    Math.round(rates[0]!)
  } to ${Math.round(rates.at(-1)!)}, ${histories} histories, ${Math.round(steps / histories)} steps each)`
)
