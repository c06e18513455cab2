/**
 * The dashboard: one page at `/` for people, its script and style, and the methods that only it asks for. The script is
 * bundled from `dashboard/` when it is first wanted; it speaks to the gateway by the clients of this package.
 */
import { Effect, FileSystem, Layer, Metric, Path } from "effect"
import { Access, Identity, LoginLimiter } from "effect-wire/identity"
import { JsonRpcClients, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { JugglerClients } from "effect-wire/juggler"
import { NodeTokens } from "effect-wire/node"
import { RpcConnection, RpcMetrics } from "effect-wire/rpc"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { build } from "esbuild"
import { Settings } from "./config.ts"
import { DashboardMethods, WrongToken } from "./dashboard/contract.ts"
import * as Queue from "./queue.ts"
import { drainTimeout } from "./start.ts"

const describe = (connection: RpcConnection.Connection, wire: string) =>
  Effect.map(Access.identityOf(connection), (identity) => ({
    id: connection.id,
    wire,
    path: connection.handshake.url.split("?", 1)[0]!,
    address: connection.handshake.remoteAddress ?? null,
    username: identity?.username ?? null,
    since: connection.connectedAt
  }))

const wires = new Map([["/rpc", "Rockets"], ["/lsp", "LSP"], ["/aiohttp", "aiohttp-json-rpc"], [
  "/dashboard",
  "dashboard"
]])

const total = (snapshots: ReadonlyArray<Metric.Metric.Snapshot>, metric: Metric.Metric<number, any>) => {
  let sum = 0
  for (const { id, state } of snapshots) {
    if (id !== metric.id) continue
    if ("count" in state) sum += Number(state.count)
    else if ("value" in state) sum += Number(state.value)
  }
  return sum
}

const Handlers = DashboardMethods.toLayer(Effect.gen(function*() {
  const { masterToken } = yield* Settings
  const rpc = yield* JsonRpcClients.JsonRpcClients
  const juggler = yield* JugglerClients.JugglerClients
  const limiter = LoginLimiter.make()
  const verify = NodeTokens.fromList([{ token: masterToken, identity: Identity.make("dashboard") }])
  return DashboardMethods.of({
    snapshot: Effect.fnUntraced(function*({ token }) {
      const address = (yield* RpcConnection.current).handshake.remoteAddress
      const who = yield* limiter.attempt(undefined, address, verify({ _tag: "Token", token }, { address })).pipe(
        Effect.catchTag("AuthenticationUnavailable", Effect.die)
      )
      if (who === undefined) return yield* new WrongToken()
      const metrics = yield* Metric.snapshot
      const connections = yield* Effect.all([
        ...(yield* rpc.all).map(({ connection }) =>
          describe(connection, wires.get(connection.handshake.url.split("?", 1)[0]!) ?? "JSON-RPC")
        ),
        ...(yield* juggler.all).map(({ connection, generation }) => describe(connection, `Juggler ${generation.name}`))
      ])
      return {
        connections: connections.sort((a, b) => a.id - b.id),
        requests: total(metrics, RpcMetrics.requests),
        inFlight: total(metrics, RpcMetrics.inFlight)
      }
    })
  })
}))

/** The dashboard's own methods; its page may open it, other pages may not. */
const DashboardRpc = JsonRpcServer.layerHttp(DashboardMethods, {
  path: "/dashboard",
  wire: Wire.rockets,
  drainTimeout
}).pipe(Layer.provide(Handlers))

const files = Path.Path.use((path) => path.fromFileUrl(new URL("dashboard/", import.meta.url)))

const script = Effect.flatMap(files, (directory) =>
  Effect.promise(() =>
    build({
      entryPoints: [`${directory}main.ts`],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2022",
      minify: true,
      legalComments: "none",
      logLevel: "silent"
    })
  )).pipe(Effect.map(({ outputFiles }) => outputFiles[0]!.text))

const headers = {
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
}

const Files = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const { masterToken } = yield* Settings
    const description = yield* Queue.description(masterToken)
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const serve = (content: Effect.Effect<string, unknown, FileSystem.FileSystem | Path.Path>, contentType: string) =>
      Effect.map(
        Effect.cached(Effect.provideContext(Effect.orDie(content), context)),
        Effect.map((body) => HttpServerResponse.text(body, { contentType, headers }))
      )
    const file = (name: string) =>
      Effect.flatMap(files, (directory) => FileSystem.FileSystem.use((fs) => fs.readFileString(`${directory}${name}`)))
    const page = yield* serve(file("page.html"), "text/html; charset=utf-8")
    yield* router.add("GET", "/dashboard.css", yield* serve(file("page.css"), "text/css; charset=utf-8"))
    yield* router.add("GET", "/dashboard.js", yield* serve(script, "text/javascript; charset=utf-8"))
    yield* router.add(
      "GET",
      "/",
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
        (request.headers.accept ?? "").includes("text/html")
          ? Effect.map(page, HttpServerResponse.setHeader("vary", "accept"))
          : description)
    )
  })
)

/** `GET /`, and what its page needs. */
export const layer = Layer.merge(DashboardRpc, Files).pipe(Layer.provide(JugglerClients.layer))
