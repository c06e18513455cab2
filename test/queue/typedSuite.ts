import { assert, it } from "@effect/vitest"
import { DateTime, Deferred, Effect, Fiber, Layer, Metric, Option, Schedule, Schema, Stream, Tracer } from "effect"
import { MessageQueue, Queue, QueueFlow, QueueGauges, QueueMetrics, QueueTopic } from "effect-wire/queue"
import { type Backend, tester } from "./suite.ts"

class Job extends Schema.Class<Job>("Job")({ file: Schema.String, due: Schema.DateTimeUtc, size: Schema.BigInt }) {}

class RenderFailed extends Schema.TaggedError<RenderFailed>()("RenderFailed", {
  tile: Schema.Int,
  message: Schema.String
}) {}

const job = (file: string) => new Job({ file, due: DateTime.makeUnsafe(7), size: 12345678901234567890n })

/** The spans of a test. */
const makeTracer = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

/** What typed queues promise, whatever keeps their messages. */
export const typedSuite = <R = never>(
  name: string,
  { layer }: Backend<R>,
  effect: (title: string, body: () => Effect.Effect<unknown, unknown, R>, timeout: number) => void = it.effect as never
) => {
  const test = tester(name, layer, effect)

  const Jobs = Queue.make("jobs: render (night)", { payload: Job, error: RenderFailed })

  test("values come back as what they were, under a name that people choose", (queue) =>
    Effect.gen(function*() {
      const pushed = yield* Jobs.push(job("a.png"), { topic: "t" })
      assert.strictEqual(pushed.destination, "jobs: render (night)")
      yield* Jobs.pushMany([job("b.png"), { payload: job("c.png"), priority: 5, headers: { by: "me" } }], {
        source: "the studio"
      })
      const [first, ...rest] = yield* Jobs.pullMany()
      assert.instanceOf(first!.payload, Job)
      assert.deepStrictEqual(first!.payload, job("c.png"))
      assert.strictEqual(first!.message.headers?.["by"], "me")
      assert.strictEqual(first!.message.source, "the studio")
      assert.deepStrictEqual(rest.map((one) => one.payload.file), ["a.png", "b.png"])
      assert.deepStrictEqual(yield* queue.ackMany([first!, ...rest].map((one) => one.message)), [])
      assert.isTrue(Option.isNone(yield* Jobs.pull()))
    }))

  test("a value that its schema does not encode is refused, and nothing is pushed", () =>
    Effect.gen(function*() {
      const Positive = Queue.make("positive", { payload: Schema.Int.check(Schema.isGreaterThan(0)) })
      const error = yield* Effect.flip(Positive.pushMany([1, -1]))
      assert.strictEqual(error.reason._tag, "InvalidMessage")
      assert.isTrue(Option.isNone(yield* Positive.pull()))
    }))

  test(
    "what cannot be decoded is a dead letter with its cause and its bytes, and the worker goes on",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* queue.push(Jobs.name, { file: 1 })
        yield* queue.push(Jobs.name, Uint8Array.of(1, 2, 255))
        yield* queue.push(Jobs.name, "text")
        yield* Jobs.push(job("good.png"))
        const done = yield* Deferred.make<string>()
        const worker = yield* Effect.forkChild(
          Jobs.consume((payload) => Deferred.succeed(done, payload.file), { wait: "1 second" })
        )
        while (!(yield* Deferred.isDone(done))) yield* advance("100 millis")
        yield* Fiber.interrupt(worker)
        const { letters } = yield* Jobs.deadLetters()
        assert.deepStrictEqual(letters.map((letter) => letter.message.payload.value), [
          { file: 1 },
          Uint8Array.of(1, 2, 255),
          "text"
        ])
        assert.isTrue(letters.every(({ error, payload }) => Option.isNone(payload) && Option.isNone(error)))
        assert.match(letters[0]!.message.error!, /^the payload is none of this queue's: .*string/s)
        assert.strictEqual(letters[1]!.message.error, "the payload is none of this queue's: Expected JSON, got bytes")
        assert.strictEqual(letters[0]!.message.tries, 1)
        // So it is for those who pull.
        yield* queue.push(Jobs.name, [])
        yield* Jobs.push(job("next.png"))
        const next = yield* Effect.flatMap(Jobs.pull(), Effect.fromOption)
        assert.strictEqual(next.payload.file, "next.png")
        // the worker's last pull may have held it, and gives it back
        while ((yield* queue.counts({ node: Jobs.name })).dead < 4) {
          yield* Jobs.pull()
          yield* advance("100 millis")
        }
      })
  )

  test(
    "a permanent error ends the tries, and dead letters have their errors back",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* Jobs.pushMany(["never", "twice", "odd"].map(job))
        const tries: Array<string> = []
        const worker = yield* Effect.forkChild(Jobs.consume((payload, attempt) =>
          Effect.gen(function*() {
            tries.push(`${payload.file} ${attempt.tries} of ${attempt.maxTries}${attempt.isLast ? ", the last" : ""}`)
            const error = new RenderFailed({ tile: 7, message: `no ${payload.file}` })
            if (payload.file === "never") return yield* Queue.permanent(error)
            if (payload.file === "odd") return yield* Effect.die(new Error("a defect"))
            return yield* error
          }), { backoff: Schedule.spaced("1 second"), maxTries: 2, wait: "1 second" }))
        while ((yield* queue.counts({ node: Jobs.name })).dead < 3) yield* advance("500 millis")
        yield* Fiber.interrupt(worker)
        assert.deepStrictEqual(tries.sort(), [
          "never 1 of 2",
          "odd 1 of 2",
          "odd 2 of 2, the last",
          "twice 1 of 2",
          "twice 2 of 2, the last"
        ])
        const { letters } = yield* Jobs.deadLetters()
        assert.deepStrictEqual(letters.map(({ error }) => Option.map(error, (error) => [error._tag, error.message])), [
          Option.some(["RenderFailed", "no never"]),
          Option.some(["RenderFailed", "no twice"]),
          Option.none()
        ])
        assert.strictEqual(letters[2]!.message.error, "Error: a defect")
        assert.deepStrictEqual(Option.map(letters[0]!.payload, (payload) => payload.file), Option.some("never"))
      })
  )

  test("a permanent error is known to consumers without types too", (queue, advance) =>
    Effect.gen(function*() {
      yield* queue.push("plain", "x")
      const worker = yield* Effect.forkChild(
        MessageQueue.consume("plain", () => Effect.fail(Queue.permanent("gone for good")), { wait: "1 second" })
      )
      while ((yield* queue.counts({ node: "plain" })).dead < 1) yield* advance("100 millis")
      yield* Fiber.interrupt(worker)
      const [dead] = (yield* queue.list({ status: "dead" })).messages
      assert.strictEqual(dead!.error, "gone for good")
      assert.strictEqual(dead!.tries, 1)
    }))

  test(
    "a handler knows its deadline, is interrupted at it, and that try has failed",
    (queue, advance) =>
      Effect.gen(function*() {
        yield* Jobs.push(job("slow"))
        const seen = yield* Deferred.make<number>()
        const interrupted = yield* Deferred.make<void>()
        const worker = yield* Effect.forkChild(Jobs.consume((_, { deadline }) =>
          Effect.gen(function*() {
            const left = Option.getOrThrow(deadline).epochMilliseconds - (yield* DateTime.now).epochMilliseconds
            yield* Deferred.succeed(seen, left)
            return yield* Effect.never
          }).pipe(Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))), {
          timeout: "10 seconds",
          maxTries: 1,
          wait: "1 second"
        }))
        while (!(yield* Deferred.isDone(seen))) yield* advance("10 millis")
        assert.strictEqual(yield* Deferred.await(seen), 10_000)
        while ((yield* queue.counts({ node: Jobs.name })).dead < 1) yield* advance("1 second")
        assert.isTrue(yield* Deferred.isDone(interrupted))
        yield* Fiber.interrupt(worker)
        const { letters } = yield* Jobs.deadLetters()
        assert.include(letters[0]!.message.error, "the handler took longer than 10s")
      })
  )

  test(
    "the handler's span belongs to the trace of the push and is linked to its span",
    (_, advance) =>
      Effect.gen(function*() {
        const { spans, tracer } = makeTracer()
        yield* Jobs.push(job("traced")).pipe(Effect.withSpan("order"), Effect.provideService(Tracer.Tracer, tracer))
        yield* Jobs.push(job("untraced"))
        const seen: Array<Option.Option<Tracer.ExternalSpan>> = []
        const both = yield* Deferred.make<void>()
        const worker = yield* Jobs.consume(
          (_, { pushedBy }) =>
            Effect.suspend(() => seen.push(pushedBy) === 2 ? Deferred.succeed(both, undefined) : Effect.void),
          {
            wait: "1 second"
          }
        ).pipe(Effect.provideService(Tracer.Tracer, tracer), Effect.forkChild)
        while (!(yield* Deferred.isDone(both))) yield* advance("10 millis")
        yield* Fiber.interrupt(worker)
        const order = spans.find((span) => span.name === "order")!
        const [traced, untraced] = spans.filter((span) => span.name === `process ${Jobs.name}`)
        assert.strictEqual(traced!.traceId, order.traceId)
        assert.strictEqual(traced!.kind, "consumer")
        const pushedBy = Option.getOrThrow(seen[0]!)
        assert.strictEqual(pushedBy.traceId, order.traceId)
        assert.deepStrictEqual(traced!.links.map((link) => link.span.spanId), [pushedBy.spanId])
        assert.strictEqual(Option.getOrThrow(traced!.parent).spanId, pushedBy.spanId)
        assert.isTrue(Option.isNone(seen[1]!))
        assert.notStrictEqual(untraced!.traceId, order.traceId)
        assert.deepStrictEqual(untraced!.links, [])
      })
  )

  test(
    "what is published waits in the queue of each subscriber, whether it runs or not",
    (queue, advance) =>
      Effect.gen(function*() {
        const Orders = QueueTopic.make("orders", { payload: Schema.Struct({ n: Schema.Int }) })
        assert.deepStrictEqual(yield* Orders.publish({ n: 0 }), [])
        yield* Effect.forEach(["billing", "shipping", "billing"], Orders.subscribe)
        assert.deepStrictEqual(yield* Orders.subscribers, ["billing", "shipping"])
        yield* advance("1 day")
        yield* Orders.publish({ n: 1 }, { orderingKey: "k" })
        yield* Orders.publish({ n: 2 }, { orderingKey: "k" })
        const numbers = Effect.fnUntraced(function*(subscriber: string) {
          const seen: Array<number> = []
          for (;;) {
            const delivery = Option.getOrUndefined(yield* Orders.queue(subscriber).pull())
            if (delivery === undefined) return seen
            seen.push(delivery.payload.n)
            yield* queue.ack(delivery.message)
          }
        })
        assert.deepStrictEqual(yield* numbers("billing"), [1, 2])
        assert.isTrue(yield* Orders.unsubscribe("billing"))
        assert.isFalse(yield* Orders.unsubscribe("billing"))
        yield* Orders.publish({ n: 3 })
        assert.deepStrictEqual(yield* numbers("shipping"), [1, 2, 3])
        yield* Orders.subscribe("billing")
        assert.deepStrictEqual(yield* Orders.subscribers, ["shipping", "billing"])
        yield* Orders.publish({ n: 4 })
        assert.deepStrictEqual(yield* numbers("billing"), [4])
        assert.strictEqual((yield* Effect.flip(Orders.subscribe("two\nlines"))).reason._tag, "InvalidMessage")
      })
  )

  const Count = Queue.make("count", {
    payload: Schema.Int,
    error: RenderFailed,
    success: Schema.Struct({ total: Schema.BigInt }),
    progress: Schema.Struct({ part: Schema.Int })
  })

  test("who started a message follows its progress to its result", (_, advance) =>
    Effect.gen(function*() {
      const started = yield* Count.start(3)
      const followed = yield* Effect.forkChild(Stream.runCollect(Count.follow(started)))
      const worker = yield* Count.consume((count, { report, tries }) =>
        Effect.gen(function*() {
          for (let part = 1; part <= count; part++) {
            yield* report({ part })
            yield* Effect.sleep("5 seconds")
            if (tries === 1 && part === 2) return yield* new RenderFailed({ tile: part, message: "not yet" })
          }
          return { total: BigInt(count) * 10n }
        }), { wait: "1 second", backoff: Schedule.spaced("1 second") }).pipe(Effect.forkChild)
      while (followed.pollUnsafe() === undefined) yield* advance("500 millis")
      assert.deepStrictEqual(
        (yield* Fiber.join(followed)).map((one) =>
          one._tag === "Progress" ? [one.tries, one.progress.part] : one.value
        ),
        [[1, 1], [1, 2], [2, 1], [2, 2], [2, 3], { total: 30n }]
      )
      // So it is for who comes later, and in another process.
      const again = JSON.parse(JSON.stringify(started))
      const late = yield* Effect.forkChild(Stream.runCollect(Count.follow(again)))
      while (late.pollUnsafe() === undefined) yield* advance("100 millis")
      assert.deepStrictEqual((yield* Fiber.join(late)).map((one) => one._tag), ["Success"])
      yield* Fiber.interrupt(worker)
    }))

  test(
    "who follows a message that dies is told why, and nobody follows what is not",
    (queue, advance) =>
      Effect.gen(function*() {
        const [typed, words] = [yield* Count.start(1), yield* Count.start(2)]
        const worker = yield* Count.consume((count) =>
          count === 1
            ? Effect.fail(Queue.permanent(new RenderFailed({ tile: 9, message: "broken" })))
            : Effect.die("odd"), {
          maxTries: 1,
          wait: "1 second"
        }).pipe(Effect.forkChild)
        const end = Effect.fnUntraced(function*(started: Queue.Started) {
          const followed = yield* Effect.forkChild(Effect.flip(Stream.runDrain(Count.follow(started))))
          while (followed.pollUnsafe() === undefined) yield* advance("500 millis")
          return yield* Fiber.join(followed)
        })
        const dead = yield* end(typed)
        assert.isTrue(dead._tag === "Dead" && Option.getOrThrow(dead.error).tile === 9)
        const other = yield* end(words)
        assert.isTrue(other._tag === "Dead" && Option.isNone(other.error) && other.words === "odd")
        const gone = yield* end({ id: "f".repeat(24), outcome: "f".repeat(24) })
        assert.isTrue(gone._tag === "MessageQueueError" && gone.reason._tag === "MessageNotFound")
        yield* Fiber.interrupt(worker)
        assert.strictEqual((yield* queue.counts({ node: Count.name })).dead, 2)
      })
  )

  test(
    "a message that is cancelled is over, and its handler sees interruption",
    (queue, advance) =>
      Effect.gen(function*() {
        const [running, waiting, later] = yield* Jobs.pushMany([
          job("running"),
          job("waiting"),
          { payload: job("later"), delay: "1 day" }
        ])
        const started = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        const worker = yield* Jobs.consume(() =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          ), { lease: "3 seconds", wait: "1 second" }).pipe(Effect.forkChild)
        while (!(yield* Deferred.isDone(started))) yield* advance("10 millis")
        assert.strictEqual(yield* MessageQueue.cancel(waiting!.id), "pending")
        assert.strictEqual(yield* MessageQueue.cancel(later!.id), "scheduled")
        assert.strictEqual(yield* MessageQueue.cancel(running!.id, { cause: "not wanted any more" }), "processing")
        assert.strictEqual(yield* MessageQueue.cancel(running!.id), undefined)
        assert.strictEqual(yield* MessageQueue.cancel("ff"), undefined)
        while (!(yield* Deferred.isDone(interrupted))) yield* advance("100 millis")
        yield* Fiber.interrupt(worker)
        assert.deepStrictEqual(
          (yield* queue.list({ node: Jobs.name })).messages.map(({ error, status }) => [status, error]),
          [["dead", "not wanted any more"]]
        )
      })
  )

  test(
    "a running message that is removed is gone, and its handler sees interruption",
    (queue, advance) =>
      Effect.gen(function*() {
        const { id } = yield* Jobs.push(job("running"))
        const started = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        const worker = yield* Jobs.consume(() =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          ), { lease: "3 seconds", wait: "1 second" }).pipe(Effect.forkChild)
        while (!(yield* Deferred.isDone(started))) yield* advance("10 millis")
        assert.isFalse(yield* queue.remove(id))
        assert.isTrue(yield* queue.remove(id, { anyStatus: true }))
        while (!(yield* Deferred.isDone(interrupted))) yield* advance("100 millis")
        yield* Fiber.interrupt(worker)
        assert.deepStrictEqual((yield* queue.list({ node: Jobs.name })).messages, [])
      })
  )

  test(
    "messages of one key are held back by its limits, those of others go on",
    (queue, advance) =>
      Effect.gen(function*() {
        const Calls = Queue.make("calls", { payload: Schema.Struct({ host: Schema.String }) })
        yield* Calls.pushMany(["a", "a", "a", "b", "a", "b"].map((host) => ({ host })))
        const now = Effect.map(DateTime.now, DateTime.toEpochMillis)
        const begin = yield* now
        const running = new Map<string, number>()
        let most = 0
        const starts: Array<string> = []
        const worker = yield* Calls.consume(({ host }) =>
          Effect.gen(function*() {
            running.set(host, (running.get(host) ?? 0) + 1)
            most = Math.max(most, running.get(host)!)
            starts.push(`${host}${Math.round(((yield* now) - begin) / 10_000)}`)
            yield* Effect.sleep("1 second")
            running.set(host, running.get(host)! - 1)
          }), {
          concurrency: 6,
          wait: "1 second",
          limits: { key: ({ host }) => host, concurrency: 1, rate: { limit: 1, window: "10 seconds" } }
        }).pipe(Effect.forkChild)
        while ((yield* queue.counts({ node: "calls" })).processed < 6) yield* advance("500 millis")
        yield* Fiber.interrupt(worker)
        assert.strictEqual(most, 1)
        assert.deepStrictEqual(starts.sort(), ["a0", "a1", "a2", "a3", "b0", "b1"])
      })
  )

  test(
    "a limit of a key counts over all workers where it says so",
    (queue, advance) =>
      Effect.gen(function*() {
        const Calls = Queue.make("shared", { payload: Schema.Struct({ host: Schema.String }) })
        yield* Calls.pushMany(["a", "b", "ü", "a", "b", "ü", "a", "a"].map((host) => ({ host })))
        const running = new Map<string, number>()
        const most = new Map<string, number>()
        const worker = Calls.consume(({ host }) =>
          Effect.gen(function*() {
            running.set(host, (running.get(host) ?? 0) + 1)
            most.set(host, Math.max(most.get(host) ?? 0, running.get(host)!))
            yield* Effect.sleep("3 seconds")
            running.set(host, running.get(host)! - 1)
          }), {
          concurrency: 4,
          wait: "1 second",
          limits: { key: ({ host }) => host, concurrency: 2, across: "cluster" }
        })
        const workers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(worker))
        while ((yield* queue.counts({ node: "shared" })).processed < 8) yield* advance("200 millis")
        assert.deepStrictEqual(Object.fromEntries(most), { a: 2, b: 2, ü: 2 })
        // Nothing was tried twice for it, and nothing is left of it.
        const { messages } = yield* queue.list({ node: "shared" })
        assert.isTrue(messages.every(({ tries }) => tries === 1))
        const ending = yield* Effect.forkChild(Fiber.interruptAll(workers))
        while (ending.pollUnsafe() === undefined) yield* advance("100 millis")
        assert.strictEqual((yield* queue.list({ limit: 1000 })).messages.length, 8)
      })
  )

  test(
    "a message that waits for its rate leaves its worker to others, and no try is counted",
    (queue, advance) =>
      Effect.gen(function*() {
        const Calls = Queue.make("slow", { payload: Schema.Struct({ host: Schema.String }) })
        yield* Calls.pushMany(["a", "a", "b"].map((host) => ({ host })), { maxTries: 1 })
        const done: Array<string> = []
        const worker = yield* Calls.consume(
          ({ host }, { tries }) => Effect.sync(() => void done.push(`${host}${tries}`)),
          { wait: "1 second", limits: { key: ({ host }) => host, rate: { limit: 1, window: "10 seconds" } } }
        ).pipe(Effect.forkChild)
        while ((yield* queue.counts({ node: "slow" })).processed < 3) yield* advance("500 millis")
        yield* Fiber.interrupt(worker)
        assert.deepStrictEqual(done, ["a1", "b1", "a1"])
      })
  )

  test(
    "a message that waits for others is pushed once, when all of them are done",
    (queue, advance) =>
      Effect.gen(function*() {
        const Parts = Queue.make("parts", { payload: Schema.Int })
        const Whole = Queue.make("whole", { payload: Schema.Struct({ of: Schema.BigInt }) })
        yield* Effect.forkChild(Layer.build(QueueFlow.layer))
        yield* Effect.forkChild(Layer.build(QueueFlow.layer))
        const parts = yield* Parts.pushMany([1, 2, 3])
        yield* QueueFlow.push(Whole, { of: 3n }, { after: parts, priority: 7 })
        const deliveries = yield* Parts.pullMany()
        for (const { message } of deliveries) {
          yield* advance("10 seconds")
          assert.isTrue(Option.isNone(yield* Whole.pull()))
          yield* queue.ack(message)
        }
        while ((yield* queue.counts({ node: "whole" })).pending < 1) yield* advance("500 millis")
        yield* advance("1 minute")
        const whole = yield* Whole.pullMany()
        assert.deepStrictEqual(whole.map(({ message, payload }) => [payload.of, message.priority]), [[3n, 7]])
        assert.strictEqual(
          (yield* Effect.flip(QueueFlow.push(Whole, { of: 0n }, { after: [] }))).reason._tag,
          "InvalidMessage"
        )
      }).pipe(Effect.scoped)
  )

  test(
    "a flow one of whose messages dies stops, can be brought back, and goes on where it should",
    (queue, advance) =>
      Effect.gen(function*() {
        const Parts = Queue.make("parts", { payload: Schema.Int })
        const Whole = Queue.make("whole", { payload: Schema.String })
        yield* Effect.forkChild(Layer.build(QueueFlow.layer))
        const [part] = yield* Parts.pushMany([1])
        yield* QueueFlow.push(Whole, "strict", { after: [part!] })
        yield* QueueFlow.push(Whole, "easy", { after: [part!.id, "f".repeat(24)], onDead: "go" })
        const [delivery] = yield* Parts.pullMany()
        yield* queue.reject(delivery!.message, { cause: "broken" })
        while ((yield* queue.counts({ node: "whole" })).pending < 1) yield* advance("500 millis")
        assert.deepStrictEqual((yield* Whole.pullMany()).map((one) => one.payload), ["easy"])
        while ((yield* queue.counts({ node: "flows" })).dead < 1) yield* advance("500 millis")
        const [stopped] = (yield* queue.list({ node: "flows", status: "dead" })).messages
        assert.include(stopped!.error, part!.id)
        yield* queue.redrive({ node: "parts" })
        const [again] = yield* Parts.pullMany()
        yield* queue.ack(again!.message)
        yield* queue.redrive({ node: "flows" })
        while ((yield* queue.counts({ node: "whole" })).pending < 1) yield* advance("500 millis")
        assert.deepStrictEqual((yield* Whole.pullMany()).map((one) => one.payload), ["strict"])
      }).pipe(Effect.scoped)
  )

  test("what queues do is measured by queue", (queue, advance) =>
    Effect.gen(function*() {
      const Measured = Queue.make("measured", { payload: Schema.Int })
      yield* Measured.push(1)
      yield* advance("7 seconds")
      yield* QueueGauges.layer({ queues: ["measured"], interval: "1 second" }).pipe(Layer.build, Effect.forkChild)
      yield* advance("1 second")
      const gauge = (metric: Metric.Gauge<number>, attributes: Record<string, string>) =>
        Effect.map(Metric.value(Metric.withAttributes(metric, { queue: "measured", ...attributes })), ({ value }) =>
          value)
      while ((yield* gauge(QueueGauges.depth, { status: "pending" })) < 1) {
        yield* advance("1 second")
      }
      assert.isAtLeast(yield* gauge(QueueGauges.age, {}), name === "memory" ? 7 : 0)
      const worker = yield* Measured.consume(
        (_, { tries }) =>
          Effect.andThen(Effect.sleep("2 seconds"), tries === 1 ? Effect.die("again") : Effect.void),
        {
          wait: "1 second",
          backoff: Schedule.spaced("1 second")
        }
      ).pipe(Effect.forkChild)
      while ((yield* queue.counts({ node: "measured" })).processed < 1) yield* advance("500 millis")
      yield* Fiber.interrupt(worker)
      yield* advance("2 seconds")
      const histogram = (metric: Metric.Histogram<number>) =>
        Metric.value(Metric.withAttributes(metric, { queue: "measured" }))
      const handled = yield* histogram(QueueMetrics.handled)
      assert.deepStrictEqual([handled.count, handled.min], [2, 2])
      const tries = yield* histogram(QueueMetrics.tries)
      assert.deepStrictEqual([tries.min, tries.max], [1, 2])
      const waited = yield* histogram(QueueMetrics.waited)
      assert.strictEqual(waited.count, 1)
      assert.isAtLeast(waited.min, 7)
      while ((yield* gauge(QueueGauges.depth, { status: "processed" })) < 1) yield* advance("1 second")
      assert.strictEqual(yield* gauge(QueueGauges.age, {}), 0)
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map())))

  test("names that are none are refused", () =>
    Effect.gen(function*() {
      for (const bad of ["", " x", "x ", "ü", "a\nb", "x".repeat(129)]) {
        const error = yield* Effect.flip(Queue.make(bad, { payload: Schema.String }).push("x"))
        assert.strictEqual(error.reason._tag, "InvalidMessage")
      }
    }))
}
