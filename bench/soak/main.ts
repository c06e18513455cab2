// @effect-diagnostics globalTimers:off
/**
 * `npm run soak`: everything at once against the gateway on SQLite, for two minutes. Callers on every wire, subscribers,
 * writers of a state, senders and workers of a queue, over connections that are cut every few seconds; others that do not
 * read; attackers; and the gateway is killed and started again. Then it is quiet, and the counts have to agree.
 *
 *   npm run soak -- --seconds 600 --kills 10
 *
 * Fails when anything is lost, an end does not see what it should, or memory does not come back.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Exit, References, Schedule, Scope } from "effect"
import { Wire } from "effect-wire/jsonrpc"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { attacks } from "../attack/attacks.ts"
import { Counts } from "./counts.ts"
import { startCutter, startGateway } from "./gateway.ts"
import { callers, httpCallers, panel, queue, slowReaders, weather } from "./parties.ts"

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "120" }, kills: { type: "string", default: "3" } }
})
const seconds = Number(options.seconds)
const kills = Number(options.kills)

const attack = (url: string, names: ReadonlyArray<string>, seconds: number) =>
  Effect.callback<void>((resume) => {
    const file = join(import.meta.dirname, "../attack/attacker.ts")
    const child = spawn(process.execPath, ["--import", "tsx", file, url, String(seconds), ...names], {
      stdio: "ignore"
    })
    child.once("exit", () => resume(Effect.void))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const wires = [
  ["JSON-RPC, Rockets", "/rpc", Wire.rockets],
  ["JSON-RPC, LSP", "/lsp", Wire.lsp],
  ["JSON-RPC, aiohttp", "/aiohttp", Wire.aiohttp]
] as const

const program = Effect.gen(function*() {
  const gateway = yield* Effect.acquireRelease(
    Effect.promise(() => startGateway()),
    ({ stop }) => Effect.sync(stop)
  )
  const cutter = yield* Effect.acquireRelease(
    Effect.promise(() => startCutter(new URL(gateway.url), 4)),
    ({ close }) => Effect.sync(close)
  )
  const url = cutter.url
  const rows = new Map<string, Counts>()
  const counts = (name: string) => {
    const made = new Counts()
    rows.set(name, made)
    return made
  }

  const busy = yield* Scope.make()
  yield* Effect.gen(function*() {
    for (const [name, path, wire] of wires) yield* Effect.forkScoped(callers(url, path, wire, counts(name)))
    yield* Effect.forkScoped(httpCallers(url, counts("JSON-RPC, POST")))
    yield* slowReaders(new URL(gateway.url), counts("who do not read"))
  }).pipe(Scope.provide(busy))
  const forecast = yield* weather(url, counts("topics"), busy)
  const areEqual = yield* panel(url, counts("Juggler 0.7"), busy)
  const work = yield* queue(url, counts("queue"), busy)

  yield* Effect.sleep("5 seconds")
  const names = Object.keys(attacks)
  let before = yield* Effect.promise(gateway.memory)
  const rounds = kills + 1
  for (let round = 0; round < rounds; round++) {
    const name = names[round % names.length]!
    yield* Console.log(`${round + 1} of ${rounds}: ${name}`)
    yield* Effect.forkIn(attack(gateway.url, [name], Math.min(10, seconds / rounds / 2)), busy)
    yield* Effect.sleep(seconds * 1000 / rounds)
    if (round === kills) continue
    yield* Effect.promise(gateway.kill)
    yield* Effect.sleep("5 seconds")
    before = yield* Effect.promise(gateway.memory)
  }

  yield* Console.log("now it is quiet")
  cutter.close()
  yield* Scope.close(busy, Exit.void)
  const until = (condition: Effect.Effect<boolean>) =>
    Effect.repeat(condition, { until: (holds) => holds, schedule: Schedule.spaced("500 millis") }).pipe(
      Effect.timeoutOption("30 seconds"),
      Effect.map((held) => held._tag === "Some")
    )
  yield* until(Effect.sync(() => work.missing() === 0))
  rows.get("queue")!.lost += work.missing()
  yield* forecast.say
  const heard = yield* until(Effect.sync(forecast.isHeard))
  const equal = yield* until(Effect.orDie(areEqual))
  yield* Effect.sleep("5 seconds")
  const after = yield* Effect.promise(gateway.memory)

  const table: Record<string, Record<string, number>> = {}
  for (const [name, { answered, cancelled, failed, lost, repeated, sent }] of rows) {
    if (sent > 0) table[name] = { sent, answered, cancelled, "failed, typed": failed, lost, "came again": repeated }
  }
  yield* Effect.sync(() => console.table(table))
  const notes = new Map<string, number>()
  for (const row of rows.values()) for (const [what, n] of row.notes) notes.set(what, (notes.get(what) ?? 0) + n)
  for (const [what, n] of notes) yield* Console.log(`${what}: ${n}`)
  yield* Console.log(
    `connections cut: ${cutter.cuts()}, gateway killed: ${kills}, confirmed by the queue: ${work.confirmed()}`
  )
  yield* Console.log(
    `memory after the last start: ${before.heap.toFixed(1)} MB of values, ${before.resident} MB resident; ` +
      `at the end ${after.heap.toFixed(1)} MB, ${after.resident} MB`
  )
  const failures = [
    ...[...rows].filter(([, { lost }]) => lost > 0).map(([name, { lost }]) => `${name}: ${lost} lost`),
    ...(heard ? [] : ["a subscriber does not have the last weather"]),
    ...(equal ? [] : ["the clients of the state differ"]),
    ...(after.heap < before.heap * 1.5 + 20 ? [] : ["memory has grown"])
  ]
  if (failures.length > 0) return yield* Effect.die(failures.join("; "))
  yield* Console.log("nothing lost")
})

program.pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"), NodeRuntime.runMain)
