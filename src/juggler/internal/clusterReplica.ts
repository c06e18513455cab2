/**
 * The copy of one process of a shared state, and its place in the order of publications. Everything here happens as the
 * entries come, at once. All copies judge each write alike, from what they all know: the epoch, the version, and what the
 * last publications have changed.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Backplane from "../../backplane/Backplane.ts"
import type { JsonPatchError } from "../JsonPatch.ts"
import { compress, type Entry, meet, parse, type Touched } from "./clusterModel.ts"
import { type Known, knowsMore, Spoken } from "./clusterSpoken.ts"
import type { Store } from "./store.ts"

/** What became of a write: it counts, it has to be made anew, or it does not apply. */
export type Outcome = JsonPatchError | "counted" | "again"

/** What became of the writes of a publication; `lost`: nobody knows. */
export type Outcomes = ReadonlyArray<Outcome> | "lost"

type Writes = Extract<Entry, { readonly t: "writes" }>
type Whole = Extract<Entry, { readonly t: "whole" }>

/** How many publications back a write may have been made, to be judged by its places. */
const window = 16

/** So many writes that others could not apply, or did, are remembered. */
const maxVerdicts = 1_024

export interface Hooks {
  /** Publishes the whole after a moment, unless somebody else did since the number. */
  readonly answer: (since: number) => void
  /** Asks for the whole, now. */
  readonly rejoin: () => void
  /** Says what we have after a moment, unless somebody who has as much did since the number. */
  readonly announce: (since: number) => void
  /** Tells the others that a write of ours did not apply. */
  readonly deny: (name: string, index: number) => void
  /** Looks, after a while, whether a write of another process that did not apply here was denied by that process. */
  readonly doubt: (name: string, index: number) => void
  /** The whole that came cannot be taken. */
  readonly broken: (error: JsonPatchError) => void
}

export class Replica {
  readonly store: Store
  /** Publications of ours that are under way. */
  readonly waiters = new Map<string, Deferred.Deferred<Outcomes>>()
  epoch = ""
  version = 0
  /** Completed while the copy stands where the others do; entries are kept until it does. */
  ready = Deferred.makeUnsafe<void>()
  waiting = true
  /** Number of the last entry that was heard; -1 before the first. */
  heard = -1
  /** Names the count of the channel, which may begin anew. */
  count = ""
  private origin = 0
  /** Number of the last entry that the last whole reflected. */
  private wholeAt = 0
  /** A whole that reflects less does not help. */
  private needed = 0
  private kept: Array<{ readonly entry: Writes; readonly sequence: number }> = []
  /** What those who spoke while we wait know. */
  private readonly spoken = new Spoken()
  /** Number of an epoch's beginning that could not be judged, since something before it was missed. */
  private unjudged = 0
  private sinceWhole = 0
  private recent: Array<Touched> = []
  /** Writes by name: those of others that counted here, and those that did not apply here and were not denied yet. */
  private readonly verdicts = new Map<string, "counted" | "doubted">()
  private readonly snapshotEvery: number
  private readonly hooks: Hooks

  constructor(store: Store, snapshotEvery: number, hooks: Hooks) {
    this.store = store
    this.snapshotEvery = snapshotEvery
    this.hooks = hooks
  }

  /** Begins to hear, after a number, with what was retained; gives why that cannot be taken. */
  begin({ epoch, last, sequence }: Backplane.Registration): JsonPatchError | undefined {
    this.count = epoch
    this.heard = Math.max(this.heard, sequence)
    this.needed = Math.max(this.needed, sequence)
    const retained = last === undefined ? undefined : parse(last.payload)
    if (!this.waiting || last === undefined || retained?.t !== "whole") return undefined
    this.epoch = retained.e
    this.version = retained.v
    this.origin = retained.o === 0 ? last.sequence : retained.o
    return this.store.merge(retained.s)
  }

