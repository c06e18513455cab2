/**
 * A connection of a world: two ends, and what is on its way between them. Order holds; all else is the network's weather.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import { type Frame, Inbox } from "../../socket/internal/inbox.ts"
import { closeError, writeError } from "../../socket/internal/socketErrors.ts"
import type { SyncPort } from "../../socket/internal/syncWriter.ts"
import type { Event } from "../History.ts"
import type { Life, Loop, Timer } from "./loop.ts"
import type { Prng } from "./prng.ts"

/** What a connection needs of its network. */
export interface Way {
  readonly loop: Loop
  readonly connections: Set<Connection>
  readonly record: (event: Event) => void
  readonly options: { readonly latency: number; readonly capacity: number }
  /** Until when nothing of this direction arrives. */
  readonly blockedUntil: (from: string, to: string) => number
  /** How long a frame takes now. */
  readonly delay: (from: string, to: string) => number
  /** How long the link is busy with so many bytes. */
  readonly busy: (from: string, to: string, bytes: number) => number
  readonly isUp: (node: string) => boolean
}

const encoder = new TextEncoder()

type Item = Frame | Socket.CloseEvent

interface OnTheWay {
  readonly item: Item
  readonly at: number
}

/** An end of a connection that is no more learns it within so many milliseconds. */
const keepAlive = 60_000

/** Where a fault has planned the end of a connection. */
export interface Cut {
  frames: number
  readonly part: number
  readonly knows: readonly [number, number]
}

/** For a pull of a reader that let go. */
const aborted = closeError(1006)

const isClose = (item: Item): item is Socket.CloseEvent => typeof item === "object" && Socket.isCloseEvent(item)

const sizeOf = (item: Item): number => isClose(item) ? 4 : item.length

export class Connection {
  readonly network: Way
  readonly id: string
  readonly bytes: boolean
  readonly random: Prng
  readonly ends: readonly [End, End]
  cut: Cut | undefined
  /** Nothing passes any more, whether the ends know it or not. */
  isLost = false
  /** Called when that begins. */
  onLost: () => void = () => {}

  constructor(network: Way, id: string, from: Life, to: Life, bytes: boolean, random: Prng) {
    this.network = network
    this.id = id
    this.bytes = bytes
    this.random = random
    const left = new End(this, from)
    const right = new End(this, to)
    left.peer = right
    right.peer = left
    this.ends = [left, right]
  }

  joins(a: string, b: string): boolean {
    const [left, right] = this.ends
    const x = left.life.node
    const y = right.life.node
    return (x === a && y === b) || (x === b && y === a)
  }

  reschedule(): void {
    for (const end of this.ends) end.pump()
  }

  /** One more frame has arrived: whether the cut strikes now, and how much of the frame gets through. */
  strike(): number | undefined {
    const { cut } = this
    if (cut === undefined) return undefined
    if (cut.frames-- > 0) return undefined
    return cut.part
  }

  sever(): void {
    if (!this.isLost) {
      // whatever happens, the pings of the carrier tell each end in the end
      for (const end of this.ends) {
        this.network.loop.timer(this.network.loop.root, keepAlive, () => this.lose(end, 1006, "no answer to pings"))
      }
    }
    const isNew = !this.isLost
    this.isLost = true
    for (const end of this.ends) end.forgetWay()
    if (isNew) this.onLost()
  }

  /** The cut happens: each end learns of it in its own time. */
  break(knows: readonly [number, number]): void {
    const { loop } = this.network
    this.cut = undefined
    this.sever()
    this.ends.forEach((end, index) => {
      const after = knows[index]!
      if (after === 0) this.lose(end, 1006, "cut")
      else loop.timer(loop.root, after, () => this.lose(end, 1006, "cut"))
    })
  }

