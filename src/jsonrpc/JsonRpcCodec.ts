/**
 * The synchronous codec of JSON-RPC 2.0: the text of one frame to messages, messages to text. Pure, no Effect inside.
 *
 * An id is carried as the JSON text that stands in the frame (`1`, `"a"`, `null`, `12345678901234567890`), so that it is
 * echoed digit for digit whatever its size, and `1` and `"1"` stay different.
 *
 * Source: JSON-RPC 2.0 Specification, sections 4 to 7; PROTOCOLS.md, "JSON-RPC 2.0".
 *
 * @since 0.1.0
 */
import * as Weight from "../rpc/internal/weight.ts"
import { exceedsDepth, idTexts, memberTexts } from "./internal/json.ts"
import { code } from "./JsonRpcError.ts"
import type { ErrorObject } from "./JsonRpcMessage.ts"

/**
 * A request, or a notification where `id` is `undefined`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly _tag: "Call"
  /** JSON text of the id; `undefined` for a notification. */
  readonly id: string | undefined
  readonly method: string
  /** An array, an object, or `undefined` when absent; another JSON value only where the codec allows scalars. */
  readonly params: unknown
  /** The whole message, for members beyond the specification (trace context). */
  readonly message: Readonly<Record<string, unknown>>
}

/**
 * A result. `id` is `undefined` when the answer has none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result {
  readonly _tag: "Result"
  readonly id: string | undefined
  readonly result: unknown
}

/**
 * An error. `id` is `undefined` when the answer has none, `null` when the peer could not read it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure {
  readonly _tag: "Failure"
  readonly id: string | undefined
  readonly error: ErrorObject
}

/**
 * What is no message. `answer` says what to tell the peer, and is `undefined` where nothing may be said: about a broken
 * answer, whose `id` then names the request that it was for, or a broken notification.
 *
 * @category models
 * @since 0.1.0
 */
export interface Invalid {
  readonly _tag: "Invalid"
  readonly id: string
  readonly answer: ErrorObject | undefined
}

/**
 * One decoded message.
 *
 * @category models
 * @since 0.1.0
 */
export type Message = Call | Result | Failure | Invalid

/**
 * One decoded frame: a message, or the messages of a batch.
 *
 * @category models
 * @since 0.1.0
 */
export type Frame = Message | ReadonlyArray<Message>

/**
 * What a decoder accepts beyond the specification, and its limits.
 *
 * @category models
 * @since 0.1.0
 */
export interface DecodeOptions {
  /** Nesting of arrays and objects; default 128. */
  readonly maxDepth?: number | undefined
  /** Entries of a batch; default 100. */
  readonly maxBatch?: number | undefined
  /** Bytes of memory that a frame may cost once it is parsed, by an estimate that is made before; default: any. */
  readonly maxWeight?: number | undefined
  /** Whether `params` may be any JSON value, which then stands for an array of it; default `false`. */
  readonly scalarParams?: ((method: string) => boolean) | undefined
  /** Whether `"id": null` makes a notification; default `false`, a request whose answer has `"id": null`. */
  readonly nullIdIsNotification?: boolean | undefined
  /** Whether the member `jsonrpc` may be absent or another; default `false`. */
  readonly anyVersion?: boolean | undefined
  /** Changes the parameters of each call as they come in; `message` is the whole of it. */
  readonly params?: ((params: unknown, message: Readonly<Record<string, unknown>>) => unknown) | undefined
  /**
   * Whether answers are expected, as a client does: a message with nothing but an id is then a result (servers exist that
   * leave out a result that is undefined), and `maxBatch` does not bound a batch of answers. Default `false`.
   */
  readonly expectsAnswers?: boolean | undefined
}

const defaultDepth = 128
const byteOrderMark = 0xfeff
const defaultBatch = 100

