/**
 * @internal Payloads and errors of typed queues on their way through a queue.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Message from "../Message.ts"

export interface Codec<A, R> {
  /** Fails with what is wrong. */
  readonly encode: (value: A) => Effect.Effect<Message.Payload, string, R>
  readonly decode: (payload: Message.Payload) => Effect.Effect<A, string, R>
  readonly is: (value: unknown) => value is A
}

/** What a schema says is wrong, without the value, which may be long or secret: it stays with the message. */
const problemOf = (error: Schema.SchemaError): string => error.message

export const makeCodec = <A, R>(schema: Schema.Constraint): Codec<A, R> => {
  const json = Schema.toCodecJson(schema as Schema.Codec<A, unknown, R, R>)
  const encode = Schema.encodeEffect(json)
  const decode = Schema.decodeUnknownEffect(json)
  return {
    encode: (value) => Effect.mapBoth(encode(value), { onFailure: problemOf, onSuccess: Message.json }),
    decode: (payload) =>
      payload._tag === "Json"
        ? Effect.mapError(decode(payload.value), problemOf)
        : Effect.fail(`Expected JSON, got ${payload._tag === "Text" ? "text" : "bytes"}`),
    is: Schema.is(schema as Schema.Codec<A>)
  }
}

export interface ErrorCodec<E, R> {
  /** The words for a dead letter: the error as JSON, or what can be said of it. */
  readonly encode: (error: E) => Effect.Effect<string, never, R>
  readonly decode: (words: string | undefined) => Effect.Effect<Option.Option<E>, never, R>
}

export const makeErrorCodec = <E, R>(schema: Schema.Constraint): ErrorCodec<E, R> => {
  const json = Schema.fromJsonString(Schema.toCodecJson(schema as Schema.Codec<E, unknown, R, R>))
  const encode = Schema.encodeEffect(json)
  const decode = Schema.decodeUnknownEffect(json)
  return {
    encode: (error) => Effect.orElseSucceed(encode(error), () => String(error)),
    decode: (words) => words === undefined ? Effect.succeedNone : Effect.option(decode(words))
  }
}
