/**
 * The client half of a connection, whatever the wire: one state, and one log of everything that goes out, in the order in
 * which it was made. It knows no encoding, no socket and no error class; a wire extends {@link Calls} by how a frame is
 * written and how a call is called back. `clientHalf.ts` dials for it.
 *
 * The state is a `Reconnect.Status`; {@link Calls.enter} is its only door. What waits is in one of three places: at home
 * (in the log, in order), on the line (sent on connection number n), or settled.
 *
 * | state                 | a call, notification, batch          | an answer             | a call is given up           |
 * | --------------------- | ------------------------------------ | --------------------- | ---------------------------- |
 * | Idle                  | home, and dials                      | -                     | leaves home                  |
 * | Dialling, Opening     | home; what `onConnect` sends: line   | to what is on line    | leaves home; line: 1 cancel  |
 * | Open, room            | line                                 | settles, then pumps   | line: 1 cancel, then pumps   |
 * | Open, no room         | home, behind what is there           | settles, then pumps   | leaves home; line: 1 cancel  |
 * | Lost, `waits`         | home                                 | -                     | leaves home                  |
 * | Lost, not `waits`     | fails: Offline                       | -                     | -                            |
 * | Ended                 | fails: Ended                         | -                     | -                            |
 *
 * | entering              | what happens, after the status is published                                               |
 * | --------------------- | ----------------------------------------------------------------------------------------- |
 * | Opening, or Open      | the next connection number                                                                |
 * | Open                  | what is at home leaves, in order, as far as there is room                                 |
 * | Lost, `waits`         | line: what may go again goes home to its old place, other calls fail (Lost); home: stays  |
 * | Lost, not `waits`     | line and home: calls fail, but for those that persist; notifications are gone             |
 * | Ended                 | line and home: calls fail, and everything from then on; never left again                  |
 *
 * Room is: fewer than `maxInFlight` calls on the line (a batch of more goes alone), and a line that takes what it is
 * given. Over `maxCalls` calls without an answer, or `maxQueued` characters at home (sixteen times as many while Open), an
 * entry is refused (Full). A call without an answer or a sign of life for `timeout` is given up (Timeout).
 */
import * as Effect from "effect/Effect"
import type * as Reconnect from "../../socket/Reconnect.ts"
import { Batch, Call, type Entry, type Failure, type Item, type Limits, settled } from "./callModel.ts"
import { Deadlines } from "./deadlines.ts"

const noPending: Map<number, Call<any>> = new Map()
const noItems: Set<Item<any>> = new Set()

/**
 * The client half: see the table at the head of this file.
 *
 * @internal
 */
export abstract class Calls<F> {
  readonly limits: Limits
  status: Reconnect.Status
  /** Counts connections; entries say by it which one carried them. */
  connection = 0
  /** Called before anything else when something is to be sent and nothing was dialled yet. */
  onDemand: (() => void) | undefined = undefined
  private pending: Map<number, Call<F>> = noPending
  /** Whether entries may leave: Open, and the line took the last one. */
  private flows = false
  private onLine = 0
  private home: Set<Item<F>> = noItems
  private homeWeight = 0
  private lastSeq = 0
  private lastId = 0
  private listeners: Set<(status: Reconnect.Status) => void> | undefined = undefined
  private onCall: (() => void) | undefined = undefined
  private deadlines: Deadlines<F> | undefined = undefined
  private awaitsRoom = false

  constructor(limits: Limits, status: Reconnect.Status) {
    this.limits = limits
    this.status = status
  }

  /** Gives a frame to the line; `false` when the line is gone. */
  protected abstract write(frame: F, item: Item<F>): boolean
  /** One frame of many. */
  protected abstract join(frames: ReadonlyArray<F>): F
  /** What of an entry is sent now. */
  protected frameOf(entry: Entry<F>): F {
    return entry.frame
  }
  /** Tells the peer that nobody waits for a call that was sent on this connection. */
  protected abstract retract(call: Call<F>): void
  /** Whether the line takes more now; otherwise {@link Calls.whenRoom} runs when it does. */
  protected hasRoom(): boolean {
    return true
  }
  protected whenRoom(_run: () => void): void {}

