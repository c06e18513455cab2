/**
 * A topic with a history: connections are cut again and again, and each order is heard once, in order. Then the program
 * that hears them "restarts": it goes on from the position that it kept.
 *
 * Run it: npx tsx examples/topics-resume.ts
 * Prints: heard 1 to 30: 30 orders, once and in order, over more than one connection
 * Prints: after the restart: 31, 32, 33
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"

const Orders = Topic.make("orders", {
  payload: Schema.Struct({ number: Schema.Int }),
  history: { values: 1000, age: "10 minutes" }
})

const contract = Topics.Rpcs
const Server = JsonRpcServer.layerSocketServer(contract).pipe(
  Layer.provide(Topics.layerHandlers({ methods: contract })),
  Layer.provideMerge(Topics.layer(Topic.group(Orders))),
  Layer.provide(Backplane.layerMemory),
  Layer.provideMerge(MemorySocket.layer)
)

const program = Effect.gen(function*() {
  const topics = yield* Topics.Topics
  const memory = yield* MemorySocket.MemoryServer
  const publish = (from: number, to: number) =>
    Effect.forEach(
      Array.from({ length: to - from + 1 }, (_, i) => from + i),
      (number) => Effect.andThen(topics.publish(Orders, { number }), Effect.sleep("10 millis")),
      { discard: true }
    )

  const position = yield* Effect.scoped(Effect.gen(function*() {
    let connections = 0
    const client = yield* JsonRpcClient.fromSocket(memory.connect({ cutAfter: 8 }), {
      reconnect: Schedule.spaced("30 millis"),
      onConnect: () => Effect.sync(() => connections++)
    })
    yield* Effect.forkScoped(Effect.andThen(Effect.sleep("100 millis"), publish(1, 30)))
    const events = yield* TopicsClient.eventsOf(client, Orders).pipe(Stream.take(30), Stream.runCollect)
    const inOrder = events.every((event, i) => event._tag === "Value" && event.value.number === i + 1)
    yield* Console.log(
      `heard 1 to 30: ${events.length} orders, ${inOrder ? "once and in order" : "with holes"}, over ${
        connections > 1 ? "more than one connection" : "one connection"
      }`
    )
    const last = events[events.length - 1]
    return last?._tag === "Value" ? last.position : undefined
  }))

  // a program keeps it with what it has done, in the same transaction
  const kept = JSON.stringify(position)
  yield* publish(31, 33)

  const client = yield* JsonRpcClient.fromSocket(memory.connect())
  const events = yield* TopicsClient.eventsOf(client, Orders, { from: JSON.parse(kept) }).pipe(
    Stream.take(3),
    Stream.runCollect
  )
  const numbers = events.map((event) => event._tag === "Value" ? event.value.number : "missed")
  yield* Console.log(`after the restart: ${numbers.join(", ")}`)
})

program.pipe(Effect.scoped, Effect.provide(Server), NodeRuntime.runMain)
