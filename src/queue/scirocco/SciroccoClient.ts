/**
 * A queue on a Scirocco server over HTTP, ours or the original: the same `MessageQueue` that a program uses in memory or on a
 * database.
 *
 * The original server knows no leases: there a delivery has no expiry, an ack is by id and node, and `nack`, `reject`,
 * `release`, `extend`, `redrive` and counts fail with `Unsupported`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { contentTypes } from "../internal/payload.ts"
import type { Encoded, NewMessage } from "../internal/store.ts"
import * as Validate from "../internal/validate.ts"
import type * as Message from "../Message.ts"
import { type Counts, type Entry, type Held, MessageQueue } from "../MessageQueue.ts"
import { fail, LeaseLost, MessageNotFound, type MessageQueueError, Unsupported } from "../MessageQueueError.ts"
import { answerError, unavailable } from "./internal/errors.ts"
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

interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: Uint8Array
}

const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/**
 * Makes the client. It opens no connection by itself.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<MessageQueue["Service"], MessageQueueError, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const self = yield* Validate.checkNode("node", options.node ?? "0")
    const base = options.url.replace(/\/+$/, "")
    const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "30 seconds"))
    const maxWait = Duration.toMillis(Duration.fromInputUnsafe(options.maxWait ?? "20 seconds"))
    const defaults = { node: self, maxTries: 0, maxPayload: options.maxPayload ?? 1_024_000 }

    const request = Effect.fnUntraced(function*(
      operation: string,
      method: HttpMethod,
      path: string,
      node: string,
      extra?: {
        readonly headers?: Record<string, string | null | undefined>
        readonly body?: Encoded | undefined
        readonly json?: unknown
        readonly wait?: number
        readonly id?: string
      }
    ): Effect.fn.Return<Answer, MessageQueueError> {
      const headers: Record<string, string> = {
        authorization: Redacted.value(options.token),
        "scirocco-node-source": node
      }
      for (const [name, value] of Object.entries(extra?.headers ?? {})) {
        if (value !== undefined && value !== null) headers[name] = value
      }
      let outgoing = HttpClientRequest.setHeaders(HttpClientRequest.make(method)(base + path), headers)
      if (extra?.body !== undefined) {
        outgoing = HttpClientRequest.bodyUint8Array(outgoing, extra.body.bytes, contentTypes[extra.body.kind]!)
      } else if (extra?.json !== undefined) outgoing = HttpClientRequest.bodyJsonUnsafe(outgoing, extra.json)
      const answer = yield* client.execute(outgoing).pipe(
        Effect.flatMap((response) =>
          Effect.map(response.arrayBuffer, (body): Answer => ({
            status: response.status,
            headers: response.headers,
            body: new Uint8Array(body)
          }))
        ),
        Effect.timeout(timeout + (extra?.wait ?? 0)),
        Effect.mapError((cause) => unavailable(operation, cause))
      )
      return answer.status < 400 ? answer : yield* answerError(operation, answer, extra?.id)
    })

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

    const push = Effect.fnUntraced(function*(entry: Entry, checked: NewMessage) {
      const now = yield* Clock.currentTimeMillis
      const answer = yield* request("push", "POST", "/messageQueue", checked.source, {
        body: checked.payload,
        headers: {
          "scirocco-node-destination": checked.destination,
          "scirocco-topic": checked.topic,
          "scirocco-payload-type": entry.payloadType,
          "scirocco-priority": entry.priority === undefined ? null : String(checked.priority),
          "scirocco-ordering-key": checked.orderingKey,
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

    const check = (entry: Entry) => Validate.checkEntry(entry, "", defaults)

    const pullOne = Effect.fnUntraced(function*(
      node: string,
      lease: number | null | undefined,
      wait: number
    ): Effect.fn.Return<Message.Delivery | undefined, MessageQueueError> {
      const seconds = wait === 0 ? "" : `?wait=${wait / 1000}`
      const answer = yield* request("pull", "GET", `/messageQueue${seconds}`, node, {
        wait,
        headers: {
          "scirocco-lease-time": lease === undefined ? null : lease === null ? "0" : String(lease / 1000)
        }
      })
      if (answer.status === 204) return undefined
      return { ...(yield* messageOf("pull", answer)), lease: Wire.leaseFrom(answer.headers) }
    })

    /** A wait that is longer than one request may be is several. */
    const pullWaiting = Effect.fnUntraced(function*(node: string, lease: number | null | undefined, wait: number) {
      const end = (yield* Clock.currentTimeMillis) + wait
      while (true) {
        const left = Math.max(0, end - (yield* Clock.currentTimeMillis))
        const delivery = yield* pullOne(node, lease, Math.min(maxWait, left))
        if (delivery !== undefined || left <= maxWait) return delivery
      }
    })

    const pullMany: MessageQueue["Service"]["pullMany"] = Effect.fn("MessageQueue.pull")(function*(node, pull) {
      yield* Validate.checkNode("node", node)
      const max = yield* Validate.checkLimit("max", pull?.max, 10)
      const lease = pull?.lease === undefined ? undefined : yield* Validate.checkDuration("lease", pull.lease)
      const wait = pull?.wait === undefined ? 0 : (yield* Validate.checkDuration("wait", pull.wait)) ?? Infinity
      const deliveries: Array<Message.Delivery> = []
      let next = yield* pullWaiting(node, lease, wait)
      while (next !== undefined) {
        deliveries.push(next)
        if (deliveries.length === max) break
        // What is in hand is not given up for a failure of the next.
        next = yield* Effect.orElseSucceed(pullOne(node, lease, 0), () => undefined)
      }
      return deliveries
    })

    const finish = Effect.fnUntraced(function*(
      operation: "ack" | "nack" | "reject" | "release" | "extend",
      held: Held,
      json?: unknown
    ): Effect.fn.Return<void, MessageQueueError> {
      if (!Validate.isMessageId(held.id)) return yield* fail(new LeaseLost({ id: String(held.id) }))
      yield* Validate.checkNode("destination", held.destination)
      const token = held.lease?.token
      if (token !== undefined && !/^[\x21-\x7e]*$/.test(token)) return yield* fail(new LeaseLost({ id: held.id }))
      yield* request(operation, "PATCH", `/messageQueue/${held.id}/${operation}`, held.destination, {
        id: held.id,
        headers: { prefer: "return=minimal", "scirocco-lease": token === "" ? null : token },
        ...(json === undefined ? {} : { json })
      })
    })

    const nodeOf = (node: string | undefined) =>
      node === undefined ? Effect.succeed(self) : Validate.checkNode("node", node)

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
        return yield* Effect.forEach(entries, (entry, index) => push(entry, checked[index]!))
      }),
      pull: (node, pull) =>
        Effect.map(pullMany(node, { ...pull, max: 1 }), ([delivery]) => Option.fromNullishOr(delivery)),
      pullMany,
      ack: Effect.fn("MessageQueue.ack")((held) => finish("ack", held)),
      nack: Effect.fn("MessageQueue.nack")(function*(held, nack) {
        return yield* finish("nack", held, { delay: yield* millis("delay", nack?.delay), cause: nack?.cause })
      }),
      reject: Effect.fn("MessageQueue.reject")((held, reject) => finish("reject", held, { cause: reject?.cause })),
      release: Effect.fn("MessageQueue.release")((held) => finish("release", held)),
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
        const entries = yield* jsonOf("list", answer)
        const messages = Array.isArray(entries) ? entries.map(Wire.fromListed) : [undefined]
        const cursor = answer.headers["scirocco-cursor"]
        return messages.every((message) => message !== undefined)
          ? { messages, ...(cursor === undefined ? {} : { cursor }) }
          : yield* Effect.fail(unavailable("list", new Error("the answer is no list of messages")))
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
        return (yield* countOf("remove", yield* request("remove", "DELETE", `/messages/${id}`, node))) > 0
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
            json: { ids: redrive?.ids }
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
