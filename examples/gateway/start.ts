/** Start and stop of the process: the first lines, the one line of a failure, and signals. */
import { NodeRuntime } from "@effect/platform-node"
import { Cause, Console, Effect, Exit, Layer, References } from "effect"
import { NodeLogger } from "effect-wire/node"
import { Budget } from "effect-wire/socket"
import { HttpServer } from "effect/http"
import { setFlagsFromString } from "node:v8"
import { Settings } from "./config.ts"
import { served } from "./served.ts"
import type { StartError } from "./startError.ts"

/** How long requests that are under way may go on when the gateway stops; the process ends within 5 s in all. */
export const drainTimeout = "3 seconds" as const
const stopTimeoutMillis = 4_700

/** Prints where it listens, when it accepts connections. */
export const layerAnnounce = Layer.effectDiscard(Effect.gen(function*() {
  const server = yield* HttpServer.HttpServer
  const url = HttpServer.formatAddress(server.address)
  yield* Console.log(`listening on ${url}`)
  for (const { isWebSocket, path, what } of served) {
    const address = (isWebSocket ? url.replace("http", "ws") : url) + path
    yield* Console.log(`  ${address.padEnd(34)} ${what}`)
  }
}))

/**
 * Logs go to standard error, from `LOG_LEVEL` on; standard output is for the lines of the start. Neither a full disk nor a
 * pipe that is closed or not read ends or holds up the gateway.
 */
export const layerLogging = Layer.unwrap(Effect.map(Settings, ({ logLevel }) =>
  Layer.mergeAll(
    Layer.succeed(References.MinimumLogLevel, logLevel),
    NodeLogger.layer()
  )))

/**
 * What peers may make the gateway hold, and how far the garbage may grow beside it: by default V8 lets it come to several
 * times of what is held before it collects it. When the load is over, it gives memory back within seconds.
 */
export const layerMemory = Layer.unwrap(Effect.map(Settings, ({ memoryBudget }) => {
  setFlagsFromString("--heap-growing-percent=40")
  setFlagsFromString("--gc-memory-reducer-start-delay-ms=2000")
  setFlagsFromString("--memory-reducer-for-small-heaps")
  return Budget.layer(memoryBudget)
}))

/** What standard output and standard error raise where nobody reads them any more is no reason to end. */
const ignoreClosedPipes = () => {
  process.stdout.on("error", () => {})
  process.stderr.on("error", () => {})
}

/**
 * Runs the gateway until a signal. A failure of the start is one line and exit code 1. The first SIGINT or SIGTERM stops
 * in good order with exit code 0, in 5 s at the most; a second one ends at once.
 */
export const runMain = <A>(main: Effect.Effect<A, StartError>): void => {
  let stoppingSince: number | undefined
  ignoreClosedPipes()
  const onSignal = () => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now()
      setTimeout(() => process.exit(0), stopTimeoutMillis).unref()
      return
    }
    // npm hands on a Ctrl+C that the terminal has sent already: within a moment it is the same signal
    if (performance.now() - stoppingSince > 100) process.exit(130)
  }
  process.on("SIGINT", onSignal)
  process.on("SIGTERM", onSignal)
  main.pipe(
    Effect.tapError(({ message }) => Console.error(`the gateway cannot start: ${message}`)),
    NodeRuntime.runMain({
      disableErrorReporting: true,
      teardown: (exit, onExit) => {
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          if (Cause.hasDies(exit.cause)) process.stderr.write(`${Cause.pretty(exit.cause)}\n`)
          return onExit(1)
        }
        onExit(0)
      }
    })
  )
}
