// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/**
 * `npm run attack`: the gateway at its defaults under attacks, one by one and then all together, while a well-behaved client
 * calls it and somebody asks for its health. Prints for each what the gateway held, how long the others waited, and what
 * became of the attacker.
 *
 *   npm run attack -- --seconds 15 --only broadcasts --strict
 *
 * Fails when the gateway ends, holds more than 600 MB, is not well, uses the processor for more than 250 ms in one turn of
 * its event loop, or holds more when all is over than before; with `--strict` also when it answers /health after more than
 * 250 ms or a call after more than 100 ms, which a busy machine does by itself. `--brief`: all attacks together, for 8 s,
 * with time for a machine that does other things besides, and room for a heap that has not been collected (1,200 MB).
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import WebSocket from "ws"
import { attacks } from "./attacks.ts"
import { sleep } from "./peer.ts"
import type { Probed } from "./probe.ts"

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    only: { type: "string" },
    brief: { type: "boolean", default: false },
    strict: { type: "boolean", default: false }
  }
})
/**
 * Megabytes resident, milliseconds, and megabytes that may be held when all is over. `turn`: milliseconds of the processor
 * that one turn of the gateway's event loop may take; a machine that is busy cannot make it longer, but collecting garbage does.
 */
const limits = {
  // V8 keeps pages of a heap that was large a moment ago: the brief form looks at what is live, and for a flood only
  rss: options.brief ? 1200 : 600,
  health: 250,
  call: 100,
  turn: options.brief ? 1000 : 250,
  left: 40,
  unwell: options.brief ? 2 : 0
}
const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, "../..")

const directory = mkdtempSync(join(tmpdir(), "effect-wire-attack-"))
const probe = pathToFileURL(join(here, "probe.ts")).href
/** As `npm start` starts it: the program is what comes last. */
const { start } =
  (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { start: string } }).scripts
const flags = start.replace("exec node ", "").split(" ")
const gateway = spawn(process.execPath, [...flags.slice(0, -1), "--import", probe, flags.at(-1)!], {
  cwd: root,
  env: { ...process.env, NODE_ENV: "production", HOST: "127.0.0.1", PORT: "0", DATA_DIR: directory, LOG_LEVEL: "Warn" },
  stdio: ["ignore", "pipe", "ignore", "ipc"]
})
let ended: string | undefined
/** What the gateway says of itself since it was asked for the last time. */
const probed = (what: "read" | "collect") =>
  new Promise<Probed>((resolve) => {
    gateway.once("message", (message) => resolve(message as Probed))
    if (ended !== undefined) return resolve({ wall: 0, cpu: 0, heap: 0, buffers: 0 })
    gateway.send(what, () => {})
  })
gateway.on("exit", (code, signal) => {
  ended = `ended with ${signal ?? code}`
})
process.on("exit", () => {
  gateway.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
})
const url = await new Promise<string>((resolve, reject) => {
  let output = ""
  gateway.stdout!.on("data", (data: Buffer) => {
    output += data.toString()
    const found = /^listening on (\S+)$/m.exec(output)
    if (found !== null) resolve(found[1]!)
  })
  gateway.on("exit", () => reject(new Error(`the gateway did not start: ${output}`)))
})

/** Megabytes resident. */
const rss = (): number => {
  try {
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"))![1]) / 1024)
  } catch {
    return 0
  }
}

interface Seen {
  rss: number
  health: number
  unwell: number
  calls: Array<number>
  lost: number
}
const nothing = (): Seen => ({ rss: rss(), health: 0, unwell: 0, calls: [], lost: 0 })
let seen = nothing()
let watching = true

const watchMemory = async () => {
  while (watching) {
    seen.rss = Math.max(seen.rss, rss())
    await sleep(50)
  }
}

const watchHealth = async () => {
  while (watching) {
    const start = performance.now()
    const status = await fetch(`${url}/health`, { signal: AbortSignal.timeout(20_000) })
      .then(async (response) => {
        await response.text()
        return response.status
      }, () => 0)
    seen.health = Math.max(seen.health, performance.now() - start)
    if (status !== 200) seen.unwell++
    await sleep(250)
  }
}

