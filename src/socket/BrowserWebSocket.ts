/**
 * The browser's own `WebSocket` as a client carrier, on every runtime that has one as a global. It sends no headers and no
 * pings, since browsers offer neither; `NodeWebSocket` does both.
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Socket from "effect/socket/Socket"
import * as Address from "./Address.ts"
import * as Carrier from "./Carrier.ts"

/**
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** Subprotocols to offer. The server must select one of them. */
  readonly protocols?: string | ReadonlyArray<string> | undefined
  /** For the whole handshake. Default 10 seconds; then `SocketOpenError` of kind `Timeout`. */
  readonly openTimeout?: Duration.Input | undefined
  /** Bytes that the browser may hold back before a writer waits. Default 1 MiB. */
  readonly maxWaiting?: number | undefined
}

/** Ten milliseconds of the browser's own time, which no other clock moves. */
const moment = Effect.callback<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 10)
  return Effect.sync(() => clearTimeout(timer))
})

/**
 * Makes a client socket: each acquisition of its reader dials `address` (`Address.parse`; a page that was loaded by TLS
 * may only dial `wss:`). The reader fails with `SocketOpenError` when the connection cannot be made (browsers do not say
 * why), and with `SocketCloseError` when it ends. `Address.AddressError` when the address is none, or has a user and a
 * password, which browsers do not send.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (address: string, options: Options = {}): Effect.Effect<Socket.Socket, Address.AddressError> =>
  Effect.gen(function*() {
    const { credentials, url } = yield* Effect.fromResult(Address.parse(address))
    if (credentials !== undefined) {
      return yield* Effect.fail(
        new Address.AddressError({ message: "a browser's WebSocket sends no user and password" })
      )
    }
    const protocols = typeof options.protocols === "string" ? [options.protocols] : [...options.protocols ?? []]
    const maxWaiting = options.maxWaiting ?? 1024 * 1024
    const opened = (ws: WebSocket) =>
      Effect.callback<void, Socket.SocketError>((resume) => {
        ws.addEventListener("open", () => resume(Effect.void))
        ws.addEventListener(
          "close",
          ({ code }) => resume(Effect.fail(Carrier.openError(new Error(`the WebSocket did not open (${code})`))))
        )
      }).pipe(Effect.timeoutOrElse({
        duration: options.openTimeout ?? "10 seconds",
        orElse: () => Effect.fail(Carrier.openError(new Error("no answer to the handshake in time"), "Timeout"))
      }))
    return yield* Carrier.make((inbox) =>
      Effect.gen(function*() {
        const ws = yield* Effect.acquireRelease(
          Effect.try({ try: () => new WebSocket(url, protocols), catch: (cause) => Carrier.openError(cause) }),
          (ws) => Effect.sync(() => ws.close())
        )
        ws.binaryType = "arraybuffer"
        ws.addEventListener("message", ({ data }) => {
          inbox.receive(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer))
        })
        ws.addEventListener("close", ({ code, reason }) => inbox.end(Carrier.closeError(code, reason)))
        yield* opened(ws)
        // there is no event for it: what is held back is asked for
        const room: Effect.Effect<void> = Effect.suspend(() =>
          ws.bufferedAmount <= maxWaiting || ws.readyState !== ws.OPEN
            ? Effect.void
            : Effect.andThen(moment, room)
        )
        return {
          send: (frame) => ws.send(frame as string | Uint8Array<ArrayBuffer>),
          room,
          // pages may give 1000 and codes from 3000 on
          close: (code, reason) => code === 1000 || code >= 3000 ? ws.close(code, reason) : ws.close(1000, reason)
        }
      })
    )
  })

/**
 * {@link make} as the `Socket` service.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (address: string, options?: Options): Layer.Layer<Socket.Socket, Address.AddressError> =>
  Layer.effect(Socket.Socket)(make(address, options))
