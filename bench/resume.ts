// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * Who misses what when connections are cut again and again, and servers killed: our topics with a history, Socket.IO with
 * its connection state recovery, and a plain `ws` loop. On PostgreSQL and Redis there are two servers, of which one is
 * killed and started again twice while the other publishes; in memory there is one, which is killed. `npm run bench -- resume`
 *
 * Told is what did not come and lies where the client was told that something is missing; unnoted is the rest. "Caught up" is the time from a
 * connection that is open again to the first value that was published after that: ours asks for what it missed, and has
 * it by then; the others may have holes before it. A reconnection that was cut again within a second, before that, does not
 * count; one that was cut later counts as late.
 *
 * The last columns say what the machine can do: processor time of servers and of clients for each value that was delivered, with
 * all reconnections, how many a second that allows, and how busy the machine was.
 *
 * Options: `--clients 1000 --seconds 120 --rate 100 --every 2` (each connection is cut about every so many seconds, and
 * dials again 100 ms later), `--processes 2` (of clients), `--no-kills`, and names of kinds.
 */
import { Effect } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism, cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { EmbeddedPostgres } from "../test/node/support/EmbeddedPostgres.ts"
import { isInstalled, makeRedis } from "../test/node/support/KillableRedis.ts"
import type { FromClients, FromServer, Heard, Kind, Tick, ToClients } from "./resume/model.ts"
import { hasTwoServers, kinds } from "./resume/model.ts"

interface Plan {
  readonly clients: number
  readonly seconds: number
  readonly rate: number
  readonly every: number
  readonly processes: number
  readonly kills: boolean
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/** Node alone runs them: a loader would be measured too. */
const run = (file: string, ...args: ReadonlyArray<string>): ChildProcess =>
  fork(fileURLToPath(new URL(`./resume/${file}`, import.meta.url)), [...args], { execArgv: profiled })

const profiled = process.env["PROFILE"] === undefined
  ? []
  : ["--cpu-prof", "--cpu-prof-interval", "500", `--cpu-prof-dir=${process.env["PROFILE"]}`]

class Server {
  readonly child: ChildProcess
  readonly port: Promise<number>
  isUp = false
  private base = 0
  private latest = 0

  constructor(kind: Kind, url: string, onAcknowledged: (n: number) => void) {
    this.child = run("server.ts", kind, url)
    this.port = new Promise((resolve) => {
      this.child.on("message", ({ acknowledged, cpu, port }: FromServer) => {
        this.latest = cpu
        if (acknowledged !== undefined) onAcknowledged(acknowledged)
        if (port !== undefined) {
          this.isUp = true
          this.begin()
          resolve(port)
        }
      })
    })
  }

  /** What it needs from now on counts. */
  begin(): void {
    this.base = this.latest
  }
  get cpu(): number {
    return this.latest - this.base
  }
  kill(): Promise<unknown> {
    this.isUp = false
    const gone = new Promise((resolve) => this.child.once("exit", resolve))
    this.child.kill(process.env["PROFILE"] === undefined ? "SIGKILL" : "SIGTERM")
    return gone
  }
}

/** One process of clients. */
class Clients {
  readonly child: ChildProcess
  latest: FromClients = { ready: 0, total: 0, reports: 0 }

  constructor(kind: Kind, count: number, every: number) {
    this.child = run("clients.ts", kind, String(count), String(every))
    this.child.on("message", (message: FromClients) => {
      this.latest = { ...this.latest, ...message }
    })
  }

  tell(message: ToClients): void {
    this.child.send(message)
  }

  /** Completes when nothing has come for three seconds in which it was not too busy to say so. */
  async silence(): Promise<void> {
    const end = Date.now() + 600_000
    for (let since = this.latest; Date.now() < end; await sleep(100)) {
      if (this.latest.total !== since.total) since = this.latest
      else if (this.latest.reports >= since.reports + 12) return
    }
  }

