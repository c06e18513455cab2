/**
 * What a tap costs while a frame passes: one object in an array. Everything else (redaction, JSON, writing) happens later,
 * in the fiber that drains it.
 */
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type * as Handshake from "../../socket/Handshake.ts"
import type * as Recording from "../Recording.ts"
import type * as Redaction from "../Redaction.ts"

/** @internal */
export type Bytes = string | Uint8Array

interface Entry {
  readonly at: number
  readonly connection: number
  /** Whose it is: of a frame, or of a close. */
  readonly from: Recording.Side
  readonly frame: Bytes | undefined
  readonly opened: Handshake.Handshake | undefined
  readonly code: number
  readonly reason: string
}

/** What an entry holds beside its frame, about. */
const overhead = 128

/** @internal */
export class Recorder {
  /** Whether anybody records. */
  active = false
  /** Frames that found no room, since the recorder was made. */
  lost = 0
  private connections = 0
  private entries: Array<Entry> = []
  private waiting = 0
  private missed: { readonly at: number; readonly connection: number; frames: number; length: number } | undefined
  private last = 0
  private readonly started: number
  private readonly clock: Clock.Clock
  private readonly redaction: Redaction.Redaction
  private readonly room: number
  private readonly wake: () => void

  constructor(clock: Clock.Clock, redaction: Redaction.Redaction, room: number, wake: () => void) {
    this.clock = clock
    this.redaction = redaction
    this.room = room
    this.wake = wake
    this.started = clock.currentTimeMillisUnsafe()
  }

  get startedAt(): string {
    return DateTime.formatIso(DateTime.makeUnsafe(this.started))
  }

  get isEmpty(): boolean {
    return this.entries.length === 0 && this.missed === undefined
  }

  nextConnection(): number {
    return ++this.connections
  }

  opened(connection: number, handshake: Handshake.Handshake): void {
    this.add(
      { at: this.now(), connection, from: "client", frame: undefined, opened: handshake, code: 0, reason: "" },
      0
    )
  }

  closed(connection: number, from: Recording.Side, code: number, reason: string): void {
    this.add({ at: this.now(), connection, from, frame: undefined, opened: undefined, code, reason }, 0)
  }

  frame(connection: number, from: Recording.Side, frame: Bytes): void {
    if (this.waiting + frame.length > this.room) return this.lose(connection, frame.length)
    // bytes may be a view of what is written over by the next ones
    const kept = typeof frame === "string" ? frame : frame.slice()
    this.add(
      { at: this.now(), connection, from, frame: kept, opened: undefined, code: 0, reason: "" },
      frame.length
    )
  }

  private add(entry: Entry, length: number): void {
    this.waiting += length + overhead
    if (this.entries.push(entry) === 1) this.wake()
  }

  private lose(connection: number, length: number): void {
    this.lost++
    if (this.missed === undefined) this.missed = { at: this.now(), connection, frames: 1, length }
    else {
      this.missed.frames++
      this.missed.length += length
    }
  }

  /** A clock that goes back does not take the recording with it. */
  private now(): number {
    const now = this.clock.currentTimeMillisUnsafe() - this.started
    return now > this.last ? this.last = now : this.last
  }

  /** The next events, at most `count`; what they held is free then. */
  take(count: number): Array<Recording.Event> {
    const entries = count >= this.entries.length ? this.entries : this.entries.slice(0, count)
    this.entries = count >= this.entries.length ? [] : this.entries.slice(count)
    const events = entries.map((entry) => this.event(entry))
    for (const entry of entries) this.waiting -= (entry.frame?.length ?? 0) + overhead
    if (this.entries.length === 0 && this.missed !== undefined) {
      events.push({ type: "lost", ...this.missed })
      this.missed = undefined
    }
    return events
  }

  private event({ at, code, connection, frame, from, opened, reason }: Entry): Recording.Event {
    if (opened !== undefined) {
      return {
        at,
        connection,
        type: "open",
        carrier: opened.carrier,
        url: this.redaction.url(opened.url),
        headers: this.redaction.headers(opened.headers),
        protocol: opened.protocol ?? ""
      }
    }
    if (frame === undefined) return { at, connection, type: "close", from, code, reason }
    if (typeof frame === "string") {
      return { at, connection, type: "frame", from, text: this.redaction.frame(frame) }
    }
    const text = textOf(frame)
    if (text !== undefined) {
      const shown = this.redaction.frame(text)
      if (shown !== text) return { at, connection, type: "frame", from, bytes: Base64.encode(shown) }
    }
    return { at, connection, type: "frame", from, bytes: Base64.encode(frame) }
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Bytes as text, where they are UTF-8. */
const textOf = (bytes: Uint8Array): string | undefined => Result.getOrUndefined(Result.try(() => decoder.decode(bytes)))
