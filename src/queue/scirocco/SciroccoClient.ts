/**
 * A queue on a Scirocco server over HTTP, ours or the original: the same `MessageQueue` that a program uses in memory or on a
 * database.
 *
 * The original server knows no leases: there a delivery has no expiry, an ack is by id and node, and `nack`, `reject`,
 * `release`, `extend`, `redrive`, `reschedule` and counts fail with `Unsupported`; `remove` takes what waits, whatever it is asked.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { givingBack } from "../internal/givingBack.ts"
import type { NewMessage } from "../internal/store.ts"
import * as Validate from "../internal/validate.ts"
import * as Message from "../Message.ts"
import { type Counts, type Entry, type Held, MessageQueue } from "../MessageQueue.ts"
import { fail, LeaseLost, MessageNotFound, type MessageQueueError, Unsupported } from "../MessageQueueError.ts"
import { unavailable } from "./internal/errors.ts"
import { type Answer, checkNode, makeRequest } from "./internal/request.ts"
import * as Wire from "./internal/wire.ts"

/**
 * Where the server is, and who asks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The address of the server, e.g. `http://localhost:8080`. */
  readonly url: string
  readonly token: Redacted.Redacted
  /** This program's node: the source of its messages, and who asks where a call names no node. Default `"0"`. */
  readonly node?: string | undefined
  /** The longest wait that one request asks for; a longer wait is several. Default 20 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** How long one request may take besides its wait. Default 30 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Most bytes of a payload that are sent. Default: what the server takes, 1,024,000. */
  readonly maxPayload?: number | undefined
}

/** Most messages of one request. */
const maxBatch = 1000

