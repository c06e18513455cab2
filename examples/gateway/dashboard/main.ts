/** The dashboard in the browser: each panel is one program on our own clients. */
import { Effect, Layer, Schema } from "effect"
import { JsonRpcClient, Wire } from "effect-wire/jsonrpc"
import { JugglerClient } from "effect-wire/juggler"
import { Reconnect } from "effect-wire/socket"
import { FetchHttpClient } from "effect/http"
import { Socket } from "effect/socket"
import { Panel, Requests } from "../panel.ts"
import { setText } from "./dom.ts"
import { overview } from "./overview.ts"
import { panelState } from "./panelState.ts"
import { queue } from "./queue.ts"
import { render } from "./render.ts"
import { topics } from "./topics.ts"

const socket = (path: string) =>
  Socket.makeWebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`)

const connect = (path: string) =>
  Effect.flatMap(
    socket(path),
    (socket) => JsonRpcClient.fromSocket(socket, { wire: Wire.rockets, reconnect: Reconnect.schedule })
  )

const program = Effect.gen(function*() {
  const rpc = yield* connect("/rpc")
  const own = yield* connect("/dashboard")
  const juggler = yield* JugglerClient.fromSocket(yield* socket("/juggler/0.7"), {
    state: Panel,
    requests: Requests,
    notifications: { incremented: Schema.Finite }
  })
  yield* Effect.all([
    overview(rpc, own),
    render(rpc),
    topics(rpc),
    panelState(juggler),
    queue
  ], { concurrency: "unbounded" })
}).pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(Socket.layerWebSocketConstructorGlobal, FetchHttpClient.layer)),
  Effect.catchCause((cause) => Effect.andThen(setText("status", "stopped"), Effect.logError(cause)))
)

Effect.runFork(program)
