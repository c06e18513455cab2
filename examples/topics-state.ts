/**
 * A state topic that survives reconnection: its connection is cut again and again, and the subscriber sees each value
 * that it should, the current one first, none twice. A plain topic beside it says that something may have been missed.
 *
 * Run it: npx tsx examples/topics-state.ts
 * Prints: clock:   (something may have been missed)
 * Prints: weather: 30
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"

const Weather = Topic.state("weather", { payload: Schema.Struct({ celsius: Schema.Finite }) })
const Clock = Topic.make("clock", { payload: Schema.Int })

const contract = Topics.Rpcs
const Server = JsonRpcServer.layerSocketServer(contract).pipe(
  Layer.provide(Topics.layerHandlers({ methods: contract })),
  Layer.provideMerge(Topics.layer(Topic.group(Weather, Clock))),
  Layer.provide(Backplane.layerMemory),
  Layer.provideMerge(MemorySocket.layer)
)

const program = Effect.gen(function*() {
  const topics = yield* Topics.Topics
  const memory = yield* MemorySocket.MemoryServer
  yield* topics.publish(Weather, { celsius: 18 })

  // every connection is lost after twelve frames, and made again a quarter of a second later
  const client = yield* JsonRpcClient.fromSocket(memory.connect({ cutAfter: 12 }), {
    reconnect: Schedule.spaced("250 millis")
  })
  yield* Effect.forkScoped(
    Stream.runForEach(client.status, (status) => Console.log("            connection:", status._tag))
  )
  yield* Effect.forkScoped(
    Stream.runForEach(
      TopicsClient.eventsOf(client, Weather),
      (event) => event._tag === "Value" ? Console.log("weather:", event.value.celsius) : Effect.void
    )
  )
  yield* Effect.forkScoped(
    Stream.runForEach(
      TopicsClient.eventsOf(client, Clock),
      (event) => Console.log("clock:  ", event._tag === "Value" ? event.value : "(something may have been missed)")
    )
  )

  for (let second = 1; second <= 12; second++) {
    yield* Effect.sleep("100 millis")
    yield* topics.publish(Clock, second)
    if (second % 4 === 0) yield* topics.publish(Weather, { celsius: 18 + second })
  }
  yield* Effect.sleep("400 millis")
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
