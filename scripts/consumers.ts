// @effect-diagnostics globalConsole:off
/**
 * The package as others have it: packed, installed from the registry into an empty project, type-checked down to every
 * declaration by the compilers that are in use, and run on the runtimes that are in use.
 *
 *   npm run consumers
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const root = join(import.meta.dirname, "..")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const compilers = ["5.8", "5.9", "6.0", "7.0"]
const runtimes = [
  { name: "Node 22", package: "node@22", command: "node", args: [] },
  { name: "Node 24", package: "node@24", command: "node", args: [] },
  { name: "Bun", package: "bun", command: "bun", args: [] },
  { name: "Deno", package: "deno", command: "deno", args: ["run", "-A"] }
]

const failures: Array<string> = []
const directory = mkdtempSync(join(tmpdir(), "consumers-"))
process.on("exit", () => rmSync(directory, { recursive: true, force: true }))

const run = (command: string, args: ReadonlyArray<string>, cwd: string, path = "") => {
  const env = { ...process.env, PATH: `${path}${path === "" ? "" : delimiter}${process.env["PATH"]}` }
  const { status, stderr, stdout } = spawnSync(command, args, { cwd, env, encoding: "utf8", timeout: 300_000 })
  return { status, stdout, stderr, output: `${stdout}${stderr}`.trim() }
}

const note = (what: string, isRight: boolean, detail: string): void => {
  console.log(`${isRight ? "ok    " : "FAILED"} ${what}`)
  if (isRight) return
  failures.push(what)
  console.log(detail.split("\n").slice(0, 20).map((line) => `       ${line.slice(0, 200)}`).join("\n"))
}

/** A project of its own that holds one package, for its program. */
const tool = (name: string, spec: string, script: string): string => {
  const project = join(directory, name)
  mkdirSync(project)
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, allowScripts: { [script]: true } }))
  const { output, status } = run("npm", ["install", "--no-audit", "--no-fund", spec], project)
  if (status !== 0) note(`install ${spec}`, false, output)
  return join(project, "node_modules")
}

/** Every module that can be imported. */
const modules = (dist: string): ReadonlyArray<string> =>
  readdirSync(dist, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".d.ts") && !/(^|\/)(internal|cli)\//.test(file))
    .map((file) => file.slice(0, -".d.ts".length).replace(/(^|\/)index$/, ""))

const app = join(directory, "app")
mkdirSync(app)
const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], root)
const [{ filename }] = JSON.parse(packed.stdout)
writeFileSync(join(app, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }))

// on the Node of the package's own `engines`, as its users have
const node24 = join(tool("node24", "node@24", "node"), ".bin")
const peers = Object.entries(manifest.peerDependencies).map(([name, range]) => `${name}@${range}`)
const install = run("npm", ["install", "--no-audit", "--no-fund", join(directory, filename), ...peers], app, node24)
note("npm install, without a warning", install.status === 0 && !/warn|deprecated/i.test(install.output), install.output)
run("npm", ["install", "--no-audit", "--no-fund", "-D", "@types/node@24"], app, node24)

const all = modules(join(app, "node_modules/effect-wire/dist"))
writeFileSync(
  join(app, "all.ts"),
  all.map((path, i) => `export * as m${i} from "effect-wire${path === "" ? "" : `/${path}`}"`).join("\n")
)
copyFileSync(join(root, "examples/hello.ts"), join(app, "hello.ts"))
copyFileSync(join(root, "test/node/support/runtimeProgram.ts"), join(app, "program.ts"))
writeFileSync(
  join(app, "tsconfig.json"),
  JSON.stringify({
    compilerOptions: {
      strict: true,
      module: "nodenext",
      target: "es2022",
      lib: ["es2023", "dom", "dom.iterable"],
      types: ["node"],
      skipLibCheck: false
    },
    files: ["all.ts", "hello.ts", "program.ts"]
  })
)
for (const version of compilers) {
  const tsc = join(tool(`typescript-${version}`, `typescript@~${version}`, "typescript"), ".bin/tsc")
  const { output, status } = run(tsc, ["-p", "."], app, node24)
  note(`TypeScript ${version}: ${all.length} modules, skipLibCheck false`, status === 0, output)
}

for (const { args, command, name, package: spec } of runtimes) {
  const bin = join(tool(name.replace(" ", ""), spec, spec.split("@")[0]!), ".bin")
  const hello = run(join(bin, command), [...args, "hello.js"], app, bin)
  note(`${name}: examples/hello.ts`, hello.status === 0 && hello.stdout.includes("hello, world"), hello.output)
  const whole = run(join(bin, command), [...args, "program.js"], app, bin)
  const last = whole.stdout.trim().split("\n").at(-1) ?? ""
  const isRight = last.startsWith("{") && Object.values(JSON.parse(last)).every((value) => value === true)
  note(`${name}: servers, clients and hashes`, whole.status === 0 && isRight, whole.output)
}

console.log(failures.length === 0 ? "all right" : `FAILED: ${failures.join("; ")}`)
process.exitCode = failures.length === 0 ? 0 : 1
