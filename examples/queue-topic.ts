/**
 * One message to many: subscribers that have subscribed once get everything that is published, also what comes while they do
 * not run.
 *
 * Run: npx tsx examples/queue-topic.ts
 * Prints: published to 2 subscribers
 * Prints: billing: order 7, 12.50
 * Prints: shipping, started later: order 7, 12.50
 * Prints: shipping, started later: order 8, 99.00
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option, Schema } from "effect"
import { MessageQueue, QueueTopic } from "effect-wire/queue"

const Orders = QueueTopic.make("orders", {
  payload: Schema.Struct({ number: Schema.Int, total: Schema.String })
})

const work = (subscriber: string, label: string) =>
  Effect.gen(function*() {
    const queue = yield* MessageQueue.MessageQueue
    for (;;) {
      const delivery = Option.getOrUndefined(yield* Orders.queue(subscriber).pull())
      if (delivery === undefined) return
      yield* Console.log(`${label}: order ${delivery.payload.number}, ${delivery.payload.total}`)
      yield* queue.ack(delivery.message)
    }
  })

const program = Effect.gen(function*() {
  yield* Orders.subscribe("billing")
  yield* Orders.subscribe("shipping")
  const pushed = yield* Orders.publish({ number: 7, total: "12.50" }, { orderingKey: "orders" })
  yield* Console.log(`published to ${pushed.length} subscribers`)
  yield* work("billing", "billing")
  yield* Orders.unsubscribe("billing")
  yield* Orders.publish({ number: 8, total: "99.00" }, { orderingKey: "orders" })
  yield* work("shipping", "shipping, started later")
  yield* work("billing", "billing, which has left")
})

program.pipe(Effect.provide(MessageQueue.layerMemory()), NodeRuntime.runMain)
