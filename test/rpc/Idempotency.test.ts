import { it } from "@effect/vitest"
import { Effect } from "effect"
import { Idempotency } from "effect-wire/rpc"
import { TestClock } from "effect/testing"
import { suite } from "./IdempotencyTest.ts"

const pass = Effect.andThen(TestClock.adjust("10 millis"), Effect.yieldNow)

suite("memory", Idempotency.layerMemory, (name, effect) => it.effect(name, () => effect), pass)
