/** The database: a SQLite file in `DATA_DIR`, or PostgreSQL where `DATABASE_URL` names one. */
import { PgClient } from "@effect/sql-pg"
import { Effect, FileSystem, Layer, Option, Path, type PlatformError, type Redacted } from "effect"
import { NodeSqliteClient } from "effect-wire/node"
import { SqlClient } from "effect/sql"
import { oneLine, Settings, StartError } from "./config.ts"

/** The innermost reason of an error, on one line: the others only say that something below them failed. */
const reasonOf = (error: unknown): string => {
  let inner = error
  for (;;) {
    const { cause, reason } = inner as { readonly cause?: unknown; readonly reason?: unknown }
    const next = reason instanceof Error ? reason : cause
    if (!(next instanceof Error) || (next.message === "" && !("code" in next))) break
    inner = next
  }
  const { code, message } = inner as { readonly code?: unknown; readonly message?: string }
  return oneLine(message === undefined || message === "" ? String(code ?? error) : message)
}

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

/** Builds a client now, asks it something, and says in one line why it does not answer. */
const orStartError = <A, E, R>(layer: Layer.Layer<A | SqlClient.SqlClient, E, R>, what: string) =>
  Layer.effectContext(
    Layer.build(layer).pipe(
      Effect.tap((context) => Effect.provideContext(Effect.timeout(check, "10 seconds"), context)),
      Effect.mapError((error) => new StartError({ message: `${what}: ${reasonOf(error)}` }))
    )
  )

export const layer = Layer.unwrap(Effect.map(Settings, ({ dataDir, databaseUrl }) =>
  Option.match(databaseUrl, {
    onNone: () => orStartError(sqlite(dataDir), `the data directory ${dataDir} cannot be used`),
    onSome: (url) => orStartError(postgres(url), "the database of DATABASE_URL cannot be reached")
  })))
