/**
 * Where password users are kept: in memory, or in a table of SQLite or PostgreSQL.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

/**
 * A user as it is kept. `hash` is a secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface User {
  /** In its normalised form. */
  readonly username: string
  readonly hash: string
  readonly permissions: ReadonlyArray<string>
  readonly superuser: boolean
}

/**
 * @category services
 * @since 0.1.0
 */
export class UserStore extends Context.Service<UserStore, {
  /** The user of that name, `undefined` where there is none. */
  readonly get: (username: string) => Effect.Effect<User | undefined, SqlError>
  /** `false` when there is one of this name already. */
  readonly insert: (user: User) => Effect.Effect<boolean, SqlError>
  /** Changes what is given; `false` when there is none of this name. */
  readonly update: (
    username: string,
    change: Partial<Pick<User, "hash" | "permissions" | "superuser">>
  ) => Effect.Effect<boolean, SqlError>
  /** `false` when there is none of this name. */
  readonly delete: (username: string) => Effect.Effect<boolean, SqlError>
  /** All names, in order. */
  readonly list: Effect.Effect<ReadonlyArray<string>, SqlError>
}>()("effect-wire/identity/UserStore") {}

/**
 * Users of this process, gone with it.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<UserStore> = Layer.sync(UserStore, () => {
  const users = new Map<string, User>()
  return {
    get: (username) => Effect.sync(() => users.get(username)),
    insert: (user) =>
      Effect.sync(() => {
        if (users.has(user.username)) return false
        users.set(user.username, user)
        return true
      }),
    update: (username, change) =>
      Effect.sync(() => {
        const user = users.get(username)
        if (user === undefined) return false
        users.set(username, { ...user, ...change })
        return true
      }),
    delete: (username) => Effect.sync(() => users.delete(username)),
    list: Effect.sync(() => [...users.keys()].sort())
  }
})

const Permissions = Schema.fromJsonString(Schema.Array(Schema.String))
const decodePermissions = Schema.decodeUnknownSync(Permissions)

interface Row {
  readonly username: string
  readonly hash: string
  readonly permissions: string
  readonly superuser: number
}

/**
 * Users in a table (default `effect_wire_user`), which is created when missing. SQLite and PostgreSQL.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (options?: {
  readonly table?: string | undefined
}): Layer.Layer<UserStore, SqlError, SqlClient.SqlClient> =>
  Layer.effect(
    UserStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const name = options?.table ?? "effect_wire_user"
      const table = sql(name)
      const create = sql`CREATE TABLE IF NOT EXISTS ${table} (
        username text NOT NULL PRIMARY KEY,
        hash text NOT NULL,
        permissions text NOT NULL,
        superuser integer NOT NULL
      )`
      // Two processes that start together would both create.
      yield* sql.onDialectOrElse({
        pg: () => sql.withTransaction(Effect.andThen(sql`SELECT pg_advisory_xact_lock(hashtext(${name}))`, create)),
        orElse: () => create
      })
      return {
        get: (username) =>
          Effect.map(
            sql<Row>`SELECT username, hash, permissions, superuser FROM ${table} WHERE username = ${username}`,
            ([row]) =>
              row === undefined ? undefined : {
                username: row.username,
                hash: row.hash,
                permissions: decodePermissions(row.permissions),
                superuser: Number(row.superuser) === 1
              }
          ),
        insert: (user) =>
          Effect.map(
            sql`INSERT INTO ${table} (username, hash, permissions, superuser)
              VALUES (${user.username}, ${user.hash}, ${JSON.stringify(user.permissions)}, ${user.superuser ? 1 : 0})
              ON CONFLICT (username) DO NOTHING RETURNING username`,
            (rows) => rows.length > 0
          ),
        update: (username, change) =>
          Effect.map(
            sql`UPDATE ${table} SET
              hash = coalesce(${change.hash ?? null}, hash),
              permissions = coalesce(${
              change.permissions === undefined ? null : JSON.stringify(change.permissions)
            }, permissions),
              superuser = coalesce(${change.superuser === undefined ? null : change.superuser ? 1 : 0}, superuser)
              WHERE username = ${username} RETURNING username`,
            (rows) => rows.length > 0
          ),
        delete: (username) =>
          Effect.map(
            sql`DELETE FROM ${table} WHERE username = ${username} RETURNING username`,
            (rows) => rows.length > 0
          ),
        list: Effect.map(
          sql<{ username: string }>`SELECT username FROM ${table}`,
          (rows) => rows.map((row) => row.username).sort()
        )
      }
    })
  )
