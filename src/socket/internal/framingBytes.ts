/**
 * What the framings do with bytes.
 *
 * @internal
 */

/** @internal */
export const LF = 10

/** @internal */
export const CR = 13

/**
 * Bytes of an unfinished message: the pieces as they came, joined once.
 *
 * @internal
 */
export class Pieces {
  private pieces: Array<Uint8Array> = []
  length = 0

  add(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.pieces.push(bytes)
    this.length += bytes.length
  }

  /** Everything kept and then `last`, as one array; without a copy when nothing was kept. */
  takeWith(last: Uint8Array): Uint8Array {
    if (this.length === 0) return last
    const all = new Uint8Array(this.length + last.length)
    let at = 0
    for (const piece of this.pieces) {
      all.set(piece, at)
      at += piece.length
    }
    all.set(last, at)
    this.pieces = []
    this.length = 0
    return all
  }
}

/**
 * Where the blank line after a header begins, or -1.
 *
 * @internal
 */
export const headerEnd = (bytes: Uint8Array, from: number): number => {
  for (let at = bytes.indexOf(CR, from); at >= 0; at = bytes.indexOf(CR, at + 1)) {
    if (bytes[at + 1] === LF && bytes[at + 2] === CR && bytes[at + 3] === LF) return at
  }
  return -1
}

/**
 * The length that a header block says, or what is wrong with it.
 *
 * @internal
 */
export const parseHeader = (bytes: Uint8Array): number | string => {
  let length: string | undefined
  for (const line of String.fromCharCode(...bytes).split("\r\n")) {
    const colon = line.indexOf(":")
    if (colon <= 0) return "a header line has no name"
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (name === "content-length") {
      if (!/^[0-9]{1,15}$/.test(value)) return "Content-Length is no number of bytes"
      if (length !== undefined && length !== value) return "two different Content-Length headers"
      length = value
    } else if (name === "content-type") {
      const charset = /charset\s*=\s*"?([^";\s]+)/i.exec(value)?.[1]?.toLowerCase()
      if (charset !== undefined && charset !== "utf-8" && charset !== "utf8") {
        return "the charset is not UTF-8"
      }
    }
  }
  return length === undefined ? "Content-Length is missing" : Number(length)
}

/**
 * Bytes of a text as UTF-8; a lone surrogate counts as U+FFFD, as which it is written.
 *
 * @internal
 */
export const byteLength = (text: string): number => {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else {
      bytes += 2
      if (unit >= 0xd800 && unit < 0xdc00) {
        const low = text.charCodeAt(i + 1)
        if (low >= 0xdc00 && low < 0xe000) {
          // Two units, four bytes.
          i++
        }
      }
    }
  }
  return bytes
}
