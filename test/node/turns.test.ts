import { assert, it } from "@effect/vitest"
import { type Served, Turns } from "../../src/node/internal/turns.ts"

let time = 0

/** Costs so many milliseconds. */
const served = (name: string, log: Array<string>, millis: number): Served => ({
  scheduled: true,
  spent: 0,
  window: 0,
  deliver: () => {
    log.push(name)
    time += millis
  }
})

const nextTurn = () => new Promise<void>((resume) => setImmediate(resume))

// @effect-diagnostics-next-line asyncFunction:off
it("who has had a share waits in a line, who has not is served at once, and each turn serves some of the line", async () => {
  const turns = new Turns(() => time)
  const log: Array<string> = []
  const heavy = ["a", "b", "c"].map((name) => served(name, log, 8))
  const light = served("light", log, 0)
  for (const one of heavy) turns.take(one)
  assert.deepStrictEqual(log, ["a", "b", "c"])
  for (const one of heavy) {
    one.scheduled = true
    turns.take(one)
    assert.isTrue(one.scheduled)
  }
  assert.strictEqual(log.length, 3)
  turns.take(light)
  assert.deepStrictEqual(log.slice(3), ["light"])
  await nextTurn()
  assert.deepStrictEqual(log.slice(4), ["a"])
  turns.take(light)
  await nextTurn()
  await nextTurn()
  assert.deepStrictEqual(log.slice(5), ["light", "b", "c"])
  assert.isFalse(heavy[2]!.scheduled)
})
