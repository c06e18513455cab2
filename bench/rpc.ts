/**
 * RPC servers and clients side by side, one method `add({ a, b })`, over JSON-RPC where they have it. Servers are loaded with prepared raw frames and
 * clients call a server that does next to nothing, so that the other end is not what is measured; CPU is what the
 * operating system counts for the process under measurement. Rounds are interleaved, figures are medians of them, of
 * processes that are warm.
 *
 * Run: `npm run bench -- rpc [depth,batch,connections,methods,memory,clients] [--rounds 3] [--ms 400] [--kinds bare,...]`
 */
// @effect-diagnostics asyncFunction:off
import { parseArgs } from "node:util"
import * as Load from "./rpc/load.ts"
import * as Processes from "./rpc/processes.ts"
import { median, print, quantile, table, thousands, times } from "./rpc/table.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    ms: { type: "string", default: "400" },
    kinds: { type: "string" }
  }
})
const rounds = Number(values.rounds)
const ms = Number(values.ms)
const wanted = positionals.flatMap((text) => text.split(","))
const only = values.kinds?.split(",")
const isWanted = (section: string) => wanted.length === 0 || wanted.includes(section)
const among = (kinds: ReadonlyArray<string>) => only === undefined ? kinds : kinds.filter((kind) => only.includes(kind))

const add = (id: number) => `{"jsonrpc":"2.0","method":"add","params":{"a":${id},"b":2},"id":${id}}`
const batchOf = (size: number) => (id: number) =>
  `[${Array.from({ length: size }, (_, i) => add(id * size + i)).join(",")}]`

/** How the peers say it that have a wire of their own; what is called by number gives each number once. */
const wires: Record<string, (id: number) => string | ReadonlyArray<string>> = {
  capnweb: (id) => [
    `["push",["pipeline",0,["add"],[{"a":${id},"b":2}]]]`,
    `["pull",${id}]`,
    ...(id > depthMost ? [`["release",${id - depthMost},1]`] : [])
  ],
  orpc: (id) => `{"i":"${id}","p":{"u":"/add","b":{"json":{"a":${id},"b":2}}}}`,
  trpc: (id) => `{"id":${id},"method":"query","params":{"input":{"a":${id},"b":2},"path":"add"}}`
}
const depthMost = 64
const numbered = new WeakMap<Load.Connection, number>()

interface Sample {
  readonly requests: number
  readonly rate: number
  readonly cpu: number
  readonly p50: number
  readonly p99: number
}

/** One round of load on one server. */
const sample = async (server: Processes.ServerProcess, config: {
  readonly sockets: ReadonlyArray<Load.Connection>
  readonly depth: number
  readonly make?: (id: number) => string
  readonly weight?: number
  readonly ms?: number
}): Promise<Sample> => {
  const before = await server.cpu()
  const outcome = await Load.run(
    config.sockets,
    config.depth,
    config.ms ?? ms,
    config.make ?? wires[server.kind] ?? add,
    server.kind === "capnweb" ? numbered : undefined
  )
  const cpu = await server.cpu() - before
  const requests = outcome.requests * (config.weight ?? 1)
  return {
    requests: outcome.requests,
    rate: requests / outcome.seconds,
    cpu: cpu / requests,
    p50: quantile(outcome.latencies, 0.5),
    p99: quantile(outcome.latencies, 0.99)
  }
}

const medians = (samples: ReadonlyArray<Sample>): Sample => ({
  requests: median(samples.map((s) => s.requests)),
  rate: median(samples.map((s) => s.rate)),
  cpu: median(samples.map((s) => s.cpu)),
  p50: median(samples.map((s) => s.p50)),
  p99: median(samples.map((s) => s.p99))
})

/** So many requests, or so many milliseconds of them, before anything is measured: a server that runs for weeks is warm. */
const warmth = { requests: 50_000, ms: 3_000 }

/** Interleaved rounds: each kind once, then each again. */
const interleaved = async <A>(
  kinds: ReadonlyArray<string>,
  measure: (kind: string, ms: number) => Promise<A>,
  requests: (result: A) => number
): Promise<Map<string, Array<A>>> => {
  const results = new Map<string, Array<A>>(kinds.map((kind) => [kind, []]))
  for (const kind of kinds) {
    for (let i = 0, made = 0; i < warmth.ms / 500 && made < warmth.requests; i++) {
      made += requests(await measure(kind, 500))
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) results.get(kind)!.push(await measure(kind, ms))
  }
  return results
}

