// @effect-diagnostics asyncFunction:off globalConsole:off globalDate:off
/** What attackers speak with: bare sockets and WebSockets, nothing of ours. */
import { request } from "node:http"
import { connect, type Socket } from "node:net"
import WebSocket from "ws"

export interface Target {
  readonly url: string
  readonly port: number
  /** Whether the attack goes on. */
  readonly running: () => boolean
  /** Counts what happened to the attacker: `closed 1013`, `503`. */
  readonly note: (what: string) => void
}

export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A WebSocket that reads and forgets what it is sent. */
export const open = (target: Target, path: string, headers: Record<string, string> = {}) =>
  new Promise<WebSocket>((resolve) => {
    const ws = new WebSocket(`ws://127.0.0.1:${target.port}${path}`, {
      perMessageDeflate: false,
      maxPayload: 1 << 30,
      headers
    })
    ws.on("message", () => {})
    ws.on("close", (code) => target.note(`closed ${code}`))
    ws.on("unexpected-response", (_request, response) => {
      target.note(String(response.statusCode))
      resolve(ws)
    })
    ws.on("error", () => resolve(ws))
    ws.on("open", () => resolve(ws))
  })

/** Sends for as long as the attack runs and the peer takes it. */
export const pour = async (target: Target, ws: WebSocket, frame: (i: number) => string, pause = 0) => {
  for (let i = 0; target.running() && ws.readyState === WebSocket.OPEN; i++) {
    ws.send(frame(i))
    if (pause > 0) await sleep(pause)
    while (ws.bufferedAmount > 16e6 && target.running() && ws.readyState === WebSocket.OPEN) await sleep(5)
    if (i % 200 === 199) await sleep(1)
  }
}

/** A WebSocket whose owner reads nothing after the handshake. */
export const deaf = (target: Target, path: string) =>
  new Promise<Socket>((resolve) => {
    const socket = connect(target.port, "127.0.0.1", () =>
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
      ))
    socket.on("error", () => {})
    socket.once("close", () => target.note("deaf one cut"))
    socket.once("data", () => {
      socket.pause()
      resolve(socket)
    })
  })

export const bare = (target: Target) =>
  new Promise<Socket>((resolve) => {
    const socket = connect(target.port, "127.0.0.1", () => resolve(socket))
    socket.on("error", () => resolve(socket))
    socket.once("close", () => target.note("connection cut"))
  })

export const post = (target: Target, path: string, body: string, headers: Record<string, string> = {}) =>
  new Promise<void>((resolve) => {
    const sent = request({
      host: "127.0.0.1",
      port: target.port,
      method: "POST",
      path,
      headers: { "content-type": "application/json", ...headers }
    }, (response) => {
      target.note(String(response.statusCode))
      response.resume()
      response.on("end", resolve)
      response.on("error", () => resolve())
    })
    sent.on("error", (error) => {
      target.note((error as NodeJS.ErrnoException).code ?? "error")
      resolve()
    })
    sent.end(body)
  })
