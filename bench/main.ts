/**
 * Runs a benchmark: `npm run bench -- rpc`. Without a name it lists them.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const here = dirname(fileURLToPath(import.meta.url))
const [name, ...rest] = process.argv.slice(2)
const file = join(here, `${name}.ts`)
if (name === undefined || !existsSync(file)) {
  const names = readdirSync(here).filter((entry) => entry.endsWith(".ts") && entry !== "main.ts")
  process.stderr.write(`usage: npm run bench -- <name>, one of ${names.map((n) => n.slice(0, -3)).join(", ")}\n`)
  process.exit(2)
}
const result = spawnSync(process.execPath, ["--import", "tsx", file, ...rest], { stdio: "inherit" })
process.exit(result.status ?? 1)
