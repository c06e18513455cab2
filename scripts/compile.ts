/**
 * Compiles `src` for the package. What is `@internal` in a public module is not in its declarations; what is in a folder
 * `internal/`, which nobody can import, keeps all of them, since public ones are made of them.
 *
 *   tsx scripts/compile.ts
 */
import { execFileSync } from "node:child_process"
import { cpSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

const root = join(import.meta.dirname, "..")

const tsc = (...options: ReadonlyArray<string>): void => {
  execFileSync("npx", ["tsc", "-p", "tsconfig.build.json", ...options], { cwd: root, stdio: "pipe" })
}

/** Compiles into a folder. */
export const compile = (outDir: string): void => {
  const open = mkdtempSync(join(tmpdir(), "declarations-"))
  try {
    tsc("--outDir", outDir)
    tsc("--outDir", open, "--emitDeclarationOnly", "--stripInternal")
    cpSync(open, outDir, { recursive: true, filter: (path) => basename(path) !== "internal" })
  } finally {
    rmSync(open, { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) {
  const dist = join(root, "dist")
  rmSync(dist, { recursive: true, force: true })
  compile(dist)
}
