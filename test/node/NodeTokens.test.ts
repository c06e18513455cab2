import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Identity } from "effect-wire/identity"
import { NodeTokens } from "effect-wire/node"
import { TestClock } from "effect/testing"

it.effect("a token that is known is its identity until it expires, and any other is nobody", () =>
  Effect.gen(function*() {
    const verify = NodeTokens.fromList([
      { token: Redacted.make("machine-1"), identity: Identity.make("one") },
      { token: Redacted.make("machine-2"), identity: Identity.make("two", { expiresAt: 1000 }) }
    ])
    const who = (token: string) =>
      Effect.map(
        verify({ _tag: "Token", token: Redacted.make(token) }, { address: undefined }),
        (identity) => identity?.username
      )
    assert.strictEqual(yield* who("machine-1"), "one")
    assert.strictEqual(yield* who("machine-2"), "two")
    for (const wrong of ["", "machine-3", "machine-1 ", "MACHINE-1", "m".repeat(100_000)]) {
      assert.isUndefined(yield* who(wrong))
    }
    yield* TestClock.adjust(1000)
    assert.isUndefined(yield* who("machine-2"))
    assert.strictEqual(yield* who("machine-1"), "one")
  }))
