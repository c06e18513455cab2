import { assert, it } from "@effect/vitest"
import {
  Array as Arr,
  Context,
  DateTime,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Option,
  Ref,
  Schedule,
  Stream
} from "effect"
import { Message, MessageQueue, MessageQueueError } from "effect-wire/queue"
import { TestClock } from "effect/testing"

/** Lets time pass, for the program and for the storage. */
export type Advance = (duration: Duration.Input) => Effect.Effect<void>

export interface Backend<R = never> {
  readonly layer: Layer.Layer<MessageQueue.MessageQueue | Clock, unknown, R>
  /** Over the Scirocco wire an operation is always in the name of a node. */
  readonly scirocco?: boolean
}

/** The clock of the storage under test. */
export class Clock extends Context.Service<Clock, {
  readonly advance: Advance
  /** Puts the clock back, where it is one that can be put back. */
  readonly back?: Advance
}>()("effect-wire/test/queue/suite/Clock") {}

export const layerTestClock = Layer.succeed(Clock, { advance: TestClock.adjust })

const a = "aa"
const b = "bb"

const reason = <A, R>(effect: Effect.Effect<A, MessageQueueError.MessageQueueError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const values = (messages: ReadonlyArray<Message.Message>) => messages.map((message) => message.payload.value)

const one = (node: string, options?: MessageQueue.PullOptions) =>
  MessageQueue.MessageQueue.use((queue) => Effect.flatMap(queue.pull(node, options), Effect.fromOption))

type RunTest<R> = (title: string, body: () => Effect.Effect<unknown, unknown, R>, timeout: number) => void

/** Makes the tests of one backend: each gets its queue, and how its time is moved. */
export const tester = <R>(name: string, layer: Backend<R>["layer"], run: RunTest<R>) =>
(
  title: string,
  body: (
    queue: MessageQueue.MessageQueue["Service"],
    advance: Advance
  ) => Effect.Effect<unknown, unknown, MessageQueue.MessageQueue>
) =>
  run(`${title} (${name})`, () =>
    Effect.gen(function*() {
      const queue = yield* MessageQueue.MessageQueue
      const { advance } = yield* Clock
      return yield* body(queue, advance)
    }).pipe(Effect.provide(layer)), 30_000)

/** Everything a queue promises, whatever keeps its messages. */
export const suite = <R = never>(
  name: string,
  { layer, scirocco = false }: Backend<R>,
  effect: RunTest<R> = it.effect as never
) => {
  const test = tester(name, layer, effect)

  test("a message goes through pending, processing and processed", (queue) =>
    Effect.gen(function*() {
      const pushed = yield* queue.push(b, { hello: "world" }, { source: a, topic: "greetings" })
      assert.strictEqual(pushed.status, "pending")
      assert.strictEqual(pushed.tries, 0)
      assert.match(pushed.id, /^[0-9a-f]{24}$/)
      const delivery = yield* one(b)
      assert.strictEqual(delivery.id, pushed.id)
      assert.strictEqual(delivery.source, a)
      assert.strictEqual(delivery.destination, b)
      assert.strictEqual(delivery.status, "processing")
      assert.strictEqual(delivery.tries, 1)
      assert.strictEqual(delivery.topic, "greetings")
      assert.deepStrictEqual(delivery.payload.value, { hello: "world" })
      assert.isTrue(delivery.processingAt !== undefined)
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* queue.ack(delivery)
      const message = yield* Effect.flatMap(queue.get(pushed.id, { node: b }), Effect.fromOption)
      assert.strictEqual(message.status, "processed")
      assert.isTrue(message.processedAt !== undefined)
    }))

  test("payloads come back as what they were", (queue) =>
    Effect.gen(function*() {
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
      const payloads: ReadonlyArray<Message.Payload> = [
        Message.json({ a: [1, null, true, "x", { "__proto__ ": 1 }], "ü": "😀" }),
        Message.json("a string as JSON"),
        Message.json(null),
        Message.json(0),
        Message.json([]),
        Message.text("plain \u0000 text, \ufeffwith '; DROP TABLE messages; -- and 😀\r\n"),
        Message.text(""),
        Message.text("{\"not\":\"json\"}"),
        Message.binary(bytes),
        Message.binary(new Uint8Array(0))
      ]
      for (const payload of payloads) {
        yield* queue.push(b, payload, { source: a })
        const delivery = yield* one(b)
        assert.strictEqual(delivery.payload._tag, payload._tag)
        assert.deepStrictEqual(delivery.payload.value, payload.value)
      }
    }))

  test("headers travel with a message, by push and by pushMany", (queue) =>
    Effect.gen(function*() {
      const headers = { traceparent: "00-0", "X-Any": "text: ü 😀", "a b": "x" }
      assert.deepStrictEqual((yield* queue.push(b, 1, { source: a, headers })).headers, headers)
      yield* queue.pushMany([{ destination: b, source: a, payload: 2, headers }, {
        destination: b,
        source: a,
        payload: 3
      }])
      const deliveries = yield* queue.pullMany(b)
      assert.deepStrictEqual(deliveries.map((one) => one.headers), [headers, headers, undefined])
      const [listed] = (yield* queue.list({ node: a })).messages
      assert.deepStrictEqual(listed?.headers, headers)
      assert.deepStrictEqual(Option.getOrThrow(yield* queue.get(listed!.id, { node: a })).headers, headers)
    }))

  test("oldest first, and higher priorities before lower", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany([
        { destination: b, source: a, payload: 1 },
        { destination: b, source: a, payload: 2, priority: 5 },
        { destination: b, source: a, payload: 3, priority: -5 },
        { destination: b, source: a, payload: 4, priority: 5 },
        { destination: b, source: a, payload: 5 },
        { destination: a, source: a, payload: "another node's" }
      ])
      assert.deepStrictEqual(values(yield* queue.pullMany(b, { max: 3 })), [2, 4, 1])
      assert.deepStrictEqual(values(yield* queue.pullMany(b)), [5, 3])
    }))

  test("pushMany adds all or none, in order, with ids that sort", (queue) =>
    Effect.gen(function*() {
      const pushed = yield* queue.pushMany(Arr.range(1, 50).map((payload) => ({ destination: b, source: a, payload })))
      assert.deepStrictEqual(values(pushed), Arr.range(1, 50))
      const ids = pushed.map((message) => message.id)
      if (!scirocco) assert.deepStrictEqual(ids, Array.from(ids).sort())
      assert.deepStrictEqual(yield* queue.pushMany([]), [])
      assert.strictEqual(
        yield* reason(
          queue.pushMany([{ destination: b, source: a, payload: 51 }, { destination: "ü", payload: 52 }])
        ),
        "InvalidMessage"
      )
      if (!scirocco) {
        assert.deepStrictEqual(values(yield* queue.pullMany(b, { max: 1000 })), Arr.range(1, 50))
      }
    }))

  test("a scheduled message waits for its time", (queue, advance) =>
    Effect.gen(function*() {
      const pushed = yield* queue.push(b, "later", { source: a, delay: "1 minute" })
      assert.strictEqual(pushed.status, "scheduled")
      assert.isTrue(pushed.scheduledAt !== undefined)
      yield* queue.push(b, "now", { source: a, at: DateTime.makeUnsafe(0) })
      assert.deepStrictEqual(values(yield* queue.pullMany(b)), ["now"])
      yield* advance("59 seconds")
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* advance("1 second")
      assert.strictEqual((yield* one(b)).payload.value, "later")
    }))

  test(
    "a message whose lease ran out is delivered again, and its first holder is refused",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.push(b, "x", { source: a })
        const first = yield* one(b, { lease: "10 seconds" })
        assert.isTrue(first.lease.expiresAt !== undefined)
        yield* advance("10 seconds")
        assert.strictEqual(yield* reason(queue.ack(first)), "LeaseLost")
        const second = yield* one(b, { lease: "10 seconds" })
        assert.strictEqual(second.id, first.id)
        assert.strictEqual(second.tries, 2)
        assert.notStrictEqual(second.lease.token, first.lease.token)
        assert.strictEqual(yield* reason(queue.ack(first)), "LeaseLost")
        assert.strictEqual(yield* reason(queue.nack(first)), "LeaseLost")
        assert.strictEqual(yield* reason(queue.extend(first, "1 hour")), "LeaseLost")
        assert.strictEqual(yield* reason(queue.reject(first)), "LeaseLost")
        assert.strictEqual(yield* reason(queue.release(first)), "LeaseLost")
        yield* queue.ack(second)
        assert.strictEqual(yield* reason(queue.ack(second)), "LeaseLost")
      })
  )

  test("ackMany acknowledges what is held, and names what is not", (queue, advance) =>
    Effect.gen(function*() {
      yield* queue.pushMany(Arr.range(1, 6).map((payload) => ({ destination: b, source: a, payload })))
      yield* queue.push(a, "another node's", { source: a })
      const [lost] = yield* queue.pullMany(b, { max: 1, lease: "1 second" })
      yield* advance("1 second")
      const held = [...(yield* queue.pullMany(b)), ...(yield* queue.pullMany(a))]
      assert.strictEqual(held.length, 7)
      assert.deepStrictEqual(yield* queue.ackMany([held[1]!, lost!, held[0]!, ...held.slice(2)]), [lost!.id])
      assert.strictEqual((yield* queue.counts({ node: b })).processed, 6)
      assert.strictEqual((yield* queue.counts({ node: a })).processed, 1)
      assert.deepStrictEqual(yield* queue.ackMany([]), [])
    }))

  test(
    "an interrupted pull of many gives back what it took, at whatever moment",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.pushMany(Arr.range(1, 40).map((payload) => ({ destination: b, source: a, payload })))
        const taken: Array<Message.Delivery> = []
        for (let turns = 0; turns < 20; turns++) {
          const pulling = yield* Effect.forkChild(queue.pullMany(b, { max: 10 }))
          yield* Effect.forEach(Arr.range(0, turns), () => turns < 10 ? Effect.yieldNow : advance("1 millis"))
          yield* Fiber.interrupt(pulling)
          const exit = yield* Fiber.await(pulling)
          if (exit._tag === "Success") taken.push(...exit.value)
        }
        while (taken.length < 40) {
          const more = yield* queue.pullMany(b, { max: 40 })
          taken.push(...more)
          if (more.length === 0) yield* advance("100 millis")
        }
        assert.strictEqual(new Set(taken.map((one) => one.id)).size, 40)
        assert.isTrue(taken.every((one) => one.tries === 1))
      })
  )

  test("extend keeps a message, without end if it says so", (queue, advance) =>
    Effect.gen(function*() {
      yield* queue.push(b, "x", { source: a })
      const delivery = yield* one(b, { lease: "10 seconds" })
      yield* advance("9 seconds")
      yield* queue.extend(delivery, "10 seconds")
      yield* advance("9 seconds")
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* queue.extend(delivery, Infinity)
      yield* advance("1 day")
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* queue.ack(delivery)
    }))

  test("a lease without end is never given to another", (queue, advance) =>
    Effect.gen(function*() {
      yield* queue.push(b, "x", { source: a })
      const delivery = yield* one(b, { lease: Infinity })
      assert.isTrue(delivery.lease.expiresAt === undefined)
      yield* advance("1 day")
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* queue.ack(delivery)
    }))

  test("a message without a token is acknowledged by its node while it is processing, and by no other", (queue) =>
    Effect.gen(function*() {
      const { id } = yield* queue.push(b, "x", { source: a })
      assert.strictEqual(yield* reason(queue.ack({ id, destination: b })), "LeaseLost")
      yield* one(b)
      assert.strictEqual(yield* reason(queue.ack({ id, destination: a })), "LeaseLost")
      assert.strictEqual(yield* reason(queue.ack({ id: "zz", destination: b })), "LeaseLost")
      yield* queue.ack({ id, destination: b })
      assert.strictEqual(yield* reason(queue.ack({ id, destination: b })), "LeaseLost")
    }))

  test(
    "nack gives a message back, at once or later, and remembers the cause",
    (queue, advance) =>
      Effect.gen(function*() {
        const { id } = yield* queue.push(b, "x", { source: a })
        yield* queue.nack(yield* one(b), { cause: "no such file" })
        const again = yield* one(b)
        assert.strictEqual(again.tries, 2)
        assert.strictEqual(again.error, "no such file")
        assert.isTrue(again.errorAt !== undefined)
        yield* queue.nack(again, { delay: "1 minute" })
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        const resting = yield* Effect.flatMap(queue.get(id, { node: b }), Effect.fromOption)
        assert.strictEqual(resting.status, "scheduled")
        yield* advance("1 minute")
        assert.strictEqual((yield* one(b)).tries, 3)
      })
  )

  test("release gives a message back as if it had not been pulled", (queue) =>
    Effect.gen(function*() {
      yield* queue.push(b, "x", { source: a })
      yield* queue.release(yield* one(b))
      assert.strictEqual((yield* one(b)).tries, 1)
    }))

  test(
    "release with a delay gives a message back later, and the try does not count",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.push(b, "x", { source: a })
        yield* queue.release(yield* one(b), { delay: "1 minute" })
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* advance("59 seconds")
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* advance("1 second")
        const again = yield* one(b)
        assert.strictEqual(again.tries, 1)
        assert.strictEqual(
          (yield* Effect.flip(queue.release(again, { delay: Infinity }))).reason._tag,
          "InvalidMessage"
        )
      })
  )

  test(
    "after its tries a message is dead, with its cause, and redrive brings it back",
    (queue, advance) =>
      Effect.gen(function*() {
        const { id } = yield* queue.push(b, "x", { source: a, maxTries: 2 })
        yield* queue.nack(yield* one(b), { cause: "first" })
        yield* queue.nack(yield* one(b), { cause: "second" })
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        const dead = yield* Effect.flatMap(queue.get(id, { node: b }), Effect.fromOption)
        assert.strictEqual(dead.status, "dead")
        assert.strictEqual(dead.error, "second")
        yield* queue.push(b, "y", { source: a, maxTries: 1 })
        yield* one(b, { lease: "1 second" })
        yield* advance("1 second")
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        const { messages } = yield* queue.list({ node: b, status: "dead" })
        assert.deepStrictEqual(values(messages), ["x", "y"])
        assert.strictEqual(messages[1]?.error, "the lease ran out")
        assert.strictEqual(yield* queue.redrive({ node: b, ids: [id, "ff"] }), 1)
        assert.strictEqual((yield* one(b)).tries, 1)
        assert.strictEqual(yield* queue.redrive({ node: a }), 0)
        assert.strictEqual(yield* queue.redrive({ node: b }), 1)
        assert.strictEqual((yield* one(b)).payload.value, "y")
      })
  )

  test("reject makes a message dead at once", (queue) =>
    Effect.gen(function*() {
      const { id } = yield* queue.push(b, "x", { source: a })
      yield* queue.reject(yield* one(b), { cause: "cannot be read" })
      const dead = yield* Effect.flatMap(queue.get(id, { node: b }), Effect.fromOption)
      assert.strictEqual(dead.status, "dead")
      assert.strictEqual(dead.error, "cannot be read")
    }))

  test("a deduplication key holds for its window and its destination", (queue, advance) =>
    Effect.gen(function*() {
      const push = (destination: string, payload: number) =>
        queue.push(destination, payload, {
          source: a,
          deduplicationKey: "order 7",
          deduplicationWindow: "10 seconds"
        })
      const first = yield* push(b, 1)
      const second = yield* push(b, 2)
      assert.strictEqual(second.id, first.id)
      assert.strictEqual(second.payload.value, 1)
      assert.notStrictEqual((yield* push(a, 3)).id, first.id)
      yield* queue.ack(yield* one(b))
      assert.strictEqual((yield* push(b, 4)).id, first.id)
      yield* advance("10 seconds")
      assert.notStrictEqual((yield* push(b, 5)).id, first.id)
      assert.deepStrictEqual(values(yield* queue.pullMany(b)), [5])
    }))

  test("many pushes of one deduplication key at the same moment add one message", (queue) =>
    Effect.gen(function*() {
      const pushed = yield* Effect.forEach(Arr.range(1, 20), (payload) =>
        queue.push(b, payload, { source: a, deduplicationKey: "k" }), { concurrency: "unbounded" })
      assert.strictEqual(
        new Set(pushed.map((message) =>
          message.id
        )).size,
        1
      )
      assert.strictEqual((yield* queue.pullMany(b)).length, 1)
    }))

  test(
    "messages with an ordering key are delivered strictly in order, while others go on",
    (queue, advance) =>
      Effect.gen(function*() {
        const push = (payload: string, orderingKey?: string, delay?: Duration.Input) =>
          queue.push(b, payload, { source: a, orderingKey, delay })
        yield* push("k1", "k")
        yield* push("k2", "k")
        yield* push("k3", "k", "1 minute")
        yield* push("k4", "k")
        yield* push("l1", "l")
        yield* push("free")
        const [k1, l1, free] = yield* queue.pullMany(b)
        assert.deepStrictEqual(values([k1!, l1!, free!]), ["k1", "l1", "free"])
        yield* queue.nack(k1!)
        const k1Again = yield* one(b)
        assert.strictEqual(k1Again.payload.value, "k1")
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* queue.ack(k1Again)
        const k2 = yield* one(b)
        assert.strictEqual(k2.payload.value, "k2")
        yield* queue.reject(k2)
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* advance("1 minute")
        const k3 = yield* one(b)
        assert.strictEqual(k3.payload.value, "k3")
        yield* queue.ack(k3)
        assert.strictEqual((yield* one(b)).payload.value, "k4")
      })
  )

  test(
    "the successor of an ordered message goes on when that is removed or its lease runs out for the last time",
    (queue, advance) =>
      Effect.gen(function*() {
        const first = yield* queue.push(b, 1, { source: a, orderingKey: "k" })
        yield* queue.push(b, 2, { source: a, orderingKey: "k", maxTries: 1 })
        yield* queue.push(b, 3, { source: a, orderingKey: "k" })
        assert.isTrue(yield* queue.remove(first.id, { node: a }))
        assert.strictEqual((yield* one(b, { lease: "1 second" })).payload.value, 2)
        yield* advance("1 second")
        const third = yield* one(b, { wait: "1 second" })
        assert.strictEqual(third.payload.value, 3)
        assert.strictEqual(yield* queue.redrive({ node: b }), 1)
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* queue.ack(third)
        assert.strictEqual((yield* one(b)).payload.value, 2)
      })
  )

  test(
    "a message that stops its key when it dies: the others wait until it is redriven, rescheduled or removed",
    (queue, advance) =>
      Effect.gen(function*() {
        const keys = ["redriven", "removed", "rescheduled"] as const
        for (const orderingKey of keys) {
          yield* queue.pushMany([
            { destination: b, source: a, payload: `${orderingKey} 1`, orderingKey, stopKey: true, maxTries: 1 },
            { destination: b, source: a, payload: `${orderingKey} 2`, orderingKey }
          ])
        }
        const [redriven, removed, rescheduled] = yield* queue.pullMany(b, { lease: "1 second" })
        assert.isTrue(redriven!.stopKey)
        yield* queue.reject(redriven!)
        yield* queue.nack(removed!)
        yield* advance("2 seconds")
        // What is pushed now waits too; other keys go on.
        yield* queue.push(b, "redriven 3", { source: a, orderingKey: "redriven" })
        yield* queue.push(b, "another", { source: a, orderingKey: "another" })
        assert.deepStrictEqual(values(yield* queue.pullMany(b)), ["another"])
        assert.strictEqual((yield* queue.counts({ node: b })).dead, 3)

        assert.strictEqual(yield* queue.redrive({ node: b, ids: [redriven!.id] }), 1)
        assert.isTrue(yield* queue.remove(removed!.id, { node: a, anyStatus: true }))
        const at = DateTime.add(rescheduled!.createdAt, { seconds: 30 })
        yield* queue.reschedule(rescheduled!.id, at, { node: b })
        const going = yield* queue.pullMany(b)
        assert.deepStrictEqual(values(going), ["redriven 1", "removed 2"])
        for (const delivery of going) yield* queue.ack(delivery)
        assert.deepStrictEqual(values(yield* queue.pullMany(b)), ["redriven 2"])
        yield* advance("1 minute")
        const [late] = yield* queue.pullMany(b, { wait: "1 second" })
        assert.strictEqual(late!.payload.value, "rescheduled 1")
        yield* queue.ack(late!)
        assert.deepStrictEqual(values(yield* queue.pullMany(b)), ["rescheduled 2"])
        assert.strictEqual(yield* reason(queue.push(b, "x", { source: a, stopKey: true })), "InvalidMessage")
      })
  )

  test("a redriven message comes before those of its key that were pushed after it, and beside none", (queue) =>
    Effect.gen(function*() {
      for (const n of [1, 2, 3]) yield* queue.push(b, n, { source: a, orderingKey: "k" })
      yield* queue.reject(yield* one(b))
      const second = yield* one(b)
      assert.strictEqual(yield* queue.redrive({ node: b }), 1)
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* queue.ack(second)
      for (const n of [1, 3]) {
        const next = yield* one(b)
        assert.strictEqual(next.payload.value, n)
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* queue.ack(next)
      }
    }))

  test("ordered messages pushed and acknowledged from many fibers stay in order and none is stuck", (queue) =>
    Effect.gen(function*() {
      const seen = new Map<string, Array<number>>()
      const producer = (key: string) =>
        Effect.forEach(Arr.range(1, 20), (n) => queue.push(b, [key, n], { source: a, orderingKey: key }))
      const worker = Effect.gen(function*() {
        while (Array.from(seen.values()).reduce((sum, one) => sum + one.length, 0) < 80) {
          for (const delivery of yield* queue.pullMany(b, { max: 5 })) {
            const [key, n] = delivery.payload.value as [string, number]
            seen.set(key, [...(seen.get(key) ?? []), n])
            yield* Effect.yieldNow
            yield* queue.ack(delivery)
          }
        }
      })
      yield* Effect.all([
        ...["k", "l", "m", "n"].map(producer),
        worker,
        worker,
        worker
      ], { concurrency: "unbounded" })
      for (const key of ["k", "l", "m", "n"]) assert.deepStrictEqual(seen.get(key), Arr.range(1, 20))
    }))

  test(
    "a waiting pull is answered when a message comes, and with nothing when its time is over",
    (queue, advance) =>
      Effect.gen(function*() {
        const waiting = yield* Effect.forkChild(queue.pull(b, { wait: "10 seconds" }))
        yield* Effect.yieldNow
        yield* queue.push(b, "x", { source: a })
        assert.strictEqual(Option.getOrThrow(yield* Fiber.join(waiting)).payload.value, "x")
        const vain = yield* Effect.forkChild(queue.pullMany(b, { wait: "10 seconds" }))
        yield* Effect.forEach(Arr.range(1, 11), () => advance("1 second"))
        assert.deepStrictEqual(yield* Fiber.join(vain), [])
      })
  )

  test(
    "a waiting pull is answered when a scheduled message becomes due or a lease runs out",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.push(b, "x", { source: a, delay: "5 seconds" })
        const waiting = yield* Effect.forkChild(one(b, { wait: "1 minute", lease: "5 seconds" }))
        yield* Effect.forEach(Arr.range(1, 6), () => advance("1 second"))
        assert.strictEqual((yield* Fiber.join(waiting)).tries, 1)
        const again = yield* Effect.forkChild(one(b, { wait: "1 minute" }))
        yield* Effect.forEach(Arr.range(1, 6), () => advance("1 second"))
        assert.strictEqual((yield* Fiber.join(again)).tries, 2)
      })
  )

  test("an interrupted waiting pull holds nothing", (queue, advance) =>
    Effect.gen(function*() {
      const fibers = yield* Effect.forEach(
        Arr.range(1, 20),
        () => Effect.forkChild(queue.pull(b, { wait: "1 minute" }))
      )
      yield* Effect.yieldNow
      yield* Effect.forkChild(
        queue.pushMany(Arr.range(1, 20).map((payload) => ({ destination: b, source: a, payload })))
      )
      yield* Effect.forEach(fibers, (fiber, index) => index % 2 === 0 ? Fiber.interrupt(fiber) : Effect.void)
      const got = new Set<unknown>()
      for (const fiber of fibers) {
        const exit = yield* Fiber.await(fiber)
        if (exit._tag === "Success") got.add(Option.getOrThrow(exit.value).payload.value)
      }
      while (got.size < 20) {
        const more = yield* queue.pullMany(b, { max: 20 })
        for (const delivery of more) got.add(delivery.payload.value)
        if (more.length === 0) yield* advance("1 second")
      }
      assert.strictEqual(got.size, 20)
    }))

  test("no message is given to two pullers", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany(Arr.range(1, 200).map((payload) => ({ destination: b, source: a, payload })))
      const pulled = yield* Effect.forEach(Arr.range(1, 100), (n) => queue.pullMany(b, { max: n % 5 + 1 }), {
        concurrency: "unbounded"
      })
      const seen = pulled.flatMap(values)
      assert.strictEqual(new Set(seen).size, seen.length)
      assert.strictEqual(new Set([...seen, ...values(yield* queue.pullMany(b, { max: 1000 }))]).size, 200)
    }))

  test("a node sees what it sent and what is for it, a page at a time", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany(
        Arr.range(1, 25).map((payload) => ({
          destination: payload % 2 === 0 ? b : a,
          source: payload % 3 === 0 ? "cc" : a,
          payload
        }))
      )
      const expected = Arr.range(1, 25).filter((n) => n % 2 !== 0 || n % 3 !== 0)
      const first = yield* queue.list({ node: a, limit: 10 })
      const second = yield* queue.list({ node: a, limit: 10, cursor: first.cursor })
      assert.deepStrictEqual(values([...first.messages, ...second.messages]), expected.slice(0, 20))
      const rest = yield* queue.list({ node: a, cursor: second.cursor })
      assert.deepStrictEqual(values(rest.messages), expected.slice(20))
      assert.isTrue(rest.cursor === undefined)
      yield* one(b)
      assert.deepStrictEqual(values((yield* queue.list({ node: b, status: "processing" })).messages), [2])
      assert.deepStrictEqual((yield* queue.list({ node: "dd" })).messages, [])
      assert.isTrue(Option.isNone(yield* queue.get(first.messages[0]!.id, { node: "dd" })))
      assert.strictEqual(yield* reason(queue.list({ node: a, limit: 0 })), "InvalidMessage")
      for (const cursor of ["abc", "", "-1", "1.5", "1e3", " 1", "9".repeat(30)]) {
        assert.strictEqual(yield* reason(queue.list({ node: a, cursor })), "InvalidMessage")
      }
    }))

  test("update and remove are the sender's, while the message waits", (queue) =>
    Effect.gen(function*() {
      const { id } = yield* queue.push(b, "old", { source: a, payloadType: "letter" })
      assert.strictEqual(yield* reason(queue.update(id, "x", { node: b })), "MessageNotFound")
      assert.isFalse(yield* queue.remove(id, { node: b }))
      const updated = yield* queue.update(id, { new: true }, { node: a })
      assert.strictEqual(updated.payloadType, "letter")
      assert.isTrue(updated.updatedAt !== undefined)
      assert.deepStrictEqual(updated.payload.value, { new: true })
      const delivery = yield* one(b)
      assert.deepStrictEqual(delivery.payload.value, { new: true })
      assert.strictEqual(yield* reason(queue.update(id, "x", { node: a })), "MessageNotFound")
      assert.isFalse(yield* queue.remove(id, { node: a }))
      yield* queue.release(delivery)
      assert.isTrue(yield* queue.remove(id, { node: a }))
      assert.isFalse(yield* queue.remove("ff", { node: a }))
      assert.strictEqual(yield* reason(queue.update("no hex", "x", { node: a })), "MessageNotFound")
    }))

  test("remove of any status forgets what is dead, processed or held; who holds it may not say anything more", (queue) =>
    Effect.gen(function*() {
      const pushed = yield* queue.pushMany(
        Arr.range(1, 5).map((payload) => ({
          destination: b,
          source: a,
          payload,
          orderingKey: payload > 3 ? "k" : `${payload}`
        }))
      )
      const [dead, done, held, first] = yield* queue.pullMany(b)
      yield* queue.reject(dead!)
      yield* queue.ack(done!)
      for (const { id } of [dead!, done!, held!]) {
        assert.isFalse(yield* queue.remove(id, { node: a }))
        assert.isFalse(yield* queue.remove(id, { node: "cc", anyStatus: true }))
        assert.isTrue(yield* queue.remove(id, { node: a, anyStatus: true }))
        assert.isFalse(yield* queue.remove(id, { node: a, anyStatus: true }))
        assert.isTrue(Option.isNone(yield* queue.get(id, { node: a })))
      }
      for (const word of [queue.ack, queue.nack, queue.reject, queue.release, queue.extend]) {
        assert.strictEqual(yield* reason(word(held!)), "LeaseLost")
      }
      assert.strictEqual(yield* queue.redrive({ node: b }), 0)
      // The next of the key goes on at once.
      assert.isTrue(yield* queue.remove(first!.id, { node: a, anyStatus: true }))
      assert.strictEqual((yield* one(b, { wait: "5 seconds" })).id, pushed[4]!.id)
    }))

  test("reschedule gives what waits, and what is dead, another time", (queue, advance) =>
    Effect.gen(function*() {
      const [later, sooner, dead] = yield* queue.pushMany([
        { destination: b, source: a, payload: "later" },
        { destination: b, source: a, payload: "sooner", delay: "1 day" },
        { destination: b, source: a, payload: "dead", priority: 1 }
      ])
      const at = (seconds: number) => DateTime.add(later!.createdAt, { seconds })
      yield* Effect.flatMap(one(b), (delivery) => queue.reject(delivery))
      assert.strictEqual(yield* reason(queue.reschedule(later!.id, at(60), { node: b })), "MessageNotFound")
      const moved = yield* queue.reschedule(later!.id, at(60), { node: a })
      assert.strictEqual(moved.status, "scheduled")
      assert.deepStrictEqual(moved.scheduledAt, at(60))
      assert.strictEqual((yield* queue.reschedule(dead!.id, at(30), { node: b })).status, "scheduled")
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      // A time that has passed means now, also to who waits.
      const puller = yield* Effect.forkChild(one(b, { wait: "10 seconds" }))
      yield* Effect.yieldNow
      assert.strictEqual((yield* queue.reschedule(sooner!.id, at(-60), { node: a })).status, "pending")
      const delivery = yield* Fiber.join(puller)
      assert.strictEqual(delivery.id, sooner!.id)
      assert.strictEqual(yield* reason(queue.reschedule(sooner!.id, at(60), { node: a })), "MessageNotFound")
      yield* queue.ack(delivery)
      assert.strictEqual(yield* reason(queue.reschedule(sooner!.id, at(60), { node: a })), "MessageNotFound")
      yield* advance("40 seconds")
      const again = yield* one(b)
      assert.deepStrictEqual([again.payload.value, again.tries], ["dead", 1])
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
      yield* advance("40 seconds")
      assert.strictEqual((yield* one(b)).id, later!.id)
      assert.strictEqual(yield* reason(queue.reschedule("ff", at(1), { node: a })), "MessageNotFound")
      assert.strictEqual(
        yield* reason(queue.reschedule(later!.id, new Date(Number.NaN), { node: a })),
        "InvalidMessage"
      )
    }))

  test(
    "a message that is rescheduled keeps its place in the order of its key",
    (queue, advance) =>
      Effect.gen(function*() {
        const [first, second, third] = yield* queue.pushMany(
          [1, 2, 3].map((payload) => ({ destination: b, source: a, payload, orderingKey: "k" }))
        )
        const at = (seconds: number) => DateTime.add(first!.createdAt, { seconds })
        yield* queue.reschedule(first!.id, at(30), { node: a })
        yield* queue.reschedule(second!.id, at(10), { node: a })
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* advance("20 seconds")
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        yield* advance("20 seconds")
        const delivery = yield* one(b)
        assert.strictEqual(delivery.id, first!.id)
        yield* queue.reject(delivery)
        // Dead, it let the others go; brought back, it is before them again.
        yield* queue.reschedule(first!.id, at(3600), { node: b })
        assert.isTrue(Option.isNone(yield* queue.pull(b)))
        assert.isTrue(yield* queue.remove(first!.id, { node: a }))
        const next = yield* one(b)
        assert.strictEqual(next.id, second!.id)
        yield* queue.ack(next)
        assert.strictEqual((yield* one(b)).id, third!.id)
      })
  )

  test("removeAll removes what the node has waiting; clear removes everything", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany([
        { destination: b, source: a, payload: 1 },
        { destination: b, source: a, payload: 2, delay: "1 hour" },
        { destination: b, source: a, payload: 3, priority: 1 },
        { destination: b, source: "cc", payload: 4 }
      ])
      yield* one(b)
      assert.strictEqual(yield* queue.removeAll({ node: a }), 2)
      assert.strictEqual(yield* queue.removeAll({ node: a }), 0)
      assert.strictEqual(yield* queue.clear, 2)
      assert.isTrue(Option.isNone(yield* queue.pull(b)))
    }))

  test("counts say how many messages are in each status", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany(Arr.range(1, 6).map((payload) => ({ destination: b, source: a, payload })))
      yield* queue.push(b, 7, { source: a, delay: "1 hour" })
      yield* queue.push(a, 8, { source: a })
      const [first, second, third] = yield* queue.pullMany(b, { max: 3 })
      yield* queue.ack(first!)
      yield* queue.reject(second!)
      assert.isTrue(third !== undefined)
      assert.deepStrictEqual(
        { ...(yield* queue.counts({ node: b })) },
        { pending: 3, scheduled: 1, processing: 1, processed: 1, dead: 1 }
      )
    }))

  test("a call that makes no sense is refused by name, and does nothing", (queue) =>
    Effect.gen(function*() {
      const push = (options: MessageQueue.PushOptions, destination = b, payload: Message.PayloadInput = "x") =>
        reason(queue.push(destination, payload, { source: a, ...options }))
      assert.strictEqual(yield* push({}, ""), "InvalidMessage")
      assert.strictEqual(yield* push({}, "ü"), "InvalidMessage")
      assert.strictEqual(yield* push({}, " "), "InvalidMessage")
      assert.strictEqual(yield* push({}, "a".repeat(129)), "InvalidMessage")
      assert.strictEqual(yield* push({ source: "two\nlines" }), "InvalidMessage")
      assert.strictEqual(yield* push({ topic: "two\r\nlines" }), "InvalidMessage")
      assert.strictEqual(yield* push({ topic: "" }), "InvalidMessage")
      assert.strictEqual(yield* push({ topic: "t".repeat(256) }), "InvalidMessage")
      assert.strictEqual(yield* push({ orderingKey: "\u0000" }), "InvalidMessage")
      assert.strictEqual(yield* push({ deduplicationKey: "\n" }), "InvalidMessage")
      assert.strictEqual(yield* push({ priority: 0.5 }), "InvalidMessage")
      assert.strictEqual(yield* push({ priority: 40_000 }), "InvalidMessage")
      assert.strictEqual(yield* push({ maxTries: 0 }), "InvalidMessage")
      assert.strictEqual(yield* push({ delay: Infinity }), "InvalidMessage")
      assert.strictEqual(yield* push({ delay: "a while" as never }), "InvalidMessage")
      assert.strictEqual(yield* push({ at: new Date(Number.NaN) }), "InvalidMessage")
      assert.strictEqual(yield* push({}, b, "half \uD800"), "InvalidMessage")
      assert.strictEqual(yield* push({}, b, (() => 1) as never), "InvalidMessage")
      assert.strictEqual(yield* push({}, b, 1n as never), "InvalidMessage")
      assert.strictEqual(yield* push({}, b, new Uint8Array(2_000_000)), "PayloadTooLarge")
      assert.strictEqual(yield* reason(queue.pull("")), "InvalidMessage")
      assert.strictEqual(yield* reason(queue.pullMany(b, { max: 0 })), "InvalidMessage")
      assert.strictEqual(yield* reason(queue.pullMany(b, { max: 1001 })), "InvalidMessage")
      assert.deepStrictEqual((yield* queue.list({ node: a })).messages, [])
    }))

  test("SQL in every field is only text", (queue) =>
    Effect.gen(function*() {
      const evil = "'; DELETE FROM effect_wire_queue_message; --"
      const pushed = yield* queue.push(b, evil, {
        source: a,
        topic: evil,
        orderingKey: evil,
        deduplicationKey: evil,
        payloadType: "x' OR '1'='1"
      })
      const delivery = yield* one(b)
      assert.strictEqual(delivery.topic, evil)
      assert.strictEqual(delivery.payload.value, evil)
      yield* queue.nack(delivery, { cause: evil })
      assert.strictEqual((yield* one(b)).error, evil)
      assert.isTrue(Option.isNone(yield* queue.get(evil, { node: a })))
      assert.strictEqual(
        yield* reason(queue.ack({ id: pushed.id, destination: b, lease: { token: evil } })),
        "LeaseLost"
      )
    }))

  test(
    "consume works on every message, retries those that fail, and puts aside those that always do",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.pushMany(["good", "twice", "bad"].map((payload) => ({ destination: b, source: a, payload })))
        const tries = new Map<unknown, number>()
        const consumer = yield* Effect.forkChild(MessageQueue.consume(b, (message) =>
          Effect.suspend(() => {
            const value = message.payload.value
            tries.set(value, (tries.get(value) ?? 0) + 1)
            return value === "good" || (value === "twice" && message.tries === 2)
              ? Effect.void
              : Effect.die(new Error(`no ${value}`))
          }), { concurrency: 2, maxTries: 3, backoff: Schedule.spaced("1 second"), wait: "1 second" }))
        while ((yield* queue.counts({ node: b })).dead < 1) yield* advance("500 millis")
        yield* Fiber.interrupt(consumer)
        assert.deepStrictEqual(Object.fromEntries(tries), { good: 1, twice: 2, bad: 3 })
        assert.strictEqual((yield* queue.counts({ node: b })).processed, 2)
        assert.strictEqual((yield* queue.list({ node: b, status: "dead" })).messages[0]?.error, "Error: no bad")
      })
  )

  test(
    "consume keeps the lease of a long work, and runs no more than it may at once",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.pushMany(Arr.range(1, 5).map((payload) => ({ destination: b, source: a, payload })))
        const running = { now: 0, most: 0 }
        const tries: Array<number> = []
        const consumer = yield* Effect.forkChild(MessageQueue.consume(b, (message) =>
          Effect.gen(function*() {
            tries.push(message.tries)
            running.most = Math.max(running.most, ++running.now)
            yield* Effect.sleep("700 seconds")
            running.now--
          }), { concurrency: 2, prefetch: 1, lease: "5 minutes", wait: "10 seconds" }))
        while ((yield* queue.counts({ node: b })).processed < 5) yield* advance("10 seconds")
        yield* Fiber.interrupt(consumer)
        assert.strictEqual(running.most, 2)
        assert.deepStrictEqual(tries, [1, 1, 1, 1, 1])
      })
  )

  test("an interrupted consumer gives back what it holds at once", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany(Arr.range(1, 5).map((payload) => ({ destination: b, source: a, payload })))
      const started = yield* Deferred.make<void>()
      const count = yield* Ref.make(0)
      const consumer = yield* Effect.forkChild(MessageQueue.consume(b, () =>
        Ref.updateAndGet(count, (n) => n + 1).pipe(
          Effect.tap((n) => n === 2 ? Deferred.succeed(started, undefined) : Effect.void),
          Effect.andThen(Effect.never)
        ), { concurrency: 2, prefetch: 2 }))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(consumer)
      const deliveries = yield* queue.pullMany(b)
      assert.deepStrictEqual(deliveries.map((delivery) => delivery.tries), [1, 1, 1, 1, 1])
    }))

  test(
    "a consumer whose lease is lost stops its work and says nothing about the message",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.push(b, "x", { source: a })
        const stopped = yield* Deferred.make<void>()
        const held = yield* Deferred.make<Message.Delivery>()
        const consumer = yield* Effect.forkChild(MessageQueue.consume(b, (message) =>
          Deferred.succeed(held, message).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
          ), { lease: "3 seconds", wait: "1 second" }))
        const delivery = yield* Deferred.await(held)
        yield* queue.reject(delivery, { cause: "taken away" })
        while (!(yield* Deferred.isDone(stopped))) {
          yield* advance("1 second")
        }
        yield* Fiber.interrupt(consumer)
        assert.strictEqual((yield* queue.counts({ node: b })).dead, 1)
      })
  )

  test("stream gives the messages one after the other", (queue) =>
    Effect.gen(function*() {
      yield* queue.pushMany(Arr.range(1, 10).map((payload) => ({ destination: b, source: a, payload })))
      const seen = yield* MessageQueue.stream(b, { max: 4 }).pipe(
        Stream.tap((delivery) => queue.ack(delivery)),
        Stream.take(6),
        Stream.runCollect
      )
      assert.deepStrictEqual(values(seen), Arr.range(1, 6))
      assert.deepStrictEqual(values(yield* queue.pullMany(b)), Arr.range(7, 10))
    }))
}
