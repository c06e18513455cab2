import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Budget } from "effect-wire/socket"

it.effect("what does not fit is not taken, and what was given back can be taken again", () =>
  Effect.gen(function*() {
    const budget = yield* Budget.Budget
    assert.isTrue(budget.acquire(60))
    assert.isFalse(budget.acquire(41))
    assert.isTrue(budget.acquire(40))
    budget.release(60)
    assert.strictEqual(budget.taken(), 40)
    assert.isTrue(budget.acquire(60))
  }).pipe(Effect.provide(Budget.layer(100))))
