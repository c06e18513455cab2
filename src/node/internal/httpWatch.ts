/**
 * Requests that arrive too slowly: headers that trickle in, of a second request on a connection too, and bodies. A peer that
 * sends a byte a second would hold its connection, and what waits for the request, for as long as it likes.
 */
import type * as Http from "node:http"
import type * as Net from "node:net"

interface Watched {
  socket: Net.Socket
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

/** @internal */
export class HttpWatch {
  private readonly watched = new Map<Net.Socket, Watched>()
  private readonly grace: number

  /** `grace` in ticks: how long headers may take, and how long a body may take beyond what {@link leastRate} allows. */
  constructor(grace: number) {
    this.grace = grace
  }

  /** The headers of a request are complete. */
  onRequest(request: Http.IncomingMessage, response: Http.ServerResponse, tick: number): void {
    const { socket } = request
    let entry = this.watched.get(socket)
    if (entry === undefined) {
      entry = { socket, request, response, mark: 0, since: tick, told: false }
      this.watched.set(socket, entry)
      socket.once("close", () => this.watched.delete(socket))
    }
    entry.request = request
    entry.response = response
    entry.mark = socket.bytesRead
    entry.since = tick
  }

  /** The connection is no longer one of requests. */
  forget(socket: Net.Socket): void {
    this.watched.delete(socket)
  }

  /** Cuts what is too slow; says what of whom. */
  sweep(tick: number): ReadonlyArray<string> {
    const messages: Array<string> = []
    for (const entry of this.watched.values()) {
      const { request, response, socket } = entry
      if (entry.told) {
        this.watched.delete(socket)
        socket.destroy()
        continue
      }
      const received = socket.bytesRead - entry.mark
      if (request !== undefined && request.complete) {
        if (response!.writableFinished) {
          entry.request = entry.response = undefined
          entry.mark = socket.bytesRead
        }
        entry.since = tick
      } else if (request === undefined && received === 0) {
        entry.since = tick
      } else if (tick - entry.since > this.grace + (request === undefined ? 0 : received / leastRate)) {
        entry.told = true
        if (response?.headersSent !== true) socket.end(timeout)
        messages.push(
          `closed ${socket.remoteAddress}: ${
            request === undefined ? "the headers" : "the body"
          } of a request did not arrive in ${tick - entry.since} s`
        )
      }
    }
    return messages
  }
}
