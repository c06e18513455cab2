/**
 * The words of the WebSocket servers; `NodeWebSocketServer` gives them on.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"
import type * as Tls from "node:tls"

/**
 * The limits of every connection. Durations are counted in whole seconds, by one timer for all connections.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /**
   * Bytes of one message; a larger one closes the connection with 1009 before it is read. Default 1 MiB; on routes of
   * Juggler and of the aiohttp wire 4 MiB. A route may have a limit of its own.
   */
  readonly maxFrameSize?: number | undefined
  /**
   * From the TCP connection to the complete upgrade request, and for the headers of every further request. Default 10
   * seconds, then the connection is cut. A body, and a message that has begun, may take as long and one second more for each
   * 16 KiB of it; then the answer is 408, the close code 1008.
   */
  readonly handshakeTimeout?: Duration.Input | undefined
  /** Silence after which the peer is pinged. Default 25 seconds. Every byte received ends the silence. */
  readonly pingAfter?: Duration.Input | undefined
  /** Further silence after which the connection is closed (1006 here, 1001 to the peer). Default 20 seconds. */
  readonly pongTimeout?: Duration.Input | undefined
  /** Bytes that may wait for a reader that takes nothing. Default 1 MiB. */
  readonly maxWaiting?: number | undefined
  /**
   * A reader with more than {@link Limits.maxWaiting} before it that takes nothing for this long is closed with 1013. One
   * that takes anything, however slowly, is not. Default 30 seconds.
   */
  readonly slowReaderTimeout?: Duration.Input | undefined
  /** How long the peer has to answer a close frame before the connection is cut. Default 5 seconds. */
  readonly closeTimeout?: Duration.Input | undefined
  /** The close code when the server stops: 1001 (default), or 1012 when it is about to come back. */
  readonly shutdownCode?: 1001 | 1012 | undefined
  /** `permessage-deflate`. Default off: it costs memory for each connection, and time. */
  readonly compression?: boolean | CompressionOptions | undefined
}

/**
 * How `permessage-deflate` is used, where the peer agrees to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface CompressionOptions {
  /** Messages shorter than this many bytes are sent as they are. Default 1,024. */
  readonly threshold?: number | undefined
  /** Effort, 1 to 9. Default 6. */
  readonly level?: number | undefined
  /** Memory of each connection, 1 to 9. Default 8. */
  readonly memLevel?: number | undefined
}

/**
 * The certificate of a TLS server: options of `node:tls`, or PEM files.
 *
 * @category models
 * @since 0.1.0
 */
export type TlsOptions =
  | Tls.TlsOptions
  | {
    readonly certFile: string
    readonly keyFile: string
    readonly passphrase?: Redacted.Redacted<string> | undefined
  }