const startAll = async (kinds: ReadonlyArray<string>) => {
  const servers = await Promise.all(kinds.map((kind) => Processes.server(kind)))
  return new Map(servers.map((server) => [server.kind, server]))
}
const stopAll = (servers: Map<string, { readonly stop: () => void }>) => {
  for (const server of servers.values()) server.stop()
}

const openMany = async (port: number, count: number) => {
  const sockets: Array<Load.Connection> = []
  while (sockets.length < count) {
    const more = Math.min(100, count - sockets.length)
    sockets.push(...await Promise.all(Array.from({ length: more }, () => Load.open(port))))
  }
  return sockets
}
const closeAll = (sockets: ReadonlyArray<Load.Connection>) => {
  for (const socket of sockets) socket.destroy()
}

const everyServer = among([
  "bare",
  "corked",
  "rpc-websockets",
  "json-rpc-2.0",
  "jayson",
  "vscode-jsonrpc",
  "capnweb",
  "orpc",
  "trpc",
  "effect",
  "effect-wire",
  "effect-wire (fibers)"
])

/** Peers without batches of JSON-RPC. */
const unbatched = ["vscode-jsonrpc", "capnweb", "orpc", "trpc"]

const depth = async () => {
  const servers = await startAll(everyServer)
  for (const depth of [64, 1]) {
    const sockets = new Map<string, Load.Connection>()
    for (const [kind, server] of servers) sockets.set(kind, await Load.open(server.port))
    const results = await interleaved(
      everyServer,
      (kind, ms) => sample(servers.get(kind)!, { sockets: [sockets.get(kind)!], depth, ms }),
      ({ requests }) => requests
    )
    const rows = new Map([...results].map(([kind, samples]) => [kind, medians(samples)]))
    const [bare, corked] = [rows.get("bare")?.rate ?? NaN, rows.get("corked")?.rate ?? NaN]
    table(
      depth === 1
        ? "Server, one request at a time (round trip in ms, the load generator's part included)"
        : `Server, ${depth} requests in flight on one connection`,
      ["", "requests/s", "µs CPU each", "to bare", "to corked", ...(depth === 1 ? ["p50", "p99"] : [])],
      [...rows].map(([kind, row]) => [
        kind,
        thousands(row.rate),
        row.cpu.toFixed(2),
        times(row.rate / bare),
        times(row.rate / corked),
        ...(depth === 1 ? [row.p50.toFixed(3), row.p99.toFixed(3)] : [])
      ])
    )
    closeAll([...sockets.values()])
  }
  stopAll(servers)
}

const batch = async () => {
  const kinds = everyServer.filter((kind) => !unbatched.includes(kind))
  const servers = await startAll(kinds)
  const sockets = new Map<string, Load.Connection>()
  for (const [kind, server] of servers) sockets.set(kind, await Load.open(server.port))
  const results = await interleaved(kinds, (kind, ms) =>
    sample(servers.get(kind)!, {
      sockets: [sockets.get(kind)!],
      depth: 4,
      make: batchOf(100),
      weight: 100,
      ms
    }), ({ requests }) => requests)
  const rows = new Map([...results].map(([kind, samples]) => [kind, medians(samples)]))
  const bare = rows.get("bare")?.rate ?? NaN
  table(
    `Server, batches of 100 (${unbatched.join(", ")}: none)`,
    ["", "entries/s", "µs CPU each", "to bare"],
    [...rows].map(([kind, row]) => [kind, thousands(row.rate), row.cpu.toFixed(2), times(row.rate / bare)])
  )
  closeAll([...sockets.values()])
  stopAll(servers)
}

const connections = async () => {
  const kinds = among(["bare", "corked", "effect", "effect-wire"])
  const servers = await startAll(kinds)
  const measured: Array<Map<string, Sample>> = []
  const counts = [
    { title: "1 x 64", busy: 1, depth: 64, idle: 0 },
    { title: "1 x 64, 2,000 idle", busy: 1, depth: 64, idle: 2000 },
    { title: "64 x 1", busy: 64, depth: 1, idle: 0 },
    { title: "2,000 x 1", busy: 2000, depth: 1, idle: 0 }
  ]
  for (const { busy, depth, idle } of counts) {
    const row = new Map<string, Sample>()
    const open = new Map<string, { readonly busy: Array<Load.Connection>; readonly idle: Array<Load.Connection> }>()
    for (const [kind, server] of servers) {
      open.set(kind, { busy: await openMany(server.port, busy), idle: await openMany(server.port, idle) })
    }
    const results = await interleaved(
      kinds,
      (kind, ms) => sample(servers.get(kind)!, { sockets: open.get(kind)!.busy, depth, ms }),
      ({ requests }) => requests
    )
    for (const [kind, samples] of results) row.set(kind, medians(samples))
    measured.push(row)
    for (const { busy, idle } of open.values()) closeAll([...busy, ...idle])
  }
  table(
    "Server, µs CPU a request by connections x requests in flight on each",
    ["", ...counts.map((count) => count.title)],
    kinds.map((kind) => [kind, ...measured.map((row) => row.get(kind)!.cpu.toFixed(2))])
  )
  stopAll(servers)
}

