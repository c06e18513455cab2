import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isRecord, named } from "../../jsonrpc/internal/record.ts"
import type { Wire } from "../../jsonrpc/internal/wireModel.ts"
import type { Client } from "../../jsonrpc/JsonRpcClient.ts"
import type { Call as Received } from "../../jsonrpc/JsonRpcCodec.ts"
import * as JsonRpcError from "../../jsonrpc/JsonRpcError.ts"
import type * as Reconnect from "../../socket/Reconnect.ts"
import * as Topic from "../Topic.ts"
import type { TopicBuffer } from "./topicBuffer.ts"
import { notices, type Position } from "./topicNotices.ts"

/**
 * One value of a topic as it came, decoded at most once for all that read it.
 *
 * @internal
 */
export class Value {
  readonly params: unknown
  readonly position: Position | undefined
  private readonly decode: Decode
  private exit: Exit.Exit<unknown, JsonRpcError.JsonRpcError> | undefined = undefined

  constructor(params: unknown, decode: Decode, position?: Position) {
    this.params = params
    this.position = position
    this.decode = decode
  }
  get decoded(): Exit.Exit<unknown, JsonRpcError.JsonRpcError> {
    return this.exit ??= this.decode(this.params)
  }
}

type Decode = (params: unknown) => Exit.Exit<unknown, JsonRpcError.JsonRpcError>

/**
 * What one reader of a topic hears.
 *
 * @internal
 */
export interface Reader {
  readonly topic: Topic.Any
  /** Encoded; `undefined` for everything. */
  readonly parameters: unknown
  /** Whether a value is for this reader; `undefined` where all are. What is not, it never sees, nor has to make room for. */
  readonly accepts: ((value: unknown) => boolean) | undefined
  readonly buffer: TopicBuffer<Value, ReaderError>
  /** Whether it waits for the rights that the topic needs, rather than to fail. */
  readonly waits: boolean
  /** What it has heard or been told of, of a topic with a history; `undefined`: it wants what comes from now on. */
  position: Position | undefined
  /** It came with a position: what the subscription of before still brings may not be what comes next for it. */
  isBehind?: boolean
}

/** @internal */
export type ReaderError = JsonRpcError.JsonRpcError | "unavailable" | "ended"

/** A topic by its name alone, or with what a server is to know of the subscription. */
type Wanted = string | {
  readonly topic: string
  readonly notices: true
  readonly positions?: true
  readonly parameters?: unknown
}

interface Entry {
  readonly name: string
  readonly kind: "plain" | "state"
  /** Whether positions are asked for: the topic has a history, as far as this side knows. */
  readonly positions: boolean
  readonly decode: Decode
  /** As it comes by the name of the topic. */
  readonly decodeReceived: Decode
  readonly readers: Set<Reader>
  /** What the server has been asked for and granted on this connection; `undefined`: nothing. */
  granted: string | undefined
  /** What the server is being asked for. */
  asking: string | undefined
  /** The server has no such topic for this caller as it is: not asked again before it says so, or another connection does. */
  denied: boolean
  /** The server has said, since it was asked last, that the topic is there now. */
  offered: boolean
  /** A command of this topic is under way: the next one waits for its answer, so that they never cross. */
  busy: boolean
  /** The server may send a value that we had again: it was asked anew and has not answered. */
  repeats: boolean
  /** Whether `last` is of the subscription that is granted, or asked for: otherwise its value is still to come. */
  isCurrent: boolean
  /** The last value that came, for readers that come later and to know it again. */
  last: { readonly text: string; readonly value: Value } | undefined
  /** How far the values have come; `undefined` before the server said so, and where it knows no positions. */
  position: Position | undefined
  /** The server has said, since it was asked last, where the subscription begins. */
  isPlaced: boolean
  /** A reader wants what came before: asked for once more, though it is granted. */
  rewinds: boolean
  /** Readers that have had a value of a state topic. */
  readonly served: WeakSet<Reader>
}

/**
 * The subscriptions of one client: one for each topic, however many readers it has. Readers say what they want; what the
 * server has been granted follows it, one command of a topic after the other, anew on each connection.
 *
 * | readers | granted  | under way | what follows                                                              |
 * | ------- | -------- | --------- | ------------------------------------------------------------------------- |
 * | some    | the same | no        | nothing; a reader of a state topic has its last value                       |
 * | some    | other    | no        | `subscribe`, for all topics that want it in one call                        |
 * | none    | some     | no        | `unsubscribe`                                                             |
 * | none    | nothing  | no        | forgotten                                                                 |
 * | any     | any      | yes       | whatever is then to do, after its answer                                  |
 * | some    | refused  | no        | readers that do not wait fail; `subscribe` when the server says that it is there |
 * | any     | any      | lost      | granted: nothing; readers of plain topics are told; `subscribe` when it is open |
 *
 * Of a topic with a history each reader has a position. A subscription is asked for from the lowest of them on; what a
 * reader has heard already it knows by its number. So nobody is told anything of a lost connection, but of what the
 * server says is no longer there.
 *
 * @internal
 */
