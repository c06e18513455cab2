// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Who misses what when connections are cut again and again: our topics with a history, on memory, and on PostgreSQL and
 * Redis (there with two servers, of which one is killed and started again twice), beside a plain `ws` loop and Socket.IO
 * with its connection state recovery. `npm run bench -- resume`
 *
 * "Caught up" is the time from a connection that is open again to the first value that is not older than that moment.
 * Ours asks for what it missed, so its values come in order; the others have the newest at once, and holes before it.
 *
 * Options: `--clients 30 --seconds 10 --rate 50 --every 2` (each connection is cut about every so many seconds), and names
 * of kinds. Clients dial a proxy of TCP that cuts at random, without a close frame, and again 100 ms later.
 */
import { NodeRedis } from "@effect/platform-node"
import { Context, Effect, Exit, Layer, Logger, Schedule, Schema, Scope, Stream } from "effect"
import { Backplane, RedisBackplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocket, NodeWebSocketServer } from "effect-wire/node"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { SocketServer } from "effect/socket"
import { type ChildProcess, fork } from "node:child_process"
import { createServer } from "node:http"
import * as Net from "node:net"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Server as SocketIoServer } from "socket.io"
import { io } from "socket.io-client"
import { WebSocket, WebSocketServer } from "ws"
import { EmbeddedPostgres, layerClient } from "../test/node/support/EmbeddedPostgres.ts"
import { isInstalled, makeRedis } from "../test/node/support/KillableRedis.ts"

const Ticks = Topic.make("ticks", {
  payload: Schema.Struct({ n: Schema.Int, at: Schema.Finite }),
  history: { values: 20_000, bytes: 64 * 1024 * 1024, age: "10 minutes" }
})
interface Tick {
  readonly n: number
  readonly at: number
}

const kinds = [
  "effect-wire, memory",
  "effect-wire, PostgreSQL",
  "effect-wire, Redis",
  "plain ws loop",
  "Socket.IO, recovery"
] as const
type Kind = (typeof kinds)[number]

/** A tick before the first: who has heard one is subscribed. */
const warmUp = -1

/**
 * In the process of a server: publishes so many ticks, one every `gap` milliseconds, once the parent says so; none to count
 * until then.
 */
const publishing = (publish: (tick: Tick) => void) => {
  let warming: ReturnType<typeof setInterval> | undefined
  process.on("message", ({ count, gap }: { readonly count: number; readonly gap: number }) => {
    clearInterval(warming)
    if (count === 0) {
      warming = setInterval(() => publish({ n: warmUp, at: Date.now() }), 500)
      return
    }
    const from = Date.now()
    let n = 0
    const step = () => {
      while (n < count && n * gap <= Date.now() - from) publish({ n: n++, at: Date.now() })
      if (n < count) setTimeout(step, 5)
      else process.send!({ done: true })
    }
    step()
  })
}
const listening = (port: number) => process.send!({ port })
const portOf = (server: { readonly address: () => unknown }) => (server.address() as Net.AddressInfo).port

const serve = (kind: Kind, url: string) => {
  if (kind === "plain ws loop") {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false }, () => {
      listening(portOf(server))
    })
    return publishing((tick) => {
      const text = JSON.stringify(tick)
      for (const client of server.clients) client.send(text)
    })
  }
  if (kind === "Socket.IO, recovery") {
    const http = createServer()
    const server = new SocketIoServer(http, { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } })
    http.listen(0, "127.0.0.1", () => listening(portOf(http)))
    return publishing((tick) => server.emit("tick", tick))
  }
  const backplane: Layer.Layer<Backplane.Backplane, unknown> = kind === "effect-wire, memory"
    ? Backplane.layerMemory
    : kind === "effect-wire, Redis"
    ? RedisBackplane.layer({ retentionPerChannel: 20_000 }).pipe(Layer.provide(NodeRedis.layer({ url })))
    : NodePostgresBackplane.layer().pipe(Layer.provide(layerClient(url)))
  const layer = JsonRpcServer.layerSocketServer(Topics.Rpcs).pipe(
    Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
    Layer.provideMerge(Topics.layer(Topic.group(Ticks))),
    Layer.provide(backplane),
    Layer.provideMerge(NodeWebSocketServer.layer({ maxConnections: 10_000 }))
  )
  Effect.runFork(
    Effect.gen(function*() {
      const context = yield* Effect.context<Topics.Topics | SocketServer.SocketServer>()
      const { address } = Context.get(context, SocketServer.SocketServer)
      publishing((tick) => Effect.runFork(Effect.provide(Topics.publish(Ticks, tick), context)))
      listening((address as { readonly port: number }).port)
      return yield* Effect.never
    }).pipe(Effect.provide(layer.pipe(Layer.provideMerge(Logger.layer([])))))
  )
}

