/**
 * Runs the program of a command line: exit codes, signals, and what is said about a failure.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { readFileSync } from "node:fs"
import { exitCodes, ofCause, render } from "./failure.ts"
import { program } from "./program.ts"

/** The package's own version. */
const versionOf = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { readonly version: string })
    .version

const signals = { SIGINT: 130, SIGTERM: 143 } as const

/** A command line that is wrong: what is wrong, and where to look, rather than the whole help. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const lines = event.errors.map((error) => `error: ${error.message}`)
    return Effect.sync(() => {
      process.stderr.write(`${lines.join("\n")}\n  try: ${event.commandPath.join(" ")} --help\n`)
    })
  }
}

const services = Layer.mergeAll(
  NodeServices.layer,
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  Logger.layer([Logger.withConsoleError(Logger.formatSimple)]),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

/**
 * Runs a command line to its end and leaves with its exit code. The first SIGINT or SIGTERM interrupts what runs, which
 * cancels it at the far end; a second one ends at once.
 *
 * @internal
 */
export const start = (args: ReadonlyArray<string>): void => {
  const isJson = args.includes("--json")
  let signalled: number | undefined
  // whoever reads the output has gone, as `head` does
  process.stdout.on("error", () => process.exit(0))
  process.stderr.on("error", () => {})
  const fiber = Effect.runFork(
    Effect.provide(Command.runWith(program, { version: versionOf() })(args), services)
  )
  for (const [signal, code] of Object.entries(signals)) {
    process.on(signal, () => {
      if (signalled !== undefined) process.exit(code)
      signalled = code
      fiber.interruptUnsafe()
    })
  }
  fiber.addObserver((exit) => leave(signalled ?? report(exit, isJson)))
}

/** What is printed is written before the process ends. */
const leave = (code: number): void => {
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
}

const report = (exit: Exit.Exit<void, unknown>, isJson: boolean): number => {
  if (Exit.isSuccess(exit)) return 0
  const failure = ofCause(exit.cause)
  if (failure !== undefined) {
    process.stderr.write(`${render(failure, isJson)}\n`)
    return exitCodes[failure.kind]
  }
  if (Cause.hasInterruptsOnly(exit.cause)) return signals.SIGINT
  const error = Cause.squash(exit.cause)
  if (CliError.isCliError(error)) return error._tag === "ShowHelp" && error.errors.length === 0 ? 0 : exitCodes.Usage
  process.stderr.write(`this is a mistake of effect-wire:\n${Cause.pretty(exit.cause)}\n`)
  return 70
}
