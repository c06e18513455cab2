// @effect-diagnostics asyncFunction:off
// @effect-diagnostics globalDate:off
/**
 * A server of `npm run bench -- resume`: publishes the ticks that its parent gives it, and says when each is acknowledged.
 */
import { NodeRedis } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { createAdapter } from "@socket.io/redis-streams-adapter"
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import { SocketServer } from "effect/socket"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { createClient } from "redis"
import { Server as SocketIoServer } from "socket.io"
import { WebSocketServer } from "ws"
import { Backplane, RedisBackplane } from "../../src/backplane/index.ts"
import { JsonRpcServer } from "../../src/jsonrpc/index.ts"
import * as NodePostgresBackplane from "../../src/node/NodePostgresBackplane.ts"
import * as NodeWebSocketServer from "../../src/node/NodeWebSocketServer.ts"
import { Topic, Topics } from "../../src/topics/index.ts"
import { endWithParent, type FromServer, type Kind, type Tick, Ticks, warmUp } from "./model.ts"

const say = (message: Omit<FromServer, "cpu">) => {
  const { system, user } = process.cpuUsage()
  process.send!({ ...message, cpu: system + user })
}
const listening = (server: { readonly address: () => unknown }) => say({ port: (server.address() as AddressInfo).port })

/** Publishes what the parent says, and for those who come a tick that does not count. */
const publishing = (publish: (tick: Tick, acknowledged: () => void) => void) => {
  setInterval(() => publish({ n: warmUp, at: Date.now() }, () => {}), 500)
  process.on("message", (tick: Tick) => publish(tick, () => say({ acknowledged: tick.n })))
}

const plain = () => {
  const server: WebSocketServer = new WebSocketServer(
    { port: 0, host: "127.0.0.1", perMessageDeflate: false },
    () => listening(server)
  )
  publishing((tick, acknowledged) => {
    const text = JSON.stringify(tick)
    for (const client of server.clients) client.send(text)
    acknowledged()
  })
}

const socketIo = async (url: string) => {
  const http = createServer()
  const recovery = { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }
  const server = url === ""
    ? new SocketIoServer(http, recovery)
    : new SocketIoServer(http, {
      ...recovery,
      adapter: createAdapter(await createClient({ url }).connect(), { maxLen: 20_000 })
    })
  http.listen(0, "127.0.0.1", () => listening(http))
  publishing((tick, acknowledged) => {
    server.emit("tick", tick)
    acknowledged()
  })
}

const ours = (kind: Kind, url: string) => {
  const backplane: Layer.Layer<Backplane.Backplane, unknown> = kind.endsWith("memory")
    ? Backplane.layerMemory
    : kind.endsWith("Redis")
    ? RedisBackplane.layer({ retentionPerChannel: 20_000 }).pipe(Layer.provide(NodeRedis.layer({ url })))
    : NodePostgresBackplane.layer({ retentionPerChannel: 20_000 }).pipe(
      Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 4 }))
    )
  const layer = JsonRpcServer.layerSocketServer(Topics.Rpcs).pipe(
    Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
    Layer.provideMerge(Topics.layer(Topic.group(Ticks))),
    Layer.provide(backplane),
    Layer.provideMerge(NodeWebSocketServer.layer({ maxConnections: 10_000 }))
  )
  Effect.runFork(
    Effect.gen(function*() {
      const context = yield* Effect.context<Topics.Topics | SocketServer.SocketServer>()
      const topics = Context.get(context, Topics.Topics)
      const { address } = Context.get(context, SocketServer.SocketServer)
      publishing((tick, acknowledged) => {
        Effect.runFork(Effect.andThen(topics.publish(Ticks, tick), Effect.sync(acknowledged)))
      })
      say({ port: (address as { readonly port: number }).port })
      return yield* Effect.never
    }).pipe(Effect.provide(layer.pipe(Layer.provideMerge(Logger.layer([])))))
  )
}

endWithParent()
setInterval(say, 250, {})
const kind = process.argv[2] as Kind
const url = process.argv[3] ?? ""
if (kind === "plain ws loop") plain()
else if (kind.startsWith("Socket.IO")) void socketIo(url)
else ours(kind, url)
