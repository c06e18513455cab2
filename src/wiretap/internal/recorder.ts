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

type Entry =
  | { readonly at: number; readonly connection: number; readonly from: Recording.Side; readonly frame: Bytes }
  | { readonly at: number; readonly connection: number; readonly handshake: Handshake.Handshake }
  | Recording.Closed
  | Recording.Lost

const lengthOf = (entry: Entry): number => overhead + ("frame" in entry ? entry.frame.length : 0)

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
  private missed: Recording.Lost | undefined
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

  nextConnection(): number {
    return ++this.connections
  }

  opened(connection: number, handshake: Handshake.Handshake): void {
    this.add({ at: this.now(), connection, handshake })
  }

  closed(connection: number, from: Recording.Side, code: number, reason: string): void {
    this.add({ at: this.now(), connection, type: "close", from, code, reason })
  }

  frames(connection: number, from: Recording.Side, frames: ReadonlyArray<Bytes>): void {
    const at = this.now()
    for (const frame of frames) this.frame(connection, from, frame, at)
  }

  private frame(connection: number, from: Recording.Side, frame: Bytes, at: number): void {
    if (this.waiting + frame.length > this.room) return this.lose(connection, frame.length)
    // bytes may be a view of what is written over by the next ones
    this.add({ at, connection, from, frame: typeof frame === "string" ? frame : frame.slice() })
  }

  private add(entry: Entry): void {
    this.waiting += lengthOf(entry)
    if (this.entries.push(entry) === 1) this.wake()
  }

  private lose(connection: number, length: number): void {
    this.lost++
    const { frames, length: before } = this.missed ?? { frames: 0, length: 0 }
    this.missed = { at: this.now(), connection, type: "lost", frames: frames + 1, length: before + length }
  }

  /** A clock that goes back does not take the recording with it. */
  private now(): number {
    const now = this.clock.currentTimeMillisUnsafe() - this.started
    return now > this.last ? this.last = now : this.last
  }

  /** What waits, for {@link events} slice by slice. */
  take(): ReadonlyArray<Entry> {
    const entries = this.entries
    this.entries = []
    if (this.missed !== undefined) {
      entries.push(this.missed)
      this.waiting += overhead
      this.missed = undefined
    }
    return entries
  }

  /** The events of some entries; what these held is free then. */
  events(entries: ReadonlyArray<Entry>): Array<Recording.Event> {
    for (const entry of entries) this.waiting -= lengthOf(entry)
    return entries.map((entry) => this.event(entry))
  }

  private event(entry: Entry): Recording.Event {
    if ("type" in entry) return entry
    const { at, connection } = entry
    if ("handshake" in entry) {
      const { carrier, headers, protocol, url } = entry.handshake
      return {
        at,
        connection,
        type: "open",
        carrier,
        url: this.redaction.url(url),
        headers: this.redaction.headers(headers),
        protocol: protocol ?? ""
      }
    }
    const { frame, from } = entry
    if (typeof frame === "string") {
      return { at, connection, type: "frame", from, text: this.redaction.frame(frame) }
    }
    const text = textOf(frame)
    const shown = text === undefined ? undefined : this.redaction.frame(text)
    return { at, connection, type: "frame", from, bytes: Base64.encode(shown === text ? frame : shown!) }
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Bytes as text, where they are UTF-8. */
const textOf = (bytes: Uint8Array): string | undefined => Result.getOrUndefined(Result.try(() => decoder.decode(bytes)))
