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
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as Consumer from "./internal/consumer.ts"
import { makeEngine } from "./internal/engine.ts"
import { makeMemoryStore } from "./internal/memoryStore.ts"
import { makeSqlStore } from "./internal/sqlStore.ts"
import type { Delivery, Message, PayloadInput, Status } from "./Message.ts"
import type { MessageQueueError } from "./MessageQueueError.ts"

/**
 * How a message is pushed.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushOptions {
  /** The sending node. Default: the layer's `node`. */
  readonly source?: string | undefined
  /** Not before this long from now. */
  readonly delay?: Duration.Input | undefined
  /** Not before this time; a time that has passed means now. `delay` goes before. */
  readonly at?: DateTime.Utc | Date | undefined
  /** A word of the sender for what the message is about. 1 to 255 printable ASCII characters, as the other words below. */
  readonly topic?: string | undefined
  /** What is remembered as the type of the payload. Default: the content type that the payload's kind has. */
  readonly payloadType?: string | undefined
  /** What travels with the payload: printable names, text; 4,096 characters together at most. Not over the Scirocco wire. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Higher goes first, -32,768 to 32,767. Default 0. */
  readonly priority?: number | undefined
  /** A second push to the same destination with the same key, within the window, gives the first message and adds none. */
  readonly deduplicationKey?: string | undefined
  /** How long the deduplication key holds, from the push on. Default: 5 minutes. */
  readonly deduplicationWindow?: Duration.Input | undefined
  /**
   * Messages of one destination with the same key are delivered strictly in the order of their pushes: none before its
   * predecessor is acknowledged, dead or removed. Other messages go on meanwhile. A delayed message holds its followers.
   */
  readonly orderingKey?: string | undefined
  /** After so many pulls without ack the message is dead, 1 to 32,767. Default: the layer's `maxTries`. */
  readonly maxTries?: number | undefined
}

/**
 * One message of a `pushMany`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry extends PushOptions {
  readonly destination: string
  readonly payload: PayloadInput
}

/**
 * How a message is pulled.
 *
 * @category models
 * @since 0.1.0
 */
export interface PullOptions {
  /** How long to wait when there is nothing. Default: not at all. */
  readonly wait?: Duration.Input | undefined
  /** How long the message is held; `Infinity` never gives it back. Default: the layer's `lease`. */
  readonly lease?: Duration.Input | undefined
}

/**
 * Who gives a message back, with what. A {@link Delivery} is one. Without a lease, as on the Scirocco wire, the message is
 * named by its id and the pulling node, for as long as it is `processing`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Held {
  readonly id: string
  readonly destination: string
  readonly lease?: { readonly token: string } | undefined
}

/**
 * One page of messages, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly messages: ReadonlyArray<Message>
  /** Where the next page begins; absent at the end. */
  readonly cursor?: string | undefined
}

/**
 * How many messages are in each status.
 *
 * @category models
 * @since 0.1.0
 */
