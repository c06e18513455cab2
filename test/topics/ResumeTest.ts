import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Queue, Schedule, Schema, type Scope, Stream } from "effect"
import { Backplane } from "effect-wire/backplane"
import { Access } from "effect-wire/identity"
import { JsonRpcClient, JsonRpcServer } from "effect-wire/jsonrpc"
import { MemorySocket } from "effect-wire/socket"
import { Topic, Topics, TopicsClient } from "effect-wire/topics"
import { fromSocket } from "../jsonrpc/raw.ts"

export const Orders = Topic.make("orders", { payload: Schema.Int, history: { values: 100 } })
export const Level = Topic.state("level", { payload: Schema.Int, history: { values: 100 } })
export const Evens = Topic.make("evens", {
  payload: Schema.Int,
  parameters: Schema.Int,
  matches: (value, divisor) => value % divisor === 0,
  history: { values: 100 }
})
const topics = Topic.group(Orders, Level, Evens)

export type Service = Backplane.Backplane["Service"]

/** One process: ends with its scope. */
export const serve = Effect.fnUntraced(function*(
  backplane: Service,
  options?: Topics.Options,
  group: Topic.Group<Topic.Any> = topics
) {
  const context = yield* JsonRpcServer.layerSocketServer(Topics.Rpcs).pipe(
    Layer.provide(Topics.layerHandlers({ methods: Topics.Rpcs })),
    Layer.provideMerge(Layer.merge(Topics.layer(group, options), Layer.fresh(MemorySocket.layer))),
    Layer.provide(Access.layer),
    Layer.provide(Layer.succeed(Backplane.Backplane, backplane)),
    Layer.build,
    Effect.orDie
  )
  const memory = Context.get(context, MemorySocket.MemoryServer)
  return {
    topics: Context.get(context, Topics.Topics),
    memory,
    raw: Effect.suspend(() => fromSocket(memory.connect()))
  }
})
export type Server = Effect.Success<ReturnType<typeof serve>>

/** A socket that dials another server each time, and is cut after so many frames. */
const wandering = (servers: () => ReadonlyArray<Server>, next: () => number) => {
  const first = servers()[0]!.memory.connect()
  let current = first
  return {
    ...first,
    reader: Effect.suspend(() => {
      const all = servers()
      current = all[next() % all.length]!.memory.connect({ cutAfter: 2 + next() % 12 })
      return current.reader
    }),
    writer: Effect.suspend(() => current.writer)
  }
}

/** Numbers that follow from a seed alone. */
const numbers = (seed: number) => () => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
  return seed >> 8
}

export const client = (servers: () => ReadonlyArray<Server>, seed: number) =>
  JsonRpcClient.fromSocket(wandering(servers, numbers(seed)), { reconnect: Schedule.spaced("10 millis") })

