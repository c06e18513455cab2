/**
 * @internal A message as it is kept, made one as it is shown.
 */
import { randomBytesUnsafe } from "effect/crypto/SecureRandom"
import * as DateTime from "effect/DateTime"
import * as Hex from "effect/encoding/Hex"
import * as Message from "../Message.ts"
import { decodePayload, toBytes } from "./payload.ts"
import { type NewMessage, statusOf, type Stored } from "./store.ts"

/** What the ids of one queue begin with, so that those of two are not confused: 10 hexadecimal digits. */
export const makeMark = (): string => Hex.encode(randomBytesUnsafe(5))

const isMark = /^[0-9a-f]{10}$/

/** Ids of 24 hexadecimal digits, derived from the number of the message: they sort as the messages do. */
export const idOf = (mark: string, seq: number): string => mark + seq.toString(16).padStart(14, "0")

/** The number of an id, or `undefined` when it is none of this queue. */
export const seqOf = (mark: string, id: string): number | undefined => {
  if (id.length !== 24 || !isMark.test(mark) || !id.startsWith(mark)) return undefined
  const seq = Number.parseInt(id.slice(10), 16)
  return Number.isSafeInteger(seq) ? seq : undefined
}

/** The last millisecond that JavaScript's dates know; what a table says beyond it is shown as that. */
const maxTime = 8_640_000_000_000_000

const utc = (millis: number): DateTime.Utc =>
  DateTime.makeUnsafe(Math.min(maxTime, Math.max(-maxTime, Number.isNaN(millis) ? 0 : millis)))

type Writable<A> = { -readonly [K in keyof A]: A[K] }

const base = (mark: string, stored: Stored, payload: Message.Payload): Writable<Message.Message> => {
  const message: Writable<Message.Message> = {
    id: stored.formerId ?? idOf(mark, stored.seq),
    source: stored.source,
    destination: stored.destination,
    status: statusOf(stored.state),
    tries: stored.tries,
    maxTries: stored.maxTries,
    priority: stored.priority,
    payload,
    payloadType: stored.payloadType,
    createdAt: utc(stored.createdAt)
  }
  if (stored.topic !== null) message.topic = stored.topic
  if (stored.headers !== null) message.headers = stored.headers
  if (stored.orderingKey !== null) message.orderingKey = stored.orderingKey
  if (stored.deduplicationKey !== null) message.deduplicationKey = stored.deduplicationKey
  if (stored.stopKey) message.stopKey = true
  if (stored.updatedAt !== null) message.updatedAt = utc(stored.updatedAt)
  const scheduledAt = statusOf(stored.state) === "scheduled" ? stored.dueAt : stored.scheduledAt
  if (scheduledAt !== null) message.scheduledAt = utc(scheduledAt)
  if (stored.processingAt !== null) message.processingAt = utc(stored.processingAt)
  if (stored.finishedAt !== null && message.status === "processed") message.processedAt = utc(stored.finishedAt)
  if (stored.errorAt !== null) message.errorAt = utc(stored.errorAt)
  if (stored.error !== null) message.error = stored.error
  return message
}

/** What cannot be read is shown as its bytes. */
export const toMessage = (mark: string, stored: Stored): Message.Message =>
  base(
    mark,
    stored,
    decodePayload(stored.payloadKind, stored.payload) ?? Message.binary(toBytes(stored.payload))
  )

/** The message that was just pushed, with the payload as it was given. */
export const pushedMessage = (
  mark: string,
  entry: NewMessage,
  seq: number,
  createdAt: number,
  scheduledAt: number | null
): Message.Message => {
  const message: Writable<Message.Message> = {
    id: idOf(mark, seq),
    source: entry.source,
    destination: entry.destination,
    status: scheduledAt !== null && scheduledAt > createdAt ? "scheduled" : "pending",
    tries: 0,
    maxTries: entry.maxTries,
    priority: entry.priority,
    payload: entry.value,
    payloadType: entry.payload.type,
    createdAt: utc(createdAt)
  }
  if (entry.topic !== null) message.topic = entry.topic
  if (entry.headers !== null) message.headers = entry.headers
  if (entry.orderingKey !== null) message.orderingKey = entry.orderingKey
  if (entry.deduplicationKey !== null) message.deduplicationKey = entry.deduplicationKey
  if (entry.stopKey) message.stopKey = true
  if (scheduledAt !== null) message.scheduledAt = utc(scheduledAt)
  return message
}

/** A message in the hands of its puller, or `undefined` when its payload cannot be read. */
export const toDelivery = (mark: string, stored: Stored): Message.Delivery | undefined => {
  const payload = decodePayload(stored.payloadKind, stored.payload)
  if (payload === undefined) return undefined
  const message = base(mark, stored, payload) as Writable<Message.Delivery>
  message.lease = stored.dueAt === null
    ? { token: stored.token! }
    : { token: stored.token!, expiresAt: utc(stored.dueAt) }
  return message
}

/** Why a delivery became a dead letter instead. */
export const unreadable = "the payload cannot be read"
