/**
 * A dashboard on an app of its own things: methods with forms, a topic with its history, a state as a tree, a queue. Open
 * the address that it prints; it ends by itself after a second, or with `stay` when it is interrupted.
 *
 * Run: npx tsx examples/dashboard.ts [stay]
 * Prints: the page answers 200, and loads nothing from elsewhere
 * Prints: methods: brew, crash
 * Prints: strong coffee
 */
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect, Layer, Schedule, Schema } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Dashboard } from "effect-wire/dashboard"
import { Access } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcClients, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { JugglerState } from "effect-wire/juggler"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"
import { Progress } from "effect-wire/rpc"
import { Topic, Topics } from "effect-wire/topics"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { createServer } from "node:http"

class Kitchen extends RpcGroup.make(
  Rpc.make("brew", {
    payload: { strength: Schema.Literals(["weak", "strong"]), cups: Schema.Int.check(Schema.isGreaterThan(0)) },
    success: Schema.String
  }),
  Rpc.make("crash")
) {}

const Handlers = Kitchen.toLayer({
  brew: Effect.fnUntraced(function*({ cups, strength }) {
    for (let i = 1; i <= cups; i++) {
      yield* Effect.sleep("20 millis")
      yield* Progress.report({ operation: `cup ${i} of ${cups}`, amount: i / cups })
    }
    return `${strength} coffee`
  }),
  crash: () => Effect.die(new Error("the boiler is empty"))
})

const Boiler = Topic.state("boiler", { payload: Schema.Struct({ celsius: Schema.Finite }) })
const topics = Topic.group(Boiler)

const Shelf = Schema.Struct({ cups: Schema.Finite, beans: Schema.Record(Schema.String, Schema.Finite) })

const Heating = Layer.effectDiscard(Effect.forkScoped(
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => Topics.publish(Boiler, { celsius: 90 + Math.round(now / 500) % 8 })
  ).pipe(Effect.ignore, Effect.repeat(Schedule.spaced("500 millis")))
))

const Routes = Layer.unwrap(Effect.gen(function*() {
  const shelf = yield* JugglerState.make({ schema: Shelf, initial: { cups: 12, beans: { arabica: 3 } } })
  return Layer.mergeAll(
    JsonRpcServer.layerHttp(Kitchen, { path: "/rpc", wire: Wire.rockets }),
    Dashboard.layerHttp(Kitchen, { title: "kitchen", topics, states: { shelf } }),
    Heating
  )
}))

const Served = HttpRouter.serve(Layer.provide(Routes, Handlers), { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide([
    Layer.provide(Topics.layer(topics), Backplane.layerMemory),
    MessageQueue.layerMemory(),
    JsonRpcClients.layer,
    Access.layer
  ]),
  Layer.provideMerge(NodeWebSocketServer.layerHttp(createServer, { host: "127.0.0.1", port: 0 })),
  Layer.provide(Dashboard.layerErrors)
)

const program = Effect.gen(function*() {
  const server = yield* HttpServer.HttpServer
  const url = HttpServer.formatAddress(server.address)
  yield* Console.log(`the dashboard is at ${url}/dashboard`)
  if (process.argv.includes("stay")) return yield* Effect.never

  const page = yield* Effect.promise(() => fetch(`${url}/dashboard`))
  const policy = page.headers.get("content-security-policy") ?? ""
  const isClosed = policy.includes("default-src 'none'") && !policy.includes("http")
  yield* Console.log(`the page answers ${page.status}, and loads ${isClosed ? "nothing" : "something"} from elsewhere`)

  // what the page does: it asks what there is, and calls it on the same connection
  const socket = yield* NodeWebSocket.make(`${url.replace("http", "ws")}/dashboard/rpc`)
  const client = yield* JsonRpcClient.fromSocket(socket, { wire: Wire.rockets })
  const { document } = (yield* client.call("dashboard.describe")) as any
  yield* Console.log(`methods: ${document.methods.map((method: { readonly name: string }) => method.name).join(", ")}`)
  yield* Console.log(yield* client.call("brew", { strength: "strong", cups: 2 }))
})

program.pipe(Effect.scoped, Effect.provide(Served), NodeRuntime.runMain)
