// @effect-diagnostics asyncFunction:off globalConsole:off
/**
 * Publications to many subscribers: deliveries and processor time of the server for each, against a bare `ws` loop that
 * sends one prepared string to each connection; and through PostgreSQL, against bare NOTIFY. `npm run bench -- topics`
 *
 * The server publishes as fast as its subscribers' connections take it; a process of its own reads and counts.
 */
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Queue, Schema } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcServer } from "effect-wire/jsonrpc"
import { NodeWebSocketServer } from "effect-wire/node"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { Topic, Topics } from "effect-wire/topics"
import { SocketServer } from "effect/socket"
import { fork } from "node:child_process"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { type WebSocket, WebSocketServer } from "ws"
import { EmbeddedPostgres, layerClient } from "../test/node/support/EmbeddedPostgres.ts"
import { counter, median, open, serve, type Server, start } from "./support/load.ts"

const payload = Schema.Struct({ celsius: Schema.Finite, station: Schema.String, at: Schema.Int })
const Plain = Topic.make("weather", { payload })
const Kept = Topic.make("weather", { payload, history: {} })
const value = { celsius: 21.5, station: "Lausanne", at: 1_700_000_000_000 }
const frame = `{"jsonrpc":"2.0","method":"weather","params":${JSON.stringify(value)}}`

/** Characters that may wait for one connection before the next publication. */
const highWater = 64 * 1024
/** Publications in one turn of the event loop. */
const burstOf = (subscribers: number) => subscribers < 10 ? 64 : subscribers < 1000 ? 8 : 1

const bare = (subscribers: number, prepared: boolean) => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false }, () => {
    serve((server.address() as AddressInfo).port)
  })
  const clients: Array<WebSocket> = []
  const burst = burstOf(subscribers)
  const publish = () => {
    const last = clients[clients.length - 1]!
    if (last.bufferedAmount <= highWater) {
      for (let i = 0; i < burst; i++) {
        const text = prepared ? frame : `{"jsonrpc":"2.0","method":"weather","params":${JSON.stringify(value)}}`
        for (const client of clients) client.send(text)
      }
    }
    setImmediate(publish)
  }
  server.on("connection", (ws) => {
    ws.on("message", () => {
      if (clients.push(ws) === subscribers) publish()
    })
  })
}

const ours = (subscribers: number, Weather: typeof Plain) => {
  const topics = Topic.group(Weather)
  const group = Topics.Rpcs
  const burst = burstOf(subscribers)
  const program = Effect.gen(function*() {
    const service = yield* Topics.Topics
    const server = yield* SocketServer.SocketServer
    serve((server.address as { readonly port: number }).port)
    while ((yield* service.subscribers(Weather)).length < subscribers) yield* Effect.sleep("20 millis")
    const connections = yield* service.subscribers(Weather)
    const last = connections[connections.length - 1]!.outbox!
    const turn = Effect.callback<void>((resume) => {
      setImmediate(() => resume(Effect.void))
    })
    const many = Effect.forEach(Array.from({ length: burst }), () => service.publish(Weather, value), { discard: true })
    return yield* Effect.forever(
      Effect.andThen(turn, Effect.suspend(() => last.waiting() <= highWater ? many : Effect.void)),
      { disableYield: true }
    )
  })
  const server = JsonRpcServer.layerSocketServer(group).pipe(
    Layer.provide(Topics.layerHandlers({ methods: group })),
    Layer.provideMerge(Topics.layer(topics, { highWaterMark: 1024 * 1024 })),
    Layer.provide(Backplane.layerMemory),
    Layer.provideMerge(NodeWebSocketServer.layer({ maxConnections: 10_000 }))
  )
  Effect.runFork(Effect.provide(program, server))
}