export class TopicSubscriber {
  private readonly client: Client
  private readonly wire: Wire
  private readonly entries = new Map<string, Entry>()
  private unlisten: (() => void) | undefined
  private isOpen = false
  private scheduled = false

  constructor(client: Client) {
    const { caller } = client.port
    this.client = client
    this.wire = caller.wire
    caller.observe((status) => this.onStatus(status))
    this.onStatus(caller.status)
  }

  add(reader: Reader): void {
    const { kind, name } = reader.topic
    this.unlisten ??= this.client.listen((notification) => this.receive(notification))
    let entry = this.entries.get(name)
    if (entry === undefined) {
      entry = {
        name,
        kind,
        positions: reader.topic.history !== undefined,
        decode: decoder(reader.topic, Topic.compile(reader.topic).fromParams),
        decodeReceived: decoder(
          reader.topic,
          (params) => Topic.compile(reader.topic).fromWire(this.wire, params)
        ),
        readers: new Set(),
        granted: undefined,
        asking: undefined,
        denied: false,
        offered: false,
        busy: false,
        repeats: false,
        isCurrent: false,
        last: undefined,
        position: undefined,
        isPlaced: false,
        rewinds: false,
        served: new WeakSet()
      }
      this.entries.set(name, entry)
    }
    entry.readers.add(reader)
    if (!reader.waits) entry.denied = false
    if (reader.position !== undefined) {
      reader.isBehind = true
      entry.rewinds = true
    } else if (entry.isCurrent && (entry.asking ?? entry.granted) === JSON.stringify(this.wantedOf(entry))) {
      reader.position = entry.position
      // otherwise the server is about to send it
      if (kind === "state" && entry.last !== undefined) this.hand(entry, reader, entry.last.value)
    }
    this.schedule()
  }

  remove(reader: Reader): void {
    if (this.entries.get(reader.topic.name)?.readers.delete(reader) === true) this.schedule()
  }

