/**
 * The queue in memory, and on SQLite with crashes between any two statements: producers, pullers that acknowledge, give
 * back, forget or come too late.
 */
import { Clock, DateTime, Effect, Layer, Option } from "effect"
import * as NodeSqliteWorld from "effect-wire/node/NodeSqliteWorld"
import { type Message, MessageQueue } from "effect-wire/queue"
import { type Fault, QueueJudge, Simulation, World } from "effect-wire/simulation"

/** Notes that a delivery has come, and how long it is this holder's. */
const pulled = (delivery: Message.Delivery) =>
  Effect.gen(function*() {
    const { expiresAt } = delivery.lease
    const left = expiresAt === undefined ? 0 : DateTime.toEpochMillis(expiresAt) - (yield* Clock.currentTimeMillis)
    yield* World.note("pulled", {
      id: delivery.id,
      body: (delivery.payload.value as any)?.value,
      lease: Math.max(0, left),
      token: delivery.lease.token
    })
  })

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
        yield* World.note("pushing", { key, body })
        const message = yield* queue.push("a0", { value: body }, {
          ...key === null ? {} : { orderingKey: key },
          ...delay === 0 ? {} : { delay },
          ...priority === 0 || key !== null ? {} : { priority }
        })
        yield* World.note("pushed", { id: message.id, key, body })
        return message.id
      })
  }),
  /** Takes the newest or the oldest that nobody works on out of the queue. */
  remove: Simulation.operation({
    weight: 0.5,
    input: (draw) => draw.chance(0.5),
    run: (isNewest) =>
      Effect.gen(function*() {
        const queue = yield* MessageQueue.MessageQueue
        const { messages } = yield* queue.list({ node: "a0", status: "pending" })
        const found = isNewest ? messages.at(-1) : messages[0]
        if (found === undefined) return "nothing"
        yield* World.note("removing", { id: found.id })
        return yield* queue.remove(found.id)
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
        const found = yield* queue.pull("a0", { lease, ...wait === 0 ? {} : { wait } })
        if (Option.isNone(found)) return "nothing"
        const delivery = found.value
        const { id } = delivery
        yield* pulled(delivery)
        yield* Effect.sleep(takes)
        if (then === "forget") return "forgot"
        yield* World.note("letting go", { id, how: then, token: delivery.lease.token })
        yield* then === "ack" ? queue.ack(delivery) : then === "nack" ? queue.nack(delivery) : queue.release(delivery)
        yield* World.note(then, { id, token: delivery.lease.token })
        return then
      })
  })
}

/** Everything that is left is worked on, when all is quiet. */
const rest = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  let idle = 0
  while (idle < 3) {
    const found = yield* queue.pull("a0", { lease: "1 minute", wait: "20 seconds" })
    if (Option.isNone(found)) {
      idle++
      continue
    }
    const { id } = found.value
    yield* pulled(found.value)
    yield* World.note("letting go", { id, how: "ack", token: found.value.lease.token })
    yield* queue.ack(found.value)
    yield* World.note("ack", { id, token: found.value.lease.token })
  }
  return yield* queue.counts({ node: "a0" })
})

const make = (name: string, node: Simulation.Node<never>, faults?: ReadonlyArray<Fault.Kind>) =>
  Simulation.make({
    name,
    nodes: { node },
    judges: QueueJudge.all,
    // what is delivered is noted in the turn in which it is
    preempt: false,
    ...faults === undefined ? {} : { faults },
    settle: "2 minutes"
  })

const onDisk = (name: string, synchronous: "FULL" | "NORMAL") => {
  const faults: ReadonlyArray<Fault.Kind> = ["crash", "midway", "stop", "pause", "sluggish"]
  const layer = MessageQueue.layerSql({ maxTries: 1000 }).pipe(
    Layer.provide(NodeSqliteWorld.layer({ path: "queue.db", synchronous }))
  )
  return make(name, Simulation.node({ layer, operations, rest, faults }), faults)
}

export const apps = {
  memory: make(
    "Queue in memory",
    Simulation.node({
      layer: MessageQueue.layerMemory({ maxTries: 1000 }),
      operations,
      rest,
      faults: ["pause", "sluggish"]
    })
  ),
  sqlite: onDisk("Queue on SQLite", "FULL")
}

/** What the queue does not promise: with `NORMAL` a power failure takes what was confirmed. */
export const unsynced = onDisk("Queue on SQLite, not synced", "NORMAL")
