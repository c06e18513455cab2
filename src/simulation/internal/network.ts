/**
 * The network of a world: who listens, who is connected to whom, how the links are at the moment.
 */
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as Socket from "effect/socket/Socket"
import { openError } from "../../socket/internal/socketErrors.ts"
import type { Link } from "../Fault.ts"
import type { Event } from "../History.ts"
import { noTrouble } from "./broker.ts"
import { Connection, type End, type Way } from "./connection.ts"
import type { Life, Loop } from "./loop.ts"
import type { Prng } from "./prng.ts"

/** How the network is where no fault says otherwise; virtual milliseconds. */
export interface NetworkOptions {
  /** The least time of one frame. */
  readonly latency: number
  /** Up to so much more, drawn for each frame; a tenth of the frames take up to ten times that. */
  readonly jitter: number
  /** Frames on their way and unread at one end, before writes wait. */
  readonly capacity: number
  /** The carrier takes frames without a fiber, as our WebSocket does. */
  readonly syncWriters: boolean
}

interface Listener {
  readonly life: Life
  readonly accept: (end: End, options: DialOptions) => void
}

export interface DialOptions {
  /** A stream of bytes, as TCP: frames arrive split and merged. */
  readonly bytes?: boolean | undefined
  readonly openTimeout?: number | undefined
  readonly headers?: Headers.Input | undefined
  readonly url?: string | undefined
  readonly protocol?: string | undefined
}

interface Weather {
  partitionedUntil: number
  extra: number
  extraUntil: number
  bytesPerSecond: number
  narrowUntil: number
}

const fair = (): Weather => ({ partitionedUntil: 0, extra: 0, extraUntil: 0, bytesPerSecond: 0, narrowUntil: 0 })

export interface Refusal {
  refusedUntil: number
  hungUntil: number
}

export class Network implements Way {
  readonly loop: Loop
  readonly random: Prng
  readonly options: NetworkOptions
  readonly connections = new Set<Connection>()
  /** Pairs of nodes of which the first has dialled the second. */
  readonly links = new Map<string, Link>()
  readonly record: (event: Event) => void
  private readonly listeners = new Map<string, Listener>()
  private readonly weather = new Map<string, Weather>()
  private readonly stalls = new Map<string, number>()
  private readonly refusals = new Map<string, Refusal>()
  /** What backplanes of this world do at the moment. */
  backplane = { ...noTrouble, until: 0 }
  private dialled = 0

  constructor(loop: Loop, random: Prng, options: NetworkOptions, record: (event: Event) => void) {
    this.loop = loop
    this.random = random
    this.options = options
    this.record = record
  }

  between(a: string, b: string): Weather {
    const key = a < b ? `${a} ${b}` : `${b} ${a}`
    let weather = this.weather.get(key)
    if (weather === undefined) this.weather.set(key, weather = fair())
    return weather
  }

  refusal(node: string): Refusal {
    let refusal = this.refusals.get(node)
    if (refusal === undefined) this.refusals.set(node, refusal = { refusedUntil: 0, hungUntil: 0 })
    return refusal
  }

  stall(from: string, to: string, until: number): void {
    this.stalls.set(`${from} ${to}`, until)
    for (const connection of this.connections) connection.reschedule()
  }

  partition(a: string, b: string, until: number): void {
    this.between(a, b).partitionedUntil = until
    for (const connection of this.connections) {
      if (!connection.joins(a, b)) continue
      connection.reschedule()
      // retransmissions end after some 20 s; each end gives up by itself
      for (const end of connection.ends) {
        const patience = 20_000 + this.random.below(10_000)
        if (until - this.loop.now > patience) {
          this.loop.timer(this.loop.root, patience, () => {
            if (this.between(a, b).partitionedUntil > this.loop.now) connection.lose(end, 1006, "timed out")
          })
        }
      }
    }
  }

  /** Until when nothing of this direction arrives. */
  blockedUntil(from: string, to: string): number {
    return Math.max(this.between(from, to).partitionedUntil, this.stalls.get(`${from} ${to}`) ?? 0)
  }

  /** How long a frame takes now. */
  delay(from: string, to: string): number {
    const { jitter, latency } = this.options
    const weather = this.between(from, to)
    const now = this.loop.now
    const tail = this.random.chance(0.1) ? 10 : 1
    const extra = weather.extraUntil > now ? weather.extra : 0
    return latency + jitter * tail * this.random.next() + extra
  }

  /** How long the link is busy with a frame. */
  busy(from: string, to: string, bytes: number): number {
    const weather = this.between(from, to)
    return weather.narrowUntil > this.loop.now ? bytes * 1000 / weather.bytesPerSecond : 0
  }