  /** What readers do in one turn is one change. */
  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(() => {
      this.scheduled = false
      this.follow()
    })
  }

  private follow(): void {
    const asked: Array<{ readonly entry: Entry; readonly wanted: Wanted; readonly text: string }> = []
    const left: Array<Entry> = []
    for (const entry of this.entries.values()) {
      if (entry.busy) continue
      if (entry.readers.size === 0) {
        if (entry.granted === undefined || !this.isOpen) this.entries.delete(entry.name)
        else left.push(entry)
        continue
      }
      const wanted = this.wantedOf(entry)
      const text = JSON.stringify(wanted)
      if (this.isOpen && !entry.denied && (text !== entry.granted || entry.rewinds)) asked.push({ entry, wanted, text })
    }
    if (this.entries.size === 0) {
      this.unlisten?.()
      this.unlisten = undefined
    }
    if (left.length > 0) {
      this.command("unsubscribe", left, left.map((entry) => entry.name), (entry) => {
        entry.granted = undefined
        entry.last = undefined
        entry.position = undefined
      })
    }
    if (asked.length === 0) return
    for (const { entry, text } of asked) {
      entry.repeats = entry.last !== undefined
      entry.isCurrent = false
      entry.isPlaced = false
      entry.rewinds = false
      entry.offered = false
      entry.asking = text
    }
    this.command(
      "subscribe",
      asked.map(({ entry }) => entry),
      asked.map(({ entry, wanted }) => typeof wanted === "string" ? wanted : { ...wanted, ...positionOf(entry) }),
      (entry, names, index) => {
        entry.repeats = false
        entry.isCurrent = true
        if (entry.positions && !entry.isPlaced && names.has(entry.name)) this.forget(entry)
        if (names.has(entry.name)) entry.granted = asked[index]!.text
        else this.deny(entry, "unavailable")
      }
    )
  }

  private command(
    method: string,
    entries: ReadonlyArray<Entry>,
    params: ReadonlyArray<unknown>,
    onAnswer: (entry: Entry, names: ReadonlySet<unknown>, index: number) => void
  ): void {
    for (const entry of entries) entry.busy = true
    const call = Effect.matchCause(this.client.call(method, params), {
      onFailure: (cause) => {
        const error = Cause.squash(cause)
        for (const entry of entries) {
          entry.busy = false
          entry.asking = undefined
          entry.repeats = false
          // without a connection it is asked again on the next
          if (method === "subscribe" && !isLoss(error)) this.finish(entry, errorOf(error))
          else entry.granted = undefined
        }
      },
      onSuccess: (names) => {
        const granted = new Set(Array.isArray(names) ? names : [])
        for (const [index, entry] of entries.entries()) {
          entry.busy = false
          entry.asking = undefined
          onAnswer(entry, granted, index)
        }
      }
    })
    Effect.runFork(Effect.andThen(call, Effect.sync(() => this.schedule())))
  }

  private onStatus(status: Reconnect.Status): void {
    const wasOpen = this.isOpen
    this.isOpen = status._tag === "Open"
    if (status._tag === "Ended") {
      for (const entry of [...this.entries.values()]) {
        this.finish(entry, JsonRpcError.connection("the client is closed", false, status.cause))
      }
    } else if (this.isOpen) this.schedule()
    else if (wasOpen) {
      for (const entry of this.entries.values()) this.lose(entry)
    }
  }

  /** The server does not send it any more. */
  private lose(entry: Entry): void {
    if (entry.granted !== undefined && entry.kind === "plain" && entry.position === undefined) {
      this.missed(entry, undefined)
    }
    entry.granted = undefined
    entry.isCurrent = false
    entry.denied = false
  }

  /** The caller's rights do not allow it: it is over for readers that do not wait for others. */
  private deny(entry: Entry, error: "unavailable" | "ended"): void {
    this.lose(entry)
    entry.denied = !entry.offered
    for (const reader of Array.from(entry.readers)) {
      if (reader.waits) continue
      entry.readers.delete(reader)
      reader.buffer.done(Exit.fail(error))
    }
    this.schedule()
  }

  private finish(entry: Entry, error: ReaderError): void {
    if (this.entries.get(entry.name) === entry) this.entries.delete(entry.name)
    const readers = Array.from(entry.readers)
    entry.readers.clear()
    for (const reader of readers) reader.buffer.done(Exit.fail(error))
    this.schedule()
  }

  private receive({ message, method, params: received }: Received): void {
    const entry = this.entries.get(method)
    if (entry !== undefined) {
      return this.value(entry, this.wire.bareNotifications === true ? message.params : received)
    }
    const params = named(received)
    if (!isRecord(params) || typeof params.topic !== "string") return
    const other = this.entries.get(params.topic)
    if (other === undefined) return
    if (method === notices.value) this.positioned(other, params)
    else if (method === notices.position) this.place(other, params)
    else if (method === notices.gap) this.missed(other, typeof params.missed === "number" ? params.missed : undefined)
    // one that is about another subscription than the present is no news
    else if (method === notices.ended && !other.busy) this.deny(other, "ended")
    else if (method === notices.available) {
      other.offered = true
      other.denied = false
      this.schedule()
    }
  }

  private missed(entry: Entry, count: number | undefined): void {
    const shares = entry.readers.size > 1
    for (const reader of Array.from(entry.readers)) {
      // nobody knows how many of those of a shared subscription were for this reader
      const missed = shares && reader.accepts !== undefined ? undefined : count
      reader.buffer.missed({ missed, from: undefined, to: undefined })
    }
  }

  /** The server knows no positions, of this topic or at all: nobody knows what came after those that readers have. */
  private forget(entry: Entry): void {
    entry.position = undefined
    for (const reader of entry.readers) {
      if (reader.position === undefined) continue
      reader.buffer.missed({ missed: undefined, from: reader.position, to: undefined })
      reader.position = undefined
      reader.isBehind = false
    }
  }

  /** What comes next comes after this position. */
  private place(entry: Entry, { epoch, offset, recovered }: Record<string, unknown>): void {
    if (!entry.positions || typeof epoch !== "string" || typeof offset !== "number") return
    const to: Position = { epoch, offset }
    entry.isPlaced = true
    if (!hasReached(entry.position, to)) entry.position = to
    for (const reader of entry.readers) {
      const from = reader.position
      const reached = hasReached(from, to)
      // still of the subscription of before: the one that begins where this reader is follows
      if (reader.isBehind === true && !reached && recovered === true && from?.epoch === epoch) continue
      reader.isBehind = false
      if (reached) continue
      reader.position = to
      if (from === undefined || (recovered === true && from.epoch === epoch)) continue
      const isCounted = from.epoch === epoch && reader.accepts === undefined
      reader.buffer.missed({ missed: isCounted ? offset - from.offset : undefined, from, to })
    }
  }

  private positioned(entry: Entry, { offset, value: params }: Record<string, unknown>): void {
    if (entry.position === undefined || typeof offset !== "number") return
    const position: Position = { epoch: entry.position.epoch, offset }
    const value = new Value(params, entry.decode, position)
    if (!hasReached(entry.position, position)) entry.position = position
    if (entry.kind === "state" && !hasReached(entry.last?.value.position, position)) entry.last = { text: "", value }
    for (const reader of Array.from(entry.readers)) {
      if (reader.isBehind === true || hasReached(reader.position, position)) continue
      reader.position = position
      if (isFor(reader, value)) reader.buffer.push(value)
    }
  }

  // To those of now: one that hears it may go, and another come, before the next has heard it.
  private value(entry: Entry, params: unknown): void {
    const value = new Value(params, entry.decodeReceived)
    if (entry.kind === "plain") {
      for (const reader of Array.from(entry.readers)) if (isFor(reader, value)) reader.buffer.push(value)
      return
    }
    const text = JSON.stringify(params)
    const isKnown = entry.repeats && entry.last?.text === text
    entry.last = { text, value }
    entry.isCurrent = true
    for (const reader of Array.from(entry.readers)) {
      if (!isKnown || !entry.served.has(reader)) this.hand(entry, reader, value)
    }
  }

  /** Readers that want different parts of a topic share a subscription of all of it, and choose here. */
  private wantedOf(entry: Entry): Wanted {
    const texts = new Map<string | undefined, unknown>()
    for (const { parameters } of entry.readers) texts.set(JSON.stringify(parameters), parameters)
    const [only] = texts.values()
    const parameters = texts.size === 1 ? only : undefined
    if (this.wire.topicsByName === true && !entry.positions && parameters === undefined) return entry.name
    return {
      topic: entry.name,
      notices: true,
      ...(entry.positions ? { positions: true } : {}),
      ...(parameters === undefined ? {} : { parameters })
    }
  }

  private hand(entry: Entry, reader: Reader, value: Value): void {
    if (!isFor(reader, value)) return
    entry.served.add(reader)
    reader.buffer.push(value)
  }
}

