/**
 * @internal What typed queues carry on its way through a queue: payloads, errors, progress and results.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Message from "../Message.ts"

/** Fails with what is wrong. */
export interface JsonCodec<A, R> {
  readonly encode: (value: A) => Effect.Effect<Schema.Json, string, R>
  readonly decode: (value: unknown) => Effect.Effect<A, string, R>
}

export interface PayloadCodec<A, R> {
  readonly encode: (value: A) => Effect.Effect<Message.Payload, string, R>
  readonly decode: (payload: Message.Payload) => Effect.Effect<A, string, R>
  readonly is: (value: unknown) => value is A
}

export interface ErrorCodec<E, R> {
  /** The words for a dead letter: the error as JSON, or what can be said of it. */
  readonly encode: (error: E) => Effect.Effect<string, never, R>
  readonly decode: (words: string | undefined) => Effect.Effect<Option.Option<E>, never, R>
}

/** All that a typed queue knows of its values. */
export interface Codecs<A, E, S, P, R> {
  readonly payload: PayloadCodec<A, R>
  readonly error: ErrorCodec<E, R>
  /** Absent where results are nobody's business. */
  readonly success: JsonCodec<S, R> | undefined
  readonly progress: JsonCodec<P, R>
}

const problemOf = (error: Schema.SchemaError): string => error.message

export const makeJsonCodec = <A, R>(schema: Schema.Constraint): JsonCodec<A, R> => {
  const json = Schema.toCodecJson(schema as Schema.Codec<A, unknown, R, R>)
  const encode = Schema.encodeEffect(json)
  const decode = Schema.decodeUnknownEffect(json)
  return {
    encode: (value) => Effect.mapError(encode(value), problemOf),
    decode: (value) => Effect.mapError(decode(value), problemOf)
  }
}

export const makePayloadCodec = <A, R>(schema: Schema.Constraint): PayloadCodec<A, R> => {
  const { decode, encode } = makeJsonCodec<A, R>(schema)
  return {
    encode: (value) => Effect.map(encode(value), Message.json),
    decode: (payload) =>
      payload._tag === "Json"
        ? decode(payload.value)
        : Effect.fail(`Expected JSON, got ${payload._tag === "Text" ? "text" : "bytes"}`),
    is: Schema.is(schema as Schema.Codec<A>)
  }
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
