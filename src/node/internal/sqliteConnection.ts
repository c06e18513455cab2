/** */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import {
  AuthorizationError,
  classifySqliteError,
  ConnectionError,
  SqlError,
  type SqlErrorReason,
  SqlSyntaxError,
  UnknownError
} from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"

type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** Runs synchronous SQLite code; whatever it throws becomes a classified `SqlError`. */
export const attempt = <A>(operation: string, f: () => A): Effect.Effect<A, SqlError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(f())
    } catch (cause) {
      return Effect.fail(toSqlError(cause, operation))
    }
  })

const toSqlError = (cause: unknown, operation: string): SqlError =>
  new SqlError({ reason: classify(cause, cause instanceof Error ? cause.message : String(cause), operation) })

/** `node:sqlite` puts SQLite's extended result code into `errcode`; `classifySqliteError` looks for it in `errno`. */
const classify = (cause: unknown, message: string, operation: string): SqlErrorReason => {
  const code = typeof cause === "object" && cause !== null && "errcode" in cause ? cause.errcode : undefined
  if (typeof code !== "number") {
    return message === "database is not open"
      ? new ConnectionError({ cause, message, operation })
      : new UnknownError({ cause, message, operation })
  }
  const props = { cause, message, operation }
  switch (code & 0xff) {
    // SQLITE_ERROR: what is wrong with the text of a statement, and little else.
    case 1:
      return operation === "prepare" ? new SqlSyntaxError(props) : new UnknownError(props)
    // SQLITE_READONLY
    case 8:
      return new AuthorizationError(props)
    default:
      // 1555: a primary key is a unique constraint too, SQLite says it in another code.
      return classifySqliteError(
        Object.assign(new Error(message, { cause }), { errno: code === 1555 ? 2067 : code }),
        { message, operation }
      )
  }
}

const bind = (value: unknown): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
  }
  if (value === null || value instanceof Uint8Array) return value as SQLInputValue
  if (value instanceof Date) return value.toISOString()
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  throw new TypeError(`A ${Object.prototype.toString.call(value)} cannot be bound to a SQLite parameter`)
}

/** One open database as the connection of a `SqlClient`. Nothing in it waits: `node:sqlite` is synchronous. */
export class SqliteConnection implements Connection {
  readonly database: DatabaseSync
  private readonly cacheSize: number
  private readonly busyTimeout: number
  private readonly statements = new Map<string, StatementSync>()
  private readonly arrays = new Map<string, StatementSync>()

  constructor(database: DatabaseSync, cacheSize: number, busyTimeout: number) {
    this.database = database
    this.cacheSize = cacheSize
    this.busyTimeout = busyTimeout
  }

  /** Whether a transaction is open: whoever runs one at once, by {@link all}, asks first. */
  get inTransaction(): boolean {
    return this.database.isTransaction
  }

  private prepare(sql: string, cached: boolean): StatementSync {
    if (!cached) return this.database.prepare(sql)
    const known = this.statements.get(sql)
    if (known !== undefined) {
      if (this.statements.size >= this.cacheSize) {
        this.statements.delete(sql)
        this.statements.set(sql, known)
      }
      return known
    }
    const statement = this.database.prepare(sql)
    if (this.statements.size >= this.cacheSize) {
      const oldest = this.statements.keys().next()
      if (oldest.done !== true) this.statements.delete(oldest.value)
    }
    if (this.cacheSize > 0) this.statements.set(sql, statement)
    return statement
  }

  /**
   * Runs a statement at once, for who holds the connection and has many of them; rows are arrays, integers numbers. The
   * texts are few: their statements are kept. Throws `SqlError`.
   */
  readonly all = (sql: string, params: ReadonlyArray<SQLInputValue>): ReadonlyArray<ReadonlyArray<unknown>> => {
    let operation = "prepare"
    try {
      let statement = this.arrays.get(sql)
      if (statement === undefined) {
        statement = this.database.prepare(sql)
        statement.setReturnArrays(true)
        if (this.arrays.size >= 1024) this.arrays.clear()
        this.arrays.set(sql, statement)
      }
      operation = "execute"
      return statement.all(...params) as unknown as ReadonlyArray<ReadonlyArray<unknown>>
    } catch (cause) {
      throw toSqlError(cause, operation)
    }
  }

