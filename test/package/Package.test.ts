import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundle } from "../../cli.config.ts"
import { compile } from "../../scripts/compile.ts"

const root = join(import.meta.dirname, "../..")
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const folders = ["socket", "rpc", "jsonrpc", "juggler", "queue", "simulation", "wiretap", "dashboard", "node"]

const run = (command: string, args: ReadonlyArray<string>, cwd: string) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

/** The package as npm would publish it, unpacked in an empty project beside what it depends on. */
const installed = Effect.acquireRelease(
  Effect.gen(function*() {
    const directory = mkdtempSync(join(tmpdir(), "package-"))
    const source = join(directory, "source")
    mkdirSync(source)
    const written = manifest.files.filter((name: string) => name !== "dist")
    for (const name of ["package.json", "LICENSE", "README.md", ...written]) {
      cpSync(join(root, name), join(source, name), { recursive: true })
    }
    compile(join(source, "dist"))
    yield* Effect.promise(() => bundle(join(source, "dist/cli")))
    const [{ files, filename }] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts"], source))
    const app = join(directory, "app")
    const modules = join(app, "node_modules")
    mkdirSync(join(modules, "effect-wire"), { recursive: true })
    run("tar", ["-xzf", join(source, filename), "-C", join(modules, "effect-wire"), "--strip-components=1"], directory)
    const dependencies = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
    for (const name of dependencies) {
      mkdirSync(join(modules, name, ".."), { recursive: true })
      symlinkSync(join(root, "node_modules", name), join(modules, name))
    }
    return { app, directory, files: files.map((file: { readonly path: string }) => file.path) as Array<string> }
  }),
  ({ directory }) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

it.live(
  "what is published can be imported by every path, and internals cannot; its program runs",
  () =>
    Effect.gen(function*() {
      const { app, files } = yield* installed
      assert.includeMembers(files, [
        "package.json",
        "LICENSE",
        "README.md",
        "PROTOCOLS.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md"
      ])
      assert.includeMembers(files, ["docs/README.md", "docs/rpc.md", "examples/README.md", "examples/hello.ts"])
      assert.isFalse(files.some((file) => /^(test|bench|\.ci)\//.test(file)))

      const modules = folders.flatMap((folder) =>
        readdirSync(join(root, "src", folder))
          .filter((file) => file.endsWith(".ts") && file !== "index.ts")
          .map((file) => `${folder}/${file.slice(0, -3)}`)
      )
      const open = ["", ...folders.map((folder) => `/${folder}`), ...modules.map((module) => `/${module}`)]
      const internals = folders.flatMap((folder) => {
        const inside = files.filter((file) => file.startsWith(`dist/${folder}/internal/`) && file.endsWith(".js"))
        return inside.map((file) => file.slice("dist".length, -3))
      })
      assert.isAbove(internals.length, 0)
      const program = `
      const failures = []
      for (const path of ${JSON.stringify(open)}) {
        const module = await import("effect-wire" + path).catch((error) => failures.push(path + ": " + error.message))
        if (module && Object.keys(module).length === 0) failures.push(path + " exports nothing")
      }
      for (const path of ${JSON.stringify(internals)}) {
        await import("effect-wire" + path).then(
          () => failures.push(path + " is open"),
          (error) => error.code === "ERR_PACKAGE_PATH_NOT_EXPORTED" || failures.push(path + ": " + error.message)
        )
      }
      console.log(JSON.stringify(failures))
    `
      const failures = run(process.execPath, ["--no-warnings", "--input-type=module", "-e", program], app)
      assert.deepStrictEqual(JSON.parse(failures), [])

      // every declaration holds by itself
      const all = open.map((path, i) => `export * as m${i} from "effect-wire${path}"`)
      writeFileSync(join(app, "all.ts"), all.join("\n"))
      const compilerOptions = {
        strict: true,
        module: "nodenext",
        target: "es2022",
        lib: ["es2023", "dom", "dom.iterable"],
        skipLibCheck: false,
        noEmit: true,
        typeRoots: [join(root, "node_modules/@types")],
        types: ["node"]
      }
      writeFileSync(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["all.ts"] }))
      const wrong = spawnSync("npx", ["tsc", "-p", app], { cwd: root, encoding: "utf8" }).stdout
      assert.deepStrictEqual(wrong.split("\n").filter((line) => line.includes(" error ")), [])

      // the program runs without anything beside it, and cannot be imported
      assert.include(files, "dist/cli/LICENSES.txt")
      const alone = join(app, "alone")
      cpSync(join(app, "node_modules/effect-wire"), alone, { recursive: true })
      const main = join(alone, manifest.bin["effect-wire"])
      assert.strictEqual(run(process.execPath, [main, "--version"], app), `effect-wire v${manifest.version}\n`)
      for (const command of ["call", "state", "queue", "contract", "bench"]) {
        assert.include(run(process.execPath, [main, command, "--help"], app), "USAGE")
      }
      assert.match(
        run(process.execPath, [main, "queue", "push", "q.sqlite", "af", "{}", "--create"], app),
        /^[0-9a-f]+\n$/
      )
      const importer = `import("effect-wire/cli/main").then(() => console.log("open"), ({ code }) => console.log(code))`
      assert.strictEqual(run(process.execPath, ["-e", importer], app), "ERR_PACKAGE_PATH_NOT_EXPORTED\n")
    }),
  240_000
)

it("what needs Node is in two folders, so that the rest runs in a browser", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  for (const file of sources) {
    if (!file.endsWith(".ts") || /^(node|cli)\//.test(file) || file === "index.ts") continue
    const text = readFileSync(join(root, "src", file), "utf8")
    assert.notMatch(text, /from "(node:|ws"|@effect\/platform-node|@effect\/sql-pg)/, file)
  }
})