/** Subscribes, reads and counts. */
const listen = async (port: number, subscribers: number, seconds: number, positions: boolean) => {
  const params = positions ? `{"topic":"weather","positions":true}` : `"weather"`
  const text = Buffer.from(`{"jsonrpc":"2.0","method":"subscribe","params":${params}}`)
  const subscribe = Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text])
  let deliveries = 0
  const sockets = []
  for (let i = 0; i < subscribers; i += 100) {
    sockets.push(
      ...await Promise.all(
        Array.from({ length: Math.min(100, subscribers - i) }, () => open(port, "/"))
      )
    )
  }
  for (const socket of sockets) {
    socket.on("error", () => {})
    const count = counter()
    socket.on("data", (data: Buffer) => {
      deliveries += count(data)
    })
  }
  for (const socket of sockets) socket.write(subscribe)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  process.send!("begin")
  const from = process.hrtime.bigint()
  deliveries = 0
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const elapsed = Number(process.hrtime.bigint() - from) / 1e9
  process.send!({ deliveries, elapsed })
}

interface Outcome {
  readonly perSecond: number
  readonly cpu: number
}

const measure = async (kind: string, subscribers: number, seconds: number): Promise<Outcome> => {
  const server: Server = await start(fileURLToPath(import.meta.url), [kind, String(subscribers)])
  const child = fork(fileURLToPath(import.meta.url), [
    "--listen",
    String(server.port),
    String(subscribers),
    `${seconds}`,
    kind
  ], {
    execArgv: process.execArgv
  })
  const next = <A>() => new Promise<A>((resolve) => child.once("message", (message) => resolve(message as A)))
  await next()
  const outcome = next<{ readonly deliveries: number; readonly elapsed: number }>()
  const before = await server.cpu()
  const { deliveries, elapsed } = await outcome
  const cpu = (await server.cpu()) - before
  server.stop()
  child.kill("SIGKILL")
  return { perSecond: deliveries / elapsed, cpu: cpu / deliveries }
}

const fanOut = async (numbers: ReadonlyArray<number>) => {
  console.log("one process, deliveries/s and µs of the server's processor for each delivery (medians of 3)\n")
  console.log("subscribers | bare ws, prepared |      | effect-wire |      | ratio of rate | ratio of cpu")
  console.log("----------: | ----------------: | ---: | ----------: | ---: | ------------: | -----------:")
  for (const subscribers of numbers) {
    const rounds = { "bare": [] as Array<Outcome>, "topics": [] as Array<Outcome> }
    for (let round = 0; round < 3; round++) {
      for (const kind of ["bare", "topics"] as const) rounds[kind].push(await measure(kind, subscribers, 2))
    }
    const of = (outcomes: ReadonlyArray<Outcome>, what: keyof Outcome) => median(outcomes.map((one) => one[what]))
    const [bareRate, bareCpu] = [of(rounds.bare, "perSecond"), of(rounds.bare, "cpu")]
    const [rate, cpu] = [of(rounds.topics, "perSecond"), of(rounds.topics, "cpu")]
    // of runs that follow one another, since the machine may be busy with other things
    const ratio = (what: keyof Outcome) =>
      median(rounds.topics.map((one, round) => one[what] / rounds.bare[round]![what]))
    console.log(
      [
        String(subscribers).padStart(11),
        Math.round(bareRate).toLocaleString("en").padStart(17),
        bareCpu.toFixed(2).padStart(4),
        Math.round(rate).toLocaleString("en").padStart(11),
        cpu.toFixed(2).padStart(4),
        ratio("perSecond").toFixed(2).padStart(13),
        (1 / ratio("cpu")).toFixed(2).padStart(12)
      ].join(" | ")
    )
  }
}

/** What a history costs: the same topic without one, and with one whose subscribers ask for positions. */
const withHistory = async (subscribers: number) => {
  const plain: Array<Outcome> = []
  const kept: Array<Outcome> = []
  for (let round = 0; round < 5; round++) {
    plain.push(await measure("topics", subscribers, 2))
    kept.push(await measure("history", subscribers, 2))
  }
  const of = (outcomes: ReadonlyArray<Outcome>, what: keyof Outcome) => median(outcomes.map((one) => one[what]))
  const times = median(kept.map((one, round) => one.cpu / plain[round]!.cpu))
  console.log(
    `\n${subscribers} subscribers, µs of the server's processor for each delivery: ${
      of(plain, "cpu").toFixed(2)
    } without a history, ${of(kept, "cpu").toFixed(2)} with one: ${times.toFixed(2)} times (medians of 5)`
  )
}