  /** One end learns that the connection is over. */
  lose(end: End, code: number, reason: string): void {
    if (end.over) return
    end.over = true
    this.sever()
    const { network } = this
    network.record({ _tag: "Lost", at: network.loop.now, node: end.life.node, connection: this.id, code, reason })
    network.loop.post(end.life, () => end.finish(closeError(code, code === 1006 ? undefined : reason)))
    this.forget()
  }

  forget(): void {
    if (this.ends[0].over && this.ends[1].over) this.network.connections.delete(this)
  }
}

/** One end of a connection. */
export class End extends Inbox implements SyncPort {
  peer!: End
  readonly life: Life
  readonly connection: Connection
  /** The end has been told, or has said itself, that the connection is over. */
  over = false
  /** The peer lost power: what is written gets a reset once its node is back. */
  unaware = false
  backlog: (() => number) | undefined = undefined
  /** Written by the peer and on its way to this end, oldest first. */
  private way: Array<OnTheWay> = []
  /** Arrived, and to be handed over by this end's own node. */
  private arrived: Array<Item> = []
  private timer: Timer | undefined
  private busyUntil = 0
  private waiters: Array<() => void> = []

  constructor(connection: Connection, life: Life) {
    super()
    this.connection = connection
    this.life = life
  }

  protected override onTake(): void {
    this.peer.wake()
  }

  private wake(): void {
    const { waiters } = this
    if (waiters.length === 0) return
    this.waiters = []
    const { loop } = this.connection.network
    loop.post(this.life, () => {
      for (const wake of waiters) wake()
    })
  }

  private get isFull(): boolean {
    return this.length + this.way.length + this.arrived.length > this.connection.network.options.capacity
  }

  /** What is on its way arrives by then. */
  hurry(at: number): void {
    this.way = this.way.map((one) => one.at > at ? { ...one, at } : one)
    this.busyUntil = 0
  }

  forgetWay(): void {
    this.way = []
    if (this.timer !== undefined) this.connection.network.loop.cancel(this.timer)
    this.timer = undefined
    this.peer.wake()
  }

  /** The peer has sent something. */
  private enqueue(item: Item): void {
    const { network } = this.connection
    const { loop } = network
    const from = this.peer.life.node
    const to = this.life.node
    const size = sizeOf(item)
    this.busyUntil = Math.max(this.busyUntil, loop.now) + network.busy(from, to, size)
    const last = this.way.length === 0 ? 0 : this.way[this.way.length - 1]!.at
    this.way.push({ item, at: Math.max(last, this.busyUntil + network.delay(from, to)) })
    if (this.way.length === 1) this.pump()
  }

  /** Sees to it that the oldest frame arrives when it may. */
  pump(): void {
    const { network } = this.connection
    const { loop } = network
    if (this.timer !== undefined) loop.cancel(this.timer)
    this.timer = undefined
    const head = this.way[0]
    if (head === undefined) return
    const at = Math.max(head.at, network.blockedUntil(this.peer.life.node, this.life.node))
    this.timer = loop.timer(loop.root, at - loop.now, () => {
      this.timer = undefined
      if (loop.isAhead(network.blockedUntil(this.peer.life.node, this.life.node))) return this.pump()
      this.arrive()
    })
  }

  private arrive(): void {
    const { connection } = this
    const { network } = connection
    do {
      const { item } = this.way.shift()!
      const part = isClose(item) ? undefined : connection.strike()
      if (part !== undefined && connection.cut !== undefined) {
        const { knows } = connection.cut
        if (connection.bytes && part > 0) {
          const bytes = toBytes(item as Frame)
          this.hand(bytes.subarray(0, Math.floor(bytes.length * part)))
        } else if (part === 1) this.hand(item)
        connection.break(knows)
        return
      }
      this.hand(item)
    } while (this.way.length > 0 && this.way[0]!.at <= network.loop.now)
    this.pump()
  }

  private hand(item: Item): void {
    const { connection } = this
    const { network } = connection
    if (!isClose(item)) {
      network.record({
        _tag: "Frame",
        at: network.loop.now,
        node: this.peer.life.node,
        to: this.life.node,
        connection: connection.id,
        frame: item
      })
    }
    this.arrived.push(item)
    network.loop.post(this.life, () => this.accept())
  }

