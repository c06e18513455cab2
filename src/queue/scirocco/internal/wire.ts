/**
 * @internal Messages as the Scirocco wire spells them: headers and a body, or an entry of a list.
 */
import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import * as Headers from "effect/http/Headers"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { membersOf, payloadOf, textOf } from "../../internal/exactJson.ts"
import { contentTypes, decodePayload } from "../../internal/payload.ts"
import * as Message from "../../Message.ts"

/** The kinds of payloads, by the number that the stores use. */
export const kinds = ["json", "text", "binary"] as const

/** The fields of a message that are times, with their names on the wire. */
const times = [
  ["createdAt", "created_time"],
  ["updatedAt", "update_time"],
  ["scheduledAt", "scheduled_time"],
  ["processingAt", "processing_time"],
  ["processedAt", "processed_time"],
  ["errorAt", "error_time"]
] as const

/** `node_source` is `scirocco-node-source`. */
const header = (name: string): string => `scirocco-${name.replaceAll("_", "-")}`

const kindOf = (payload: Message.Payload): (typeof kinds)[number] =>
  payload._tag === "Json" ? "json" : payload._tag === "Text" ? "text" : "binary"

/** Metadata by their names on the wire; those after `payload_type` are ours. Absent values are absent. */
const metadata = (message: Message.Message): Record<string, Schema.Json> => {
  const fields: Record<string, Schema.Json> = {
    node_source: message.source,
    node_destination: message.destination,
    status: message.status,
    tries: message.tries,
    payload_type: message.payloadType,
    payload_kind: kindOf(message.payload),
    priority: message.priority,
    max_tries: message.maxTries
  }
  if (message.topic !== undefined) fields["topic"] = message.topic
  if (message.orderingKey !== undefined) fields["ordering_key"] = message.orderingKey
  if (message.stopKey === true) fields["stop_key"] = true
  if (message.deduplicationKey !== undefined) fields["deduplication_key"] = message.deduplicationKey
  if (message.headers !== undefined) fields["headers"] = message.headers
  if (message.error !== undefined) fields["error"] = message.error
  for (const [field, name] of times) {
    const time = message[field]
    if (time !== undefined) fields[name] = DateTime.formatIso(time)
  }
  return fields
}

/**
 * An answer whose headers of this wire are spelled as the original spells them: `Scirocco-Node-Source`. HTTP ignores the case
 * of names, the original's client does not: it takes every field for missing. All other names are left as they are.
 */
export const spell = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const headers: Record<string, string> = {}
  let isOurs = false
  for (const [name, value] of Object.entries(response.headers)) {
    const ours = name.startsWith("scirocco-")
    isOurs ||= ours
    headers[ours ? spelled(name) : name] = value
  }
  // The map of a response is taken over as it is when its cookies are replaced; every other way lower-cases it.
  return isOurs
    ? HttpServerResponse.replaceCookies({ ...response, headers: Headers.fromRecordUnsafe(headers) }, response.cookies)
    : response
}

const spelled = (name: string): string => name.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase())

export const toHeaders = (message: Message.Message | Message.Delivery): Record<string, string> => {
  const headers: Record<string, string> = { "scirocco-id": message.id }
  for (const [name, value] of Object.entries(metadata(message))) {
    headers[header(name)] = name === "error" || name === "headers" ? encoded(value) : String(value)
  }
  for (const [name, value] of Object.entries(leaseFields(message))) headers[header(name)] = value
  return headers
}

/** What is any text, or an object, as a header, which is printable ASCII. */
export const encoded = (value: Schema.Json): string =>
  encodeURIComponent(typeof value === "string" ? value : JSON.stringify(value))

/** An object of text, of a header or of a list; `undefined` for what is none. */
export const headersFrom = (value: unknown): Readonly<Record<string, string>> | undefined => {
  const object = typeof value === "string" ? Option.getOrUndefined(parseOption(decodeText(value))) : value
  return typeof object === "object" && object !== null && !Array.isArray(object) &&
      Object.values(object).every((one) => typeof one === "string")
    ? object as Readonly<Record<string, string>>
    : undefined
}

const leaseFields = (message: Message.Message | Message.Delivery): Record<string, string> =>
  "lease" in message
    ? {
      lease: message.lease.token,
      ...(message.lease.expiresAt === undefined ? {} : { lease_expires: DateTime.formatIso(message.lease.expiresAt) })
    }
    : {}

