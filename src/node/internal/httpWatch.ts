/**
 * Requests that arrive too slowly: those of a connection that never sends one, headers that trickle in, of a second request
 * on a connection too, and bodies. A peer that sends a byte a second would hold its connection, and what waits for the
 * request, for as long as it likes.
 */
import type * as Http from "node:http"
import type * as Net from "node:net"

interface Watched {
  /** What requests are read from and answered on: over TLS, the TLS socket. */
  socket: Net.Socket
  /** Nothing whole has been received yet: not even a silent one may take its time. */
  isNew: boolean
  /** The request whose headers are complete, until it has been answered. */
  request: Http.IncomingMessage | undefined
  response: Http.ServerResponse | undefined
  /** Bytes received, and the tick, when what is under way began. */
  mark: number
  since: number
  /** It has been told; at the next sweep the connection is destroyed. */
  told: boolean
}

/**
 * Bytes a second that a sender must reach, after some seconds of grace.
 *
 * @internal
 */
export const leastRate = 16 * 1024

const timeout = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/** The connection under a socket that may be a TLS socket. */
const connectionOf = (socket: Net.Socket): Net.Socket =>
  (socket as Net.Socket & { readonly _parent?: Net.Socket | null })._parent ?? socket

/** @internal */
export class HttpWatch {
  private readonly watched = new Map<Net.Socket, Watched>()
  private readonly grace: number

  /** `grace` in ticks: how long headers may take, and how long a body may take beyond what {@link leastRate} allows. */
  constructor(grace: number) {
    this.grace = grace
  }

  /** A connection was made. */
  onConnection(socket: Net.Socket, tick: number): Watched {
    const entry = { socket, isNew: true, request: undefined, response: undefined, mark: 0, since: tick, told: false }
    this.watched.set(socket, entry)
    socket.once("close", () => this.watched.delete(socket))
    return entry
  }

  /** The headers of a request are complete. */
  onRequest(request: Http.IncomingMessage, response: Http.ServerResponse, tick: number): void {
    const { socket } = request
    const connection = connectionOf(socket)
    const entry = this.watched.get(connection) ?? this.onConnection(connection, tick)
    entry.socket = socket
    entry.isNew = false
    entry.request = request
    entry.response = response
    entry.mark = socket.bytesRead
    entry.since = tick
  }

  /** The connection is no longer one of requests. */
  forget(socket: Net.Socket): void {
    this.watched.delete(connectionOf(socket))
  }

  /** Whoever has sent no request yet will not be served. */
  dropUnshaken(): void {
    for (const [connection, entry] of this.watched) {
      if (!entry.isNew) continue
      this.watched.delete(connection)
      connection.destroy()
    }
  }

  /** Cuts what is too slow; says what of whom, and whether it was one that never sent a whole request. */
  sweep(tick: number, onCut: (isNew: boolean, message: string) => void): void {
    for (const [connection, entry] of this.watched) {
      const { isNew, request, response, socket } = entry
      if (entry.told) {
        this.watched.delete(connection)
        socket.destroy()
        continue
      }
      const received = socket.bytesRead - entry.mark
      const lasts = tick - entry.since
      if (isNew) {
        if (lasts < this.grace) continue
        this.watched.delete(connection)
        connection.destroy()
        onCut(true, `closed a connection from ${connection.remoteAddress}: no handshake in ${this.grace} s`)
      } else if (request !== undefined && request.complete) {
        if (response!.writableFinished) {
          entry.request = entry.response = undefined
          entry.mark = socket.bytesRead
        }
        entry.since = tick
      } else if (request === undefined && received === 0) {
        entry.since = tick
      } else if (lasts > this.grace + (request === undefined ? 0 : received / leastRate)) {
        entry.told = true
        if (response?.headersSent !== true) socket.end(timeout)
        const what = request === undefined ? "the headers" : "the body"
        onCut(false, `closed ${socket.remoteAddress}: ${what} of a request did not arrive in ${lasts} s`)
      }
    }
  }
}
