import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { fileURLToPath } from "node:url"

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url))

it.effect("everything outside node/ is bundled for a browser, and imports nothing of Node", () =>
  Effect.gen(function*() {
    const { metafile, warnings } = yield* Effect.promise(() =>
      build({
        entryPoints: ["index", "simulation/index", "wiretap/index", "dashboard/index"].map((name) =>
          file(`../src/${name}.ts`)
        ),
        outdir: "out",
        bundle: true,
        platform: "browser",
        format: "esm",
        target: "es2022",
        write: false,
        metafile: true,
        logLevel: "silent"
      })
    )
    assert.deepStrictEqual(warnings, [])
    const outputs = Object.values(metafile.outputs)
    assert.deepStrictEqual(outputs.flatMap((output) => output.imports.map(({ path }) => path)), [])
    const inputs = Object.keys(metafile.inputs)
    assert.deepStrictEqual(inputs.filter((path) => /(^|\/)src\/node\/|node_modules\/(ws|@effect)\//.test(path)), [])
    assert.isTrue(inputs.some((path) => path.endsWith("src/socket/MemorySocket.ts")))
  }))

it.effect("an untyped client brings at most 40 kB of ours, minified, and nothing of what serves", () =>
  Effect.gen(function*() {
    const { metafile } = yield* Effect.promise(() =>
      build({
        stdin: {
          contents:
            `import { fromSocket, namespace } from "./JsonRpcClient.ts"; globalThis.client = { fromSocket, namespace }`,
          resolveDir: file("../src/jsonrpc"),
          loader: "ts"
        },
        bundle: true,
        minify: true,
        platform: "browser",
        format: "esm",
        target: "es2022",
        write: false,
        metafile: true,
        logLevel: "silent"
      })
    )
    const [output] = Object.values(metafile.outputs)
    const ours = Object.entries(output!.inputs).filter(([path]) => !path.includes("node_modules"))
    assert.isAtMost(ours.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0), 40_000)
    const serves = /internal\/(session|answer|streamed|serving)\.ts$/
    assert.deepStrictEqual(ours.filter(([path, { bytesInOutput }]) => serves.test(path) && bytesInOutput > 0), [])
  }))
