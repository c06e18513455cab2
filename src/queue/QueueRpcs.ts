/**
 * The queue as procedures: an ordinary `RpcGroup`, to be served by any wire that serves groups, and a `MessageQueue` made of
 * any client of it. Interrupting a call here interrupts it there: a waiting pull that is given up holds nothing.
 *
 * Who may call what is the app's to say: put a middleware or access rules on the group.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import { givingBack } from "./internal/givingBack.ts"
import * as Validate from "./internal/validate.ts"
import * as Message from "./Message.ts"
import { type Entry, type Held, MessageQueue, type PullOptions } from "./MessageQueue.ts"
import { fail, LeaseLost, MessageQueueError, QueueUnavailable } from "./MessageQueueError.ts"

/** Milliseconds; `null` is without end. */
const Millis = Schema.NullOr(Schema.Natural)
const node = Schema.optionalKey(Schema.String)

const HeldFields = {
  id: Schema.String,
  destination: Schema.String,
  token: Schema.optionalKey(Schema.String)
}

/**
 * One message of `queue.push`; durations are milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PushEntry = Schema.Struct({
  destination: Schema.String,
  payload: Message.Payload,
  source: Schema.optionalKey(Schema.String),
  delay: Schema.optionalKey(Schema.Natural),
  at: Schema.optionalKey(Schema.DateTimeUtc),
  topic: Schema.optionalKey(Schema.String),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  payloadType: Schema.optionalKey(Schema.String),
  priority: Schema.optionalKey(Schema.Int),
  deduplicationKey: Schema.optionalKey(Schema.String),
  deduplicationWindow: Schema.optionalKey(Schema.Natural),
  orderingKey: Schema.optionalKey(Schema.String),
  stopKey: Schema.optionalKey(Schema.Boolean),
  maxTries: Schema.optionalKey(Schema.Int)
})

const Page = Schema.Struct({ messages: Schema.Array(Message.Message), cursor: Schema.optionalKey(Schema.String) })

const Counts = Schema.Struct({
  pending: Schema.Natural,
  scheduled: Schema.Natural,
  processing: Schema.Natural,
  processed: Schema.Natural,
  dead: Schema.Natural
})

const error = MessageQueueError

/**
 * The contract, `queue.push`, `queue.pull`, …: the operations of `MessageQueue`, with plain values for options.
 *
 * @category contracts
 * @since 0.1.0
 */
export class QueueRpcs extends RpcGroup.make(
  Rpc.make("queue.push", {
    payload: { entries: Schema.Array(PushEntry) },
    success: Schema.Array(Message.Message),
    error
  }),
  Rpc.make("queue.pull", {
    payload: {
      node: Schema.String,
      max: Schema.Int,
      wait: Schema.Natural,
      lease: Schema.optionalKey(Millis)
    },
    success: Schema.Array(Message.Delivery),
    error
  }),
  Rpc.make("queue.ack", { payload: HeldFields, error }),
  Rpc.make("queue.ackMany", {
    payload: { held: Schema.Array(Schema.Struct(HeldFields)) },
    success: Schema.Array(Schema.String),
    error
  }),
  Rpc.make("queue.nack", {
    payload: { ...HeldFields, delay: Schema.optionalKey(Millis), cause: Schema.optionalKey(Schema.String) },
    error
  }),
  Rpc.make("queue.reject", { payload: { ...HeldFields, cause: Schema.optionalKey(Schema.String) }, error }),
  Rpc.make("queue.release", { payload: { ...HeldFields, delay: Schema.optionalKey(Millis) }, error }),
  Rpc.make("queue.extend", { payload: { ...HeldFields, lease: Schema.optionalKey(Millis) }, error }),
  Rpc.make("queue.get", { payload: { id: Schema.String, node }, success: Schema.NullOr(Message.Message), error }),
  Rpc.make("queue.list", {
    payload: {
      node,
      status: Schema.optionalKey(Message.Status),
      limit: Schema.optionalKey(Schema.Int),
      cursor: Schema.optionalKey(Schema.String)
    },
    success: Page,
    error
  }),
  Rpc.make("queue.update", {
    payload: { id: Schema.String, payload: Message.Payload, node },
    success: Message.Message,
    error
  }),
  Rpc.make("queue.remove", {
    payload: { id: Schema.String, node, anyStatus: Schema.optionalKey(Schema.Boolean) },
    success: Schema.Boolean,
    error
  }),
  Rpc.make("queue.reschedule", {
    payload: { id: Schema.String, at: Schema.DateTimeUtc, node },
    success: Message.Message,
    error
  }),
  Rpc.make("queue.removeAll", { payload: { node }, success: Schema.Natural, error }),
  Rpc.make("queue.clear", { success: Schema.Natural, error }),
  Rpc.make("queue.redrive", {
    payload: { node, ids: Schema.optionalKey(Schema.Array(Schema.String)) },
    success: Schema.Natural,
    error
  }),
  Rpc.make("queue.counts", { payload: { node }, success: Counts, error })
) {}