/** The lowest position of the readers, of the epoch that the values had last where there is one. */
const positionOf = (entry: Entry): { readonly position?: Position } => {
  let lowest: Position | undefined
  for (const { position } of entry.readers) {
    if (position === undefined) continue
    const isNearer = lowest === undefined || (position.epoch === lowest.epoch
      ? position.offset < lowest.offset
      : position.epoch === entry.position?.epoch)
    if (isNearer) lowest = position
  }
  return lowest === undefined ? {} : { position: lowest }
}

const hasReached = (position: Position | undefined, other: Position): boolean =>
  position !== undefined && position.epoch === other.epoch && position.offset >= other.offset

// what cannot be decoded is for everybody, to fail
const isFor = (reader: Reader, value: Value): boolean => {
  if (reader.accepts === undefined) return true
  const { decoded } = value
  return Exit.isFailure(decoded) || reader.accepts(decoded.value)
}

const isLoss = (error: unknown): boolean =>
  error instanceof JsonRpcError.JsonRpcError && error.reason._tag === "ConnectionError" &&
  (error.reason.kind === "Lost" || error.reason.kind === "Offline")

const errorOf = (error: unknown): JsonRpcError.JsonRpcError =>
  error instanceof JsonRpcError.JsonRpcError ? error : JsonRpcError.protocol("the subscription failed", error)

const subscribers = new WeakMap<Client, TopicSubscriber>()

/** @internal */
export const subscriberOf = (client: Client): TopicSubscriber => {
  let subscriber = subscribers.get(client)
  if (subscriber === undefined) {
    subscriber = new TopicSubscriber(client)
    subscribers.set(client, subscriber)
  }
  return subscriber
}

const decoder = (topic: Topic.Any, fromParams: (params: unknown) => unknown): Decode => {
  const { method } = Topic.compile(topic)
  return (params) => {
    const decoded = method.decodePayload(fromParams(params))
    if (Exit.isExit(decoded) && decoded._tag === "Success") return decoded as Exit.Exit<unknown, never>
    return Exit.fail(JsonRpcError.protocol(
      `a value of the topic "${topic.name}" does not fit its schema`,
      Exit.isExit(decoded) ? Cause.squash((decoded as Exit.Failure<unknown, unknown>).cause) : undefined
    ))
  }
}
