/**
 * A socket that tells a recorder what goes through it. Order, backpressure, close codes and the way of our carriers to
 * take frames without a fiber stay as they are.
 */
import * as Effect from "effect/Effect"
import * as Socket from "effect/socket/Socket"
import type * as Handshake from "../../socket/Handshake.ts"
import type { Frame } from "../../socket/internal/inbox.ts"
import { exitCode } from "../../socket/internal/socketErrors.ts"
import { isSyncWriter, type SyncPort, type SyncWriter, SyncWriterId } from "../../socket/internal/syncWriter.ts"
import type * as Recording from "../Recording.ts"
import type { Recorder } from "./recorder.ts"

const other = (side: Recording.Side): Recording.Side => side === "client" ? "server" : "client"

/** One connection, as the recorder sees it. */
class Line {
  private id = 0
  private ended = false
  private readonly recorder: Recorder
  private readonly side: Recording.Side
  private readonly handshake: Handshake.Handshake

  constructor(recorder: Recorder, side: Recording.Side, handshake: Handshake.Handshake) {
    this.recorder = recorder
    this.side = side
    this.handshake = handshake
  }

  /** A connection that was there before the recording began is opened in it with its first frame. */
  private connection(): number {
    if (this.id === 0) {
      this.id = this.recorder.nextConnection()
      this.recorder.opened(this.id, this.handshake)
    }
    return this.id
  }

  open(): void {
    if (this.recorder.active) this.connection()
  }

  sent(frames: ReadonlyArray<Frame>): void {
    if (this.recorder.active) this.recorder.frames(this.connection(), this.side, frames)
  }

  received(frames: ReadonlyArray<Frame>): void {
    if (this.recorder.active) this.recorder.frames(this.connection(), other(this.side), frames)
  }

  failed(error: Socket.SocketError): void {
    if (error.reason._tag === "SocketCloseError") {
      this.close(other(this.side), error.reason.code, error.reason.closeReason ?? "")
    } else this.close(other(this.side), 1006, "")
  }

  close(from: Recording.Side, code: number, reason: string): void {
    if (this.ended) return
    this.ended = true
    if (this.recorder.active && this.id !== 0) this.recorder.closed(this.id, from, code, reason)
  }

  closeOwn(code: number, reason: string): void {
    this.close(this.side, code, reason)
  }
}

/** The way past the fibers, with the recorder beside it. */
class TappedPort implements SyncPort {
  readonly port: SyncPort
  private readonly line: () => Line | undefined

  constructor(port: SyncPort, line: () => Line | undefined) {
    this.port = port
    this.line = line
  }

  sendNow(frames: ReadonlyArray<Frame>): boolean | undefined {
    const taken = this.port.sendNow(frames)
    if (taken !== undefined) this.line()?.sent(frames)
    return taken
  }

  get room(): SyncPort["room"] {
    return this.port.room
  }

  get backlog(): SyncPort["backlog"] {
    return this.port.backlog
  }

  set backlog(backlog: SyncPort["backlog"]) {
    this.port.backlog = backlog
  }
}

/** @internal */
export const tapSocket = (
  recorder: Recorder,
  socket: Socket.Socket,
  side: Recording.Side,
  handshake: Handshake.Handshake
): Socket.Socket => {
  let line: Line | undefined
  const reader: Socket.Socket["reader"] = Effect.gen(function*() {
    const own = new Line(recorder, side, handshake)
    // beneath the reader: its scope has closed the connection with this code by then
    yield* Effect.addFinalizer((exit) =>
      Effect.sync(() => {
        if (line === own) line = undefined
        own.closeOwn(exitCode(exit), "")
      })
    )
    const { pull, upgrade } = yield* socket.reader
    own.open()
    line = own
    return {
      pull: Effect.mapBoth(pull, {
        onFailure: (error) => {
          own.failed(error)
          return error
        },
        onSuccess: (frames) => {
          own.received(frames)
          return frames
        }
      }),
      upgrade
    }
  })
  const current = () => line
  return Socket.make({ reader, writer: Effect.map(socket.writer, (writer) => tapWriter(writer, current)) })
}

const tapWriter = (writer: Socket.Writer, current: () => Line | undefined): Socket.Writer => {
  const tapped: Socket.Writer = {
    write: (chunk) =>
      Effect.suspend(() => {
        const line = current()
        if (line === undefined) return Effect.tap(writer.write(chunk), () => Effect.sync(() => note(current(), chunk)))
        // before it is written: the answer may be here before the write returns
        note(line, chunk)
        return writer.write(chunk)
      }),
    writeAll: (chunks) =>
      Effect.suspend(() => {
        const line = current()
        if (line === undefined) {
          return Effect.tap(writer.writeAll(chunks), () => Effect.sync(() => current()?.sent(chunks)))
        }
        line.sent(chunks)
        return writer.writeAll(chunks)
      })
  }
  if (!isSyncWriter(writer)) return tapped
  let tappedPort: TappedPort | undefined
  const sync: SyncWriter = {
    ...tapped,
    [SyncWriterId]: () => {
      const port = writer[SyncWriterId]()
      if (port === undefined) return undefined
      if (tappedPort?.port !== port) tappedPort = new TappedPort(port, current)
      return tappedPort
    }
  }
  return sync
}

const note = (line: Line | undefined, chunk: Frame | Socket.CloseEvent): void => {
  if (line === undefined) return
  if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) line.closeOwn(chunk.code, chunk.reason ?? "")
  else line.sent([chunk])
}
