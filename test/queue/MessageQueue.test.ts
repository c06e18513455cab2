import { describe } from "@effect/vitest"
import { Layer } from "effect"
import { MessageQueue } from "effect-wire/queue"
import { layerTestClock, suite } from "./suite.ts"

describe("MessageQueue", () => {
  suite("memory", { layer: Layer.merge(MessageQueue.layerMemory(), layerTestClock) })
})