/** The body of an answer. A binary payload is a JSON string of its base64, but in the answer to its push it is itself. */
export const toBody = (
  payload: Message.Payload,
  raw: boolean
): { readonly bytes: Uint8Array; readonly contentType: string } => {
  switch (payload._tag) {
    case "Json":
      return { bytes: encoder.encode(jsonText(payload)), contentType: "application/json; charset=utf-8" }
    case "Text":
      return { bytes: encoder.encode(payload.value), contentType: "text/plain; charset=utf-8" }
    case "Binary":
      return raw
        ? { bytes: payload.value, contentType: contentTypes[2] }
        : {
          bytes: encoder.encode(JSON.stringify(Base64.encode(payload.value))),
          contentType: "application/json; charset=utf-8"
        }
  }
}

const encoder = new TextEncoder()

const jsonText = (payload: Message.JsonPayload): string => textOf(payload) ?? JSON.stringify(payload.value)

/** Fields and a payload as one JSON object; the digits of the payload's numbers are its sender's. */
const withPayload = (fields: Record<string, unknown>, payload: Message.Payload): string => {
  const value = payload._tag === "Json"
    ? jsonText(payload)
    : JSON.stringify(payload._tag === "Binary" ? Base64.encode(payload.value) : payload.value)
  return `${JSON.stringify(fields).slice(0, -1)},"payload":${value}}`
}

/** An entry of a list of messages. */
export const toListed = (message: Message.Message | Message.Delivery): string =>
  withPayload({ _id: message.id, ...metadata(message), ...leaseFields(message) }, message.payload)

/** An entry of a batch that is pushed. */
export const toEntry = (fields: Record<string, unknown>, payload: Message.Payload): string =>
  withPayload({ ...fields, payload_kind: kindOf(payload) }, payload)

/** A message of an answer's headers and body; `undefined` when they are none. `raw`: a binary body is the bytes. */
export const fromHeaders = (
  headers: { readonly [name: string]: string | undefined },
  body: Uint8Array,
  raw: boolean
): Message.Message | undefined => {
  const contentType = mediaType(headers["content-type"])
  const payload = decodeBody(headers["scirocco-payload-kind"], headers["scirocco-payload-type"], contentType, body, raw)
  const id = headers["scirocco-id"]
  if (payload === undefined || id === undefined) return undefined
  const error = headers["scirocco-error"]
  return fromFields(
    id,
    (name) => headers[header(name)],
    payload,
    error === undefined ? undefined : decodeText(error),
    headersFrom(headers["scirocco-headers"])
  )
}

/** The lease of an answer; the original server gives none, and then the id and the node have to do. */
export const leaseFrom = (headers: { readonly [name: string]: string | undefined }): Message.Lease =>
  leaseOf((name) => headers[header(name)])

const leaseOf = (field: (name: string) => string | undefined): Message.Lease => {
  const expires = parseTime(field("lease_expires"))
  return {
    token: field("lease") ?? "",
    ...(expires === undefined ? {} : { expiresAt: DateTime.makeUnsafe(expires) })
  }
}

/** The messages of a list, each with its lease where it has one; `undefined` where the text is no list of messages. */
export const fromList = (text: string): ReadonlyArray<Message.Delivery> | undefined => {
  const entries = Option.getOrUndefined(parseOption(text))
  const payloads = membersOf(text, "payload")
  if (!Array.isArray(entries) || payloads === undefined) return undefined
  const messages = entries.map((entry, index) => fromListed(entry, payloads[index]))
  return messages.every((message) => message !== undefined) ? messages : undefined
}

const parseOption = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const fromListed = (entry: unknown, json: string | undefined): Message.Delivery | undefined => {
  if (typeof entry !== "object" || entry === null) return undefined
  const fields = new Map<string, unknown>(Object.entries(entry))
  const text = (name: string): string | undefined => {
    const value = fields.get(name)
    return typeof value === "string"
      ? value
      : typeof value === "number" || typeof value === "boolean"
      ? String(value)
      : undefined
  }
  const id = text("_id")
  const value = fields.get("payload")
  const kind = kindFrom(text("payload_kind"), text("payload_type"), typeof value === "string" ? "" : contentTypes[0])
  const payload = kind === "json"
    ? json === undefined ? undefined : payloadOf(json)
    : typeof value !== "string"
    ? undefined
    : kind === "text"
    ? Message.text(value)
    : fromBase64(value)
  return id === undefined || payload === undefined || typeof payload === "string"
    ? undefined
    : { ...fromFields(id, text, payload, text("error"), headersFrom(fields.get("headers"))), lease: leaseOf(text) }
}

const statuses: ReadonlySet<string> = new Set(Message.Status.literals)

