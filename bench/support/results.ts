/**
 * `bench/RESULTS.md`: the newest figures of each benchmark, with where they come from.
 */
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, release, totalmem, type } from "node:os"
import { join } from "node:path"

const title = `# Results

What \`npm run bench\` printed, newest run of each benchmark. Compare ratios inside one table; absolute figures belong to the
machine and to what else it did.
`

const root = join(import.meta.dirname, "../..")

const versions = (): string => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  return [
    "effect",
    "ws",
    "rpc-websockets",
    "vscode-jsonrpc",
    "@hat-open/juggler",
    "pg-boss",
    "graphile-worker",
    "socket.io",
    "capnweb"
  ]
    .filter((name) => name in { ...manifest.dependencies, ...manifest.devDependencies })
    .map((name) => {
      const file = join(root, "node_modules", name, "package.json")
      return `${name} ${existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).version : "?"}`
    })
    .join(", ")
}

const commit = (): string => {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim()
  } catch {
    return "unknown"
  }
}

/** Replaces the section of one benchmark. */
export const keep = (file: string, name: string, output: string): void => {
  const text = existsSync(file) ? readFileSync(file, "utf8") : title
  const sections = new Map(
    text.split(/^(?=## )/m).slice(1).map((section) => [section.slice(3, section.indexOf("\n")), section.trimEnd()])
  )
  const processors = cpus()
  // @effect-diagnostics-next-line globalDate:off
  const today = new Date().toISOString().slice(0, 10)
  sections.set(
    name,
    [
      `## ${name}`,
      "",
      `${today}, commit ${commit()}; ${processors.length} processors ` +
      `(${processors[0]?.model.trim() ?? "unknown"}), ${
        Math.round(totalmem() / 2 ** 30)
      } GiB, ${type()} ${release()}; ` +
      `Node ${process.versions.node}, ${versions()}.`,
      "",
      "```",
      // eslint-disable-next-line no-control-regex
      output.replace(/\u001b\[[0-9;]*m/g, "").trimEnd(),
      "```"
    ].join("\n")
  )
  const ordered = [...sections].sort(([a], [b]) => a < b ? -1 : 1).map(([, section]) => section)
  writeFileSync(file, [title.trimEnd(), ...ordered, ""].join("\n\n").replace(/\n+$/, "\n"))
}