  async result(acknowledged: ReadonlyArray<number>): Promise<Heard> {
    this.tell({ acknowledged })
    while (this.latest.result === undefined) await sleep(20)
    return this.latest.result
  }
}

const busyOf = () => {
  let idle = 0
  let all = 0
  for (const { times } of cpus()) {
    idle += times.idle
    all += times.idle + times.irq + times.nice + times.sys + times.user
  }
  return { idle, all }
}

const measure = async (kind: Kind, url: string, plan: Plan) => {
  const { clients, every, processes, rate, seconds } = plan
  const acknowledged: Array<number> = []
  const start = () =>
    new Server(kind, url, (n) => {
      acknowledged[n] = 1
    })
  const servers = hasTwoServers(kind) ? [start(), start()] : [start()]
  const all = [...servers]
  const groups = Array.from(
    { length: processes },
    (_, i) => new Clients(kind, Math.floor((clients + i) / processes), every)
  )
  const tellPorts = async () => {
    const ports = await Promise.all(servers.filter((server) => server.isUp).map((server) => server.port))
    for (const group of groups) group.tell({ ports })
  }
  await Promise.all(servers.map((server) => server.port))
  await tellPorts()
  const total = (of: (group: Clients) => number) => groups.reduce((sum, group) => sum + of(group), 0)
  while (total((group) => group.latest.ready) < clients) await sleep(100)
  await sleep(1000)

  for (const server of all) server.begin()
  for (const group of groups) group.tell({ cutting: true })
  const before = busyOf()
  const from = Date.now()
  let kills = 0
  const killing = (async () => {
    for (let i = 0; i < (plan.kills ? 2 : 0); i++) {
      await sleep(seconds * 300)
      await servers.pop()!.kill()
      kills++
      await tellPorts()
      const next = start()
      servers.push(next)
      all.push(next)
      await next.port
      await tellPorts()
    }
  })()
  let n = 0
  let due = 0
  while (Date.now() - from < seconds * 1000) {
    // what nobody could be given is not published later, all at once
    for (; due * 1000 / rate <= Date.now() - from; due++) {
      if (!servers[0]?.isUp) continue
      const tick: Tick = { n, at: Date.now() }
      acknowledged[n++] = 0
      servers[0].child.send(tick)
    }
    await sleep(2)
  }
  await killing
  const after = busyOf()
  for (const group of groups) group.tell({ cutting: false })
  // until nothing comes any more: a process that is behind says nothing for a while
  for (const group of groups) await group.silence()
  const results = await Promise.all(groups.map((group) => group.result(acknowledged)))
  const sum = (of: (heard: Heard) => number) => results.reduce((all, result) => all + of(result), 0)
  const cpuOfServers = all.reduce((sum, server) => sum + server.cpu, 0)
  for (const { child } of groups) child.kill("SIGTERM")
  for (const server of servers) void server.kill()
  const delivered = sum((result) => result.delivered)
  const told = sum((result) => result.told)
  const unnoted = sum((result) => result.unnoted)
  const late = sum((result) => result.late)
  const times = results.flatMap((result) => result.caughtUp).sort((a, b) => a - b)
  const percentile = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0
  const server = cpuOfServers / delivered
  const client = sum((result) => result.cpu) / delivered
  return [
    kind.padEnd(23),
    String(sum((result) => result.cuts)).padStart(6),
    String(kills).padStart(5),
    `${(delivered / (delivered + told + unnoted) * 100).toFixed(2)} %`.padStart(9),
    String(told).padStart(7),
    String(unnoted).padStart(8),
    String(sum((result) => result.duplicates)).padStart(10),
    String(sum((result) => result.disorder)).padStart(12),
    `${percentile(0.5)} / ${percentile(0.99)} / ${percentile(1)} ms`.padStart(20),
    `${(times.filter((time) => time <= 1000).length / Math.max(1, times.length + late) * 100).toFixed(1)} %`.padStart(
      10
    ),
    `${server.toFixed(1)} + ${client.toFixed(1)}`.padStart(13),
    String(Math.round(availableParallelism() * 1_000_000 / (server + client) / 1000)).padStart(7) + " k",
    `${((1 - (after.idle - before.idle) / (after.all - before.all)) * 100).toFixed(0)} %`.padStart(5)
  ].join(" | ")
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: "string", default: "1000" },
    seconds: { type: "string", default: "120" },
    rate: { type: "string", default: "100" },
    every: { type: "string", default: "2" },
    processes: { type: "string", default: "2" },
    "no-kills": { type: "boolean", default: false }
  }
})
const plan: Plan = {
  clients: Number(values.clients),
  seconds: Number(values.seconds),
  rate: Number(values.rate),
  every: Number(values.every),
  processes: Number(values.processes),
  kills: !values["no-kills"]
}
const chosen = kinds.filter((kind) =>
  positionals.length === 0 || positionals.some((part) => kind.toLowerCase().includes(part.toLowerCase()))
)

const withRedis = (kind: Kind) =>
  Effect.gen(function*() {
    const { url } = yield* makeRedis("--appendonly", "yes", "--appendfsync", "always")
    return yield* Effect.promise(() => measure(kind, url, plan))
  })
const withPostgres = (kind: Kind) =>
  Effect.gen(function*() {
    const url = yield* (yield* EmbeddedPostgres).database
    return yield* Effect.promise(() => measure(kind, url, plan))
  }).pipe(Effect.provide(EmbeddedPostgres.layer))

console.log(
  `${plan.clients} clients, ${plan.rate} publications/s for ${plan.seconds} s, each connection cut about every ${plan.every} s\n`
)
console.log(
  "                        |   cuts | kills | delivered |    told |  unnoted | duplicates | out of order | caught up 50/99/100 | within 1 s | µs for each   | at most/s | busy"
)
console.log(
  "----------------------- | -----: | ----: | --------: | ------: | -------: | ---------: | -----------: | -------------------: | ---------: | ------------: | --------: | ---:"
)
for (const kind of chosen) {
  if (kind.endsWith("PostgreSQL")) console.log(await Effect.runPromise(Effect.scoped(withPostgres(kind))))
  else if (!kind.endsWith("Redis")) console.log(await measure(kind, "", plan))
  else if (!isInstalled) console.log(`${kind.padEnd(23)} | there is no redis-server on this machine`)
  else console.log(await Effect.runPromise(Effect.scoped(withRedis(kind))))
}
process.exit(0)
