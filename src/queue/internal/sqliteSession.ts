/**
 * @internal A SQLite connection whose statements answer at once, as those of `node:sqlite`, `better-sqlite3` and Bun do: a
 * transaction is a function, and nothing else of the process runs while it does.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { MessageQueueError, QueueUnavailable } from "../MessageQueueError.ts"
import type { Values } from "./sqlRows.ts"

export type Parameter = string | number | Uint8Array | null

/** A connection whose statements answer at once; rows are arrays. Throws `SqlError`. */
export interface Synchronous {
  readonly all: (text: string, parameters: ReadonlyArray<Parameter>) => ReadonlyArray<Values>
  /** Whether a transaction of somebody is open: then a transaction waits for its turn. Absent where it is not known. */
  readonly inTransaction?: boolean
}

const isSynchronous = (connection: object): connection is Synchronous =>
  "all" in connection && typeof connection.all === "function"

const synchronous = (connection: Connection): Synchronous =>
  isSynchronous(connection) ? connection : {
    all: (text, parameters) => {
      const exit = Effect.runSyncExit(connection.executeValues(text, parameters))
      if (Exit.isSuccess(exit)) return exit.value
      throw exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error ?? exit.cause
    }
  }

export const unavailable = (operation: string) => (cause: unknown): MessageQueueError => {
  const reason = isSqlError(cause) ? cause.reason._tag : undefined
  return new MessageQueueError({
    reason: new QueueUnavailable({
      operation,
      uncertain: reason === "ConnectionError",
      ...(reason === "LockTimeoutError" ? { busy: true } : {}),
      cause
    })
  })
}

const attempt = <A>(f: () => A): Exit.Exit<A, SqlError> => {
  try {
    return Exit.succeed(f())
  } catch (cause) {
    return isSqlError(cause) ? Exit.fail(cause) : Exit.die(cause)
  }
}

type Done<A> = Effect.Effect<A, MessageQueueError>
type Body<D, A> = (db: D, now: number) => A

export interface Session<D> {
  /** A transaction of its own. */
  readonly transact: <A>(operation: string, body: Body<D, A>) => Done<A>
  /** In the transaction of the calling fiber, whole or not at all. */
  readonly within: <A>(operation: string, body: Body<D, A>) => Done<A>
  /** In the transaction of the calling fiber, where it has one. */
  readonly either: <A>(operation: string, body: Body<D, A>) => Done<A>
  readonly read: <A>(operation: string, body: Body<D, A>) => Done<A>
  /**
   * A transaction at once, without a turn of anybody: `undefined` when the connection is in a transaction, or the file
   * locked, so that it has to wait.
   */
  readonly now: <A>(operation: string, body: Body<D, A>) => Exit.Exit<A, MessageQueueError> | undefined
}

/** `make` says what is done on a connection; it is made once for each. */
export const makeSession = Effect.fnUntraced(function*<D extends object>(
  sql: SqlClient.SqlClient,
  make: (connection: Synchronous) => D
): Effect.fn.Return<Session<D>, SqlError> {
  const clock = yield* Clock.Clock
  const connections = new WeakMap<object, readonly [Synchronous, D]>()
  const on = (connection: Connection): readonly [Synchronous, D] => {
    const known = connections.get(connection)
    if (known !== undefined) return known
    const db = synchronous(connection)
    const made = [db, make(db)] as const
    connections.set(connection, made)
    return made
  }
  const first = on(yield* Effect.scoped(sql.reserve))

  /** Begins, and commits or takes back: nobody comes between. */
  const run = <A>([db, work]: readonly [Synchronous, D], body: Body<D, A>): Exit.Exit<A, SqlError> => {
    const exit = attempt(() => {
      const result = body(work, clock.currentTimeMillisUnsafe())
      db.all("COMMIT", none)
      return result
    })
    if (Exit.isFailure(exit)) attempt(() => db.all("ROLLBACK", none))
    return exit
  }
  const begin = ([db]: readonly [Synchronous, D]): Exit.Exit<unknown, SqlError> =>
    attempt(() => db.all("BEGIN IMMEDIATE", none))

  const session: Session<D> = {
    transact: (operation, body) =>
      Effect.mapError(
        Effect.scoped(Effect.flatMap(sql.reserve, (connection) => {
          const known = on(connection)
          // What is locked is asked for again, in the connection's own way, for as long as that has patience.
          return Exit.isSuccess(begin(known))
            ? run(known, body)
            : Effect.andThen(
              connection.execute("BEGIN IMMEDIATE", [], undefined),
              Effect.suspend(() => run(known, body))
            )
        })),
        unavailable(operation)
      ),
    now: (operation, body) => {
      if (first[0].inTransaction !== false || Exit.isFailure(begin(first))) return undefined
      return Exit.mapError(run(first, body), unavailable(operation))
    },
    within: (operation, body) =>
      Effect.withFiber((fiber) => {
        const service = fiber.context.mapUnsafe.get(sql.transactionService.key) as readonly [Connection, number]
        const [db, work] = on(service[0])
        const exit = attempt(() => {
          db.all("SAVEPOINT effect_wire_queue", none)
          const result = body(work, clock.currentTimeMillisUnsafe())
          db.all("RELEASE effect_wire_queue", none)
          return result
        })
        if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
        attempt(() => {
          db.all("ROLLBACK TO effect_wire_queue", none)
          db.all("RELEASE effect_wire_queue", none)
        })
        return Effect.mapError(exit, unavailable(operation))
      }),
    either: (operation, body) =>
      Effect.withFiber((fiber) =>
        fiber.context.mapUnsafe.has(sql.transactionService.key)
          ? session.within(operation, body)
          : session.transact(operation, body)
      ),
    read: (operation, body) =>
      Effect.mapError(
        Effect.withFiber((fiber) => {
          const service = fiber.context.mapUnsafe.get(sql.transactionService.key) as readonly [Connection] | undefined
          const run = (connection: Connection) =>
            Effect.suspend(() => attempt(() => body(on(connection)[1], clock.currentTimeMillisUnsafe())))
          return service === undefined ? Effect.scoped(Effect.flatMap(sql.reserve, run)) : run(service[0])
        }),
        unavailable(operation)
      )
  }
  return session
})

const none: ReadonlyArray<never> = []
