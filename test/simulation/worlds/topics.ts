/** Topics in a world: two servers on one backplane, a client of each, readers of a plain and of a state topic. */
import { Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { type Fault, Judge, Simulation, TopicJudge, World } from "effect-wire/simulation"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { known } from "./known.ts"
import { layerClient, Numbers } from "./shared.ts"

const News = Topic.make("news", { payload: Schema.Struct({ n: Schema.Int }) })
const Weather = Topic.state("weather", { payload: Schema.Struct({ n: Schema.Int }) })
const topics = { news: News, weather: Weather }

const services = Layer.mergeAll(
  Topics.layer(Topic.group(News, Weather)),
  Layer.effect(Numbers, Numbers)
).pipe(Layer.provide(World.layerBackplane))

const server = JsonRpcServer.layerSocketServer(Topics.Rpcs, { wire: Wire.rockets }).pipe(
  Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
  Layer.provide(World.layerServer),
  Layer.provideMerge(services)
)

const publishing = (name: "news" | "weather") =>
  Simulation.operation({
    weight: 3,
    interruptible: false,
    run: () =>
      Effect.gen(function*() {
        const numbers = yield* Numbers
        const n = ++numbers.next
        yield* Topics.publish(topics[name], { n })
        return n
      })
  })

const latest = Effect.gen(function*() {
  const service = yield* Topics.Topics
  return (yield* service.last(Weather))?.n ?? null
})

/** In the end all have the value that is published in the end, whatever the broker has lost before. */
const lastWord = Effect.gen(function*() {
  const { node } = yield* World.World
  if (node === "left") {
    yield* Topics.publish(Weather, { n: ++(yield* Numbers).next })
    yield* Effect.sleep("5 seconds")
  }
  return yield* latest
})

const publisherOf = (rest: typeof latest | typeof lastWord) =>
  Simulation.node({ layer: server, operations: { news: publishing("news"), weather: publishing("weather") }, rest })

class Client extends Context.Service<Client, { readonly remote: JsonRpcClient.Client; latest: number | null }>()(
  "effect-wire/test/simulation/worlds/topics/Client"
) {}

/** Reads a topic and notes everything; each reading has a name of its own. */
const read = (client: Client["Service"], name: "news" | "weather", isMain: boolean) =>
  Effect.gen(function*() {
    const world = yield* World.World
    const numbers = yield* Numbers
    const reader = `${world.node}-${++numbers.next}`
    world.note("reading", { topic: name, reader })
    yield* Stream.runForEach(TopicsClient.eventsOf(client.remote, topics[name]), (event) =>
      Effect.sync(() => {
        const n = event._tag === "Value" ? event.value.n : null
        world.note("heard", { topic: name, reader, n })
        if (isMain && name === "weather" && n !== null) client.latest = n
      })).pipe(Effect.ensuring(World.note("read", { reader })))
  })

const clientOf = (to: string) =>
  Simulation.node({
    layer: Layer.effect(
      Client,
      Effect.gen(function*() {
        const client = { remote: yield* JsonRpcClient.JsonRpcClient, latest: null as number | null }
        for (const name of ["news", "weather"] as const) {
          yield* Effect.forkScoped(Effect.retry(read(client, name, true), Schedule.spaced(200)))
        }
        return client
      })
    ).pipe(
      Layer.provideMerge(Layer.effect(Numbers, Numbers)),
      Layer.provide(layerClient),
      Layer.provide(World.layerSocket(to))
    ),
    operations: {
      /** A second reader, for a while. */
      look: Simulation.operation({
        input: (draw) => ({ name: draw.pick(["news", "weather"] as const), millis: draw.pick([0, 1, 50, 2000]) }),
        run: ({ millis, name }) =>
          Effect.flatMap(
            Client,
            (client) => read(client, name, false).pipe(Effect.timeoutOption(millis), Effect.asVoid)
          )
      })
    },
    rest: Effect.map(Client, ({ latest }) => latest)
  })

const shared = Layer.sync(Numbers, () => ({ next: 0 }))

const kinds: ReadonlyArray<Fault.Kind> = [
  "cut",
  "close",
  "partition",
  "stall",
  "slow",
  "refuse",
  "hang",
  "crash",
  "stop",
  "pause",
  "sluggish",
  "jump",
  "backplane"
]

const make = (
  name: string,
  faults: ReadonlyArray<Fault.Kind>,
  preempt: boolean,
  publisher = publisherOf(latest)
) =>
  Simulation.make({
    name,
    shared,
    nodes: { left: publisher, right: publisher, ann: clientOf("left"), bob: clientOf("right") },
    links: [["ann", "left"], ["bob", "right"]],
    faults,
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [TopicJudge.once, TopicJudge.oneOrder, TopicJudge.toldOrHeard(["news"]), TopicJudge.sameEnd],
    preempt,
    settle: "90 seconds"
  })

export const apps = {
  topics: make("Topics", kinds, false),
  preempted: make("Topics, preempted", kinds, true),
  deaf: make("Topics, servers that hear badly", ["cut", "crash", "pause", "backplane", "deaf"], false),
  emptied: make("Topics, a broker that is emptied", ["cut", "crash", "deaf", "emptied"], false, publisherOf(lastWord))
}
