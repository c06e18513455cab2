import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { type Served, Turns } from "../../src/node/internal/turns.ts"

const nextTurn = () => new Promise<void>((resume) => setImmediate(resume))

/** Turns of a clock that goes on as things cost, and what was served of it. */
const make = () => {
  let time = 0
  const log: Array<string> = []
  const turns = new Turns(() => time)
  return {
    turns,
    cost: (name: string, millis: number) => {
      log.push(name)
      time += millis
    },
    /** Costs so many milliseconds. */
    served: (name: string, millis: number, size = 0): Served => ({
      scheduled: true,
      spent: 0,
      window: 0,
      size,
      deliver: () => {
        log.push(name)
        time += millis
      }
    }),
    pass: (millis: number) => {
      time += millis
    },
    /** What was served since it was asked last. */
    since: () => log.splice(0)
  }
}

// @effect-diagnostics-next-line asyncFunction:off
it("who has had a share waits in a line, who has not is served at once, and each turn serves some of the line", async () => {
  const { served, since, turns } = make()
  const heavy = ["a", "b", "c"].map((name) => served(name, 6))
  const light = served("light", 0)
  for (const one of heavy) {
    turns.take(one)
    await nextTurn()
  }
  assert.deepStrictEqual(since(), ["a", "b", "c"])
  for (const one of heavy) {
    one.scheduled = true
    turns.take(one)
    assert.isTrue(one.scheduled)
  }
  assert.deepStrictEqual(since(), [])
  turns.take(light)
  assert.deepStrictEqual(since(), ["light"])
  await nextTurn()
  assert.deepStrictEqual(since(), ["a"])
  turns.take(light)
  await nextTurn()
  await nextTurn()
  assert.deepStrictEqual(since(), ["light", "b", "c"])
  assert.isFalse(heavy[2]!.scheduled)
})

// @effect-diagnostics-next-line asyncFunction:off
it("a turn has an end, however many have something that is new: what is large waits first", async () => {
  const { served, since, turns } = make()
  for (let i = 0; i < 4; i++) turns.take(served(`large ${i}`, 3, 1_000_000))
  turns.take(served("small", 0))
  assert.deepStrictEqual(since(), ["large 0", "large 1", "small"])
  for (let i = 0; i < 4; i++) turns.take(served(`small ${i}`, 3))
  assert.deepStrictEqual(since(), ["small 0"])
  await nextTurn()
  assert.deepStrictEqual(since(), ["small 1", "small 2", "large 2", "large 3"])
  await nextTurn()
  assert.deepStrictEqual(since(), ["small 3"])
})

// @effect-diagnostics-next-line asyncFunction:off
it("many that cost little make a turn long, too", async () => {
  const { served, since, turns } = make()
  for (let i = 0; i < 100; i++) turns.take(served("message", 0.5))
  assert.isBelow(since().length, 20)
  for (let i = 0; i < 20; i++) await nextTurn()
  assert.isAbove(since().length, 80)
})

// @effect-diagnostics-next-line asyncFunction:off
it("requests have a line of their own, and one that is given up is not served", async () => {
  const { cost, pass, served, since, turns } = make()
  const request = (name: string, bytes: number, millis: number) =>
    Effect.runFork(Effect.andThen(turns.request(bytes), Effect.sync(() => cost(name, millis))))
  for (let i = 0; i < 4; i++) request(`body ${i}`, 500_000, 3)
  request("health", 0, 1)
  assert.deepStrictEqual(since(), ["body 0", "body 1", "health"])
  pass(20)
  const all = Array.from({ length: 3 }, (_, i) => request(`get ${i}`, 0, 3))
  turns.take(served("message", 1))
  assert.deepStrictEqual(since(), [])
  await Effect.runPromise(Fiber.interrupt(all[1]!))
  await nextTurn()
  assert.deepStrictEqual(since(), ["message", "get 0", "get 2", "body 2", "body 3"])
})
