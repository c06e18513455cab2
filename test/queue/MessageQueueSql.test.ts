import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { recurringSuite } from "./recurringSuite.ts"
import { suite } from "./suite.ts"
import { layerPostgres, layerSqlite, layerSqlQueue } from "./support.ts"
import { typedSuite } from "./typedSuite.ts"

describe("MessageQueue on SQLite", () => {
  for (const promises of [suite, typedSuite, recurringSuite]) {
    promises("SQLite", { layer: layerSqlQueue().pipe(Layer.provide(layerSqlite())) })
  }
})

it.layer(layerPostgres, { timeout: 60_000 })("MessageQueue on PostgreSQL", (it) => {
  // Tests that share a layer share its clock, unless each brings its own.
  for (const promises of [suite, typedSuite, recurringSuite]) {
    promises(
      "PostgreSQL",
      { layer: layerSqlQueue() },
      (title, body, timeout) => it.effect(title, () => Effect.provide(body(), Layer.fresh(TestClock.layer())), timeout)
    )
  }
})