  /** In a turn of the own node: the oldest that has arrived, sometimes with all that came behind it. */
  private accept(): void {
    const { random } = this.connection
    const all = random.chance(0.5)
    do {
      const item = this.arrived.shift()
      if (item === undefined || this.error !== undefined) break
      this.receive(item)
    } while (all)
    this.deliver()
  }

  private receive(item: Item): void {
    const { connection } = this
    if (isClose(item)) {
      if (this.over) return
      this.over = true
      const { network } = connection
      network.record({
        _tag: "Lost",
        at: network.loop.now,
        node: this.life.node,
        connection: connection.id,
        code: item.code,
        reason: item.reason ?? ""
      })
      this.finish(closeError(item.code, item.reason))
      connection.forget()
      return
    }
    if (!connection.bytes) return this.add(item)
    const bytes = toBytes(item)
    const last = connection.random.chance(0.5) ? this.pop() as Uint8Array | undefined : undefined
    if (last !== undefined) {
      const merged = new Uint8Array(last.length + bytes.length)
      merged.set(last)
      merged.set(bytes, last.length)
      return this.add(merged)
    }
    if (bytes.length < 2 || connection.random.chance(0.6)) return this.add(bytes)
    const at = connection.random.int(1, bytes.length - 1)
    this.add(bytes.subarray(0, at))
    this.add(bytes.subarray(at))
  }

  /** Readers get the error after what waits, writers at once. */
  finish(error: Socket.SocketError): void {
    this.fail(error)
    const { waiters } = this
    this.waiters = []
    for (const wake of waiters) wake()
  }

  private send(item: Item): void {
    const { connection } = this
    if (!connection.isLost) return this.peer.enqueue(item)
    if (this.unaware && connection.network.isUp(this.peer.life.node)) {
      this.unaware = false
      const { loop } = connection.network
      loop.timer(loop.root, connection.network.options.latency * 2, () => connection.lose(this, 1006, "reset"))
    }
  }

  readonly sendNow = (frames: ReadonlyArray<Frame>): boolean | undefined => {
    if (this.error !== undefined) return undefined
    for (const frame of frames) this.send(frame)
    return !this.peer.isFull
  }

  readonly write = (chunk: Item): Effect.Effect<void, Socket.SocketError> =>
    Effect.suspend(() => {
      if (this.error !== undefined) return Effect.fail(writeError(this.error))
      this.send(chunk)
      if (isClose(chunk)) {
        this.closed(chunk.code, chunk.reason ?? "")
        return Effect.void
      }
      return this.peer.isFull ? this.room : Effect.void
    })

  readonly writeAll = (chunks: NonEmptyReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> =>
    Effect.forEach(chunks, this.write, { discard: true })

  /** Completes when the peer has room again. */
  readonly room: Effect.Effect<void, Socket.SocketError> = Effect.callback<void, Socket.SocketError>((resume) => {
    const wake = (): void => {
      if (this.error !== undefined) resume(Effect.fail(writeError(this.error)))
      else if (this.peer.isFull && !this.connection.isLost) this.waiters.push(wake)
      else resume(Effect.void)
    }
    wake()
    return Effect.sync(() => {
      this.waiters = this.waiters.filter((other) => other !== wake)
    })
  })

  /** This end is over by its own will. */
  private closed(code: number, reason: string): void {
    this.over = true
    this.finish(closeError(code, reason))
    this.connection.forget()
  }

  /** The reader let go: a pull that is suspended fails, and the peer is told. */
  abandon(code: number): void {
    const open = this.error === undefined
    this.abort(aborted)
    if (open) {
      this.send(new Socket.CloseEvent(code))
      this.over = true
      this.connection.forget()
    }
  }
}

const toBytes = (frame: Frame): Uint8Array => typeof frame === "string" ? encoder.encode(frame) : frame
