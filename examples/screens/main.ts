/**
 * A board of things to do in the browser, once by React and once by the DOM alone, on one Juggler state: a click shows at
 * once what it is expected to come to.
 *
 * Run: npx tsx examples/screens/main.ts, then open http://127.0.0.1:8090/react and http://127.0.0.1:8090/dom
 */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { NodeWebSocketServer } from "effect-wire/node"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { routes } from "./server.ts"

HttpRouter.serve(routes("300 millis")).pipe(
  Layer.provide(NodeWebSocketServer.layerHttp(createServer, { port: 8090, host: "127.0.0.1" })),
  Layer.launch,
  NodeRuntime.runMain
)
