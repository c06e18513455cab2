/**
 * One timer for all connections of a server: who has gone silent, who has stopped reading, who connected and never shook
 * hands.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type * as Http from "node:http"
import type * as Net from "node:net"
import * as Budget from "../../socket/Budget.ts"
import { closeError } from "../../socket/internal/socketErrors.ts"
import * as SocketMetrics from "../../socket/SocketMetrics.ts"
import { HttpWatch, leastRate } from "./httpWatch.ts"
import { Turns } from "./turns.ts"
import type { Limits } from "./wsModel.ts"

const seconds = (input: Duration.Input | undefined, orElse: number): number =>
  input === undefined ? orElse : Math.max(1, Math.ceil(Duration.toSeconds(Duration.fromInputUnsafe(input))))

interface Handle {
  readonly bytesWritten?: number
  readonly writeQueueSize?: number
  /** Of a TLS handle: the TCP handle under it. */
  readonly _parent?: Handle | null
}

/** Bytes that the kernel has taken: they grow for as long as the peer reads. */
const taken = (net: Pipe): number => {
  const outer = (net as unknown as { readonly _handle?: Handle | null })._handle
  const handle = outer?._parent ?? outer
  if (handle?.bytesWritten === undefined) return net.bytesWritten - net.writableLength
  return handle.bytesWritten - (handle.writeQueueSize ?? 0)
}

/**
 * The net socket under a WebSocket, as far as it is used here.
 *
 * @internal
 */
export interface Pipe {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly remoteAddress?: string | undefined
  readonly writableLength: number
  readonly writableNeedDrain: boolean
  cork(): void
  uncork(): void
  once(event: "drain", listener: () => void): unknown
  setKeepAlive(enable: boolean, initialDelay: number): unknown
}

/**
 * A connection whose reader is judged.
 *
 * @internal
 */
export interface Written {
  readonly net: Pipe
  /** Bytes or characters that wait above the carrier. */
  readonly backlog: (() => number) | undefined
  lastTaken: number
  takenTick: number
  /** Ends the connection because its reader is too slow. */
  readonly cut: () => void
}

/**
 * A WebSocket, as the keeper knows it: it notes there when it saw what, so that thousands of them cost it no objects.
 *
 * @internal
 */
export interface Kept extends Written {
  readonly ws: {
    readonly readyState: number
    readonly isPaused: boolean
    readonly close: (code: number, reason: string) => void
    readonly ping: () => void
  }
  readonly isServer: boolean
  /** The reader gets this error after what waits. */
  readonly end: (error: Socket.SocketError) => void
  /** The reader let go. */
  readonly release: (code: number) => void
  /** Bytes received, and the tick, when it last sent something. */
  lastRead: number
  readTick: number
  pinged: boolean
  /** Messages, pings and pongs received. */
  readonly completed: number
  lastCompleted: number
  /** Bytes received, and the tick, when nothing was under way for the last time. */
  messageStart: number
  messageTick: number
}

/** `readyState` of an open WebSocket. */
const open = 1

/** Connections closed for what they sent that the log names in one second: peers must not be able to flood it. */
const maxSaid = 8

/** @internal */
export class Keeper {
  /** Seconds since the keeper began. */
  tick = 0
  readonly connections = new Set<Kept>()
  /** Connections that are no WebSockets: only how they take what is written is watched. */
  readonly streams = new Set<Written>()
  readonly shutdownCode: number
  readonly turns = new Turns()
  readonly budget: Budget.BudgetShape
  /** What the next sweep says of connections that were closed since the last, and how many it does not name. */
  private said: Array<string> = []
  private unsaid = 0
  private readonly pingAfter: number
  private readonly silentAfter: number
  private readonly maxWaiting: number
  private readonly stalledAfter: number
  private readonly handshakeAfter: number
  private readonly context: Context.Context<never>
  private readonly requests: HttpWatch

  constructor(limits: Limits, context: Context.Context<never>) {
    this.context = context
    this.budget = Context.get(context, Budget.Budget)
    this.shutdownCode = limits.shutdownCode ?? 1001
    this.pingAfter = seconds(limits.pingAfter, 25)
    this.silentAfter = this.pingAfter + seconds(limits.pongTimeout, 20)
    this.maxWaiting = limits.maxWaiting ?? 1024 * 1024
    this.stalledAfter = seconds(limits.slowReaderTimeout, 30)
    this.handshakeAfter = seconds(limits.handshakeTimeout, 10)
    this.requests = new HttpWatch(this.handshakeAfter)
  }

  /** Watches connections of an HTTP server that have not sent a whole request yet. */
  watch(server: Net.Server): void {
    server.on("connection", (socket: Net.Socket) => this.requests.onConnection(socket, this.tick))
    server.on("request", (request: Http.IncomingMessage, response: Http.ServerResponse) => {
      this.requests.onRequest(request, response, this.tick)
    })
    server.on("upgrade", (request: Http.IncomingMessage) => this.requests.forget(request.socket))
    server.on("drop", (dropped: Net.DropArgument | undefined) => {
      SocketMetrics.refusedFor("connections").updateUnsafe(1, this.context)
      this.say(`refused ${dropped?.remoteAddress}: too many connections`)
    })
  }

