import { NodeHttpServer } from "@effect/platform-node"
import { describe } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { MessageQueue, SciroccoClient, SciroccoServer } from "effect-wire/queue"
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
})
