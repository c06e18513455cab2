/**
 * Flows: a message that is pushed when others are done. Who waits is kept in the queue itself, so a flow goes on whatever
 * process ends; some process runs {@link layer}.
 *
 * It looks at what it waits for now and then; it is for work of seconds and more, not for the order of a stream, which is what
 * an `orderingKey` is for.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Message from "./Message.ts"
import * as MessageQueue from "./MessageQueue.ts"
import { invalid, type MessageQueueError } from "./MessageQueueError.ts"
import * as Queue from "./Queue.ts"

/**
 * A message that waits for others.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** What it waits for: 1 to 1,000 messages, by their ids. */
  readonly after: ReadonlyArray<string | { readonly id: string }>
  /**
   * What becomes of it when one of them dies or is removed: `stop` makes it a dead letter of the flows, which `redrive` brings
   * back; `go` counts what is dead or gone as done. Default `stop`.
   */
  readonly onDead?: "stop" | "go" | undefined
}

/** The queue where flows wait. */
const name = "flows"

const Flow = Schema.Struct({
  after: Schema.Array(Schema.String),
  go: Schema.Boolean,
  /** Milliseconds until the next look. */
  wait: Schema.Natural,
  /** The id of its first step, which all have in common; empty in the first. */
  key: Schema.String,
  entry: Schema.Struct({
    destination: Schema.String,
    payload: Schema.Json,
    options: Schema.Record(Schema.String, Schema.Json)
  })
})

class Stopped extends Schema.TaggedError<Stopped>("effect-wire/queue/QueueFlow/Stopped")("Stopped", {
  /** The message that it waited for in vain. */
  id: Schema.String,
  because: Schema.String
}) {
  override get message(): string {
    return `${this.id} is ${this.because}`
  }
}

const flows = Queue.make(name, { payload: Flow, error: Stopped })

const shortest = 100
const longest = 5000

/** What is kept of the options of a push: all but times, which begin when it is pushed. */
const kept = (entry: MessageQueue.Entry): Record<string, Schema.Json> =>
  Object.fromEntries(
    Object.entries(entry).flatMap(([key, value]) =>
      key === "payload" || key === "destination" || value === undefined
        ? []
        : key === "delay"
        ? [[key, Duration.toMillis(Duration.fromInputUnsafe(value as Duration.Input))]]
        : [[key, value as Schema.Json]]
    )
  )

/**
 * Pushes a message to a queue when others are done. Gives the id of the waiting step, which is another than the message will
 * have. `InvalidMessage` when there is nothing to wait for.
 *
 * **Details**
 *
 * It is pushed once. Its `delay` begins when it is pushed; `at` and a deduplication key of its own are not for flows.
 *
 * @category constructors
 * @since 0.2.0
 */
export const push = Effect.fnUntraced(function*<A, R>(
  queue: Queue.Target<A, R>,
  payload: A,
  options: Options & Omit<Queue.PushOptions, "at" | "deduplicationKey" | "deduplicationWindow">
): Effect.fn.Return<string, MessageQueueError, MessageQueue.MessageQueue | R> {
  const { after, onDead, ...push } = options
  const ids = Array.from(new Set(after.map((one) => typeof one === "string" ? one : one.id)))
  if (ids.length === 0 || ids.length > 1000) return yield* invalid("after", "is not 1 to 1,000 messages")
  const entry = yield* queue.entry(payload, push)
  const encoded = Message.payload(entry.payload)
  if (encoded._tag !== "Json") return yield* invalid("payload", "is no JSON")
  const { id } = yield* flows.push({
    after: ids,
    go: onDead === "go",
    wait: shortest,
    key: "",
    entry: { destination: entry.destination, payload: encoded.value, options: kept(entry) }
  })
  return id
})

/**
 * Moves flows on: pushes what has waited long enough. Runs until its scope closes; any number of processes may.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer: Layer.Layer<never, never, MessageQueue.MessageQueue> = Layer.effectDiscard(Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue

  /** How what is waited for stands. */
  const look = (id: string) =>
    Effect.map(queue.get(id), Option.match({ onNone: () => "gone" as const, onSome: (message) => message.status }))

  const step = Effect.fnUntraced(function*(flow: typeof Flow.Type, { message }: Queue.Attempt) {
    const key = flow.key === "" ? message.id : flow.key
    const left: Array<string> = []
    for (const id of flow.after) {
      const status = yield* look(id)
      if (status === "processed") continue
      if (status !== "dead" && status !== "gone") left.push(id)
      else if (!flow.go) return yield* Queue.permanent(new Stopped({ id, because: status }))
    }
    if (left.length > 0) {
      // The next step is another message: this one has not failed, it has been taken.
      return yield* flows.push({ ...flow, after: left, key, wait: Math.min(longest, flow.wait * 2) }, {
        delay: flow.wait,
        deduplicationKey: message.id,
        deduplicationWindow: "1 day"
      })
    }
    const { destination, options, payload } = flow.entry
    return yield* queue.push(destination, Message.json(payload), {
      ...options as MessageQueue.PushOptions,
      deduplicationKey: `flow ${key}`,
      deduplicationWindow: "1 day"
    })
  })

  yield* Effect.forkScoped(
    flows.consume((flow, attempt) => Effect.catchTag(step(flow, attempt), "MessageQueueError", Effect.die), {
      concurrency: 8
    }).pipe(Effect.tapError((error) => Effect.logError("QueueFlow: flows do not move any more", error.message)))
  )
}))
