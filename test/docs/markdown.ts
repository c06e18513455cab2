/** What the tests of the documentation read from a Markdown file: its code, its tables of calls, its links and anchors. */
import { globSync, readFileSync } from "node:fs"

export interface Fence {
  readonly language: string
  readonly code: string
  /** The line of the first line of the code, from 0. */
  readonly line: number
}

export interface Cell {
  readonly code: string
  readonly line: number
}

/** A hidden `<!-- prelude … -->`: where a program begins, and what it has besides what is shown. */
export interface Prelude {
  readonly isCompiledOnly: boolean
  readonly code: string
  readonly line: number
}

export interface Page {
  readonly path: string
  readonly lines: ReadonlyArray<string>
  readonly fences: ReadonlyArray<Fence>
  readonly preludes: ReadonlyArray<Prelude>
  /** The code in the columns `effect-wire` of tables. */
  readonly cells: ReadonlyArray<Cell>
  readonly anchors: ReadonlySet<string>
  readonly links: ReadonlyArray<{ readonly target: string; readonly line: number }>
}

export const pages: ReadonlyArray<string> = [
  ...globSync("*.md"),
  ...globSync("docs/**/*.md"),
  ...globSync("examples/**/*.md")
].sort()

/** The anchor that GitHub gives to a heading. */
const slug = (heading: string) =>
  heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "").trim().toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replace(/ /g, "-")

const cellsOf = (row: string) => row.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim())

const codeOf = (cell: string) =>
  Array.from(cell.matchAll(/`([^`]+)`/g), (match) => match[1]!.replaceAll("\\|", "|")).join("; ")

export const read = (path: string): Page => {
  const text = readFileSync(path, "utf8")
  const lines = text.split("\n")
  const fences: Array<Fence> = []
  const preludes: Array<Prelude> = []
  const cells: Array<Cell> = []
  const anchors = new Set<string>()
  const links: Array<{ readonly target: string; readonly line: number }> = []
  const times = new Map<string, number>()
  let column = -1
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!
    const fence = /^( *)```(\S*)/.exec(line)
    if (fence !== null) {
      const start = i + 1
      while (++i < lines.length && !/^ *```\s*$/.test(lines[i]!));
      const code = lines.slice(start, i).map((row) => row.startsWith(fence[1]!) ? row.slice(fence[1]!.length) : row)
      fences.push({ language: fence[2]!, code: code.join("\n"), line: start })
      continue
    }
    if (/^<!-- prelude\b/.test(line)) {
      const start = i + 1
      if (!line.includes("-->")) while (++i < lines.length && lines[i] !== "-->");
      preludes.push({ isCompiledOnly: line.includes("compiled only"), code: lines.slice(start, i).join("\n"), line: start })
      continue
    }
    if (line.startsWith("|")) {
      if (/^\|[ :|-]+\|$/.test(lines[i + 1] ?? "")) column = cellsOf(line).indexOf("effect-wire")
      else if (column >= 0 && !/^\|[ :|-]+\|$/.test(line)) {
        const code = codeOf(cellsOf(line)[column] ?? "")
        if (code !== "") cells.push({ code, line: i })
      }
    } else column = -1
    const heading = /^#{1,6} (.*)$/.exec(line)
    if (heading !== null) {
      const name = slug(heading[1]!)
      const count = times.get(name) ?? 0
      times.set(name, count + 1)
      anchors.add(count === 0 ? name : `${name}-${count}`)
    }
    for (const [, target] of line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      links.push({ target: target!, line: i })
    }
  }
  return { path, lines, fences, preludes, cells, anchors, links }
}
