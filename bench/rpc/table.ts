/** Medians, and tables of them. */

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? NaN
}

export const quantile = (sorted: ReadonlyArray<number>, q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? NaN

export const print = (line: string): void => void process.stdout.write(`${line}\n`)

export const table = (
  title: string,
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): void => {
  const all = [columns, ...rows]
  const widths = columns.map((_, i) => Math.max(...all.map((row) => (row[i] ?? "").length)))
  print(`\n${title}`)
  for (const row of all) {
    print(`  ${row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ")}`)
  }
}

export const thousands = (n: number): string => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ",")
export const times = (n: number): string => Number.isFinite(n) ? `${n.toFixed(2)} x` : ""
