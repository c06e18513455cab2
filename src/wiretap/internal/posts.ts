/**
 * Requests over HTTP as connections: one frame each way, and the end of the answer as its close code, 4000 and the status.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type * as SocketServer from "effect/socket/SocketServer"
import * as Carrier from "../../socket/Carrier.ts"
import type * as Handshake from "../../socket/Handshake.ts"
import type * as Recording from "../Recording.ts"
import { itemsOfFrame } from "./messages.ts"

/** The close code of an answer. */
export const codeOf = (status: number): number => 4000 + status

/** An address with the path of the recording, where it has none of its own. */
const addressOf = (url: string, recorded: string): string => {
  const parsed = new URL(url)
  if (parsed.pathname !== "/" || parsed.search !== "" || !URL.canParse(recorded, parsed)) return url
  const { pathname, search } = new URL(recorded, parsed)
  return new URL(pathname + search, parsed).href
}

/**
 * Makes what dials the requests of a recording (`carrier` is `"http"`): each is sent as POST to `url`, at the path of the
 * recording where `url` has none, with its media type and these headers. What cannot be sent ends with 1006.
 *
 * @category constructors
 * @since 0.2.0
 */
export const post = (
  url: string,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<(event: Recording.Opened) => Socket.Socket, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => (event) => {
    const request = HttpClientRequest.post(addressOf(url, event.url)).pipe(HttpClientRequest.setHeaders(headers))
    const contentType = event.headers["content-type"] ?? "application/json"
    const socket = Carrier.make((inbox) =>
      Effect.gen(function*() {
        const fibers = yield* FiberSet.make()
        const run = yield* FiberSet.runtime(fibers)()
        const send = (frame: string | Uint8Array) =>
          Effect.gen(function*() {
            const body = typeof frame === "string"
              ? HttpClientRequest.bodyText(request, frame, contentType)
              : HttpClientRequest.bodyUint8Array(request, frame, contentType)
            const response = yield* http.execute(body)
            const text = yield* response.text
            if (text !== "") inbox.receive(text)
            inbox.end(Carrier.closeError(codeOf(response.status)))
          }).pipe(Effect.catch(() => Effect.sync(() => inbox.end(Carrier.closeError(1006)))))
        return {
          send: (frame) => run(send(frame)),
          // who goes away does not wait for the answer
          close: () => {
            for (const fiber of fibers) fiber.interruptUnsafe()
          }
        }
      })
    )
    let made: Socket.Socket | undefined
    const one = Effect.suspend(() => made === undefined ? socket : Effect.succeed(made)).pipe(
      Effect.map((socket) => made = socket)
    )
    return Socket.make({
      reader: Effect.flatMap(one, ({ reader }) => reader),
      writer: Effect.flatMap(one, ({ writer }) => writer)
    })
  })

/**
 * Makes a server whose connections are requests over HTTP, for `Replay.server`: `handler` answers them, mounted on whatever
 * routes the recording has. A request that nobody answers waits until its client goes away.
 *
 * @category constructors
 * @since 0.2.0
 */
export const postServer: Effect.Effect<
  {
    readonly server: SocketServer.SocketServer["Service"]
    readonly handler: Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      HttpServerError.HttpServerError,
      HttpServerRequest.HttpServerRequest
    >
  },
  never,
  Scope.Scope
> = Effect.gen(function*() {
  const listener = yield* Carrier.makeListener(NetAddress.unixPathAddress("http"))
  const handler = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* request.text
    const answered = Deferred.makeUnsafe<HttpServerResponse.HttpServerResponse>()
    const frames: Array<string> = []
    let isOpen = true
    const socket = yield* Carrier.make((inbox) =>
      Effect.sync(() => {
        inbox.receive(body)
        return {
          send: (frame) => frames.push(typeof frame === "string" ? frame : new TextDecoder().decode(frame)),
          close: (code) => {
            const status = code >= 4100 && code < 4600 ? code - 4000 : 503
            Deferred.doneUnsafe(
              answered,
              Effect.succeed(HttpServerResponse.text(frames.join(""), { status, contentType: "application/json" }))
            )
          }
        }
      })
    )
    const handshake: Handshake.Handshake = {
      carrier: "http",
      remoteAddress: Option.getOrUndefined(request.remoteAddress),
      headers: request.headers,
      url: request.originalUrl,
      protocol: undefined
    }
    listener.accept({ socket, handshake, isOpen: () => isOpen, release: () => {} })
    return yield* Effect.ensuring(
      Deferred.await(answered),
      Effect.sync(() => {
        isOpen = false
      })
    )
  })
  return { server: listener.server, handler }
})

/** What a frame asks, whatever number it has. */
const askedBy = (frame: string | Uint8Array | undefined): string =>
  frame === undefined ? "" : JSON.stringify(itemsOfFrame(frame).map(({ key, value }) => [key, value]))

/**
 * Which of the scripts is for a connection: the first of its carrier that asks for the same, else the first of its carrier,
 * else the first.
 */
export const indexOfRequest = (
  scripts: ReadonlyArray<ReadonlyArray<Recording.Event>>,
  carrier: string,
  frame: string | Uint8Array | undefined
): number => {
  const ofCarrier = (script: ReadonlyArray<Recording.Event>) =>
    script[0]?.type === "open" && (script[0].carrier === "http") === (carrier === "http")
  if (frame === undefined) return Math.max(0, scripts.findIndex(ofCarrier))
  const asked = askedBy(frame)
  const same = scripts.findIndex((script) =>
    ofCarrier(script) &&
    script.some((event) =>
      event.type === "frame" && event.from === "client" && "text" in event && askedBy(event.text) === asked
    )
  )
  return Math.max(0, same >= 0 ? same : scripts.findIndex(ofCarrier))
}
