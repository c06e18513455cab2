/** The program as people run it: bundled as the build bundles it, one process for each command line. */
import { Context, Deferred, Effect, Layer, type Scope } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundle } from "../../../cli.config.ts"

const root = join(import.meta.dirname, "../../..")

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly write: (text: string) => void
  /** Ends its standard input. */
  readonly end: () => void
  readonly signal: (signal: NodeJS.Signals) => void
  /** Waits until what it has printed, on either output, has this. */
  readonly printed: (pattern: RegExp) => Effect.Effect<void>
  /** What it has printed on standard error until now. */
  readonly stderr: () => string
  readonly ran: Effect.Effect<Ran>
}

export interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  /** Given as standard input, which ends with it. Without it standard input is empty. */
  readonly stdin?: string
}

/** Where the bundle is, and how it is run. */
export class Program extends Context.Service<Program, {
  readonly start: (args: ReadonlyArray<string>, options?: Options) => Effect.Effect<Running, never, Scope.Scope>
  readonly run: (args: ReadonlyArray<string>, options?: Options) => Effect.Effect<Ran>
  /** A line of a shell, in which `effect-wire` is this program. */
  readonly shell: (line: string, options?: Options) => Effect.Effect<Ran>
  readonly startShell: (line: string, options?: Options) => Effect.Effect<Running, never, Scope.Scope>
  /** A folder that ends with the tests. */
  readonly directory: string
  readonly main: string
}>()("effect-wire/test/cli/support/Program") {
  static readonly layer = Layer.effect(
    Program,
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "cli-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const main = join(directory, "package/dist/cli/main.js")
      mkdirSync(join(directory, "package/dist"), { recursive: true })
      mkdirSync(join(directory, "bin"))
      copyFileSync(join(root, "package.json"), join(directory, "package/package.json"))
      yield* Effect.promise(() => bundle(join(directory, "package/dist/cli")))
      const shim = join(directory, "bin/effect-wire")
      writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${main}" "$@"\n`)
      chmodSync(shim, 0o755)

      const start = (command: string, args: ReadonlyArray<string>, options: Options = {}) =>
        Effect.map(
          Effect.acquireRelease(
            Effect.sync(() => {
              const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env
              const child = spawn(command, args, {
                cwd: options.cwd ?? directory,
                env: {
                  ...inherited,
                  PATH: `${join(directory, "bin")}:${process.env.PATH}`,
                  XDG_STATE_HOME: directory,
                  ...options.env
                },
                stdio: ["pipe", "pipe", "pipe"]
              })
              child.stdin.on("error", () => {})
              if (options.stdin !== undefined) child.stdin.end(options.stdin)
              const ran = Deferred.makeUnsafe<Ran>()
              const waiting = new Set<() => void>()
              let [stdout, stderr] = ["", ""]
              child.stdout.on("data", (data: Buffer) => {
                stdout += data.toString()
                for (const look of Array.from(waiting)) look()
              })
              child.stderr.on("data", (data: Buffer) => {
                stderr += data.toString()
                for (const look of Array.from(waiting)) look()
              })
              child.on("close", (code) => Deferred.doneUnsafe(ran, Effect.succeed({ code, stdout, stderr })))
              const running: Running = {
                write: (text) => void child.stdin.write(text),
                end: () => void child.stdin.end(),
                signal: (signal) => void child.kill(signal),
                printed: (pattern) =>
                  Effect.callback((resume) => {
                    const look = () => {
                      if (!pattern.test(stdout + stderr)) return
                      waiting.delete(look)
                      resume(Effect.void)
                    }
                    waiting.add(look)
                    look()
                  }),
                stderr: () => stderr,
                ran: Deferred.await(ran)
              }
              return { child, running }
            }),
            ({ child }) => Effect.sync(() => void child.kill("SIGKILL"))
          ),
          ({ running }) => running
        )
      const run = (command: string, args: ReadonlyArray<string>, options?: Options) =>
        Effect.scoped(
          Effect.flatMap(start(command, args, { stdin: "", ...options }), ({ ran }) => ran)
        )
      return {
        start: (args, options) => start(process.execPath, [main, ...args], options),
        run: (args, options) => run(process.execPath, [main, ...args], options),
        shell: (line, options) => run("/bin/sh", ["-c", line], options),
        startShell: (line, options) => start("/bin/sh", ["-c", line], options),
        directory,
        main
      }
    })
  )
}
