/**
 * A JSON-RPC client over HTTP POST: each call, or each batch, is one request. There is no progress and nobody calls back;
 * interrupting a call aborts its request, which interrupts it at a server of ours.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ClientHalf from "../rpc/internal/clientHalf.ts"
import * as TraceContext from "../rpc/TraceContext.ts"
import type { RpcCall } from "./internal/caller.ts"
import { HttpCaller, type Reply } from "./internal/httpCaller.ts"
import type { Wire } from "./internal/wireModel.ts"
import { type Client, JsonRpcClient } from "./JsonRpcClient.ts"
import * as JsonRpcError from "./JsonRpcError.ts"
import * as JsonRpcRemote from "./JsonRpcRemote.ts"
import { standard } from "./wires/standard.ts"

/**
 * Headers of requests. What is secret is `Redacted`, and is neither logged nor part of an error.
 *
 * @category models
 * @since 0.2.0
 */
export type RequestHeaders = Readonly<Record<string, string | Redacted.Redacted<string>>>

/**
 * Options of a client over HTTP.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ClientHalf.CallOptions {
  readonly url: string
  /** What the server accepts beyond the specification; default `Wire.standard`. Cancels and progress do not apply. */
  readonly wire?: Wire | undefined
  /** Headers of every request, or an effect that makes them for each, e.g. a token that expires. Its failure is the call's. */
  readonly headers?: RequestHeaders | Effect.Effect<RequestHeaders, unknown> | undefined
  /** Changes each request before it is sent. What it throws fails the calls of the request. */
  readonly transformRequest?:
    | ((request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest)
    | undefined
}

/**
 * Makes a client that posts with the `HttpClient` of the environment. `status` and `connected` say that it is open until
 * it is disconnected; `notifications` and `frames` are empty. A notification is handed over, not waited for.
 *
 * **Details**
 *
 * A request carries the headers of its calls (`{ headers }` of a call, those of `RpcClient.withHeaders` too), and the
 * trace of the fiber that makes the (first) call: `traceparent`, and what `TraceContext` has of `tracestate` and
 * `baggage`. A JSON-RPC answer in the body is read whatever the status; without one, another status than 2xx is a
 * `ConnectionError` (`maybeExecuted` from 500 on). `Retry-After` is `retryAfter` of the error. An integer that JavaScript
 * cannot hold exactly is refused (`ProtocolError`), not rounded. At most `maxInFlight` calls are posted at a time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Client, never, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const run = Effect.runForkWith(context)
    const address = nameOf(options.url)
    const wire: Wire = { ...(options.wire ?? standard), cancellation: undefined, progress: undefined }
    const given = options.headers
    const headers = given === undefined ? undefined : Effect.isEffect(given) ? given : Effect.succeed(given)

    const post = (body: string, calls: ReadonlyArray<RpcCall>): Effect.Effect<Reply, unknown> =>
      Effect.gen(function*() {
        let request = HttpClientRequest.post(options.url).pipe(
          HttpClientRequest.setHeader("accept", "application/json"),
          HttpClientRequest.bodyText(body, "application/json")
        )
        const span = calls.find((call) => call.span !== undefined)?.span
        if (span !== undefined) request = HttpClientRequest.setHeaders(request, TraceContext.headersOf(span))
        if (headers !== undefined) request = HttpClientRequest.setHeaders(request, reveal(yield* headers))
        for (const call of calls) {
          if (call.headers !== undefined) request = HttpClientRequest.setHeaders(request, call.headers)
        }
        const sent = http.execute(options.transformRequest?.(request) ?? request)
        const response = yield* span === undefined
          ? sent
          : Effect.withParentSpan(sent, span, { captureStackTrace: false })
        const text = response.status === 204 ? "" : yield* response.text
        const { "content-type": contentType, "retry-after": retryAfter } = response.headers
        return {
          status: response.status,
          text,
          contentType,
          retryAfter: retryAfter === undefined
            ? undefined
            : retryAfterMillis(retryAfter, yield* Clock.currentTimeMillis)
        }
      })

    const caller = new HttpCaller(
      {
        ...ClientHalf.limits(options, context, ClientHalf.reason(address)),
        wire,
        traceContext: false
      },
      (frame, calls) =>
        run(Effect.matchCause(post(frame, calls), {
          onFailure: (cause) => {
            if (!Cause.hasInterruptsOnly(cause)) caller.failed(calls, address, Cause.squash(cause))
          },
          onSuccess: (reply) => caller.replied(calls, address, reply)
        }))
    )

    const close = Effect.suspend(() => {
      caller.enter({ _tag: "Ended", cause: undefined })
      return Fiber.interruptAll(caller.fibers)
    })
    yield* Scope.addFinalizer(scope, close)
    return {
      ...JsonRpcRemote.fromPort({ caller, connection: undefined }),
      connect: Effect.suspend(() =>
        caller.isEnded
          ? Effect.fail(JsonRpcError.connection(caller.limits.describe(caller.status), false))
          : Effect.void
      ),
      disconnect: close,
      connected: Effect.sync(() => !caller.isEnded),
      status: ClientHalf.statusOf(caller),
      notifications: Stream.empty,
      listen: () => () => {},
      frames: Stream.empty
    }
  })

/**
 * A client over HTTP.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<JsonRpcClient, never, HttpClient.HttpClient> =>
  Layer.effect(JsonRpcClient, make(options))

const reveal = (headers: RequestHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Redacted.isRedacted(value) ? Redacted.value(value) : value])
  )

// without user, password and query, which may be secret
const nameOf = (url: string): string => {
  if (!URL.canParse(url)) return url.split("?", 1)[0]!
  const { host, pathname, protocol } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

// seconds, or a date (RFC 9110, section 10.2.3)
const retryAfterMillis = (value: string, now: number): number | undefined => {
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
