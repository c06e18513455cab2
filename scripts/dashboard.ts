/**
 * Bundles the page of the dashboard into a module (`src/dashboard/internal/pageScript.ts`), so that it is served without a
 * bundler and without a file system. Of the page's own sources the module keeps a digest, which a test compares.
 *
 * Run: npm run page
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect } from "effect"
import { build } from "esbuild"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const folder = join(import.meta.dirname, "../src/dashboard/internal")
const sources = join(folder, "page")

/** A digest of what the page is made of; what it takes from other rooms may change without it. */
export const digest = (): string => {
  const hash = createHash("sha256")
  for (const name of readdirSync(sources).sort()) hash.update(`${name}\n${readFileSync(join(sources, name), "utf8")}\n`)
  return hash.digest("hex").slice(0, 16)
}

const main = Effect.gen(function*() {
  const { outputFiles } = yield* Effect.promise(() =>
    build({
      entryPoints: [join(sources, "main.ts")],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2022",
      minify: true,
      legalComments: "none",
      charset: "utf8",
      logLevel: "warning"
    })
  )
  const text = outputFiles[0]!.text
  const tag = createHash("sha256").update(text).digest("hex").slice(0, 32)
  writeFileSync(
    join(folder, "pageScript.ts"),
    `// Made by \`npm run page\`: do not edit.\n\n/** Of the sources in page/. */\nexport const digest = "${digest()}"\n\n` +
      `/** Of the script. */\nexport const etag = '"${tag}"'\n\n` +
      `/** The script of the page. */\nexport const script: string = ${JSON.stringify(text)}\n`
  )
  yield* Console.log(`${text.length} characters`)
})

if (process.argv[1] === import.meta.filename) NodeRuntime.runMain(main)
