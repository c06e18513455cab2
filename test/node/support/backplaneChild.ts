/** A process that publishes without pause until it is killed. Argument: the address of the database. */
import { Effect, Layer } from "effect"
import { Backplane } from "../../../src/backplane/index.ts"
import * as NodePostgresBackplane from "../../../src/node/NodePostgresBackplane.ts"
import { layerClient } from "./EmbeddedPostgres.ts"

const program = Effect.gen(function*() {
  const backplane = yield* Backplane.Backplane
  yield* backplane.publish("ready", "child")
  yield* Effect.forEach([1, 2, 3, 4], () => Effect.forever(backplane.publish("x", "from the child")), {
    concurrency: "unbounded"
  })
})

Effect.runFork(
  program.pipe(Effect.provide(NodePostgresBackplane.layer().pipe(Layer.provide(layerClient(process.argv[2]!)))))
)
