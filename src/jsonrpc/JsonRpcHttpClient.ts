/**
 * A JSON-RPC client over HTTP POST: each call, or each batch, is one request. There is no progress and nobody calls back;
 * interrupting a call aborts its request, which interrupts it at a server of ours.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Outbox } from "../socket/Outbox.ts"
import { Caller } from "./internal/caller.ts"
import type { Wire } from "./internal/wireModel.ts"
import { type Client, JsonRpcClient } from "./JsonRpcClient.ts"
import * as Codec from "./JsonRpcCodec.ts"
import * as JsonRpcError from "./JsonRpcError.ts"
import * as JsonRpcRemote from "./JsonRpcRemote.ts"
import { standard } from "./wires/standard.ts"

/**
 * The cause of a `ConnectionError`: the server answered with a status other than 200 and 204.
 *
 * @category errors
 * @since 0.1.0
 */
export class HttpStatusError
  extends Schema.TaggedError<HttpStatusError>("effect-wire/jsonrpc/JsonRpcHttpClient/HttpStatusError")(
    "HttpStatusError",
    { status: Schema.Int }
  )
{}

/**
 * Options of a client over HTTP.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly url: string
  /** What the server accepts beyond the specification; default `Wire.standard`. Cancels and progress do not apply. */
  readonly wire?: Wire | undefined
  /** Changes each request before it is sent, e.g. to add a header. */
  readonly transformRequest?:
    | ((request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest)
    | undefined
}

const listOf = (frame: Codec.Frame): ReadonlyArray<Codec.Message> =>
  Array.isArray(frame) ? frame as ReadonlyArray<Codec.Message> : [frame as Codec.Message]

const idsOf = (frame: string): ReadonlyArray<string> =>
  listOf(Codec.decode(frame, { maxBatch: Infinity, maxDepth: Infinity })).flatMap((message) =>
    message._tag === "Call" && message.id !== undefined ? [message.id] : []
  )

/** One request under way, and the ids of its calls that somebody waits for. */
interface Post {
  readonly fiber: Fiber.Fiber<void>
  readonly left: Set<string>
}

/**
 * Makes a client that posts with the `HttpClient` of the environment. `status` and `connected` say that it is open;
 * `notifications` and `frames` are empty. A notification is handed over, not waited for.
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
    const wire = { ...(options.wire ?? standard), cancellation: undefined, progress: undefined }
    const caller = new Caller(wire, { waits: false, traceContext: false })
    const posts = new Set<Post>()
    const postOf = new Map<string, Post>()

    const post = (body: string): Effect.Effect<string, JsonRpcError.JsonRpcError> => {
      const request = HttpClientRequest.post(options.url).pipe(
        HttpClientRequest.setHeader("accept", "application/json"),
        HttpClientRequest.bodyText(body, "application/json")
      )
      return Effect.gen(function*() {
        const response = yield* http.execute(options.transformRequest?.(request) ?? request)
        if (response.status === 204) return ""
        if (response.status === 200) return yield* response.text
        return yield* JsonRpcError.connection(
          `the server answered with HTTP status ${response.status}`,
          response.status >= 500,
          new HttpStatusError({ status: response.status })
        )
      }).pipe(
        Effect.catchTag("HttpClientError", (cause) => Effect.fail(JsonRpcError.connection(cause.message, true, cause)))
      )
    }

    const exchange = (frame: string, ids: ReadonlyArray<string>): Effect.Effect<void> =>
      post(frame).pipe(
        Effect.matchEffect({
          onFailure: (error) =>
            Effect.sync(() => {
              for (const id of ids) caller.lose(id, error)
            }),
          onSuccess: (text) =>
            Effect.sync(() => {
              if (text !== "") {
                const answers = Codec.decode(text, { maxBatch: Infinity, expectsAnswers: true })
                for (const message of listOf(answers)) {
                  if (message._tag === "Result" || message._tag === "Failure") {
                    // an answer without an id is about all that was sent
                    if (message.id !== undefined && message.id !== "null") caller.answer(message)
                    else for (const id of ids) caller.answer({ ...message, id })
                  }
                }
              }
              for (const id of ids) caller.lose(id, JsonRpcError.protocol("the server did not answer the request"))
            })
        })
      )

    const outbox: Pick<Outbox, "send" | "cork" | "uncork"> = {
      cork: () => {},
      uncork: () => {},
      send: (frame) => {
        const text = frame as string
        const ids = idsOf(text)
        const post: Post = { fiber: run(exchange(text, ids)), left: new Set(ids) }
        if (post.fiber.pollUnsafe() !== undefined) return true
        posts.add(post)
        for (const id of ids) postOf.set(id, post)
        post.fiber.addObserver(() => {
          posts.delete(post)
          for (const id of ids) postOf.delete(id)
        })
        return true
      }
    }
    caller.attach(outbox as Outbox)
    // a request is aborted when nobody waits for any of its calls
    caller.onCancel = (id) => {
      const post = postOf.get(id)
      post?.left.delete(id)
      if (post?.left.size === 0) post.fiber.interruptUnsafe()
    }
    const close = (message: string) =>
      Effect.suspend(() => {
        caller.end(message)
        return Fiber.interruptAll(Array.from(posts, (post) => post.fiber))
      })
    yield* Scope.addFinalizer(scope, close("the client was closed"))
    return {
      ...JsonRpcRemote.fromCaller(caller),
      connect: Effect.void,
      disconnect: close("the client was disconnected"),
      connected: Effect.sync(() => caller.endedWith === undefined),
      status: Stream.succeed({ _tag: "Open" as const }),
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
