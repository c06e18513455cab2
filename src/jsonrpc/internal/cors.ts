/**
 * POST by pages of other origins (Fetch Standard, section 3.2): the origins that may open a WebSocket may POST as well.
 */
import * as Effect from "effect/Effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as WebSocketRoute from "../../socket/WebSocketRoute.ts"

const isAllowed = (
  request: HttpServerRequest.HttpServerRequest,
  allowed: WebSocketRoute.AllowedOrigins | undefined
): boolean =>
  request.headers.origin !== undefined &&
  WebSocketRoute.isAllowedOrigin(request.headers.origin, request.headers.host, allowed)

/**
 * Adds what lets a page of an allowed origin read the answer. Cookies do not travel with it.
 *
 * @internal
 */
export const readable = <E, R>(
  handle: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  allowed: WebSocketRoute.AllowedOrigins | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    isAllowed(request, allowed)
      ? Effect.map(handle, (response) =>
        HttpServerResponse.setHeaders(response, {
          "access-control-allow-origin": request.headers.origin!,
          vary: "Origin"
        }))
      : handle)

/**
 * The handler of OPTIONS: what a browser asks before it lets a page POST JSON. 204; 403 to a foreign origin.
 *
 * @internal
 */
export const preflight = (
  allowed: WebSocketRoute.AllowedOrigins | undefined
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> =>
  Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
    if (request.headers.origin === undefined) {
      return HttpServerResponse.empty({ status: 204, headers: { allow: "GET, POST, OPTIONS" } })
    }
    if (!isAllowed(request, allowed)) return HttpServerResponse.empty({ status: 403 })
    return HttpServerResponse.empty({
      status: 204,
      headers: {
        "access-control-allow-origin": request.headers.origin,
        "access-control-allow-methods": "POST",
        // the headers that the page names: its origin is trusted
        "access-control-allow-headers": request.headers["access-control-request-headers"] ?? "content-type",
        "access-control-max-age": "600",
        vary: "Origin"
      }
    })
  })
