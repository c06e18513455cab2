/**
 * What the queue carries: messages, their payloads of three kinds, their statuses, and the deliveries that a puller gets.
 * The names follow the Scirocco wire (its headers `Scirocco-Node-Source`, `-Tries`, …) where that has a word.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The name of a node, who sends and who receives: 1 to 128 printable ASCII characters, no space at the ends. Over the Scirocco
 * wire hexadecimal digits only. Compared as text: `af` and `AF` are two nodes.
 *
 * @category schemas
 * @since 0.1.0
 */
export const NodeId = Schema.String.check(Schema.isPattern(/^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/))

/**
 * The id of a message: 24 lower-case hexadecimal digits, derived from its number in its queue. Ids of one queue sort in the
 * order of the pushes.
 *
 * @category schemas
 * @since 0.1.0
 */
export const MessageId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{1,64}$/))

/**
 * A payload that is a JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export class JsonPayload
  extends Schema.TaggedClass<JsonPayload>("effect-wire/queue/JsonPayload")("Json", { value: Schema.Json })
{}

/**
 * A payload that is text.
 *
 * @category models
 * @since 0.1.0
 */
export class TextPayload
  extends Schema.TaggedClass<TextPayload>("effect-wire/queue/TextPayload")("Text", { value: Schema.String })
{}

/**
 * A payload that is bytes.
 *
 * @category models
 * @since 0.1.0
 */
export class BinaryPayload
  extends Schema.TaggedClass<BinaryPayload>("effect-wire/queue/BinaryPayload")("Binary", { value: Schema.Uint8Array })
{}

/**
 * A payload comes back as what it was: JSON as a value, text as text, bytes as bytes.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Payload = Schema.Union([JsonPayload, TextPayload, BinaryPayload])

/**
 * @category models
 * @since 0.1.0
 */
export type Payload = JsonPayload | TextPayload | BinaryPayload

/**
 * What `push` accepts: a string is text, a `Uint8Array` is binary, every other value is JSON. {@link json} sends a string
 * as JSON.
 *
 * @category models
 * @since 0.1.0
 */
export type PayloadInput = Payload | string | Uint8Array | Schema.Json

/** Constructing a Schema class looks through the whole value; the queue does so once, when it writes it. */
const unchecked = <A extends object>(of: { readonly prototype: A }, fields: A): A =>
  Object.assign(Object.create(of.prototype), fields)

/**
 * A JSON payload, also for a JSON value that is a string.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = (value: Schema.Json): JsonPayload => unchecked(JsonPayload, { _tag: "Json", value })

/**
 * A text payload.
 *
 * @category constructors
 * @since 0.1.0
 */
export const text = (value: string): TextPayload => unchecked(TextPayload, { _tag: "Text", value })

/**
 * A binary payload.
 *
 * @category constructors
 * @since 0.1.0
 */
export const binary = (value: Uint8Array): BinaryPayload => unchecked(BinaryPayload, { _tag: "Binary", value })

/**
 * Makes a payload of what a program has: see {@link PayloadInput}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const payload = (input: PayloadInput): Payload =>
  input instanceof JsonPayload || input instanceof TextPayload || input instanceof BinaryPayload
    ? input
    : typeof input === "string"
    ? text(input)
    : input instanceof Uint8Array
    ? binary(input)
    : json(input as Schema.Json)

/**
 * Where a message stands.
 *
 * - `pending`: waits for a puller (or, with an ordering key, for its predecessor).
 * - `scheduled`: becomes pullable when its time comes; so does a message that was given back with a delay.
 * - `processing`: somebody holds its lease.
 * - `processed`: acknowledged; kept for the retention time.
 * - `dead`: given up, with the cause in `error`; `redrive` brings it back.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Status = Schema.Literals(["pending", "scheduled", "processing", "processed", "dead"])

/**
 * @category models
 * @since 0.1.0
 */
export type Status = typeof Status.Type

const fields = {
  id: MessageId,
  source: NodeId,
  destination: NodeId,
  status: Status,
  /** How many times it was pulled. */
  tries: Schema.Natural,
  /** After so many pulls without an acknowledgement the message is dead. */
  maxTries: Schema.Natural,
  /** Higher goes first; 0 unless said otherwise. */
  priority: Schema.Int,
  payload: Payload,
  /** The content type of the payload, or what the sender called it instead. */
  payloadType: Schema.String,
  createdAt: Schema.DateTimeUtc,
  topic: Schema.optionalKey(Schema.String),
  orderingKey: Schema.optionalKey(Schema.String),
  deduplicationKey: Schema.optionalKey(Schema.String),
  /** Whether its ordering key stops when it dies. */
  stopKey: Schema.optionalKey(Schema.Boolean),
  /** What travels with the payload, as the sender put it there. */
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  /** When the payload was last replaced. */
  updatedAt: Schema.optionalKey(Schema.DateTimeUtc),
  scheduledAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** When it was last pulled. */
  processingAt: Schema.optionalKey(Schema.DateTimeUtc),
  processedAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** When it last failed. */
  errorAt: Schema.optionalKey(Schema.DateTimeUtc),
  /** Why it last failed. */
  error: Schema.optionalKey(Schema.String)
}

/**
 * A message as it is stored. Times are the queue's own (of its database), not the sender's.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Message = Schema.Struct(fields)

/**
 * @category models
 * @since 0.1.0
 */
export interface Message extends Schema.Schema.Type<typeof Message> {}

/**
 * The right to work on a message until `expiresAt` (absent: without end). The token belongs to this one delivery: who
 * comes with another token is refused.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Lease = Schema.Struct({
  token: Schema.String,
  expiresAt: Schema.optionalKey(Schema.DateTimeUtc)
})

/**
 * @category models
 * @since 0.1.0
 */
export interface Lease extends Schema.Schema.Type<typeof Lease> {}

/**
 * A message in the hands of a puller, with its lease.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Delivery = Schema.Struct({ ...fields, lease: Lease })

/**
 * @category models
 * @since 0.1.0
 */
export interface Delivery extends Schema.Schema.Type<typeof Delivery> {}
