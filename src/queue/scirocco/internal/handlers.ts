/**
 * @internal What each route of the Scirocco wire does.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { RouteContext } from "effect/http/HttpRouter"
import { HttpServerRequest, ParsedSearchParams } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Weight from "../../../rpc/internal/weight.ts"
import type { BudgetShape } from "../../../socket/Budget.ts"
import { isMessageId } from "../../internal/validate.ts"
import * as Message from "../../Message.ts"
import type { Held, MessageQueue, PushOptions } from "../../MessageQueue.ts"
import type { MessageQueueError, Reason } from "../../MessageQueueError.ts"
import * as Batch from "./batch.ts"
import * as Body from "./body.ts"
import type { Options } from "./serverModel.ts"
import * as Wire from "./wire.ts"

type Queue = MessageQueue["Service"]
type Response = HttpServerResponse.HttpServerResponse
type Handler = Effect.Effect<Response, never, HttpServerRequest>

const notFound = { message: "Resource not found." }
/** The longest duration: a hundred years. What ends after the calendar of JavaScript has no time that could be told. */
const maxMillis = 36_525 * 86_400_000
const maxSeconds = maxMillis / 1000
const nodeId = /^[0-9a-fA-F]{1,128}$/

/** The names of fields on the wire. */
const wireNames = new Map([
  ["source", "node_source"],
  ["destination", "node_destination"],
  ["node", "node_source"],
  ["payloadType", "payload_type"],
  ["at", "scheduled_time"],
  ["orderingKey", "ordering_key"],
  ["stopKey", "stop_key"],
  ["deduplicationKey", "deduplication_key"],
  ["deduplicationWindow", "deduplication_window"],
  ["maxTries", "max_tries"]
])

const answerReason = (reason: Reason): Effect.Effect<never, Body.Refused> => {
  switch (reason._tag) {
    case "InvalidMessage":
      return Body.invalid(wireNames.get(reason.field) ?? reason.field, reason.problem)
    case "PayloadTooLarge":
      return Body.refuse(413, { message: "request entity too large", limit: reason.limit })
    case "MessageNotFound":
      return Body.refuse(404, notFound)
    case "LeaseLost":
      return Body.refuse(409, { message: "Lease lost." })
    default:
      return Effect.andThen(
        Effect.logError("Scirocco: the queue is not available", reason.message),
        Body.refuse(503, { message: "The queue is not available." })
      )
  }
}

