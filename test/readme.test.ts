import { assert, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"

const lines = (text: string) => text.split("\n").map((line) => line.trim()).filter((line) => line !== "")

const examples = globSync("examples/**/*.ts").map((file) => `\n${lines(readFileSync(file, "utf8")).join("\n")}\n`)
const readme = readFileSync("README.md", "utf8")
const snippets = Array.from(readme.matchAll(/```ts\n([\s\S]*?)```/g), (match) => match[1]!)

it.each(snippets)("a snippet of the README stands in an example that is checked and run: %s", (snippet) => {
  const text = `\n${lines(snippet).join("\n")}\n`
  assert.isTrue(examples.some((example) => example.includes(text)), snippet)
})

it("the README has snippets", () => {
  assert.isAbove(snippets.length, 5)
})

it("every npm script that the README names exists", () => {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly scripts: Record<string, string> }
  for (const [, name] of readme.matchAll(/npm run ([a-z:]+)/g)) assert.property(scripts, name!)
})
