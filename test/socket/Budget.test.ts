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
  }).pipe(Effect.provide(Budget.layer(200))))

it.effect("whoever holds most goes first, and what it held is free for the others at once", () =>
  Effect.gen(function*() {
    const budget = yield* Budget.Budget
    const ended: Array<string> = []
    const [a, b, c] = ["a", "b", "c"].map((name) => budget.open(() => ended.push(name)))
    assert.isTrue(a!.take(50))
    assert.isTrue(b!.take(30))
    assert.isTrue(c!.take(10))
    assert.isTrue(c!.take(20))
    assert.deepStrictEqual(ended, ["a"])
    assert.strictEqual(budget.taken(), 60)
    // who would hold most by what it asks for is the one
    assert.isFalse(c!.take(60))
    assert.deepStrictEqual(ended, ["a", "c"])
    assert.isFalse(a!.take(1))
    a!.give(50)
    c!.give(30)
    assert.strictEqual(budget.taken(), 30)
    b!.give(30)
    assert.strictEqual(budget.taken(), 0)
  }).pipe(Effect.provide(Budget.layer(100))))

it.effect("what belongs to no connection has half, so that it ends no connection", () =>
  Effect.gen(function*() {
    const budget = yield* Budget.Budget
    const account = budget.open(() => assert.fail("nobody is ended"))
    assert.isTrue(budget.acquire(50))
    assert.isFalse(budget.acquire(1))
    assert.isTrue(account.take(50))
    assert.isFalse(budget.acquire(0.5))
    account.close()
    assert.strictEqual(budget.taken(), 50)
  }).pipe(Effect.provide(Budget.layer(100))))

it.effect("a connection that would hold more than its share is ended, whatever room there is; one thing is taken whatever it costs", () =>
  Effect.gen(function*() {
    const budget = yield* Budget.Budget
    const ended: Array<string> = []
    const [a, b] = ["a", "b"].map((name) => budget.open((over) => ended.push(`${name}: ${over}`)))
    assert.strictEqual(a!.room(), Infinity)
    assert.isTrue(a!.take(300))
    assert.strictEqual(a!.room(), -200)
    assert.isTrue(b!.take(60))
    assert.strictEqual(b!.room(), 40)
    assert.isFalse(b!.take(41))
    assert.isFalse(a!.take(1))
    assert.deepStrictEqual(ended, ["b: connection", "a: connection"])
    assert.strictEqual(budget.taken(), 0)
  }).pipe(Effect.provide(Budget.layer(1_000, { maxConnectionBytes: 100 }))))
