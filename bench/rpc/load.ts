/** Writes prepared WebSocket frames to a TCP socket and counts the answers: it must not be what is measured. */
import { connect, type Socket } from "node:net"

/** A masked text frame (mask 0, so the payload stays readable). */
export const frame = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const length = payload.length
  const header = length < 126
    ? Buffer.from([0x81, 0x80 | length, 0, 0, 0, 0])
    : length < 65536
    ? Buffer.from([0x81, 0x80 | 126, length >> 8, length & 255, 0, 0, 0, 0])
    : Buffer.from([
      0x81,
      0x80 | 127,
      0,
      0,
      0,
      0,
      length >>> 24,
      (length >> 16) & 255,
      (length >> 8) & 255,
      length & 255,
      0,
      0,
      0,
      0
    ])
  return Buffer.concat([header, payload])
}

/** Counts the frames of a byte stream. */
export class Counter {
  private rest: Buffer | undefined
  private skip = 0
  frames = 0
  push(chunk: Buffer): number {
    let i = 0
    let found = 0
    if (this.rest !== undefined) {
      chunk = Buffer.concat([this.rest, chunk])
      this.rest = undefined
    }
    while (i < chunk.length) {
      if (this.skip > 0) {
        const n = Math.min(this.skip, chunk.length - i)
        i += n
        this.skip -= n
        if (this.skip === 0) found++
        continue
      }
      if (chunk.length - i < 2) break
      let length = chunk[i + 1]! & 127
      let header = 2
      if (length === 126) {
        if (chunk.length - i < 4) break
        length = chunk.readUInt16BE(i + 2)
        header = 4
      } else if (length === 127) {
        if (chunk.length - i < 10) break
        length = Number(chunk.readBigUInt64BE(i + 2))
        header = 10
      }
      const opcode = chunk[i]! & 15
      i += header
      if (opcode === 1) {
        this.skip = length
        if (length === 0) found++
      } else {
        i += length
      }
    }
    if (i < chunk.length) this.rest = chunk.subarray(i)
    this.frames += found
    return found
  }
}

export type Connection = Socket

export const open = (port: number, protocol?: string, path = "/"): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1")
    socket.setNoDelay(true)
    socket.once("error", reject)
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n` +
        (protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`) + "\r\n"
    )
    let head = ""
    const onData = (data: Buffer) => {
      head += data.toString("latin1")
      if (!head.includes("\r\n\r\n")) return
      socket.off("data", onData)
      if (head.startsWith("HTTP/1.1 101")) resolve(socket)
      else reject(new Error(head.split("\r\n")[0]))
    }
    socket.on("data", onData)
  })

export interface Outcome {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds, sorted; only at depth 1. */
  readonly latencies: ReadonlyArray<number>
}

/**
 * Keeps `depth` requests in flight on each socket for so many milliseconds. Of requests that are made as often as they are
 * sent, since they say how many came before on their connection, `sent` counts; a socket is then for one run after another.
 */
export const run = (
  sockets: ReadonlyArray<Socket>,
  depth: number,
  ms: number,
  make: (id: number) => string | ReadonlyArray<string>,
  sent?: WeakMap<Socket, number>
): Promise<Outcome> =>
  new Promise((resolve) => {
    const framed = (id: number): Buffer => {
      const made = make(id)
      return typeof made === "string" ? frame(made) : Buffer.concat(made.map(frame))
    }
    const prepared = sent === undefined ? Array.from({ length: 512 }, (_, i) => framed(i + 1)) : []
    const latencies: Array<number> = []
    let requests = 0
    let done = false
    const began = performance.now()
    let stopped = 0
    const finish = () =>
      resolve({ requests, seconds: (performance.now() - began) / 1000, latencies: latencies.sort((a, b) => a - b) })
    for (const socket of sockets) {
      const counter = new Counter()
      let next = sent?.get(socket) ?? 0
      let outstanding = depth
      let sentAt = performance.now()
      const take = (n: number): Buffer => {
        const parts: Array<Buffer> = []
        for (let i = 0; i < n; i++) parts.push(prepared[next++ & 511] ?? framed(next))
        sent?.set(socket, next)
        return n === 1 ? parts[0]! : Buffer.concat(parts)
      }
      const onData = (data: Buffer) => {
        const answered = counter.push(data)
        if (answered === 0) return
        requests += answered
        if (depth === 1) latencies.push(performance.now() - sentAt)
        if (done) {
          outstanding -= answered
          if (outstanding === 0) {
            socket.off("data", onData)
            if (++stopped === sockets.length) finish()
          }
          return
        }
        sentAt = performance.now()
        socket.write(take(answered))
      }
      socket.on("data", onData)
      socket.write(take(depth))
    }
    setTimeout(() => {
      done = true
    }, ms)
  })
