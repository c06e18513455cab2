import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schedule, Schema } from "effect"
import { JugglerCluster } from "effect-wire/juggler"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { EmbeddedPostgres, layerClient } from "./support/EmbeddedPostgres.ts"

const Board = Schema.Struct({ count: Schema.Finite, log: Schema.Array(Schema.String) })

/** One process: its own pool, its own backplane, its own copy. */
const start = (url: string) =>
  Effect.flatMap(
    Layer.build(NodePostgresBackplane.layer().pipe(Layer.provide(layerClient(url)))),
    (context) =>
      Effect.provideContext(
        JugglerCluster.make({
          channel: "board",
          schema: Board,
          initial: { count: 0, log: [] },
          joinTimeout: "300 millis"
        }),
        context
      )
  )

layer(EmbeddedPostgres.layer, { excludeTestServices: true, timeout: 60_000 })("JugglerCluster on PostgreSQL", (it) => {
  it.effect("keeps one order of the writes of three processes", () =>
    Effect.gen(function*() {
      const url = yield* (yield* EmbeddedPostgres).database
      const states = yield* Effect.forEach([1, 2, 3], () => start(url), { concurrency: "unbounded" })
      yield* Effect.forEach(
        Array.from({ length: 30 }, (_, i) => i),
        (i) =>
          states[i % 3]!.update((draft) => {
            draft.count++
            draft.log.push(`${i}`)
          }),
        { concurrency: 6, discard: true }
      )
      // who did not write the last change hears of it when the database tells
      const positions = yield* Effect.forEach(states, (state) =>
        state.position.pipe(
          Effect.filterOrFail(({ version }) => version === 30),
          Effect.retry(Schedule.spaced("10 millis"))
        ))
      for (const [i, state] of states.entries()) {
        assert.deepStrictEqual(positions[i], positions[0])
        assert.deepStrictEqual(yield* state.get, yield* states[0]!.get)
      }
      const value = yield* states[0]!.get
      assert.strictEqual(value.count, 30)
      assert.strictEqual(new Set(value.log).size, 30)
      const late = yield* start(url)
      assert.deepStrictEqual(yield* late.get, value)
    }), 120_000)
})
