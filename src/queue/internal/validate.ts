/**
 * @internal What a call may say, checked before anything is done.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Message from "../Message.ts"
import { fail, invalid, InvalidMessage, type MessageQueueError, type PayloadTooLarge } from "../MessageQueueError.ts"
import { tooLarge } from "../QueueMetrics.ts"
import type { Entry } from "./messageQueueModel.ts"
import { encodePayload } from "./payload.ts"
import type { Encoded, NewMessage } from "./store.ts"

type Checked<A> = Effect.Effect<A, MessageQueueError>

/** Names that people choose; the Scirocco wire takes hexadecimal digits only. */
const nodeId = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/
const messageId = /^[0-9a-fA-F]{1,64}$/
/** Words travel as headers: printable ASCII, and no space at the ends, which HTTP takes away. */
const word = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/
const maxCause = 4096

export const isMessageId = (id: string): boolean => typeof id === "string" && messageId.test(id)

const isNode = (node: string): boolean => typeof node === "string" && nodeId.test(node)
const noNode = "is not 1 to 128 printable ASCII characters"

const isWord = (value: string): boolean => typeof value === "string" && word.test(value)
const noWord = "is not 1 to 255 printable ASCII characters"

export const checkNode = (field: string, node: string): Checked<string> =>
  isNode(node) ? Effect.succeed(node) : invalid(field, noNode)

/** The longest duration with an end: a thousand years. The last time: the end of the year 9999, as RFC 3339 has it. */
const maxMillis = 31_556_952_000_000
const maxTime = 253_402_300_799_999

/** Whole milliseconds; `null` for a duration without end, or why it is none. */
const toMillis = (input: Duration.Input): number | null | string => {
  if (typeof input === "number") {
    return Number.isNaN(input)
      ? "is no duration"
      : input === Infinity
      ? null
      : input > maxMillis
      ? "is longer than a thousand years"
      : Math.max(0, Math.ceil(input))
  }
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  return duration === undefined ? "is no duration" : toMillis(Duration.toMillis(duration))
}

/** Milliseconds; `null` for a duration without end. */
export const checkDuration = (field: string, input: Duration.Input): Checked<number | null> => {
  const millis = toMillis(input)
  return typeof millis === "string" ? invalid(field, millis) : Effect.succeed(millis)
}

export const toUtc = (at: DateTime.Utc | Date): DateTime.Utc => at instanceof Date ? DateTime.makeUnsafe(at) : at

/** What was said about a failure, cut to a length that every store keeps. */
export const checkCause = (cause: string | undefined): string | null =>
  cause === undefined ? null : cause.slice(0, maxCause).replace(/[\0\uD800-\uDFFF]/gu, "\uFFFD")

export const checkPayload = (
  input: Entry["payload"],
  type: string | undefined,
  limit: number
): Checked<Encoded> => {
  const encoded = encodePayload(Message.payload(input), type, limit)
  return "kind" in encoded ? Effect.succeed(encoded) : refuse(encoded)
}

/** Fails for this reason, and counts it where it is counted. */
const refuse = (reason: InvalidMessage | PayloadTooLarge): Checked<never> =>
  reason._tag === "PayloadTooLarge" ? Effect.andThen(Metric.update(tooLarge, 1), fail(reason)) : fail(reason)

export const checkLimit = (field: string, value: number | undefined, otherwise: number): Checked<number> =>
  value === undefined
    ? Effect.succeed(otherwise)
    : Number.isInteger(value) && value >= 1 && value <= 1000
    ? Effect.succeed(value)
    : invalid(field, "is no integer from 1 to 1000")

/** What is not said of an entry. */
export interface Defaults {
  readonly node: string
  readonly maxTries: number
  readonly maxPayload: number
}

/** A message on its way in, or why it is none. The first problem counts: every push comes through here. */
const parseEntry = (entry: Entry, defaults: Defaults): NewMessage | InvalidMessage | PayloadTooLarge => {
  let problem: InvalidMessage | undefined
  const wrong = (field: string, text: string): void => void (problem ??= new InvalidMessage({ field, problem: text }))
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
  const millis = (field: string, input: Duration.Input | undefined): number | null => {
    if (input === undefined) return null
    const millis = toMillis(input)
    if (typeof millis === "string") wrong(field, millis)
    else if (millis === null) wrong(field, "has no end")
    else return millis
    return 0
  }
  const time = (field: string, at: DateTime.Utc | Date | undefined): number | null => {
    if (at === undefined) return null
    const millis = at instanceof Date ? at.getTime() : at.epochMilliseconds
    if (!(Math.abs(millis) <= maxTime)) wrong(field, "is no time of the years up to 9999")
    return Math.ceil(millis)
  }
  const payloadType = word("payloadType", entry.payloadType)
  const message = {
    source: entry.source === undefined ? defaults.node : node("source", entry.source),
    destination: node("destination", entry.destination),
    topic: word("topic", entry.topic),
    priority: integer("priority", entry.priority, 0, -32_768, 32_767),
    orderingKey: word("orderingKey", entry.orderingKey),
    deduplicationKey: word("deduplicationKey", entry.deduplicationKey),
    deduplicationWindow: millis("deduplicationWindow", entry.deduplicationWindow) ?? 300_000,
    maxTries: integer("maxTries", entry.maxTries, defaults.maxTries, 1, 32_767),
    headers: entry.headers === undefined ? null : entry.headers,
    at: entry.delay === undefined ? time("at", entry.at) : null,
    delay: millis("delay", entry.delay)
  }
  if (message.headers !== null) checkHeaders(message.headers, wrong)
  if (problem !== undefined) return problem
  const value = Message.payload(entry.payload)
  const payload = encodePayload(value, payloadType ?? undefined, defaults.maxPayload)
  return "kind" in payload ? { ...message, payload, value } : payload
}

const maxHeaders = 4096

const checkHeaders = (headers: Readonly<Record<string, string>>, wrong: (field: string, problem: string) => void) => {
  let size = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!isWord(name) || typeof value !== "string" || /[\0\uD800-\uDFFF]/u.test(value)) {
      return wrong("headers", "are not printable names with text")
    }
    size += name.length + value.length
  }
  if (size > maxHeaders) wrong("headers", `have more than ${maxHeaders} characters`)
}

export const checkEntry = (entry: Entry, defaults: Defaults): Checked<NewMessage> => {
  const message = parseEntry(entry, defaults)
  return "_tag" in message ? refuse(message) : Effect.succeed(message)
}

/** All, or why one is none. */
export const checkEntries = (entries: ReadonlyArray<Entry>, defaults: Defaults): Checked<ReadonlyArray<NewMessage>> => {
  const messages: Array<NewMessage> = []
  for (const entry of entries) {
    const message = parseEntry(entry, defaults)
    if ("_tag" in message) return refuse(message)
    messages.push(message)
  }
  return Effect.succeed(messages)
}
