import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { suite } from "./suite.ts"
import { layerPostgres, layerSqlite, layerSqlQueue } from "./support.ts"

describe("MessageQueue on SQLite", () => {
  suite("SQLite", { layer: layerSqlQueue().pipe(Layer.provide(layerSqlite())) })
})

it.layer(layerPostgres, { timeout: 60_000 })("MessageQueue on PostgreSQL", (it) => {
  // Tests that share a layer share its clock, unless each brings its own.
  suite(
    "PostgreSQL",
    { layer: layerSqlQueue() },
    (title, body, timeout) => it.effect(title, () => Effect.provide(body(), Layer.fresh(TestClock.layer())), timeout)
  )
})