const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/**
 * Makes the client. It opens no connection by itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<MessageQueue["Service"], MessageQueueError, HttpClient.HttpClient | Scope.Scope> =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const scope = yield* Effect.scope
    const self = yield* checkNode("node", options.node ?? "0")
    const base = options.url.replace(/\/+$/, "")
    const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "30 seconds"))
    const maxWait = Duration.toMillis(Duration.fromInputUnsafe(options.maxWait ?? "20 seconds"))
    const defaults = { node: self, maxTries: 0, maxPayload: options.maxPayload ?? 1_024_000 }

    const request = makeRequest({ client, base, token: options.token, timeout })

    const messageOf = (operation: string, answer: Answer, raw = false) => {
      const message = Wire.fromHeaders(answer.headers, answer.body, raw)
      return message === undefined
        ? Effect.fail(unavailable(operation, new Error("the answer is no message")))
        : Effect.succeed(message)
    }

    const jsonOf = (operation: string, answer: Answer) =>
      Effect.try({
        try: () => JSON.parse(new TextDecoder().decode(answer.body)) as unknown,
        catch: (cause) => unavailable(operation, cause)
      })

    const countOf = (operation: string, answer: Answer) =>
      Effect.map(jsonOf(operation, answer), (body) => {
        const n = typeof body === "object" && body !== null && "n" in body ? body.n : 0
        return typeof n === "number" ? n : 0
      })

    /** A delay is said both ways: as a time, which every server knows, and as it is, which needs no common clock. */
    const scheduled = (entry: NewMessage, now: number): Record<string, string> =>
      entry.delay !== null && entry.delay > 0
        ? {
          "scirocco-status": "scheduled",
          "scirocco-scheduled-time": iso(Math.min(now + entry.delay, 8_640_000_000_000_000)),
          "scirocco-delay": String(entry.delay)
        }
        : entry.at !== null && entry.at > now
        ? { "scirocco-status": "scheduled", "scirocco-scheduled-time": iso(entry.at) }
        : {}

    /** Whether this is a server that knows several messages in one request: not known, until it has been asked. */
    let isOurs: boolean | undefined

    /** Asks for several at once; `undefined` from the original server, which is asked one by one from then on. */
    const several = (
      asked: Effect.Effect<Answer, MessageQueueError>
    ): Effect.Effect<Answer | undefined, MessageQueueError> =>
      isOurs === false ? Effect.undefined : asked.pipe(
        Effect.tap(() => Effect.sync(() => void (isOurs = true))),
        Effect.catchReason("MessageQueueError", "Unsupported", () =>
          Effect.sync(() => {
            isOurs = false
            return undefined
          }))
      )

    const push = Effect.fnUntraced(function*(entry: Entry, checked: NewMessage) {
      const now = yield* Clock.currentTimeMillis
      const answer = yield* request("push", "POST", "/messageQueue", checked.source, {
        body: checked.payload,
        headers: {
          "scirocco-node-destination": checked.destination,
          "scirocco-topic": checked.topic,
          "scirocco-headers": entry.headers === undefined ? null : Wire.encoded(entry.headers),
          "scirocco-payload-type": entry.payloadType,
          "scirocco-priority": entry.priority === undefined ? null : String(checked.priority),
          "scirocco-ordering-key": checked.orderingKey,
          "scirocco-stop-key": checked.stopKey ? "true" : null,
          "scirocco-deduplication-key": checked.deduplicationKey,
          "scirocco-deduplication-window": checked.deduplicationKey === null
            ? null
            : String(checked.deduplicationWindow),
          "scirocco-max-tries": entry.maxTries === undefined ? null : String(checked.maxTries),
          ...scheduled(checked, now)
        }
      })
      return yield* messageOf("push", answer, true)
    })

    const pushBatch = Effect.fnUntraced(function*(
      entries: ReadonlyArray<Entry>,
      checked: ReadonlyArray<NewMessage>
    ): Effect.fn.Return<ReadonlyArray<Message.Delivery> | undefined, MessageQueueError> {
      const now = yield* Clock.currentTimeMillis
      const list = entries.map((entry, index) => {
        const one = checked[index]!
        return Wire.toEntry({
          node_destination: one.destination,
          topic: one.topic ?? undefined,
          headers: entry.headers,
          payload_type: entry.payloadType,
          priority: one.priority,
          ordering_key: one.orderingKey ?? undefined,
          stop_key: one.stopKey || undefined,
          deduplication_key: one.deduplicationKey ?? undefined,
          deduplication_window: one.deduplicationKey === null ? undefined : one.deduplicationWindow,
          max_tries: entry.maxTries,
          delay: one.delay ?? undefined,
          scheduled_time: one.at !== null && one.at > now ? iso(one.at) : undefined
        }, Message.payload(entry.payload))
      })
      const answer = yield* several(request("pushMany", "POST", "/messageQueue/batch", checked[0]!.source, {
        json: `[${list.join(",")}]`
      }))
      if (answer === undefined) return undefined
      return yield* listOf("push", answer)
    })

    const listOf = (
      operation: string,
      answer: Answer
    ): Effect.Effect<ReadonlyArray<Message.Delivery>, MessageQueueError> => {
      const messages = Wire.fromList(new TextDecoder().decode(answer.body))
      return messages === undefined
        ? Effect.fail(unavailable(operation, new Error("the answer is no list of messages")))
        : Effect.succeed(messages)
    }

    const check = (entry: Entry) =>
      Effect.andThen(
        Effect.all([checkNode("destination", entry.destination), checkNode("source", entry.source ?? self)]),
        Validate.checkEntry(entry, defaults)
      )

    /** One request for up to `max` messages. The original server gives one, whatever it is asked. */
    const pullOnce = Effect.fnUntraced(function*(
      node: string,
      max: number,
      lease: number | null | undefined,
      wait: number
    ): Effect.fn.Return<ReadonlyArray<Message.Delivery>, MessageQueueError> {
      const query = new URLSearchParams()
      if (wait > 0) query.set("wait", String(wait / 1000))
      if (max > 1 && isOurs !== false) query.set("max", String(max))
      const answer = yield* request("pull", "GET", `/messageQueue${query.size === 0 ? "" : `?${query}`}`, node, {
        wait,
        headers: {
          "scirocco-lease-time": lease === undefined ? null : lease === null ? "0" : String(lease / 1000)
        }
      })
      if (answer.status === 204) return []
      if (answer.headers["scirocco-id"] === undefined) return yield* listOf("pull", answer)
      const deliveries = [{ ...(yield* messageOf("pull", answer)), lease: Wire.leaseFrom(answer.headers) }]
      if (max === 1) return deliveries
      isOurs = false
      while (deliveries.length < max) {
        // What is in hand is not given up for a failure of the next.
        const next = yield* Effect.orElseSucceed(pullOnce(node, 1, lease, 0), () => [])
        if (next.length === 0) break
        deliveries.push(...next)
      }
      return deliveries
    })

    const pullMany: MessageQueue["Service"]["pullMany"] = Effect.fn("MessageQueue.pull")(function*(node, pull) {
      yield* checkNode("node", node)
      const max = yield* Validate.checkLimit("max", pull?.max, 10)
      const lease = pull?.lease === undefined ? undefined : yield* Validate.checkDuration("lease", pull.lease)
      const wait = pull?.wait === undefined ? 0 : (yield* Validate.checkDuration("wait", pull.wait)) ?? Infinity
      const end = (yield* Clock.currentTimeMillis) + wait
      // A wait that is longer than one request may be is several.
      while (true) {
        const left = Math.max(0, end - (yield* Clock.currentTimeMillis))
        const deliveries = yield* givingBack(pullOnce(node, max, lease, Math.min(maxWait, left)), {
          fork: Effect.forkIn(scope),
          release: (delivery) => finish("release", delivery)
        })
        if (deliveries.length > 0 || left <= maxWait) return deliveries
      }
    })

    const finish = Effect.fnUntraced(function*(
      operation: "ack" | "nack" | "reject" | "release" | "extend",
      held: Held,
      said?: unknown
    ): Effect.fn.Return<void, MessageQueueError> {
      if (!Validate.isMessageId(held.id)) return yield* fail(new LeaseLost({ id: String(held.id) }))
      yield* checkNode("destination", held.destination)
      const token = held.lease?.token
      if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) return yield* fail(new LeaseLost({ id: held.id }))
      yield* request(operation, "PATCH", `/messageQueue/${held.id}/${operation}`, held.destination, {
        id: held.id,
        headers: { prefer: "return=minimal", "scirocco-lease": token === "" ? null : token },
        ...(said === undefined ? {} : { json: JSON.stringify(said) })
      })
    })

    const ackBatch = Effect.fnUntraced(function*(
      node: string,
      held: ReadonlyArray<Held>
    ): Effect.fn.Return<ReadonlyArray<string>, MessageQueueError> {
      const answer = yield* several(request("ackMany", "PATCH", "/messageQueue/ack", node, {
        json: JSON.stringify(held.map((one) => ({ id: one.id, lease: one.lease?.token || undefined })))
      }))
      if (answer === undefined) {
        const lost = yield* Effect.forEach(held, (one) =>
          finish("ack", one).pipe(
            Effect.as([]),
            Effect.catchReason("MessageQueueError", "LeaseLost", () => Effect.succeed([one.id]))
          ))
        return lost.flat()
      }
      const body = yield* jsonOf("ackMany", answer)
      const lost = typeof body === "object" && body !== null && "lost" in body ? body.lost : undefined
      return Array.isArray(lost)
        ? lost.map(String)
        : yield* Effect.fail(unavailable("ackMany", new Error("the answer names no messages")))
    })

    const nodeOf = (node: string | undefined) => node === undefined ? Effect.succeed(self) : checkNode("node", node)

    const millis = (field: string, input: Duration.Input | undefined) =>
      input === undefined ? Effect.succeed(undefined) : Validate.checkDuration(field, input)

    const isNotFound = (error: MessageQueueError): boolean => error.reason._tag === "MessageNotFound"

    return {
      push: Effect.fn("MessageQueue.push")(function*(destination, payload, options) {
        const entry = { ...options, destination, payload }
        return yield* push(entry, yield* check(entry))
      }),
      pushMany: Effect.fn("MessageQueue.push")(function*(entries) {
        const checked = yield* Effect.forEach(entries, check)
        const isOneSource = checked.every((one) => one.source === checked[0]!.source)
        if (checked.length > 1 && checked.length <= maxBatch && isOneSource) {
          const pushed = yield* pushBatch(entries, checked)
          if (pushed !== undefined) return pushed.map(({ lease: _, ...message }) => message)
        }
        return yield* Effect.forEach(entries, (entry, index) => push(entry, checked[index]!))
      }),
      pull: (node, pull) =>
        Effect.map(pullMany(node, { ...pull, max: 1 }), ([delivery]) => Option.fromNullishOr(delivery)),
      pullMany,
      ack: Effect.fn("MessageQueue.ack")((held) => finish("ack", held)),
      ackMany: Effect.fn("MessageQueue.ackMany")(function*(held) {
        const lost: Array<string> = []
        for (const [node, ofNode] of Object.entries(Arr.groupBy(held, (one) => one.destination))) {
          yield* checkNode("destination", node)
          for (let at = 0; at < ofNode.length; at += maxBatch) {
            lost.push(...(yield* ackBatch(node, ofNode.slice(at, at + maxBatch))))
          }
        }
        const left = lost.slice()
        return held.map((one) => one.id).filter((id) => {
          const at = left.indexOf(id)
          if (at >= 0) left.splice(at, 1)
          return at >= 0
        })
      }),
      nack: Effect.fn("MessageQueue.nack")(function*(held, nack) {
        return yield* finish("nack", held, { delay: yield* millis("delay", nack?.delay), cause: nack?.cause })
      }),
      reject: Effect.fn("MessageQueue.reject")((held, reject) => finish("reject", held, { cause: reject?.cause })),
      release: Effect.fn("MessageQueue.release")(function*(held, release) {
        const delay = yield* millis("delay", release?.delay)
        yield* finish("release", held, delay === undefined ? undefined : { delay })
      }),
      extend: Effect.fn("MessageQueue.extend")(function*(held, lease) {
        return yield* finish("extend", held, { lease: yield* millis("lease", lease) })
      }),
      get: Effect.fn("MessageQueue.get")(function*(id, get) {
        const node = yield* nodeOf(get?.node)
        if (!Validate.isMessageId(id)) return Option.none()
        return yield* request("get", "GET", `/messages/${id}`, node, { id }).pipe(
          Effect.flatMap((answer) => messageOf("get", answer)),
          Effect.asSome,
          Effect.catchIf(isNotFound, () => Effect.succeedNone)
        )
      }),
      list: Effect.fn("MessageQueue.list")(function*(list) {
        const node = yield* nodeOf(list?.node)
        const limit = yield* Validate.checkLimit("limit", list?.limit, 100)
        const query = new URLSearchParams({ limit: String(limit) })
        if (list?.status !== undefined) query.set("status", list.status)
        if (list?.cursor !== undefined) query.set("cursor", list.cursor)
        const answer = yield* request("list", "GET", `/messages?${query}`, node)
        if (answer.status === 204) return { messages: [] }
        const messages = yield* listOf("list", answer)
        const cursor = answer.headers["scirocco-cursor"]
        return {
          messages: messages.map(({ lease: _, ...message }) => message),
          ...(cursor === undefined ? {} : { cursor })
        }
      }),
      update: Effect.fn("MessageQueue.update")(function*(id, payload, update) {
        const node = yield* nodeOf(update?.node)
        const body = yield* Validate.checkPayload(payload, undefined, defaults.maxPayload)
        if (!Validate.isMessageId(id)) return yield* fail(new MessageNotFound({ id }))
        return yield* messageOf("update", yield* request("update", "PATCH", `/messages/${id}`, node, { id, body }))
      }),
      remove: Effect.fn("MessageQueue.remove")(function*(id, remove) {
        const node = yield* nodeOf(remove?.node)
        if (!Validate.isMessageId(id)) return false
        const path = `/messages/${id}${remove?.anyStatus === true ? "?all=true" : ""}`
        return (yield* countOf("remove", yield* request("remove", "DELETE", path, node))) > 0
      }),
      reschedule: Effect.fn("MessageQueue.reschedule")(function*(id, at, reschedule) {
        const node = yield* nodeOf(reschedule?.node)
        const time = yield* Validate.checkTime("at", at)
        if (!Validate.isMessageId(id)) return yield* fail(new MessageNotFound({ id }))
        const answer = yield* request("reschedule", "POST", `/messages/${id}/reschedule`, node, {
          json: JSON.stringify({ scheduled_time: iso(time) })
        })
        return answer.headers["scirocco-id"] === undefined
          ? yield* fail(new MessageNotFound({ id }))
          : yield* messageOf("reschedule", answer)
      }),
      removeAll: Effect.fn("MessageQueue.removeAll")(function*(remove) {
        return yield* countOf("remove", yield* request("remove", "DELETE", "/messages", yield* nodeOf(remove?.node)))
      }),
      clear: Effect.suspend(() => request("clear", "DELETE", "/globalDataSpace", self)).pipe(
        Effect.flatMap((answer) => countOf("clear", answer))
      ),
      redrive: Effect.fn("MessageQueue.redrive")(function*(redrive) {
        const node = yield* nodeOf(redrive?.node)
        return yield* countOf(
          "redrive",
          yield* request("redrive", "POST", "/messages/redrive", node, {
            json: JSON.stringify({ ids: redrive?.ids })
          })
        )
      }),
      counts: Effect.fn("MessageQueue.counts")(function*(counts) {
        const node = yield* nodeOf(counts?.node)
        const body = yield* jsonOf("counts", yield* request("counts", "GET", "/messageQueue/counts", node))
        if (typeof body !== "object" || body === null) return yield* fail(new Unsupported({ operation: "counts" }))
        const of = (status: keyof Counts) => Number(Object.entries(body).find(([name]) => name === status)?.[1] ?? 0)
        return {
          pending: of("pending"),
          scheduled: of("scheduled"),
          processing: of("processing"),
          processed: of("processed"),
          dead: of("dead")
        }
      })
    }
  })

/**
 * The queue of a Scirocco server. Needs an `HttpClient`, e.g. `FetchHttpClient.layer`, which also runs in a browser.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<MessageQueue, MessageQueueError, HttpClient.HttpClient> =>
  Layer.effect(MessageQueue, make(options))
