/**
 * Runs benchmarks: `npm run bench` all of them, `npm run bench -- rpc` one, with what follows as its options. What a run
 * without options prints is kept in `bench/RESULTS.md`, with the machine and the versions that it ran on.
 */
import { spawn } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { keep } from "./support/results.ts"

const here = dirname(fileURLToPath(import.meta.url))
const names = readdirSync(here).filter((entry) => entry.endsWith(".ts") && entry !== "main.ts").map((entry) =>
  entry.slice(0, -3)
)
const [name, ...options] = process.argv.slice(2)
if (name !== undefined && !existsSync(join(here, `${name}.ts`))) {
  process.stderr.write(`usage: npm run bench [-- <name> [options]], one of ${names.join(", ")}\n`)
  process.exit(2)
}

/** Runs one and gives what it printed; the figures go to the terminal as they come. */
const run = (name: string): Promise<{ readonly code: number; readonly output: string }> =>
  new Promise((resolve) => {
    // tsx wraps each closure that has a name, to keep it: a tenth of what the queue itself costs.
    const loader = name === "queue" ? [] : ["--import", "tsx"]
    const child = spawn(process.execPath, [...loader, join(here, `${name}.ts`), ...options], {
      stdio: ["inherit", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (data: Buffer) => {
      process.stdout.write(data)
      output += data
    })
    child.on("close", (code) => resolve({ code: code ?? 1, output }))
  })

let failed = 0
for (const each of name === undefined ? names : [name]) {
  if (name === undefined) process.stdout.write(`\n== ${each}\n`)
  const { code, output } = await run(each)
  if (code !== 0) failed = code
  else if (options.length === 0) keep(join(here, "RESULTS.md"), each, output)
}
process.exit(failed)
