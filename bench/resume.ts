// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Who misses what when connections are cut again and again: our topics with a history, on memory and on PostgreSQL (there
 * with two servers, of which one is killed and started again twice), beside a plain `ws` loop and Socket.IO with its
 * connection state recovery. `npm run bench -- resume`
 *
 * Options: `--clients 30 --seconds 10 --rate 50 --every 2` (each connection is cut about every so many seconds), and names
 * of kinds. Clients dial a proxy of TCP that cuts at random, without a close frame, and again 100 ms later.
 */
import { Context, Effect, Exit, Layer, Schedule, Schema, Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
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

const Ticks = Topic.make("ticks", {
  payload: Schema.Struct({ n: Schema.Int, at: Schema.Finite }),
  history: { values: 20_000, bytes: 64 * 1024 * 1024, age: "10 minutes" }
})
interface Tick {
  readonly n: number
  readonly at: number
}

const kinds = ["effect-wire, memory", "effect-wire, PostgreSQL", "plain ws loop", "Socket.IO, recovery"] as const
type Kind = (typeof kinds)[number]

/** In the process of a server: publishes so many ticks, one every `gap` milliseconds, once the parent says so. */
const publishing = (publish: (tick: Tick) => void) => {
  process.on("message", ({ count, gap }: { readonly count: number; readonly gap: number }) => {
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
  const backplane = kind === "effect-wire, memory"
    ? Backplane.layerMemory
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
    }).pipe(Effect.provide(layer))
  )
}

/** What one client has heard. */
class Ear {
  readonly heard = new Set<number>()
  duplicates = 0
  disorder = 0
  told = 0
  slowest = 0
  private last = -1

  hear({ at, n }: Tick): void {
    if (this.heard.has(n)) this.duplicates++
    else if (n < this.last) this.disorder++
    this.heard.add(n)
    this.last = Math.max(this.last, n)
    this.slowest = Math.max(this.slowest, Date.now() - at)
  }
}

/** Dials a port and reports to an ear; gives what ends it. */
const connect = async (kind: Kind, port: number, ear: Ear): Promise<() => void> => {
  if (kind === "plain ws loop") {
    let socket: WebSocket
    let ended = false
    const dial = () => {
      socket = new WebSocket(`ws://127.0.0.1:${port}`)
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
    socket.on("tick", (tick: Tick) => ear.hear(tick))
    return () => socket.disconnect()
  }
  const scope = Effect.runSync(Scope.make())
  Effect.runFork(
    Effect.gen(function*() {
      const socket = yield* NodeWebSocket.make(`ws://127.0.0.1:${port}/`)
      const client = yield* JsonRpcClient.fromSocket(socket, { reconnect: Schedule.spaced("100 millis") })
      yield* Stream.runForEach(
        TopicsClient.eventsOf(client, Ticks, { capacity: 100_000 }),
        (event) =>
          Effect.sync(() => {
            if (event._tag === "Value") ear.hear(event.value)
            else ear.told += event.count ?? 0
          })
      )
    }).pipe(Scope.provide(scope))
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
  const others = kind === "effect-wire, PostgreSQL" ? [await start(kind, url)] : []
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
    const timer = setTimeout(() => {
      if (!cutting) return
      cuts++
      end()
    }, every * 2000 * Math.random())
    for (const side of [near, far]) side.on("error", end).on("close", end)
  })
  let cutting = true
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve))
  const ears = Array.from({ length: clients }, () => new Ear())
  const ends = await Promise.all(ears.map((ear) => connect(kind, portOf(proxy), ear)))
  await sleep(2000)
  const count = seconds * rate
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
  cutting = false
  await sleep(3000)
  for (const end of ends) end()
  proxy.close()
  for (const { child } of [publisher, ...others]) child.kill("SIGKILL")
  const sum = (of: (ear: Ear) => number) => ears.reduce((total, ear) => total + of(ear), 0)
  const all = count * clients
  const delivered = sum((ear) => ear.heard.size)
  return [
    kind.padEnd(23),
    String(cuts).padStart(5),
    String(kills).padStart(5),
    `${(delivered / all * 100).toFixed(2)} %`.padStart(9),
    String(sum((ear) => ear.told)).padStart(5),
    String(all - delivered - sum((ear) => ear.told)).padStart(7),
    String(sum((ear) => ear.duplicates)).padStart(10),
    String(sum((ear) => ear.disorder)).padStart(12),
    `${Math.max(...ears.map((ear) => ear.slowest))} ms`.padStart(9)
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
    "                        |  cuts | kills | delivered |  told | unnoted | duplicates | out of order |   slowest"
  )
  console.log(
    "----------------------- | ----: | ----: | --------: | ----: | ------: | ---------: | -----------: | --------:"
  )
  for (const kind of chosen) {
    if (kind !== "effect-wire, PostgreSQL") console.log(await measure(kind, "", plan))
    else {
      const run = Effect.gen(function*() {
        const url = yield* (yield* EmbeddedPostgres).database
        return yield* Effect.promise(() => measure(kind, url, plan))
      })
      console.log(await Effect.runPromise(Effect.scoped(run).pipe(Effect.provide(EmbeddedPostgres.layer))))
    }
  }
  process.exit(0)
}
