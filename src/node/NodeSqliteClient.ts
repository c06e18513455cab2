/**
 * `SqlClient` over Node's own SQLite, `node:sqlite`: no native package to build. One connection for one client, shared by
 * fibers through a semaphore; write-ahead log, `BEGIN IMMEDIATE`, savepoints, a cache of prepared statements, 64-bit
 * integers that are exact or refused, and errors classified as `effect/sql` does.
 *
 * It needs Node 22.13 or later; with an earlier one the client fails with `SqlError`.
 *
 * `node:sqlite` is synchronous: a statement holds the event loop while it runs. Its wait for another process's lock, up to
 * `busyTimeout`, does not: it is asked again from time to time. The module is to be dropped the day `@effect/sql-sqlite-node` supports the
 * installed `effect`.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Client from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Process from "node:process"
import type { DatabaseSync } from "node:sqlite"
import { attempt, SqliteConnection } from "./internal/sqliteConnection.ts"

/**
 * A `SqlClient` on one SQLite database, with what only SQLite offers.
 *
 * @category services
 * @since 0.1.0
 */
export interface NodeSqliteClient extends Client.SqlClient {
  readonly config: NodeSqliteClientConfig
  /** The whole database as the bytes of its file. Waits for the connection like any statement. */
  readonly export: Effect.Effect<Uint8Array, SqlError>
  /** Loads a SQLite extension; needs `allowExtension`. */
  readonly loadExtension: (path: string) => Effect.Effect<void, SqlError>
}

/**
 * The service tag of {@link NodeSqliteClient}.
 *
 * @category services
 * @since 0.1.0
 */
// A client is a function with members, as `SqlClient` is, so its tag is a value and no class.
// @effect-diagnostics-next-line serviceNotAsClass:off
export const NodeSqliteClient = Context.Service<NodeSqliteClient>("effect-wire/node/NodeSqliteClient")

/**
 * Settings of a SQLite database.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeSqliteClientConfig {
  /** Path of the database file, created when missing, or `":memory:"`. */
  readonly filename: string
  /** Opens the file for reading only; a missing file is an error. Transactions then begin deferred. Default `false`. */
  readonly readonly?: boolean | undefined
  /** `PRAGMA journal_mode`. Default `"WAL"`: readers and one writer do not wait for one another. */
  readonly journalMode?: "WAL" | "DELETE" | "TRUNCATE" | "PERSIST" | "MEMORY" | undefined
  /**
   * `PRAGMA synchronous`. Default `"FULL"`: a committed transaction has been synced to the disk and survives power loss.
   * With `"NORMAL"` in WAL mode it survives the end of the process, however violent, but the last commits before a power
   * loss may be gone; the file stays consistent. `"OFF"` promises nothing after a power loss.
   */
  readonly synchronous?: "FULL" | "NORMAL" | "OFF" | "EXTRA" | undefined
  /** How long a statement waits for a lock that another connection or process holds. Default 5 seconds. */
  readonly busyTimeout?: Duration.Input | undefined
  /**
   * How `withTransaction` begins. Default `"immediate"`: it takes the write lock at once, so that it cannot fail in its
   * middle because another connection wrote first. `"deferred"` suits transactions that only read.
   */
  readonly transactionMode?: "immediate" | "deferred" | "exclusive" | undefined
  /** Most prepared statements kept; the least recently used go first. Default 256. */
  readonly preparedStatementCacheSize?: number | undefined
  /** Enforces foreign keys. Default `true`. */
  readonly foreignKeys?: boolean | undefined
  /** Largest size of the file in bytes, rounded down to whole pages; writes beyond it fail. Default: SQLite's own. */
  readonly maxSize?: number | undefined
  /** Allows `loadExtension`. Default `false`. */
  readonly allowExtension?: boolean | undefined
  readonly spanAttributes?: Record<string, unknown> | undefined
  /** Names of columns as the program has them. */
  readonly transformResultNames?: ((name: string) => string) | undefined
  /** Names of the program as the database has them. */
  readonly transformQueryNames?: ((name: string) => string) | undefined
}

