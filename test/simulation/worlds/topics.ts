/** Topics in a world: two servers on one backplane, a client of each, readers of a plain and of a state topic. */
import { Context, Effect, Layer, Schedule, Schema, Stream } from "effect"
import { JsonRpcClient, JsonRpcServer, Wire } from "effect-wire/jsonrpc"
import { History, Judge, Simulation, World } from "effect-wire/simulation"
import { Reconnect } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { known } from "./known.ts"

const News = Topic.make("news", { payload: Schema.Struct({ n: Schema.Int }) })
const Weather = Topic.state("weather", { payload: Schema.Struct({ n: Schema.Int }) })
const topics = { news: News, weather: Weather }

/** Numbers that are given once, in the whole world. */
class Numbers
  extends Context.Service<Numbers, { next: number }>()("effect-wire/test/simulation/worlds/topics/Numbers")
{}

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

const publisher = Simulation.node({
  layer: server,
  operations: { news: publishing("news"), weather: publishing("weather") },
  rest: Effect.gen(function*() {
    const service = yield* Topics.Topics
    return (yield* service.last(Weather))?.n ?? null
  })
})

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
      Layer.provide(JsonRpcClient.layerSocket({
        wire: Wire.rockets,
        reconnect: Reconnect.schedule,
        whileDisconnected: "wait"
      })),
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

interface Heard {
  readonly topic: string
  readonly reader: string
  readonly n: number | null
}

const readings = (history: History.History): ReadonlyMap<string, ReadonlyArray<Heard>> => {
  const map = new Map<string, Array<Heard>>()
  for (const { data } of History.notes(history, "heard") as ReadonlyArray<{ readonly data: Heard }>) {
    const list = map.get(data.reader)
    if (list === undefined) map.set(data.reader, [data])
    else list.push(data)
  }
  return map
}

const once = Judge.make(
  "nothing comes twice",
  "no publication arrives twice on one connection; after a reconnection the client passes over a state value that it knows",
  (history) => {
    for (const [reader, heard] of readings(history)) {
      const seen = new Set<number>()
      for (const { n } of heard) {
        if (n === null) continue
        if (seen.has(n)) return `${reader} heard ${n} twice`
        seen.add(n)
      }
    }
    return undefined
  }
)

/** For each publication those that some reader heard before it, without a gap in between or not. */
const orderOf = (history: History.History): ReadonlyMap<number, ReadonlySet<number>> => {
  const before = new Map<number, Set<number>>()
  for (const heard of readings(history).values()) {
    const seen: Array<number> = []
    for (const { n } of heard) {
      if (n === null) continue
      let set = before.get(n)
      if (set === undefined) before.set(n, set = new Set())
      for (const other of seen) set.add(other)
      seen.push(n)
    }
  }
  return before
}

const oneOrder = Judge.make(
  "one order",
  "the publications of one topic reach all subscribers, in all processes, in one order",
  (history) => {
    const before = orderOf(history)
    for (const [n, others] of before) {
      for (const other of others) {
        if (before.get(other)?.has(n) === true) {
          return `${other} came before ${n} for one reader, and after it for another`
        }
      }
    }
    return undefined
  }
)

const toldOrHeard = Judge.make(
  "what is lost is told",
  "what was published while a connection was open and read quickly enough arrives, or is told as a gap",
  (history) => {
    const before = orderOf(history)
    for (const [reader, heard] of readings(history)) {
      if (heard[0]?.topic !== "news") continue
      const all = new Set(heard.map(({ n }) => n))
      let last: number | undefined
      let isTold = false
      for (const { n } of heard) {
        if (n === null) {
          isTold = true
          continue
        }
        if (last !== undefined && !isTold) {
          for (const between of before.get(n)!) {
            if (!all.has(between) && before.get(between)!.has(last)) {
              return `${reader} heard ${last}, then ${n}: not ${between}, which came in between, and no word of it`
            }
          }
        }
        last = n
        isTold = false
      }
    }
    return undefined
  }
)

const sameWhenQuiet = Judge.make(
  "a state topic ends the same for all",
  "what was published while it was away is lost, except for the newest value of a state topic",
  (history) => {
    const rests = History.operations(history).filter(({ operation, outcome }) =>
      operation === "rest" && outcome === "Success"
    )
    const values = new Set(rests.map(({ value }) => value))
    return values.size < 2 ? undefined : rests.map(({ node, value }) => `${node}: ${value}`).join(", ")
  }
)

const shared = Layer.sync(Numbers, () => ({ next: 0 }))

const make = (name: string, preempt: boolean) =>
  Simulation.make({
    name,
    shared,
    nodes: { left: publisher, right: publisher, ann: clientOf("left"), bob: clientOf("right") },
    links: [["ann", "left"], ["bob", "right"]],
    faults: [
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
    ],
    defaults: [Judge.nothingHangs, Judge.noDefectsBut(known), Judge.nothingLeft],
    judges: [once, oneOrder, toldOrHeard, sameWhenQuiet],
    preempt,
    settle: "90 seconds"
  })

export const apps = {
  topics: make("Topics", false),
  preempted: make("Topics, preempted", true)
}
