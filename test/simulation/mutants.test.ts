import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { mutants } from "./mutants.ts"

it("every planted fault fits one place of the sources as they are", () => {
  const root = new URL("../../", import.meta.url)
  const wrong = mutants.filter(({ file, find }) => readFileSync(new URL(file, root), "utf8").split(find).length !== 2)
  assert.deepStrictEqual(wrong.map(({ file, name }) => `${name}: ${file}`), [])
})
