/**
 * Explores our own protocols: `npm run simulate` with fresh seeds for two minutes, after a fixed set of seeds.
 *
 *   npm run simulate -- [--time seconds] [--app name] [--from seed] [--fixed]
 *   npm run simulate -- --reach [--time seconds] [--app name]    tells which functions no history called
 *   npm run simulate -- --mutants [name]
 */
import { missed } from "./reach.ts"

// counts what is loaded after it
import { NodeRuntime } from "@effect/platform-node"
import { Clock, Console, Effect } from "effect"
import { Simulation } from "effect-wire/simulation"
import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { mutants } from "./mutants.ts"
import { apps as cluster } from "./worlds/cluster.ts"
import { apps as history } from "./worlds/history.ts"
import { apps as jsonrpc } from "./worlds/jsonrpc.ts"
import { apps as juggler } from "./worlds/juggler.ts"
import { apps as peers } from "./worlds/peers.ts"
import { apps as queue } from "./worlds/queue.ts"
import { apps as topics } from "./worlds/topics.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

const apps = new Map<string, Simulation.App>(
  Object.entries({ jsonrpc, peers, topics, history, juggler, cluster, queue }).flatMap(([room, apps]) =>
    Object.entries(apps).map(([name, app]) => [`${room}/${name}`, app] as const)
  )
)

/** Seeds of every run: what they found once is not to come back. */
const fixed = { from: 1, seeds: 12 }

/** Others that found something, here or in the simulator, each run as well. */
const found: { readonly [app: string]: ReadonlyArray<number> } = {
  "jsonrpc/budget": [712300779],
  "jsonrpc/keyed": [712300057],
  "topics/emptied": [43],
  "topics/topics": [112, 1054],
  "topics/preempted": [712300422],
  "history/history": [18],
  "history/preempted": [712300390],
  "cluster/deaf": [25, 820, 939],
  "cluster/emptied": [20, 310302489],
  "cluster/rough": [358, 308873531],
  "queue/sqlite": [516]
}

/** Where much has to happen at once. */
const sizes: { readonly [app: string]: Simulation.SizeOptions } = {
  "cluster/deaf": { over: "1 second" },
  "cluster/emptied": { over: "1 second" },
  "topics/emptied": { over: "4 seconds" },
  "history/emptied": { over: "4 seconds" }
}

/** What the worlds of a room are to reach. */
const rooms: { readonly [room: string]: RegExp } = {
  jsonrpc: /^(rpc|jsonrpc|socket)\/internal|^socket\/(Outbox|Reconnect)/,
  peers: /^(rpc|jsonrpc|socket)\/internal|^socket\/(Outbox|Reconnect)/,
  topics: /^topics|^backplane\/internal\/router/,
  history: /^topics|^backplane\/internal\/router/,
  juggler: /^juggler\/(internal|Juggler)/,
  cluster: /^juggler\/(internal\/cluster|JugglerCluster)/,
  queue: /^queue\/internal\/(?!postgres)/
}

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`)
  if (at < 0) return undefined
  const value = process.argv[at + 1] ?? ""
  return value.startsWith("--") ? "" : value
}

const explore = (name: string, app: Simulation.App, options: Simulation.ExploreOptions) =>
  Effect.tap(Simulation.explore(app, { ...sizes[name], ...options }), (report) =>
    Effect.gen(function*() {
      yield* Console.log(Simulation.summary(report))
      if (report.failure === undefined) return
      process.exitCode = 1
      const { failure } = report
      yield* Console.log(`seed ${failure.seed}, ${failure.story.split("\n").length} lines`)
      yield* Console.log(`${failure.story}\n\n${failure.test}`)
    }))

const all = Effect.gen(function*() {
  const only = option("app")
  const chosen = [...apps].filter(([name]) => only === undefined || name === only)
  const from = Number(option("from") ?? (yield* Clock.currentTimeMillis) % 1_000_000_000)
  const end = (yield* Clock.currentTimeMillis) + Number(option("time") ?? 120) * 1000
  if (option("from") === undefined) {
    yield* Console.log(`fixed seeds ${fixed.from} to ${fixed.from + fixed.seeds - 1}`)
    for (const [name, app] of chosen) {
      yield* explore(name, app, fixed)
      for (const from of found[name] ?? []) yield* explore(name, app, { from, seeds: 1 })
    }
  }
  if (process.argv.includes("--fixed")) return
  yield* Console.log(`seeds from ${from} on`)
  for (const [index, [name, app]] of chosen.entries()) {
    const left = end - (yield* Clock.currentTimeMillis)
    if (left > 0) yield* explore(name, app, { seeds: Infinity, from, time: left / (chosen.length - index) })
  }
  if (missed === undefined) return
  const meant = [...new Set(chosen.map(([name]) => rooms[name.split("/")[0]!]!))]
  const never = missed((file) => meant.some((files) => files.test(file)))
  yield* Console.log(`${never.length} functions never reached\n${never.join("\n")}`)
})

/** A copy of the sources with one patch. */
const patched = (mutant: (typeof mutants)[number]) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "mutant-"))
      for (const name of ["src", "package.json", "tsconfig.json"]) {
        cpSync(join(root, name), join(directory, name), { recursive: true })
      }
      cpSync(join(root, "test/simulation"), join(directory, "test/simulation"), { recursive: true })
      symlinkSync(join(root, "node_modules"), join(directory, "node_modules"))
      const file = join(directory, mutant.file)
      const text = readFileSync(file, "utf8")
      if (text.split(mutant.find).length !== 2) throw new Error(`"${mutant.name}" fits no place in ${mutant.file}`)
      writeFileSync(file, text.replace(mutant.find, () => mutant.replace))
      return directory
    }),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )

const hunt = (mutant: (typeof mutants)[number]) =>
  Effect.scoped(Effect.gen(function*() {
    const directory = yield* patched(mutant)
    const started = yield* Clock.currentTimeMillis
    const output = yield* Effect.callback<string>((resume) => {
      const args = ["--import", "tsx", "test/simulation/main.ts", "--app", mutant.app, "--from", "1", "--time", "60"]
      const child = spawn(process.execPath, args, { cwd: directory })
      let text = ""
      child.stdout.on("data", (data) => text += String(data))
      child.stderr.on("data", (data) => text += String(data))
      child.on("close", () => resume(Effect.succeed(text)))
      return Effect.sync(() => child.kill())
    })
    const seconds = Math.round(((yield* Clock.currentTimeMillis) - started) / 1000)
    const found = /^seed (\d+), (\d+) lines$/m.exec(output)
    const judge = /^Broken: (.*?) - /m.exec(output)?.[1]
    if (found === null) process.exitCode = 1
    const cells = found === null
      ? ["**not found**", "", "", output.includes("histories") ? "" : output.slice(0, 200)]
      : [judge, found[1], `${seconds} s`, found[2]]
    yield* Console.log(`| ${[mutant.name, mutant.app, ...cells].join(" | ")} |`)
  }))

const hunts = Effect.gen(function*() {
  const only = option("mutants")
  const chosen = mutants.filter(({ name }) => only === undefined || only === "" || name.includes(only))
  yield* Console.log("| planted | found by | judge | seed | after | lines |\n| --- | --- | --- | --- | --- | --- |")
  yield* Effect.forEach(chosen, hunt, { concurrency: Number(option("jobs") ?? 1), discard: true })
})

NodeRuntime.runMain(process.argv.includes("--mutants") ? hunts : all)
