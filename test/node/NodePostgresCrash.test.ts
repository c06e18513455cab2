/**
 * What an acknowledged publication means on PostgreSQL, under `kill -9` of the database.
 * `KILLS=20 npx vitest run test/node/NodePostgresCrash.test.ts` for more than three.
 */
import { it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Backplane } from "effect-wire/backplane"
import * as NodePostgresBackplane from "effect-wire/node/NodePostgresBackplane"
import { crash } from "../topics/CrashTest.ts"
import { layerClient } from "./support/EmbeddedPostgres.ts"
import { makePostgres } from "./support/KillablePostgres.ts"

const kills = Number(process.env["KILLS"] ?? 3)

it.live(
  "every publication that was acknowledged is heard, once and in order, whatever is killed",
  () =>
    Effect.gen(function*() {
      const { kill, url } = yield* makePostgres
      const process = NodePostgresBackplane.layer({ pollInterval: "500 millis", retention: "1 hour" }).pipe(
        Layer.provideMerge(layerClient(url)),
        Layer.build,
        Effect.orDie,
        Effect.map(Context.get(Backplane.Backplane))
      )
      yield* crash({ kill, process }, kills, false)
    }),
  60_000 + kills * 10_000
)