const watchCalls = async () => {
  while (watching) {
    const ws = new WebSocket(`${url.replace("http", "ws")}/rpc`)
    await new Promise<void>((resolve) => {
      let sentAt = 0
      let id = 0
      const call = () => {
        if (!watching) return ws.close()
        sentAt = performance.now()
        ws.send(`{"jsonrpc":"2.0","id":${++id},"method":"add","params":[1,2]}`)
      }
      ws.on("open", call)
      ws.on("message", () => {
        seen.calls.push(performance.now() - sentAt)
        setTimeout(call, 20)
      })
      ws.on("error", () => {})
      ws.on("close", () => {
        if (watching) seen.lost++
        resolve()
      })
    })
    if (watching) await sleep(200)
  }
}
void watchMemory()
void watchHealth()
void watchCalls()

const attack = (names: ReadonlyArray<string>, seconds: number) =>
  new Promise<string>((resolve) => {
    const child = spawn(process.execPath, [
      "--import",
      "tsx",
      join(here, "attacker.ts"),
      url,
      String(seconds),
      ...names
    ], {
      cwd: root,
      stdio: ["ignore", "pipe", "ignore"]
    })
    let output = ""
    child.stdout.on("data", (data: Buffer) => {
      output += data.toString()
    })
    child.on("exit", () => resolve(output.trim()))
  })

const failures: Array<string> = []
const print = async (name: string, notes: string) => {
  const loop = await probed("read")
  const calls = seen.calls.sort((a, b) => a - b)
  const slowest = calls.at(-1) ?? 0
  const median = calls[calls.length >> 1] ?? 0
  const judge = (what: string, holds: boolean) => {
    if (!holds) failures.push(`${name}: ${what}`)
  }
  judge(`the gateway ${ended}`, ended === undefined)
  judge(`${seen.rss} MB resident`, seen.rss <= limits.rss)
  judge(`a turn of the event loop took ${loop.cpu.toFixed(0)} ms of the processor`, loop.cpu <= limits.turn)
  judge(`${seen.unwell} times not well`, seen.unwell <= limits.unwell)
  judge(`the connection of the other client was lost ${seen.lost} times`, seen.lost === 0)
  if (options.strict) {
    judge(`/health after ${seen.health.toFixed(0)} ms`, seen.health <= limits.health)
    judge(`a call after ${slowest.toFixed(0)} ms`, slowest <= limits.call)
  }
  process.stdout.write(
    `${name.padEnd(56)} ${String(seen.rss).padStart(4)} MB (${loop.heap.toFixed(0)}+${loop.buffers.toFixed(0)})  turn ${
      loop.cpu.toFixed(0).padStart(4)
    } ms (${loop.wall.toFixed(0)})  /health ${seen.health.toFixed(0).padStart(5)} ms  calls ${
      median.toFixed(1).padStart(6)
    } ms, at most ${slowest.toFixed(0).padStart(5)} ms  ${notes}\n`
  )
}

const seconds = options.brief ? 8 : Number(options.seconds)
const { only } = options
const names = Object.keys(attacks).filter((name) => only === undefined || name.includes(only))
await sleep(2000)
const settled = await probed("collect")
const before = rss()
await print("before", "")
for (const name of [...(options.brief ? [] : names), ...(names.length > 1 ? ["all together"] : [])]) {
  if (ended !== undefined) break
  seen = nothing()
  const notes = await attack(name === "all together" ? names : [name], seconds)
  await sleep(2000)
  await print(name, notes)
}
if (ended === undefined) {
  seen = nothing()
  await sleep(options.brief ? 3000 : Math.min(30_000, seconds * 3000))
  seen.rss = rss()
  await print("after", `${rss() - before} MB more than before`)
  const left = (await probed("collect")).heap - settled.heap
  process.stdout.write(`${left.toFixed(0)} MB more are held than before\n`)
  if (left > limits.left) failures.push(`${left.toFixed(0)} MB are held when all attackers have left`)
}
watching = false
gateway.kill("SIGTERM")
await sleep(500)
process.stdout.write(failures.length === 0 ? "every promise held\n" : `BROKEN:\n  ${failures.join("\n  ")}\n`)
process.exit(failures.length === 0 ? 0 : 1)
