/**
 * A durable queue of messages between nodes: push, schedule, pull, acknowledge. A pulled message is leased, not gone: when
 * its holder dies, it becomes pullable again, and after `maxTries` it is put aside with its cause.
 *
 * Delivery is at least once: a holder that dies after its work and before its ack, or whose lease runs out, causes a
 * second delivery. An ack is applied only while the lease is held, so no message is acknowledged by two holders.
 *
 * The same interface is served from memory ({@link layerMemory}), from a database ({@link layerSql}), by a Scirocco server
 * over HTTP and by JSON-RPC.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as Consumer from "./internal/consumer.ts"
import { makeEngine } from "./internal/engine.ts"
import { makeMemoryStore } from "./internal/memoryStore.ts"
import type { ConsumeOptions, Options, Service, SqlOptions, StreamOptions } from "./internal/messageQueueModel.ts"
import { makeSqlStore } from "./internal/sqlStore.ts"
import type { Delivery } from "./Message.ts"
import type { MessageQueueError } from "./MessageQueueError.ts"

export type {
  ConsumeOptions,
  Counts,
  Entry,
  Held,
  Options,
  Page,
  PullOptions,
  PushOptions,
  Service,
  SqlOptions,
  StreamOptions
} from "./internal/messageQueueModel.ts"

/**
 * The queue. Every operation fails with `MessageQueueError`; its `reason` says why.
 *
 * **Details**
 *
 * Where an operation takes a `node`, it is done in the name of that node: it sees and changes what the Scirocco wire lets
 * that node see and change. Without it, it is done for every node; over the Scirocco wire, which knows no such thing, for
 * the client's own node.
 *
 * @category services
 * @since 0.1.0
 */
export class MessageQueue extends Context.Service<MessageQueue, Service>()("effect-wire/queue/MessageQueue") {}

/**
 * Makes a queue in the memory of this process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (options?: Options): Effect.Effect<MessageQueue["Service"], never, Scope.Scope> =>
  Effect.flatMap(makeMemoryStore, (store) =>
    // nobody else writes: who waits is told of everything
    makeEngine(store, { ...options, pollInterval: options?.pollInterval ?? "5 seconds" }))

/**
 * Makes a queue on the database of the `SqlClient`: SQLite (`NodeSqliteClient`, or any client of that dialect with one
 * connection) or PostgreSQL (`@effect/sql-pg`). See {@link layerSql}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSql = (
  options?: SqlOptions
): Effect.Effect<MessageQueue["Service"], MessageQueueError, Scope.Scope | SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const store = yield* makeSqlStore(sql, {
      prefix: options?.prefix ?? "effect_wire_queue",
      migrate: options?.migrate ?? true
    })
    return yield* makeEngine(store, options ?? {})
  })

/**
 * A queue in the memory of this process: for tests, and for work that may be lost with the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: Options): Layer.Layer<MessageQueue> =>
  Layer.effect(MessageQueue, makeMemory(options))

/**
 * A queue on SQLite or PostgreSQL.
 *
 * **Details**
 *
 * *What an acknowledged push means.* PostgreSQL: the transaction is committed, with the server's `synchronous_commit`. SQLite:
 * the transaction is committed with the connection's `synchronous` setting; under `FULL` it is synced to the disk and
 * survives a power loss, under `NORMAL` (with a write-ahead log) it survives the end of the process but perhaps not a power
 * loss. What waits at the same moment shares one transaction, and none of it is confirmed before that is committed.
 *
 * *Transactional push.* Called inside a `SqlClient` transaction of the same client, every operation belongs to that
 * transaction: the message exists, the ack holds, if and only if it commits.
 *
 * *Clock.* Leases and schedules are decided by the clock of the database: several processes need not agree on the time.
 *
 * *Several processes.* On one PostgreSQL, provide `NodePostgresQueueSignal.layer` to wake the waiting pulls of others at
 * once; without it they find new messages at their `pollInterval`. Several processes on one SQLite file do the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (
  options?: SqlOptions
): Layer.Layer<MessageQueue, MessageQueueError, SqlClient.SqlClient> => Layer.effect(MessageQueue, makeSql(options))

/**
 * Works on the messages for a node until it is interrupted, or `drain` completes.
 *
 * **Details**
 *
 * Each message is leased, its lease extended while the handler runs, and at the end: acknowledged when the handler
 * succeeds; given back to rest as `backoff` says when it fails or dies; dead, with the cause, after `maxTries`. When the
 * lease is lost all the same (this process was stopped for longer than the lease), the handler is interrupted and nothing
 * is said about the message, which has another holder. When the lease cannot be extended in time, the handler is
 * interrupted before it runs out, and a warning says so.
 *
 * When the database or the server is away, it is asked again, ever less often. Fails for what asking again does not help:
 * a node id that is none, a refused token.
 *
 * Interruption interrupts the handlers; their messages are given back at once, and that try does not count. For an answer
 * to that it waits a second at most.
 *
 * **Gotchas**
 *
 * A message may be delivered twice: handlers are idempotent, or do their work and `ack` in one transaction.
 *
 * @category consumers
 * @since 0.1.0
 */
export const consume = <E, R>(
  node: string,
  handler: (message: Delivery) => Effect.Effect<unknown, E, R>,
  options?: ConsumeOptions
): Effect.Effect<void, MessageQueueError, R | MessageQueue> =>
  Effect.flatMap(MessageQueue, (queue) => Consumer.consume(queue, node, handler, options ?? {}))

/**
 * The messages for a node, pulled as the consumer of the stream asks for them. The consumer acknowledges each by itself,
 * and extends its lease where the work is long. Never ends. Messages that were pulled and not yet handed on when the stream
 * is interrupted are given back.
 *
 * @category consumers
 * @since 0.1.0
 */
export const stream = (
  node: string,
  options?: StreamOptions
): Stream.Stream<Delivery, MessageQueueError, MessageQueue> =>
  Stream.unwrap(Effect.map(MessageQueue, (queue) => Consumer.stream(queue, node, options ?? {})))

/**
 * Ends a message, whatever it is doing: one that waits is removed, one that somebody works on becomes a dead letter with
 * `cause` (default `cancelled`), and its handler is interrupted at its next heartbeat (a third of its lease, unless it says
 * otherwise) and may not say anything about the message any more. Gives what the message was doing; `undefined` for one that is
 * over, or that there is none of. `Unsupported` on the original Scirocco server.
 *
 * @category combinators
 * @since 0.2.0
 */
export const cancel = Effect.fn("MessageQueue.cancel")(function*(
  id: string,
  options?: { readonly cause?: string | undefined }
): Effect.fn.Return<"pending" | "scheduled" | "processing" | undefined, MessageQueueError, MessageQueue> {
  const queue = yield* MessageQueue
  while (true) {
    const message = Option.getOrUndefined(yield* queue.get(id))
    if (message === undefined || message.status === "processed" || message.status === "dead") return undefined
    const { destination, source, status } = message
    const done = status === "processing"
      ? yield* queue.reject({ id, destination }, { cause: options?.cause ?? "cancelled" }).pipe(
        Effect.as(true),
        Effect.catchReason("MessageQueueError", "LeaseLost", () => Effect.succeed(false))
      )
      : yield* queue.remove(id, { node: source })
    // Else it has just gone on: what it does now is looked at again.
    if (done) return status
  }
})
