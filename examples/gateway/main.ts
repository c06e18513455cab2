/**
 * The gateway: every protocol of this package composed at one edge. `npm start` runs it; PROTOCOLS.md says what it speaks.
 *
 * A part is one layer in its own file; this file puts them together and is the only one that picks carriers and databases.
 */
import { NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { layerErrors } from "effect-wire/dashboard/Dashboard"
import { JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { NodeWebSocketServer } from "effect-wire/node"
import { Wiretap } from "effect-wire/wiretap"
import { HttpRouter } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { createServer } from "node:http"
import * as Access from "./access.ts"
import * as Config from "./config.ts"
import { Contract } from "./contract.ts"
import * as Dashboard from "./dashboard.ts"
import * as Database from "./database.ts"
import * as Health from "./health.ts"
import * as Hosts from "./hosts.ts"
import * as Juggler from "./juggler.ts"
import * as Queue from "./queue.ts"
import * as Rpc from "./rpc.ts"
import * as Start from "./start.ts"
import * as StartError from "./startError.ts"

/** The contract on three routes: the same handlers, each time another wire. */
const JsonRpc = Layer.unwrap(Effect.map(Config.Settings, ({ allowedOrigins }) => {
  const options = { allowedOrigins, drainTimeout: Start.drainTimeout }
  return Layer.mergeAll(
    JsonRpcServer.layerHttp(Contract, { ...options, path: "/rpc", wire: Wire.rockets }),
    JsonRpcServer.layerHttp(Contract, { ...options, path: "/lsp", wire: Wire.lsp }),
    JsonRpcServer.layerHttp(Contract, { ...options, path: "/aiohttp", wire: Wire.aiohttp })
  )
}))

/** The handlers of the contract, the same for every route. */
const Handlers = Layer.merge(Rpc.layer, Access.layerHandlers(Contract))

const JugglerRoutes = Layer.unwrap(
  Effect.map(
    Config.Settings,
    ({ allowedOrigins }) => Juggler.routes({ allowedOrigins, drainTimeout: Start.drainTimeout })
  )
)

const QueueRoutes = Layer.unwrap(Effect.map(Config.Settings, ({ masterToken }) => Queue.routes(masterToken)))

const Routes = Layer.mergeAll(
  Layer.provide(Layer.merge(JsonRpc, Dashboard.layer), Handlers),
  Access.routes(Contract),
  JugglerRoutes,
  QueueRoutes,
  Health.layer,
  Hosts.layer,
  PrometheusMetrics.layerHttp()
).pipe(
  Layer.provide([Rpc.layerClients, Access.layer]),
  Layer.provide(StartError.orFail("the panel cannot be shared through the database")(Juggler.PanelState.layer)),
  Layer.provide(StartError.orFail("the queue cannot use the database")(Queue.layer))
)

const Http = Layer.unwrap(
  Effect.map(
    Config.Settings,
    ({ host, port }) =>
      NodeWebSocketServer.layerHttp(createServer, { host, port, gracefulShutdownTimeout: Start.drainTimeout }).pipe(
        StartError.orFail(`cannot listen on ${host}:${port}`)
      )
  )
)

const Gateway = Start.layerAnnounce.pipe(
  Layer.provide(HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true })),
  // frames as they go by, for who looks at the dashboard
  Layer.provide(Wiretap.layerRoutes.pipe(Layer.provideMerge(Wiretap.layer()))),
  Layer.provide(Http),
  Layer.provide(Database.layer),
  Layer.provide(NodeServices.layer),
  Layer.provide(layerErrors),
  Layer.provide(Start.layerLogging),
  Layer.provide(Start.layerMemory),
  Layer.provide(Config.layer)
)

Start.runMain(Layer.launch(Gateway))
