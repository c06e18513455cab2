// @effect-diagnostics asyncFunction:off
/**
 * What happens to databases and workers, one after the other: each time everything goes on by itself, and at the end nothing is
 * lost and nothing was acknowledged twice. `npx vitest run test/queue/faults/chaos.test.ts` prints how long each recovery took;
 * `QUEUE_CHAOS=10` does it ten times.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Console, Duration, Effect, Layer, Redacted } from "effect"
import { MessageQueue } from "effect-wire/queue"
import pg from "pg"
import { makePostgres } from "../../node/support/KillablePostgres.ts"
import { type Crowd, makeCrowd } from "./crowd.ts"
import { settle } from "./settle.ts"

const rounds = Number(process.env["QUEUE_CHAOS"] ?? 1)

/** A connection beside those of the queue. */
const beside = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new pg.Client(url)
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end().catch(() => {}))
  )

const say = (client: pg.Client, text: string) => Effect.promise(() => client.query(text))

/** Takes connections until the server has none left, and holds them. */
const takeAll = Effect.fnUntraced(function*(url: string) {
  for (let n = 0; n < 200; n++) {
    const taken = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const client = new pg.Client(url)
        client.on("error", () => {})
        return client.connect().then(() => client, () => undefined)
      }),
      (client) => Effect.promise(async () => client?.end().catch(() => {}))
    )
    if (taken === undefined) return
  }
})

const others = "pid <> pg_backend_pid() AND backend_type = 'client backend'"

const chaos = (crowd: Crowd, postgres: Effect.Success<typeof makePostgres>) => {
  const { url } = postgres
  let generation = 0
  const start = (role: string, index: number) =>
    crowd.start(`${role} ${index}`, role, "postgres", url, `${role}${index}.${generation++}`)
  const consumers = [0, 1]
  const faults: ReadonlyArray<readonly [string, Effect.Effect<unknown>]> = [
    [
      "workers killed",
      Effect.forEach(consumers, (index) => Effect.andThen(crowd.kill(`consumer ${index}`), start("consumer", index)))
    ],
    ["database killed and restarted", postgres.kill],
    [
      "every connection cut",
      Effect.scoped(
        Effect.flatMap(
          beside(url),
          (client) => say(client, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`)
        )
      )
    ],
    [
      "every connection of the database taken by others",
      Effect.scoped(Effect.gen(function*() {
        const client = yield* beside(url)
        yield* say(client, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`)
        yield* takeAll(url)
        yield* Effect.sleep("2 seconds")
      }))
    ],
    [
      "pools exhausted by a transaction that stalls",
      Effect.scoped(Effect.gen(function*() {
        const client = yield* beside(url)
        yield* say(
          client,
          "BEGIN; LOCK TABLE effect_wire_queue_work, effect_wire_queue_message IN ACCESS EXCLUSIVE MODE"
        )
        yield* Effect.sleep("2 seconds")
        yield* say(client, "ROLLBACK")
      }))
    ]
  ]
  return {
    faults,
    start: Effect.all([
      ...consumers.map((index) => start("producer", index)),
      ...consumers.map((index) => start("consumer", index))
    ])
  }
}

/** How long it takes until both pushes and acks are confirmed again, or nothing within a minute. */
const recovery = Effect.fnUntraced(function*(crowd: Crowd) {
  const before = yield* crowd.journal
  const goesOn = Effect.map(
    crowd.journal,
    ({ acknowledged, pushed }) =>
      pushed.length > before.pushed.length + 20 && acknowledged.length > before.acknowledged.length + 20
  )
  return yield* Effect.timed(
    Effect.repeat(Effect.delay(goesOn, "50 millis"), { until: (done) => done }).pipe(Effect.timeoutOption("1 minute"))
  )
})

describe("chaos", () => {
  it.live(
    "workers killed, the database restarted, pools exhausted: each time everything goes on, and nothing is lost",
    () =>
      Effect.gen(function*() {
        const crowd = yield* makeCrowd
        const postgres = yield* makePostgres
        const { faults, start } = chaos(crowd, postgres)
        yield* start
        assert.strictEqual((yield* recovery(crowd))[1]._tag, "Some")
        let recovered = 0
        for (let round = 0; round < rounds; round++) {
          for (const [name, fault] of faults) {
            yield* fault
            const [took, end] = yield* recovery(crowd)
            if (end._tag === "Some") recovered++
            yield* Console.log(
              `${name}: ${
                end._tag === "Some" ? `recovered after ${Math.round(Duration.toMillis(took))} ms` : "not recovered"
              }`
            )
          }
        }
        yield* Console.log(`recovered ${recovered} of ${faults.length * rounds}`)
        yield* crowd.killAll
        yield* settle(crowd, 20).pipe(
          Effect.provide(
            MessageQueue.layerSql({ pollInterval: "50 millis" }).pipe(
              Layer.provide(PgClient.layer({ url: Redacted.make(postgres.url), maxConnections: 4 }))
            )
          )
        )
        assert.strictEqual(recovered, faults.length * rounds)
      }),
    60_000 + rounds * 330_000
  )
})
