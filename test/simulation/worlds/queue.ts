/**
 * The queue in memory, and on SQLite with crashes between any two statements: producers, pullers that acknowledge, give
 * back, forget or come too late.
 */
import { Clock, DateTime, Effect, Layer, Option } from "effect"
import * as NodeSqliteWorld from "effect-wire/node/NodeSqliteWorld"
import { type Message, MessageQueue } from "effect-wire/queue"
import { type Fault, History, Judge, Simulation, World } from "effect-wire/simulation"

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

const nothingLost = Judge.make(
  "confirmed is never lost",
  "a confirmed push is as durable as the database's commit",
  (history) => {
    // of an ack that a crash cut short nobody knows whether it holds
    const acked = new Set(
      History.notes(history, "letting go").flatMap(({ data }) => data.how === "ack" ? [data.id] : [])
    )
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

const onlyWhatWasPushed = Judge.make(
  "only what was pushed is delivered, with what it was pushed with",
  "a confirmed push is as durable as the database's commit",
  (history) => {
    const bodies = new Set(History.notes(history, "pushing").map(({ data }) => data.body))
    const ids = new Map(History.notes(history, "pushed").map(({ data }) => [data.id, data.body]))
    for (const { data } of History.notes(history, "pulled")) {
      if (!bodies.has(data.body)) return `${data.id} holds ${data.body}, which nobody pushed`
      if (ids.has(data.id) && ids.get(data.id) !== data.body) return `${data.id} holds ${data.body} of another`
    }
    return undefined
  }
)

const oneAck = Judge.make("no two holders acknowledge", "Only the present lease acknowledges", (history) => {
  const acked = new Set<string>()
  const newest = new Map<string, string>()
  const late = new Set<string>()
  for (const event of history.events) {
    if (event._tag !== "Noted") continue
    const { id, token } = event.data
    if (event.kind === "pulled") newest.set(id, token)
    else if (event.kind === "letting go" && newest.get(id) !== token) late.add(token)
    else if (event.kind === "ack") {
      if (acked.has(id)) return `${id} was acknowledged twice`
      if (late.has(token)) return `${id} was acknowledged by a holder whose lease another had by then`
      acked.add(id)
    }
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
    // one push was before another when it was confirmed before the other began
    const began = new Map<number, number>()
    const pushes = new Map<string, { readonly key: string; readonly began: number; readonly confirmed: number }>()
    const delivered = new Map<string, { readonly id: string; readonly began: number }>()
    const held = new Map<string, { readonly id: string; readonly until: number }>()
    for (const [index, event] of history.events.entries()) {
      if (event._tag !== "Noted") continue
      const group = pushes.get(event.data.id)?.key
      if (group !== undefined && event.kind === "pulled") {
        const before = held.get(group)
        if (before !== undefined && before.id !== event.data.id && before.until > event.at + 1) {
          return `${event.data.id} was delivered while ${before.id} of its key was held`
        }
        held.set(group, { id: event.data.id, until: event.at + event.data.lease })
      } else if (group !== undefined && event.kind === "letting go" && held.get(group)?.id === event.data.id) {
        held.delete(group)
      }
      const { body, id, key } = event.data
      if (event.kind === "pushing") began.set(body, index)
      else if (event.kind === "pushed" && key !== null) {
        pushes.set(id, { key, began: began.get(body)!, confirmed: index })
      } else if (event.kind === "pulled") {
        const push = pushes.get(id)
        if (push === undefined) continue
        const last = delivered.get(push.key)
        if (last !== undefined && push.confirmed < last.began) {
          return `${id} was delivered after ${last.id}, its successor`
        }
        if (last === undefined || push.began > last.began) delivered.set(push.key, { id, began: push.began })
      }
    }
    return undefined
  }
)

const judges = [nothingLost, onlyWhatWasPushed, oneAck, oneHolder, inOrder]

const make = (name: string, node: Simulation.Node<never>, faults?: ReadonlyArray<Fault.Kind>) =>
  Simulation.make({
    name,
    nodes: { node },
    judges,
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
