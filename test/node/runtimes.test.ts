import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { execFile } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** The binary that a variable names, or that is on PATH. */
const find = (name: string): string | undefined =>
  [
    process.env[name.toUpperCase()] ?? "",
    ...(process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, name))
  ].find((file) => file !== "" && existsSync(file))

const inProject = Effect.acquireRelease(
  Effect.sync(() => {
    // inside the project, so that what is left external is found
    const parent = join(root, "node_modules", ".cache")
    mkdirSync(parent, { recursive: true })
    return mkdtempSync(join(parent, "runtimes-"))
  }),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const bundled = (options: { readonly minify: boolean; readonly external: ReadonlyArray<string> }) =>
  Effect.gen(function*() {
    const outfile = join(yield* inProject, "program.mjs")
    yield* Effect.promise(() =>
      build({
        entryPoints: [join(root, "test/node/support/runtimeProgram.ts")],
        bundle: true,
        platform: "node",
        format: "esm",
        target: "es2022",
        minify: options.minify,
        outfile,
        logLevel: "silent",
        banner: {
          js: "import { createRequire as require__ } from 'node:module'; const require = require__(import.meta.url);"
        },
        external: ["bufferutil", "utf-8-validate", "pg-native", ...options.external]
      })
    )
    return outfile
  })

const run = (command: string, args: ReadonlyArray<string>) =>
  Effect.callback<unknown>((resume) => {
    const child = execFile(command, args, { timeout: 100_000 }, (_error, stdout, stderr) => {
      const line = stdout.trim().split("\n").at(-1) ?? ""
      resume(Effect.sync(() => line.startsWith("{") ? JSON.parse(line) : { stdout, stderr }))
    })
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const expected = {
  "route, our client": true,
  "route, the runtime's client": true,
  "alone, our client": true,
  "tcp": true,
  "a peer that ends is noticed": true,
  "a peer that resets is noticed": true,
  "password": true
}

const runtimes = [
  { name: "Node, minified", command: process.execPath, args: [], minify: true, external: [] },
  { name: "Bun (its path in BUN, or on PATH)", command: find("bun"), args: [], minify: false, external: ["ws"] },
  {
    name: "Deno (its path in DENO, or on PATH)",
    command: find("deno"),
    args: ["run", "-A"],
    minify: false,
    external: ["ws"]
  }
]

for (const { args, command, external, minify, name } of runtimes) {
  it.live.skipIf(command === undefined)(
    `servers, clients and hashes behave the same: ${name}`,
    () =>
      Effect.scoped(Effect.gen(function*() {
        const file = yield* bundled({ minify, external })
        assert.deepStrictEqual(yield* run(command!, [...args, file]), expected)
      })),
    120_000
  )
}