export const makeHandlers = (options: Options, queue: Queue, budget: BudgetShape) => {
  const limits = [
    options.limits?.json ?? 102_400,
    options.limits?.text ?? 102_400,
    options.limits?.binary ?? 1_024_000
  ] as const
  const maxBatch = options.limits?.batch ?? 8_388_608
  const maxList = Math.max(1, Math.min(1000, options.maxList ?? 100))
  const maxWait = Duration.toSeconds(Duration.fromInputUnsafe(options.maxWait ?? "60 seconds"))
  const reading: Body.Reading = { timeout: options.bodyTimeout ?? "10 seconds", budget }

  const handle = <R>(
    body: (request: HttpServerRequest) => Effect.Effect<Response, Body.Refused | MessageQueueError, R>
  ): Handler =>
    Effect.scoped(Effect.flatMap(HttpServerRequest, body)).pipe(
      Effect.catchTag("MessageQueueError", (error) => answerReason(error.reason)),
      Effect.catchTag("Refused", (refused) => Effect.succeed(refused.response))
    ) as Handler

  const json = (body: unknown, status = 200): Response => HttpServerResponse.jsonUnsafe(body, { status })
  const none = HttpServerResponse.empty({ status: 204 })
  const array = (
    messages: ReadonlyArray<Message.Message | Message.Delivery>,
    headers: Record<string, string> = {},
    status = 200
  ): Response =>
    HttpServerResponse.text(`[${messages.map(Wire.toListed).join(",")}]`, {
      status,
      contentType: "application/json",
      headers
    })

  const answer = (message: Message.Message | Message.Delivery, status: number, raw = false): Response => {
    const { bytes, contentType } = Wire.toBody(message.payload, raw)
    return HttpServerResponse.uint8Array(bytes, {
      status,
      contentType,
      headers: {
        ...Wire.toHeaders(message),
        "x-content-type-options": "nosniff",
        ...(status === 201 ? { location: `/messages/${message.id}` } : {})
      }
    })
  }

  /** Who asks. Absent where that means nothing is found. */
  const nodeOf = (request: HttpServerRequest): Effect.Effect<string | undefined, Body.Refused> => {
    const node = request.headers["scirocco-node-source"]
    return node === undefined || nodeId.test(node)
      ? Effect.succeed(node)
      : Body.invalid("node_source", "is no node id: 1 to 128 hexadecimal digits")
  }

  /** Other queues than those of this wire have names that people choose. */
  const checkDestination = (node: string): Effect.Effect<void, Body.Refused> =>
    nodeId.test(node) ? Effect.void : Body.invalid("node_destination", "is no node id: 1 to 128 hexadecimal digits")

  const id = Effect.flatMap(RouteContext, ({ params }) => {
    const id = params["id"] ?? ""
    return isMessageId(id) ? Effect.succeed(id.toLowerCase()) : Body.refuse(404, notFound)
  })

  const parameter = (name: string) =>
    Effect.map(ParsedSearchParams, (params): string | undefined => {
      const value = params[name]
      return typeof value === "string" ? value : value?.[0]
    })

  const number = (field: string, text: string | undefined, max = Infinity) => {
    const value = Number(text)
    return text === undefined
      ? Effect.succeed(undefined)
      : /^\d+(?:\.\d+)?$/.test(text) && value <= max
      ? Effect.succeed(value)
      : Body.invalid(field, "is no number that is allowed here")
  }

  const integer = (field: string, text: string | undefined) =>
    text === undefined
      ? Effect.succeed(undefined)
      : /^-?\d{1,9}$/.test(text)
      ? Effect.succeed(Number(text))
      : Body.invalid(field, "is no integer")

  const boolean = (field: string, text: string | undefined) =>
    text === undefined || text === "true" || text === "false"
      ? Effect.succeed(text === "true")
      : Body.invalid(field, "is no boolean")

  const schedule = Effect.fnUntraced(function*(request: HttpServerRequest) {
    if (request.headers["scirocco-status"] !== "scheduled") return {}
    const delay = yield* number("delay", request.headers["scirocco-delay"], maxMillis)
    if (delay !== undefined) return { delay }
    const text = request.headers["scirocco-scheduled-time"]
    if (text === undefined) {
      return yield* Body.refuse(400, {
        message: "An scheduled message requires the scheduled time header to be set."
      })
    }
    const at = Wire.parseTime(text)
    if (at === undefined) return yield* Body.invalid("scheduled_time", "is no valid date")
    if (at < (yield* Clock.currentTimeMillis)) return yield* Body.invalid("scheduled_time", "is in the past")
    return { at: new Date(at) }
  })

  const push = handle(Effect.fnUntraced(function*(request) {
    const { headers } = request
    const source = yield* nodeOf(request)
    if (source === undefined) return yield* Body.invalid("node_source", "is required")
    const destination = headers["scirocco-node-destination"]
    if (destination === undefined) return yield* Body.invalid("node_destination", "is required")
    yield* checkDestination(destination)
    const payloadType = headers["scirocco-payload-type"]
    if (payloadType !== undefined && (payloadType.length < 1 || payloadType.length > 30)) {
      return yield* Body.invalid("payload_type", "is not 1 to 30 characters")
    }
    const said = headers["scirocco-headers"]
    const own = Wire.headersFrom(said)
    if (said !== undefined && own === undefined) return yield* Body.invalid("headers", "are no object of text")
    const push: PushOptions = {
      source,
      headers: own,
      ...(yield* schedule(request)),
      topic: headers["scirocco-topic"],
      orderingKey: headers["scirocco-ordering-key"],
      stopKey: yield* boolean("stop_key", headers["scirocco-stop-key"]),
      deduplicationKey: headers["scirocco-deduplication-key"],
      deduplicationWindow: yield* number("deduplication_window", headers["scirocco-deduplication-window"], maxMillis),
      priority: yield* integer("priority", headers["scirocco-priority"]),
      maxTries: yield* integer("max_tries", headers["scirocco-max-tries"])
    }
    const { payload, type } = yield* Body.readPayload(request, limits, reading)
    return answer(yield* queue.push(destination, payload, { ...push, payloadType: payloadType ?? type }), 201, true)
  }))

  const pull = handle(Effect.fnUntraced(function*(request) {
    const node = yield* nodeOf(request)
    if (node === undefined) return none
    const wait = yield* number("wait", yield* parameter("wait"))
    const lease = yield* number("lease_time", request.headers["scirocco-lease-time"], maxSeconds)
    const max = yield* integer("max", yield* parameter("max"))
    if (max !== undefined && max < 1) return yield* Body.invalid("max", "is less than 1")
    const pull = {
      wait: Duration.seconds(Math.min(maxWait, wait ?? 0)),
      ...(lease === undefined
        ? {}
        : { lease: lease === 0 ? Duration.infinity : Duration.seconds(lease) })
    }
    if (max === undefined) {
      const delivery = yield* queue.pull(node, pull)
      return Option.match(delivery, { onNone: () => none, onSome: (message) => answer(message, 200) })
    }
    const deliveries = yield* queue.pullMany(node, { ...pull, max: Math.min(maxList, max) })
    return deliveries.length === 0 ? none : array(deliveries)
  }))

  /** The text of a JSON body. */
  const jsonText = (request: HttpServerRequest, limit: number) =>
    Effect.gen(function*() {
      const text = new TextDecoder().decode(yield* Body.readBody(request, limit, reading))
      // parsed, it is there a second time
      yield* Body.take(reading, Weight.ofText(text))
      return text
    })

  const pushBatch = handle(Effect.fnUntraced(function*(request) {
    const source = yield* nodeOf(request)
    if (source === undefined) return yield* Body.invalid("node_source", "is required")
    const entries = yield* Batch.readEntries(yield* jsonText(request, maxBatch), source, limits)
    yield* Effect.forEach(entries, (entry) => checkDestination(entry.destination))
    return array(yield* queue.pushMany(entries), {}, 201)
  }))

  const ackBatch = handle(Effect.fnUntraced(function*(request) {
    const node = yield* nodeOf(request)
    if (node === undefined) return yield* Body.refuse(404, notFound)
    const held = yield* Batch.readHeld(yield* jsonText(request, maxBatch), node)
    const lost = yield* queue.ackMany(held)
    return json({ ok: 1, n: held.length - lost.length, lost })
  }))

  /** Who holds a message, and with which token. */
  const held = Effect.fnUntraced(function*(request: HttpServerRequest) {
    const name = yield* id
    const node = yield* nodeOf(request)
    if (node === undefined) return yield* Body.refuse(404, notFound)
    const token = request.headers["scirocco-lease"]
    return { id: name, destination: node, ...(token === undefined ? {} : { lease: { token } }) } satisfies Held
  })

  const fields = Effect.fnUntraced(function*(request: HttpServerRequest) {
    const body = yield* Body.readBody(request, limits[0], reading)
    if (body.length === 0) return new Map<string, unknown>()
    const value = Body.parseJson(new TextDecoder().decode(body))
    return Option.isSome(value) && typeof value.value === "object" && value.value !== null
      ? new Map<string, unknown>(Object.entries(value.value))
      : yield* Body.invalid("body", "is no JSON object")
  })

  const finish = (word: "ack" | "nack" | "reject" | "release" | "extend"): Handler =>
    handle(Effect.fnUntraced(function*(request) {
      const by = yield* held(request)
      const said = word === "ack" ? new Map<string, unknown>() : yield* fields(request)
      const cause = said.get("cause")
      const field = word === "nack" || word === "release" ? "delay" : "lease"
      const millis = said.get(field)
      if (cause !== undefined && typeof cause !== "string") return yield* Body.invalid("cause", "is no text")
      if (
        millis !== undefined && millis !== null && !(typeof millis === "number" && millis >= 0 && millis <= maxMillis)
      ) {
        return yield* Body.invalid(field, "is no number of milliseconds")
      }
      const duration = millis === null ? Duration.infinity : millis as number | undefined
      yield* (word === "ack"
        ? queue.ack(by)
        : word === "nack"
        ? queue.nack(by, { delay: duration, cause })
        : word === "reject"
        ? queue.reject(by, { cause })
        : word === "release"
        ? queue.release(by, { delay: duration })
        : queue.extend(by, duration)).pipe(
          Effect.catchReason("MessageQueueError", "LeaseLost", () =>
            by.lease === undefined && word === "ack"
              ? Body.refuse(404, notFound)
              : Body.refuse(409, { message: "Lease lost." }))
        )
      if (request.headers["prefer"] === "return=minimal") return none
      const message = yield* queue.get(by.id, { node: by.destination })
      return Option.match(message, { onNone: () => none, onSome: (message) => answer(message, 200) })
    }))

  const get = handle(Effect.fnUntraced(function*(request) {
    const name = yield* id
    const node = yield* nodeOf(request)
    const message = node === undefined ? Option.none() : yield* queue.get(name, { node })
    return Option.match(message, { onNone: () => json(notFound, 404), onSome: (message) => answer(message, 200) })
  }))

  const list = handle(Effect.fnUntraced(function*(request) {
    const node = yield* nodeOf(request)
    if (node === undefined) return none
    const limit = yield* integer("limit", yield* parameter("limit"))
    if (limit !== undefined && limit < 1) return yield* Body.invalid("limit", "is less than 1")
    const status = yield* parameter("status")
    if (status !== undefined && !Message.Status.literals.some((one) => one === status)) {
      return yield* Body.invalid("status", "is no status")
    }
    const page = yield* queue.list({
      node,
      limit: Math.min(maxList, limit ?? maxList),
      status: status as Message.Status | undefined,
      cursor: yield* parameter("cursor")
    })
    if (page.messages.length === 0) return none
    return array(page.messages, page.cursor === undefined ? {} : { "scirocco-cursor": page.cursor })
  }))

  const update = handle(Effect.fnUntraced(function*(request) {
    const name = yield* id
    const node = yield* nodeOf(request)
    if (node === undefined) return yield* Body.refuse(404, notFound)
    const { payload } = yield* Body.readPayload(request, limits, reading)
    return answer(yield* queue.update(name, payload, { node }), 200)
  }))

  const count = (n: number): Response => json({ ok: 1, n })

  return {
    describe: handle(() =>
      Effect.succeed(json({
        name: options.description?.name ?? "effect-wire",
        author: options.description?.author ?? "the authors of effect-wire",
        source: options.description?.source ?? "npm:effect-wire"
      }))
    ),
    notAllowed: Effect.succeed(
      HttpServerResponse.empty({ status: 405, headers: { allow: "GET, POST, OPTIONS" } })
    ) as Handler,
    options: (methods: ReadonlyArray<string>): Handler =>
      Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { allow: [...methods, "OPTIONS"].join(", ") } })),
    push,
    pushBatch,
    pull,
    ackBatch,
    finish,
    get,
    list,
    update,
    remove: handle(Effect.fnUntraced(function*(request) {
      const name = yield* id
      const node = yield* nodeOf(request)
      const anyStatus = yield* boolean("all", yield* parameter("all"))
      return count(node !== undefined && (yield* queue.remove(name, { node, anyStatus })) ? 1 : 0)
    })),
    reschedule: handle(Effect.fnUntraced(function*(request) {
      const name = yield* id
      const node = yield* nodeOf(request)
      if (node === undefined) return yield* Body.refuse(404, notFound)
      const said = (yield* fields(request)).get("scheduled_time")
      const at = typeof said === "string" ? Wire.parseTime(said) : undefined
      if (at === undefined) return yield* Body.invalid("scheduled_time", "is no valid date")
      return yield* queue.reschedule(name, new Date(at), { node }).pipe(
        Effect.map((message) => answer(message, 200)),
        Effect.catchReason("MessageQueueError", "MessageNotFound", () => Effect.succeed(count(0)))
      )
    })),
    removeAll: handle(Effect.fnUntraced(function*(request) {
      const node = yield* nodeOf(request)
      return count(node === undefined ? 0 : yield* queue.removeAll({ node }))
    })),
    clear: handle(() => Effect.map(queue.clear, count)),
    redrive: handle(Effect.fnUntraced(function*(request) {
      const node = yield* nodeOf(request)
      const ids = (yield* fields(request)).get("ids")
      if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "string"))) {
        return yield* Body.invalid("ids", "is no list of ids")
      }
      return count(node === undefined ? 0 : yield* queue.redrive({ node, ids }))
    })),
    counts: handle(Effect.fnUntraced(function*(request) {
      const node = yield* nodeOf(request)
      return node === undefined ? none : json(yield* queue.counts({ node }))
    }))
  }
}
