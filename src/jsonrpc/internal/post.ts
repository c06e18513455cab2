import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import * as Weight from "../../rpc/internal/weight.ts"
import * as RpcConnection from "../../rpc/RpcConnection.ts"
import * as RpcEngine from "../../rpc/RpcEngine.ts"
import type * as RpcMethods from "../../rpc/RpcMethods.ts"
import * as TraceContext from "../../rpc/TraceContext.ts"
import { Budget } from "../../socket/Budget.ts"
import * as Handshake from "../../socket/Handshake.ts"
import { plainAddress } from "../../socket/internal/plainAddress.ts"
import { CurrentHost } from "../../socket/internal/routeHost.ts"
import { CurrentTurn } from "../../socket/internal/turn.ts"
import * as SocketMetrics from "../../socket/SocketMetrics.ts"
import * as TrustedProxies from "../../socket/TrustedProxies.ts"
import * as WebSocketRoute from "../../socket/WebSocketRoute.ts"
import * as Codec from "../JsonRpcCodec.ts"
import { type ConnectOptions, decodeOptions } from "./connect.ts"
import { CurrentWire } from "./currentWire.ts"
import { Endpoint, type EndpointConfig } from "./endpoint.ts"
import { serving } from "./serving.ts"
import type { Wire } from "./wireModel.ts"

/**
 * Options of the POST route.
 *
 * @internal
 */
export interface PostOptions extends ConnectOptions {
  readonly allowedOrigins?: WebSocketRoute.AllowedOrigins | undefined
  readonly maxBodyBytes?: number | undefined
  readonly bodyTimeout?: Duration.Input | undefined
  readonly maxConnections?: number | undefined
  readonly trustedProxies?: ReadonlyArray<string> | undefined
}

const empty = (status: number) => HttpServerResponse.empty({ status })

const unavailable = HttpServerResponse.text("Too many requests.\n", { status: 503, headers: { "retry-after": "1" } })

const notAllowedResponse = HttpServerResponse.empty({ status: 405, headers: { allow: "GET, POST" } })

/** @internal */
export const notAllowed = Effect.succeed(notAllowedResponse)

/**
 * A GET that asks for no WebSocket is a method that the route does not have.
 *
 * @internal
 */
export const orNotAllowed = <E, R>(
  upgrade: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E,
    R
  > => request.headers.upgrade === undefined ? notAllowed : upgrade)

const mediaTypes = new Set(["application/json", "application/json-rpc", "application/jsonrequest"])

const mediaType = (contentType: string | undefined): string =>
  (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase()

/** JSON, in UTF-8 as all JSON is, and not compressed (RFC 9110, section 15.5.16). */
const isReadable = (headers: Headers.Headers): boolean => {
  const charset = /;\s*charset\s*=\s*"?([^";]*)/i.exec(headers["content-type"] ?? "")?.[1]?.trim().toLowerCase()
  return mediaTypes.has(mediaType(headers["content-type"])) &&
    (charset === undefined || charset === "utf-8" || charset === "utf8" || charset === "us-ascii") &&
    (headers["content-encoding"] ?? "identity").trim().toLowerCase() === "identity"
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

class TooLong {
  readonly _tag = "TooLong"
}

class NoRoom {
  readonly _tag = "NoRoom"
}

/** `take` says whether there is room for so many bytes more. */
const readBody = (
  request: HttpServerRequest.HttpServerRequest,
  limit: number,
  take: (bytes: number) => boolean
) =>
  Effect.suspend((): Effect.Effect<string, TooLong | NoRoom | HttpServerError.HttpServerError> => {
    if (Number(request.headers["content-length"]) > limit) return Effect.fail(new TooLong())
    const chunks: Array<Uint8Array> = []
    let size = 0
    return Effect.map(
      Stream.runForEach(request.stream, (chunk): Effect.Effect<void, TooLong | NoRoom> => {
        size += chunk.byteLength
        if (size > limit) return Effect.fail(new TooLong())
        if (!take(chunk.byteLength)) return Effect.fail(new NoRoom())
        chunks.push(chunk)
        return Effect.void
      }),
      () => {
        const bytes = new Uint8Array(size)
        let offset = 0
        for (const chunk of chunks) {
          bytes.set(chunk, offset)
          offset += chunk.byteLength
        }
        try {
          return utf8.decode(bytes)
        } catch {
          // no UTF-8 is no JSON
          return ""
        }
      }
    )
  })

/**
 * The handler of POST.
 *
 * @internal
 */
