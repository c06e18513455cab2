/**
 * Topics with a history in a world: two servers on one broker, clients that come back to either of them and go on where they
 * stopped, over lost connections, crashes and publications that the broker lost, announced twice or not at all.
 */
import { Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { type Fault, History, Judge, Simulation, TopicJudge, World } from "effect-wire/simulation"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { Socket } from "effect/socket"
import { known } from "./known.ts"
import { layerClient, Numbers } from "./shared.ts"

const payload = Schema.Struct({ n: Schema.Int })
const topics = {
  news: Topic.make("news", { payload, history: {} }),
  /** Few are kept: who is away for long is told of a hole. */
  short: Topic.make("short", { payload, history: { values: 3 } }),
  weather: Topic.state("weather", { payload, history: { values: 8 } })
}
type Name = keyof typeof topics
const names = Object.keys(topics) as ReadonlyArray<Name>

const server = JsonRpcServer.layerSocketServer(Topics.Rpcs, { wire: Wire.rockets }).pipe(
  Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
  Layer.provide(World.layerServer),
  Layer.provideMerge(Topics.layer(Topic.group(...Object.values(topics)))),
  Layer.provideMerge(Layer.effect(Numbers, Numbers)),
  Layer.provide(World.layerBackplane)
)

const publisher = Simulation.node({
  layer: server,
  operations: {
    publish: Simulation.operation({
      weight: 6,
      interruptible: false,
      input: (draw) => ({ name: draw.pick(names), times: draw.pick([1, 1, 1, 5]) }),
      run: ({ name, times }) =>
        Effect.gen(function*() {
          const numbers = yield* Numbers
          for (let i = 0; i < times; i++) yield* Topics.publish(topics[name], { n: ++numbers.next })
        })
    })
  }
})

class Client extends Context.Service<Client, {
  readonly remote: JsonRpcClient.Client
  /** Where the reader of each topic is. */
  readonly at: Map<Name, TopicsClient.Position>
}>()("effect-wire/test/simulation/worlds/history/Client") {}

/** Reads a topic from a position on, and notes everything. */
const read = (
  client: Client["Service"],
  name: Name,
  reader: string,
  from: TopicsClient.Position | undefined,
  at: (position: TopicsClient.Position) => void
) =>
  Effect.flatMap(
    World.World,
    ({ note }) =>
      Stream.runForEach(TopicsClient.eventsOf(client.remote, topics[name], { from }), (event) =>
        Effect.sync(() => {
          const to = event._tag === "Value" ? event.position : event.to
          note("heard", {
            topic: name,
            reader,
            n: event._tag === "Value" ? event.value.n : null,
            from: event._tag === "Missed" ? event.from ?? null : null,
            to: to ?? null
          })
          if (to !== undefined) at(to)
        }))
  )

/** Dials one server and the other by turns. */
const roaming = Effect.gen(function*() {
  const world = yield* World.World
  const sockets = [world.socket("left"), world.socket("right")]
  const writers = [yield* sockets[0]!.writer, yield* sockets[1]!.writer]
  let at = world.node === "ann" ? 1 : 0
  const writer = () => writers[at]!
  return Socket.make({
    reader: Effect.suspend(() => {
      at = 1 - at
      return sockets[at]!.reader
    }),
    writer: Effect.succeed({
      write: (chunk) => Effect.suspend(() => writer().write(chunk)),
      writeAll: (chunks) => Effect.suspend(() => writer().writeAll(chunks))
    })
  })
})

const client = Simulation.node({
  layer: Layer.effect(
    Client,
    Effect.gen(function*() {
      const client = { remote: yield* JsonRpcClient.JsonRpcClient, at: new Map<Name, TopicsClient.Position>() }
      const { node } = yield* World.World
      const numbers = yield* Numbers
      for (const name of names) {
        const reader = `${node}-${name}-${++numbers.next}`
        yield* Effect.suspend(() =>
          read(client, name, reader, client.at.get(name), (position) => client.at.set(name, position))
        ).pipe(Effect.retry(Schedule.spaced(200)), Effect.forkScoped)
      }
      return client
    })
  ).pipe(
    Layer.provideMerge(Layer.effect(Numbers, Numbers)),
    Layer.provide(layerClient),
    Layer.provide(Layer.effect(Socket.Socket, roaming))
  ),
  operations: {
    /** A program that goes on from where the other reader is or was, for a while. */
    resume: Simulation.operation({
      input: (draw) => ({
        name: draw.pick(names),
        millis: draw.pick([0, 1, 50, 2000]),
        back: draw.pick([0, 0, 1, 3])
      }),
      run: ({ back, millis, name }) =>
        Effect.gen(function*() {
          const client = yield* Client
          const numbers = yield* Numbers
          const { node, note } = yield* World.World
          const reader = `${node}-${name}-${++numbers.next}`
          const now = client.at.get(name)
          const from = now && { epoch: now.epoch, offset: Math.max(0, now.offset - back) }
          if (from !== undefined) note("resumes", { topic: name, reader, from })
          yield* read(client, name, reader, from, () => {}).pipe(Effect.timeoutOption(millis))
        })
    })
  },
  rest: Effect.map(Client, ({ at }) => names.map((name) => at.get(name) ?? null))
})

/** Whoever has heard anything of a topic ends where the others do. */
const ends = names.map((name, index) =>
  Judge.make(`readers of ${name} end at the same place`, TopicJudge.sameEnd.promise, (history) => {
    const offsets = History.operations(history).flatMap(({ operation, outcome, value }) =>
      operation === "rest" && outcome === "Success" && value[index] !== null ? [value[index].offset] : []
    )
    return new Set(offsets).size < 2 ? undefined : offsets.join(", ")
  })
)

const shared = Layer.sync(Numbers, () => ({ next: 0 }))

const kinds: ReadonlyArray<Fault.Kind> = [
  "cut",
  "close",
  "partition",
  "stall",
  "slow",
  "refuse",
  "crash",
  "stop",
  "pause",
  "jump",
  "backplane"
]

const make = (name: string, faults: ReadonlyArray<Fault.Kind>, preempt: boolean) =>
  Simulation.make({
    name,
    shared,
    nodes: { left: publisher, right: publisher, ann: client, bob: client },
    links: [["ann", "left"], ["ann", "right"], ["bob", "left"], ["bob", "right"]],
    faults,
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [TopicJudge.noHoles, TopicJudge.oneOrder, TopicJudge.once, ...ends],
    preempt,
    settle: "90 seconds"
  })

export const apps = {
  history: make("Topics with a history", kinds, false),
  preempted: make("Topics with a history, preempted", kinds, true),
  deaf: make("Topics with a history, servers that hear badly", ["cut", "crash", "pause", "backplane", "deaf"], false),
  emptied: make("Topics with a history, a broker that is emptied", ["cut", "crash", "emptied"], false)
}
