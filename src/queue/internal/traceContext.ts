/**
 * @internal The trace of a push, carried by its message as W3C `traceparent`.
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

const name = "traceparent"

/** The header of the span that is running, where there is one. */
export const current: Effect.Effect<Readonly<Record<string, string>> | undefined> = Effect.map(
  Effect.option(Effect.currentParentSpan),
  Option.match({
    onNone: () => undefined,
    onSome: (span) => ({ [name]: `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}` })
  })
)

/** The span that pushed. */
export const of = (headers: Readonly<Record<string, string>> | undefined): Option.Option<Tracer.ExternalSpan> =>
  headers === undefined || !Object.hasOwn(headers, name)
    ? Option.none()
    : HttpTraceContext.w3c(Headers.fromRecordUnsafe({ [name]: headers[name]! }))
