import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Message from "../../queue/Message.ts"
import type { MessageQueue } from "../../queue/MessageQueue.ts"
import type { MessageQueueError } from "../../queue/MessageQueueError.ts"
import { type QueueMessage, Unable } from "./contract.ts"

type Queue = MessageQueue["Service"]

/** Characters of a payload in a list, and of one that is looked at alone. */
const [inList, alone] = [400, 262_144]
/** Messages that are looked at to find the nodes, a page at a time, and nodes that are counted. */
const [pages, pageSize, maxNodes] = [5, 100, 50]

const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ")

const shown = (message: Message.Message, length: number): typeof QueueMessage.Type => {
  const { payload } = message
  const text = payload._tag === "Binary"
    ? hex(payload.value.subarray(0, Math.ceil(length / 3)))
    : payload._tag === "Text"
    ? payload.value
    : JSON.stringify(payload.value)
  const details: Record<string, string> = {}
  if (message.topic !== undefined) details["topic"] = message.topic
  if (message.orderingKey !== undefined) details["ordering key"] = message.orderingKey
  if (message.deduplicationKey !== undefined) details["deduplication key"] = message.deduplicationKey
  for (const [name, value] of Object.entries(message.headers ?? {})) details[`header ${name}`] = value
  return {
    id: message.id,
    source: message.source,
    destination: message.destination,
    status: message.status,
    tries: message.tries,
    maxTries: message.maxTries,
    priority: message.priority,
    payloadType: message.payloadType,
    kind: payload._tag === "Binary" ? "bytes" : payload._tag === "Text" ? "text" : "json",
    payload: text.slice(0, length),
    size: payload._tag === "Binary" ? payload.value.length : text.length,
    error: message.error ?? null,
    createdAt: message.createdAt.epochMilliseconds,
    scheduledAt: message.scheduledAt?.epochMilliseconds ?? null,
    processingAt: message.processingAt?.epochMilliseconds ?? null,
    processedAt: message.processedAt?.epochMilliseconds ?? null,
    errorAt: message.errorAt?.epochMilliseconds ?? null,
    details
  }
}

const unable = (reason: string) => new Unable({ reason })

/** What a database says of itself is for the log, not for the page. */
const told = <A>(effect: Effect.Effect<A, MessageQueueError | Unable>): Effect.Effect<A, Unable> =>
  Effect.catchTag(effect, "MessageQueueError", ({ reason }) =>
    reason._tag === "QueueUnavailable"
      ? Effect.andThen(
        Effect.logError("Dashboard: the queue is not available", reason.message),
        unable("the queue is not available")
      )
      : unable(reason.message))

/** What is done to the queues of an app, by their names. */
export const make = (queues: ReadonlyMap<string, Queue>) => {
  const use = <A>(name: string, f: (queue: Queue) => Effect.Effect<A, MessageQueueError | Unable>) => {
    const queue = queues.get(name)
    return queue === undefined ? Effect.fail(unable(`there is no queue "${name}"`)) : told(f(queue))
  }
  const found = (queue: Queue, id: string) =>
    Effect.flatMap(
      queue.get(id),
      Option.match({
        onNone: () => Effect.fail(unable("the message is not there any more")),
        onSome: Effect.succeed
      })
    )
  return {
    counts: ({ node, queue }: { readonly queue: string; readonly node?: string }) =>
      use(queue, (queue) => queue.counts({ node })),
    list: ({ queue, ...options }: {
      readonly queue: string
      readonly node?: string
      readonly status?: Message.Status
      readonly cursor?: string
      readonly limit: number
    }) =>
      use(
        queue,
        (queue) =>
          Effect.map(queue.list({ ...options, limit: Math.min(options.limit, 200) }), ({ cursor, messages }) => ({
            messages: messages.map((message) => shown(message, inList)),
            cursor: cursor ?? null
          }))
      ),
    message: ({ id, queue }: { readonly queue: string; readonly id: string }) =>
      use(
        queue,
        (queue) => Effect.map(queue.get(id), (message) => Option.isNone(message) ? null : shown(message.value, alone))
      ),
    nodes: ({ queue }: { readonly queue: string }) =>
      use(queue, (queue) =>
        Effect.gen(function*() {
          const names = new Set<string>()
          let cursor: string | undefined
          let complete = false
          for (let i = 0; i < pages && !complete; i++) {
            const page = yield* queue.list({ limit: pageSize, cursor })
            for (const { destination } of page.messages) names.add(destination)
            cursor = page.cursor
            complete = cursor === undefined
          }
          if (names.size > maxNodes) complete = false
          const nodes = yield* Effect.forEach(
            Array.from(names).sort().slice(0, maxNodes),
            (node) => Effect.map(queue.counts({ node }), (counts) => ({ node, counts }))
          )
          return { complete, nodes }
        })),
    push: ({ delay, destination, payload, priority, queue }: {
      readonly queue: string
      readonly destination: string
      readonly payload: { readonly json: Schema.Json } | { readonly text: string }
      readonly delay?: number
      readonly priority?: number
    }) =>
      use(queue, (queue) => {
        const made = "json" in payload ? Message.json(payload.json) : Message.text(payload.text)
        return Effect.map(queue.push(destination, made, { delay, priority }), ({ id }) => id)
      }),
    pull: ({ node, queue }: { readonly queue: string; readonly node: string }) =>
      use(
        queue,
        (queue) => Effect.map(queue.pull(node), (delivery) => Option.isNone(delivery) ? null : delivery.value.id)
      ),
    redrive: ({ node, queue }: { readonly queue: string; readonly node?: string }) =>
      use(queue, (queue) => queue.redrive({ node })),
    reschedule: ({ delay, id, queue }: { readonly queue: string; readonly id: string; readonly delay: number }) =>
      use(queue, (queue) =>
        Effect.gen(function*() {
          const at = DateTime.addDuration(yield* DateTime.now, Math.max(0, delay))
          yield* queue.reschedule(id, at)
          return at.epochMilliseconds
        })),
    act: ({ action, id, queue }: {
      readonly queue: string
      readonly id: string
      readonly action: "ack" | "retry" | "reject" | "delete" | "redrive"
    }) =>
      use(queue, (queue) =>
        Effect.gen(function*() {
          const { destination, source } = yield* found(queue, id)
          const held = { id, destination }
          switch (action) {
            case "ack":
              return yield* queue.ack(held)
            case "retry":
              return yield* queue.nack(held, { cause: "given back by hand" })
            case "reject":
              return yield* queue.reject(held, { cause: "rejected by hand" })
            case "redrive":
              return (yield* queue.redrive({ ids: [id] })) > 0 ? undefined : yield* unable("the message is not dead")
            case "delete":
              return (yield* queue.remove(id, { node: source, anyStatus: true }))
                ? undefined
                : yield* unable("the message is not there any more")
          }
        }))
  }
}
