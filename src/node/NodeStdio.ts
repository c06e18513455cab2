/**
 * Standard input and output as a carrier, for servers that are started by their client (language servers, MCP), and the
 * pipes of a child process for the client's side. What a program logs must go to standard error then: standard output
 * belongs to the protocol.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Readable, Writable } from "node:stream"
import * as Carrier from "../socket/Carrier.ts"
import * as Framing from "../socket/Framing.ts"
import { readError, writeError } from "../socket/internal/socketErrors.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** How messages are kept apart: `Framing.contentLength()` for LSP, `Framing.lines()` for MCP. */
  readonly framing: Framing.Framing
  /**
   * Where messages come from and go to, asked for at each acquisition of the reader. Default: `process.stdin` and
   * `process.stdout`. A parent gives the `stdout` and `stdin` of its child, which the effect may start.
   */
  readonly streams?: Effect.Effect<Streams, Socket.SocketError, Scope.Scope> | undefined
}

/**
 * @category models
 * @since 0.2.0
 */
export interface Streams {
  readonly input: Readable
  readonly output: Writable
}

const own: Effect.Effect<Streams> = Effect.sync(() => ({ input: process.stdin, output: process.stdout }))

/** Bytes received and not pulled at which the peer is made to wait. */
const readHighWaterMark = 64 * 1024

/**
 * Makes the socket of two streams. It ends with 1000 when the peer closes its end, with an error when the output breaks:
 * a server that runs `JsonRpcServer.make(group)` on it ends with its client. When the scope of the reader closes, an
 * output other than `process.stdout` is ended; the input is left alone, no longer keeping the process.
 *
 * **Example** (A language server)
 *
 * ```ts
 * const run = yield* JsonRpcServer.make(Methods, { wire: Wire.lsp })
 * yield* run(yield* NodeStdio.make({ framing: Framing.contentLength() }))
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): Effect.Effect<Socket.Socket> =>
  Effect.map(
    Carrier.make((inbox) =>
      Effect.gen(function*() {
        const { input, output } = yield* options.streams ?? own
        const onData = (bytes: Uint8Array | string) => {
          inbox.receive(bytes)
          if (inbox.waiting() > readHighWaterMark) input.pause()
        }
        inbox.onTaken = () => {
          if (input.isPaused()) input.resume()
        }
        const onEnd = () => inbox.end(Carrier.closeError(1000))
        const onInputError = (cause: unknown) => inbox.end(readError(cause))
        const onOutputError = (cause: unknown) => inbox.end(writeError(cause))
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            input.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onInputError)
            output.on("error", onOutputError)
          }),
          () =>
            Effect.sync(() => {
              inbox.onTaken = undefined
              input.off("data", onData).off("end", onEnd).off("close", onEnd).pause()
            })
        )
        return {
          send: (frame) => output.write(frame),
          room: Effect.callback<void>((resume) => {
            if (!output.writableNeedDrain) return resume(Effect.void)
            const onRoom = () => resume(Effect.void)
            output.once("drain", onRoom).once("close", onRoom).once("error", onRoom)
            return Effect.sync(() => output.off("drain", onRoom).off("close", onRoom).off("error", onRoom))
          }),
          close: () => {
            if (output !== process.stdout) output.end()
          }
        }
      })
    ),
    (socket) => Framing.wrap(socket, options.framing)
  )

/**
 * {@link make} as the `Socket` service.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Socket.Socket> => Layer.effect(Socket.Socket)(make(options))
