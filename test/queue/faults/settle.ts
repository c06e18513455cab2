import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { MessageQueue } from "effect-wire/queue"
import type { Crowd } from "./crowd.ts"

/**
 * Empties the queue, and then holds what the processes knew against what the database says. `kills`: they have done more than
 * that.
 */
export const settle = Effect.fnUntraced(function*(crowd: Crowd, kills: number) {
  const queue = yield* MessageQueue.MessageQueue
  const delivered = new Set<string>()
  while (true) {
    const deliveries = yield* queue.pullMany("bb", { max: 1000, wait: "1 second" })
    for (const delivery of deliveries) delivered.add(String(delivery.payload.value))
    yield* Effect.forEach(deliveries, (delivery) => queue.ack(delivery), { concurrency: "unbounded" })
    const counts = yield* queue.counts()
    if (counts.pending + counts.scheduled + counts.processing === 0) break
  }
  const stored: Array<string> = []
  let page = yield* queue.list({ limit: 1000 })
  while (true) {
    for (const message of page.messages) {
      assert.strictEqual(message.status, "processed")
      stored.push(String(message.payload.value))
    }
    if (page.cursor === undefined) break
    page = yield* queue.list({ limit: 1000, cursor: page.cursor })
  }
  const journal = yield* crowd.journal
  for (const message of journal.delivered) delivered.add(message)
  // Every message whose push was confirmed is there, was delivered, and is there once.
  assert.strictEqual(new Set(stored).size, stored.length, "a message is stored twice")
  for (const message of journal.pushed) {
    assert.isTrue(stored.includes(message), `${message} was pushed and is lost`)
    assert.isTrue(delivered.has(message), `${message} was pushed and never delivered`)
  }
  // No message was acknowledged by two holders.
  assert.strictEqual(
    new Set(journal.acknowledged).size,
    journal.acknowledged.length,
    "a message was acknowledged twice"
  )
  assert.isAbove(journal.pushed.length, kills)
  assert.isAbove(journal.acknowledged.length, kills / 2)
  return journal
})
