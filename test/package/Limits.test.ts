/** PROTOCOLS.md, "Limits, and the tests that go over them": the tests that it names exist. */
import { assert, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"

const heading = "## Limits, and the tests that go over them"

const rows = readFileSync("PROTOCOLS.md", "utf8").split(heading)[1]!.split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
  .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()) as [string, string, string])
  .slice(1)

it("each limit names a test that exists", () => {
  assert.isAbove(rows.length, 40)
  const missing = rows.filter(([, name, title]) => {
    const file = `test/${name.replaceAll("`", "")}.test.ts`
    return !existsSync(file) || !readFileSync(file, "utf8").includes(title)
  })
  assert.deepStrictEqual(missing, [])
})
