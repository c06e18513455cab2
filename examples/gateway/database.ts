/** The database: a SQLite file in `DATA_DIR`, or PostgreSQL where `DATABASE_URL` names one. */
import { PgClient } from "@effect/sql-pg"
import { Effect, FileSystem, Layer, Option, Path, type PlatformError, type Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { SqlClient } from "effect/sql"
import { Settings } from "./config.ts"
import { orFail } from "./startError.ts"

/** Makes a directory and those above it. (Node's own `recursive` never returns in some file systems, such as `/proc`.) */
const makeDirectory = (directory: string): Effect.Effect<
  void,
  PlatformError.PlatformError,
  FileSystem.FileSystem | Path.Path
> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (yield* fs.exists(directory)) return
    const parent = path.dirname(directory)
    if (parent !== directory) yield* makeDirectory(parent)
    yield* fs.makeDirectory(directory)
  })

const sqlite = (dataDir: string) =>
  Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* makeDirectory(path.resolve(dataDir))
    yield* fs.access(dataDir, { writable: true })
    return NodeSqliteClient.layer({ filename: path.join(dataDir, "gateway.sqlite") })
  }))

const postgres = (url: Redacted.Redacted) => PgClient.layer({ url, connectTimeout: "5 seconds" })

/** Whether the database answers. */
export const check = SqlClient.SqlClient.use((sql) => sql`SELECT 1`)

/** A client that has answered once. */
const answering = <A, E, R>(client: Layer.Layer<A | SqlClient.SqlClient, E, R>) =>
  Layer.tap(client, (context) => Effect.provideContext(Effect.timeout(check, "10 seconds"), context))

export const layer = Layer.unwrap(Effect.map(Settings, ({ dataDir, databaseUrl }) =>
  Option.match(databaseUrl, {
    onNone: () => answering(sqlite(dataDir)).pipe(orFail(`the data directory ${dataDir} cannot be used`)),
    onSome: (url) => answering(postgres(url)).pipe(orFail("the database of DATABASE_URL cannot be reached"))
  })))
