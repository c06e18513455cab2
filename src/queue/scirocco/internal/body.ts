/**
 * @internal Bodies of requests: read up to a limit, within a time.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BudgetShape } from "../../../socket/Budget.ts"
import { CurrentTurn } from "../../../socket/internal/turn.ts"
import * as SocketMetrics from "../../../socket/SocketMetrics.ts"
import * as ExactJson from "../../internal/exactJson.ts"
import { contentTypes } from "../../internal/payload.ts"
import * as Message from "../../Message.ts"
import * as QueueMetrics from "../../QueueMetrics.ts"
import * as Wire from "./wire.ts"

/** The answer that ends a request early; what has not been read of the body is not waited for. */
export class Refused {
  readonly _tag = "Refused"
  readonly response: HttpServerResponse.HttpServerResponse
  constructor(response: HttpServerResponse.HttpServerResponse) {
    this.response = response
  }
}

export const refuse = (
  status: number,
  body: unknown,
  headers?: Record<string, string>
): Effect.Effect<never, Refused> =>
  Effect.fail(
    new Refused(HttpServerResponse.jsonUnsafe(body, { status, ...(headers === undefined ? {} : { headers }) }))
  )

/** 400 as the original server words it: each wrong field with what is wrong. */
export const invalid = (field: string, problem: string, message?: string): Effect.Effect<never, Refused> =>
  refuse(400, {
    message: message ?? "Validation failed",
    errors: { [field]: { name: "ValidatorError", path: field, message: problem } }
  })

/** How long a body may take, and where what it takes is counted until the request has been answered. */
export interface Reading {
  readonly timeout: Duration.Input
  readonly budget: BudgetShape
}

const noRoom = Effect.andThen(
  Metric.update(SocketMetrics.refusedFor("connections"), 1),
  refuse(503, { message: "Too many requests." }, { connection: "close", "retry-after": "1" })
)

/** Takes room for what belongs to the request, until it has been answered. */
export const take = ({ budget }: Reading, bytes: number): Effect.Effect<void, Refused, Scope.Scope> =>
  Effect.suspend(() =>
    budget.acquire(bytes) ? Effect.addFinalizer(() => Effect.sync(() => budget.release(bytes))) : noRoom
  )

export const readBody = (
  request: HttpServerRequest,
  limit: number,
  reading: Reading
): Effect.Effect<Uint8Array, Refused, Scope.Scope> => {
  const { budget, timeout } = reading
  const tooLarge = Effect.andThen(
    Metric.update(QueueMetrics.tooLarge, 1),
    refuse(413, { message: "request entity too large", limit }, { connection: "close" })
  )
  // A length that is known is refused before anything is read.
  if (Number(request.headers["content-length"]) > limit) return tooLarge
  const encoding = request.headers["content-encoding"]
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    return refuse(415, { message: `content encoding ${JSON.stringify(encoding)} is not supported` }, {
      connection: "close"
    })
  }
  const chunks: Array<Uint8Array> = []
  let size = 0
  return Effect.andThen(
    Effect.addFinalizer(() => Effect.sync(() => budget.release(size))),
    Stream.runForEach(request.stream, (chunk) => {
      if (size + chunk.length > limit) return tooLarge
      if (!budget.acquire(chunk.length)) return noRoom
      size += chunk.length
      chunks.push(chunk)
      return Effect.void
    }).pipe(
      Effect.catchIf(
        (error) => error._tag !== "Refused",
        () => refuse(400, { message: "the body could not be read" }, { connection: "close" })
      ),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => refuse(408, { message: "the body took too long" }, { connection: "close" })
      }),
      Effect.map(() => {
        const body = new Uint8Array(size)
        let offset = 0
        for (const chunk of chunks) {
          body.set(chunk, offset)
          offset += chunk.length
        }
        return body
      })
    )
  )
}

/** The payload of a push or an update, by its content type. */
export const readPayload = Effect.fnUntraced(function*(
  request: HttpServerRequest,
  limits: readonly [json: number, text: number, binary: number],
  reading: Reading
): Effect.fn.Return<{ readonly payload: Message.Payload; readonly type: string }, Refused, Scope.Scope> {
  const contentType = request.headers["content-type"] ?? ""
  const type = Wire.mediaType(contentType)
  const kind = contentTypes.findIndex((one) => one === type)
  if (kind < 0) {
    return yield* refuse(400, {
      message: `The content type must be one of: ${contentTypes.join(", ")}`
    }, { connection: "close" })
  }
  const charset = Wire.charset(contentType)
  if (kind < 2 && charset !== undefined && Option.isNone(decodeOption(new Uint8Array(), charset))) {
    return yield* refuse(415, { message: `charset ${JSON.stringify(charset)} is not supported` }, {
      connection: "close"
    })
  }
  const bytes = yield* readBody(request, limits[kind]!, reading)
  if (kind === 2) return { payload: Message.binary(bytes), type }
  yield* (yield* CurrentTurn)(bytes.length)
  const text = decode(bytes, charset)
  if (text === undefined) return yield* invalid("payload", "is no text in its charset")
  if (kind === 1) return { payload: Message.text(text), type }
  const payload = ExactJson.payloadOf(text.replace(/^\uFEFF/, ""))
  if (payload === "invalid") return yield* invalid("payload", "is no JSON")
  if (payload === "number") return yield* invalid("payload", "has a number that is too large")
  return { payload, type }
})

/**
 * Text in its charset. Without one it is UTF-8, or else Latin-1, byte for byte, as the original client sends it. (The
 * `TextDecoder` has no Latin-1: it reads Windows-1252 under that name.)
 */
const decode = (bytes: Uint8Array, charset: string | undefined): string | undefined => {
  const text = Option.getOrUndefined(decodeOption(bytes, charset ?? "utf-8"))
  return text === undefined && charset === undefined ? latin1(bytes) : text
}

const decodeOption = Option.liftThrowable((bytes: Uint8Array, charset: string): string =>
  new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes)
)

const latin1 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return text
}

export const parseJson = Option.liftThrowable((text: string) => JSON.parse(text))