  /** What this copy has. */
  get known(): Known {
    return { e: this.epoch, v: this.version, o: this.origin }
  }

  hear(event: Backplane.Event): void {
    if (event._tag === "Gap" && event.epoch !== this.count) this.recount(event)
    const missed = event._tag === "Gap" || (this.heard >= 0 && event.sequence > this.heard + 1)
    this.heard = Math.max(this.heard, event.sequence)
    if (missed) this.lose(event._tag === "Gap" ? event.sequence : event.sequence - 1)
    if (event._tag === "Gap") return
    const entry = parse(event.payload)
    if (entry === undefined) return
    if (entry.t === "whole") this.whole(entry, event.sequence)
    else if (entry.t === "ask") {
      if (!this.waiting) return this.hooks.answer(event.sequence)
      this.spoken.add(entry, event.sequence)
      if (knowsMore(this.known, entry)) this.hooks.announce(event.sequence)
    } else if (entry.t === "no") this.denied(`${entry.n}.${entry.i}`)
    else if (this.waiting) {
      this.kept.push({ entry, sequence: event.sequence })
      // who writes has what it writes on
      if (entry.e === this.epoch) this.spoken.add({ ...this.known, v: entry.b }, event.sequence)
    } else this.writes(entry, event.sequence)
  }

  /** The channel is numbered anew: what the numbers of before said is said no more. */
  private recount({ epoch, sequence }: Backplane.Gap): void {
    this.count = epoch
    this.heard = this.needed = sequence
    this.wholeAt = this.unjudged = 0
  }

  /**
   * Entries were missed, or the copy is another than the others': only the whole helps, as it was after what was missed.
   */
  lose(through = this.heard): void {
    this.needed = Math.max(this.needed, through)
    for (const waiter of this.waiters.values()) Deferred.doneUnsafe(waiter, Effect.succeed("lost" as const))
    this.waiters.clear()
    this.verdicts.clear()
    this.kept = []
    this.spoken.clear()
    if (!this.waiting) {
      this.waiting = true
      this.ready = Deferred.makeUnsafe()
    }
    this.hooks.rejoin()
  }

  private writes(entry: Writes, sequence: number): void {
    const waiter = this.waiters.get(entry.n)
    const outcomes: Array<Outcome> = []
    const version = this.version
    // somebody has counted what was refused here
    if (entry.e === this.epoch && entry.b > version) return this.lose()
    const before = entry.e === this.epoch ? this.since(entry.b) : undefined
    const touched: Array<string> = []
    /** What the writes before it in the publication would have done, had they counted. */
    const refused: Array<string> = []
    entry.w.forEach((write, index) => {
      const name = `${entry.n}.${index}`
      let outcome: Outcome = "again"
      const places = [...write.r, ...write.w]
      if (before !== undefined && !meet(places, before) && !meet(places, refused)) {
        outcome = this.store.patch(write.p, "wire") ?? "counted"
      }
      outcomes.push(outcome)
      if (outcome === "counted") {
        this.version++
        touched.push(...write.w)
        if (waiter === undefined) this.judged(name, "counted")
        return
      }
      refused.push(...write.w)
      if (outcome === "again") return
      if (waiter !== undefined) return this.hooks.deny(entry.n, index)
      this.judged(name, "doubted")
      this.hooks.doubt(entry.n, index)
    })
    if (this.version > version) {
      // each write is one commit; were it not so, nobody may go on from here
      this.store.rename(this.epoch, this.version)
      this.recent.push({ v: version, w: compress(touched) })
      if (this.recent.length > window) this.recent.shift()
      this.sinceWhole += this.version - version
      if (this.sinceWhole >= this.snapshotEvery) {
        this.sinceWhole = 0
        this.hooks.answer(sequence)
      }
    }
    if (waiter === undefined) return
    this.waiters.delete(entry.n)
    Deferred.doneUnsafe(waiter, Effect.succeed(outcomes))
  }

