/** The one error that stops the start, and how others become it. */
import { Effect, Layer, Schema } from "effect"

/** The gateway cannot start; `message` is the one line that says why. */
export class StartError extends Schema.TaggedError<StartError>()("StartError", { message: Schema.String }) {}

const oneLine = (text: string): string => text.trim().replace(/\s*\n\s*/g, " ")

/** The innermost reason of an error, on one line: those around it only say that something below them failed. */
export const reasonOf = (error: unknown): string => {
  let inner = error
  for (;;) {
    const { cause, reason } = inner as { readonly cause?: unknown; readonly reason?: unknown }
    const next = reason instanceof Error ? reason : cause
    if (!(next instanceof Error) || (next.message === "" && !("code" in next))) break
    inner = next
  }
  const { code, message } = inner as { readonly code?: unknown; readonly message?: string }
  if (code === "EADDRINUSE") return "the port is in use"
  return oneLine(message === undefined || message === "" ? String(code ?? error) : message)
}

/** Builds a layer now; where it cannot be built, `what` and the reason are the line that says so. */
export const orFail = (what: string) =>
<A, E, R>(
  layer: Layer.Layer<A, E, R>
): Layer.Layer<A, StartError, R> =>
  Layer.effectContext(
    Effect.mapError(Layer.build(layer), (error) => new StartError({ message: `${what}: ${reasonOf(error)}` }))
  )
