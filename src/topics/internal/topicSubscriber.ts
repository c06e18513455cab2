import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { isRecord } from "../../jsonrpc/internal/record.ts"
import type { Client, Notification } from "../../jsonrpc/JsonRpcClient.ts"
import * as JsonRpcError from "../../jsonrpc/JsonRpcError.ts"
import * as Topic from "../Topic.ts"
import type { TopicBuffer } from "./topicBuffer.ts"
import { notices } from "./topicSubscription.ts"

/**
 * What one reader of a topic hears, before it is decoded.
 *
 * @internal
 */
export interface Reader {
  readonly topic: Topic.Any
  /** Encoded; `undefined` for everything. */
  readonly parameters: unknown
  readonly buffer: TopicBuffer<{ readonly params: unknown } | { readonly missed: number | undefined }, ReaderError>
}

/** @internal */
export type ReaderError = JsonRpcError.JsonRpcError | "unavailable" | "ended"

interface Entry {
  readonly name: string
  readonly kind: "plain" | "state"
  readonly readers: Set<Reader>
  /** What the server was asked for last. */
  asked: string | undefined
  /** The last value that came, to give it to readers that come later and to know it again after a reconnection. */
  last: { readonly text: string; readonly params: unknown } | undefined
  /** The server was asked anew: it sends the value of a state topic again. */
  repeats: boolean
  /** Readers that have had a value of a state topic. */
  readonly served: WeakSet<Reader>
}

/**
 * The subscriptions of one client: one for each topic, however many readers it has, made again after a reconnection.
 *
 * @internal
 */
export class TopicSubscriber {
  private readonly client: Client
  private readonly entries = new Map<string, Entry>()
  private unlisten: (() => void) | undefined
  private watcher: Fiber.Fiber<void> | undefined
  private wasOpen = false

  constructor(client: Client) {
    this.client = client
  }

  /** Adds a reader, and asks the server where it must. */
  add(reader: Reader): Effect.Effect<void, ReaderError> {
    return Effect.suspend((): Effect.Effect<void, ReaderError> => {
      this.start()
      let entry = this.entries.get(reader.topic.name)
      if (entry === undefined) {
        entry = {
          name: reader.topic.name,
          kind: reader.topic.kind,
          readers: new Set(),
          asked: undefined,
          last: undefined,
          repeats: false,
          served: new WeakSet()
        }
        this.entries.set(entry.name, entry)
      }
      const own = entry
      own.readers.add(reader)
      const wanted = this.wanted(own)
      if (own.asked === JSON.stringify(wanted)) {
        if (own.last !== undefined && own.kind === "state") this.hand(own, reader, own.last.params)
        return Effect.void
      }
      return this.ask([own])
    })
  }

  remove(reader: Reader): Effect.Effect<void> {
    return Effect.suspend((): Effect.Effect<void> => {
      const entry = this.entries.get(reader.topic.name)
      if (entry === undefined || !entry.readers.delete(reader) || entry.readers.size > 0) return Effect.void
      this.entries.delete(entry.name)
      if (this.entries.size === 0) this.stop()
      const tell = Effect.flatMap(
        this.client.connected,
        (connected): Effect.Effect<unknown, JsonRpcError.JsonRpcError> =>
          connected ? this.client.call("unsubscribe", [entry.name]) : Effect.void
      )
      return Effect.asVoid(Effect.forkDetach(Effect.ignore(tell)))
    })
  }

  /** Readers that want different parts of a topic share a subscription of all of it, and choose here. */
  private wanted(entry: Entry): { readonly topic: string; readonly notices: true; readonly parameters?: unknown } {
    const texts = new Map<string | undefined, unknown>()
    for (const { parameters } of entry.readers) texts.set(JSON.stringify(parameters), parameters)
    const [only] = texts.values()
    return texts.size === 1 && only !== undefined
      ? { topic: entry.name, notices: true, parameters: only }
      : { topic: entry.name, notices: true }
  }

