/**
 * Writes WebSocket data frames (RFC 6455, section 5.2) straight into the buffers of a net socket: many small messages
 * become one buffer, a large one is written without a copy of its own. No fragmentation, no extensions.
 */
import { Buffer } from "node:buffer"
import { randomFillSync } from "node:crypto"
import type * as Net from "node:net"

/** Messages up to this size are gathered in one buffer; larger ones are handed to the socket as they are. */
const small = 16 * 1024

/** Buffers that gather messages are not made larger than this. */
const gathered = 256 * 1024

const TEXT = 0x81
const BINARY = 0x82

const headerSize = (length: number): number => length < 126 ? 2 : length < 65_536 ? 4 : 10

const writeHeader = (target: Buffer, at: number, opcode: number, length: number, masked: 0 | 0x80): number => {
  target[at] = opcode
  if (length < 126) {
    target[at + 1] = length | masked
    return at + 2
  }
  if (length < 65_536) {
    target[at + 1] = 126 | masked
    target[at + 2] = length >>> 8
    target[at + 3] = length & 0xff
    return at + 4
  }
  target[at + 1] = 127 | masked
  target.writeUIntBE(0, at + 2, 2)
  target.writeUIntBE(length, at + 4, 6)
  return at + 10
}

type Frame = string | Uint8Array

// Lengths of the messages of the run that is being gathered; used synchronously only.
const lengths: Array<number> = []

const writePayload = (target: Buffer, at: number, frame: Frame, length: number): number => {
  if (typeof frame === "string") {
    // As many bytes as UTF-16 units: it is ASCII, which needs no transcoding.
    if (length === frame.length) target.write(frame, at, length, "latin1")
    else target.write(frame, at, length, "utf8")
  } else target.set(frame, at)
  return at + length
}

// The message that was written alone last, and its frame: a publication goes to many connections one after the other.
let lastMessage: string | undefined
let lastFrame = Buffer.alloc(0)
// Written alone once: the second time makes it worth keeping.
let candidate: string | undefined

const writeAlone = (socket: Net.Socket, message: string): number => {
  if (message !== lastMessage) {
    const length = Buffer.byteLength(message)
    // a buffer of its own: one of the pool would keep its neighbours
    const buffer = Buffer.allocUnsafeSlow(headerSize(length) + length)
    writePayload(buffer, writeHeader(buffer, 0, TEXT, length, 0), message, length)
    lastMessage = message
    lastFrame = buffer
  }
  socket.write(lastFrame)
  return lastFrame.length
}

/**
 * Writes messages without a mask, as a server does. Returns how many bytes it wrote.
 *
 * @internal
 */
export const writeUnmasked = (socket: Net.Socket, frames: ReadonlyArray<Frame>): number => {
  const only = frames[0]!
  if (frames.length === 1 && typeof only === "string" && only.length <= small) {
    if (only === lastMessage || only === candidate) return writeAlone(socket, only)
    candidate = only
  }
  let written = 0
  let from = 0
  while (from < frames.length) {
    let size = 0
    let to = from
    let large = -1
    for (; to < frames.length; to++) {
      const frame = frames[to]!
      const length = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length
      if (length > small) {
        large = length
        size += headerSize(length)
        break
      }
      lengths[to - from] = length
      size += headerSize(length) + length
      if (size > gathered) {
        to++
        break
      }
    }
    const buffer = Buffer.allocUnsafe(size)
    let at = 0
    for (let i = from; i < to; i++) {
      const frame = frames[i]!
      const length = lengths[i - from]!
      at = writeHeader(buffer, at, typeof frame === "string" ? TEXT : BINARY, length, 0)
      at = writePayload(buffer, at, frame, length)
    }
    written += size
    if (large >= 0) {
      const frame = frames[to]!
      writeHeader(buffer, at, typeof frame === "string" ? TEXT : BINARY, large, 0)
      socket.write(buffer)
      socket.write(frame)
      written += large
      to++
    } else socket.write(buffer)
    from = to
  }
  return written
}

const keyPool = Buffer.alloc(8 * 1024)
let keyAt = keyPool.length

/**
 * Writes messages masked, as a client must. Returns how many bytes it wrote.
 *
 * @internal
 */
export const writeMasked = (socket: Net.Socket, frames: ReadonlyArray<Frame>): number => {
  let written = 0
  let from = 0
  while (from < frames.length) {
    let size = 0
    let to = from
    for (; to < frames.length && size <= gathered; to++) {
      const frame = frames[to]!
      const length = typeof frame === "string" ? Buffer.byteLength(frame) : frame.length
      lengths[to - from] = length
      size += headerSize(length) + 4 + length
    }
    const buffer = Buffer.allocUnsafe(size)
    let at = 0
    for (let i = from; i < to; i++) {
      const frame = frames[i]!
      const length = lengths[i - from]!
      at = writeHeader(buffer, at, typeof frame === "string" ? TEXT : BINARY, length, 0x80)
      if (keyAt === keyPool.length) {
        randomFillSync(keyPool)
        keyAt = 0
      }
      const a = buffer[at] = keyPool[keyAt]!
      const b = buffer[at + 1] = keyPool[keyAt + 1]!
      const c = buffer[at + 2] = keyPool[keyAt + 2]!
      const d = buffer[at + 3] = keyPool[keyAt + 3]!
      keyAt += 4
      const start = at + 4
      at = writePayload(buffer, start, frame, length)
      let j = start
      for (; j + 3 < at; j += 4) {
        buffer[j]! ^= a
        buffer[j + 1]! ^= b
        buffer[j + 2]! ^= c
        buffer[j + 3]! ^= d
      }
      if (j < at) buffer[j]! ^= a
      if (j + 1 < at) buffer[j + 1]! ^= b
      if (j + 2 < at) buffer[j + 2]! ^= c
    }
    socket.write(buffer)
    written += size
    from = to
  }
  return written
}
