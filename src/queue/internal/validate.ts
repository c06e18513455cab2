/**
 * @internal What a call may say, checked before anything is done.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Entry } from "../MessageQueue.ts"
import { fail, invalid, type MessageQueueError, PayloadTooLarge } from "../MessageQueueError.ts"
import { encodePayload } from "./payload.ts"
import type { Encoded, NewMessage } from "./store.ts"

type Checked<A> = Effect.Effect<A, MessageQueueError>

const nodeId = /^[0-9a-fA-F]{1,128}$/
const messageId = /^[0-9a-fA-F]{1,64}$/
/** Words travel as headers: printable ASCII, and no space at the ends, which HTTP takes away. */
const word = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/
const maxCause = 4096
/** The last millisecond that JavaScript's dates know. */
const maxTime = 8_640_000_000_000_000

export const isMessageId = (id: string): boolean => typeof id === "string" && messageId.test(id)

export const checkNode = (field: string, node: string): Checked<string> =>
  typeof node === "string" && nodeId.test(node)
    ? Effect.succeed(node)
    : invalid(field, "is no node id: 1 to 128 hexadecimal digits")

const optionalWord = (field: string, value: string | undefined): Checked<string | null> =>
  value === undefined
    ? Effect.succeed(null)
    : typeof value === "string" && word.test(value)
    ? Effect.succeed(value)
    : invalid(field, "is not 1 to 255 printable ASCII characters")

const integer = (field: string, value: number, min: number, max: number): Checked<number> =>
  Number.isInteger(value) && value >= min && value <= max
    ? Effect.succeed(value)
    : invalid(field, `is no integer from ${min} to ${max}`)

/** Milliseconds; `null` for a duration without end. */
export const checkDuration = (field: string, input: Duration.Input): Checked<number | null> =>
  Option.match(Duration.fromInput(input), {
    onNone: () => invalid(field, "is no duration"),
    onSome: (duration) => {
      const millis = Duration.toMillis(duration)
      return Duration.isFinite(duration) && millis < maxTime
        ? Effect.succeed(Math.max(0, Math.ceil(millis)))
        : millis > 0
        ? Effect.succeed(null)
        : invalid(field, "is no duration")
    }
  })

const finite = (field: string, input: Duration.Input): Checked<number> =>
  Effect.flatMap(
    checkDuration(field, input),
    (millis) => millis === null ? invalid(field, "has no end") : Effect.succeed(millis)
  )

export const toUtc = (at: DateTime.Utc | Date): DateTime.Utc => at instanceof Date ? DateTime.makeUnsafe(at) : at

const time = (field: string, at: DateTime.Utc | Date): Checked<number> => {
  const millis = at instanceof Date ? at.getTime() : at.epochMilliseconds
  return Number.isFinite(millis) && Math.abs(millis) <= maxTime
    ? Effect.succeed(Math.ceil(millis))
    : invalid(field, "is no valid time")
}

/** What was said about a failure, cut to a length that every store keeps. */
export const checkCause = (cause: string | undefined): string | null =>
  cause === undefined ? null : cause.slice(0, maxCause).replace(/[\0\uD800-\uDFFF]/gu, "\uFFFD")

export const checkPayload = (
  input: Entry["payload"],
  type: string | undefined,
  limit: number
): Checked<Encoded> =>
  Effect.flatMap(encodePayload(input, type), (encoded) =>
    encoded.bytes.length > limit
      ? fail(new PayloadTooLarge({ limit, size: encoded.bytes.length }))
      : Effect.succeed(encoded))

export const checkLimit = (field: string, value: number | undefined, otherwise: number): Checked<number> =>
  value === undefined ? Effect.succeed(otherwise) : integer(field, value, 1, 1000)

/** A message on its way in, or why it is none. */
export const checkEntry = Effect.fnUntraced(function*(
  entry: Entry,
  id: string,
  defaults: { readonly node: string; readonly maxTries: number; readonly maxPayload: number }
): Effect.fn.Return<NewMessage, MessageQueueError> {
  return {
    id,
    source: entry.source === undefined ? defaults.node : yield* checkNode("source", entry.source),
    destination: yield* checkNode("destination", entry.destination),
    topic: yield* optionalWord("topic", entry.topic),
    priority: entry.priority === undefined ? 0 : yield* integer("priority", entry.priority, -32_768, 32_767),
    orderingKey: yield* optionalWord("orderingKey", entry.orderingKey),
    deduplicationKey: yield* optionalWord("deduplicationKey", entry.deduplicationKey),
    deduplicationWindow: entry.deduplicationKey === undefined
      ? 0
      : yield* finite("deduplicationWindow", entry.deduplicationWindow ?? "5 minutes"),
    maxTries: entry.maxTries === undefined
      ? defaults.maxTries
      : yield* integer("maxTries", entry.maxTries, 1, 32_767),
    payload: yield* checkPayload(
      entry.payload,
      (yield* optionalWord("payloadType", entry.payloadType)) ?? undefined,
      defaults.maxPayload
    ),
    at: entry.at === undefined || entry.delay !== undefined ? null : yield* time("at", entry.at),
    delay: entry.delay === undefined ? null : yield* finite("delay", entry.delay)
  }
})