/** The longest that one call waits on the server; a longer wait is several calls. */
const maxWait = 60_000

const duration = (millis: number | null | undefined): Duration.Duration | undefined =>
  millis === undefined ? undefined : millis === null ? Duration.infinity : Duration.millis(millis)

const heldOf = (held: { readonly id: string; readonly destination: string; readonly token?: string }): Held => ({
  id: held.id,
  destination: held.destination,
  ...(held.token === undefined ? {} : { lease: { token: held.token } })
})

/** What failed inside is logged here and does not leave the process. */
const hide = <A>(effect: Effect.Effect<A, MessageQueueError>): Effect.Effect<A, MessageQueueError> =>
  Effect.catchReason(effect, "MessageQueueError", "QueueUnavailable", (reason) =>
    Effect.andThen(
      Effect.logError("MessageQueue: the queue is not available", reason.message),
      fail(new QueueUnavailable({ operation: reason.operation, uncertain: reason.uncertain, cause: "not available" }))
    ))

/**
 * The handlers of {@link QueueRpcs} on the `MessageQueue` of the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHandlers: Layer.Layer<
  Rpc.ToHandler<RpcGroup.Rpcs<typeof QueueRpcs>>,
  never,
  MessageQueue
> = QueueRpcs.toLayer(Effect.gen(function*() {
  const queue = yield* MessageQueue
  return QueueRpcs.of({
    "queue.push": ({ entries }) => hide(queue.pushMany(entries)),
    "queue.pull": ({ lease, max, node, wait }) =>
      hide(queue.pullMany(node, {
        max,
        wait: Math.min(wait, maxWait),
        ...(lease === undefined ? {} : { lease: duration(lease) })
      })),
    "queue.ack": (held) => hide(queue.ack(heldOf(held))),
    "queue.ackMany": ({ held }) => hide(queue.ackMany(held.map(heldOf))),
    "queue.nack": (held) => hide(queue.nack(heldOf(held), { delay: duration(held.delay), cause: held.cause })),
    "queue.reject": (held) => hide(queue.reject(heldOf(held), { cause: held.cause })),
    "queue.release": (held) => hide(queue.release(heldOf(held), { delay: duration(held.delay) })),
    "queue.extend": (held) => hide(queue.extend(heldOf(held), duration(held.lease))),
    "queue.get": ({ id, node }) => hide(Effect.map(queue.get(id, { node }), Option.getOrNull)),
    "queue.list": (options) =>
      hide(Effect.map(queue.list(options), ({ cursor, messages }) => ({
        messages,
        ...(cursor === undefined ? {} : { cursor })
      }))),
    "queue.update": ({ id, node, payload }) => hide(queue.update(id, payload, { node })),
    "queue.remove": ({ id, ...options }) => hide(queue.remove(id, options)),
    "queue.reschedule": ({ at, id, node }) => hide(queue.reschedule(id, at, { node })),
    "queue.removeAll": ({ node }) => hide(queue.removeAll({ node })),
    "queue.clear": () => hide(queue.clear),
    "queue.redrive": ({ ids, node }) => hide(queue.redrive({ node, ids })),
    "queue.counts": ({ node }) => hide(queue.counts({ node }))
  })
}))

/**
 * A client of the contract, whatever wire it is on.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<E> = RpcClient.RpcClient<RpcGroup.Rpcs<typeof QueueRpcs>, E>

/**
 * Makes a queue of a client, e.g. of `JsonRpcClient.make(QueueRpcs)`. What the connection does to a call is
 * `QueueUnavailable`, with `uncertain`: it may have been done.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromRpcClient = <E>(
  client: Client<E>,
  options?: {
    /** The node that pushes when the call names none. Default: the server's. */
    readonly node?: string | undefined
    /** Most bytes of a payload that are sent. Default 1 MiB; the server has its own limit, and so has the wire. */
    readonly maxPayload?: number | undefined
  }
): MessageQueue["Service"] => {
  const defaults = { node: options?.node ?? "0", maxTries: 1, maxPayload: options?.maxPayload ?? 1_048_576 }

  const call = <A>(
    operation: string,
    effect: Effect.Effect<A, E | MessageQueueError>
  ): Effect.Effect<A, MessageQueueError> =>
    Effect.mapError(effect, (error) =>
      error instanceof MessageQueueError ? error : new MessageQueueError({
        reason: new QueueUnavailable({ operation, uncertain: true, cause: error })
      }))

  /** Checked here too: what does not go over the wire need not be sent. */
  const entryOf = Effect.fnUntraced(function*(entry: Entry) {
    const checked = yield* Validate.checkEntry(entry, defaults)
    const optional = {
      source: entry.source ?? options?.node,
      delay: checked.delay ?? undefined,
      at: entry.at === undefined || entry.delay !== undefined ? undefined : Validate.toUtc(entry.at),
      topic: entry.topic,
      headers: entry.headers,
      payloadType: entry.payloadType,
      priority: entry.priority,
      deduplicationKey: entry.deduplicationKey,
      deduplicationWindow: entry.deduplicationKey === undefined ? undefined : checked.deduplicationWindow,
      orderingKey: entry.orderingKey,
      stopKey: entry.stopKey,
      maxTries: entry.maxTries
    }
    return {
      destination: entry.destination,
      payload: Message.payload(entry.payload),
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
    } as typeof PushEntry.Type
  })

  const pushMany: MessageQueue["Service"]["pushMany"] = Effect.fn("MessageQueue.push")(function*(entries) {
    const checked = yield* Effect.forEach(entries, entryOf)
    return checked.length === 0 ? [] : yield* call("push", client["queue.push"]({ entries: checked }))
  })

  const pullMany = Effect.fn("MessageQueue.pull")(function*(
    node: string,
    pull?: PullOptions & { readonly max?: number | undefined }
  ) {
    yield* Validate.checkNode("node", node)
    const max = yield* Validate.checkLimit("max", pull?.max, 10)
    const lease = pull?.lease === undefined ? {} : { lease: yield* Validate.checkDuration("lease", pull.lease) }
    let left = pull?.wait === undefined ? 0 : (yield* Validate.checkDuration("wait", pull.wait)) ?? Infinity
    while (true) {
      const wait = Math.min(left, maxWait)
      const deliveries = yield* givingBack(call("pull", client["queue.pull"]({ node, max, wait, ...lease })), {
        fork: Effect.forkDetach,
        release: ({ destination, id, lease }) =>
          call("release", client["queue.release"]({ id, destination, token: lease.token }))
      })
      left -= wait
      if (deliveries.length > 0 || left <= 0) return deliveries
    }
  })

  const held = Effect.fnUntraced(function*({ destination, id, lease }: Held) {
    if (!Validate.isMessageId(id)) return yield* fail(new LeaseLost({ id: String(id) }))
    yield* Validate.checkNode("destination", destination)
    return { id, destination, ...(lease === undefined ? {} : { token: lease.token }) }
  })
  const causeOf = (cause: string | undefined) => cause === undefined ? {} : { cause }
  const nodeOf = (node: string | undefined) => node === undefined ? {} : { node }

  return {
    push: (destination, payload, push) =>
      Effect.map(pushMany([{ ...push, destination, payload }]), (messages) => messages[0]!),
    pushMany,
    pull: (node, pull) =>
      Effect.map(pullMany(node, { ...pull, max: 1 }), ([delivery]) => Option.fromNullishOr(delivery)),
    pullMany,
    ack: Effect.fn("MessageQueue.ack")(function*(by) {
      yield* call("ack", client["queue.ack"](yield* held(by)))
    }),
    ackMany: Effect.fn("MessageQueue.ackMany")(function*(by) {
      return yield* call("ack", client["queue.ackMany"]({ held: yield* Effect.forEach(by, held) }))
    }),
    nack: Effect.fn("MessageQueue.nack")(function*(by, nack) {
      const delay = nack?.delay === undefined ? {} : { delay: yield* Validate.checkDuration("delay", nack.delay) }
      yield* call("nack", client["queue.nack"]({ ...(yield* held(by)), ...delay, ...causeOf(nack?.cause) }))
    }),
    reject: Effect.fn("MessageQueue.reject")(function*(by, reject) {
      yield* call("reject", client["queue.reject"]({ ...(yield* held(by)), ...causeOf(reject?.cause) }))
    }),
    release: Effect.fn("MessageQueue.release")(function*(by, release) {
      const delay = release?.delay === undefined ? {} : { delay: yield* Validate.checkDuration("delay", release.delay) }
      yield* call("release", client["queue.release"]({ ...(yield* held(by)), ...delay }))
    }),
    extend: Effect.fn("MessageQueue.extend")(function*(by, lease) {
      const millis = lease === undefined ? {} : { lease: yield* Validate.checkDuration("lease", lease) }
      yield* call("extend", client["queue.extend"]({ ...(yield* held(by)), ...millis }))
    }),
    get: Effect.fn("MessageQueue.get")(function*(id, get) {
      return Option.fromNullishOr(yield* call("get", client["queue.get"]({ id, ...nodeOf(get?.node) })))
    }),
    list: Effect.fn("MessageQueue.list")(function*(list) {
      return yield* call(
        "list",
        client["queue.list"]({
          ...nodeOf(list?.node),
          ...(list?.status === undefined ? {} : { status: list.status }),
          ...(list?.limit === undefined ? {} : { limit: list.limit }),
          ...(list?.cursor === undefined ? {} : { cursor: list.cursor })
        })
      )
    }),
    update: Effect.fn("MessageQueue.update")(function*(id, payload, update) {
      yield* Validate.checkPayload(payload, undefined, defaults.maxPayload)
      return yield* call(
        "update",
        client["queue.update"]({
          id,
          payload: Message.payload(payload),
          ...nodeOf(update?.node)
        })
      )
    }),
    remove: Effect.fn("MessageQueue.remove")(function*(id, remove) {
      return yield* call(
        "remove",
        client["queue.remove"]({ id, ...nodeOf(remove?.node), ...(remove?.anyStatus ? { anyStatus: true } : {}) })
      )
    }),
    reschedule: Effect.fn("MessageQueue.reschedule")(function*(id, at, reschedule) {
      yield* Validate.checkTime("at", at)
      return yield* call(
        "reschedule",
        client["queue.reschedule"]({ id, at: Validate.toUtc(at), ...nodeOf(reschedule?.node) })
      )
    }),
    removeAll: Effect.fn("MessageQueue.removeAll")(function*(remove) {
      return yield* call("remove", client["queue.removeAll"](nodeOf(remove?.node)))
    }),
    clear: Effect.suspend(() => call("clear", client["queue.clear"](undefined))),
    redrive: Effect.fn("MessageQueue.redrive")(function*(redrive) {
      return yield* call(
        "redrive",
        client["queue.redrive"]({
          ...nodeOf(redrive?.node),
          ...(redrive?.ids === undefined ? {} : { ids: redrive.ids })
        })
      )
    }),
    counts: Effect.fn("MessageQueue.counts")(function*(counts) {
      return yield* call("counts", client["queue.counts"](nodeOf(counts?.node)))
    })
  }
}
