/**
 * Messages for later: by delay, by time, in order by a key, and once by a deduplication key. The pull waits, and is answered
 * when a message's time has come.
 *
 * Run: npx tsx examples/queue-scheduled.ts
 * Prints: the second push of the reminder is the first message: true
 * Prints: urgent
 * Prints: in a second
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, DateTime, Duration, Effect, Layer, Option } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { MessageQueue } from "effect-wire/queue"

const node = "bb02"

const program = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  const start = yield* DateTime.now

  yield* queue.push(node, "in a second", { at: DateTime.add(start, { seconds: 1 }) })
  yield* queue.push(node, "in half a second", { delay: "500 millis" })
  yield* queue.push(node, "at once")
  yield* queue.push(node, "at once, but after the other urgent one", { priority: 1 })
  yield* queue.push(node, "urgent", { priority: 2 })
  const reminder = { deduplicationKey: "reminder for today", delay: "700 millis" } as const
  const first = yield* queue.push(node, "the one reminder of today", reminder)
  const second = yield* queue.push(node, "the one reminder of today", reminder)
  yield* Console.log(`the second push of the reminder is the first message: ${first.id === second.id}`)

  while (true) {
    const delivery = Option.getOrUndefined(yield* queue.pull(node, { wait: "1 second" }))
    if (delivery === undefined) break
    const seconds = DateTime.distance(start, yield* DateTime.now)
    yield* Console.log(delivery.payload.value)
    yield* Console.log(`  after ${Duration.format(seconds)}`)
    yield* queue.ack(delivery)
  }
})

program.pipe(
  Effect.provide(MessageQueue.layerSql().pipe(Layer.provide(NodeSqliteClient.layer({ filename: ":memory:" })))),
  NodeRuntime.runMain
)
