/**
 * Calls that are executed once, and streams that go on, whatever happens to their connection. A procedure that is
 * {@link keyed} is called with an idempotency key; when the connection is lost before the answer, our clients ask again
 * with the same key, and the server answers with what the first call came to.
 *
 * - A repeated call whose first is still running waits for it. An execution belongs to the server and not to the connection: losing
 *   that does not interrupt it, a cancel of the last caller that waits for it does.
 * - Kept are results and the errors that the contract declares. Defects and interruption are not: a repeated call is executed.
 * - Kept is for a bounded time, in number and bytes. A repeated call says how old it is; where its answer may have been
 *   forgotten, or its server begun after it, it is not executed: it fails with {@link Forgotten}.
 * - A key is known to one caller (by its name, where it has one) and one method; with another payload it is refused.
 *
 * By POST a call is repeated where its request fails (after 100 ms, then twice as long each time, 5 s at the most) until its
 * `callTimeout`; a stream is not.
 *
 * A stream numbers its elements and keeps a window of those that may be on their way; a client that comes back gets what
 * comes after those that it has, from the same run of the stream, on the same server. Where that is not possible it fails
 * with {@link Forgotten}, after what was received.
 *
 * **Example** (A payment)
 *
 * ```ts
 * class Shop extends RpcGroup.make(
 *   Rpc.make("pay", { payload: { amount: Schema.Int }, success: Schema.String }).pipe(Idempotency.keyed)
 * ) {}
 * const Server = JsonRpcServer.layerSocketServer(Shop).pipe(Layer.provide([Handlers, Idempotency.layerSql()]))
 * ```
 *
 * It knows no wire: how a key travels is the wire's affair ({@link CurrentKey}). Peers that know nothing of keys notice nothing.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Once } from "./internal/idempotencyModel.ts"
import { make } from "./internal/once.ts"
import { makeMemory } from "./internal/onceMemory.ts"
import { makeSql } from "./internal/onceSql.ts"

export { CurrentKey, Forgotten, isKeyed, keyed, Once } from "./internal/idempotencyModel.ts"
export type { Key } from "./internal/idempotencyModel.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** How long an answer is kept. Default 10 minutes. */
  readonly retention?: Duration.Input | undefined
  /** Answers that are kept; over it the oldest go. Default 10,000 in memory, 100,000 in SQL. */
  readonly maxAnswers?: number | undefined
  /** Bytes of the answers that are kept in memory, together; over it the oldest go. Default 16 MiB. */
  readonly maxBytes?: number | undefined
  /** Characters of one answer; of a longer one only that it was given is kept. Default 262,144. */
  readonly maxAnswer?: number | undefined
  /** How long a stream waits, paused, for a client that went away, and its end for one that did not hear it. Default 1 minute. */
  readonly linger?: Duration.Input | undefined
  /** Streams that wait so; over it the oldest ends. Default 256. */
  readonly maxLingering?: number | undefined
  /** Elements of a stream that are kept after they were sent. Default 1,024. */
  readonly window?: number | undefined
  /** Bytes in memory of those; the newest is kept whatever its size. Default 8 MiB. */
  readonly windowBytes?: number | undefined
}

const onceOptions = (options: Options | undefined) => ({
  maxAnswer: options?.maxAnswer ?? 262_144,
  linger: Duration.toMillis(Duration.fromInputUnsafe(options?.linger ?? "1 minute")),
  maxLingering: options?.maxLingering ?? 256,
  window: { elements: options?.window ?? 1024, bytes: options?.windowBytes ?? 8 * 1024 * 1024 }
})

const retentionOf = (options: Options | undefined): number =>
  Duration.toMillis(Duration.fromInputUnsafe(options?.retention ?? "10 minutes"))

/**
 * Keeps answers in the memory of this process: for one server. When it is started again it knows that it knows nothing of what was called
 * before, and repeated calls of before fail with {@link Forgotten}; none is executed twice. Servers of a cluster share a {@link layerSql}.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerMemory = (options?: Options): Layer.Layer<Once> =>
  Layer.effect(
    Once,
    Effect.flatMap(
      makeMemory({
        retention: retentionOf(options),
        maxAnswers: options?.maxAnswers ?? 10_000,
        maxBytes: options?.maxBytes ?? 16 * 1024 * 1024
      }),
      (store) => make(store, onceOptions(options))
    )
  )

/**
 * Keeps answers in a table of SQLite or PostgreSQL, `effect_wire_answer` unless it is named, made when it is missing. A call is executed in a
 * transaction of the same `SqlClient`, in which its answer is written: what it does in that database is done once, whichever server is
 * killed whenever, and not at all where the call fails, whose error is kept. What it does elsewhere may be done again when the
 * server is killed between that and the commit.
 *
 * **Gotchas**
 *
 * A keyed call holds a connection of the pool as long as it runs, one of SQLite the only writer: let it be short.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerSql = (
  options?: Options & {
    /** Name of the table. Default `effect_wire_answer`. */
    readonly table?: string | undefined
  }
): Layer.Layer<Once, SqlError, SqlClient> =>
  Layer.effect(
    Once,
    Effect.flatMap(
      makeSql({
        table: options?.table ?? "effect_wire_answer",
        retention: retentionOf(options),
        maxAnswers: options?.maxAnswers ?? 100_000
      }),
      (store) => make(store, onceOptions(options))
    )
  )
