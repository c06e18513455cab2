import { assert, it } from "@effect/vitest"
import { Cron, DateTime, Duration, Effect, Fiber, Option, Schema } from "effect"
import { MessageQueue, Queue, Recurring } from "effect-wire/queue"
import { type Advance, type Backend, Clock } from "./suite.ts"

const Report = Schema.Struct({ at: Schema.DateTimeUtcFromString, late: Schema.Finite })
const Reports = Queue.make("reports", { payload: Report })

const options = { queue: Reports, payload: ({ at, late }: Recurring.Firing) => ({ at, late: Duration.toMillis(late) }) }

/** The firings that were pushed and not yet looked at. */
const fired = Effect.gen(function*() {
  const queue = yield* MessageQueue.MessageQueue
  const deliveries = yield* Reports.pullMany({ max: 1000 })
  yield* queue.ackMany(deliveries.map((one) => one.message))
  return deliveries.map(({ payload }) =>
    `${DateTime.formatIso(payload.at).slice(5, 19)}${payload.late > 0 ? " late" : ""}`
  )
})

/** Waits for so many, in real time for those who wait for a database, and then that no more come. */
const firedAfter = Effect.fnUntraced(function*(advance: Advance, expected: number) {
  const all: Array<string> = []
  for (let looks = 0; looks < 200 && all.length < expected; looks++) {
    yield* advance("100 millis")
    all.push(...(yield* fired))
  }
  yield* advance("1 second")
  return [...all, ...(yield* fired)]
})

/** What recurring messages promise, whatever keeps them. */
export const recurringSuite = <R = never>(
  name: string,
  { layer }: Backend<R>,
  effect: (title: string, body: () => Effect.Effect<unknown, unknown, R>, timeout: number) => void = it.effect as never
) => {
  const test = (
    title: string,
    body: (advance: Advance) => Effect.Effect<unknown, unknown, MessageQueue.MessageQueue>
  ) =>
    effect(
      `${title} (${name})`,
      () =>
        Clock.use(({ advance }) =>
          body((duration) =>
            Effect.andThen(advance(duration), Effect.promise(() => new Promise((go) => setTimeout(go, 3))))
          )
        ).pipe(Effect.provide(layer)),
      30_000
    )

  const started = (
    name: string,
    more: Partial<Recurring.Options<typeof Report.Type>> & { readonly cron: string | Cron.Cron }
  ) => Effect.forkChild(Recurring.run(name, { ...options, ...more }))

  test("each firing pushes one message, however many processes fire", (advance) =>
    Effect.gen(function*() {
      const every = { cron: "*/2 * * * *" }
      const processes = yield* Effect.forEach([1, 2, 3], () => started("often", every))
      yield* advance("1 second")
      const seen: Array<string> = []
      for (let minutes = 0; minutes < 6; minutes += 2) {
        yield* advance("2 minutes")
        seen.push(...(yield* firedAfter(advance, 1)))
      }
      assert.deepStrictEqual(seen.map((at) => at.slice(0, 11)), ["01-01T00:02", "01-01T00:04", "01-01T00:06"])
      // One goes away, another comes: nothing is left out, nothing comes twice.
      yield* Fiber.interrupt(processes[0]!)
      const late = yield* started("often", every)
      yield* Fiber.interrupt(processes[1]!)
      yield* advance("2 minutes")
      assert.strictEqual((yield* firedAfter(advance, 1)).length, 1)
      yield* Fiber.interruptAll([processes[2]!, late])
    }))

  test("missed firings come by policy: the latest, all, or none", (advance) =>
    Effect.gen(function*() {
      const every = { cron: "*/5 * * * *" }
      for (const missed of ["latest", "all", "skip"] as const) {
        const before = yield* started(missed, { ...every, missed })
        yield* Effect.repeat(advance("100 millis"), { times: 5 })
        yield* Fiber.interrupt(before)
      }
      // Nobody runs until minute 18.
      yield* advance("18 minutes")
      assert.deepStrictEqual(yield* fired, [])
      for (
        const [missed, expected] of [
          ["latest", ["00:15:00"]],
          ["all", ["00:05:00", "00:10:00", "00:15:00"]],
          ["skip", []]
        ] as const
      ) {
        const after = yield* started(missed, { ...every, missed })
        assert.deepStrictEqual(
          yield* firedAfter(advance, Math.max(1, expected.length)),
          expected.map((at) => `01-01T${at} late`)
        )
        yield* Fiber.interrupt(after)
      }
    }))

  test("a zone's clock is the one that counts", (advance) =>
    Effect.gen(function*() {
      // 1970-01-01T00:00Z is 01:00 in Berlin, 05:30 in Kolkata.
      const berlin = yield* started("berlin", { cron: "10 1 * * *", timeZone: "Europe/Berlin" })
      const kolkata = yield* started("kolkata", {
        cron: Cron.parseUnsafe("35 5 * * *", DateTime.zoneMakeNamedUnsafe("Asia/Kolkata"))
      })
      yield* advance("1 second")
      yield* advance("12 minutes")
      assert.deepStrictEqual((yield* firedAfter(advance, 2)).map((at) => at.slice(0, 11)).sort(), [
        "01-01T00:05",
        "01-01T00:10"
      ])
      yield* Fiber.interruptAll([berlin, kolkata])
    }))

  test("a cron that is none is refused by name", () =>
    Effect.gen(function*() {
      for (const cron of ["", "61 * * * *", "every day"]) {
        const error = yield* Effect.flip(Recurring.run("x", { ...options, cron }))
        assert.strictEqual(error.reason._tag, "InvalidMessage")
      }
      const error = yield* Effect.flip(Recurring.run("x", { ...options, cron: "* * * * *", timeZone: "Mars/Olympus" }))
      assert.strictEqual(error.reason._tag, "InvalidMessage")
      assert.isTrue(Option.isNone(yield* Reports.pull()))
    }))
}