export const make = (
  methods: ReadonlyMap<string, RpcMethods.ServedMethod>,
  wire: Wire,
  options: PostOptions,
  onConnection: ((connection: RpcConnection.Connection) => void) | undefined
): Effect.Effect<
  Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    HttpServerError.HttpServerError,
    HttpServerRequest.HttpServerRequest
  >
> =>
  Effect.map(Effect.context<never>(), (context) => {
    const decode = decodeOptions(wire, options, methods)
    const limit = options.maxBodyBytes ?? 1024 * 1024
    const maxWeight = options.maxRequestBytes ?? 8_388_608
    const { exchange } = Context.get(context, CurrentHost)
    const trusted = TrustedProxies.fromList(options.trustedProxies ?? [])
    const config: EndpointConfig = {
      wire,
      methods,
      decodeAnswers: decode,
      access: Context.get(context, RpcConnection.MethodAccess),
      decode,
      options,
      onNotification: undefined,
      serving,
      context
    }

    const respond = (request: HttpServerRequest.HttpServerRequest, body: string) =>
      Effect.scopedWith((scope) =>
        Effect.gen(function*() {
          const handshake: Handshake.Handshake = {
            carrier: "http",
            remoteAddress: TrustedProxies.remoteAddress({
              remoteAddress: plainAddress(Option.getOrUndefined(request.remoteAddress)),
              headers: request.headers
            }, trusted),
            headers: request.headers,
            url: request.originalUrl,
            protocol: undefined
          }
          const told = exchange?.(handshake, body)
          const connection = yield* RpcConnection.make(undefined).pipe(
            Effect.provideContext(Context.make(Handshake.CurrentHandshake, handshake)),
            Effect.provideService(Scope.Scope, scope),
            Effect.updateContext((own: Context.Context<never>) => Context.merge(context, own))
          )
          connection.set(CurrentWire, wire)
          onConnection?.(connection)
          const session = yield* Scope.provide(RpcEngine.open(connection, options), scope)
          // the span that the HTTP server made of the caller's `traceparent`, where the app traces; else the caller's
          const sent = TraceContext.fromHeaders(request.headers)
          const span = sent === undefined
            ? undefined
            : Context.getOrUndefined(yield* Effect.context<never>(), Tracer.ParentSpan)
          const trace = sent === undefined || span === undefined
            ? sent
            : TraceContext.external(span, TraceContext.carriedBy(sent))
          const endpoint = new Endpoint(config, connection, session, undefined, trace)
          const text = yield* Effect.callback<string | undefined>((resume) =>
            endpoint.handle(body, Codec.decode(body, decode), {
              answer: (text) => resume(Effect.succeed(text)),
              skip: () => resume(Effect.succeed(undefined))
            })
          ).pipe(Effect.onInterrupt(() => Effect.sync(() => told?.(undefined, undefined))))
          told?.(text === undefined ? 204 : 200, text)
          // notifications run to their end, though nobody hears of it
          yield* session.idle
          return text === undefined ? empty(204) : HttpServerResponse.text(text, { contentType: "application/json" })
        })
      )

    const maxRequests = options.maxConnections ?? 1024
    const budget = Context.get(context, Budget)
    let running = 0

    // What is under way is bounded in number, as connections are, and what it keeps in bytes, with everything else.
    const bounded = Effect.suspend(() => {
      if (running >= maxRequests) return refused
      running++
      let taken = 0
      const take = (bytes: number) => {
        if (!budget.acquire(bytes)) return false
        taken += bytes
        return true
      }
      return Effect.ensuring(
        answer(take),
        Effect.sync(() => {
          running--
          budget.release(taken)
        })
      )
    })
    const refused = Effect.as(Metric.update(SocketMetrics.refusedFor("connections"), 1), unavailable)

    const answer = (take: (bytes: number) => boolean) =>
      Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const { headers } = request
        if (!WebSocketRoute.isAllowedOrigin(headers.origin, headers.host, options.allowedOrigins)) return empty(403)
        if (!isReadable(headers)) return empty(415)
        const body = yield* readBody(request, limit, take).pipe(
          Effect.catchTag("TooLong", () => Effect.succeed(empty(413))),
          Effect.catchTag("NoRoom", () => refused),
          Effect.timeoutOrElse({
            duration: options.bodyTimeout ?? "30 seconds",
            orElse: () => Effect.succeed(empty(408))
          })
        )
        if (typeof body !== "string") return body
        yield* (yield* CurrentTurn)(body.length)
        // parsed, it is there a second time; what is too large for that is refused without being parsed
        const weight = Math.min(Weight.ofText(body, maxWeight), maxWeight)
        return take(weight) ? yield* respond(request, body) : yield* refused
      })
    return bounded
  })
