import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import type { LoggedError } from "./contract.ts"

type Entry = typeof LoggedError.Type

const kept = 200
/** Characters of a cause that are kept. */
const longest = 8192

/** The last errors of a log. */
export interface ErrorLog {
  /** How many there were. */
  readonly count: () => number
  /** The newest first. */
  readonly all: () => ReadonlyArray<Entry>
}

/** Where the dashboard finds the last errors, if somebody keeps them. */
export const CurrentErrors: Context.Reference<ErrorLog | undefined> = Context.Reference<ErrorLog | undefined>(
  "effect-wire/dashboard/internal/errors/CurrentErrors",
  { defaultValue: () => undefined }
)

const textOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => typeof part === "string" ? part : part instanceof Error ? part.message : JSON.stringify(part) ?? "")
    .join(" ")
    .slice(0, longest)

const annotation = (annotations: Readonly<Record<string, unknown>>, name: string): string | null => {
  const value = Object.hasOwn(annotations, name) ? annotations[name] : undefined
  return typeof value === "string" ? value : null
}

/** Keeps the last errors of everything that is built with the context it gives, beside the loggers that are there. */
export const make: Effect.Effect<Context.Context<never>> = Effect.withFiber((fiber) => {
  const entries: Array<Entry> = []
  let count = 0
  const logger = Logger.make<unknown, void>(({ cause, date, fiber, logLevel, message }) => {
    if (!LogLevel.isGreaterThanOrEqualTo(logLevel, "Error")) return
    const annotations = fiber.getRef(References.CurrentLogAnnotations)
    count++
    entries.unshift({
      at: date.getTime(),
      level: logLevel,
      correlationId: annotation(annotations, "correlationId"),
      method: annotation(annotations, "method") ?? annotation(annotations, "name"),
      message: textOf(message),
      cause: cause.reasons.length === 0 ? "" : Cause.pretty(cause).slice(0, longest)
    })
    if (entries.length > kept) entries.pop()
  })
  const loggers = new Set(fiber.getRef(Logger.CurrentLoggers))
  loggers.add(logger)
  return Effect.succeed(
    Context.make(CurrentErrors, { count: () => count, all: () => entries.slice() } as ErrorLog | undefined).pipe(
      Context.add(Logger.CurrentLoggers, loggers)
    ) as Context.Context<never>
  )
})
