/**
 * A logger for programs that must go on when their log cannot: a full disk, a closed pipe and a reader that does not read
 * neither end nor block them, and a flood of one message is folded. Node's own streams write to files and pipes
 * synchronously and raise what goes wrong as an event that ends the process where nobody listens.
 *
 * It does not rotate files and keeps nothing: what cannot be written is dropped, counted ({@link dropped}) and told by the
 * next line that can.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { LogFold } from "./internal/logFold.ts"
import { LogSink } from "./internal/logSink.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** File descriptor that is written to; default 2, standard error. */
  readonly fd?: number | undefined
  /** How a line looks; default `Logger.formatLogFmt`. */
  readonly format?: Logger.Logger<unknown, string> | undefined
  /** Bytes that may wait to be written; lines beyond are dropped. Default 1 MiB. */
  readonly maxWaiting?: number | undefined
  /**
   * How often the same message, of the same level, is written within one window; how often it came besides is written at the
   * window's end. Default 20 within 10 seconds; `false` writes all.
   */
  readonly fold?: { readonly count: number; readonly window: Duration.Input } | false | undefined
}

/**
 * Log lines that were not written because they found no room or their writing failed.
 *
 * @category metrics
 * @since 0.2.0
 */
export const dropped: Metric.Counter<number> = Metric.counter("effect_wire_log_dropped_total", {
  description: "Log lines that could not be written",
  incremental: true
})

const textOf = (message: unknown): string => {
  const first = Array.isArray(message) ? message[0] : message
  return typeof first === "string" ? first.slice(0, 500) : typeof first
}

/**
 * Makes the logger. When the scope closes, what waits is written, for a second at most.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options?: Options): Effect.Effect<Logger.Logger<unknown, void>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context: Context.Context<never> = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const format = options?.format ?? Logger.formatLogFmt
    const sink = new LogSink({
      fd: options?.fd ?? 2,
      maxWaiting: options?.maxWaiting ?? 1024 * 1024,
      onDropped: (count) => dropped.modifyUnsafe(count, context)
    })
    const folding = options?.fold ?? { count: 20, window: "10 seconds" }
    const window = folding === false ? 0 : Duration.toMillis(Duration.fromInputUnsafe(folding.window))
    const fold = folding === false ? undefined : new LogFold({ count: folding.count, window })

    const tell = (now: number) => {
      for (const line of fold?.expired(now) ?? []) sink.write(line)
    }
    if (fold !== undefined) {
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(
        Effect.sleep(window),
        Effect.sync(() => tell(clock.currentTimeMillisUnsafe()))
      )))
    }
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        Effect.sync(() => tell(Number.POSITIVE_INFINITY)),
        Effect.timeoutOption(
          Effect.callback<void>((resume) => sink.whenIdle(() => resume(Effect.void))),
          "1 second"
        )
      )
    )
    return Logger.make<unknown, void>((entry) => {
      if (fold !== undefined && !fold.admit(entry.logLevel, textOf(entry.message), entry.date.getTime())) return
      sink.write(format.log(entry))
    })
  })

/**
 * This logger and no other.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options?: Options): Layer.Layer<never> => Logger.layer([make(options)])
