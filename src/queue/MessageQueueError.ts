/**
 * What can go wrong with a queue: one error, {@link MessageQueueError}, whose `reason` says which. Handle one reason with
 * `Effect.catchReason("MessageQueueError", "LeaseLost", …)`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The call itself is wrong: a node id that is not hexadecimal, a payload that is no JSON value, a key that is too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMessage
  extends Schema.TaggedError<InvalidMessage>("effect-wire/queue/MessageQueueError/InvalidMessage")("InvalidMessage", {
    field: Schema.String,
    problem: Schema.String
  })
{
  override get message(): string {
    return `${this.field}: ${this.problem}`
  }
}

/**
 * The payload has more bytes than the queue takes.
 *
 * @category errors
 * @since 0.1.0
 */
export class PayloadTooLarge
  extends Schema.TaggedError<PayloadTooLarge>("effect-wire/queue/MessageQueueError/PayloadTooLarge")(
    "PayloadTooLarge",
    { limit: Schema.Natural, size: Schema.optionalKey(Schema.Natural) }
  )
{
  override get message(): string {
    return `the payload is larger than ${this.limit} bytes`
  }
}

/**
 * The caller does not hold this message: its lease ran out, was given back, or never was. Somebody else may be working on
 * the message; what the caller asked for was not done.
 *
 * @category errors
 * @since 0.1.0
 */
export class LeaseLost
  extends Schema.TaggedError<LeaseLost>("effect-wire/queue/MessageQueueError/LeaseLost")("LeaseLost", {
    id: Schema.String
  })
{
  override get message(): string {
    return `the lease of message ${this.id} is lost`
  }
}

/**
 * There is no such message, or it is not in a state, or not of a node, for which the operation is allowed.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageNotFound
  extends Schema.TaggedError<MessageNotFound>("effect-wire/queue/MessageQueueError/MessageNotFound")(
    "MessageNotFound",
    { id: Schema.String }
  )
{
  override get message(): string {
    return `there is no message ${this.id} for which this is allowed`
  }
}

/**
 * The database or the connection to the server failed. With `uncertain`, the operation may have been done all the same:
 * a push may be repeated with the same deduplication key, an ack may be repeated as it is.
 *
 * @category errors
 * @since 0.1.0
 */
export class QueueUnavailable
  extends Schema.TaggedError<QueueUnavailable>("effect-wire/queue/MessageQueueError/QueueUnavailable")(
    "QueueUnavailable",
    {
      operation: Schema.String,
      uncertain: Schema.Boolean,
      /** Another process holds the database: nothing was done, and asking again later helps. */
      busy: Schema.optionalKey(Schema.Boolean),
      cause: Schema.Defect()
    }
  )
{
  override get message(): string {
    const cause = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `${this.operation} failed: ${cause}`
  }
}

/**
 * The server refuses the caller's token.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized
  extends Schema.TaggedError<Unauthorized>("effect-wire/queue/MessageQueueError/Unauthorized")("Unauthorized", {})
{
  override get message(): string {
    return "the server refuses the token"
  }
}

/**
 * The far end does not know this operation: the original Scirocco server has no `nack`, `extend`, `redrive` or counts.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unsupported
  extends Schema.TaggedError<Unsupported>("effect-wire/queue/MessageQueueError/Unsupported")("Unsupported", {
    operation: Schema.String
  })
{
  override get message(): string {
    return `the far end does not know ${this.operation}`
  }
}

/**
 * @category errors
 * @since 0.1.0
 */
export const Reason = Schema.Union([
  InvalidMessage,
  PayloadTooLarge,
  LeaseLost,
  MessageNotFound,
  QueueUnavailable,
  Unauthorized,
  Unsupported
])

/**
 * @category errors
 * @since 0.1.0
 */
export type Reason = typeof Reason.Type

/**
 * The error of every operation of a queue.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageQueueError
  extends Schema.TaggedError<MessageQueueError>("effect-wire/queue/MessageQueueError")("MessageQueueError", {
    reason: Reason
  })
{
  override get message(): string {
    return this.reason.message
  }
}

/**
 * Fails with this reason.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fail = (reason: Reason): Effect.Effect<never, MessageQueueError> =>
  Effect.fail(new MessageQueueError({ reason }))

/**
 * Fails with {@link InvalidMessage}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const invalid = (field: string, problem: string): Effect.Effect<never, MessageQueueError> =>
  fail(new InvalidMessage({ field, problem }))