  /** What was touched since a version; `undefined` where that is too long ago. */
  private since(version: number): ReadonlyArray<string> | undefined {
    if (version === this.version) return []
    const index = this.recent.findIndex(({ v }) => v === version)
    return index < 0 ? undefined : this.recent.slice(index).flatMap(({ w }) => w)
  }

  private judged(name: string, verdict: "counted" | "doubted"): void {
    this.verdicts.set(name, verdict)
    if (this.verdicts.size > maxVerdicts) {
      for (const oldest of this.verdicts.keys()) return void this.verdicts.delete(oldest)
    }
  }

  /** Who wrote it could not apply it. */
  private denied(name: string): void {
    const verdict = this.verdicts.get(name)
    this.verdicts.delete(name)
    if (verdict === "counted" && !this.waiting) this.lose()
  }

  /** A write that did not apply here was not denied by who wrote it: the copy is another than theirs. */
  settle(name: string, index: number): void {
    if (this.verdicts.get(`${name}.${index}`) === "doubted" && !this.waiting) this.lose()
  }

  /**
   * Whether the epoch of somebody who had asked at a number begins with what it knows: nobody who knows more has spoken
   * since. All who heard what came between judge alike; nobody else may judge.
   */
  private begins(asked: number, known: Known): boolean {
    return asked > this.unjudged && !this.spoken.after(asked, (other) => knowsMore(other, known))
  }

  /** Whether our own ask was heard, all that came since, and nobody who knows more. */
  mayBegin(asked: number): boolean {
    return this.heard >= asked && this.needed < asked && this.begins(asked, this.known)
  }

  /** Whether it is for us to say what we have, to those who asked at a number. */
  mayAnnounce(since: number): boolean {
    return this.waiting && !this.spoken.after(since, (other) => other.e !== "" && !knowsMore(this.known, other))
  }

  private whole(entry: Whole, sequence: number): void {
    // its numbers mean other entries: one of us has not yet heard that the channel is counted anew
    if (entry.c !== this.count) return
    const origin = entry.o === 0 ? sequence : entry.o
    const at = Math.min(entry.at, sequence)
    if (!this.waiting) {
      if (entry.e === this.epoch) {
        this.wholeAt = Math.max(this.wholeAt, at)
        this.sinceWhole = 0
        return
      }
      // two epochs, since a process that was slow to answer was taken for gone: the older one holds
      if (this.origin < origin) this.hooks.answer(sequence)
      else this.lose()
      return
    }
    if (at < this.needed) return
    if (entry.a !== undefined && entry.k !== undefined) {
      if (this.needed >= entry.a) {
        // those who could judge it answer, if it holds
        this.unjudged = sequence
        return this.hooks.rejoin()
      }
      if (!this.begins(entry.a, entry.k)) return
    }
    const error = this.store.merge(entry.s)
    if (error !== undefined) return this.hooks.broken(error)
    this.epoch = entry.e
    this.version = entry.v
    this.store.rename(entry.e, entry.v)
    this.wholeAt = at
    this.sinceWhole = 0
    this.origin = origin
    this.recent = entry.l.slice()
    this.waiting = false
    this.spoken.clear()
    const kept = this.kept
    this.kept = []
    for (const { entry: later, sequence } of kept) {
      if (this.waiting) this.kept.push({ entry: later, sequence })
      else if (sequence > at) this.writes(later, sequence)
    }
    if (!this.waiting) Deferred.doneUnsafe(this.ready, Effect.void)
  }

  /** The whole as an entry, unless one came that reflects the number, or we have none. */
  entry(since: number): Entry | undefined {
    if (this.waiting || this.wholeAt >= since) return undefined
    const { count, epoch, heard, origin, recent, store, version } = this
    return { t: "whole", c: count, e: epoch, v: version, o: origin, at: heard, s: store.document.root, l: recent }
  }
}
