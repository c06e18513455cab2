/**
 * Messages on carriers that know only bytes (TCP, Unix sockets, TLS, standard input and output): how one message ends and
 * the next begins. A framing is a pure codec; {@link wrap} puts it around a `Socket`, whose frames are then whole messages.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import { byteLength, CR, headerEnd, LF, parseHeader, Pieces } from "./internal/framingBytes.ts"
import type { Batch, Frame } from "./internal/inbox.ts"
import { closeError, readError, writeError } from "./internal/socketErrors.ts"

/**
 * What the peer sent, or what was to be sent, is no message of the framing. After it the place where the next message
 * begins is unknown, so the connection ends.
 *
 * - `FrameTooLarge`: over the limit; noticed before the message is stored
 * - `HeaderTooLarge`, `InvalidHeader`: of {@link contentLength}
 * - `InvalidText`: no UTF-8
 * - `InvalidMessage`: a message that the framing cannot carry, such as one with a line feed in {@link lines}
 *
 * @category errors
 * @since 0.1.0
 */
export class FramingError extends Schema.TaggedError<FramingError>("effect-wire/socket/Framing/FramingError")(
  "FramingError",
  {
    reason: Schema.Literals(["FrameTooLarge", "HeaderTooLarge", "InvalidHeader", "InvalidText", "InvalidMessage"]),
    message: Schema.String
  }
) {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Decoder {
  /**
   * Takes the next bytes and gives the messages that they complete, in order. `error` ends the stream: the messages before
   * it are still good, nothing after it is.
   */
  readonly push: (bytes: Uint8Array) => { readonly messages: Array<string | Uint8Array>; readonly error?: FramingError }
  /** `true` in the middle of a message. */
  readonly isPartial: () => boolean
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Framing {
  /** One message with what marks its end. */
  readonly encode: (message: string | Uint8Array) => Result.Result<string | Uint8Array, FramingError>
  /** A decoder for one connection; `undefined` where the carrier keeps messages apart by itself. */
  readonly decoder: (() => Decoder) | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Bytes of one message. Default 1 MiB. */
  readonly maxFrameSize?: number | undefined
  /** Messages come out as text (default), or as bytes. Bytes are views of what arrived where that is possible. */
  readonly output?: "text" | "bytes" | undefined
}

const utf8 = new TextEncoder()

const fail = (reason: FramingError["reason"], message: string) => new FramingError({ reason, message })

const outputOf = (options: Options | undefined): (bytes: Uint8Array) => Result.Result<Frame, FramingError> => {
  if (options?.output === "bytes") return Result.succeed
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
  return (bytes) =>
    Result.try({
      try: () => decoder.decode(bytes),
      catch: () => fail("InvalidText", "a message is not UTF-8")
    })
}

/**
 * One frame of the carrier is one message: for WebSocket and memory.
 *
 * @category framings
 * @since 0.1.0
 */
export const none: Framing = { encode: Result.succeed, decoder: undefined }

/**
 * Each message is a line, ended by a line feed; a carriage return before it is dropped, empty lines are skipped. What
 * JSON in compact form needs (newline-delimited JSON). A message that holds a line feed cannot be sent.
 *
 * @category framings
 * @since 0.1.0
 */
export const lines = (options?: Options): Framing => {
  const max = options?.maxFrameSize ?? 1024 * 1024
  const output = outputOf(options)
  return {
    encode: (message) => {
      if (typeof message === "string") {
        return message.includes("\n")
          ? Result.fail(fail("InvalidMessage", "a message with a line feed cannot be a line"))
          : Result.succeed(message + "\n")
      }
      if (message.includes(LF)) {
        return Result.fail(fail("InvalidMessage", "a message with a line feed cannot be a line"))
      }
      const line = new Uint8Array(message.length + 1)
      line.set(message)
      line[message.length] = LF
      return Result.succeed(line)
    },
    decoder: () => {
      const kept = new Pieces()
      const tooLarge = () => fail("FrameTooLarge", `a line is longer than ${max} bytes`)
      return {
        isPartial: () => kept.length > 0,
        push: (bytes) => {
          const messages: Array<Frame> = []
          let from = 0
          for (;;) {
            const at = bytes.indexOf(LF, from)
            const end = at < 0 ? bytes.length : at
            // One byte more: it may be the carriage return, which does not count.
            if (kept.length + end - from > max + 1) return { messages, error: tooLarge() }
            if (at < 0) break
            let line = kept.takeWith(bytes.subarray(from, at))
            from = at + 1
            if (line.length > 0 && line[line.length - 1] === CR) line = line.subarray(0, line.length - 1)
            if (line.length > max) return { messages, error: tooLarge() }
            if (line.length === 0) continue
            const message = output(line)
            if (Result.isFailure(message)) return { messages, error: message.failure }
            messages.push(message.success)
          }
          kept.add(bytes.subarray(from))
          return { messages }
        }
      }
    }
  }
}

/**
 * @category models
 * @since 0.1.0
 */
export interface ContentLengthOptions extends Options {
  /** Bytes of all header lines of one message. Default 4 KiB. */
  readonly maxHeaderSize?: number | undefined
}

/**
 * Each message follows a header block with its length in bytes, as in the base protocol of LSP and in the Debug Adapter
 * Protocol: `Content-Length: 12\r\n\r\n`. `Content-Type` may say UTF-8 and nothing else; other headers are ignored.
 *
 * Source: Language Server Protocol 3.17, "Base Protocol".
 *
 * @category framings
 * @since 0.1.0
 */
export const contentLength = (options?: ContentLengthOptions): Framing => {
  const max = options?.maxFrameSize ?? 1024 * 1024
  const maxHeader = options?.maxHeaderSize ?? 4096
  const output = outputOf(options)
  return {
    encode: (message) => {
      if (typeof message !== "string") {
        const header = utf8.encode(`Content-Length: ${message.length}\r\n\r\n`)
        const all = new Uint8Array(header.length + message.length)
        all.set(header)
        all.set(message, header.length)
        return Result.succeed(all)
      }
      return Result.succeed(`Content-Length: ${byteLength(message)}\r\n\r\n${message}`)
    },
    decoder: () => {
      const kept = new Pieces()
      /** Bytes of the message whose header has been read; -1 while the header is being read. */
      let length = -1
      return {
        isPartial: () => kept.length > 0 || length >= 0,
        push: (bytes) => {
          const messages: Array<Frame> = []
          let rest = bytes
          for (;;) {
            if (length < 0) {
              if (rest.length === 0) return { messages }
              const before = kept.length
              const all = kept.takeWith(rest)
              const end = headerEnd(all, Math.max(0, before - 3))
              if ((end < 0 ? all.length : end) > maxHeader) {
                return { messages, error: fail("HeaderTooLarge", `a header is longer than ${maxHeader} bytes`) }
              }
              if (end < 0) {
                kept.add(all)
                return { messages }
              }
              const parsed = parseHeader(all.subarray(0, end))
              if (typeof parsed === "string") return { messages, error: fail("InvalidHeader", parsed) }
              length = parsed
              if (length > max) {
                return {
                  messages,
                  error: fail("FrameTooLarge", `a message of ${length} bytes is over the limit ${max}`)
                }
              }
              rest = all.subarray(end + 4)
            }
            if (kept.length + rest.length < length) {
              kept.add(rest)
              return { messages }
            }
            const split = length - kept.length
            const message = output(kept.takeWith(rest.subarray(0, split)))
            if (Result.isFailure(message)) return { messages, error: message.failure }
            messages.push(message.success)
            rest = rest.subarray(split)
            length = -1
          }
        }
      }
    }
  }
}

/**
 * Puts a framing around a socket of bytes. Each acquisition of the reader decodes from the beginning. A `FramingError` of
 * what the peer sent fails the pull with `SocketReadError` (the error is its cause) after the messages before it; one of
 * what is written fails the write with `SocketWriteError`. A connection that ends cleanly in the middle of a message fails
 * with `SocketCloseError` 1006.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wrap = (socket: Socket.Socket, framing: Framing): Socket.Socket => {
  const makeDecoder = framing.decoder
  if (makeDecoder === undefined) return socket
  return Socket.make({
    reader: Effect.map(socket.reader, ({ pull, upgrade }) => ({ pull: decoded(pull, makeDecoder()), upgrade })),
    writer: Effect.map(socket.writer, (writer): Socket.Writer => ({
      write: (chunk) => {
        if (typeof chunk === "object" && Socket.isCloseEvent(chunk)) return writer.write(chunk)
        const frame = framing.encode(chunk)
        return Result.isFailure(frame) ? Effect.fail(writeError(frame.failure)) : writer.write(frame.success)
      },
      writeAll: (chunks) => {
        const frames: Array<Frame> = []
        for (const chunk of chunks) {
          const frame = framing.encode(chunk)
          if (Result.isFailure(frame)) return Effect.fail(writeError(frame.failure))
          frames.push(frame.success)
        }
        return Arr.isReadonlyArrayNonEmpty(frames) ? writer.writeAll(frames) : Effect.void
      }
    }))
  })
}

const decoded = (
  pull: Effect.Effect<Batch, Socket.SocketError>,
  decoder: Decoder
): Effect.Effect<Batch, Socket.SocketError> => {
  let failed: Socket.SocketError | undefined
  const next: Effect.Effect<Batch, Socket.SocketError> = Effect.suspend(() =>
    failed !== undefined ? Effect.fail(failed) : Effect.flatMap(pull, (batch) => {
      const messages: Array<Frame> = []
      for (const chunk of batch) {
        const result = decoder.push(typeof chunk === "string" ? utf8.encode(chunk) : chunk)
        for (const message of result.messages) messages.push(message)
        if (result.error !== undefined) {
          failed = readError(result.error)
          break
        }
      }
      return Arr.isReadonlyArrayNonEmpty(messages) ? Effect.succeed(messages) : next
    })
  )
  return Effect.mapError(
    next,
    (error) =>
      error.reason._tag === "SocketCloseError" && error.reason.code === 1000 && decoder.isPartial()
        ? closeError(1006, "the connection ended in the middle of a message")
        : error
  )
}

/**
 * Puts a framing around every socket of a server.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wrapServer = (
  server: SocketServer.SocketServer["Service"],
  framing: Framing
): SocketServer.SocketServer["Service"] =>
  SocketServer.SocketServer.of({
    address: server.address,
    run: (handler) => server.run((socket) => handler(wrap(socket, framing)))
  })