const fromFields = (
  id: string,
  field: (name: string) => string | undefined,
  payload: Message.Payload,
  error: string | undefined,
  headers: Readonly<Record<string, string>> | undefined
): Message.Message => {
  const optional = (name: string, key: string) => {
    const value = field(name)
    return value === undefined ? {} : { [key]: value }
  }
  const status = field("status") ?? ""
  const message: Record<string, unknown> = {
    id,
    source: field("node_source") ?? "",
    destination: field("node_destination") ?? "",
    status: statuses.has(status) ? status : "pending",
    tries: Number(field("tries") ?? 0),
    maxTries: Number(field("max_tries") ?? 0),
    priority: Number(field("priority") ?? 0),
    payload,
    payloadType: field("payload_type") ?? "",
    createdAt: DateTime.makeUnsafe(0),
    ...optional("topic", "topic"),
    ...optional("ordering_key", "orderingKey"),
    ...optional("deduplication_key", "deduplicationKey"),
    ...(field("stop_key") === "true" ? { stopKey: true } : {}),
    ...(headers === undefined ? {} : { headers }),
    ...(error === undefined ? {} : { error })
  }
  for (const [key, name] of times) {
    const time = parseTime(field(name))
    if (time !== undefined) message[key] = DateTime.makeUnsafe(time)
  }
  return message as unknown as Message.Message
}

const kindFrom = (kind: string | undefined, type: string | undefined, contentType: string): (typeof kinds)[number] => {
  if (kind === "json" || kind === "text" || kind === "binary") return kind
  const index = contentTypes.findIndex((one) => one === mediaType(type))
  return kinds[index] ??
    (contentType === contentTypes[0] ? "json" : contentType === contentTypes[2] ? "binary" : "text")
}

const decodeBody = (
  kind: string | undefined,
  type: string | undefined,
  contentType: string,
  body: Uint8Array,
  raw: boolean
): Message.Payload | undefined => {
  switch (kindFrom(kind, type, contentType)) {
    case "json":
      return decodePayload(0, body)
    case "text":
      return decodePayload(1, body)
    case "binary": {
      if (raw && contentType !== contentTypes[0]) return Message.binary(body)
      const text = decodePayload(0, body)?.value
      return typeof text === "string" ? fromBase64(text) : undefined
    }
  }
}

const fromBase64 = (text: string): Message.Payload | undefined =>
  Result.match(Base64.decode(text), { onFailure: () => undefined, onSuccess: Message.binary })

const decodeText = (text: string): string =>
  Option.getOrElse(Option.liftThrowable(decodeURIComponent)(text), () => text)

/** `Text/Plain; charset=x` is `text/plain`. */
export const mediaType = (contentType: string | undefined): string =>
  (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase()

/** The `charset` of a content type, in lower case and without quotes. */
export const charset = (contentType: string): string | undefined =>
  /;\s*charset\s*=\s*"?([^\s";]+)"?/i.exec(contentType)?.[1]?.toLowerCase()

/**
 * Epoch milliseconds of a time as people write it: ISO 8601 (without zone it is UTC), RFC 1123, JavaScript's
 * `Date.toString()`, epoch milliseconds. `undefined` for what is none of these.
 */
export const parseTime = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const trimmed = text.trim()
  const millis = /^-?\d{1,16}$/.test(trimmed)
    ? Number(trimmed)
    : iso.test(trimmed)
    ? isRealDate(trimmed) ? Date.parse(withZone(trimmed)) : NaN
    : rfc1123.test(trimmed) || dateToString.test(trimmed)
    ? Date.parse(trimmed)
    : NaN
  return Math.abs(millis) <= 8_640_000_000_000_000 ? millis : undefined
}

const iso = /^[+-]?\d{4,6}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?$/i
const rfc1123 = /^(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? (?:GMT|UTC?|Z|[+-]\d{4})$/
const dateToString = /^[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d{4}(?: \d\d:\d\d:\d\d GMT[+-]\d{4}(?: \([^()]*\))?)?$/

/** `Date.parse` takes 30 February for 1 March. */
const isRealDate = (text: string): boolean => {
  const match = /(\d{4})-(\d\d)-(\d\d)/.exec(text)!
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const days = month === 2
    ? (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28)
    : [4, 6, 9, 11].includes(month)
    ? 30
    : 31
  return month >= 1 && month <= 12 && day >= 1 && day <= days
}

/** `Date.parse` reads a time without zone as local. */
const withZone = (text: string): string => {
  const normal = text.replace(" ", "T").replace(",", ".").replace(/\s/g, "").replace(/([+-]\d\d)(\d\d)$/, "$1:$2")
  return !/T/i.test(normal) || /(?:Z|[+-]\d\d:\d\d)$/i.test(normal) ? normal : `${normal}Z`
}
