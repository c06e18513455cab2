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
  return deliveries.map(({ payload }) => `${DateTime.formatIso(payload.at).slice(5, 19)}${payload.late > 0 ? " late" : ""}`)
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
    effect(`${title} (${name})`, () =>
      Clock.use(({ advance }) => body((duration) => Effect.gen(function*() {
        // In steps: who waits for the database in real time gets it.
        for (let left = Duration.toMillis(Duration.fromInputUnsafe(duration)); left > 0; left -= 1_200_000) {
          yield* advance(Math.min(left, 1_200_000))
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        }
      }))).pipe(Effect.provide(layer)), 30_000)

  const started = (name: string, more: Partial<Recurring.Options<typeof Report.Type>> & { readonly cron: string | Cron.Cron }) =>
    Effect.forkChild(Recurring.run(name, { ...options, ...more }))

  test("each firing pushes one message, however many processes fire", (advance) =>
    Effect.gen(function*() {
      const processes = yield* Effect.forEach([1, 2, 3], () => started("hourly", { cron: "0 * * * *" }))
      yield* advance("3 hours")
      yield* advance("1 minute")
      assert.deepStrictEqual((yield* fired).map((at) => at.slice(0, 14)), ["01-01T01:00:00", "01-01T02:00:00", "01-01T03:00:00"])
      // One goes away, another comes: nothing is left out, nothing comes twice.
      yield* Fiber.interrupt(processes[0]!)
      const late = yield* started("hourly", { cron: "0 * * * *" })
      yield* Fiber.interrupt(processes[1]!)
      yield* advance("1 hour")
      assert.strictEqual((yield* fired).length, 1)
      yield* Fiber.interruptAll([processes[2]!, late])
    }))

  test("missed firings come by policy: the latest, all, or none", (advance) =>
    Effect.gen(function*() {
      const policies = ["latest", "all", "skip"] as const
      for (const missed of policies) {
        const before = yield* started(missed, { cron: "0 * * * *", missed })
        yield* advance("1 minute")
        yield* Fiber.interrupt(before)
      }
      yield* fired
      // At minute 3 of hour 0; nobody runs until hour 4, minute 13.
      yield* advance("4 hours")
      yield* advance("10 minutes")
      assert.deepStrictEqual(yield* fired, [])
      for (const [missed, expected] of [
        ["latest", ["01-01T04:00:00 late"]],
        ["all", ["01:00:00", "02:00:00", "03:00:00", "04:00:00"].map((at) => `01-01T${at} late`)],
        ["skip", []]
      ] as const) {
        const after = yield* started(missed, { cron: "0 * * * *", missed })
        yield* advance("1 second")
        yield* advance("1 second")
        assert.deepStrictEqual(yield* fired, expected)
        yield* Fiber.interrupt(after)
      }
    }))

  test("a zone's clock is the one that counts, also when it is put forward", (advance) =>
    Effect.gen(function*() {
      // 1970-01-01T00:00Z is 01:00 in Berlin; 05:30 in Kolkata.
      const berlin = yield* started("berlin", { cron: "0 6 * * *", timeZone: "Europe/Berlin" })
      const kolkata = yield* started("kolkata", {
        cron: Cron.parseUnsafe("0 6 * * *", DateTime.zoneMakeNamedUnsafe("Asia/Kolkata"))
      })
      yield* advance("6 hours")
      assert.deepStrictEqual((yield* fired).map((at) => at.slice(0, 11)), ["01-01T00:30", "01-01T05:00"])
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
