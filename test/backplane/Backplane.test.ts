import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Backplane } from "effect-wire/backplane"
import { hear, suite } from "./BackplaneTest.ts"

suite(
  "memory",
  (processes) => Effect.map(Backplane.makeMemory, (backplane) => Array.from({ length: processes }, () => backplane)),
  (name, effect) => it.effect(name, () => effect)
)

it.effect("a listener that publishes does not overtake what it is hearing", () =>
  Effect.gen(function*() {
    const backplane = yield* Backplane.makeMemory
    yield* backplane.listen("x", (event) => {
      if (event.sequence === 1) Effect.runSync(backplane.publish("x", "second"))
    })
    const later = yield* hear(backplane, "x")
    yield* backplane.publish("x", "first")
    assert.deepStrictEqual((yield* later.take(2)).map((event) => event.sequence), [1, 2])
  }))

it.effect("a listener that throws does not disturb the others, nor who publishes", () =>
  Effect.gen(function*() {
    const backplane = yield* Backplane.makeMemory
    yield* backplane.listen("x", () => {
      throw new Error("a fault of the application")
    })
    const other = yield* hear(backplane, "x")
    yield* backplane.publish("x", "1")
    yield* backplane.publish("x", "2")
    assert.deepStrictEqual((yield* other.take(2)).map((event) => event.sequence), [1, 2])
  }))
