/**
 * Runs every example and checks that it ends by itself with exit code 0 and prints what its header promises: each
 * `Prints: …` line there must be in its output. An example whose header has `Needs: <file>` is skipped, with a word about
 * it, where that file is missing.
 *
 * Run: npm run examples            all of them
 * Run: npm run examples -- batch   those whose name contains "batch"; `--json <file>` writes the counts there
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Duration, Effect } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"

const here = import.meta.dirname
const limitMillis = 60_000

const { positionals, values } = parseArgs({ allowPositionals: true, options: { json: { type: "string" } } })
const names = readdirSync(here)
  .filter((file) => file.endsWith(".ts") && file !== "run-all.ts")
  .filter((file) => positionals.length === 0 || positionals.some((part) => file.includes(part)))

/** The lines of the header that begin with a word. */
const header = (text: string, word: string): ReadonlyArray<string> =>
  (/^\/\*\*[^]*?\*\//.exec(text)?.[0] ?? "")
    .split("\n")
    .map((line) => line.replace(/^ \* ?/, ""))
    .filter((line) => line.startsWith(`${word}: `))
    .map((line) => line.slice(word.length + 2))

interface Ended {
  readonly code: number | null
  readonly output: string
}

const run = (file: string): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const child = spawn(process.execPath, ["--import", "tsx", file], {
      cwd: join(here, ".."),
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMillis
    })
    let output = ""
    const onData = (data: Buffer) => {
      output += data.toString()
    }
    child.stdout.on("data", onData)
    child.stderr.on("data", onData)
    child.on("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const check = (name: string): Effect.Effect<"passed" | "failed" | "skipped"> =>
  Effect.gen(function*() {
    const file = join(here, name)
    const text = readFileSync(file, "utf8")
    const missing = header(text, "Needs").filter((need) => !existsSync(need))
    if (missing.length > 0) {
      yield* Console.log(`skipped ${name}: it needs ${missing.join(", ")}`)
      return "skipped"
    }
    const promised = header(text, "Prints")
    const [duration, { code, output }] = yield* Effect.timed(run(file))
    const seconds = (Duration.toMillis(duration) / 1000).toFixed(1)
    const absent = promised.filter((line) => !output.split("\n").includes(line))
    if (code === 0 && output !== "" && absent.length === 0) {
      const note = promised.length === 0 ? ", although its header promises nothing" : ""
      yield* Console.log(`passed  ${name} (${seconds} s)${note}`)
      return "passed"
    }
    const why = code === null
      ? `it did not end within ${limitMillis / 1000} s`
      : code !== 0
      ? `exit code ${code}`
      : output === ""
      ? "it printed nothing"
      : `it did not print: ${absent.join(" | ")}`
    yield* Console.log(`failed  ${name}: ${why}\n${output.replace(/^/gm, "    ")}`)
    return "failed"
  })

const program = Effect.gen(function*() {
  const results = yield* Effect.forEach(names, check, { concurrency: 2 })
  const count = (wanted: string) => results.filter((result) => result === wanted).length
  const counts = { passed: count("passed"), failed: count("failed"), skipped: count("skipped") }
  if (values.json !== undefined) writeFileSync(values.json, JSON.stringify(counts))
  yield* Console.log(`examples: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  if (counts.failed > 0) process.exitCode = 1
})

NodeRuntime.runMain(program)