  /** All is well from now on. */
  heal(): void {
    this.stalls.clear()
    this.refusals.clear()
    this.weather.clear()
    this.backplane.until = 0
    for (const connection of this.connections) {
      connection.cut = undefined
      for (const end of connection.ends) end.hurry(this.loop.now + this.options.latency)
      connection.reschedule()
    }
  }

  listen(life: Life, accept: Listener["accept"]): () => void {
    const before = this.listeners.get(life.node)
    const listener = { life, accept }
    this.listeners.set(life.node, listener)
    return () => {
      if (this.listeners.get(life.node) !== listener) return
      if (before === undefined || before.life.dead) this.listeners.delete(life.node)
      else this.listeners.set(life.node, before)
    }
  }

  newest(link: Link): Connection | undefined {
    let newest: Connection | undefined
    for (const connection of this.connections) {
      if (connection.joins(link[0], link[1]) && !connection.isLost) newest = connection
    }
    return newest
  }

  dial(life: Life, to: string, options: DialOptions): Effect.Effect<End, Socket.SocketError> {
    return Effect.callback<End, Socket.SocketError>((resume) => {
      const { loop, random } = this
      const from = life.node
      const id = `${from}>${to}#${++this.dialled}`
      this.links.set(`${from} ${to}`, [from, to])
      let connection: Connection | undefined
      let over = false
      const note = (what: string) =>
        this.record({ _tag: "Dialled", at: loop.now, node: from, to, connection: id, what })
      const finish = (what: string, result: Effect.Effect<End, Socket.SocketError>) => {
        if (over) return
        over = true
        note(what)
        loop.post(life, () => resume(result))
      }
      const timeout = options.openTimeout ?? 10_000
      const patience = loop.timer(loop.root, timeout, () => {
        connection?.break([0, this.delay(from, to)])
        finish("no answer", Effect.fail(openError(new Error("no answer"), "Timeout")))
      })
      const arrive = (): void => {
        const blocked = this.blockedUntil(from, to)
        const refusal = this.refusals.get(to)
        if (over || life.dead || refusal !== undefined && loop.isAhead(refusal.hungUntil)) return
        if (loop.isAhead(blocked)) return void loop.timer(loop.root, blocked - loop.now, arrive)
        const listener = this.listeners.get(to)
        if (
          listener === undefined || listener.life.dead || (refusal !== undefined && refusal.refusedUntil > loop.now)
        ) {
          loop.timer(loop.root, this.delay(to, from), () => {
            loop.cancel(patience)
            finish("refused", Effect.fail(openError(new Error("connection refused"))))
          })
          return
        }
        const made = connection = new Connection(
          this,
          id,
          life,
          listener.life,
          options.bytes === true,
          random.derive(id)
        )
        this.connections.add(made)
        let isAnswered = false
        const answered = (): void => {
          if (isAnswered) return
          isAnswered = true
          loop.timer(loop.root, this.delay(to, from), answer)
        }
        loop.post(listener.life, () => {
          if (!listener.life.dead) listener.accept(made.ends[1], options)
          answered()
        })
        const answer = (): void => {
          const blocked = this.blockedUntil(to, from)
          if (loop.isAhead(blocked)) return void loop.timer(loop.root, blocked - loop.now, answer)
          loop.cancel(patience)
          finish("connected", Effect.succeed(made.ends[0]))
        }
        // a stream of bytes is accepted by the system, whatever its process does; a handshake is the process's
        if (options.bytes === true) answered()
        else made.onLost = answered
      }
      loop.timer(loop.root, this.delay(from, to), arrive)
      return Effect.sync(() => {
        if (!over) note("given up")
        over = true
        loop.cancel(patience)
        if (connection !== undefined) connection.ends[0].abandon(1001)
      })
    })
  }

  /** A life has ended without a word. */
  gone(life: Life, power: boolean): void {
    for (const connection of [...this.connections]) {
      for (const end of connection.ends) {
        if (end.life !== life) continue
        connection.sever()
        const peer = end.peer
        if (power) {
          // nobody tells the peer; it finds out when the node is back and answers with a reset, or by its pings
          peer.unaware = true
        } else {
          this.loop.timer(
            this.loop.root,
            this.delay(life.node, peer.life.node),
            () => connection.lose(peer, 1006, "reset")
          )
        }
        connection.lose(end, 1006, "crashed")
      }
    }
  }

  /** Whether a node takes connections now. */
  isUp(node: string): boolean {
    const listener = this.listeners.get(node)
    return listener !== undefined && !listener.life.dead
  }
}