/** What resuming promises, over any backplane; `make(n)` gives n processes that share one. */
export const suite = <R>(
  name: string,
  make: (processes: number) => Effect.Effect<ReadonlyArray<Service>, never, Scope.Scope | R>,
  test: (name: string, effect: Effect.Effect<void, unknown, Scope.Scope | R>) => void,
  pass: Effect.Effect<void>
) => {
  test(
    `values come once and in order, whatever is cut and to whichever server of the cluster it moves (${name})`,
    Effect.gen(function*() {
      const servers = yield* Effect.forEach(yield* make(2), (backplane) => serve(backplane))
      for (let seed = 1; seed <= 5; seed++) {
        const one = yield* client(() => servers, seed)
        const heard = yield* Queue.unbounded<TopicsClient.Event<number>>()
        for (const topic of [Orders, Level]) {
          yield* Effect.forkChild(
            Stream.runForEach(TopicsClient.eventsOf(one, topic), (event) => Queue.offer(heard, event)),
            { startImmediately: true }
          )
        }
        const subscribed = (topic: Topic.Any) =>
          Effect.forEach(servers, (server) => server.topics.subscribers(topic)).pipe(
            Effect.tap(pass),
            Effect.repeat({ until: (found) => found.flat().length > 0 })
          )
        yield* subscribed(Orders)
        yield* subscribed(Level)
        for (let i = 1; i <= 40; i++) {
          yield* servers[i % 2]!.topics.publish(Orders, seed * 1000 + i)
          yield* servers[i % 2]!.topics.publish(Level, -(seed * 1000 + i))
          if (i % 3 === 0) yield* pass
        }
        const orders: Array<number> = []
        const levels: Array<number> = []
        while (orders.at(-1) !== seed * 1000 + 40 || levels.at(-1) !== -(seed * 1000 + 40)) {
          const event = yield* Effect.raceFirst(Queue.take(heard), Effect.forever(pass))
          if (event._tag === "Missed") assert.fail(`seed ${seed}: missed ${JSON.stringify(event)}`)
          ;(event.value > 0 ? orders : levels).push(event.value)
        }
        assert.deepStrictEqual(orders, Array.from({ length: 40 }, (_, i) => seed * 1000 + i + 1), `seed ${seed}`)
        // the first is the one of the moment in which it was subscribed; what the other server published last may still be
        // on its way to this one then
        for (const [i, level] of levels.entries()) {
          if (i > 0) assert.isBelow(level, levels[i - 1]!, `seed ${seed}: ${levels.join(" ")}`)
        }
        const own = levels.filter((level) => level <= -seed * 1000)
        assert.deepStrictEqual(own, Array.from({ length: 40 }, (_, i) => -(seed * 1000 + i + 1)), `seed ${seed}`)
        yield* one.disconnect
      }
    })
  )

  test(
    `a server that starts later has the history, and a program that restarts goes on from its position (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const position = yield* Effect.scoped(Effect.gen(function*() {
        const server = yield* serve(a!)
        const one = yield* JsonRpcClient.fromSocket(server.memory.connect())
        yield* server.topics.publish(Level, 1)
        const [event] = yield* TopicsClient.eventsOf(one, Level).pipe(Stream.take(1), Stream.runCollect)
        yield* Effect.forEach([2, 3, 4], (n) => server.topics.publish(Level, n))
        return event?._tag === "Value" ? event.position : undefined
      }))
      assert.isDefined(position)
      const server = yield* serve(b!)
      const one = yield* JsonRpcClient.fromSocket(server.memory.connect())
      const events = yield* TopicsClient.eventsOf(one, Level, { from: position }).pipe(
        Stream.take(3),
        Stream.runCollect
      )
      assert.deepStrictEqual(events.map((event) => event._tag === "Value" && event.value), [2, 3, 4])
    })
  )

  test(
    `what is no longer kept is told as one gap, from where to where (${name})`,
    Effect.gen(function*() {
      const [a] = yield* make(1)
      const server = yield* serve(a!)
      const one = yield* JsonRpcClient.fromSocket(server.memory.connect())
      yield* Effect.forEach(Array.from({ length: 150 }), (_, i) => server.topics.publish(Orders, i + 1))
      yield* Effect.forEach(Array.from({ length: 150 }), (_, i) => server.topics.publish(Level, i + 1))
      // a server hears of what another connection published a little later
      yield* server.topics.last(Level).pipe(Effect.tap(pass), Effect.repeat({ until: (level) => level === 150 }))
      const peer = yield* server.raw
      yield* peer.send(
        JSON.stringify({ jsonrpc: "2.0", id: 1, method: "subscribe", params: { topic: "orders", positions: true } })
      )
      const { epoch, offset } = (yield* peer.takeJson).params
      assert.strictEqual(offset, 150)
      const hear = (topic: Topic.Topic<string, number>, from: TopicsClient.Position, count: number) =>
        TopicsClient.eventsOf(one, topic, { from }).pipe(Stream.take(count), Stream.runCollect)
      const [missed, ...values] = yield* hear(Orders, { epoch, offset: 20 }, 101)
      assert.deepStrictEqual(missed, {
        _tag: "Missed",
        count: 30,
        from: { epoch, offset: 20 },
        to: { epoch, offset: 50 }
      })
      assert.deepStrictEqual(
        values.map((event) => event._tag === "Value" && event.value),
        Array.from({ length: 100 }, (_, i) => i + 51)
      )
      const other = yield* hear(Level, { epoch: "of another time", offset: 7 }, 2)
      assert.strictEqual(other[0]?._tag, "Missed")
      assert.isTrue(other[1]?._tag === "Value" && other[1].value === 150)
    })
  )
}
