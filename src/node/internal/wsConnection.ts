/**
 * A `Socket` made straight on the events of a `ws` WebSocket: the messages of one turn of the event loop arrive as one
 * batch, what is written in one turn leaves in one write, a full pipe suspends the writer, and an idle connection has no
 * timer and hardly a closure.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import { Buffer } from "node:buffer"
import type * as Net from "node:net"
import * as Ws from "ws"
import type { Account } from "../../socket/Budget.ts"
import { type Batch, type Frame, Inbox } from "../../socket/internal/inbox.ts"
import { closeError, exitCode, writeError } from "../../socket/internal/socketErrors.ts"
import { type SyncPort, type SyncWriter, SyncWriterId } from "../../socket/internal/syncWriter.ts"
import type { ClosedReason } from "../../socket/SocketMetrics.ts"
import type { Served } from "./turns.ts"
import { writeMasked, writeUnmasked } from "./wsFrames.ts"
import type { Keeper, Kept, Pipe } from "./wsKeeper.ts"

/** Bytes received and not pulled at which the peer is made to wait. */
const readHighWaterMark = 64 * 1024

/** Bytes received and not handed over that are not counted. */
const step = 64 * 1024

/** Bytes given to the compression and not written at which a writer is made to wait. */
const compressHighWaterMark = 64 * 1024

/**
 * The WebSocket of `ws`, which hands its events to a {@link WsConnection} once there is one.
 *
 * @internal
 */
export class WireWebSocket extends Ws.WebSocket {
  connection: WsConnection | undefined = undefined

  override emit(event: string | symbol, a?: unknown, b?: unknown, ...rest: Array<unknown>): boolean {
    const connection = this.connection
    if (connection === undefined) return super.emit(event, a, b, ...rest)
    switch (event) {
      case "message": {
        connection.completed++
        connection.onMessage(a as Buffer, b as boolean)
        return true
      }
      case "ping": {
        connection.completed++
        connection.onControl(a as Buffer)
        connection.onPing(a as Buffer)
        return true
      }
      case "pong": {
        connection.completed++
        connection.onControl(a as Buffer)
        return super.emit(event, a, b, ...rest)
      }
      case "error": {
        connection.onError(a as Error)
        return true
      }
      case "close": {
        connection.onClose(a as number, b as Buffer)
        return super.emit(event, a, b)
      }
      default:
        return super.emit(event, a, b, ...rest)
    }
  }
}

/**
 * In place of the net socket where the runtime has a WebSocket client of its own under the name of `ws`, as Bun does.
 *
 * @internal
 */
export class NoPipe implements Pipe {
  bytesRead = 0
  private readonly ws: Ws.WebSocket

  constructor(ws: Ws.WebSocket) {
    this.ws = ws
    const heard = () => {
      this.bytesRead++
    }
    ws.on("pong", heard)
  }
  readonly bytesWritten = 0
  readonly remoteAddress = undefined
  readonly writableNeedDrain = false
  get writableLength(): number {
    return this.ws.bufferedAmount
  }
  cork(): void {}
  uncork(): void {}
  once(): void {}
  setKeepAlive(): void {}
}

const deliver = (connection: WsConnection): void => connection.keeper.turns.take(connection)

/** Comes after the one of `ws`, which has taken the bytes by then. */
function onData(this: Read): void {
  this[connectionOf].onBytes()
}

const connectionOf = Symbol()

interface Read {
  [connectionOf]: WsConnection
}

const uncork = (connection: WsConnection): void => {
  connection.corked = false
  connection.net.uncork()
}

/** @internal */
export class WsConnection extends Inbox implements SyncPort, Kept, Served {
  readonly [Socket.TypeId]: typeof Socket.TypeId = Socket.TypeId
  readonly ws: WireWebSocket
  readonly net: Pipe
  readonly isServer: boolean
  /** The net socket that frames are written to here; `undefined` where `ws` must do it. */
  private readonly raw: Net.Socket | undefined
  readonly keeper: Keeper
  scheduled = false
  corked = false
  private queued = 0
  /** Bytes of the budget that what was received, and not handed over, has taken. */
  private charged = 0
  /** What its frames cost in the current window of {@link Turns}. */
  window = 0
  spent = 0
  private compressing = 0
  private waiters: Array<() => void> | undefined = undefined
  /** Frames that an outbox above holds back, in bytes or characters. */
  backlog: (() => number) | undefined = undefined
  account: (() => Account) | undefined = undefined
  private own: Account | undefined = undefined

  // What the keeper remembers: ticks at which the peer last sent something, or took something.
  lastRead = 0
  readTick = 0
  pinged = false
  /** A ping that waits for room for its pong. */
  private ping: Buffer | undefined = undefined
  lastTaken = 0
  takenTick = 0
  /** Messages, pings and pongs received. */
  completed = 0
  /** Bytes received when a message was complete for the last time. */
  private received = 0
  lastCompleted = 0
  /** Bytes received, and the tick, when nothing was under way for the last time. */
  messageStart = 0
  messageTick = 0

