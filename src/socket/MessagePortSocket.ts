/**
 * Message ports and workers as carriers: `MessagePort` and `Worker` of browsers, Node, Bun and Deno, and a worker's own
 * end of the line. Two ends of this module tell each other what they have taken, so that a writer waits for a slow reader,
 * and how they close; an end that is not ours posts strings and bytes and hears nothing else.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Carrier from "./Carrier.ts"

/**
 * What posts and hears messages: a `MessagePort`, a `Worker`, the global scope of a worker; or an event emitter of Node
 * (`Worker` of `node:worker_threads`).
 *
 * @category models
 * @since 0.2.0
 */
export interface Port {
  /** Sends, by structured clone. */
  readonly postMessage: (message: any) => void
  /** Browsers, workers: hears `message`, `messageerror` and `close`. */
  readonly addEventListener?: ((type: string, listener: (event: any) => void) => void) | undefined
  /** Takes `addEventListener` back. */
  readonly removeEventListener?: ((type: string, listener: (event: any) => void) => void) | undefined
  /** Node: hears the same. */
  readonly on?: ((type: string, listener: (message: any) => void) => unknown) | undefined
  /** Takes `on` back. */
  readonly off?: ((type: string, listener: (message: any) => void) => unknown) | undefined
  /** Ports that wait until they are started. */
  readonly start?: (() => void) | undefined
  /** Ends the port, where it can be ended. */
  readonly close?: (() => void) | undefined
}

/** What two ends of ours tell each other: an array, which is no frame. */
type Control =
  | readonly ["hello"]
  | readonly ["taken", size: number]
  | readonly ["close", code: number, reason: string | undefined]

/** Characters and bytes that may be under way to an end that tells what it has taken. */
const highWaterMark = 1024 * 1024

/**
 * Makes the socket of a port: one connection, which a reader may acquire once; or of an effect that gives a port for each
 * acquisition of the reader (starts a worker, asks a shared one). It ends when the other end closes it, when
 * the port closes or the worker exits (1006); when the scope of the reader closes, the other end is told and a port is
 * closed, while a worker goes on.
 *
 * **Gotchas**
 *
 * A port whose other end is collected as garbage tells nobody in browsers; pass `close` from the page that holds both.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (
  port: Port | Effect.Effect<Port, Socket.SocketError, Scope.Scope>
): Effect.Effect<Socket.Socket> => {
  let isUsed = false
  const dial = Effect.isEffect(port) ? port : Effect.suspend(() => {
    if (isUsed) return Effect.fail(Carrier.openError(new Error("the port has had its connection")))
    isUsed = true
    return Effect.succeed(port)
  })
  return Carrier.make((inbox) =>
    Effect.gen(function*() {
      const port = yield* dial
      let speaksControl = false
      /** An end that has not said hello after a second of writing is not ours, and tells nothing of what it takes. */
      let isForeign = false
      let underWay = 0
      let received = 0
      const writers = new Set<() => void>()
      const wake = () => {
        for (const writer of writers) writer()
        writers.clear()
      }
      const post = (control: Control) => port.postMessage(control)
      const end = (code: number, reason?: string) => {
        inbox.end(Carrier.closeError(code, reason))
        wake()
      }
      const taken = Effect.callback<void>((resume) => {
        const writer = () => resume(Effect.void)
        writers.add(writer)
        return Effect.sync(() => writers.delete(writer))
      })
      const onMessage = (data: string | Uint8Array | ArrayBuffer | Control) => {
        if (typeof data === "string" || data instanceof Uint8Array) {
          received += data.length
          return inbox.receive(data)
        }
        if (data instanceof ArrayBuffer) return onMessage(new Uint8Array(data))
        if (!Array.isArray(data)) return
        const [kind, value, reason] = data
        if (kind === "hello") speaksControl = true
        else if (kind === "taken" && typeof value === "number") {
          underWay -= value
          if (underWay <= highWaterMark) wake()
        } else if (kind === "close") {
          end(typeof value === "number" ? value : 1006, typeof reason === "string" ? reason : undefined)
        }
      }
      inbox.onTaken = () => {
        if (received === 0) return
        if (speaksControl) post(["taken", received])
        received = 0
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => listen(port, { message: onMessage, end: () => end(1006) })),
        (unlisten) => Effect.sync(unlisten)
      )
      post(["hello"])
      return {
        send: (frame) => {
          underWay += frame.length
          port.postMessage(frame)
        },
        room: Effect.suspend(() =>
          isForeign || underWay <= highWaterMark
            ? Effect.void
            : speaksControl
            ? taken
            : Effect.asVoid(Effect.timeoutOrElse(taken, {
              duration: "1 second",
              orElse: () =>
                Effect.sync(() => {
                  isForeign = !speaksControl
                })
            }))
        ),
        close: (code, reason) => {
          post(["close", code, reason])
          port.close?.()
        }
      }
    })
  )
}

const listen = (
  port: Port,
  on: { readonly message: (data: any) => void; readonly end: () => void }
): () => void => {
  if (port.addEventListener === undefined) {
    const events = [["message", on.message], ["close", on.end], ["exit", on.end], ["error", on.end]] as const
    for (const [type, listener] of events) port.on?.(type, listener)
    return () => {
      for (const [type, listener] of events) port.off?.(type, listener)
    }
  }
  const onMessage = (event: { readonly data: unknown }) => on.message(event.data)
  const events = [["message", onMessage], ["close", on.end], ["error", on.end], ["messageerror", on.end]] as const
  for (const [type, listener] of events) port.addEventListener(type, listener)
  port.start?.()
  return () => {
    for (const [type, listener] of events) port.removeEventListener?.(type, listener)
  }
}

/**
 * {@link make} as the `Socket` service.
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (
  port: Port | Effect.Effect<Port, Socket.SocketError, Scope.Scope>
): Layer.Layer<Socket.Socket> => Layer.effect(Socket.Socket)(make(port))
