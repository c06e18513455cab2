/**
 * A program on Effect's own `PersistedQueue`, moved to this library's queue by one layer: its code stays as it is, and its
 * failures become dead letters that can be read and brought back.
 *
 * Run: npx tsx examples/queue-persisted.ts
 * Prints: sent to ada@example.com at attempt 2
 * Prints: put aside: {"to":"nobody"} (no such mailbox)
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema } from "effect"
import { MessageQueue, PersistedQueueStore } from "effect-wire/queue"
import { PersistedQueue } from "effect/persistence"

const Mail = Schema.Struct({ to: Schema.String })

class NotSent extends Schema.TaggedError<NotSent>()("NotSent", { message: Schema.String }) {}

const program = Effect.gen(function*() {
  const mails = yield* PersistedQueue.make({
    name: "mails",
    schema: Mail,
    maxAttempts: 2,
    retrySchedule: Schedule.spaced("50 millis")
  })
  yield* mails.offer({ to: "ada@example.com" })
  yield* mails.offer({ to: "nobody" }, { id: "welcome nobody" })
  yield* mails.offer({ to: "nobody" }, { id: "welcome nobody" })
  const send = mails.take(({ to }, { attempts }) =>
    to === "nobody"
      ? Effect.fail(new NotSent({ message: "no such mailbox" }))
      : attempts === 1
      ? Effect.fail(new NotSent({ message: "try later" }))
      : Console.log(`sent to ${to} at attempt ${attempts}`)
  )
  yield* Effect.repeat(Effect.ignore(send), { times: 3 })
})

/** What only the new store can do. */
const deadLetters = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  for (const { error, payload } of (yield* queue.list({ node: "mails", status: "dead" })).messages) {
    const { element } = payload.value as { readonly element: unknown }
    yield* Console.log(`put aside: ${JSON.stringify(element)} (${/no such mailbox/.exec(error ?? "")})`)
  }
})

const Store = PersistedQueueStore.layer().pipe(Layer.provideMerge(MessageQueue.layerMemory()))

program.pipe(
  Effect.andThen(deadLetters),
  Effect.provide(PersistedQueue.layer.pipe(Layer.provideMerge(Store))),
  NodeRuntime.runMain
)
