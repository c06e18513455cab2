/**
 * Judges of calls, notifications and streams. They read what the program notes (`World.note`): `executed`, then `finished`
 * or `aborted`, each with a text that names the request in the whole world; `marked` with `{ run, n }`, of requests that
 * one fiber makes, numbered; `element` with `{ key, n }`, of a stream of 1, 2, 3, …; and the frames of JSON-RPC that the
 * network carried whole.
 *
 * @since 0.2.0
 */
import * as History from "./History.ts"
import { eachOperation, type Judge, make } from "./Judge.ts"

interface Message {
  readonly _tag: "Request" | "Result" | "Error"
  /** The connection, the direction of the request, and its id. */
  readonly request: string
  readonly key: string | undefined
  readonly code: number | undefined
}

const messageOf = (text: string): ReadonlyArray<any> => {
  try {
    const json: unknown = JSON.parse(text)
    return Array.isArray(json) ? json : [json]
  } catch {
    return []
  }
}

/** Requests and answers in a frame; none where it is no JSON-RPC, or a part of a frame. */
const read = (event: Frame): ReadonlyArray<Message> => {
  if (typeof event.frame !== "string" || !event.frame.includes("\"id\":")) return none
  const messages: Array<Message> = []
  for (const message of messageOf(event.frame)) {
    if (typeof message !== "object" || message === null || message.id === undefined || message.id === null) continue
    const isRequest = typeof message.method === "string"
    const asker = isRequest ? event.node : event.to
    const key = isRequest ? message.params?.key : undefined
    messages.push({
      _tag: isRequest ? "Request" : "error" in message && message.error !== null ? "Error" : "Result",
      request: `${event.connection} ${asker} ${JSON.stringify(message.id)}`,
      key: typeof key === "string" ? key : undefined,
      code: message.error?.code
    })
  }
  return messages
}

type Frame = History.Event & { readonly _tag: "Frame" }

const none: ReadonlyArray<Message> = []

/** Two judges read the same frames. */
const readAlready = new WeakMap<Frame, ReadonlyArray<Message>>()

const messagesOf = (event: Frame): ReadonlyArray<Message> => {
  let messages = readAlready.get(event)
  if (messages === undefined) readAlready.set(event, messages = read(event))
  return messages
}

/**
 * No request is answered twice, and none that was not made, as far as the network carried frames of JSON-RPC whole.
 *
 * @category judges
 * @since 0.2.0
 */
export const oneAnswer: Judge = make(
  "one answer for each request",
  "Answered exactly once, by a Result or an Error with the same `id`, unless the connection ends first",
  (history) => {
    const open = new Map<string, boolean>()
    for (const event of history.events) {
      if (event._tag !== "Frame") continue
      for (const { _tag, request } of messagesOf(event)) {
        if (_tag === "Request") open.set(request, true)
        else {
          const isOpen = open.get(request)
          if (isOpen === undefined) return `${request} was answered, and never asked`
          if (!isOpen) return `${request} was answered twice`
          open.set(request, false)
        }
      }
    }
    return undefined
  }
)

/** What says that a request was cancelled: Rockets, LSP. */
const cancelled: ReadonlySet<number | undefined> = new Set([-31002, -32800])

/**
 * A request whose cancel was confirmed neither starts nor ends afterwards. Requests are known by the member `key` of their
 * parameters, which is also what the program notes.
 *
 * @category judges
 * @since 0.2.0
 */
export const nothingAfterACancel: Judge = make(
  "no execution after a cancel was confirmed",
  "The request, running or waiting, is interrupted and answered once",
  (history) => {
    const keys = new Map<string, string>()
    const confirmed = new Set<string>()
    for (const event of history.events) {
      if (event._tag === "Frame") {
        for (const { _tag, code, key, request } of messagesOf(event)) {
          if (_tag === "Request" && key !== undefined) keys.set(request, key)
          else if (_tag === "Error" && cancelled.has(code) && keys.has(request)) confirmed.add(keys.get(request)!)
        }
      } else if (event._tag === "Noted" && (event.kind === "executed" || event.kind === "finished")) {
        if (confirmed.has(event.data)) return `${event.data} was ${event.kind} after its cancel had been confirmed`
      }
    }
    return undefined
  }
)

