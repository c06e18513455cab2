/**
 * @internal Payloads as they are kept, and back.
 */
import * as Option from "effect/Option"
import * as Message from "../Message.ts"
import { InvalidMessage, PayloadTooLarge } from "../MessageQueueError.ts"
import * as ExactJson from "./exactJson.ts"
import type { Encoded } from "./store.ts"

const encoder = new TextEncoder()
// `ignoreBOM`: a byte order mark is part of the text and comes back.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

export const contentTypes = ["application/json", "text/plain", "application/octet-stream"] as const

/** What is no JSON value, text that is no Unicode, and what has more bytes than `limit` is refused. */
export const encodePayload = (
  payload: Message.Payload,
  type: string | undefined,
  limit: number
): Encoded | InvalidMessage | PayloadTooLarge => {
  switch (payload._tag) {
    case "Json": {
      const text = ExactJson.textOf(payload) ?? stringify(payload.value)
      return text === undefined
        ? new InvalidMessage({ field: "payload", problem: "is no JSON value" })
        : within(limit, { kind: 0, type: type ?? contentTypes[0], data: text })
    }
    case "Text":
      return isWellFormed(payload.value)
        ? within(limit, { kind: 1, type: type ?? contentTypes[1], data: payload.value })
        : new InvalidMessage({ field: "payload", problem: "holds half of a surrogate pair" })
    case "Binary":
      // A copy, of a `Buffer` too: the caller may go on with its own.
      return within(limit, { kind: 2, type: type ?? contentTypes[2], data: new Uint8Array(payload.value) })
  }
}

const within = (limit: number, encoded: Encoded): Encoded | PayloadTooLarge => {
  const { data } = encoded
  // A character has at most three bytes.
  if (typeof data === "string" && data.length * 3 <= limit) return encoded
  const size = typeof data === "string" ? encoder.encode(data).length : data.length
  return size > limit ? new PayloadTooLarge({ limit, size }) : encoded
}

export const toText = (data: string | Uint8Array): string => typeof data === "string" ? data : decoder.decode(data)

export const toBytes = (data: string | Uint8Array): Uint8Array =>
  typeof data === "string" ? encoder.encode(data) : new Uint8Array(data)

/** `undefined` for what cannot be read: only a row that somebody else wrote is so. */
export const decodePayload = (kind: number, data: string | Uint8Array): Message.Payload | undefined => {
  switch (kind) {
    case 0: {
      return Option.getOrUndefined(decodeJson(toText(data)))
    }
    case 1:
      return Message.text(toText(data))
    case 2:
      return Message.binary(toBytes(data))
    default:
      return undefined
  }
}

const decodeJson = Option.liftThrowable(ExactJson.decode)

/**
 * `JSON.stringify` throws for cycles, bigints and too deep values, gives nothing for functions, and `null` for numbers that
 * JSON has not.
 */
const stringify = (value: unknown): string | undefined => {
  const text = Option.getOrUndefined(stringifyOption(value))
  return text !== undefined && text.includes("null") && ExactJson.hasNonFinite(value) ? undefined : text
}

const stringifyOption = Option.liftThrowable((value: unknown): string | undefined => JSON.stringify(value))

const isWellFormed = (text: string): boolean => !/[\uD800-\uDFFF]/u.test(text)