/** The newest that anybody heard: what there was to hear when a connection opened. */
let newest = -1
const caughtUp: Array<number> = []

/** What one client has heard. */
class Ear {
  private readonly seen: Uint8Array
  isReady = false
  heard = 0
  duplicates = 0
  disorder = 0
  told = 0
  private last = -1
  private opened: { readonly at: number; readonly newest: number } | undefined

  constructor(count: number) {
    this.seen = new Uint8Array(count)
  }

  open(): void {
    this.opened = { at: Date.now(), newest }
  }

  hear({ n }: Tick): void {
    this.isReady = true
    if (n === warmUp) return
    if (this.seen[n] === 1) this.duplicates++
    else {
      this.heard++
      if (n < this.last) this.disorder++
    }
    this.seen[n] = 1
    if (n > this.last) this.last = n
    if (n > newest) newest = n
    if (this.opened !== undefined && this.last >= this.opened.newest) {
      caughtUp.push(Date.now() - this.opened.at)
      this.opened = undefined
    }
  }
}

/** Dials a port and reports to an ear; gives what ends it. */
const connect = async (kind: Kind, port: number, ear: Ear): Promise<() => void> => {
  if (kind === "plain ws loop") {
    let socket: WebSocket
    let ended = false
    const dial = () => {
      socket = new WebSocket(`ws://127.0.0.1:${port}`)
      socket.on("open", () => ear.open())
      socket.on("message", (data) => ear.hear(JSON.parse(String(data))))
      socket.on("error", () => {})
      socket.on("close", () => {
        if (!ended) setTimeout(dial, 100)
      })
    }
    dial()
    return () => {
      ended = true
      socket.terminate()
    }
  }
  if (kind === "Socket.IO, recovery") {
    const socket = io(`http://127.0.0.1:${port}`, {
      transports: ["websocket"],
      reconnectionDelay: 100,
      reconnectionDelayMax: 100,
      forceNew: true
    })
    socket.on("connect", () => ear.open())
    socket.on("tick", (tick: Tick) => ear.hear(tick))
    return () => socket.disconnect()
  }
  const scope = Effect.runSync(Scope.make())
  Effect.runFork(
    Effect.gen(function*() {
      const socket = yield* NodeWebSocket.make(`ws://127.0.0.1:${port}/`)
      const client = yield* JsonRpcClient.fromSocket(socket, {
        reconnect: Schedule.spaced("100 millis"),
        onConnect: () => Effect.sync(() => ear.open())
      })
      yield* Stream.runForEach(
        TopicsClient.eventsOf(client, Ticks, { capacity: 100_000 }),
        (event) =>
          Effect.sync(() => {
            if (event._tag === "Value") ear.hear(event.value)
            else ear.told += event.count ?? 0
          })
      )
    }).pipe(Scope.provide(scope), Effect.provide(Logger.layer([])))
  )
  return () => Effect.runFork(Scope.close(scope, Exit.void))
}

interface Running {
  readonly child: ChildProcess
  readonly port: number
}

const start = (kind: Kind, url: string): Promise<Running> =>
  new Promise((resolve) => {
    const child = fork(fileURLToPath(import.meta.url), ["--server", kind, url], { execArgv: process.execArgv })
    child.on("message", (message: { readonly port?: number }) => {
      if (message.port !== undefined) resolve({ child, port: message.port })
    })
  })

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

interface Plan {
  readonly clients: number
  readonly seconds: number
  readonly rate: number
  readonly every: number
}

