import * as Fs from "node:fs"

/**
 * @internal
 */
export interface LogSinkOptions {
  readonly fd: number
  /** Bytes that may wait to be written. */
  readonly maxWaiting: number
  readonly onDropped: (count: number) => void
}

/** A pipe that takes nothing at the moment says so at once; it is asked again after this many milliseconds. */
const retryAfter = 50

/**
 * Lines on their way to a file descriptor: written one chunk after the other, outside of the event loop, so that whoever
 * does not read them blocks nobody. What finds no room, or cannot be written, is dropped and counted; the next line that can
 * be written says so.
 *
 * @internal
 */
export class LogSink {
  private waiting: Array<string> = []
  private bytes = 0
  private writing = false
  private dropped = 0
  private readonly options: LogSinkOptions
  private readonly idle: Array<() => void> = []

  constructor(options: LogSinkOptions) {
    this.options = options
  }

  write(line: string): void {
    const text = line + "\n"
    const size = Buffer.byteLength(text)
    if (this.bytes + size > this.options.maxWaiting) return this.drop(1)
    this.waiting.push(text)
    this.bytes += size
    if (!this.writing) this.next()
  }

  /** Calls back when nothing waits any more. */
  whenIdle(then: () => void): void {
    if (!this.writing) then()
    else this.idle.push(then)
  }

  private drop(count: number): void {
    this.dropped += count
    this.options.onDropped(count)
  }

  private next(): void {
    if (this.waiting.length === 0) {
      this.writing = false
      for (const then of this.idle.splice(0)) then()
      return
    }
    this.writing = true
    const lines = this.waiting
    this.waiting = []
    const notice = this.dropped === 0 ? "" : `${this.dropped} log lines could not be written\n`
    this.send(Buffer.from(notice + lines.join("")), lines.length, notice === "" ? 0 : this.dropped)
  }

  private send(chunk: Buffer, lines: number, told: number): void {
    Fs.write(this.options.fd, chunk, 0, chunk.length, null, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.send(chunk, lines, told), retryAfter).unref()
      } else if (error === null && written < chunk.length) {
        this.send(chunk.subarray(written), lines, told)
      } else {
        if (error === null) this.dropped -= told
        else this.drop(lines)
        this.bytes = 0
        for (const text of this.waiting) this.bytes += Buffer.byteLength(text)
        this.next()
      }
    })
  }
}