  private ask(entries: ReadonlyArray<Entry>): Effect.Effect<void, JsonRpcError.JsonRpcError> {
    const wanted = entries.map((entry) => this.wanted(entry))
    for (const [i, entry] of entries.entries()) {
      entry.repeats = entry.asked !== undefined
      entry.asked = JSON.stringify(wanted[i])
    }
    // In a fiber of its own: the reader that asks may go, and others may have come that count on it.
    const call = Effect.flatMap(
      this.client.call("subscribe", wanted, { idempotent: true }),
      (names) =>
        Effect.sync(() => {
          const granted = new Set(Array.isArray(names) ? names : [])
          for (const entry of entries) {
            if (!granted.has(entry.name)) this.finish(entry, Exit.fail("unavailable"))
          }
        })
    ).pipe(
      Effect.tapError((error) => Effect.sync(() => entries.forEach((entry) => this.finish(entry, Exit.fail(error)))))
    )
    return Effect.flatMap(Effect.forkDetach(call, { startImmediately: true }), Fiber.join)
  }

  private finish(entry: Entry, exit: Exit.Exit<never, ReaderError>): void {
    if (this.entries.get(entry.name) === entry) this.entries.delete(entry.name)
    for (const reader of entry.readers) reader.buffer.done(exit)
    entry.readers.clear()
    if (this.entries.size === 0) this.stop()
  }

  private start(): void {
    if (this.unlisten !== undefined) return
    this.unlisten = this.client.listen((notification) => this.receive(notification))
    this.wasOpen = false
    let first = true
    this.watcher = Effect.runFork(
      Stream.runForEach(this.client.status, (status) => {
        const initial = first
        first = false
        if (status._tag === "Ended") {
          return Effect.sync(() => {
            const error = JsonRpcError.connection("the client is closed", false)
            for (const entry of [...this.entries.values()]) this.finish(entry, Exit.fail(error))
          })
        }
        if (status._tag !== "Open") return Effect.void
        // what is asked while there is no connection waits for it by itself: only what was granted before is asked again
        if (initial || !this.wasOpen) {
          this.wasOpen = true
          return Effect.void
        }
        const entries = [...this.entries.values()]
        for (const { kind, readers } of entries) {
          if (kind === "plain") { for (const reader of readers) reader.buffer.missed(undefined) }
        }
        return entries.length === 0 ? Effect.void : Effect.ignore(this.ask(entries))
      })
    )
  }

  private stop(): void {
    this.unlisten?.()
    this.unlisten = undefined
    const watcher = this.watcher
    this.watcher = undefined
    // not now: it may be the watcher itself that stops
    if (watcher !== undefined) queueMicrotask(() => watcher.interruptUnsafe())
  }

  private receive({ method, params }: Notification): void {
    const entry = this.entries.get(method)
    if (entry !== undefined) return this.value(entry, params)
    if (!isRecord(params) || typeof params.topic !== "string") return
    const other = this.entries.get(params.topic)
    if (other === undefined) return
    if (method === notices.gap) {
      const missed = typeof params.missed === "number" ? params.missed : undefined
      for (const reader of other.readers) reader.buffer.missed(missed)
    } else if (method === notices.ended) {
      this.finish(other, Exit.fail("ended"))
    }
  }

  private value(entry: Entry, params: unknown): void {
    if (entry.kind === "plain") {
      for (const reader of entry.readers) reader.buffer.push({ params })
      return
    }
    const text = JSON.stringify(params)
    const isKnown = entry.repeats && entry.last?.text === text
    entry.repeats = false
    entry.last = { text, params }
    for (const reader of entry.readers) {
      if (!isKnown || !entry.served.has(reader)) this.hand(entry, reader, params)
    }
  }

  private hand(entry: Entry, reader: Reader, params: unknown): void {
    entry.served.add(reader)
    reader.buffer.push({ params })
  }
}

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

/** @internal */
export const decoder = (topic: Topic.Any): (params: unknown) => Exit.Exit<unknown, JsonRpcError.JsonRpcError> => {
  const { fromParams, method } = Topic.compile(topic)
  return (params) => {
    const decoded = method.decodePayload(fromParams(params))
    if (Exit.isExit(decoded) && decoded._tag === "Success") return decoded as Exit.Exit<unknown, never>
    return Exit.fail(JsonRpcError.protocol(
      `a value of the topic "${topic.name}" does not fit its schema`,
      Exit.isExit(decoded) ? Cause.squash((decoded as Exit.Failure<unknown, unknown>).cause) : undefined
    ))
  }
}
