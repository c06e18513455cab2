/**
 * HTTP between the nodes of a world: an `HttpServer` and an `HttpClient` on its network. Each request is a connection of its
 * own, a stream of bytes that may be refused, cut in the middle or stay without an answer as any other; a request whose
 * client goes away is interrupted. The host of a URL is the name of a node: `http://server/rpc`.
 *
 * Bodies arrive whole: one that streams without an end does not arrive. There are no upgrades (`World.layerSocket` is for
 * sockets), no redirects and no TLS. A node that serves HTTP serves nothing else.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpMethod from "effect/http/HttpMethod"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import * as Framing from "../socket/Framing.ts"
import * as Handshake from "../socket/Handshake.ts"
import { World } from "./World.ts"

const framing = Framing.lines({ maxFrameSize: 64 * 1024 * 1024 })

/** One line each way; in a body each character is a byte, so that text is read in a story. */
interface Message {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}
interface Request extends Message {
  readonly method: HttpMethod.HttpMethod
  readonly url: string
}
interface Response extends Message {
  readonly status: number
}

const written = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")
const bytesOf = (text: string): Uint8Array => Uint8Array.from(text, (char) => char.charCodeAt(0))

const collected = <E, R>(stream: Stream.Stream<Uint8Array, E, R>): Effect.Effect<string, E, R> =>
  Effect.map(Stream.runCollect(stream), (chunks) => chunks.map(written).join(""))

const send = (socket: Socket.Socket, message: Request | Response) =>
  Effect.scoped(Effect.flatMap(socket.writer, (writer) => writer.write(JSON.stringify(message))))

const received = (frames: ReadonlyArray<string | Uint8Array>): any => {
  const [first] = frames
  return JSON.parse(typeof first === "string" ? first : new TextDecoder().decode(first))
}

/**
 * The `HttpClient` of a node. A dial that fails and a connection that ends before the answer are a `TransportError`.
 * Interruption ends the connection.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerClient: Layer.Layer<HttpClient.HttpClient, never, World> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(World, (world) =>
    HttpClient.make((request, url) => {
      const failed = (cause: unknown) =>
        new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, cause }) })
      return Effect.scoped(Effect.gen(function*() {
        const body = yield* collected(HttpServerRequest.fromClientRequest(request).stream)
        const contentType = "contentType" in request.body ? request.body.contentType : undefined
        const socket = Framing.wrap(world.socket(url.hostname, { bytes: true }), framing)
        const { pull } = yield* socket.reader
        yield* send(socket, {
          method: request.method as HttpMethod.HttpMethod,
          url: `${url.pathname}${url.search}`,
          headers: contentType === undefined ? request.headers : { "content-type": contentType, ...request.headers },
          body
        })
        const response: Response = received(yield* pull)
        return HttpServerResponse.toClientResponse(
          HttpServerResponse.uint8Array(bytesOf(response.body), {
            status: response.status,
            headers: response.headers,
            contentType: response.headers["content-type"]
          }),
          { request }
        )
      })).pipe(Effect.catchCause((cause) =>
        Cause.hasInterrupts(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : Effect.fail(failed(Cause.squash(cause)))
      ))
    }))
)

/** One request, answered. It ends early when its client does. */
const answer = <R>(
  socket: Socket.Socket,
  handled: (
    request: Request,
    respond: (response: Response) => Effect.Effect<void, unknown>
  ) => Effect.Effect<void, never, R>
) =>
  Effect.scoped(Effect.gen(function*() {
    const { pull } = yield* socket.reader
    const request: Request = received(yield* pull)
    const gone = Effect.forever(pull)
    yield* Effect.raceFirst(
      handled(request, (response) => send(socket, response)),
      Effect.ignore(gone)
    )
  })).pipe(Effect.ignore)

/**
 * The `HttpServer` of a node, for `HttpRouter.serve` and all else that is served: clients of this module reach it by the
 * name of the node. It ends with the node; requests under way are interrupted.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerServer: Layer.Layer<HttpServer.HttpServer, never, World> = Layer.effect(
  HttpServer.HttpServer,
  Effect.map(World, (world) =>
    HttpServer.make({
      address: NetAddress.unixPathAddress(world.node),
      serve: Effect.fnUntraced(function*(effect, middleware) {
        const handle = (socket: Socket.Socket) =>
          answer(socket, (request, respond) =>
            Effect.flatMap(Handshake.CurrentHandshake, ({ remoteAddress }) =>
              HttpEffect.toHandled(
                effect,
                (_request, response) =>
                  Effect.flatMap(
                    collected(HttpServerResponse.toClientResponse(response).stream),
                    (body) =>
                      respond({ status: response.status, headers: response.headers, body })
                  ),
                middleware
              ).pipe(Effect.provideService(
                HttpServerRequest.HttpServerRequest,
                HttpServerRequest.fromClientRequest(
                  HttpClientRequest.make(request.method)(request.url, {
                    headers: request.headers,
                    body: HttpBody.uint8Array(bytesOf(request.body), request.headers["content-type"])
                  })
                ).modify({ url: request.url, remoteAddress: Option.fromUndefinedOr(remoteAddress) })
              ))))
        yield* Effect.forkScoped(Framing.wrapServer(world.server, framing).run(handle))
      })
    }))
)
