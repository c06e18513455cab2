/**
 * `queue`: looks into a message queue, and works on it by hand.
 */
import type * as Command from "effect/cli/Command"
import * as Prompt from "effect/cli/Prompt"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Message from "../../queue/Message.ts"
import { type Counts, type Held, MessageQueue } from "../../queue/MessageQueue.ts"
import type { MessageQueueError } from "../../queue/MessageQueueError.ts"
import type * as Configs from "./configs.ts"
import { Failure, usage } from "./failure.ts"
import * as Output from "./output.ts"
import { textOf, valueOf } from "./params.ts"
import * as Store from "./store.ts"

type Input<C extends Command.Command.Config> = Command.Command.Config.Infer<C>
type Queue = MessageQueue["Service"]

/** Runs on the queue of the command, with failures in words. */
const withQueue = <A, E, R>(
  input: Input<typeof Configs.store>,
  use: (queue: Queue) => Effect.Effect<A, E, R>
) =>
  Effect.flatMap(MessageQueue, use).pipe(
    Effect.catchTag("MessageQueueError" as never, (error: MessageQueueError) => Effect.fail(Store.ofQueue(error))),
    Effect.provide(Store.layer(input))
  ) as Effect.Effect<A, Exclude<E, MessageQueueError> | Failure, Exclude<R, MessageQueue> | FileSystem.FileSystem>

const encodeMessage = Schema.encodeSync(Schema.toCodecJson(Message.Message))
const encodeDelivery = Schema.encodeSync(Schema.toCodecJson(Message.Delivery))
const statuses = Message.Status.literals

const preview = ({ payload }: Message.Message): string => {
  const text = payload._tag === "Binary"
    ? `${payload.value.length} bytes`
    : payload._tag === "Text"
    ? payload.value
    : Output.compact(payload.value)
  const line = text.replaceAll(/\s+/g, " ")
  return line.length > 48 ? `${line.slice(0, 47)}…` : line
}

const time = (at: DateTime.Utc | undefined): string => at === undefined ? "" : DateTime.formatIso(at).slice(0, 19)

const rowOf = (message: Message.Message): ReadonlyArray<string> => [
  message.id,
  message.status,
  `${message.source} -> ${message.destination}`,
  `${message.tries}/${message.maxTries}`,
  time(message.scheduledAt ?? message.createdAt),
  message.error ?? preview(message)
]

const showMessage = (message: Message.Message, isJson: boolean) => Output.show(encodeMessage(message), isJson)

/** An original Scirocco server counts nothing: what it lists is counted. */
const countsOf = (queue: Queue, node: string | undefined) =>
  Effect.catchReason(queue.counts({ node }), "MessageQueueError", "Unsupported", () =>
    Effect.gen(function*() {
      const { messages } = yield* queue.list({ node, limit: 1000 })
      yield* Output.note(`counted among the ${messages.length} messages that the server lists`)
      return Object.fromEntries(
        statuses.map((status) => [status, messages.filter((message) => message.status === status).length])
      ) as Counts
    }))

/** @internal */
export const counts = (input: Input<typeof Configs.store>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      const found = yield* countsOf(queue, Option.getOrUndefined(input.node))
      yield* input.json
        ? Output.show(found, true)
        : Output.line(Output.table(statuses.map((status) => [status, String(found[status])])))
    }))

/** @internal */
export const list = (input: Input<typeof Configs.queueList>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      const { cursor, messages } = yield* queue.list({
        node: Option.getOrUndefined(input.node),
        status: Option.getOrUndefined(input.status),
        limit: input.limit,
        cursor: Option.getOrUndefined(input.cursor)
      })
      if (input.json) { for (const message of messages) yield* showMessage(message, true) }
      else if (messages.length > 0) yield* Output.line(Output.table(messages.map(rowOf)))
      if (cursor !== undefined) yield* Output.note(`there are more: --cursor ${cursor}`)
    }))

/** @internal */
export const show = (input: Input<typeof Configs.queueShow>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      const found = yield* queue.get(input.id, { node: Option.getOrUndefined(input.node) })
      if (Option.isSome(found)) return yield* showMessage(found.value, input.json)
      return yield* new Failure({
        kind: "NotFound",
        message: `there is no message ${input.id}`,
        tries: ["effect-wire queue list <store>", "--node, where only its nodes may see it"]
      })
    }))

const payloadOf = Effect.fnUntraced(function*(input: Input<typeof Configs.queuePush>) {
  if (input.binary) {
    if (!input.payload.startsWith("@")) return yield* usage("--binary goes with a file", "@file")
    const fs = yield* FileSystem.FileSystem
    const path = input.payload.slice(1)
    return Message.binary(
      yield* Effect.mapError(fs.readFile(path), () => usage(`the file ${path} cannot be read`))
    )
  }
  const text = yield* textOf(input.payload)
  if (input.text) return Message.text(text)
  const value = valueOf(text)
  return typeof value === "string" && value === text ? Message.text(text) : Message.json(value as Schema.Json)
})

