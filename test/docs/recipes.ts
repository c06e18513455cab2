/** The recipes of CONTRIBUTING.md as modules. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { read } from "./markdown.ts"
import { programsOf } from "./snippets.ts"

export const page = read("CONTRIBUTING.md")
const recipes = join(import.meta.dirname, ".recipes")

/** What the code under a heading exports. */
export const recipe = (heading: string): Promise<unknown> => {
  const start = page.lines.indexOf(`## ${heading}`)
  const program = programsOf(page).find(({ line }) => line > start)!
  mkdirSync(recipes, { recursive: true })
  const file = join(recipes, `${heading.replaceAll(" ", "-")}.ts`)
  writeFileSync(file, program.source)
  return import(file)
}