  private run<A>(
    sql: string,
    params: ReadonlyArray<unknown>,
    cached: boolean,
    f: (statement: StatementSync, params: ReadonlyArray<SQLInputValue>) => A
  ): Effect.Effect<A, SqlError> {
    return Effect.withFiber((fiber) => {
      let operation = "prepare"
      try {
        const statement = this.prepare(sql, cached)
        operation = "execute"
        statement.setReadBigInts(fiber.getRef(SqlClient.SafeIntegers))
        return Effect.succeed(f(statement, params.length === 0 ? noParams : params.map(bind)))
      } catch (cause) {
        const error = toSqlError(cause, operation)
        return isBusy(cause) && this.busyTimeout > 0
          ? this.patiently(sql, params, cached, f, error)
          : Effect.fail(error)
      }
    })
  }

  /** Another process holds the lock: it is asked again for a while, and the process goes on meanwhile. */
  private patiently<A>(
    sql: string,
    params: ReadonlyArray<unknown>,
    cached: boolean,
    f: (statement: StatementSync, params: ReadonlyArray<SQLInputValue>) => A,
    error: SqlError
  ): Effect.Effect<A, SqlError> {
    const again = Effect.suspend(() => {
      const statement = this.prepare(sql, cached)
      return attemptBusy(() => f(statement, params.length === 0 ? noParams : params.map(bind)))
    })
    return Effect.gen({ self: this }, function*() {
      for (let waited = 0, pause = 1; waited < this.busyTimeout; waited += pause, pause = Math.min(50, pause * 2)) {
        yield* Effect.provideService(Effect.sleep(pause), Clock.Clock, realTime)
        const result = yield* again
        if (result !== busy) return result
      }
      return yield* Effect.fail(error)
    })
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows) {
    const rows = this.run(sql, params, true, allRows)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>) {
    return this.run(
      sql,
      params,
      true,
      (statement, params) => statement.columns().length === 0 ? statement.run(...params) : statement.all(...params)
    )
  }

  executeUnprepared(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows) {
    const rows = this.run(sql, params, false, allRows)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  executeValues(sql: string, params: ReadonlyArray<unknown>) {
    return this.run(sql, params, true, allValues)
  }

  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>) {
    return this.run(sql, params, false, allValues)
  }

  executeStream(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows) {
    // Not from the cache: a statement that is being iterated must not be started again by another fiber.
    const open = Effect.acquireRelease(
      this.run(sql, params, false, (statement, params) => statement.iterate(...params)),
      (rows) => Effect.sync(() => rows.return?.())
    )
    return Stream.unwrap(
      Effect.map(open, (rows) =>
        Stream.paginate(undefined, () =>
          Effect.map(
            attempt("execute", () => take(rows, 128)),
            (taken) =>
              [
                transformRows === undefined ? taken : transformRows(taken),
                taken.length < 128 ? Option.none<undefined>() : Option.some(undefined)
              ] as const
          )))
    )
  }

  readonly export = attempt("export", () => this.database.serialize())

  loadExtension(path: string): Effect.Effect<void, SqlError> {
    return attempt("loadExtension", () => {
      this.database.enableLoadExtension(true)
      this.database.loadExtension(path)
    })
  }
}

const busy: unique symbol = Symbol("busy")

/** `SQLITE_BUSY` as it is: its extended forms are not cured by waiting. */
const isBusy = (cause: unknown): boolean =>
  typeof cause === "object" && cause !== null && "errcode" in cause && cause.errcode === 5

const attemptBusy = <A>(f: () => A): Effect.Effect<A | typeof busy, SqlError> => {
  try {
    return Effect.succeed(f())
  } catch (cause) {
    return isBusy(cause) ? Effect.succeed(busy) : Effect.fail(toSqlError(cause, "execute"))
  }
}

/** Other processes do not go by the clock of a test. */
const realTime: Clock.Clock = Clock.Clock.defaultValue()

const noParams: ReadonlyArray<SQLInputValue> = []

const allRows = (statement: StatementSync, params: ReadonlyArray<SQLInputValue>): ReadonlyArray<any> =>
  statement.all(...params)

const allValues = (
  statement: StatementSync,
  params: ReadonlyArray<SQLInputValue>
): ReadonlyArray<ReadonlyArray<unknown>> => {
  statement.setReturnArrays(true)
  try {
    return statement.all(...params) as unknown as ReadonlyArray<ReadonlyArray<unknown>>
  } finally {
    statement.setReturnArrays(false)
  }
}

const take = (rows: NodeJS.Iterator<object>, n: number): ReadonlyArray<object> => {
  const taken: Array<object> = []
  while (taken.length < n) {
    const next = rows.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}
