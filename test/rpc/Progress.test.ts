import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Progress } from "effect-wire/rpc"
import { TestClock } from "effect/testing"

/** A call whose progress comes every second, as a client would make it. */
const call = (reports: number) =>
  Effect.withFiber((fiber) => {
    const listener = fiber.getRef(Progress.Listener)
    return Effect.gen(function*() {
      for (let i = 1; i <= reports; i++) {
        yield* Effect.sleep("1 second")
        listener?.({ operation: `step ${i}`, amount: i / reports })
      }
      return "done"
    })
  })

it.effect("progress extends a timeout", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Progress.timeout(call(5), "2 seconds"))
    yield* TestClock.adjust("5 seconds")
    assert.strictEqual(yield* Fiber.join(fiber), "done")
  }))

it.effect("silence times a call out and interrupts it", () =>
  Effect.gen(function*() {
    let interrupted = false
    const silent = Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
    const fiber = yield* Effect.forkChild(Effect.flip(Progress.timeout(silent, "2 seconds")))
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual((yield* Fiber.join(fiber))._tag, "TimeoutError")
    assert.isTrue(interrupted)
  }))

it.effect("a tap hears every report, in order, before the result", () =>
  Effect.gen(function*() {
    const heard: Array<string> = []
    const fiber = yield* Effect.forkChild(
      call(3).pipe(Progress.tap((report) => Effect.sync(() => heard.push(report.operation))))
    )
    yield* TestClock.adjust("3 seconds")
    assert.strictEqual(yield* Fiber.join(fiber), "done")
    assert.deepStrictEqual(heard, ["step 1", "step 2", "step 3"])
  }))

it.effect("a tap that fails interrupts the call", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.flip(call(3).pipe(Progress.tap(() => Effect.fail("no")))))
    yield* TestClock.adjust("1 second")
    assert.strictEqual(yield* Fiber.join(fiber), "no")
  }))

it.effect("a stream emits the reports and then the result", () =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Stream.runCollect(Progress.stream(call(2))))
    yield* TestClock.adjust("2 seconds")
    assert.deepStrictEqual(yield* Fiber.join(fiber), [
      { _tag: "Progress", report: { operation: "step 1", amount: 0.5 } },
      { _tag: "Progress", report: { operation: "step 2", amount: 1 } },
      { _tag: "Result", value: "done" }
    ])
  }))

it("the progress of several calls is the mean of the newest amounts", () => {
  const amounts: Array<number> = []
  const each = Progress.mean(2)
  const listener = (report: Progress.Report) => amounts.push(report.amount)
  each.listener(0, listener)({ operation: "", amount: 1 })
  each.listener(1, listener)({ operation: "", amount: 0.5 })
  assert.deepStrictEqual(amounts, [0.5, 0.75])
})