  /** The server stops: whoever has not shaken hands yet will not be served. */
  dropUnshaken(): void {
    this.requests.dropUnshaken()
  }

  private countClosed(reason: SocketMetrics.ClosedReason): void {
    SocketMetrics.closedFor(reason).updateUnsafe(1, this.context)
  }

  /** A connection is closed for what its peer sent: counted, and said in the log with the next sweep. */
  closedBy(net: Pipe, reason: SocketMetrics.ClosedReason, message: string): void {
    this.countClosed(reason)
    this.say(`closed ${net.remoteAddress}: ${message}`)
  }

  private say(message: string): void {
    if (this.said.length < maxSaid) this.said.push(message)
    else this.unsaid++
  }

  /** One second has passed. Returns what is to be logged. */
  sweep(): ReadonlyArray<string> {
    const messages = this.said
    if (this.unsaid > 0) messages.push(`refused or closed ${this.unsaid} more`)
    this.said = []
    this.unsaid = 0
    const tick = ++this.tick
    this.requests.sweep(tick, (isNew, message) => {
      if (isNew) SocketMetrics.refusedFor("handshake").updateUnsafe(1, this.context)
      else this.countClosed("slow_sender")
      messages.push(message)
    })
    for (const connection of this.connections) {
      if (connection.ws.readyState !== open) continue
      const slow = this.sweepReading(connection)
      if (slow !== undefined) messages.push(slow)
      const message = this.sweepWriting(connection)
      if (message !== undefined) messages.push(message)
    }
    for (const stream of this.streams) {
      const message = this.sweepWriting(stream)
      if (message !== undefined) messages.push(message)
    }
    return messages
  }

  private sweepReading(connection: Kept): string | undefined {
    const tick = this.tick
    const read = connection.net.bytesRead
    // While we do not read ourselves, the peer's silence says nothing.
    if (read !== connection.lastRead || connection.ws.isPaused) {
      connection.lastRead = read
      connection.readTick = tick
      connection.pinged = false
      return this.sweepMessage(connection, read)
    }
    const silent = tick - connection.readTick
    if (silent >= this.silentAfter) {
      this.countClosed("idle")
      // In this order: the reader that ends closes the connection too, with a code of its own.
      connection.ws.close(1001, "nothing received")
      connection.end(closeError(1006, `nothing received for ${silent} s`))
    } else if (silent >= this.pingAfter && !connection.pinged) {
      connection.pinged = true
      connection.ws.ping()
    }
    return this.sweepMessage(connection, read)
  }

  /** A message that has begun has to go on. */
  private sweepMessage(connection: Kept, read: number): string | undefined {
    if (!connection.isServer) return undefined
    const tick = this.tick
    if (
      connection.completed !== connection.lastCompleted || read === connection.messageStart || connection.ws.isPaused
    ) {
      connection.lastCompleted = connection.completed
      connection.messageStart = read
      connection.messageTick = tick
      return undefined
    }
    const since = tick - connection.messageTick
    if (since <= this.handshakeAfter + (read - connection.messageStart) / leastRate) return undefined
    this.countClosed("slow_sender")
    connection.ws.close(1008, "a message arrives too slowly")
    connection.end(closeError(1008, "a message arrives too slowly"))
    return `closed ${connection.net.remoteAddress}: a message did not arrive in ${since} s`
  }

  private sweepWriting(connection: Written): string | undefined {
    const net = connection.net
    const waiting = net.writableLength + (connection.backlog?.() ?? 0)
    if (waiting <= this.maxWaiting) {
      connection.takenTick = this.tick
      return undefined
    }
    const now = taken(net)
    if (now !== connection.lastTaken) {
      connection.lastTaken = now
      connection.takenTick = this.tick
      return undefined
    }
    const stalled = this.tick - connection.takenTick
    if (stalled < this.stalledAfter) return undefined
    this.countClosed("slow_reader")
    connection.cut()
    return `closed ${net.remoteAddress}: ${waiting} bytes wait and none was taken for ${stalled} s`
  }
}

/**
 * Makes a keeper whose timer runs, by the `Clock`, until the scope closes.
 *
 * @internal
 */
export const makeKeeper = (limits: Limits): Effect.Effect<Keeper, never, Scope.Scope> =>
  Effect.gen(function*() {
    const keeper = new Keeper(limits, yield* Effect.context<never>())
    yield* Effect.sleep(1000).pipe(
      Effect.flatMap(() => Effect.forEach(keeper.sweep(), (message) => Effect.logWarning(message), { discard: true })),
      Effect.forever,
      Effect.forkScoped
    )
    return keeper
  })

/** @internal */
export const countRefused = (reason: SocketMetrics.RefusedReason): Effect.Effect<void> =>
  Metric.update(SocketMetrics.refusedFor(reason), 1)