  /** Calls that wait for an answer, wherever they are. */
  get inFlight(): number {
    return this.pending.size
  }

  get isEnded(): boolean {
    return this.status._tag === "Ended"
  }

  nextId(): number {
    return ++this.lastId
  }

  get(id: number): Call<F> | undefined {
    return this.pending.get(id)
  }

  /** Completes as soon as a call waits for its answer. One at a time may wait for it. */
  get calling(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.pending.size > 0) return resume(Effect.void)
      this.onCall = () => {
        this.onCall = undefined
        resume(Effect.void)
      }
      return Effect.sync(() => {
        this.onCall = undefined
      })
    })
  }

  /** Hears each status, in the turn in which it is entered, until the returned function is called. */
  observe(listener: (status: Reconnect.Status) => void): () => void {
    this.listeners ??= new Set()
    this.listeners.add(listener)
    return () => this.listeners!.delete(listener)
  }

  /** Logs a call, and sends it where it may leave. `batch`: it goes with that, if that takes it. */
  submit(call: Call<F>, batch?: Batch<F>): void {
    const { limits } = this
    if (this.status._tag === "Ended") return call.lost(this.failure("Ended", false))
    if (this.pending.size >= limits.maxCalls) return call.lost(this.tooMany())
    call.seq = ++this.lastSeq
    if (this.pending === noPending) this.pending = new Map()
    this.pending.set(call.id, call)
    this.touch(call)
    if (this.onCall !== undefined) this.onCall()
    if (batch !== undefined && batch.add(this, call)) return
    if (this.flows && this.home.size === 0 && this.onLine < limits.maxInFlight && this.hasRoom() && this.send(call)) {
      return
    }
    this.keep(call)
  }

  /** Logs what nobody answers; a failure when it is refused. */
  tell(entry: Entry<F>, batch?: Batch<F>): Failure | undefined {
    if (this.status._tag === "Ended") return this.failure("Ended", false)
    entry.seq = ++this.lastSeq
    if (batch !== undefined && batch.add(this, entry)) return undefined
    if (this.flows && this.home.size === 0 && this.hasRoom() && this.send(entry)) return undefined
    return this.keep(entry)
  }

  /** Sends what belongs to the connection with this number, ahead of the log: for what runs while it opens. */
  ahead(entry: Entry<F>, connection: number): Failure | undefined {
    const { _tag } = this.status
    const isCall = entry instanceof Call
    const failure = connection !== this.connection || (_tag !== "Opening" && _tag !== "Open")
      ? this.failure(_tag === "Ended" ? "Ended" : "Lost", false)
      : isCall && this.pending.size >= this.limits.maxCalls
      ? this.tooMany()
      : undefined
    if (failure !== undefined) {
      if (entry instanceof Call) entry.lost(failure)
      return failure
    }
    entry.seq = ++this.lastSeq
    if (isCall) {
      if (this.pending === noPending) this.pending = new Map()
      this.pending.set(entry.id, entry)
      this.touch(entry)
    }
    if (this.send(entry)) return undefined
    const gone = this.failure("Lost", false)
    this.drop(entry, gone)
    return gone
  }

  /** @internal */
  flush(batch: Batch<F>): void {
    if (batch.entries.length === 0) return
    batch.seq = ++this.lastSeq
    if (this.status._tag === "Ended") return void this.drop(batch, this.failure("Ended", false))
    if (this.flows && this.home.size === 0 && this.fits(batch) && this.send(batch)) return
    this.keep(batch)
  }

  /** The call that an answer is for, settled and gone from here; `undefined` where no call with this id is on the line. */
  take(id: number): Call<F> | undefined {
    const call = this.pending.get(id)
    if (call === undefined || call.connection <= 0 || call.connection !== this.connection) return undefined
    this.pending.delete(id)
    call.connection = settled
    this.onLine--
    if (this.home.size > 0) this.pump()
    return call
  }

  /** Gives a call up: it leaves home, or is called back once from the connection that carried it. */
  cancel(call: Call<F>): void {
    if (call.connection === settled || this.pending.get(call.id) !== call) return
    this.pending.delete(call.id)
    const { connection } = call
    call.connection = settled
    if (connection === 0) return this.leaveHome(call)
    this.onLine--
    if (connection === this.connection) this.retract(call)
    if (this.home.size > 0) this.pump()
  }

  /** A sign of life of a call: its time begins anew. */
  touch(call: Call<F>): void {
    if (!call.timed || this.limits.timeout === Infinity) return
    this.deadlines ??= new Deadlines(this)
    this.deadlines.touch(call)
  }

  /** All that wait for an answer, oldest first. */
  all(): Iterable<Call<F>> {
    return this.pending.values()
  }

  /** The calls on the line, oldest first. */
  *sent(): Iterable<Call<F>> {
    for (const call of this.pending.values()) if (call.connection > 0) yield call
  }

  /** The only way from state to state: the status is published, then what follows from it happens. */
  enter(status: Reconnect.Status): void {
    const previous = this.status._tag
    if (previous === "Ended") return
    const { waits } = this.limits
    this.status = status
    // who hears that it is open may send at once, and end the client after that
    this.flows = status._tag === "Open"
    if (status._tag === "Opening" || (status._tag === "Open" && previous !== "Opening")) this.connection++
    this.publish(status)
    // a listener may have gone on from here
    if (this.status !== status) return
    switch (status._tag) {
      case "Open":
        return this.pump()
      case "Lost":
        return this.takeHome(waits)
      case "Ended":
        this.deadlines?.stop()
        return this.abandon("Ended")
    }
  }

  private publish(status: Reconnect.Status): void {
    if (this.listeners === undefined) return
    for (const listener of [...this.listeners]) {
      // one that was called before went on from here: the others have heard of that
      if (this.status !== status) return
      try {
        listener(status)
      } catch (defect) {
        this.limits.fork(Effect.logError("a listener of a connection's status threw", defect))
      }
    }
  }

  private failure(kind: Failure["kind"], maybeExecuted: boolean): Failure {
    const { status } = this
    const cause = status._tag === "Lost" || status._tag === "Ended" ? status.cause : undefined
    return { kind, detail: this.limits.describe(status), maybeExecuted, cause }
  }

  private full(detail: string): Failure {
    return { kind: "Full", detail, maybeExecuted: false, cause: undefined }
  }

  private tooMany(): Failure {
    return this.full(`${this.limits.maxCalls} calls wait for an answer already`)
  }

  private send(item: Item<F>): boolean {
    let frame: F
    if (item instanceof Batch) {
      for (const entry of item.entries) {
        entry.connection = this.connection
        if (entry instanceof Call) this.onLine++
      }
      const frames = item.entries.map((entry) => this.frameOf(entry))
      frame = frames.length === 1 ? frames[0]! : this.join(frames)
    } else {
      item.connection = this.connection
      if (item instanceof Call) this.onLine++
      frame = this.frameOf(item)
    }
    if (this.write(frame, item)) return true
    // the line is gone, and whoever reads from it is about to say so: nothing was sent
    this.flows = false
    for (const entry of item instanceof Batch ? item.entries : [item]) {
      entry.connection = 0
      if (entry instanceof Call) this.onLine--
    }
    return false
  }

  private keep(item: Item<F>): Failure | undefined {
    const { limits, status } = this
    const { weight } = item
    if (status._tag === "Lost" && !limits.waits) return this.drop(item, this.failure("Offline", false))
    const room = status._tag === "Open" ? 16 * limits.maxQueued : limits.maxQueued
    if (this.homeWeight + weight > room) {
      return this.drop(item, this.full(`${room} characters wait to be sent already`))
    }
    if (this.home === noItems) this.home = new Set()
    this.home.add(item)
    this.homeWeight += weight
    if (status._tag === "Idle") this.onDemand?.()
    else if (this.flows && this.home.size === 1) this.pump()
    return undefined
  }

  private drop(item: Item<F>, failure: Failure): Failure {
    for (const entry of item instanceof Batch ? item.entries : [item]) {
      if (!(entry instanceof Call)) continue
      this.pending.delete(entry.id)
      entry.connection = settled
      entry.lost(failure)
    }
    return failure
  }

  private leaveHome(call: Call<F>): void {
    const { batch } = call
    if (batch !== undefined) {
      batch.entries = batch.entries.filter((entry) => entry !== call)
      if (!this.home.has(batch)) return
      this.homeWeight -= call.weight
      if (batch.entries.length === 0) this.home.delete(batch)
    } else if (this.home.delete(call)) this.homeWeight -= call.weight
    // it may have been what the others waited behind
    if (this.flows && this.home.size > 0) this.pump()
  }

  private fits(item: Item<F>): boolean {
    const calls = item instanceof Batch ? item.calls : item instanceof Call ? 1 : 0
    return (calls === 0 || this.onLine === 0 || this.onLine + calls <= this.limits.maxInFlight) && this.hasRoom()
  }

  private pump(): void {
    for (const item of this.home) {
      if (!this.flows) return
      if (!this.fits(item)) {
        if (!this.awaitsRoom && !this.hasRoom()) {
          this.awaitsRoom = true
          this.whenRoom(() => {
            this.awaitsRoom = false
            this.pump()
          })
        }
        return
      }
      this.home.delete(item)
      if (this.send(item)) this.homeWeight -= item.weight
      else {
        this.home = new Set([item, ...this.home])
        return
      }
    }
  }

  /**
   * The connection is gone: what may be sent again goes back to its place, the rest of what was sent fails; and so does,
   * where nothing waits for the next, what is at home.
   */
  private takeHome(waits: boolean): void {
    const lost: Array<Call<F>> = []
    if (!waits) {
      this.home = new Set(
        [...this.home].flatMap((item) => this.persisting(item))
      )
      this.homeWeight = [...this.home].reduce((sum, item) => sum + item.weight, 0)
    }
    const items = [...this.home]
    this.onLine = 0
    for (const call of this.pending.values()) {
      const stays = waits || call.persists
      if (call.connection === 0) {
        // those of a batch that is still being made fail when it is complete
        if (!stays && call.batch?.isOpen !== true) lost.push(call)
        continue
      }
      if (!stays || !call.goesAgain()) {
        lost.push(call)
        continue
      }
      call.connection = 0
      call.wasSent = true
      call.batch = undefined
      items.push(call)
      this.homeWeight += call.weight
    }
    if (items.length > this.home.size) this.home = new Set(items.sort((a, b) => a.seq - b.seq))
    this.settle(lost, "Lost")
  }

  private persisting(item: Item<F>): ReadonlyArray<Item<F>> {
    return item instanceof Batch ? item.dissolve() : item.persists ? [item] : []
  }

  private abandon(kind: "Ended"): void {
    this.onLine = 0
    this.home = noItems
    this.homeWeight = 0
    this.settle([...this.pending.values()], kind)
  }

  private settle(calls: ReadonlyArray<Call<F>>, kind: "Lost" | "Ended"): void {
    const failures = calls.map(({ maybeExecuted }) =>
      this.failure(kind === "Lost" && !maybeExecuted ? "Offline" : kind, maybeExecuted)
    )
    for (const call of calls) {
      this.pending.delete(call.id)
      call.connection = settled
    }
    for (const [i, call] of calls.entries()) call.lost(failures[i]!)
  }
}