/** @internal */
export const push = Effect.fnUntraced(function*(input: Input<typeof Configs.queuePush>) {
  const payload = yield* payloadOf(input)
  yield* withQueue(input, (queue) =>
    Effect.gen(function*() {
      const message = yield* queue.push(input.destination, payload, {
        source: Option.getOrUndefined(input.node),
        ...(input.delay > 0 ? { delay: input.delay } : undefined),
        topic: Option.getOrUndefined(input.topic),
        payloadType: Option.getOrUndefined(input.type),
        priority: Option.getOrUndefined(input.priority),
        orderingKey: Option.getOrUndefined(input.key),
        deduplicationKey: Option.getOrUndefined(input.deduplicate)
      })
      yield* input.json ? showMessage(message, true) : Output.line(message.id)
    }))
})

/** @internal */
export const pull = (input: Input<typeof Configs.queuePull>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      const deliveries = yield* queue.pullMany(input.destination, {
        max: input.max,
        wait: input.wait,
        lease: Option.getOrUndefined(input.lease)
      })
      for (const delivery of deliveries) {
        yield* Output.show(encodeDelivery(delivery), input.json)
        if (input.ack) yield* queue.ack(delivery)
      }
      if (deliveries.length > 0) return
      return yield* new Failure({ kind: "NotFound", message: `there is no message for ${input.destination} now` })
    }))

/** Deliveries as `pull --json` prints them, one a line. */
const heldOf = Effect.fnUntraced(function*(source: string) {
  const text = yield* textOf(source)
  return yield* Effect.forEach(text.split("\n").filter((line) => line.trim() !== ""), (line) => {
    const { destination, id, lease } = (valueOf(line) ?? {}) as Partial<Held>
    return typeof id !== "string" || typeof destination !== "string"
      ? Effect.fail(
        usage("this is nothing that pull printed", "effect-wire queue pull <store> <node> --json > held.json")
      )
      : Effect.succeed<Held>({ id, destination, ...(lease === undefined ? undefined : { lease }) })
  })
})

/** @internal */
export const ack = Effect.fnUntraced(function*(input: Input<typeof Configs.queueAck>) {
  const destination = Option.getOrUndefined(input.destination)
  const token = Option.getOrUndefined(input.token)
  if (destination === undefined && !/^(-$|@)/.test(input.id)) {
    return yield* usage(
      "the node that receives is missing",
      "effect-wire queue ack <store> <id> <node> --token <token>"
    )
  }
  const held = destination === undefined
    ? yield* heldOf(input.id)
    : [{ id: input.id, destination, ...(token === undefined ? undefined : { lease: { token } }) }]
  yield* withQueue(input, (queue) => Effect.forEach(held, (one) => queue.ack(one), { discard: true }))
})

/** @internal */
export const redrive = (input: Input<typeof Configs.queueRedrive>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      const count = yield* queue.redrive({
        node: Option.getOrUndefined(input.node),
        ...(input.ids.length === 0 ? undefined : { ids: input.ids })
      })
      yield* Output.show(input.json ? { redriven: count } : count, input.json)
    }))

const confirmed = Effect.fnUntraced(function*(question: string) {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) {
    return yield* usage("this removes messages for good", "--yes, where that is meant")
  }
  const sure = yield* Effect.catchTag(
    Prompt.run(Prompt.Confirm({ message: question, initial: false })),
    "QuitError",
    () => Effect.interrupt
  )
  if (!sure) return yield* Effect.interrupt
})

/** @internal */
export const clear = Effect.fnUntraced(function*(input: Input<typeof Configs.queueClear>) {
  if (!input.yes) {
    yield* confirmed(
      input.waiting ? "Remove all messages that wait?" : `Remove every message of ${input.store}, of everybody?`
    )
  }
  yield* withQueue(input, (queue) =>
    Effect.gen(function*() {
      const count = yield* input.waiting
        ? queue.removeAll({ node: Option.getOrUndefined(input.node) })
        : queue.clear
      yield* Output.show(input.json ? { removed: count } : count, input.json)
    }))
})

/** @internal */
export const watch = (input: Input<typeof Configs.queueWatch>) =>
  withQueue(input, (queue) =>
    Effect.gen(function*() {
      let last: Counts | undefined
      let printed = 0
      while (true) {
        const now = yield* countsOf(queue, Option.getOrUndefined(input.node))
        if (last === undefined || statuses.some((status) => now[status] !== last![status])) {
          const at = DateTime.formatIso(yield* DateTime.now)
          yield* Output.line(input.json ? Output.compact({ at, ...now }) : countsLine(at, now, last))
          last = now
          printed++
          if (Option.isSome(input.count) && printed >= input.count.value) return
        }
        yield* Effect.sleep(input.interval)
      }
    }))

const countsLine = (at: string, now: Counts, last: Counts | undefined): string => {
  const cells = statuses.map((status) => {
    const change = last === undefined ? 0 : now[status] - last[status]
    return `${status} ${now[status]}${change === 0 ? "" : ` (${change > 0 ? "+" : ""}${change})`}`
  })
  return `${Output.dim(at.slice(11, 23))}  ${cells.join("  ")}`
}
