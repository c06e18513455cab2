import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { MessageQueue, type MessageQueueError, Queue, SciroccoClient, SciroccoServer } from "effect-wire/queue"
import { HttpRouter } from "effect/http"
import { TestClock } from "effect/testing"
import { Clock, suite } from "../suite.ts"

const token = Redacted.make("a token")

/** A client, over real HTTP, of a server whose queue is in memory. */
const layer = SciroccoClient.layer({ url: "", token, node: "aa" }).pipe(
  Layer.provideMerge(
    HttpRouter.serve(SciroccoServer.layer({ token }), { disableLogger: true, disableListenLog: true })
  ),
  Layer.provide(Layer.fresh(MessageQueue.layerMemory())),
  Layer.provideMerge(Layer.fresh(NodeHttpServer.layerTest)),
  Layer.merge(Layer.succeed(Clock, {
    // What is on its way gets the time to arrive.
    advance: (duration) =>
      Effect.andThen(
        Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 3))),
        TestClock.adjust(duration)
      )
  }))
)

describe("SciroccoClient", () => {
  suite("HTTP", { layer, scirocco: true })

  it.effect("typed queues work over it under a hexadecimal name and carry the trace; other names are refused", () =>
    Effect.gen(function*() {
      const Jobs = Queue.make("af01", { payload: Schema.Struct({ id: Schema.BigInt }) })
      const queue = yield* MessageQueue.MessageQueue
      const pushed = yield* Jobs.push({ id: 7n }, { source: "aa" }).pipe(Effect.withSpan("order"))
      assert.match(pushed.headers?.["traceparent"] ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      const [delivery] = yield* Jobs.pullMany()
      assert.strictEqual(delivery!.payload.id, 7n)
      yield* queue.ack(delivery!.message)
      const refused = <A, R>(effect: Effect.Effect<A, MessageQueueError.MessageQueueError, R>) =>
        Effect.map(Effect.flip(effect), (error) => error.reason._tag)
      assert.strictEqual(yield* refused(Queue.make("jobs", { payload: Schema.Int }).push(1)), "InvalidMessage")
      assert.strictEqual(yield* refused(queue.pull("jobs")), "InvalidMessage")
      assert.strictEqual(yield* refused(queue.list({ node: "no hex" })), "InvalidMessage")
    }).pipe(Effect.provide(layer)))
})