const methods = async () => {
  const servers = new Map<string, Processes.ServerProcess>()
  const counts = ["1", "1000"]
  for (const count of counts) servers.set(count, await Processes.server("effect-wire", count))
  const sockets = new Map<string, Load.Connection>()
  for (const [count, server] of servers) sockets.set(count, await Load.open(server.port))
  const results = await interleaved(
    counts,
    (count, ms) => sample(servers.get(count)!, { sockets: [sockets.get(count)!], depth: 64, ms }),
    ({ requests }) => requests
  )
  table(
    "effect-wire, 64 requests in flight, by methods served",
    ["", "requests/s", "µs CPU each"],
    counts.map((count) => {
      const row = medians(results.get(count)!)
      return [thousands(Number(count)), thousands(row.rate), row.cpu.toFixed(2)]
    })
  )
  closeAll([...sockets.values()])
  stopAll(servers)
}

const memory = async () => {
  const kinds = among(["bare", "rpc-websockets", "effect", "effect-wire"])
  const count = 2000
  const results = new Map<string, Array<readonly [number, number]>>(kinds.map((kind) => [kind, []]))
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      const server = await Processes.server(kind)
      // what is made once is made now
      closeAll(await openMany(server.port, 200))
      await new Promise((resolve) => setTimeout(resolve, 200))
      const before = await server.memory()
      const sockets = await openMany(server.port, count)
      await sample(server, { sockets, depth: 1, ms: 1 })
      await server.memory()
      await new Promise((resolve) => setTimeout(resolve, 200))
      const [resident, heap] = await server.memory()
      results.get(kind)!.push([(resident - before[0]) / count, (heap - before[1]) / count])
      closeAll(sockets)
      server.stop()
    }
  }
  const rows = new Map(
    [...results].map(([kind, each]) => [kind, [median(each.map(([r]) => r)), median(each.map(([, h]) => h))] as const])
  )
  const [bare, bareHeap] = rows.get("bare") ?? [NaN, NaN]
  table(
    `Server, ${
      thousands(count)
    } idle connections that made one request each: memory of each, in kB, after a collection`,
    ["", "resident", "to bare", "heap", "to bare"],
    [...rows].map(([kind, [resident, heap]]) => [
      kind,
      (resident / 1000).toFixed(1),
      times(resident / bare),
      (heap / 1000).toFixed(1),
      times(heap / bareHeap)
    ])
  )
}

const clients = async () => {
  const depth = 64
  const kinds = among([
    "promise map",
    "rpc-websockets",
    "json-rpc-2.0",
    "jayson",
    "capnweb",
    "orpc",
    "trpc",
    "effect",
    "effect-wire typed",
    "effect-wire untyped"
  ])
  const server = await Processes.server("peer")
  // whose wire is no JSON-RPC calls a server of its own
  const servers = await startAll(kinds.filter((kind) => kind in wires))
  const started = await Promise.all(
    kinds.map((kind) => Processes.client(kind, (servers.get(kind) ?? server).port, depth))
  )
  const processes = new Map(started.map((client) => [client.kind, client]))
  const results = await interleaved(kinds, (kind, ms) => processes.get(kind)!.run(ms), ({ calls }) => calls)
  const rows = new Map([...results].map(([kind, runs]) => [kind, {
    rate: median(runs.map((run) => run.calls / run.seconds)),
    cpu: median(runs.map((run) => run.cpu / run.calls))
  }]))
  const map = rows.get("promise map")?.cpu ?? NaN
  table(
    `Client, ${depth} calls in flight on one connection`,
    ["", "calls/s", "µs CPU each", "CPU to promise map"],
    [...rows].map(([kind, row]) => [kind, thousands(row.rate), row.cpu.toFixed(2), times(row.cpu / map)])
  )
  stopAll(processes)
  stopAll(servers)
  server.stop()
}

const sections: Record<string, () => Promise<void>> = { depth, batch, connections, methods, memory, clients }
const began = performance.now()
print(`node ${process.version}, rounds of ${ms} ms, medians of ${rounds}`)
for (const [name, section] of Object.entries(sections)) if (isWanted(name)) await section()
print(`\n${((performance.now() - began) / 1000).toFixed(0)} s`)
process.exit(0)
