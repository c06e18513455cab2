/**
 * What an acknowledged publication means on Redis, under `kill -9` of it.
 * `KILLS=20 npx vitest run test/backplane/RedisCrash.test.ts` for more than three.
 */
import { describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { Backplane } from "effect-wire/backplane"
import { isInstalled, makeRedis, start } from "../node/support/KillableRedis.ts"
import { crash } from "../topics/CrashTest.ts"

const kills = Number(process.env["KILLS"] ?? 3)

const engine = (...settings: ReadonlyArray<string>) =>
  Effect.map(makeRedis(...settings), ({ kill, url }) => ({
    kill,
    process: Effect.map(
      start(url, { retention: "1 hour", retentionPerChannel: 100_000 }),
      Context.get(Backplane.Backplane)
    )
  }))

describe.skipIf(!isInstalled)("on a redis-server of this machine", () => {
  it.live(
    "with appendfsync always every publication that was acknowledged is heard, once and in order",
    () =>
      Effect.flatMap(
        engine("--appendonly", "yes", "--appendfsync", "always"),
        (redis) => crash(redis, kills, false)
      ),
    60_000 + kills * 10_000
  )
  it.live(
    "with appendfsync everysec, and without a file, what was acknowledged is heard or lies in a gap that is told",
    () =>
      Effect.gen(function*() {
        yield* crash(yield* engine("--appendonly", "yes", "--appendfsync", "everysec"), kills, true)
        yield* crash(yield* engine("--appendonly", "no"), kills, true)
      }),
    60_000 + kills * 20_000
  )
})
