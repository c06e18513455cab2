import { assert } from "@effect/vitest"
import type { Scope } from "effect"
import { Effect, Fiber, Queue, Stream } from "effect"
import type { Backplane } from "effect-wire/backplane"

export type Service = Backplane.Backplane["Service"]

/** Hears a channel into a queue. */
export const hear = (backplane: Service, channel: string) =>
  Effect.gen(function*() {
    const events = yield* Queue.unbounded<Backplane.Event>()
    const registration = yield* backplane.listen(channel, (event) => {
      Queue.offerUnsafe(events, event)
    })
    return { registration, events, take: (n: number) => Queue.takeN(events, n) }
  })

const brief = (events: ReadonlyArray<Backplane.Event>) =>
  events.map((event) => event._tag === "Gap" ? `gap ${event.missed}` : `${event.sequence} ${event.payload}`)

/** What every backplane promises; `make(n)` gives n processes that share one. */
export const suite = <R>(
  name: string,
  make: (processes: number) => Effect.Effect<ReadonlyArray<Service>, never, Scope.Scope | R>,
  test: (name: string, effect: Effect.Effect<void, unknown, Scope.Scope | R>) => void
) => {
  test(
    `a publication reaches the listeners of its channel in every process, in one order (${name})`,
    Effect.gen(function*() {
      const [a, b, c] = yield* make(3)
      const heard = yield* Effect.forEach([a!, b!, c!], (process) => hear(process, "news"))
      const other = yield* hear(b!, "other")
      yield* Effect.forEach(
        [a!, b!, c!],
        (process, p) => Effect.forEach(Array.from({ length: 20 }), (_, i) => process.publish("news", `${p}/${i}`)),
        {
          concurrency: "unbounded"
        }
      )
      const [first, second, third] = yield* Effect.forEach(heard, (one) => one.take(60))
      assert.deepStrictEqual(first, second)
      assert.deepStrictEqual(first, third)
      assert.deepStrictEqual(first!.map((event) => event.sequence), Array.from({ length: 60 }, (_, i) => i + 1))
      for (const p of [0, 1, 2]) {
        const own = first!.flatMap((event) =>
          event._tag === "Publication" && event.payload.startsWith(`${p}/`) ? [event.payload] : []
        )
        assert.deepStrictEqual(own, Array.from({ length: 20 }, (_, i) => `${p}/${i}`))
      }
      assert.strictEqual(yield* Queue.size(other.events), 0)
    })
  )
  test(
    `a retained publication is handed to who registers later, with what follows and nothing twice (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      assert.strictEqual(yield* b!.last("state"), undefined)
      yield* a!.publish("state", "one", { retain: true })
      yield* a!.publish("state", "passing")
      yield* a!.publish("state", "two", { retain: true })
      const publisher = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 30 }), (_, i) => a!.publish("state", `live ${i}`))
      )
      const listener = yield* hear(b!, "state")
      yield* Fiber.join(publisher)
      assert.strictEqual(listener.registration.last?.payload, "two")
      const rest = yield* listener.take(33 - listener.registration.sequence)
      assert.deepStrictEqual(
        rest.map((event) => event.sequence),
        Array.from({ length: 33 - listener.registration.sequence }, (_, i) => listener.registration.sequence + 1 + i)
      )
      assert.strictEqual((yield* b!.last("state"))?.sequence, 3)
    })
  )
  test(
    `payloads of any size and any text arrive as they were (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const channel = "r12:Ünïcode 🦉 \"names\" '; DROP TABLE x"
      const listener = yield* hear(b!, channel)
      const payloads = ["", "x", "ä".repeat(3990), "🦉".repeat(1975), "y".repeat(8001), "z".repeat(1_000_000), "12:r"]
      yield* Effect.forEach(payloads, (payload) => a!.publish(channel, payload), { concurrency: "unbounded" })
      const events = yield* listener.take(payloads.length)
      assert.deepStrictEqual(events.map((event) => event._tag === "Publication" && event.payload), payloads)
    })
  )
  test(
    `many large payloads at once arrive, in order (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const listener = yield* hear(b!, "large")
      const payloads = Array.from({ length: 12 }, (_, i) => String(i).repeat(300_000))
      yield* Effect.forEach(payloads, (payload) => a!.publish("large", payload), { concurrency: "unbounded" })
      const events = yield* listener.take(payloads.length)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "Publication" ? event.payload.length : "gap"),
        payloads.map((payload) => payload.length)
      )
    })
  )
  test(
    `a stream that is read too slowly loses the oldest and says how many (${name})`,
    Effect.gen(function*() {
      const [a, b] = yield* make(2)
      const heard = yield* hear(b!, "fast")
      const proceed = yield* Queue.unbounded<void>()
      const started = yield* Queue.unbounded<void>()
      const fiber = yield* b!.subscribe("fast", { capacity: 2 }).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.andThen(Queue.offer(started, undefined), Queue.take(proceed))),
        Stream.takeUntil((event) => event.sequence >= 11),
        Stream.runCollect,
        Effect.forkChild
      )
      // The stream registers by itself: publish until it has heard something.
      yield* a!.publish("fast", "first").pipe(
        Effect.andThen(Effect.yieldNow),
        Effect.repeat({ until: () => Effect.map(Queue.size(started), (size) => size > 0) })
      )
      const position = (yield* a!.publish("fast", "mark")) + 10
      yield* Effect.forEach(Array.from({ length: 10 }), (_, i) => a!.publish("fast", `${i}`))
      yield* Queue.takeN(heard.events, position)
      yield* Effect.forEach(Array.from({ length: 30 }), () => Queue.offer(proceed, undefined))
      const events = yield* Fiber.join(fiber)
      const gap = events.find((event) => event._tag === "Gap")
      assert.isDefined(gap)
      for (const [i, event] of events.entries()) {
        if (i > 0) {
          assert.strictEqual(event._tag === "Gap" ? event.after : event.sequence - 1, events[i - 1]!.sequence)
        }
      }
    })
  )
  test(
    `who has stopped listening hears nothing (${name})`,
    Effect.gen(function*() {
      const [a] = yield* make(1)
      const seen: Array<string> = []
      yield* Effect.scoped(a!.listen("x", () => seen.push("heard")))
      const witness = yield* hear(a!, "x")
      yield* a!.publish("x", "1")
      assert.deepStrictEqual(brief(yield* witness.take(1)), ["1 1"])
      assert.deepStrictEqual(seen, [])
    })
  )
}
