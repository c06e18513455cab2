/**
 * @internal Several messages in one request: entries of a JSON list, with the names that fields have in `GET /messages`.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as ExactJson from "../../internal/exactJson.ts"
import * as Message from "../../Message.ts"
import type { Entry, Held } from "../../MessageQueue.ts"
import { invalid, refuse, type Refused } from "./body.ts"
import { headersFrom, kinds, parseTime } from "./wire.ts"

/** Most entries of one request. */
export const most = 1000

type Fields = ReadonlyMap<string, unknown>

/** The entries of a list, each as a map. */
const entriesOf = (text: string): Effect.Effect<ReadonlyArray<Fields>, Refused> => {
  const list = Option.getOrUndefined(parse(text))
  return Array.isArray(list) && list.length <= most &&
      list.every((entry) => typeof entry === "object" && entry !== null)
    ? Effect.succeed(list.map((entry) => new Map<string, unknown>(Object.entries(entry))))
    : invalid("body", `is no list of at most ${most} objects`)
}

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** What `POST /messageQueue/batch` pushes. */
export const readEntries = Effect.fnUntraced(function*(
  text: string,
  source: string,
  limits: readonly [json: number, text: number, binary: number]
): Effect.fn.Return<ReadonlyArray<Entry>, Refused> {
  const entries = yield* entriesOf(text)
  const payloads = ExactJson.membersOf(text, "payload") ?? []
  return yield* Effect.forEach(entries, (fields, index) => readEntry(fields, payloads[index], source, limits))
})

const readEntry = Effect.fnUntraced(function*(
  fields: Fields,
  payloadText: string | undefined,
  source: string,
  limits: readonly [json: number, text: number, binary: number]
): Effect.fn.Return<Entry, Refused> {
  const text = (name: string): Effect.Effect<string | undefined, Refused> => {
    const value = fields.get(name)
    return value === undefined || typeof value === "string" ? Effect.succeed(value) : invalid(name, "is no text")
  }
  const number = (name: string): Effect.Effect<number | undefined, Refused> => {
    const value = fields.get(name)
    return value === undefined || typeof value === "number" ? Effect.succeed(value) : invalid(name, "is no number")
  }
  const stopKey = fields.get("stop_key")
  if (stopKey !== undefined && typeof stopKey !== "boolean") return yield* invalid("stop_key", "is no boolean")
  const destination = yield* text("node_destination")
  if (destination === undefined) return yield* invalid("node_destination", "is required")
  const scheduled = yield* text("scheduled_time")
  const at = scheduled === undefined ? undefined : parseTime(scheduled)
  if (scheduled !== undefined && at === undefined) return yield* invalid("scheduled_time", "is no valid date")
  const headers = fields.get("headers")
  const own = headersFrom(headers)
  if (headers !== undefined && own === undefined) return yield* invalid("headers", "are no object of text")
  const kind = (yield* text("payload_kind")) ?? "json"
  return {
    source,
    destination,
    payload: yield* readPayload(kind, fields.get("payload"), payloadText, limits),
    payloadType: yield* text("payload_type"),
    topic: yield* text("topic"),
    headers: own,
    orderingKey: yield* text("ordering_key"),
    stopKey,
    deduplicationKey: yield* text("deduplication_key"),
    deduplicationWindow: yield* number("deduplication_window"),
    priority: yield* number("priority"),
    maxTries: yield* number("max_tries"),
    delay: yield* number("delay"),
    ...(at === undefined ? {} : { at: new Date(at) })
  }
})

const readPayload = (
  kind: string,
  value: unknown,
  json: string | undefined,
  limits: readonly [json: number, text: number, binary: number]
): Effect.Effect<Message.Payload, Refused> => {
  const limit = limits[kinds.findIndex((one) => one === kind)]
  if (limit === undefined || json === undefined) return invalid("payload", "is no payload of its kind")
  const within = (payload: Message.Payload, bytes: Uint8Array | string) =>
    (typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes).length > limit
      ? refuse(413, { message: "request entity too large", limit })
      : Effect.succeed(payload)
  if (kind === "json") {
    const payload = ExactJson.payloadOf(json)
    return typeof payload === "string"
      ? invalid("payload", payload === "number" ? "has a number that is too large" : "is no JSON")
      : within(payload, json)
  }
  if (typeof value !== "string") return invalid("payload", "is no text")
  if (kind === "text") return within(Message.text(value), value)
  return Result.match(Base64.decode(value), {
    onFailure: () => invalid("payload", "is no base64"),
    onSuccess: (bytes) => within(Message.binary(bytes), bytes)
  })
}

/** Whom `PATCH /messageQueue/ack` acknowledges. */
export const readHeld = (text: string, node: string): Effect.Effect<ReadonlyArray<Held>, Refused> =>
  Effect.flatMap(entriesOf(text), (entries) =>
    Effect.forEach(entries, (fields): Effect.Effect<Held, Refused> => {
      const id = fields.get("id")
      const token = fields.get("lease")
      return typeof id === "string" && (token === undefined || typeof token === "string")
        ? Effect.succeed({ id, destination: node, ...(token === undefined ? {} : { lease: { token } }) })
        : invalid("body", "has an entry without an id")
    }))
