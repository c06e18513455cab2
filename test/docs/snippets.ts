/**
 * The code of the documentation as programs.
 *
 * A page is one program, from its first `ts` block to its last; a `<!-- prelude … -->`, which a reader does not see, begins
 * another one, with the imports and definitions that are not shown. What follows the first block with a `yield*` at its
 * margin is the body of one `Effect.gen`. In tables each cell of a column `effect-wire` is a program of its own. A program
 * that has `declare` somewhere, or whose prelude begins `<!-- prelude, compiled only`, is not run; all others are, and print the
 * lines of their `text` blocks.
 *
 * Lines stand where they stand in the page, so that what the compiler says leads there.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Example, examples } from "./comments.ts"
import { type Page, pages, read } from "./markdown.ts"

export interface Program {
  readonly page: string
  /** From 0. */
  readonly line: number
  readonly file: string
  readonly source: string
  /** `effect`: it exports `program`. `main`: it runs itself. `module`: definitions. `types`: it is compiled only. */
  readonly kind: "effect" | "main" | "module" | "types"
  readonly prints: ReadonlyArray<string>
}

export const directory = join(import.meta.dirname, ".snippets")

const isBody = (code: string) => /^(?![ \t/]).*\byield\*/m.test(code)
const imports = /^import (?:[\s\S]*? from )?"[^"]+"$/gm

const programOf = (page: Page, from: number, to: number): Program | undefined => {
  const fences = page.fences.filter(({ line }) => line >= from && line < to)
  const code = fences.filter(({ language }) => language === "ts" || language === "tsx")
  const cells = page.cells.filter(({ line }) => line >= from && line < to)
  if (code.length === 0 && cells.length === 0) return undefined
  const lines = page.lines.map(() => "")
  const hoisted: Array<string> = []
  let opened = false
  let compiledOnly = false
  for (const prelude of page.preludes) {
    if (prelude.line < from || prelude.line >= to) continue
    if (prelude.isCompiledOnly) compiledOnly = true
    prelude.code.split("\n").forEach((text, i) => lines[prelude.line + i] = text)
  }
  const whole = () => lines.join("\n")
  for (const fence of code) {
    if (!opened && isBody(fence.code)) {
      opened = true
      lines[fence.line - 1] = "export const program = Effect.gen(function*() {"
    }
    // imports may stand anywhere but in a function
    const kept = opened
      ? fence.code.replace(imports, (found) => {
        hoisted.push(found)
        return found.replace(/[^\n]/g, "")
      })
      : fence.code
    kept.split("\n").forEach((text, i) => lines[fence.line + i] = text)
  }
  for (const cell of cells) {
    lines[cell.line] = `const row${cell.line + 1} = () => Effect.gen(function*() { ${cell.code} })`
  }
  const environment = /\bconst Environment\b/.test(whole()) ? ", Effect.provide(Environment)" : ""
  if (opened) lines[to - 1] += `\n}).pipe(Effect.scoped${environment})`
  const source = [...lines, ...hoisted, "export {}", ""].join("\n")
  const name = `${page.path.replace(/\.md$/, "").replaceAll("/", ".")}.${from + 1}.ts`
  return {
    page: page.path,
    line: code[0]?.line ?? cells[0]!.line,
    file: join(directory, name),
    source,
    kind: compiledOnly || /^(export )?declare /m.test(source)
      ? "types"
      : source.includes("NodeRuntime.runMain")
      ? "main"
      : opened
      ? "effect"
      : "module",
    prints: fences.filter(({ language }) => language === "text").flatMap(({ code }) => code.split("\n"))
  }
}

export const programsOf = (page: Page): ReadonlyArray<Program> => {
  const starts = [...new Set([0, ...page.preludes.map(({ line }) => line)])].sort((a, b) => a - b)
  return starts.flatMap((from, i) => programOf(page, from, starts[i + 1] ?? page.lines.length) ?? [])
}

/** An example of a comment: its file is named after where it stands. */
const commented = ({ code, head, line, path }: Example): Program => {
  const body = isBody(code)
  return {
    page: path,
    line,
    file: join(directory, `${path.replace(/\.ts$/, "").replaceAll("/", ".")}.${line}.ts`),
    source: [head, body ? "export const program = Effect.gen(function*() {" : "", code, body ? "})" : "export {}", ""].join("\n"),
    kind: "types",
    prints: []
  }
}

const settings = {
  extends: "../../../tsconfig.json",
  include: ["*.ts", "*.tsx"],
  compilerOptions: {
    noUnusedLocals: false,
    noUnusedParameters: false,
    plugins: [{
      name: "@effect/language-service",
      namespaceImportPackages: ["effect", "@effect/*"],
      ignoreEffectSuggestionsInTscExitCode: true,
      diagnosticSeverity: { deterministicKeys: "off" }
    }]
  }
}

/** Writes all programs beside the compiler's settings for them. */
export const extract = (): ReadonlyArray<Program> => {
  // PROTOCOLS.md has shapes of messages, no programs
  const programs = [...pages.filter((path) => path !== "PROTOCOLS.md").map(read).flatMap(programsOf), ...examples().map(commented)]
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, "tsconfig.json"), JSON.stringify(settings, undefined, 2))
  for (const { file, source } of programs) writeFileSync(file, source)
  return programs
}
