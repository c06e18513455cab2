/**
 * W3C Trace Context beyond the span: `tracestate` and `baggage`, as they came with a request or as the app sets them. They
 * belong to a span of another process, so the spans below it have them, and so have the calls that are made there.
 *
 * Source: W3C Trace Context (Recommendation, 2021), W3C Baggage.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
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
