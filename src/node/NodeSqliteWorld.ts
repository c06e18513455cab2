/**
 * `SqlClient` over `node:sqlite` for a node of a simulated world: the real SQLite, on the disk of the world. It crashes
 * between any two statements (the fault `midway`), right behind a commit too, and a power failure takes what the file's
 * `synchronous` setting does not promise. SQLite recovers by itself from what is left, as in production.
 *
 * What is written lies in files of the system's temporary directory while the node lives, and in `World.disk` between its
 * lives. It is not for production: nothing is synced for real.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import Process from "node:process"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { World } from "../simulation/World.ts"
import { attempt } from "./internal/sqliteConnection.ts"
import * as NodeSqliteClient from "./NodeSqliteClient.ts"

/**
 * Settings of a database in a world; those of `NodeSqliteClient`, without what a world decides.
 *
 * @category models
 * @since 0.2.0
 */
export interface NodeSqliteWorldConfig
  extends Omit<NodeSqliteClient.NodeSqliteClientConfig, "filename" | "journalMode" | "readonly">
{
  /** The name of the file on the disk of the node. Its log is `${path}-wal`. */
  readonly path: string
}

/**
 * Opens the database of a node as its last life left it, and makes its client. When the scope closes, or the node crashes,
 * its file is back on the disk of the node.
 *
 * **Details**
 *
 * Every statement is a step that the fault `midway` may crash the node at, and so is the moment behind one that commits,
 * before anybody knows. With `synchronous` `"FULL"` (the default) or `"EXTRA"` what was committed survives a power failure,
 * but for the commit that is under way: it is there, or torn, or gone. With `"NORMAL"` or `"OFF"` all commits of this life
 * may be gone, the last first. The log is not moved into the file while a node lives.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  options: NodeSqliteWorldConfig
): Effect.Effect<
  NodeSqliteClient.NodeSqliteClient,
  SqlError,
  Scope.Scope | Reactivity.Reactivity | World
> =>
  Effect.gen(function*() {
    const world = yield* World
    const filename = Path.join(directory(), `${++count}.db`)
    const config = { ...options, filename, synchronous: "OFF" as const }
    const file = new WorldFile(
      world,
      options.path,
      filename,
      options.synchronous !== "NORMAL" && options.synchronous !== "OFF"
    )
    const database = yield* Effect.acquireRelease(
      attempt("open", () => file.open(config)),
      (database) => Effect.sync(() => file.close(database, false))
    )
    world.onCrash(() => file.close(database, true))
    return yield* NodeSqliteClient.fromDatabase(config, database)
  })

/**
 * The client of {@link make} as a layer.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (
  options: NodeSqliteWorldConfig
): Layer.Layer<NodeSqliteClient.NodeSqliteClient | SqlClient.SqlClient, SqlError, World> =>
  Layer.effectContext(Effect.map(make(options), NodeSqliteClient.services)).pipe(Layer.provide(Reactivity.layer))

type WorldService = World["Service"]

/** One life of the file. */
class WorldFile {
  private readonly world: WorldService
  private readonly path: string
  private readonly filename: string
  private readonly syncs: boolean
  /** Bytes of the log that survive a power failure. */
  private synced = 0
  private gone = false

  constructor(world: WorldService, path: string, filename: string, syncs: boolean) {
    this.world = world
    this.path = path
    this.filename = filename
    this.syncs = syncs
  }

  open(config: NodeSqliteClient.NodeSqliteClientConfig): DatabaseSync {
    const { disk } = this.world
    for (const suffix of ["", "-wal"]) {
      const bytes = disk.read(this.path + suffix)
      if (bytes !== undefined && bytes.length > 0) Fs.writeFileSync(this.filename + suffix, bytes)
    }
    const { DatabaseSync } = NodeSqliteClient.sqlite()
    const { watch } = this
    const database = NodeSqliteClient.open(
      config,
      class extends DatabaseSync {
        override prepare(...args: Parameters<DatabaseSync["prepare"]>): StatementSync {
          return watch(this, super.prepare(...args))
        }
      }
    )
    // From here on the log only grows, so that its length says what was synced.
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
    database.exec("PRAGMA wal_autocheckpoint = 0")
    return database
  }

  /** Each run of a statement is a step; one that commits is followed by another, before its log is synced. */
  private readonly watch = (database: DatabaseSync, statement: StatementSync): StatementSync => {
    const watched = <A extends ReadonlyArray<unknown>, B>(run: (...args: A) => B) => (...args: A): B => {
      this.world.step()
      const result = run(...args)
      if (!database.isTransaction) {
        const size = this.logSize()
        if (size > this.synced) {
          this.world.step()
          if (this.syncs) this.synced = size
        }
      }
      return result
    }
    return Object.assign(statement, {
      all: watched(statement.all.bind(statement)),
      get: watched(statement.get.bind(statement)),
      run: watched(statement.run.bind(statement)),
      iterate: watched(statement.iterate.bind(statement))
    })
  }

  private logSize(): number {
    return Fs.statSync(`${this.filename}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /**
   * Gives the file back to the disk of the node: as it lies there, or, closed in order, as one file without a log. A crash in
   * the middle of that gives it back once more.
   */
  close(database: DatabaseSync, crashed: boolean): void {
    if (this.gone) return
    const { disk } = this.world
    const { filename, path } = this
    if (!crashed) {
      this.world.step()
      database.close()
    }
    const bytes = this.logSize() > 0 ? Fs.readFileSync(`${filename}-wal`) : new Uint8Array(0)
    disk.write(path, Fs.readFileSync(filename))
    disk.sync(path)
    const log = `${path}-wal`
    disk.write(log, bytes.subarray(0, this.synced))
    disk.sync(log)
    if (bytes.length > this.synced) disk.append(log, bytes.subarray(this.synced))
    this.gone = true
    if (database.isOpen) database.close()
    for (const suffix of ["", "-wal", "-shm"]) Fs.rmSync(filename + suffix, { force: true })
  }
}

let made: string | undefined
let count = 0

/** One for the process, removed when it ends. */
const directory = (): string => {
  if (made === undefined) {
    const path = made = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-wire-world-"))
    Process.once("exit", () => Fs.rmSync(path, { recursive: true, force: true }))
  }
  return made
}