/**
 * Opens a database and makes its client; the file is closed with the scope. Fails with `SqlError`: `ConnectionError` when
 * the file cannot be opened, `UnknownError` when it is no database.
 *
 * **Details**
 *
 * Integers are read as numbers. One beyond `Number.MAX_SAFE_INTEGER` is an error, never a rounded number, unless
 * `SqlClient.SafeIntegers` is provided as `true`: then all integers are read as `bigint`. Parameters may be `bigint`
 * always. Booleans are bound as 0 and 1, dates as ISO 8601 text, `Uint8Array` as blobs, and blobs are read as
 * `Uint8Array`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: NodeSqliteClientConfig
): Effect.Effect<NodeSqliteClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.flatMap(
    Effect.acquireRelease(attempt("open", () => open(options, sqlite().DatabaseSync)), (database) =>
      Effect.sync(() => {
        if (database.isOpen) database.close()
      })),
    (database) => fromDatabase(options, database)
  )

/** @internal The client of a database that is open. */
export const fromDatabase = (
  options: NodeSqliteClientConfig,
  database: DatabaseSync
): Effect.Effect<NodeSqliteClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function*() {
    const patience = Duration.toMillis(Duration.fromInputUnsafe(options.busyTimeout ?? "5 seconds"))
    const connection = new SqliteConnection(database, options.preparedStatementCacheSize ?? 256, patience)
    const semaphore = yield* Semaphore.make(1)
    const acquirers = Client.makeSqliteAcquirers({
      connection: Effect.succeed(connection),
      semaphore,
      isTransaction: (connection) => connection.database.isTransaction
    })
    const mode = options.transactionMode ?? (options.readonly === true ? "deferred" : "immediate")
    const client = yield* Client.make({
      ...acquirers,
      driver: "node-sqlite",
      compiler: Statement.makeCompilerSqlite(options.transformQueryNames),
      beginTransaction: `BEGIN ${mode.toUpperCase()}`,
      prepareTransactionControls: true,
      releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
      rollbackSavepoint: (name) => `ROLLBACK TO SAVEPOINT ${name}`,
      spanAttributes: [
        ...Object.entries(options.spanAttributes ?? {}),
        ["db.system.name", "sqlite"],
        ["db.namespace", options.filename]
      ],
      transformRows: options.transformResultNames === undefined
        ? undefined
        : Statement.defaultTransforms(options.transformResultNames).array
    })
    return Object.assign(client, {
      config: options,
      export: Effect.scoped(Effect.flatMap(acquirers.acquirer, (connection) => connection.export)),
      loadExtension: (path: string) =>
        Effect.scoped(Effect.flatMap(acquirers.acquirer, (connection) => connection.loadExtension(path)))
    })
  })

/**
 * The client as a layer, both as {@link NodeSqliteClient} and as `SqlClient`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: NodeSqliteClientConfig
): Layer.Layer<NodeSqliteClient | Client.SqlClient, SqlError> => fromEffect(make(options))

/**
 * {@link layer} with its settings read from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<NodeSqliteClientConfig>
): Layer.Layer<NodeSqliteClient | Client.SqlClient, SqlError | Config.ConfigError> =>
  fromEffect(Effect.flatMap(Config.unwrap(config), make))

const fromEffect = <E>(
  effect: Effect.Effect<NodeSqliteClient, E, Scope.Scope | Reactivity.Reactivity>
): Layer.Layer<NodeSqliteClient | Client.SqlClient, E> =>
  Layer.effectContext(Effect.map(effect, services)).pipe(Layer.provide(Reactivity.layer))

/** @internal The client by both of its names. */
export const services = (client: NodeSqliteClient): Context.Context<NodeSqliteClient | Client.SqlClient> =>
  Context.make(NodeSqliteClient, client).pipe(Context.add(Client.SqlClient, client))

// Node has it from 22.13 on; the rest of `effect-wire/node` also runs on Node 20, so it is looked up when it is wanted.
/** @internal */
export const sqlite = (): typeof import("node:sqlite") => {
  const found = Process.getBuiltinModule("node:sqlite") as typeof import("node:sqlite") | undefined
  if (found === undefined) {
    throw new Error(`this Node (${Process.version}) has no node:sqlite: 22.13 or later is needed`)
  }
  return found
}

/** @internal Throws what `node:sqlite` throws. */
export const open = (
  options: NodeSqliteClientConfig,
  Database: typeof import("node:sqlite").DatabaseSync
): DatabaseSync => {
  const database = new Database(options.filename, {
    readOnly: options.readonly ?? false,
    timeout: Duration.toMillis(Duration.fromInputUnsafe(options.busyTimeout ?? "5 seconds")),
    enableForeignKeyConstraints: options.foreignKeys ?? true,
    allowExtension: options.allowExtension ?? false
  })
  try {
    database.exec(`PRAGMA synchronous = ${options.synchronous ?? "FULL"}`)
    if (options.readonly !== true) database.exec(`PRAGMA journal_mode = ${options.journalMode ?? "WAL"}`)
    if (options.maxSize !== undefined) {
      const pageSize = Number(database.prepare("PRAGMA page_size").get()?.["page_size"] ?? 4096)
      database.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(options.maxSize / pageSize))}`)
    }
    // From here on nobody waits in SQLite.
    database.exec("PRAGMA busy_timeout = 0")
    return database
  } catch (cause) {
    database.close()
    throw cause
  }
}