/**
 * Decodes the text of one frame. Never throws.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (text: string, options: DecodeOptions = {}): Frame => {
  const { maxWeight } = options
  if (maxWeight !== undefined && Weight.exceeds(text, maxWeight)) return tooHeavy(text, maxWeight)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // a byte order mark is none of the text (RFC 8259, section 8.1)
    return text.charCodeAt(0) === byteOrderMark && text.charCodeAt(1) !== byteOrderMark
      ? decode(text.slice(1), options)
      : invalid("null", code.parseError, "Parse error")
  }
  const maxDepth = options.maxDepth ?? defaultDepth
  // each level takes two characters: a short text needs no look
  const deep = text.length > maxDepth * 2
  if (!Array.isArray(value)) return decodeMessage(value, new ExactIds(text, false), 0, options, deep ? maxDepth : -1)
  if (value.length === 0) return invalid("null", code.invalidRequest, "Invalid Request", "the batch is empty")
  const maxBatch = options.maxBatch ?? defaultBatch
  if (value.length > maxBatch && !(options.expectsAnswers === true && value.every(hasNoMethod))) {
    return invalid(
      "null",
      code.invalidRequest,
      "Invalid Request",
      `the batch has ${value.length} entries, at most ${maxBatch} are taken`
    )
  }
  const messages: Array<Message> = []
  const exact = new ExactIds(text, true)
  for (let i = 0; i < value.length; i++) {
    messages.push(decodeMessage(value[i], exact, i, options, deep ? maxDepth - 1 : -1))
  }
  return messages
}

/** The ids of a frame as they stand in its text, read when the first is asked for. */
class ExactIds {
  private texts: ReadonlyArray<string | undefined> | undefined = undefined
  private readonly text: string
  private readonly isBatch: boolean
  constructor(text: string, isBatch: boolean) {
    this.text = text
    this.isBatch = isBatch
  }
  at(index: number): string | undefined {
    this.texts ??= idTexts(this.text, this.isBatch)
    return this.texts[index]
  }
}

/**
 * What would take too much memory to look at: of a single message it is found out without a parser what may be said of it.
 * Whether it is JSON at all nobody knows.
 */
const tooHeavy = (text: string, limit: number): Invalid => {
  const refusal = invalidRequest("null", `the message takes more than ${limit} bytes of memory`)
  if (!/^\ufeff?\s*\{/.test(text)) return refusal
  const member = (name: string) => memberTexts(text, false, name)[0]
  try {
    const found = member("id")
    const id = found !== undefined && /^(?:-?\d{1,32}|"[^"\\]{0,256}")$/.test(found) ? found : "null"
    if (member("method") === undefined) return { ...silent, id }
    return found === undefined ? silent : { ...refusal, id }
  } catch {
    return refusal
  }
}

const hasNoMethod = (u: unknown): boolean =>
  typeof u === "object" && u !== null && (u as Record<string, unknown>).method === undefined

const invalid = (id: string, code: number, message: string, data?: string): Invalid => ({
  _tag: "Invalid",
  id,
  answer: data === undefined ? { code, message } : { code, message, data }
})

const invalidRequest = (id: string, data: string): Invalid => invalid(id, code.invalidRequest, "Invalid Request", data)

const wrongVersion: Invalid = invalidRequest("null", "the member jsonrpc is not \"2.0\"")

/**
 * Whether a message was refused for its version: its sender may speak another wire.
 *
 * @internal
 */
export const isWrongVersion = (message: Invalid): boolean => message.answer === wrongVersion.answer

const silent: Invalid = { _tag: "Invalid", id: "null", answer: undefined }

// JSON text of an id, "" when there is none, undefined when it has a wrong type
const idText = (id: unknown, exact: ExactIds, index: number): string | undefined => {
  switch (typeof id) {
    case "number":
      if (Number.isSafeInteger(id)) return "" + id
      return exact.at(index) ?? JSON.stringify(id)
    case "string":
      return JSON.stringify(id)
    case "undefined":
      return ""
    default:
      return id === null ? "null" : undefined
  }
}

const decodeMessage = (
  value: unknown,
  exact: ExactIds,
  index: number,
  options: DecodeOptions,
  maxDepth: number
): Message => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return invalidRequest("null", "a message is an object")
  }
  const message = value as Record<string, unknown>
  const id = idText(message.id, exact, index)
  const method = message.method
  if (
    method === undefined &&
    (message.result !== undefined || message.error !== undefined || (options.expectsAnswers === true && id !== ""))
  ) {
    if (maxDepth >= 0 && exceedsDepth(message, maxDepth)) {
      return id === undefined || id === ""
        ? silent
        : { ...silent, id }
    }
    return decodeAnswer(message, id)
  }
  if (id === undefined) return invalidRequest("null", "an id is a string, a number or null")
  const isNotification = id === "" || (id === "null" && options.nullIdIsNotification === true)
  const echo = id === "" ? "null" : id
  if (message.jsonrpc !== "2.0" && options.anyVersion !== true) return { ...wrongVersion, id: echo }
  if (typeof method !== "string") return invalidRequest(echo, "the method is not a string")
  let params = options.params === undefined ? message.params : options.params(message.params, message)
  if (params === null) {
    params = undefined
  } else if (params !== undefined && typeof params !== "object") {
    if (options.scalarParams?.(method) !== true) {
      return isNotification ? silent : invalidRequest(echo, "params is neither an array nor an object")
    }
    params = [params]
  }
  if (maxDepth >= 0 && exceedsDepth(message, maxDepth)) {
    return isNotification ? silent : invalidRequest(echo, "the message is nested too deeply")
  }
  return { _tag: "Call", id: isNotification ? undefined : id, method, params, message }
}

