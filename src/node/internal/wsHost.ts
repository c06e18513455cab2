/**
 * Upgrades requests of Effect's HTTP server to WebSockets of our own.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type { Buffer } from "node:buffer"
import type * as Http from "node:http"
import type * as Net from "node:net"
import type { Host } from "../../socket/internal/routeHost.ts"
import { openError } from "../../socket/internal/socketErrors.ts"
import type { Acceptor } from "./wsAcceptor.ts"
import type { WsConnection } from "./wsConnection.ts"

interface Upgrade {
  readonly net: Net.Socket
  readonly head: Buffer
  /** The listeners of the net socket before Effect's upgrade handler added its own. */
  readonly before: Listeners
  after: Listeners
}

const events = ["close", "error"] as const

type Listeners = ReadonlyArray<ReadonlyArray<unknown>>

const listenersOf = (net: Net.Socket): Listeners => events.map((event) => net.listeners(event))

/**
 * Owns the upgrades of a server for the WebSockets that are mounted on its routes; those that an app makes with
 * `HttpServerRequest.upgrade` stay Effect's.
 *
 * @internal
 */
export class Upgrades {
  private readonly pending = new WeakMap<Http.IncomingMessage, Upgrade>()
  private readonly server: Http.Server
  private readonly acceptor: Acceptor

  constructor(server: Http.Server, acceptor: Acceptor) {
    this.server = server
    this.acceptor = acceptor
  }

  /** Keeps what an upgrade needs; `serve` adds Effect's own handler in between. */
  around<A, E, R>(serve: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> {
    return this.listening((request, net, head) => {
      const before = listenersOf(net)
      this.pending.set(request, { net, head, before, after: before })
    }).pipe(
      Effect.andThen(serve),
      Effect.tap(this.listening((request, net) => {
        this.pending.get(request)!.after = listenersOf(net)
      }))
    )
  }

  private listening(listener: (request: Http.IncomingMessage, net: Net.Socket, head: Buffer) => void) {
    return Effect.acquireRelease(
      Effect.sync(() => this.server.on("upgrade", listener as never)),
      () => Effect.sync(() => this.server.off("upgrade", listener as never))
    )
  }

  /** Completes the handshake of a request that the app decided to upgrade. */
  readonly upgrade: Host["upgrade"] = (request, protocol, frames) =>
    Effect.callback<WsConnection, Socket.SocketError>((resume) => {
      const incoming = NodeHttpServerRequest.toIncomingMessage(request) as Http.IncomingMessage
      // the app may decide in the turn of the event, before all of its listeners were called
      queueMicrotask(() => {
        const upgrade = this.pending.get(incoming)
        if (upgrade === undefined) {
          return resume(Effect.fail(openError(new Error("the request asks for no upgrade of this server"))))
        }
        this.pending.delete(incoming)
        const { head, net } = upgrade
        if (net.destroyed) return resume(Effect.fail(closedEarly))
        // Effect's handler waits for the end of the net socket, to interrupt the request's fiber, which has ended by then;
        // its listeners would hold the request and all that belongs to it.
        events.forEach((event, i) => {
          for (const listener of upgrade.after[i]!) {
            if (!upgrade.before[i]!.includes(listener)) net.off(event, listener as () => void)
          }
        })
        const settle = (exit: Exit.Exit<WsConnection, Socket.SocketError>) => {
          net.off("close", onClose)
          // nothing may be written behind the handshake: the response that the app gives back has been sent
          const response = NodeHttpServerRequest.toServerResponse(request) as Http.ServerResponse
          if (!response.writableEnded) {
            response.detachSocket(net)
            response.destroy()
          }
          resume(exit)
        }
        const onClose = () => settle(Exit.fail(closedEarly))
        net.once("close", onClose)
        this.acceptor.accept(incoming, net, head, protocol, frames, (connection) => settle(Exit.succeed(connection)))
      })
    })
}

const closedEarly = openError(new Error("the connection was closed during the handshake"))

/**
 * The host of WebSockets that are mounted on routes.
 *
 * @internal
 */
export const hostOf = (upgrades: Upgrades, maxConnections: number): Host => ({
  groups: new Set(),
  maxConnections,
  upgrade: upgrades.upgrade
})
