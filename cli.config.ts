/**
 * How the program `effect-wire` is made of `src/cli`: one file that starts at once, one more for each command, and nothing
 * else to install. `npm run build` runs it after the compiler.
 */
import { build } from "esbuild"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = import.meta.dirname

/** The licences of what is bundled, as they ask for. */
const licences = (inputs: Iterable<string>): string => {
  const packages = new Set<string>()
  for (const input of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)
    if (match !== null) packages.add(match[1]!)
  }
  return Array.from(packages).sort().map((path) => {
    const directory = join(root, path)
    const { license, name, version } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"))
    const file = readdirSync(directory).find((name) => /^licen[cs]e/i.test(name))
    const text = file === undefined ? license : readFileSync(join(directory, file), "utf8").trim()
    return `${name} ${version}\n\n${text}\n`
  }).join(`\n${"-".repeat(80)}\n\n`)
}

/** Bundles the program into a folder, which must lie two levels below a `package.json`. */
export const bundle = (outdir: string): Promise<void> => {
  rmSync(outdir, { recursive: true, force: true })
  return build({
    absWorkingDir: root,
    entryPoints: [{ in: "src/cli/main.ts", out: "main" }],
    outdir,
    bundle: true,
    splitting: true,
    minifySyntax: true,
    minifyWhitespace: true,
    platform: "node",
    format: "esm",
    target: "node22",
    // ws looks for them, and does without
    external: ["bufferutil", "utf-8-validate"],
    banner: {
      js:
        `import { createRequire as __createRequire } from "node:module";const require=__createRequire(import.meta.url);`
    },
    metafile: true,
    logLevel: "warning"
  }).then(({ metafile }) => writeFileSync(join(outdir, "LICENSES.txt"), licences(Object.keys(metafile.inputs))))
}

if (process.argv[1] === import.meta.filename) {
  if (!existsSync(join(root, "dist"))) throw new Error("the compiler comes first: npm run build")
  await bundle(join(root, "dist/cli"))
}