const decodeAnswer = (message: Record<string, unknown>, id: string | undefined): Message => {
  if (id === undefined) return silent
  const error = message.error
  // peers of the first version send both members, one of them null
  if (error === undefined || error === null) {
    return { _tag: "Result", id: id === "" ? undefined : id, result: message.result ?? null }
  }
  const { code: errorCode, data, message: text } = typeof error === "object"
    ? error as Record<string, unknown>
    : {} as Record<string, unknown>
  return {
    _tag: "Failure",
    id: id === "" ? undefined : id,
    error: {
      code: typeof errorCode === "number" && Number.isSafeInteger(errorCode) ? errorCode : code.serverError,
      message: typeof text === "string" ? text : typeof error === "string" ? error : "the peer gave no message",
      ...(data === undefined ? undefined : { data: data as ErrorObject["data"] })
    }
  }
}

/**
 * Encodes a request. Throws what `JSON.stringify` throws, for values that are no JSON.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeRequest = (id: string, method: string, params: unknown, extra?: Record<string, unknown>): string =>
  `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)}${members(params, extra)}}`

/**
 * Encodes a notification. Throws what `JSON.stringify` throws, for values that are no JSON.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeNotification = (method: string, params: unknown, extra?: Record<string, unknown>): string =>
  `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${members(params, extra)}}`

const members = (params: unknown, extra: Record<string, unknown> | undefined): string => {
  let text = params === undefined ? "" : `,"params":${JSON.stringify(params)}`
  if (extra !== undefined) {
    for (const key of Object.keys(extra)) text += `,${JSON.stringify(key)}:${JSON.stringify(extra[key])}`
  }
  return text
}

/**
 * Encodes a result; `undefined` becomes `null`, since an answer without result is none.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeResult = (id: string, result: unknown): string =>
  typeof result === "number" && Number.isFinite(result)
    ? `{"jsonrpc":"2.0","result":${Object.is(result, -0) ? "-0" : result},"id":${id}}`
    : `{"jsonrpc":"2.0","result":${JSON.stringify(result) ?? "null"},"id":${id}}`

/**
 * {@link encodeNotification} of parameters that are JSON text already, empty for none.
 *
 * @internal
 */
export const notificationOfText = (method: string, params: string): string =>
  `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${params === "" ? "" : `,"params":${params}`}}`

/**
 * {@link encodeResult} of a result that is JSON text already.
 *
 * @internal
 */
export const resultOfText = (id: string, result: string): string => `{"jsonrpc":"2.0","result":${result},"id":${id}}`

/**
 * Encodes an error.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeError = (id: string, error: ErrorObject): string =>
  `{"jsonrpc":"2.0","error":${
    JSON.stringify({ code: error.code, message: error.message, data: error.data })
  },"id":${id}}`

/**
 * Puts encoded messages into one frame.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeBatch = (messages: ReadonlyArray<string>): string => `[${messages.join(",")}]`
