/**
 * @internal Payloads as bytes and back.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Message from "../Message.ts"
import { invalid, type MessageQueueError } from "../MessageQueueError.ts"
import * as ExactJson from "./exactJson.ts"
import type { Encoded } from "./store.ts"

const encoder = new TextEncoder()
// `ignoreBOM`: a byte order mark is part of the text and comes back.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

export const contentTypes = ["application/json", "text/plain", "application/octet-stream"] as const

/** Fails with `InvalidMessage` for what is no JSON value, or text that is no Unicode. */
export const encodePayload = (
  input: Message.PayloadInput,
  type: string | undefined
): Effect.Effect<Encoded, MessageQueueError> => {
  const payload = Message.payload(input)
  switch (payload._tag) {
    case "Json": {
      const text = ExactJson.textOf(payload) ?? stringify(payload.value)
      return text === undefined
        ? invalid("payload", "is no JSON value")
        : Effect.succeed({ kind: 0, type: type ?? contentTypes[0], bytes: encoder.encode(text) })
    }
    case "Text":
      return isWellFormed(payload.value)
        ? Effect.succeed({ kind: 1, type: type ?? contentTypes[1], bytes: encoder.encode(payload.value) })
        : invalid("payload", "holds half of a surrogate pair")
    case "Binary":
      return Effect.succeed({ kind: 2, type: type ?? contentTypes[2], bytes: payload.value.slice() })
  }
}

export const decodePayload = (kind: number, bytes: Uint8Array): Message.Payload =>
  kind === 0
    ? ExactJson.decode(decoder.decode(bytes))
    : kind === 1
    ? Message.text(decoder.decode(bytes))
    : Message.binary(new Uint8Array(bytes))

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
