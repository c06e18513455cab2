/**
 * W3C Trace Context beyond the span: `tracestate` and `baggage`, as they came with a request or as the app sets them. They
 * belong to a span of another process, so the spans below it have them, and so have the calls that are made there.
 *
 * Source: W3C Trace Context (Recommendation, 2021), W3C Baggage.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Headers from "effect/http/Headers"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/**
 * What travels with a trace besides its ids: the values of the two headers.
 *
 * @category models
 * @since 0.2.0
 */
export interface Carried {
  readonly tracestate?: string | undefined
  readonly baggage?: string | undefined
}

/**
 * The annotation of a span of another process that holds what came with it.
 *
 * @category services
 * @since 0.2.0
 */
export const Carried: Context.Reference<Carried> = Context.Reference<Carried>("effect-wire/rpc/TraceContext/Carried", {
  defaultValue: () => ({})
})

/**
 * A span of another process with what came with it, to be the parent of spans here:
 * `Effect.withParentSpan(TraceContext.external(ids, { baggage: "tenant=7" }))`.
 *
 * @category constructors
 * @since 0.2.0
 */
export const external = (
  span: { readonly traceId: string; readonly spanId: string; readonly sampled?: boolean | undefined },
  carried: Carried
): Tracer.ExternalSpan =>
  Tracer.externalSpan({ ...span, annotations: Context.make(Carried, carried) as Context.Context<never> })

/** Characters of `tracestate` and `baggage` that are taken: what the two specifications ask for. */
const maxTracestate = 512
const maxBaggage = 8192

/**
 * The span that headers of a request, or members of that name, tell of, with `tracestate` (at most 512 characters) and
 * `baggage` (at most 8,192); longer ones are left out. `undefined` where there is no `traceparent`, or none that is one.
 *
 * @category constructors
 * @since 0.2.0
 */
export const fromHeaders = (headers: unknown): Tracer.ExternalSpan | undefined => {
  if (typeof headers !== "object" || headers === null) return undefined
  const traceparent = text(headers, "traceparent", 512)
  if (traceparent === undefined) return undefined
  const span = HttpTraceContext.w3c({ traceparent } as unknown as Headers.Headers)
  if (span._tag === "None") return undefined
  const tracestate = text(headers, "tracestate", maxTracestate)
  const baggage = text(headers, "baggage", maxBaggage)
  return tracestate === undefined && baggage === undefined
    ? span.value
    : external(span.value, {
      ...(tracestate === undefined ? undefined : { tracestate }),
      ...(baggage === undefined ? undefined : { baggage })
    })
}

const text = (headers: object, name: string, most: number): string | undefined => {
  const value = Object.hasOwn(headers, name) ? (headers as Record<string, unknown>)[name] : undefined
  // a line break would be another header where it goes on over HTTP
  return typeof value === "string" && value !== "" && value.length <= most && !/[^\t\x20-\x7e]/.test(value)
    ? value
    : undefined
}

/**
 * What came with the trace that a span belongs to.
 *
 * @category getters
 * @since 0.2.0
 */
export const carriedBy = (span: Tracer.AnySpan): Carried => {
  let current: Tracer.AnySpan | undefined = span
  while (current !== undefined) {
    if (current.annotations.mapUnsafe.has(Carried.key)) return Context.get(current.annotations, Carried)
    current = current._tag === "Span" ? Option.getOrUndefined(current.parent) : undefined
  }
  return {}
}

/**
 * The headers that continue the trace of a span in another process.
 *
 * @category getters
 * @since 0.2.0
 */
export const headersOf = (span: Tracer.AnySpan): Record<string, string> => {
  const { baggage, tracestate } = carriedBy(span)
  return {
    traceparent: `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`,
    ...(tracestate === undefined ? undefined : { tracestate }),
    ...(baggage === undefined ? undefined : { baggage })
  }
}
