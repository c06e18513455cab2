/**
 * @internal What a call may say, checked before anything is done.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type { Entry } from "../MessageQueue.ts"
import { fail, invalid, InvalidMessage, type MessageQueueError, PayloadTooLarge } from "../MessageQueueError.ts"
import { tooLarge } from "../QueueMetrics.ts"
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

const isNode = (node: string): boolean => typeof node === "string" && nodeId.test(node)
const noNode = "is no node id: 1 to 128 hexadecimal digits"

const isWord = (value: string): boolean => typeof value === "string" && word.test(value)
const noWord = "is not 1 to 255 printable ASCII characters"

export const checkNode = (field: string, node: string): Checked<string> =>
  isNode(node) ? Effect.succeed(node) : invalid(field, noNode)

/** Whole milliseconds; `null` for a duration without end, `undefined` for what is none. */
const toMillis = (input: Duration.Input): number | null | undefined => {
  if (typeof input === "number") {
    return Number.isNaN(input)
      ? undefined
      : input < maxTime
      ? Math.max(0, Math.ceil(input))
      : null
  }
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  return duration === undefined ? undefined : toMillis(Duration.toMillis(duration))
}

/** Milliseconds; `null` for a duration without end. */
export const checkDuration = (field: string, input: Duration.Input): Checked<number | null> => {
  const millis = toMillis(input)
  return millis === undefined ? invalid(field, "is no duration") : Effect.succeed(millis)
}

export const toUtc = (at: DateTime.Utc | Date): DateTime.Utc => at instanceof Date ? DateTime.makeUnsafe(at) : at

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
      ? Effect.andThen(Metric.update(tooLarge, 1), fail(new PayloadTooLarge({ limit, size: encoded.bytes.length })))
      : Effect.succeed(encoded))

export const checkLimit = (field: string, value: number | undefined, otherwise: number): Checked<number> =>
  value === undefined
    ? Effect.succeed(otherwise)
    : Number.isInteger(value) && value >= 1 && value <= 1000
    ? Effect.succeed(value)
    : invalid(field, "is no integer from 1 to 1000")

/** A message on its way in, or why it is none. Synchronous, and the first problem counts: every push comes through here. */
export const checkEntry = (
  entry: Entry,
  id: string,
  defaults: { readonly node: string; readonly maxTries: number; readonly maxPayload: number }
): Checked<NewMessage> => {
  const problems: Array<InvalidMessage> = []
  const wrong = (field: string, problem: string): void => void problems.push(new InvalidMessage({ field, problem }))
  const node = (field: string, value: string): string => {
    if (!isNode(value)) wrong(field, noNode)
    return value
  }
  const word = (field: string, value: string | undefined): string | null => {
    if (value === undefined) return null
    if (!isWord(value)) wrong(field, noWord)
    return value
  }
  const integer = (field: string, value: number | undefined, otherwise: number, min: number, max: number): number => {
    if (value === undefined) return otherwise
    if (!(Number.isInteger(value) && value >= min && value <= max)) wrong(field, `is no integer from ${min} to ${max}`)
    return value
  }
  const millis = (field: string, input: Duration.Input | undefined, otherwise: number | null): number | null => {
    if (input === undefined) return otherwise
    const millis = toMillis(input)
    if (millis === undefined) wrong(field, "is no duration")
    else if (millis === null) wrong(field, "has no end")
    return millis ?? 0
  }
  const time = (field: string, at: DateTime.Utc | Date | undefined): number | null => {
    if (at === undefined) return null
    const millis = at instanceof Date ? at.getTime() : at.epochMilliseconds
    if (!(Math.abs(millis) <= maxTime)) wrong(field, "is no valid time")
    return Math.ceil(millis)
  }
  const payloadType = word("payloadType", entry.payloadType)
  const message = {
    id,
    source: entry.source === undefined ? defaults.node : node("source", entry.source),
    destination: node("destination", entry.destination),
    topic: word("topic", entry.topic),
    priority: integer("priority", entry.priority, 0, -32_768, 32_767),
    orderingKey: word("orderingKey", entry.orderingKey),
    deduplicationKey: word("deduplicationKey", entry.deduplicationKey),
    deduplicationWindow: millis("deduplicationWindow", entry.deduplicationWindow, 300_000)!,
    maxTries: integer("maxTries", entry.maxTries, defaults.maxTries, 1, 32_767),
    at: entry.delay === undefined ? time("at", entry.at) : null,
    delay: millis("delay", entry.delay, null)
  }
  return problems.length > 0
    ? fail(problems[0]!)
    : Effect.map(checkPayload(entry.payload, payloadType ?? undefined, defaults.maxPayload), (payload) => ({
      ...message,
      payload
    }))
}