export type Counts = { readonly [S in Status]: number }

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
export class MessageQueue extends Context.Service<MessageQueue, {
  /**
   * Adds a message. When it succeeds the message is as durable as the layer says. When it is interrupted the message may
   * have been added.
   */
  readonly push: (
    destination: string,
    payload: PayloadInput,
    options?: PushOptions
  ) => Effect.Effect<Message, MessageQueueError>
  /**
   * Adds all of these messages or none, and gives them in the same order. (On the original Scirocco server: one after the
   * other.)
   */
  readonly pushMany: (entries: ReadonlyArray<Entry>) => Effect.Effect<ReadonlyArray<Message>, MessageQueueError>
  /** Takes the first message for this node, waiting for one up to `wait`. Interruption leaves nothing held. */
  readonly pull: (node: string, options?: PullOptions) => Effect.Effect<Option.Option<Delivery>, MessageQueueError>
  /** Takes up to `max` messages (default 10, at most 1,000), waiting for the first one up to `wait`. */
  readonly pullMany: (
    node: string,
    options?: PullOptions & { readonly max?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<Delivery>, MessageQueueError>
  /** The work is done. `LeaseLost` when the caller does not hold the message any more. */
  readonly ack: (held: Held) => Effect.Effect<void, MessageQueueError>
  /**
   * The work on all of these is done. Gives the ids of those that the caller does not hold any more, in their order; nothing
   * was done about them, and the others are acknowledged. (On the original Scirocco server: one after the other.)
   */
  readonly ackMany: (held: ReadonlyArray<Held>) => Effect.Effect<ReadonlyArray<string>, MessageQueueError>
  /**
   * The work failed: the message becomes pullable again after `delay` (default: at once), or dead after its `maxTries`.
   * The cause is remembered. `LeaseLost` as in `ack`.
   */
  readonly nack: (held: Held, options?: {
    readonly delay?: Duration.Input | undefined
    readonly cause?: string | undefined
  }) => Effect.Effect<void, MessageQueueError>
  /** The work cannot succeed: the message is dead at once. `LeaseLost` as in `ack`. */
  readonly reject: (held: Held, options?: { readonly cause?: string | undefined }) => Effect.Effect<
    void,
    MessageQueueError
  >
  /** The work was not begun: the message is pullable again at once, and this try does not count. `LeaseLost` as in `ack`. */
  readonly release: (held: Held) => Effect.Effect<void, MessageQueueError>
  /** The work goes on: the lease ends so long from now (default: the layer's `lease`). `LeaseLost` as in `ack`. */
  readonly extend: (held: Held, lease?: Duration.Input) => Effect.Effect<void, MessageQueueError>
  /** One message, when `node` is its source or destination. */
  readonly get: (id: string, options?: { readonly node?: string | undefined }) => Effect.Effect<
    Option.Option<Message>,
    MessageQueueError
  >
  /** Messages whose source or destination is `node`, oldest first, at most `limit` (default 100, at most 1,000). */
  readonly list: (options?: {
    readonly node?: string | undefined
    readonly status?: Status | undefined
    readonly limit?: number | undefined
    readonly cursor?: string | undefined
  }) => Effect.Effect<Page, MessageQueueError>
  /** Replaces the payload of a pending or scheduled message of the source `node`; its type stays. Else `MessageNotFound`. */
  readonly update: (id: string, payload: PayloadInput, options?: {
    readonly node?: string | undefined
  }) => Effect.Effect<Message, MessageQueueError>
  /** Removes a pending or scheduled message of the source `node`; says whether there was one. */
  readonly remove: (id: string, options?: { readonly node?: string | undefined }) => Effect.Effect<
    boolean,
    MessageQueueError
  >
  /** Removes all pending and scheduled messages of the source `node`; says how many. */
  readonly removeAll: (options?: { readonly node?: string | undefined }) => Effect.Effect<number, MessageQueueError>
  /** Removes every message, whatever its status, of everybody; says how many. */
  readonly clear: Effect.Effect<number, MessageQueueError>
  /** Brings dead messages back as pending, with no tries: all, or those for a node, or those with these ids. */
  readonly redrive: (options?: {
    readonly node?: string | undefined
    readonly ids?: ReadonlyArray<string> | undefined
  }) => Effect.Effect<number, MessageQueueError>
  /** How many messages are in each status: of all, or of those for a node. Its cost grows with the number of messages. */
  readonly counts: (options?: { readonly node?: string | undefined }) => Effect.Effect<Counts, MessageQueueError>
}>()("effect-wire/queue/MessageQueue") {}

/**
 * What the layers in memory and on SQL have in common.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The node that pushes when the call names none. Default `"0"`. */
  readonly node?: string | undefined
  /**
   * How long a puller holds a message when it does not say. Default 30 minutes, for clients that know no leases;
   * `consume` asks for 30 seconds. `Infinity` switches leases off: what a dead puller held is `processing` for ever.
   */
  readonly lease?: Duration.Input | undefined
  /** After so many pulls without ack a message is dead. Default 20. */
  readonly maxTries?: number | undefined
  /** Bytes of a payload, at most. Default 1 MiB. */
  readonly maxPayload?: number | undefined
  /** How often waiting pulls look by themselves, whatever they are told. Default 500 ms. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long processed messages are kept. Default 1 day. `Infinity` keeps them. */
  readonly retention?: Duration.Input | undefined
  /** How long dead messages are kept. Default 30 days. `Infinity` keeps them. */
  readonly deadRetention?: Duration.Input | undefined
  /**
   * How often messages past their retention are removed, and, while nobody waits, what is due is made ready or dead. Default
   * 1 minute.
   */
  readonly retentionInterval?: Duration.Input | undefined
  /** How long the end of the layer waits for what was asked before it and is not done yet. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/**
 * What the layer on SQL has besides.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqlOptions extends Options {
  /** The beginning of the names of everything in the database. Default `effect_wire_queue`. */
  readonly prefix?: string | undefined
  /** Brings the tables to the present version when the layer starts. Default `true`. */
  readonly migrate?: boolean | undefined
}

/**
 * Makes a queue in the memory of this process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory = (options?: Options): Effect.Effect<MessageQueue["Service"], never, Scope.Scope> =>
  Effect.flatMap(makeMemoryStore, (store) => makeEngine(store, options ?? {}))

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
 * How {@link consume} works.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumeOptions {
  /** How many handlers run at once. Default 1. */
  readonly concurrency?: number | undefined
  /** How many messages are held besides, so that the next is there when a handler ends. Default 0. */
  readonly prefetch?: number | undefined
  /** How long a message is held without a heartbeat. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /** How often the lease is extended while the handler runs. Default: a third of the lease. */
  readonly heartbeat?: Duration.Input | undefined
  /**
   * How long a message rests after its first, second, … failure; when the schedule ends, the message is dead. Default:
   * from 1 second on, doubled each time to at most 5 minutes, jittered.
   */
  readonly backoff?: Schedule.Schedule<unknown, unknown> | undefined
  /** After so many tries a failing message is dead. Default: the message's own `maxTries`, which is never exceeded. */
  readonly maxTries?: number | undefined
  /** How long one pull waits. Default 20 seconds. */
  readonly wait?: Duration.Input | undefined
  /**
   * When this completes, no more is taken: the handlers that run come to their end, and then `consume` succeeds. Default:
   * never. Its failure is a defect.
   */
  readonly drain?: Effect.Effect<unknown> | undefined
}

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
 * How {@link stream} pulls.
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions {
  /** How many messages are pulled at once. Default 1. */
  readonly max?: number | undefined
  /** Default: the layer's. */
  readonly lease?: Duration.Input | undefined
  /** How long one pull waits. Default 20 seconds. */
  readonly wait?: Duration.Input | undefined
}

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
