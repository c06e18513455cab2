/**
 * What the platform does for WebSockets that are mounted on routes.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type * as ConnectionGroup from "../ConnectionGroup.ts"
import type { Handshake } from "../Handshake.ts"

/**
 * How large a message of a route may be, in bytes.
 *
 * @internal
 */
export interface FrameLimit {
  /** What the route says. */
  readonly max: number | undefined
  /** What counts where neither the route nor the server says anything. */
  readonly orElse: number
}

/**
 * What the platform does for a mounted WebSocket.
 *
 * @internal
 */
export interface Host {
  /** Completes the handshake and gives the connected socket; its connection does not depend on the request's fiber. */
  readonly upgrade: (
    request: HttpServerRequest.HttpServerRequest,
    protocol: string | undefined,
    frames: FrameLimit
  ) => Effect.Effect<Socket.Socket, Socket.SocketError | HttpServerError.HttpServerError>
  /** The groups of connections of all routes, which the platform shuts down before it waits for requests to end. */
  readonly groups: Set<ConnectionGroup.ConnectionGroup>
  /** Connections of all routes together. */
  readonly maxConnections: number
  /** Hears of the requests that are answered without a connection of their own. */
  readonly exchange?: Exchange | undefined
}

/**
 * Hears of a request over HTTP that was read whole; what it gives is called with the answer, or with nothing where the client
 * did not wait for it.
 *
 * @internal
 */
export type Exchange = (
  handshake: Handshake,
  body: string
) => (status: number | undefined, answer: string | undefined) => void

/**
 * The host of mounted WebSockets. By default `HttpServerRequest.upgrade` does the work; the Node layer of this package
 * replaces it by its own socket.
 *
 * @internal
 */
export const CurrentHost: Context.Reference<Host> = Context.Reference<Host>(
  "effect-wire/socket/internal/routeHost/CurrentHost",
  { defaultValue: () => ({ upgrade: upgradeDefault, groups: new Set(), maxConnections: Infinity }) }
)

/** Acquires the reader at once, so that the handshake is done while the request is still there. */
const upgradeDefault: Host["upgrade"] = (request) =>
  Effect.gen(function*() {
    const socket = yield* request.upgrade
    const scope = yield* Scope.make()
    const reader = yield* Scope.provide(socket.reader, scope).pipe(
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    return Socket.make({
      reader: Effect.as(Effect.addFinalizer((exit) => Scope.close(scope, exit)), reader),
      writer: socket.writer
    })
  })
