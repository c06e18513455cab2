/** An app with a bit of everything on a free port, and the browser that looks at it. */
import { Context, Effect, Layer, Logger, Metric, Redacted, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Dashboard } from "effect-wire/dashboard"
import { Access, Authenticator, Identity } from "effect-wire/identity"
import { JsonRpcClients, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { JugglerClients, JugglerGeneration, JugglerServer, JugglerState } from "effect-wire/juggler"
import { NodeTokens, NodeWebSocketServer } from "effect-wire/node"
import { OpenRpc } from "effect-wire/openrpc"
import { MessageQueue } from "effect-wire/queue"
import { Progress } from "effect-wire/rpc"
import { Topic, Topics } from "effect-wire/topics"
import { Wiretap } from "effect-wire/wiretap"
import { HttpRouter, HttpServer } from "effect/http"
import { Rpc, RpcGroup } from "effect/rpc"
import { createServer } from "node:http"

export class NoPaper extends Schema.Error<NoPaper>("NoPaper")({ tray: Schema.Int }) {}

const Job = Schema.Struct({
  title: Schema.String.check(Schema.isMinLength(1)),
  copies: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 99 })).annotate({ default: 1 }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(1))
  ),
  colour: Schema.Literals(["black", "blue", "red"]),
  duplex: Schema.Boolean,
  pages: Schema.Array(Schema.Struct({ from: Schema.Int, to: Schema.optionalKey(Schema.Int) })),
  note: Schema.optionalKey(Schema.String),
  tags: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite))
})

export class Methods extends RpcGroup.make(
  Rpc.make("print", { payload: { job: Job }, success: Schema.Json, error: NoPaper }).pipe(
    OpenRpc.describe({ summary: "Prints a job" })
  ),
  Rpc.make("add", { payload: { a: Schema.Finite, b: Schema.Finite }, success: Schema.Finite }),
  Rpc.make("render", {
    payload: { steps: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 })), delay: Schema.Finite },
    success: Schema.String
  }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }),
  Rpc.make("crash"),
  Rpc.make("secret", { success: Schema.String }).pipe(Access.permissionRequired("secrets"))
) {}

export const Temperature = Topic.state("temperature", { payload: Schema.Struct({ celsius: Schema.Finite }) }).pipe(
  OpenRpc.describe({ summary: "As measured last" })
)
export const Doors = Topic.make("doors", { payload: Schema.String })
export const Vault = Topic.make("vault", { payload: Schema.String }).pipe(Access.permissionRequired("secrets"))
const topics = Topic.group(Temperature, Doors, Vault)

const Handlers = Methods.toLayer({
  print: ({ job }) => job.copies > 50 ? Effect.fail(new NoPaper({ tray: 1 })) : Effect.succeed(job as Schema.Json),
  add: ({ a, b }) => Effect.succeed(a + b),
  render: Effect.fnUntraced(function*({ delay, steps }) {
    for (let i = 1; i <= steps; i++) {
      yield* Effect.sleep(delay)
      yield* Progress.report({ operation: `step ${i} of ${steps}`, amount: i / steps })
    }
    return "rendered"
  }),
  count: ({ to }) => Stream.range(1, to),
  crash: () => Effect.die(new Error("the paper is on fire")),
  secret: () => Effect.succeed("42")
})

const Panel = Schema.Struct({
  counter: Schema.Finite,
  lamps: Schema.Array(Schema.Struct({ name: Schema.String, on: Schema.Boolean })),
  items: Schema.Record(Schema.String, Schema.Json)
})
type Panel = typeof Panel.Type

export class PanelState extends Context.Service<PanelState, JugglerState.JugglerState<Panel, any>>()(
  "effect-wire/test/dashboard/support/App/PanelState"
) {
  static readonly layer = Layer.effect(
    PanelState,
    JugglerState.make({
      schema: Panel,
      initial: { counter: 1, lamps: [{ name: "hall", on: false }, { name: "yard", on: true }], items: {} }
    })
  )
}

class Requests extends RpcGroup.make(Rpc.make("increment", { success: Schema.Finite })) {}

const RequestHandlers = Requests.toLayer(Effect.map(PanelState, (panel) => ({
  increment: () =>
    Effect.orDie(Effect.as(
      panel.update((draft) => {
        draft.counter++
      }),
      0
    ))
})))

const users = Authenticator.layer(Authenticator.make({
  password: ({ password, username }) =>
    Effect.succeed(
      Redacted.value(password) !== "right"
        ? undefined
        : username === "olga"
        ? Identity.make("olga", { permissions: ["dashboard", "secrets"] })
        : Identity.make(username)
    ),
  token: NodeTokens.fromList([{
    token: Redacted.make("the-token"),
    identity: Identity.make("machine", { permissions: ["dashboard"] })
  }])
}))

/** What a test does to the app beside what the page does. */
type Inside = Topics.Topics | PanelState | MessageQueue.MessageQueue | JsonRpcClients.JsonRpcClients

/** Serves the app; `loopback` as the option of the dashboard. Gives its address, `host:port`. */
export const serve = (options: { readonly loopback: boolean; readonly port?: number }) =>
  Effect.gen(function*() {
    const Routes = Layer.unwrap(Effect.gen(function*() {
      const panel = yield* PanelState
      return Layer.mergeAll(
        JsonRpcServer.layerHttp(Methods, { path: "/rpc", wire: Wire.rockets }),
        Layer.provide(
          JugglerServer.layerHttp(Requests, { path: "/panel", generation: JugglerGeneration.v07, state: panel }),
          RequestHandlers
        ),
        Dashboard.layerHttp(Methods, { title: "print shop", topics, states: { panel }, loopback: options.loopback })
      )
    }))
    const Inside = Layer.mergeAll(
      Layer.provide(Topics.layer(topics), Backplane.layerMemory),
      PanelState.layer,
      MessageQueue.layerMemory(),
      JsonRpcClients.layer,
      JugglerClients.layer
    )
    const Server = NodeWebSocketServer.layerHttp(createServer, { host: "127.0.0.1", port: options.port ?? 0 })
    const Tap = Layer.provideMerge(Wiretap.layerRoutes, Wiretap.layer())
    const App = HttpRouter.serve(Layer.provide(Routes, Handlers), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(Inside),
      Layer.provide([Access.layer, users]),
      Layer.provide(Tap),
      Layer.provideMerge(Server),
      Layer.provide(Dashboard.layerErrors),
      // apps of other tests run beside this one
      Layer.provide(Layer.sync(Metric.MetricRegistry, () => new Map())),
      Layer.provide(Logger.layer([]))
    )
    const context = yield* Layer.build(Layer.fresh(App))
    const { address } = Context.get(context, HttpServer.HttpServer)
    if (address._tag === "UnixPathAddress") return yield* Effect.die("no port")
    return { address: `127.0.0.1:${address.port}`, port: address.port, inside: context as Context.Context<Inside> }
  })
