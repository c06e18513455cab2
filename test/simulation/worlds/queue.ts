/** The queue in memory: producers, pullers that acknowledge, give back, forget or come too late. */
import { Effect, Option } from "effect"
import { MessageQueue } from "effect-wire/queue"
import { History, Judge, Simulation, World } from "effect-wire/simulation"

const operations = {
  push: Simulation.operation({
    weight: 4,
    input: (draw) => ({
      body: draw.int(0, 2 ** 40),
      key: draw.pick([undefined, undefined, "k", "l"]) ?? null,
      delay: draw.pick([0, 0, 500, 5000]),
      priority: draw.pick([0, 0, 5])
    }),
    run: ({ body, delay, key, priority }) =>
      Effect.gen(function*() {
        const queue = yield* MessageQueue.MessageQueue
        const message = yield* queue.push("a0", { value: body }, {
          ...key === null ? {} : { orderingKey: key },
          ...delay === 0 ? {} : { delay },
          ...priority === 0 || key !== null ? {} : { priority }
        })
        yield* World.note("pushed", { id: message.id, key, body })
        return message.id
      })
  }),
  work: Simulation.operation({
    weight: 4,
    input: (draw) => ({
      lease: draw.pick([100, 1000, 30_000]),
      takes: draw.pick([0, 0, 50, 500, 5000]),
      wait: draw.pick([0, 0, 2000]),
      then: draw.weighted([["ack" as const, 6], ["nack" as const, 2], ["release" as const, 1], ["forget" as const, 1]])
    }),
    run: ({ lease, takes, then, wait }) =>
      Effect.gen(function*() {
        const queue = yield* MessageQueue.MessageQueue
        const pulled = yield* queue.pull("a0", { lease, ...wait === 0 ? {} : { wait } })
        if (Option.isNone(pulled)) return "nothing"
        const delivery = pulled.value
        const { id } = delivery
        yield* World.note("pulled", { id, lease })
        yield* Effect.sleep(takes)
        if (then === "forget") return "forgot"
        yield* World.note("letting go", { id })
        yield* then === "ack" ? queue.ack(delivery) : then === "nack" ? queue.nack(delivery) : queue.release(delivery)
        yield* World.note(then, { id })
        return then
      })
  })
}

/** Everything that is left is worked on, when all is quiet. */
const rest = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  let idle = 0
  while (idle < 3) {
    const pulled = yield* queue.pull("a0", { lease: "1 minute", wait: "20 seconds" })
    if (Option.isNone(pulled)) {
      idle++
      continue
    }
    yield* World.note("pulled", { id: pulled.value.id, lease: 60_000 })
    yield* queue.ack(pulled.value)
    yield* World.note("ack", { id: pulled.value.id })
  }
  return yield* queue.counts({ node: "a0" })
})

const nothingLost = Judge.make(
  "confirmed is never lost",
  "a message that was pushed is delivered until it is acknowledged",
  (history) => {
    const acked = new Set(History.notes(history, "ack").map(({ data }) => data.id))
    const done = History.operations(history).some(({ operation, outcome }) =>
      operation === "rest" && outcome === "Success"
    )
    if (!done) return "the queue cannot be emptied"
    for (const { data } of History.notes(history, "pushed")) {
      if (!acked.has(data.id)) return `${data.id} (${data.body}) was pushed, and nobody ever acknowledged it`
    }
    return undefined
  }
)

const oneAck = Judge.make("no two holders acknowledge", "Only the present lease acknowledges", (history) => {
  const acked = new Set<string>()
  for (const { data } of History.notes(history, "ack")) {
    if (acked.has(data.id)) return `${data.id} was acknowledged twice`
    acked.add(data.id)
  }
  return undefined
})

const oneHolder = Judge.make(
  "a lease is one holder's",
  "a message is not delivered again before its lease has run out",
  (history) => {
    const until = new Map<string, number>()
    for (const event of history.events) {
      if (event._tag !== "Noted") continue
      const { id } = event.data
      if (event.kind === "pulled") {
        if ((until.get(id) ?? 0) > event.at + 1) {
          return `${id} was delivered again ${until.get(id)! - event.at} ms before its lease ended`
        }
        until.set(id, event.at + event.data.lease)
      } else if (event.kind === "letting go") until.delete(id)
    }
    return undefined
  }
)

const inOrder = Judge.make(
  "order per key",
  "Messages of one destination with the same key are delivered strictly in the order of their pushes",
  (history) => {
    const order = new Map<string, { readonly key: string; readonly n: number }>()
    let n = 0
    for (const { data } of History.notes(history, "pushed")) {
      if (data.key !== null) {
        order.set(data.id, { key: data.key, n: n++ })
      }
    }
    const acked = new Map<string, number>()
    for (const event of history.events) {
      if (event._tag !== "Noted" || event.kind !== "pulled") continue
      const place = order.get(event.data.id)
      if (place === undefined) continue
      const last = acked.get(place.key) ?? -1
      if (place.n < last) return `${event.data.id} of key ${place.key} was delivered after its successor`
      acked.set(place.key, place.n)
    }
    return undefined
  }
)

const judges = [nothingLost, oneAck, oneHolder, inOrder]

export const apps = {
  memory: Simulation.make({
    name: "Queue in memory",
    nodes: {
      node: Simulation.node({
        layer: MessageQueue.layerMemory({ maxTries: 1000 }),
        operations,
        rest,
        faults: ["pause", "sluggish"]
      })
    },
    judges,
    // what was pushed is noted in the order in which it was pushed
    preempt: false,
    settle: "2 minutes"
  })
}