  constructor(ws: WireWebSocket, net: Net.Socket | NoPipe, isServer: boolean, keeper: Keeper) {
    super()
    this.ws = ws
    this.net = net
    this.isServer = isServer
    this.keeper = keeper
    this.raw = ws.extensions !== "" || net instanceof NoPipe ? undefined : net
    this.readTick = this.takenTick = this.messageTick = keeper.tick
    this.messageStart = this.received = net.bytesRead
    ws.connection = this
    keeper.connections.add(this)
    if (isServer && !(net instanceof NoPipe)) {
      const read = net as Net.Socket & Read
      read[connectionOf] = this
      read.on("data", onData)
    }
    // Finds a peer that vanished while we do not read, which no ping can.
    net.setKeepAlive(true, 60_000)
  }

  // -- what comes in

  onMessage(data: Buffer, isBinary: boolean): void {
    if (this.error !== undefined) return
    if (this.net instanceof NoPipe) this.net.bytesRead += data.length
    this.queued += data.length
    this.received = this.net.bytesRead
    this.add(isBinary ? data : data.toString("utf8"))
    if (this.isAwaited) this.schedule()
    if (this.queued > readHighWaterMark && !this.ws.isPaused) this.ws.pause()
  }

  /** Bytes came: what is kept of them is counted, in steps, so that small frames cost nothing. */
  onBytes(): void {
    const kept = this.queued + this.net.bytesRead - this.received
    if (kept > this.charged + step) this.charge(kept)
    else if (this.charged > 0 && kept <= step) this.discharge()
  }

  /** Nothing is kept of a ping or a pong, which may come in the middle of a message. */
  onControl(data: Buffer): void {
    this.received += data.length + 6
  }

  private charge(bytes: number): void {
    this.own ??= this.account?.() ?? this.keeper.budget.open((over) => {
      this.keeper.closedBy(this.net, over === "process" ? "budget" : "connection_budget", "too much of it is kept")
      this.cut("too much waits")
    })
    // as a whole: one message alone may be as large as the limits of the carrier say
    this.discharge()
    if (this.own.take(bytes)) this.charged = bytes
  }

  private discharge(): void {
    if (this.charged > 0) this.own!.give(this.charged)
    this.charged = 0
  }

  protected override onTake(batch: Batch): void {
    if (this.length === 0) this.queued = 0
    else for (const frame of batch) this.queued -= frame.length
    if (this.charged > 0 && this.queued === 0 && this.net.bytesRead === this.received) this.discharge()
    if (this.ws.isPaused && this.queued <= readHighWaterMark) this.ws.resume()
  }

  /** Large messages are handed over one by one, each in its turn. */
  protected override part(frames: ReadonlyArray<Frame>): number {
    if (this.queued <= readHighWaterMark) return frames.length
    let count = 1
    for (let bytes = frames[0]!.length; count < frames.length; count++) {
      bytes += frames[count]!.length
      if (bytes > readHighWaterMark) break
    }
    return count
  }

  protected override onLeft(): void {
    this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    process.nextTick(deliver, this)
  }

  /** Bytes that it hands over next; the end of a connection is nothing that others wait behind. */
  get size(): number {
    return this.error === undefined ? this.queued : Infinity
  }

  /**
   * Answers a ping; while the peer takes nothing only the newest is remembered (RFC 6455, section 5.5.3), so that pings
   * cost no memory.
   */
  onPing(data: Buffer): void {
    if (this.ws.readyState !== Ws.WebSocket.OPEN) return
    if (!this.net.writableNeedDrain) return this.ws.pong(data)
    if (this.ping === undefined) {
      this.net.once("drain", () => {
        const newest = this.ping
        this.ping = undefined
        if (newest !== undefined) this.onPing(newest)
      })
    }
    // a copy: what was received is a view of a larger buffer
    this.ping = Buffer.from(data)
  }

  /** A frame that breaks the protocol or a limit: `ws` sends the close frame, the reader is told which. */
  onError(error: Error & { readonly code?: string }): void {
    const code = invalidFrameCode(error.code)
    // an error of the network is none of the peer's
    if (code !== 1006) this.keeper.closedBy(this.net, closedReason(code), `${error.message} (${code})`)
    if (this.error === undefined) this.end(endOf(code, error.message))
  }

  onClose(code: number, reason: Buffer): void {
    this.keeper.connections.delete(this)
    this.discharge()
    if (this.error === undefined) this.end(endOf(code, reason.length === 0 ? undefined : reason.toString()))
  }

  /**
   * The connection is over: the reader gets the error after what waits, when its turn comes, for many may end at once; then
   * suspended writers fail.
   */
  end(error: Socket.SocketError): void {
    this.error ??= error
    if (!this.isAwaited) return this.wake()
    if (this.scheduled) return
    this.scheduled = true
    this.keeper.turns.take(this)
  }

  override deliver(): void {
    super.deliver()
    if (this.error !== undefined) this.wake()
  }

  private wake(): void {
    const waiters = this.waiters
    if (waiters === undefined) return
    this.waiters = undefined
    for (const wake of waiters) wake()
  }

