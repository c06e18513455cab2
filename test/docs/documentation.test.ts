import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { pages, read } from "./markdown.ts"
import { directory, extract, type Program } from "./snippets.ts"

const programs = extract()
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as {
  readonly files: ReadonlyArray<string>
  readonly scripts: Record<string, string>
}

const run = (command: string, args: ReadonlyArray<string>) => {
  try {
    return { status: 0, output: execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }) }
  } catch (error) {
    const { stderr, stdout } = error as { readonly stdout: string; readonly stderr: string }
    return { status: 1, output: stdout + stderr }
  }
}

it("every snippet of the documentation, and every example in a comment, compiles", () => {
  const info = "node_modules/.cache/snippets.tsbuildinfo"
  const { output, status } = run("npx", ["tsc", "-p", directory, "--incremental", "--tsBuildInfoFile", info])
  // the name of a program is its page: `docs.rpc.1.ts(42,5)` is line 42 of docs/rpc.md
  if (status !== 0) assert.fail(output)
}, 300_000)

const expectPrinted = ({ page, prints }: Program, output: ReadonlyArray<string>) => {
  let from = 0
  for (const line of prints) {
    const at = output.indexOf(line, from)
    if (at < 0) assert.fail(`${page} says that it prints "${line}"; it printed\n${output.join("\n")}`)
    from = at + 1
  }
}

const named = (program: Program) => ({ ...program, name: `${program.page}:${program.line + 1}` })
const ofKind = (...kinds: ReadonlyArray<Program["kind"]>) =>
  programs.filter(({ kind }) => kinds.includes(kind)).map(named)

describe("programs of the documentation", { concurrent: false }, () => {
  it.live.each(ofKind("effect"))("$name runs and prints what it says", (program) =>
    Effect.gen(function*() {
      const module = yield* Effect.promise(() => import(program.file) as Promise<{ readonly program: Effect.Effect<void> }>)
      const output: Array<string> = []
      const log = (...args: ReadonlyArray<unknown>) => {
        output.push(...args.map((arg) => typeof arg === "string" ? arg : JSON.stringify(arg)).join(" ").split("\n"))
      }
      yield* module.program.pipe(Effect.provideService(Console.Console, { ...globalThis.console, log }))
      expectPrinted(program, output)
    }), 60_000)

  it.live.each(ofKind("module"))(
    "$name can be loaded",
    (program) => Effect.asVoid(Effect.promise(() => import(program.file))),
    60_000
  )

  it.each(ofKind("main"))("$name runs by itself and prints what it says", (program) => {
    const { output, status } = run("npx", ["tsx", program.file])
    if (status !== 0) assert.fail(output)
    expectPrinted(program, output.split("\n"))
  }, 60_000)
})

describe("links", () => {
  const anchors = new Map(pages.map((path) => [path, read(path).anchors]))

  it.each(pages)("%s leads to what is there", (path) => {
    for (const { line, target } of read(path).links) {
      const where = `${path}:${line + 1}: ${target}`
      if (/^[a-z]+:/.test(target)) {
        assert.isTrue(URL.canParse(target) && target.startsWith("https://"), where)
        continue
      }
      const [file, anchor] = target.split("#") as [string, string | undefined]
      const to = file === "" ? path : normalize(join(dirname(path), file))
      assert.isTrue(existsSync(to), where)
      if (anchor !== undefined) assert.isTrue(anchors.get(to)?.has(anchor), where)
      if (file !== "" && (path.startsWith("docs/") || !path.includes("/")) && path !== "CONTRIBUTING.md") {
        const published = manifest.files.some((name) => to === name || to.startsWith(`${name}/`))
        assert.isTrue(published || to === "README.md" || to === "LICENSE", `${where} is not in the package`)
      }
    }
  })
})

it("every npm script that the documentation names exists", () => {
  for (const path of pages) {
    for (const [, name] of readFileSync(path, "utf8").matchAll(/npm run (?:--silent )?([a-z:]+)/g)) {
      assert.property(manifest.scripts, name!, path)
    }
  }
})

it("every page of docs/ is in its index", () => {
  const indexes = pages.filter((path) => /^docs\/(.*\/)?README\.md$/.test(path))
  const linked = new Set(indexes.flatMap((path) =>
    read(path).links.map(({ target }) => normalize(join(dirname(path), target.split("#")[0]!)))
  ))
  const missing = pages.filter((path) => path.startsWith("docs/") && path !== "docs/README.md" && !linked.has(path))
  assert.deepStrictEqual(missing, [])
})

it("the metrics of docs/operations.md are those of the sources", () => {
  const declared = globSync("src/**/*.ts").flatMap((file) =>
    Array.from(readFileSync(file, "utf8").matchAll(/Metric\.\w+\("(effect_wire_\w+)"/g), ([, name]) => name!)
  )
  const told = read("docs/operations.md").lines.flatMap((line) => /^\| `(effect_wire_\w+)`/.exec(line)?.[1] ?? [])
  assert.sameMembers([...new Set(told)], declared)
  // the alerts ask for what there is
  const asked = Array.from(readFileSync("docs/operations.md", "utf8").matchAll(/effect_wire_\w+(?=[\s{`[])/g), ([name]) => name)
  for (const name of asked) assert.include(declared, name)
})
