import { describe } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { JsonRpcTest } from "effect-wire/jsonrpc"
import { MessageQueue, QueueRpcs } from "effect-wire/queue"
import { layerTestClock, suite } from "./suite.ts"
import { typedSuite } from "./typedSuite.ts"

/** A queue over JSON-RPC, through the real encoding and a socket in memory. */
const layer = Layer.effect(
  MessageQueue.MessageQueue,
  Effect.map(
    JsonRpcTest.makeClient(QueueRpcs.QueueRpcs),
    (client) => QueueRpcs.fromRpcClient(client)
  )
).pipe(
  Layer.provide(QueueRpcs.layerHandlers),
  Layer.provide(MessageQueue.layerMemory()),
  Layer.merge(layerTestClock)
)

describe("QueueRpcs", () => {
  suite("JSON-RPC", { layer })
  typedSuite("JSON-RPC", { layer })
})