  /** The reader let go. */
  release(code: number): void {
    this.abort(this.error ?? endOf(1006))
    this.wake()
    if (this.ws.readyState === Ws.WebSocket.OPEN) {
      this.ws.close(code === 1001 ? this.keeper.shutdownCode : code)
    }
    // The close frame of the peer must be read, even if nobody pulls any more.
    if (this.ws.isPaused) this.ws.resume()
  }

  cut(reason = "slow reader"): void {
    this.ws.close(1013, reason)
    this.end(closeError(1013, reason))
  }

  // -- what goes out

  private cork(): void {
    if (this.corked) return
    this.corked = true
    this.net.cork()
    process.nextTick(uncork, this)
  }

  /** Sends frames; `false` when the pipe is full and the sender should wait for {@link room}. */
  private send(frames: ReadonlyArray<Frame>): boolean {
    this.cork()
    const raw = this.raw
    if (raw === undefined) this.sendByWs(frames)
    else if (this.isServer) writeUnmasked(raw, frames)
    else writeMasked(raw, frames)
    return !this.isPiled
  }

  /** `ws` compresses aside and writes later: what it has not written yet counts too. */
  private sendByWs(frames: ReadonlyArray<Frame>): void {
    for (let i = 0; i < frames.length; i++) {
      this.compressing++
      this.ws.send(frames[i]!, () => {
        if (--this.compressing === 0) this.wake()
      })
    }
  }

  private get isPiled(): boolean {
    return this.net.writableNeedDrain || (this.compressing > 0 && this.ws.bufferedAmount > compressHighWaterMark)
  }

  sendNow(frames: ReadonlyArray<Frame>): boolean | undefined {
    return this.isOpen ? this.send(frames) : undefined
  }

  private get isOpen(): boolean {
    return this.error === undefined && this.ws.readyState === Ws.WebSocket.OPEN
  }

  private get notOpen(): Effect.Effect<never, Socket.SocketError> {
    return Effect.fail(writeError(this.error ?? new Error("the connection is closing")))
  }

  /** Completes when the pipe has emptied. */
  get room(): Effect.Effect<void, Socket.SocketError> {
    return Effect.callback<void, Socket.SocketError>((resume) => {
      const wake = () => resume(this.isOpen ? Effect.void : this.notOpen)
      if (!this.isOpen || !this.isPiled) return wake()
      if (this.waiters === undefined) {
        this.waiters = [wake]
        if (this.compressing === 0) this.net.once("drain", () => this.wake())
      } else this.waiters.push(wake)
      return Effect.sync(() => {
        const at = this.waiters?.indexOf(wake) ?? -1
        if (at >= 0) this.waiters!.splice(at, 1)
      })
    })
  }

  write(chunk: Frame | Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> {
    return Effect.suspend(() => {
      if (!this.isOpen) return this.notOpen
      if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) return this.close(chunk)
      return this.send([chunk]) ? Effect.void : this.room
    })
  }

  writeAll(chunks: NonEmptyReadonlyArray<Frame>): Effect.Effect<void, Socket.SocketError> {
    return Effect.suspend(() => {
      if (!this.isOpen) return this.notOpen
      return this.send(chunks) ? Effect.void : this.room
    })
  }

  private close(event: Socket.CloseEvent): Effect.Effect<void, Socket.SocketError> {
    return Effect.try({
      try: () => this.ws.close(event.code, event.reason),
      catch: writeError
    })
  }

  // -- as a socket of a connection that exists already

  get reader(): Socket.Socket["reader"] {
    return Effect.suspend(() => {
      if (this.error !== undefined && this.length === 0) return Effect.fail(this.error)
      return Effect.as(
        Effect.addFinalizer((exit) => Effect.sync(() => this.release(exitCode(exit)))),
        { pull: this.pull, upgrade: Socket.SocketUpgradeError.unsupported }
      )
    })
  }

  get writer(): Socket.Socket["writer"] {
    return Effect.sync((): SyncWriter => ({
      write: (chunk) => this.write(chunk),
      writeAll: (chunks) => this.writeAll(chunks),
      [SyncWriterId]: () => this
    }))
  }
}

/** Without a stack: where the end of a connection was noticed says nothing, and to write it down costs more than the end. */
const endOf = (code: number, reason?: string): Socket.SocketError => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  const error = closeError(code, reason)
  Error.stackTraceLimit = limit
  return error
}

const closedReason = (code: number): ClosedReason =>
  code === 1009 ? "frame_size" : code === 1008 ? "fragments" : "invalid_frame"

/** The close code that `ws` sends for an error of its receiver. */
const invalidFrameCode = (code: string | undefined): number => {
  switch (code) {
    case "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH":
    case "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH":
      return 1009
    case "WS_ERR_INVALID_UTF8":
      return 1007
    case "WS_ERR_TOO_MANY_BUFFERED_PARTS":
      return 1008
    default:
      return code?.startsWith("WS_ERR_") === true ? 1002 : 1006
  }
}