/** Publishes for a while with so many under way, and then one after the other; the payload says when it was sent. */
const load = (
  publish: (payload: string) => Effect.Effect<unknown, unknown>,
  received: Queue.Queue<string>,
  seconds: number
) =>
  Effect.gen(function*() {
    const now = () => Number(process.hrtime.bigint() / 1000n)
    const text = () => JSON.stringify({ ...value, at: now() })
    let sent = 0
    const one = Effect.suspend(() => Effect.map(publish(text()), () => sent++))
    const from = now()
    yield* Effect.forEach(Array.from({ length: 64 }), () => Effect.forever(one), { concurrency: "unbounded" }).pipe(
      Effect.timeoutOption(seconds * 1000)
    )
    const perSecond = sent / ((now() - from) / 1e6)
    yield* Effect.sleep("300 millis")
    yield* Queue.clear(received)
    const latencies: Array<number> = []
    for (let i = 0; i < 500; i++) {
      yield* publish(text())
      latencies.push(now() - (JSON.parse(yield* Queue.take(received)) as { readonly at: number }).at)
    }
    latencies.sort((a, b) => a - b)
    return { perSecond, p50: latencies[250]! / 1000, p99: latencies[495]! / 1000 }
  })

const postgres = Effect.gen(function*() {
  const url = yield* (yield* EmbeddedPostgres).database
  const process = (asyncCommit: boolean) =>
    NodePostgresBackplane.layer({ asyncCommit }).pipe(Layer.provideMerge(layerClient(url, 10)), Layer.build)
  const [a, b] = [yield* process(false), yield* process(false)]
  const received = yield* Queue.unbounded<string>()

  const sql = Context.get(a, PgClient.PgClient)
  const heard = yield* Context.get(b, PgClient.PgClient).listen("bare")
  yield* Effect.forkChild(
    Effect.forever(Effect.flatMap(Queue.take(heard), ({ payload }) => Queue.offer(received, payload)))
  )
  const plain = yield* load((payload) => sql.notify("bare", payload), received, 4)

  yield* Context.get(b, Backplane.Backplane).listen("wire", (event) => {
    if (event._tag === "Publication") Queue.offerUnsafe(received, event.payload)
  })
  const through = (context: typeof a) => {
    const backplane = Context.get(context, Backplane.Backplane)
    return load((payload) => backplane.publish("wire", payload), received, 4)
  }
  const wire = yield* through(a)
  const quick = yield* through(yield* process(true))

  console.log("\ntwo processes' backplanes on one PostgreSQL, 64 publications under way, then one at a time\n")
  console.log("                                         | publications/s | median ms | p99 ms")
  console.log("---------------------------------------- | -------------: | --------: | -----:")
  const row = (name: string, one: typeof wire) =>
    console.log(
      `${name.padEnd(40)} | ${Math.round(one.perSecond).toLocaleString("en").padStart(14)} | ${
        one.p50.toFixed(2).padStart(9)
      } | ${one.p99.toFixed(2).padStart(6)}`
    )
  row("bare NOTIFY: neither ordered nor kept", plain)
  row("effect-wire: numbered, logged, no loss", wire)
  row("the same, asyncCommit", quick)
  console.log(
    `\nratio of rates ${(wire.perSecond / plain.perSecond).toFixed(2)}, of median latencies ${
      (wire.p50 / plain.p50).toFixed(2)
    }`
  )
})

const [role, ...args] = process.argv.slice(2)
if (role === "--server") {
  if (args[0] === "bare") bare(Number(args[1]), true)
  else ours(Number(args[1]), args[0] === "history" ? Kept : Plain)
} else if (role === "--listen") {
  void listen(Number(args[0]), Number(args[1]), Number(args[2]), args[3] === "history")
} else {
  // `-- topics 2000`, `-- topics history` and `-- topics postgres` are parts of it
  if (role !== "postgres" && role !== "history") await fanOut(role === undefined ? [1, 100, 2000] : [Number(role)])
  if (role === undefined || role === "history") await withHistory(100)
  if (role === undefined || role === "postgres") {
    await Effect.runPromise(Effect.scoped(postgres).pipe(Effect.provide(EmbeddedPostgres.layer)))
  }
}
