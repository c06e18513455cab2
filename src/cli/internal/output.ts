/**
 * What a command prints: results on standard output, everything else on standard error. Colours and a bar are for
 * terminals only.
 */
import * as Effect from "effect/Effect"
import type { Report } from "../../rpc/Progress.ts"

/** What the process may write to; tests of the words need no process. */
const has = (name: string) => (process.env[name] ?? "") !== ""

const colourful = (isTerminal: boolean | undefined): boolean =>
  !has("NO_COLOR") && process.env.TERM !== "dumb" && (has("FORCE_COLOR") || isTerminal === true)

const paint = (code: number, text: string, enabled: boolean): string =>
  enabled ? `\u001b[${code}m${text}\u001b[0m` : text

/** @internal */
export const dim = (text: string): string => paint(2, text, colourful(process.stdout.isTTY))
/** @internal */
export const bold = (text: string): string => paint(1, text, colourful(process.stdout.isTTY))

const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g

/** JSON with the colours that its kinds have in most terminals' tools. */
const coloured = (text: string): string =>
  text.replace(
    tokens,
    (all, string?: string, colon?: string, word?: string) =>
      string !== undefined
        ? paint(colon === undefined ? 32 : 34, string, true) + (colon ?? "")
        : paint(word === undefined ? 36 : 35, all, true)
  )

/**
 * Writes a line to standard output.
 *
 * @internal
 */
export const line = (text: string): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    // a reader that is slow holds up what is printed, and with it whoever sends it
    if (process.stdout.write(`${text}\n`)) return resume(Effect.void)
    const onRoom = () => resume(Effect.void)
    process.stdout.once("drain", onRoom)
    return Effect.sync(() => process.stdout.off("drain", onRoom))
  })

/**
 * Writes a line to standard error.
 *
 * @internal
 */
export const note = (text: string): Effect.Effect<void> =>
  Effect.sync(() => {
    process.stderr.write(`${text}\n`)
  })

/** @internal */
export const compact = (value: unknown): string => JSON.stringify(value) ?? "null"

/**
 * Prints a value: for people over several lines, `--json` in one.
 *
 * @internal
 */
export const show = (value: unknown, isJson: boolean): Effect.Effect<void> =>
  line(
    isJson
      ? compact(value)
      : colourful(process.stdout.isTTY)
      ? coloured(JSON.stringify(value, undefined, 2) ?? "null")
      : JSON.stringify(value, undefined, 2) ?? "null"
  )

/**
 * Rows with columns as wide as they must be.
 *
 * @internal
 */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths: Array<number> = []
  for (const row of rows) row.forEach((cell, i) => widths[i] = Math.max(widths[i] ?? 0, cell.length))
  return rows.map((row) => row.map((cell, i) => i === row.length - 1 ? cell : cell.padEnd(widths[i]!)).join("  "))
    .map((row) => row.trimEnd()).join("\n")
}

/** Columns of the bar itself. */
const width = 30

/**
 * One report as a bar.
 *
 * @internal
 */
export const bar = ({ amount, operation }: Report): string => {
  const part = Math.min(1, Math.max(0, amount))
  const filled = Math.round(part * width)
  const percent = `${Math.round(part * 100)} %`.padStart(5)
  return `[${"#".repeat(filled)}${"-".repeat(width - filled)}] ${percent}${operation === "" ? "" : `  ${operation}`}`
}

/**
 * Shows progress: a bar that is drawn over itself on a terminal; with `lines`, each report as a line of JSON.
 *
 * @internal
 */
export class Meter {
  private readonly lines: boolean
  private drawn = false
  constructor(lines: boolean) {
    this.lines = lines
  }
  readonly isWanted = (): boolean => this.lines || process.stderr.isTTY === true
  report(report: Report): void {
    if (this.lines) process.stderr.write(`${JSON.stringify({ progress: report })}\n`)
    else if (process.stderr.isTTY === true) {
      // some terminals say that they have none
      const columns = process.stderr.columns || 80
      process.stderr.write(`\r\u001b[K${bar(report).slice(0, Math.max(10, columns - 1))}`)
      this.drawn = true
    }
  }
  clear(): void {
    if (this.drawn) process.stderr.write("\r\u001b[K")
    this.drawn = false
  }
}
