/**
 * Subscribes to the topics of a server, as streams. A subscription survives the connection: where the client reconnects,
 * it is made again, a state topic gives its value anew if it changed meanwhile, and a plain topic says that something may
 * have been missed.
 *
 * Of a topic with a `history` nothing is missed: after a lost connection, a restart of the server or a move to another one
 * of its cluster each stream goes on where it stopped, every value once and in order. What is no longer kept is told as
 * one `Missed`, with the positions between which it was. A program that restarts itself goes on as well, from the position
 * of the last value that it has dealt with.
 *
 * **Example** (Going on after a restart of the program)
 *
 * ```ts
 * const orders = TopicsClient.events(Orders, { from: saved }).pipe(
 *   Stream.runForEach((event) => event._tag === "Value" ? handle(event.value, event.position) : repair(event))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Client, JsonRpcClient } from "../jsonrpc/JsonRpcClient.ts"
import type { JsonRpcError } from "../jsonrpc/JsonRpcError.ts"
import { TopicBuffer } from "./internal/topicBuffer.ts"
import type { Position } from "./internal/topicNotices.ts"
import { type Reader, type ReaderError, subscriberOf } from "./internal/topicSubscriber.ts"
import type * as Topic from "./Topic.ts"

/**
 * The server has no such topic for this caller, or took it away (`ended`) because the caller's rights changed.
 *
 * @category errors
 * @since 0.1.0
 */
export class TopicUnavailable extends Schema.TaggedError<TopicUnavailable>(
  "effect-wire/topics/TopicsClient/TopicUnavailable"
)("TopicUnavailable", { topic: Schema.String, ended: Schema.Boolean }) {
  override get message(): string {
    return this.ended
      ? `the subscription of topic "${this.topic}" was ended by the server`
      : `there is no topic "${this.topic}" for this caller`
  }
}

export type { Position } from "./internal/topicNotices.ts"

/**
 * What a subscriber hears: values, and between them how many it has missed, because it or the network was too slow, or
 * because the connection was lost (`count` is `undefined`: nobody knows how many). Of a topic with a history a value has
 * the `position` after it, and what was missed was published after `from`, up to and including `to`.
 *
 * @category models
 * @since 0.1.0
 */
export type Event<Value> =
  | { readonly _tag: "Value"; readonly value: Value; readonly position?: Position }
  | { readonly _tag: "Missed"; readonly count: number | undefined; readonly from?: Position; readonly to?: Position }

/**
 * @category models
 * @since 0.1.0
 */
export interface Options<Parameters> {
  /** Which values are wanted; all when absent. Evaluated by the server. */
  readonly parameters?: Parameters | undefined
  /**
   * Values kept for a reader that is slower than they come. Default 1,024; of a state topic without a history always the
   * newest only.
   */
  readonly capacity?: number | undefined
  /**
   * Goes on after this position, of a topic with a history: the first events are what came since, or a `Missed`. Default:
   * what comes from now on.
   */
  readonly from?: Position | undefined
  /**
   * While the caller's rights do not allow the topic: the stream fails with {@link TopicUnavailable}, or waits until a login
   * or another connection allows it, and goes on as after a lost connection. Default `"fail"`. Servers before 0.2, and
   * wires where a topic is asked for by its name alone, say nothing of rights that changed: there it waits for the next connection.
   */
  readonly whileUnavailable?: "fail" | "wait" | undefined
}

/**
 * Subscribes to a topic of a client's server. The first value of a state topic is its current one. The stream fails with
 * {@link TopicUnavailable}, or with a `JsonRpcError` when the client is closed or has lost its connection for good; when it ends
 * the server is told. Streams of the same topic share one subscription; each hears what its own parameters say. While the
 * client has no connection the stream waits for the next, whatever `whileDisconnected` says of calls.
 *
 * @category combinators
 * @since 0.1.0
 */
export const eventsOf = <Value, Parameters>(
  client: Client,
  topic: Topic.Topic<string, Value, Parameters>,
  options?: Options<Parameters>
): Stream.Stream<Event<Value>, JsonRpcError | TopicUnavailable> => {
  const { matches } = topic
  const wanted = options?.parameters
  const failed = (error: ReaderError): JsonRpcError | TopicUnavailable =>
    typeof error === "string" ? new TopicUnavailable({ topic: topic.name, ended: error === "ended" }) : error
  return Stream.unwrap(Effect.gen(function*() {
    const encodedParameters = wanted === undefined || matches === undefined
      ? undefined
      : yield* Effect.orDie(Schema.encodeUnknownEffect(Schema.toCodecJson(topic.parameters))(wanted))
    const isNewest = topic.kind === "state" && topic.history === undefined
    const buffer: Reader["buffer"] = new TopicBuffer(isNewest ? 1 : options?.capacity ?? 1024, !isNewest)
    const reader: Reader = {
      topic,
      parameters: encodedParameters,
      accepts: matches === undefined || wanted === undefined
        ? undefined
        : (value) => matches(value as Value, wanted),
      buffer,
      waits: options?.whileUnavailable === "wait",
      position: topic.history === undefined ? undefined : options?.from
    }
    const subscriber = subscriberOf(client)
    yield* Effect.acquireRelease(
      Effect.sync(() => subscriber.add(reader)),
      () => Effect.sync(() => subscriber.remove(reader))
    )
    const take = Effect.flatMap(buffer.take, (items) => {
      const events: Array<Event<Value>> = []
      for (const item of items) {
        if ("missed" in item) {
          const { from, missed, to } = item
          events.push({ _tag: "Missed", count: missed, ...(from && { from }), ...(to && { to }) })
          continue
        }
        const decoded = item.decoded as Exit.Exit<Value, JsonRpcError>
        if (Exit.isFailure(decoded)) {
          if (events.length === 0) return Effect.failCause(decoded.cause)
          buffer.abort(Exit.failCause(decoded.cause))
          break
        }
        const { position } = item
        events.push({ _tag: "Value", value: decoded.value, ...(position && { position }) })
      }
      return Effect.succeed(events as [Event<Value>, ...Array<Event<Value>>])
    })
    return Stream.fromPull(Effect.succeed(Effect.mapError(take, failed)))
  }))
}

/**
 * Subscribes to a topic by the `JsonRpcClient` of the environment; see {@link eventsOf}.
 *
 * @category combinators
 * @since 0.1.0
 */
export const events = <Value, Parameters>(
  topic: Topic.Topic<string, Value, Parameters>,
  options?: Options<Parameters>
): Stream.Stream<Event<Value>, JsonRpcError | TopicUnavailable, JsonRpcClient> =>
  Stream.unwrap(Effect.map(JsonRpcClient, (client) => eventsOf(client, topic, options)))

/**
 * Subscribes to a topic by the `JsonRpcClient` of the environment, and gives its values only: what was missed is passed
 * over. See {@link eventsOf} for all the rest.
 *
 * @category combinators
 * @since 0.1.0
 */
export const subscribe = <Value, Parameters>(
  topic: Topic.Topic<string, Value, Parameters>,
  options?: Options<Parameters>
): Stream.Stream<Value, JsonRpcError | TopicUnavailable, JsonRpcClient> =>
  events(topic, options).pipe(
    Stream.filter((event) => event._tag === "Value"),
    Stream.map((event) => event.value)
  )