const measure = async (kind: Kind, url: string, { clients, every, rate, seconds }: Plan) => {
  const publisher = await start(kind, url)
  const others = kind === "effect-wire, PostgreSQL" || kind === "effect-wire, Redis" ? [await start(kind, url)] : []
  newest = -1
  caughtUp.length = 0
  let cuts = 0
  const proxy = Net.createServer((near) => {
    const all = [publisher, ...others]
    const far = Net.connect(all[Math.floor(Math.random() * all.length)]!.port, "127.0.0.1")
    near.pipe(far).pipe(near)
    const end = () => {
      clearTimeout(timer)
      near.destroy()
      far.destroy()
    }
    const cut = () => {
      if (ending) return
      if (cutting) {
        cuts++
        end()
      } else timer = setTimeout(cut, every * 2000 * Math.random())
    }
    let timer = setTimeout(cut, every * 2000 * Math.random())
    for (const side of [near, far]) side.on("error", end).on("close", end)
  })
  let cutting = false
  let ending = false
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  const count = seconds * rate
  const ears = Array.from({ length: clients }, () => new Ear(count))
  const ends = await Promise.all(ears.map((ear) => connect(kind, portOf(proxy), ear)))
  publisher.child.send({ count: 0, gap: 0 })
  while (!ears.every((ear) => ear.isReady)) await sleep(100)
  await sleep(1000)
  cutting = true
  const done = new Promise<void>((resolve) => {
    publisher.child.on("message", (message: { readonly done?: boolean }) => {
      if (message.done === true) resolve()
    })
  })
  publisher.child.send({ count, gap: 1000 / rate })
  let kills = 0
  const killing = (async () => {
    for (let i = 0; i < (others.length > 0 ? 2 : 0); i++) {
      await sleep(seconds * 300)
      others.pop()!.child.kill("SIGKILL")
      kills++
      others.push(await start(kind, url))
    }
  })()
  await Promise.all([done, killing])
  ending = true
  // until nothing comes any more
  const total = () => ears.reduce((sum, ear) => sum + ear.heard + ear.told, 0)
  for (let before = -1; before !== total(); await sleep(3000)) before = total()
  for (const end of ends) end()
  proxy.close()
  for (const { child } of [publisher, ...others]) child.kill("SIGKILL")
  const sum = (of: (ear: Ear) => number) => ears.reduce((total, ear) => total + of(ear), 0)
  const all = count * clients
  const delivered = sum((ear) => ear.heard)
  const times = caughtUp.toSorted((a, b) => a - b)
  const percentile = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0
  return [
    kind.padEnd(23),
    String(cuts).padStart(5),
    String(kills).padStart(5),
    `${(delivered / all * 100).toFixed(2)} %`.padStart(9),
    String(sum((ear) => ear.told)).padStart(5),
    String(all - delivered - sum((ear) => ear.told)).padStart(7),
    String(sum((ear) => ear.duplicates)).padStart(10),
    String(sum((ear) => ear.disorder)).padStart(12),
    `${percentile(0.5)} / ${percentile(0.99)} / ${percentile(1)} ms`.padStart(20),
    `${(times.filter((time) => time <= 1000).length / Math.max(1, times.length) * 100).toFixed(1)} %`.padStart(10)
  ].join(" | ")
}

if (process.argv[2] === "--server") {
  serve(process.argv[3] as Kind, process.argv[4] ?? "")
} else {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      clients: { type: "string", default: "30" },
      seconds: { type: "string", default: "10" },
      rate: { type: "string", default: "50" },
      every: { type: "string", default: "2" }
    }
  })
  const plan: Plan = {
    clients: Number(values.clients),
    seconds: Number(values.seconds),
    rate: Number(values.rate),
    every: Number(values.every)
  }
  const chosen = kinds.filter((kind) =>
    positionals.length === 0 || positionals.some((part) => kind.toLowerCase().includes(part.toLowerCase()))
  )
  console.log(
    `${plan.clients} clients, ${plan.rate} publications/s for ${plan.seconds} s, each connection cut about every ${plan.every} s\n`
  )
  console.log(
    "                        |  cuts | kills | delivered |  told | unnoted | duplicates | out of order | caught up 50/99/100 | within 1 s"
  )
  console.log(
    "----------------------- | ----: | ----: | --------: | ----: | ------: | ---------: | -----------: | ------------------: | ---------:"
  )
  for (const kind of chosen) {
    if (kind === "effect-wire, PostgreSQL") {
      const run = Effect.gen(function*() {
        const url = yield* (yield* EmbeddedPostgres).database
        return yield* Effect.promise(() => measure(kind, url, plan))
      })
      console.log(await Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(EmbeddedPostgres.layer))))
    } else if (kind !== "effect-wire, Redis") console.log(await measure(kind, "", plan))
    else if (!isInstalled) console.log(`${kind.padEnd(23)} | there is no redis-server on this machine`)
    else {
      const run = Effect.gen(function*() {
        const { url } = yield* makeRedis("--appendonly", "yes", "--appendfsync", "always")
        return yield* Effect.promise(() => measure(kind, url, plan))
      })
      console.log(await Effect.runPromise(Effect.scoped(run)))
    }
  }
  process.exit(0)
}
