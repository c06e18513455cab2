/**
 * Upgrades requests of Effect's HTTP server to WebSockets of our own.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type * as Net from "node:net"
import { openError } from "../../socket/internal/socketErrors.ts"
import type * as WebSocketRoute from "../../socket/WebSocketRoute.ts"
import { type Claim, claim, type WsConnection } from "./wsConnection.ts"
import type { Keeper } from "./wsKeeper.ts"

/**
 * Effect's upgrade handler listens on the net socket for as long as it lives, to interrupt the request's fiber, which has
 * ended by then; its listeners would hold the request and all that belongs to it. They are added in the turn of the
 * upgrade, after `ws` has added its own.
 */
const forgetRequest = (net: Net.Socket) => {
  const events = ["close", "error"] as const
  const before = events.map((event) => net.listeners(event))
  return () => {
    events.forEach((event, i) => {
      for (const listener of net.listeners(event)) {
        if (!before[i]!.includes(listener) && !/^socketOn(Close|Error)$/.test(listener.name)) {
          net.removeListener(event, listener as () => void)
        }
      }
    })
  }
}

/**
 * The host of WebSockets that are mounted on routes.
 *
 * @internal
 */
export const hostOf = (keeper: Keeper, maxConnections: number): WebSocketRoute.Host => ({
  groups: new Set(),
  maxConnections,
  upgrade: (request, protocol) =>
    Effect.gen(function*() {
      const net = NodeHttpServerRequest.toIncomingMessage(request).socket as Net.Socket
      const forget = forgetRequest(net)
      const claimed: Claim = { keeper, protocol, connection: undefined }
      claim(net, claimed)
      const socket = yield* request.upgrade
      // Effect's adapter completes the handshake and is then let go: its scope is never closed, nothing refers to it.
      yield* Scope.provide(socket.reader, yield* Scope.make())
      const connection: WsConnection | undefined = claimed.connection
      if (connection === undefined) {
        return yield* Effect.fail(openError(new Error("the HTTP server does not use the WebSocket of this package")))
      }
      // The adapter has asked for array buffers.
      connection.ws.binaryType = "nodebuffer"
      process.nextTick(forget)
      return connection
    })
})
