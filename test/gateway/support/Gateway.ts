/** The gateway as a person runs it: a process of its own, with a free port and a directory of its own. */
import { Context, Deferred, Effect, Layer, Schema, type Scope, Semaphore } from "effect"
import { spawn } from "node:child_process"
import { mkdtempSync, openSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Starts one at a time: many Node processes that start at once make one another slow. */
const starting = Semaphore.makeUnsafe(1)

const root = join(import.meta.dirname, "../../..")

export class StartFailed extends Schema.TaggedError<StartFailed>()("StartFailed", { output: Schema.String }) {}

export interface Process {
  /** Everything it has printed, errors too. */
  readonly output: () => string
  readonly kill: (signal: NodeJS.Signals) => void
  /** Its exit code, when it has ended. */
  readonly exit: Effect.Effect<number | null>
  /** `127.0.0.1:12345`, when it listens; fails when it ends before. */
  readonly address: Effect.Effect<string, StartFailed>
}

/** Starts it, as `npm start` does or by `npm start` itself; it is killed with the scope. */
export const start = (
  env: Record<string, string> = {},
  options?: { readonly byNpm?: boolean; /** A file that standard error goes to. */ readonly log?: string }
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "gateway-"))
      const [command, args] = options?.byNpm === true
        ? ["npm", ["start", "--silent"]] as const
        : [process.execPath, ["--import", "tsx", "examples/gateway/main.ts"]] as const
      const child = spawn(command, args, {
        cwd: root,
        env: { ...process.env, NODE_ENV: "production", PORT: "0", DATA_DIR: join(directory, "data"), ...env },
        stdio: ["ignore", "pipe", options?.log === undefined ? "pipe" : openSync(options.log, "w")]
      })
      const exit = Deferred.makeUnsafe<number | null>()
      const address = Deferred.makeUnsafe<string, StartFailed>()
      let output = ""
      const onData = (data: Buffer) => {
        output += data.toString()
        const found = /^listening on http:\/\/(\S+)$/m.exec(output)
        if (found !== null) Deferred.doneUnsafe(address, Effect.succeed(found[1]!))
      }
      child.stdout?.on("data", onData)
      child.stderr?.on("data", onData)
      child.on("close", (code) => {
        Deferred.doneUnsafe(address, Effect.fail(new StartFailed({ output })))
        Deferred.doneUnsafe(exit, Effect.succeed(code))
      })
      return {
        child,
        directory,
        process: {
          output: () => output,
          kill: (signal: NodeJS.Signals) => void child.kill(signal),
          exit: Deferred.await(exit),
          address: Deferred.await(address)
        }
      }
    }),
    ({ child, directory, process }) =>
      Effect.gen(function*() {
        child.kill("SIGTERM")
        yield* Effect.timeoutOption(process.exit, "6 seconds")
        child.kill("SIGKILL")
        rmSync(directory, { recursive: true, force: true })
      })
  ).pipe(
    Effect.map(({ process }) => process),
    Effect.tap(({ address }) => Effect.exit(address)),
    starting.withPermit
  )

/** One gateway that the tests of a file share; its value is its address, `host:port`. */
export class Gateway extends Context.Service<Gateway, string>()("effect-wire/test/gateway/support/Gateway") {
  static readonly layer = Layer.effect(Gateway, Effect.flatMap(start(), ({ address }) => address))
}
