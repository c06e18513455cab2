import { Effect } from "effect"
import { build } from "esbuild"
import { type ChildProcess, spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"

/** Numbers that are the same for the same seed. */
export const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

/** How many kills: `QUEUE_KILLS=500 npx vitest run test/queue/faults` for a long night. */
export const kills = Number(process.env["QUEUE_KILLS"] ?? 20)
export const seed = Number(process.env["QUEUE_SEED"] ?? 42)

export const freePort = Effect.callback<number>((resume) => {
  const server = Net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-faults-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** The child as one file of JavaScript: it starts in a fraction of the time. */
const bundle = Effect.promise(() =>
  build({
    entryPoints: [Path.join(import.meta.dirname, "child.ts")],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    write: false,
    external: ["node:*"],
    banner: { js: "import { createRequire as req } from 'node:module'; const require = req(import.meta.url);" }
  })
)

/** Processes that are killed, and started again. */
export const makeCrowd = Effect.gen(function*() {
  const directory = yield* temporaryDirectory
  const script = Path.join(directory, "child.mjs")
  const journal = Path.join(directory, "journal")
  const output = yield* bundle
  Fs.writeFileSync(script, output.outputFiles[0]!.text)
  Fs.writeFileSync(journal, "")
  const children = new Map<string, ChildProcess>()
  yield* Effect.addFinalizer(() => Effect.sync(() => children.forEach((child) => child.kill("SIGKILL"))))
  return {
    start: (key: string, role: string, kind: string, address: string, name: string) =>
      Effect.sync(() => {
        const child = spawn(process.execPath, [script, role, kind, address, journal, name], {
          stdio: ["ignore", "ignore", process.env["QUEUE_DEBUG"] === undefined ? "ignore" : "inherit"]
        })
        children.set(key, child)
      }),
    kill: (key: string) =>
      Effect.callback<void>((resume) => {
        const child = children.get(key)
        children.delete(key)
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      }),
    killAll: Effect.suspend(() => {
      const all = Array.from(children.values())
      children.clear()
      return Effect.forEach(all, (child) =>
        Effect.callback<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        }), { discard: true })
    }),
    /** What the children wrote, by what happened. */
    journal: Effect.sync(() => {
      const seen = new Map<string, Array<string>>([["pushed", []], ["delivered", []], ["acknowledged", []]])
      for (const line of Fs.readFileSync(journal, "utf8").split("\n")) {
        const [what, message] = line.split(" ")
        if (message !== undefined) seen.get(what!)!.push(message)
      }
      return {
        pushed: seen.get("pushed")!,
        delivered: seen.get("delivered")!,
        acknowledged: seen.get("acknowledged")!
      }
    })
  }
})

export type Crowd = Effect.Success<typeof makeCrowd>