/**
 * No request is executed twice, but those that the program does not note.
 *
 * @category judges
 * @since 0.2.0
 */
export const atMostOnce: Judge = make(
  "at most once",
  "calls that are marked idempotent are sent again",
  (history) => {
    const seen = new Set<string>()
    for (const { data } of History.notes(history, "executed")) {
      if (seen.has(data)) return `${data} was executed twice`
      seen.add(data)
    }
    return undefined
  }
)

/**
 * What failed as not executed was not: `keysOf` gives the names of the requests that an operation makes, if it makes one.
 *
 * @category judges
 * @since 0.2.0
 */
export const maybeExecuted = (keysOf: (operation: History.Operation) => ReadonlyArray<string>): Judge =>
  make(
    "what was not executed was not",
    "Sent and lost with the connection: `ConnectionError` with `maybeExecuted`",
    (history) => {
      const executed = new Set(History.notes(history, "executed").map(({ data }) => data))
      for (const operation of History.operations(history)) {
        const { outcome, value } = operation
        if (outcome !== "Failure" || value?.reason?.maybeExecuted !== false) continue
        const key = keysOf(operation).find((key) => executed.has(key))
        if (key !== undefined) {
          return `#${operation.id} ${operation.operation}: maybeExecuted is false, and ${key} was executed`
        }
      }
      return undefined
    }
  )

/**
 * Operations fail with errors of these tags only.
 *
 * @category judges
 * @since 0.2.0
 */
export const failuresAreTyped = (tags: ReadonlyArray<string>): Judge =>
  eachOperation(
    "failures are typed",
    "A call settles once",
    ({ outcome, value }) =>
      outcome === "Failure" && !tags.includes(value?._tag) ? `failed with ${JSON.stringify(value)}` : undefined
  )

/**
 * When all is quiet nothing is executed any more: whoever asked has been answered, has given up, or is gone.
 *
 * @category judges
 * @since 0.2.0
 */
export const nobodyWorksForNobody: Judge = make(
  "what nobody waits for is not executed on",
  "When a connection is gone its requests are interrupted at the server",
  (history) => {
    const running = new Map<string, string>()
    for (const event of history.events) {
      if (event._tag === "Noted" && event.kind === "executed") running.set(event.data, event.node)
      else if (event._tag === "Noted" && (event.kind === "aborted" || event.kind === "finished")) {
        running.delete(event.data)
      } else if (event._tag === "Node" && event.what === "crashed") {
        for (const [key, node] of running) if (node === event.node) running.delete(key)
      } else if (event._tag === "Quiet") {
        const [first] = running.keys()
        return first === undefined ? undefined : `${first} is still executed when all is quiet`
      }
    }
    return undefined
  }
)

/**
 * Calls and notifications of one run come in the order in which they were made. For programs whose handlers note before
 * they yield, in worlds without `preempt`.
 *
 * @category judges
 * @since 0.2.0
 */
export const inOrder: Judge = make(
  "calls and notifications keep their order",
  "Calls, notifications and batches leave in the order in which they were made, over reconnections too",
  (history) => {
    const last = new Map<string, number>()
    for (const { data } of History.notes(history, "marked")) {
      const before = last.get(data.run) ?? -1
      if (data.n <= before) return `run ${data.run}: ${data.n} came after ${before}`
      last.set(data.run, data.n)
    }
    return undefined
  }
)

/**
 * The elements of a stream come once and in order, from 1 on.
 *
 * @category judges
 * @since 0.2.0
 */
export const streamsAreWhole: Judge = make(
  "streams give each element once, in order",
  "a client goes on where an earlier connection ended",
  (history) => {
    const last = new Map<string, number>()
    for (const { data } of History.notes(history, "element")) {
      const before = last.get(data.key) ?? 0
      if (data.n !== before + 1) return `stream ${data.key}: ${data.n} after ${before}`
      last.set(data.key, data.n)
    }
    return undefined
  }
)
