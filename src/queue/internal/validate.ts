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

export const isNode = (node: string): boolean => typeof node === "string" && nodeId.test(node)
export const noNode = "is not 1 to 128 printable ASCII characters"

const isWord = (value: string): boolean => typeof value === "string" && word.test(value)
const noWord = "is not 1 to 255 printable ASCII characters"

export const checkNode = (field: string, node: string): Checked<string> =>
  isNode(node) ? Effect.succeed(node) : invalid(field, noNode)

/** The longest duration with an end: a thousand years. The last time: the end of the year 9999, as RFC 3339 has it. */
const maxMillis = 31_556_952_000_000
const maxTime = 253_402_300_799_999
const noTime = "is no time of the years up to 9999"

/** Whole milliseconds; `null` for a duration without end, or why it is none. */
export const toMillis = (input: Duration.Input): number | null | string => {
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

export const isLimit = (value: number): boolean => Number.isInteger(value) && value >= 1 && value <= 1000
export const noLimit = "is no integer from 1 to 1000"

export const checkLimit = (field: string, value: number | undefined, otherwise: number): Checked<number> =>
  value === undefined
    ? Effect.succeed(otherwise)
    : isLimit(value)
    ? Effect.succeed(value)
    : invalid(field, noLimit)

/** What is not said of an entry. */
export interface Defaults {
  readonly node: string
  readonly maxTries: number
  readonly maxPayload: number
}

/** Why an entry is no message: the first problem counts. */
const problemOf = (
  entry: Entry,
  delay: number | null | string,
  window: number | null | string
): readonly [field: string, problem: string] | undefined => {
  const { deduplicationKey, destination, headers, maxTries, orderingKey, payloadType, priority, source, topic } = entry
  if (source !== undefined && !isNode(source)) return ["source", noNode]
  if (!isNode(destination)) return ["destination", noNode]
  if (topic !== undefined && !isWord(topic)) return ["topic", noWord]
  if (payloadType !== undefined && !isWord(payloadType)) return ["payloadType", noWord]
  if (orderingKey !== undefined && !isWord(orderingKey)) return ["orderingKey", noWord]
  if (entry.stopKey !== undefined && typeof entry.stopKey !== "boolean") return ["stopKey", "is no boolean"]
  if (entry.stopKey === true && orderingKey === undefined) return ["stopKey", "needs an ordering key"]
  if (deduplicationKey !== undefined && !isWord(deduplicationKey)) return ["deduplicationKey", noWord]
  if (priority !== undefined && !isInteger(priority, -32_768, 32_767)) {
    return ["priority", "is no integer from -32768 to 32767"]
  }
  if (maxTries !== undefined && !isInteger(maxTries, 1, 32_767)) return ["maxTries", "is no integer from 1 to 32767"]
  if (typeof delay === "string") return ["delay", delay]
  if (delay === null && entry.delay !== undefined) return ["delay", "has no end"]
  if (typeof window === "string") return ["deduplicationWindow", window]
  if (window === null) return ["deduplicationWindow", "has no end"]
  if (entry.delay === undefined && entry.at !== undefined && !(Math.abs(millisOf(entry.at)) <= maxTime)) {
    return ["at", noTime]
  }
  return headers === undefined ? undefined : problemOfHeaders(headers)
}

const isInteger = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max

/** Epoch milliseconds. */
export const checkTime = (field: string, at: DateTime.Utc | Date): Checked<number> =>
  Math.abs(millisOf(at)) <= maxTime ? Effect.succeed(Math.ceil(millisOf(at))) : invalid(field, noTime)

const millisOf = (at: DateTime.Utc | Date): number => at instanceof Date ? at.getTime() : at.epochMilliseconds

/** A message on its way in, or why it is none: every push comes through here. */
const parseEntry = (entry: Entry, defaults: Defaults): NewMessage | InvalidMessage | PayloadTooLarge => {
  const delay = entry.delay === undefined ? null : toMillis(entry.delay)
  const window = entry.deduplicationWindow === undefined ? 300_000 : toMillis(entry.deduplicationWindow)
  const problem = problemOf(entry, delay, window)
  if (problem !== undefined) return new InvalidMessage({ field: problem[0], problem: problem[1] })
  const value = Message.payload(entry.payload)
  const payload = encodePayload(value, entry.payloadType, defaults.maxPayload)
  if (!("kind" in payload)) return payload
  return {
    source: entry.source ?? defaults.node,
    destination: entry.destination,
    topic: entry.topic ?? null,
    priority: entry.priority ?? 0,
    orderingKey: entry.orderingKey ?? null,
    stopKey: entry.stopKey === true,
    deduplicationKey: entry.deduplicationKey ?? null,
    deduplicationWindow: window as number,
    maxTries: entry.maxTries ?? defaults.maxTries,
    payload,
    value,
    headers: entry.headers ?? null,
    at: entry.delay === undefined && entry.at !== undefined ? Math.ceil(millisOf(entry.at)) : null,
    delay: delay as number | null
  }
}

const maxHeaders = 4096

const problemOfHeaders = (
  headers: Readonly<Record<string, string>>
): readonly [field: string, problem: string] | undefined => {
  let size = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!isWord(name) || typeof value !== "string" || /[\0\uD800-\uDFFF]/u.test(value)) {
      return ["headers", "are not printable names with text"]
    }
    size += name.length + value.length
  }
  return size > maxHeaders ? ["headers", `have more than ${maxHeaders} characters`] : undefined
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
