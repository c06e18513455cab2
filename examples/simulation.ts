/**
 * An ordinary app, tested over a thousand bad networks in seconds: a shop that takes orders from two clients, puts them on
 * a queue, and announces on a topic what was shipped. Its first version has a bug that only one cut in a hundred shows: a
 * client whose connection is lost does not know whether its order was taken, and orders again. The second gives each order
 * a key.
 *
 * Run: npx tsx examples/simulation.ts
 * Prints: without keys: found, "ordered once, shipped once" is broken
 * Prints: the story has under 200 lines: true
 * Prints: with keys: 1000 histories, no promise broken
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { MessageQueue } from "effect-wire/queue"
import { Fault, History, Judge, Simulation, World } from "effect-wire/simulation"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Rpc, RpcGroup } from "effect/rpc"

// The app: nothing of it knows that it is simulated, but the places where it notes what judges should know.

class Shop extends RpcGroup.make(Rpc.make("order", { payload: { key: Schema.String, item: Schema.String } })).merge(
  Topics.Rpcs
) {}

const Shipped = Topic.make("shipped", { payload: Schema.Struct({ item: Schema.String }) })

const Handlers = Layer.mergeAll(
  Shop.toLayerHandler("order", ({ item, key }) =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      yield* Effect.orDie(queue.push("a1", { item }, key === "" ? {} : { deduplicationKey: key }))
    })),
  Topics.layerHandlers({ methods: Shop })
)

/** Ships what was ordered, and says so. */
const Warehouse = Layer.effectDiscard(Effect.forkScoped(
  MessageQueue.consume("a1", (message) =>
    Effect.gen(function*() {
      const { item } = message.payload.value as { readonly item: string }
      yield* World.note("shipped", item)
      yield* Topics.publish(Shipped, { item })
    }))
))

const Server = JsonRpcServer.layerSocketServer(Shop, { wire: Wire.rockets }).pipe(
  Layer.provide(Handlers),
  Layer.provideMerge(Warehouse),
  Layer.provide(Topics.layer(Topic.group(Shipped))),
  Layer.provide([Backplane.layerMemory, MessageQueue.layerMemory(), World.layerServer])
)

class Orders extends Context.Service<Orders, {
  readonly order: (item: string) => Effect.Effect<void, unknown>
}>()("effect-wire/examples/simulation/Orders") {}

const Customer = (withKeys: boolean) =>
  Layer.effect(
    Orders,
    Effect.gen(function*() {
      const shop = yield* JsonRpcClient.make(Shop)
      const { note } = yield* World.World
      yield* TopicsClient.subscribe(Shipped).pipe(
        Stream.runForEach(({ item }) => Effect.sync(() => note("heard", item))),
        Effect.retry(Schedule.spaced("1 second")),
        Effect.forkScoped
      )
      return {
        order: (item) =>
          shop.order({ item, key: withKeys ? `order-${item}` : "" }).pipe(
            Effect.retry({ schedule: Schedule.spaced("1 second"), times: 60 })
          )
      }
    })
  ).pipe(
    Layer.provideMerge(JsonRpcClient.layerSocket({ wire: Wire.rockets })),
    Layer.provide(World.layerSocket("server"))
  )

// The world: a server, two customers, what they do, and what must hold.

const app = (withKeys: boolean) => {
  const customer = Simulation.node({
    layer: Customer(withKeys),
    operations: {
      order: Simulation.operation({
        interruptible: false,
        input: (draw) => `${draw.int(0, 1e12)}`,
        run: (item) => Effect.flatMap(Orders, (orders) => orders.order(item))
      })
    }
  })
  return Simulation.make({
    name: withKeys ? "with keys" : "without keys",
    nodes: { server: Simulation.node({ layer: Server }), ann: customer, bob: customer },
    faults: Fault.networkKinds,
    judges: [
      Judge.make("ordered once, shipped once", "what was ordered is shipped, once", (history) => {
        const shipped = History.notes(history, "shipped").map(({ data }) => data)
        for (const { input, outcome } of History.operations(history)) {
          const times = shipped.filter((item) => item === input).length
          if (times > 1) return `${input} was shipped ${times} times`
          if (times === 0 && outcome === "Success") return `${input} was ordered, and never shipped`
        }
        return undefined
      })
    ]
  })
}

const size = { seeds: 1000, operations: 8, faults: 2 }

Effect.gen(function*() {
  const { failure } = yield* Simulation.explore(app(false), size)
  yield* Console.log(`without keys: found, "${failure?.judge.name}" is broken`)
  yield* Console.log(`the story has under 200 lines: ${(failure?.story ?? "").split("\n").length < 200}`)
  const report = yield* Simulation.check(app(true), size)
  yield* Console.log(Simulation.summary(report).split("\n")[0])
}).pipe(NodeRuntime.runMain)
