/**
 * Completes WebSocket handshakes, as the limits say.
 */
import * as Duration from "effect/Duration"
import type { Buffer } from "node:buffer"
import type * as Http from "node:http"
import type * as Net from "node:net"
import * as Ws from "ws"
import type { FrameLimit } from "../../socket/internal/routeHost.ts"
import { WireWebSocket, WsConnection } from "./wsConnection.ts"
import type { Keeper } from "./wsKeeper.ts"
import type { CompressionOptions, Limits } from "./wsModel.ts"

const defaultFrameSize = 1024 * 1024

/** @internal */
export const deflateOptions = (
  compression: boolean | CompressionOptions | undefined
): boolean | Ws.PerMessageDeflateOptions =>
  typeof compression !== "object" ? compression === true : {
    ...(compression.threshold === undefined ? {} : { threshold: compression.threshold }),
    zlibDeflateOptions: {
      ...(compression.level === undefined ? {} : { level: compression.level }),
      ...(compression.memLevel === undefined ? {} : { memLevel: compression.memLevel })
    }
  }

/**
 * Completes handshakes: the only way in which a server's connections come into being.
 *
 * @internal
 */
export class Acceptor {
  private readonly keeper: Keeper
  private readonly limits: Limits
  private readonly server: Ws.WebSocketServer
  /** The subprotocol of the handshake that is being completed, which takes one turn. */
  private protocol: string | undefined = undefined

  constructor(keeper: Keeper, limits: Limits) {
    this.keeper = keeper
    this.limits = limits
    this.server = new Ws.WebSocketServer({
      ...wsOptions(limits),
      noServer: true,
      WebSocket: WireWebSocket,
      clientTracking: false,
      handleProtocols: () => this.protocol ?? false
    } as Ws.ServerOptions)
  }

  /** `onAccepted` is not called where the handshake is refused: the net socket is closed then. */
  accept(
    request: Http.IncomingMessage,
    net: Net.Socket,
    head: Buffer,
    protocol: string | undefined,
    frames: FrameLimit | undefined,
    onAccepted: (connection: WsConnection) => void
  ): void {
    this.protocol = protocol
    // read in this turn
    this.server.options.maxPayload = frames?.max ?? this.limits.maxFrameSize ?? frames?.orElse ?? defaultFrameSize
    this.server.handleUpgrade(request, net, head, (ws) => {
      onAccepted(new WsConnection(ws as WireWebSocket, net, true, this.keeper))
    })
  }
}

/**
 * The options of a `ws` server that follow from the limits.
 *
 * @internal
 */
export const wsOptions = (limits: Limits) => ({
  maxPayload: limits.maxFrameSize ?? defaultFrameSize,
  perMessageDeflate: deflateOptions(limits.compression),
  // pongs are ours: `ws` cuts a connection without a close frame when 60 of them wait
  autoPong: false,
  closeTimeout: Duration.toMillis(Duration.fromInputUnsafe(limits.closeTimeout ?? "5 seconds"))
})
