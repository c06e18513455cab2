/**
 * Figures that the documentation claims are figures that a benchmark printed. What stands between `<!-- figures: rpc -->` and
 * `<!-- /figures -->` says no number that is not, rounded as it is written, in the section `rpc` of `bench/RESULTS.md`; `278 k` is
 * 277,420. Numbers in `code` are no figures.
 */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "../..")

interface Figure {
  readonly text: string
  readonly value: number
  /** Half of the last digit that is written. */
  readonly within: number
}

const scales: Record<string, number> = { k: 1e3, M: 1e6 }

export const figuresOf = (text: string): ReadonlyArray<Figure> =>
  Array.from(text.replace(/`[^`]*`/g, "").matchAll(/(?<![\w.])(\d[\d,]*(?:\.(\d+))?)(?: ([kM])\b)?/g), (match) => {
    const scale = scales[match[3] ?? ""] ?? 1
    return {
      text: match[0],
      value: Number(match[1]!.replaceAll(",", "")) * scale,
      within: scale * 10 ** -(match[2]?.length ?? 0) / 2 * (1 + 1e-9)
    }
  })

const results = new Map(
  readFileSync(join(root, "bench/RESULTS.md"), "utf8").split(/^(?=## )/m).slice(1).map((section) => {
    const printed = /```\n([\s\S]*?)\n```/.exec(section)![1]!
    const numbers = [
      ...figuresOf(printed).map(({ value }) => value),
      ...Array.from(printed.matchAll(/\d[\d,]*(?:\.\d+)?/g), ([number]) => Number(number.replaceAll(",", "")))
    ]
    return [section.slice(3, section.indexOf("\n")), numbers] as const
  })
)

const pages = ["README.md", ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".md")).map((file) => `docs/${file}`)]
  .filter((file) => existsSync(join(root, file)))

const claims = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), "utf8")
  return Array.from(text.matchAll(/<!-- figures: (\w+) -->([\s\S]*?)<!-- \/figures -->/g), ([, name, block]) => ({
    page,
    name: name!,
    block: block!
  }))
})

describe("figures", () => {
  it("of the documentation were printed by a benchmark", () => {
    assert.isAbove(claims.length, 0)
    const wrong = claims.flatMap(({ block, name, page }) =>
      figuresOf(block)
        .filter(({ value, within }) => !(results.get(name) ?? []).some((number) => Math.abs(number - value) <= within))
        .map(({ text }) => `${page}: ${text} is not in ${name}`)
    )
    assert.deepStrictEqual(wrong, [])
  })
  it("are numbers as they are written", () => {
    assert.deepStrictEqual(
      figuresOf("3.0 µs, 278 k/s, 1,000 clients, `n = 7`, utf8").map(({ value }) => value),
      [3, 278_000, 1000]
    )
  })
})
